"""What is always the same is computed once; numbers stand where arrays of one number stood."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import graph
from pellucid.compiler.passes.fold import fold
from pellucid.compiler.passes.prune import prune
from tests.compiler.passes.graphs import after, assert_same_bits, ops, state

X = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)


def folded(function, *inputs):
    g = graph.record(function, *inputs)
    changed = after(prune, after(fold, g))
    assert_same_bits(g, changed, *inputs)
    return changed


def test_operations_of_constants_are_done():
    changed = folded(lambda x: x * pl.exp(pl.Tensor([0.5, 1.0, 2.0])).sum(), X)
    assert ops(changed) == ["multiply"]
    assert changed.captured == ()
    total = np.exp(np.array([0.5, 1.0, 2.0], np.float32)).sum()
    assert changed.instructions[0].inputs[1] == pytest.approx(total, rel=1e-7)


def test_a_result_of_several_numbers_becomes_a_captured_constant():
    changed = folded(lambda x: x + pl.Tensor([1.0, 2.0, 3.0]) * 2.0, X)
    assert ops(changed) == ["add"]
    assert [c.constant for c in changed.captured] == [True]
    assert changed.captured[0].tensor.data.tolist() == [2.0, 4.0, 6.0]


def test_large_results_are_not_kept():
    changed = folded(lambda x: pl.exp(pl.arange(5000) / 5000.0) * x[0, 0], X)
    assert "exp" in ops(changed)


def test_one_number_spread_over_an_array_is_that_number():
    changed = folded(lambda x: x * pl.broadcast_to(pl.Tensor(0.5), (2, 3)) - pl.zeros((2, 3)), X)
    assert ops(changed) == ["multiply", "subtract"]
    assert [i.inputs[1] for i in changed.instructions] == [0.5, 0.0]


def test_what_is_no_elementwise_operation_gets_the_array():
    w = np.full((3, 2), 0.25, np.float32)
    changed = folded(lambda x: x @ (pl.ones((3, 2)) * 0.25), X)
    assert ops(changed) == ["broadcast_to", "matmul"]
    assert np.array_equal(graph.run(changed, X).outputs, X @ w)


def test_an_array_that_gives_the_result_its_shape_stays():
    changed = folded(lambda x: x[0] * pl.ones((4, 3)), X)
    assert not isinstance(changed.instructions[-1].inputs[1], float)


def test_a_number_that_decides_the_dtype_stays_an_array():
    ints = np.arange(3)
    wide = pl.Tensor(np.array(0.1))

    def f(x, n):
        return x * pl.Tensor(np.array(0.1)), n * pl.Tensor(np.array(0.1)), pl.equal(x, pl.Tensor(np.array(0.1))), n * 2

    assert wide.dtype == np.float64
    changed = folded(f, np.full(3, 0.1, np.float32), ints)
    # float32 0.1 is not float64 0.1, and a weak 0.1 would have been rounded to it.
    assert [type(i.inputs[1]) is float for i in changed.instructions] == [False, False, False, False]
    assert not graph.run(changed, np.full(3, 0.1, np.float32), ints).outputs[2].any()


def test_nan_infinity_and_the_sign_of_zero_survive():
    def f(x):
        return x * pl.full((3,), float("nan")), x * pl.full((3,), float("inf")), x * pl.full((3,), -0.0)

    changed = folded(f, X)
    assert all(type(i.inputs[1]) is float for i in changed.instructions)


def test_a_condition_stays_an_array():
    changed = folded(lambda x: pl.where(pl.ones((2, 3)) > 0, x, 0.0), X)
    assert ops(changed) == ["broadcast_to", "where"]


def test_state_is_no_constant():
    kept = state(np.ones(3), "state")

    def f(x):
        return x * (kept * 2.0)

    g = graph.record(f, X)
    assert after(fold, g) is g


def test_a_constant_that_is_written_is_none():
    held = []

    def f(x):
        held.append(pl.zeros((3,)))
        held[-1].assign(held[-1] + x[0])
        return held[-1] * 2.0

    g = graph.record(f, X)
    changed = after(fold, g)
    assert len(changed.updates) == len(g.updates) == 1
    assert_same_bits(g, changed, X)
