"""Printed expressions: read back by Python they are what was meant, and people can read them."""

import operator
import random

import numpy as np
import pytest

from pellucid.compiler.expressions import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT64,
    Buffer,
    Expr,
    Variable,
    bits,
    cast,
    equal,
    fma,
    function,
    load,
    named,
    number,
    variable,
    where,
)
from pellucid.compiler.python_expressions import Expressions, Names, flat_name
from pellucid.compiler.python_functions import NAMESPACE
from pellucid.compiler.tiers import Unsupported

I, J = Variable("i"), Variable("j")
INT32 = np.dtype(np.int32)
A, B, C = (named(name, FLOAT32) for name in "abc")
M, N = (named(name, INT32) for name in "mn")
P, Q = (named(name, BOOL) for name in "pq")
X = Buffer("x", 0, FLOAT32, (4, 6), (6, 1), "input")


def printer(*names):
    lines = []
    e = Expressions(Names(set(names)), {X: "x"}, lines.append)
    e.values |= {name: name for name in "abcmnpq"}
    e.variables |= {I: "i", J: "j"}
    e.ranges |= {I: (0, 3), J: (0, 5)}
    return e, lines


def text(expr):
    e, lines = printer()
    assert not lines
    return e.text(expr)


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (A + B * C, "a + b * c"),
        ((A + B) * C, "(a + b) * c"),
        (A - (B - C), "a - (b - c)"),
        (A - B - C, "a - b - c"),
        (A / (B * C), "a / (b * c)"),
        (-(A + B), "-(a + b)"),
        (-A * B, "-a * b"),
        (function("neg", -A), "--a"),
        (A + (B + C), "a + (b + c)"),
        ((A < B) & (C > 0), "(a < b) & (c > 0.0)"),
        (P | Q & P, "p | q & p"),
        ((P | Q) & P, "(p | q) & p"),
        (equal(A < B, P), "(a < b) == p"),
        (function("not", A < B), "logical_not(a < b)"),
        (function("invert", M) & 3, "~m & 3"),
        ((M << 2) + N, "(m << 2) + n"),
        (M + N >> 1, "m + n >> 1"),
        (where(A > 0, A, 0.1), "where(a > 0.0, a, 0.1)"),
        (where(A > 0, number(1, FLOAT32), 0), "where(a > 0.0, float32(1.0), float32(0.0))"),
        (fma(A, B, C), "fma(a, b, c)"),
        (cast(A + B, FLOAT64), "float64(a + b)"),
        (cast(A + B, BOOL), "a + b != 0"),
        (bits(A * B, INT32), "(a * b).view(int32)"),
        (bits(number(1, INT32), FLOAT32), "int32(1).view(float32)"),
        (function("exp", -A), "exp(-a)"),
        (A * -0.1, "a * -0.1"),
        (number(-0.1, FLOAT32) - A, "-0.1 - a"),
        (function("maximum", A, number(-np.inf, FLOAT32)), "maximum(a, -inf)"),
        (load(X, variable(I) * 6 + J), "x[i, j]"),
        (load(X, variable(I) * 6 + 5 - J), "x[i, 5 - j]"),
        (load(X, variable(I) * 6 + J + 7), "x_flat[i * 6 + j + 7]"),
        (number(3, INT64) + variable(I), "3 + i"),
        (number(0.1, FLOAT32), "float32(0.1)"),
        (number(True, BOOL), "True"),
    ],
)
def test_text(expr, expected):
    assert text(expr) == expected


def test_floats_are_read_back_to_the_bit():
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        values = rng.integers(0, 2**63, 200, np.uint64).astype(f"u{dtype().itemsize}").view(dtype)
        for x in values[np.isfinite(values)]:
            e = Expr("number", (float(x),), np.dtype(dtype))
            digits = text(e).removeprefix(f"{e.dtype.name}(").removesuffix(")")
            assert dtype(float(digits)) == x


# Random trees


BINARY = {"+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod}
BINARY |= {"&": operator.and_, "|": operator.or_, "^": operator.xor}
TESTS = {"<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne}
LOGIC = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


def tree(choose, depth):
    """A random whole number as an expression, and its value computed apart from any text."""
    if depth == 0 or choose.random() < 0.1:
        if choose.random() < 0.5:
            return M, np.int32(7)
        value = choose.choice([-3, 2, 5])
        return number(value, INT32), np.int32(value)
    a, x = tree(choose, depth - 1)
    kind = choose.random()
    if kind < 0.15:
        return -a, -x
    if kind < 0.25:
        return function("invert", a), ~x
    b, y = tree(choose, depth - 1)
    if kind < 0.8:
        op = choose.choice(list(BINARY))
        with np.errstate(all="ignore"):
            return Expr(op, (a, b), INT32), BINARY[op](x, y)
    p, u = condition(choose, depth - 1)
    return Expr("where", (p, a, b), INT32), x if u else y


def condition(choose, depth):
    a, x = tree(choose, depth)
    b, y = tree(choose, depth)
    op = choose.choice(list(TESTS))
    p, u = Expr(op, (a, b), BOOL), TESTS[op](x, y)
    if choose.random() < 0.5 or depth == 0:
        return p, u
    q, v = condition(choose, depth - 1)
    op = choose.choice(list(LOGIC))
    return Expr(op, (p, q), BOOL), LOGIC[op](u, v)


@pytest.mark.parametrize("seed", range(60))
def test_random_trees_keep_their_meaning(seed):
    expr, expected = tree(random.Random(seed), 5)
    e, lines = printer()
    result = e.text(expr)
    namespace = {**NAMESPACE, "m": np.int32(7)}
    with np.errstate(all="ignore"):
        exec("\n".join([*lines, f"result = {result}"]), namespace)
    assert namespace["result"] == expected
    assert all(len(line) < 300 for line in lines)


# Parts with names of their own


def test_what_is_used_twice_is_computed_once():
    e, lines = printer()
    shared = function("exp", A * B + C)
    assert e.text(shared / (shared + 1.0)) == "t / (t + 1.0)"
    assert lines == ["t = exp(a * b + c)"]


def test_two_that_are_alike_are_one():
    e, lines = printer()
    assert e.text(function("exp", A * B + C) / (function("exp", A * B + C) + 1.0)) == "t / (t + 1.0)"
    assert lines == ["t = exp(a * b + c)"]


def test_short_parts_are_repeated():
    e, lines = printer()
    x = load(X, variable(I) * 6 + J)
    assert e.text(where(x > 0, x, 0)) == "where(x[i, j] > 0.0, x[i, j], 0.0)"
    assert lines == []


def test_sums_may_be_long_and_deep():
    e, lines = printer()
    total = A
    for _ in range(3000):
        total = fma(B, C, total)
    assert e.text(total).startswith("fma(b, c, ")
    assert max(map(len, lines)) < 100


def test_names_are_given_once_and_are_pythons():
    names = Names({"x"})
    assert [names.fresh(n) for n in ("x", "x", "0.weight", "lambda", "exp", "layer.0", "")] == [
        "x_2",
        "x_3",
        "_0_weight",
        "_lambda",
        "exp_2",
        "layer_0",
        "x_4",
    ]


def test_the_memory_of_an_array_has_a_name():
    assert flat_name("weight") == "weight_flat"


def test_an_unknown_function():
    with pytest.raises(Unsupported, match="gamma"):
        text(function("gamma", A))
