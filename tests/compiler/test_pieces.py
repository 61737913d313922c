"""Loops in pieces: the same elements, and no question left that the piece's bounds answer."""

import numpy as np
import pytest

import pellucid as pl
from pellucid.compiler.expressions import FLOAT32, INT64, Buffer, Variable, load, number, variable, where, with_parts
from pellucid.compiler.nest import Loop, Store, expressions
from pellucid.compiler.pieces import in_pieces

I = Variable("i", 10)
X = Buffer("x", 0, FLOAT32, (10,), (1,), "input")
Y = Buffer("y", 1, FLOAT32, (10,), (1,), "output")


def loop(value):
    return Loop(I, number(0, INT64), number(10, INT64), (Store(Y, variable(I), value),), vector=True)


def lengths(statements):
    return [s.stop.args[0] - s.start.args[0] for s in statements]


def asks(statements):
    return {x.op for s in statements for x in with_parts(expressions(s.body[0]))} & {"<", "<=", ">", ">=", "where"}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (variable(I) < 4, [4, 6]),
        (variable(I) <= 4, [5, 5]),
        (variable(I) - 3 >= 0, [3, 7]),
        (variable(I) + 1 > 4, [4, 6]),
        (number(7, INT64) - variable(I) > 0, [7, 3]),
        ((variable(I) >= 2) & (variable(I) < 6), [2, 4, 4]),
    ],
)
def test_a_loop_is_cut_where_its_conditions_turn(condition, expected):
    pieces = in_pieces([loop(where(condition, load(X, variable(I)), number(0.0, FLOAT32)))])
    assert lengths(pieces) == expected
    assert not asks(pieces)


def test_a_loop_without_questions_stays():
    statement = loop(load(X, variable(I)))
    assert in_pieces([statement]) == [statement]


def test_what_depends_on_more_than_the_counter_stays():
    other = Variable("j", 10)
    statement = loop(where(variable(I) < variable(other), load(X, variable(I)), number(0.0, FLOAT32)))
    assert in_pieces([statement]) == [statement]


@pytest.mark.parametrize("width", [5, 37])
def test_joined_and_bordered_rows_are_numpys(width, monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")
    rng = np.random.default_rng(0)
    a, b, c = (rng.normal(size=(6, width + n)).astype(np.float32) for n in range(3))

    @pl.compile
    def f(a, b, c):
        joined = pl.concatenate([a * 2.0, b, c], axis=1)
        return pl.exp(joined) + 1.0, pl.pad(pl.tanh(a), ((0, 0), (3, 4)), value=2.0) * 3.0

    first, second = f(a, b, c)
    assert f.tier == "llvm"
    np.testing.assert_allclose(first.numpy(), np.exp(np.concatenate([a * 2, b, c], 1)) + 1, rtol=2e-6)
    expected = np.pad(np.tanh(a), ((0, 0), (3, 4)), constant_values=2.0) * 3
    np.testing.assert_allclose(second.numpy(), expected, rtol=2e-6)
