"""What is decided while expressions are made: by the bounds of counters, and by what reshapes divide and join again."""

import itertools

import pytest

from pellucid.compiler.expressions import (
    BOOL,
    INT64,
    Variable,
    affine,
    bounds,
    compare,
    number,
    rebuilt,
    variable,
    where,
)

I, J = Variable("i", 5), Variable("j", 32)
UNKNOWN = variable(Variable("u"))


def test_bounds_of_sums_and_quotients() -> None:
    i, j = variable(I), variable(J)
    assert bounds(i * 32 + j) == (0, 159)
    assert bounds((i - 7) * 2) == (-14, -6)
    assert bounds((i * 32 + j) // 32) == (0, 4)
    assert bounds((i + UNKNOWN) * 2) is None
    # By trying every value.
    for x, f in (((i - 2) * 3 + j, lambda a, b: (a - 2) * 3 + b), ((j - i) // 4, lambda a, b: (b - a) // 4)):
        values = [f(a, b) for a, b in itertools.product(range(5), range(32))]
        assert bounds(x) == (min(values), max(values))


def test_a_quotient_that_has_one_value_is_that_value() -> None:
    j = variable(J)
    assert (j // 32).args == (0,)
    assert (j % 32) is j
    assert ((j + 96) // 32).args == (3,)
    assert affine((j + 96) % 32) == (0, {J: 1})
    assert (j // 16).op == "//"


def test_multiples_of_the_divisor_come_out() -> None:
    assert affine((UNKNOWN + 64) // 32)[0] == 2
    assert ((UNKNOWN + 64) % 32).args[0] is UNKNOWN


@pytest.mark.parametrize(
    ("op", "right", "expected"), [("<", 5, True), ("<", 0, False), (">=", 0, True), (">", 4, False), ("<=", -1, False)]
)
def test_comparisons_that_bounds_decide(op: str, right: int, expected: bool) -> None:
    found = compare(op, variable(I), right)
    assert (found.op, found.args, found.dtype) == ("number", (expected,), BOOL)
    assert where(found, number(1, INT64), number(2, INT64)).args == (1 if expected else 2,)


def test_comparisons_that_bounds_leave_open() -> None:
    assert compare("<", variable(I), 4).op == "<"
    assert compare("<", UNKNOWN, 4).op == "<"


def test_what_a_reshape_divides_is_joined_again() -> None:
    r = UNKNOWN
    constant, terms = affine((r // 64) * 8192 + (r % 64) * 128 + 3)
    assert constant == 3
    assert terms == {r.args[0]: 128}
    # Three axes, divided one after the other.
    rows = r // 24
    _, terms = affine((rows // 3) * 72 + (rows % 3) * 24 + r % 24)
    assert terms == {r.args[0]: 1}
    # Of other strides it stays apart.
    assert len(affine((r // 64) * 8191 + (r % 64) * 128)[1]) == 2


def test_substitution_reaches_every_place() -> None:
    i = variable(I)
    changed = rebuilt(i * 3 + i // 2, I, i + 10)
    assert affine(changed)[0] == 30 or changed.op == "+"
    assert bounds(changed) == (35, 49)
