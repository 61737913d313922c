"""Machine code of small graphs against eager: state that is read after its new values are there, orders of memory,
single rows.
"""

import numpy as np
import pytest

import pellucid as pl
from tests.compiler.both_ways import assert_same_both_ways, tier

pytest.importorskip("llvmlite")

RNG = np.random.default_rng(5)
A, B, C = (RNG.standard_normal(shape).astype("f4") for shape in ((40, 33), (33, 40), (33,)))
PROGRAMS = {}


def program(function):
    PROGRAMS[function.__name__] = function
    return function


def run(compile, function, *states, calls=3):
    """What the function gives, and its state after each call."""
    function, found = compile(function), []
    for n in range(calls):
        found.append((function(pl.Tensor(A * (n + 1))), [s.data.copy() for s in states]))
    return found


@program
def state_that_turns_around(compile):
    s = pl.Tensor(A.copy())
    return run(compile, lambda x: (s.assign(pl.exp(s[::-1] * 0.1)), s.sum())[1], s)


@program
def state_that_is_turned(compile):
    s = pl.Tensor(A[:33].copy())
    return run(compile, lambda x: (s.assign(s.T + 1.0), s * 1.0)[1], s)


@program
def state_that_moves_on(compile):
    s = pl.Tensor(C.copy())

    def rolled(x):
        s.assign(pl.concatenate([s[1:], x[0, :1]]))
        return s.mean()

    return run(compile, rolled, s)


@program
def state_that_is_read_after_its_new_values(compile):
    s = pl.Tensor(A.copy())

    def step(x):
        before = s * 1.0
        new = s * 0.5 + x
        s.assign(new)
        return before + new, before.max(axis=1), (new - before.mean(axis=1, keepdims=True)) * before

    return run(compile, step, s)


@program
def state_that_becomes_the_mean_of_its_rows(compile):
    s = pl.Tensor(A.copy())
    return run(compile, lambda x: (s.assign(s - s.mean(axis=1, keepdims=True) + x * s.max()), s * 2.0)[1], s)


@program
def state_of_state(compile):
    s, t = pl.Tensor(A.copy()), pl.Tensor(A.copy() * 2)

    def step(x):
        s.assign(t * 0.5 + x)
        t.assign(s[::-1] + t)
        return s.sum(), t.sum()

    return run(compile, step, s, t)


@program
def state_that_is_multiplied_with_itself(compile):
    s = pl.Tensor(A[:33].copy())
    return run(compile, lambda x: (s.assign(s @ s.T * 0.1), s.sum(axis=0))[1], s)


@program
def state_that_does_not_change(compile):
    s = pl.Tensor(A.copy())
    return run(compile, lambda x: (s.assign(s * 1.0), s + x)[1], s)


@program
def state_that_becomes_an_argument(compile):
    s = pl.Tensor(A.copy())

    def step(x):
        before = s + 0.0
        s.assign(x)
        return before

    return run(compile, step, s)


@program
def a_row_among_vectors(compile):
    v, w = pl.Tensor(C), pl.Tensor(C.reshape(1, 33))
    return run(compile, lambda x: (w + pl.tanh(v), (w * pl.exp(v)).sum(axis=1), x + pl.tanh(v)))


@program
def results_that_are_arguments_and_views(compile):
    return run(compile, lambda x: (x, x, x.T, x.T, x[1:], x[::-1], x * 1.0))


@program
def a_weight_that_is_returned(compile):
    w = pl.Tensor(A.copy())

    def step(x):
        y = x @ w.T
        w.assign(w - 1e-4 * (y.T @ x))
        return w * 1.0, y, w.T @ y

    return run(compile, step, w)


@pytest.mark.parametrize("name", PROGRAMS)
def test_machine_code_gives_what_eager_gives(name):
    assert_same_both_ways(PROGRAMS[name], "llvm")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [1, 3, 5, 8, 16, 40])
@pytest.mark.parametrize("depth", [1, 7, 31, 32, 33, 100])
def test_a_single_row_times_a_matrix(depth, columns, dtype):
    row, matrix = RNG.standard_normal((5, depth)).astype(dtype), RNG.standard_normal((columns, depth)).astype(dtype)
    other = np.ascontiguousarray(matrix.T)

    def products(x, w, v):
        total = x.sum(axis=0, keepdims=True)
        return total @ w.T, (pl.exp(x[:1]) @ w.T), total @ v

    with tier("llvm"):
        compiled = pl.compile(products)
        given = compiled(*map(pl.Tensor, (row, matrix, other)))
    assert compiled.tier == "llvm"
    x, w = row.astype("f8"), matrix.astype("f8")
    expected = x.sum(axis=0, keepdims=True) @ w.T, np.exp(x[:1]) @ w.T, x.sum(axis=0, keepdims=True) @ w.T
    for y, z in zip(given, expected, strict=True):
        np.testing.assert_allclose(y.data, z, rtol=2e-4 if dtype == "float32" else 1e-11, atol=1e-4)
