"""Scalar bodies as expressions: every elementwise operation against its eager value, and the rules of this file against
NumPy in more digits."""

import inspect
import operator

import numpy as np
import pytest

import pellucid as pl
from pellucid.compiler.elements import elementwise, has_native_rule
from pellucid.compiler.expressions import BASIC, BOOL, FLOAT32, INT64, Buffer, Expr, Variable, load, number, variable
from pellucid.compiler.mathematics import EXPRESSIONS, expand, supported
from pellucid.compiler.tiers import Unsupported
from pellucid.core.context import quiet
from pellucid.core.op import REGISTRY
from pellucid.core.tensor import apply
from pellucid.errors import PellucidError
from pellucid.graph import record
from tests.compiler.functions import (
    DTYPES,
    WAYS,
    assert_within,
    by_python,
    exact,
    expanded,
    pairs,
    points,
    special,
    values_of,
)

OPS = sorted(name for name, op in REGISTRY.items() if op.family == "elementwise")
# Powers of whole numbers take a number of steps that depends on them.
WITHOUT_RULE = {"power": "iu"}
TWO_NUMBERS = {"power", "arctan2", "hypot", "logaddexp", "nextafter", "remainder", "floor_divide"}


def samples(dtype, arity):
    """Special and usual numbers in every combination, so many arrays of them."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        usual = np.array([0.3, -0.7, 1.25, -2.5, 4.5, 20.5, -88.5, 1e-30, -1e30], dtype)
        values = np.concatenate([special(dtype), usual])
        values = values[~(np.abs(values) > 1e37)] if arity > 1 else values
    elif dtype.kind == "b":
        values = np.array([False, True])
    else:
        limits = np.iinfo(dtype)
        values = np.array([limits.min, limits.max, *range(9), *range(-8 if dtype.kind == "i" else 9, 0)], dtype)
    grid = np.meshgrid(*[values] * min(arity, 2), indexing="ij")
    flat = [g.ravel() for g in grid]
    return [*flat, *(np.roll(flat[0], 3),) * (arity - 2)][:arity]


def close(got, expected):
    """To eight units in the last place of the result or of 1."""
    with np.errstate(all="ignore"):
        same = (got == expected) | np.isnan(got) & np.isnan(expected)
        unit = np.spacing(np.maximum(np.abs(expected), expected.dtype.type(1)))
        return same | (np.abs(got - expected) <= 8 * unit)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("name", OPS)
def test_every_operation(name, dtype):
    op = REGISTRY[name]
    arity = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in inspect.signature(op.kernel).parameters.values()) - 1
    arrays = samples(dtype, arity)
    if name == "where":
        arrays[0] = arrays[0] > 0

    def function(*xs):
        return apply(op, list(xs), dict(op.attrs))

    try:
        with quiet():
            expected = function(*map(pl.Tensor, arrays)).data
    except PellucidError:
        if np.dtype(dtype).kind in WITHOUT_RULE.get(name, ""):
            return  # a negative power of a whole number
        with pytest.raises(PellucidError):
            record(function, *arrays)
        return
    with quiet():
        instruction = next(i for i in record(function, *arrays).instructions if i.op is op)
    if np.dtype(dtype).kind in WITHOUT_RULE.get(name, ""):
        assert has_native_rule(instruction) == name
        return
    assert has_native_rule(instruction) == ""
    got = by_python(lambda *xs: expanded(elementwise(instruction, list(xs))), *arrays, out=expected.dtype)
    if name in ("sin", "cos", "tan"):
        got, expected = (a[np.abs(arrays[0].astype(float)) < 1e12] for a in (got, expected))
    right = close(got, expected) if expected.dtype.kind == "f" else got == expected
    assert right.all(), [(*(a[n] for a in arrays), got[n], expected[n]) for n in np.flatnonzero(~right)[:4]]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "bound"), [("hypot", 1.1), ("nextafter", 0.0)])
def test_two_numbers(name, bound, dtype, way):
    rng = np.random.default_rng(0)
    a, b = points(dtype, 10_000), points(dtype, 10_000)
    rng.shuffle(b)
    (a2, b2), (a3, b3) = rng.standard_normal((2, 20_000)).astype(dtype), pairs(dtype)
    a, b = np.concatenate([a, a2, a3]), np.concatenate([b, b2, b3])
    with np.errstate(all="ignore"):
        expected = np.nextafter(a, b) if name == "nextafter" else exact(getattr(np, name), a, b)
    assert_within(bound, values_of(way, name, a, b), expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["remainder", "floor_divide"])
def test_remainders_and_quotients_are_numpys_to_the_bit(name, dtype, way):
    rng = np.random.default_rng(0)
    a, b = points(dtype, 10_000), points(dtype, 10_000)
    rng.shuffle(b)
    (a2, b2), (a3, b3) = rng.standard_normal((2, 20_000)).astype(dtype) * 10, pairs(dtype)
    whole = rng.integers(-9, 10, (2, 2000)).astype(dtype)
    a, b = np.concatenate([a, a2, a3, whole[0]]), np.concatenate([b, b2, b3, whole[1]])
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(a, b)
    got = values_of(way, name, a, b)
    right = (got == expected) & (np.signbit(got) == np.signbit(expected)) | np.isnan(got) & np.isnan(expected)
    assert right.all(), [(a[n], b[n], got[n], expected[n]) for n in np.flatnonzero(~right)[:4]]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_logaddexp(dtype, way):
    a, b = np.random.default_rng(0).standard_normal((2, 20_000)).astype(dtype) * 10
    (a2, b2) = pairs(dtype)
    a, b = np.concatenate([a, a2]), np.concatenate([b, b2])
    got, expected = values_of(way, "logaddexp", a, b), exact(np.logaddexp, a, b)
    with np.errstate(all="ignore"):
        size = np.maximum(np.maximum(np.abs(a), np.abs(b)), np.abs(expected)).astype(dtype)
        right = (got == expected) | np.isnan(got) & np.isnan(expected)
        right |= np.abs(got - expected) <= 3 * np.spacing(np.minimum(size, np.finfo(dtype).max))
    assert right.all(), [(a[n], b[n], got[n], expected[n]) for n in np.flatnonzero(~right)[:4]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 4, 5, -1, -2, 0.5, -0.5, 2.5])
def test_powers_by_a_literal(exponent, dtype):
    x = np.concatenate([special(dtype), np.linspace(0.5, 3, 200).astype(dtype)])
    got = by_python(lambda a: expanded(EXPRESSIONS.power(a, exponent)), x, out=x.dtype)
    # Of a literal 0.5 NumPy takes the square root.
    assert_within(2.0, got, exact(np.sqrt if exponent == 0.5 else lambda a: np.power(a, exponent), x))


def test_small_powers_are_products():
    x = load(Buffer("x", 0, FLOAT32, (3,), (1,), "input"), variable(Variable("i")))
    assert EXPRESSIONS.power(x, 3).op == "*"
    assert EXPRESSIONS.power(x, 2.5).op == "power"
    assert EXPRESSIONS.power(x, 0).op == "number"


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "uint64"])
@pytest.mark.parametrize(("name", "operation"), [("left_shift", operator.lshift), ("right_shift", operator.rshift)])
def test_shifts_by_any_number(name, operation, dtype):
    limits = np.iinfo(dtype)
    values = np.array([limits.min, limits.max, 1, 77], dtype)
    by = np.array([0, 1, 7, limits.bits - 1, limits.bits, limits.bits + 3, limits.max], dtype)
    a, b = (g.ravel() for g in np.meshgrid(values, by))
    got = by_python(getattr(EXPRESSIONS, name), a, b, out=a.dtype)
    assert (got == operation(a, b)).all()


def test_a_python_number_takes_the_dtype_of_what_it_meets():
    x = Expr("name", ("x",), FLOAT32)
    assert [a.dtype for a in EXPRESSIONS.maximum(0, x).args] == [FLOAT32, FLOAT32]
    assert EXPRESSIONS.where(number(1, INT64), x, 0.0).args[0].dtype == BOOL
    assert EXPRESSIONS.exp(x).op == "exp"


def test_every_rule_is_made_of_basic_operations():
    names = [n for n in dir(np) if supported(n, FLOAT32)]
    assert {"exp", "log", "tanh", "power", "sin", "arctan2"} <= set(names)
    for name in (*names, "erf"):
        arity = 2 if name in TWO_NUMBERS else 1
        waiting = [expand(name, (Expr("name", ("x",), FLOAT32),) * arity)]
        while waiting:
            expr = waiting.pop()
            assert expr.op in BASIC or expr.op in ("number", "name"), (name, expr.op)
            waiting += [a for a in expr.args if isinstance(a, Expr)] if len(waiting) < 200 else []


def test_what_has_no_rule():
    assert not supported("round_to_even", FLOAT32)
    assert not supported("exp", INT64)
    assert supported("sign", INT64)
    with pytest.raises(Unsupported, match="power of int64"):
        expand("power", (Expr("name", ("x",), INT64),) * 2)
