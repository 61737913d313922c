"""Arrays that plans write to: nobody else's, known to all plans, and what Python assigns is taken up."""

import copy
import gc

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.compiler.binding import Binding
from pellucid.errors import GradientError
from tests.compiler.both_ways import tier


def counting(start=None):
    """State, and the graph of a function that adds to it."""
    state = pl.Tensor(np.arange(12, dtype="f4").reshape(3, 4) if start is None else start)

    def add(x):
        state.assign(state + x)
        return state.sum()

    return state, pl.graph.record(add, np.float32(0.0))


def test_state_gets_an_array_of_its_own():
    given = np.arange(12, dtype="f4").reshape(3, 4)
    state, graph = counting(given)
    binding = Binding(graph)
    assert binding.arrays[0] is state.data
    assert not np.shares_memory(state.data, given)
    assert state.data.tobytes() == given.tobytes()


def test_what_is_only_read_stays_where_it_is():
    weight = pl.Tensor(np.ones((3, 4), "f4"))
    graph = pl.graph.record(lambda x: x * weight, np.ones((3, 4), "f4"))
    before = weight.data
    assert Binding(graph).arrays[0] is before
    weight.data = np.ones((3, 8), "f4")[:, ::2]
    assert Binding(pl.graph.record(lambda x: x * weight, np.ones((3, 4), "f4"))).arrays[0].flags.c_contiguous


def test_several_plans_share_one_array():
    state, graph = counting()
    first, second = Binding(graph), Binding(graph)
    assert first.arrays[0] is second.arrays[0] is state.data
    assert (first.fresh(), second.fresh()) == ([], [])
    second.place(0, "F")
    assert state.data.flags.f_contiguous
    assert first.fresh() == [0]
    assert first.arrays[0] is second.arrays[0] is state.data


def test_an_assigned_array_is_taken_up_once():
    state, graph = counting()
    binding = Binding(graph)
    mine = np.zeros((3, 4), "f4")
    state.data = mine
    assert binding.fresh() == [0]
    assert binding.fresh() == []
    assert binding.arrays[0] is state.data is not mine
    state.assign(pl.ones((3, 4)))
    assert binding.fresh() == [0]
    assert state.tolist() == np.ones((3, 4)).tolist()


def test_an_array_that_is_no_longer_used_is_forgotten():
    state, graph = counting()
    binding = Binding(graph)
    old = id(binding.arrays[0])
    del state, graph, binding
    gc.collect()
    other = np.zeros((3, 4), "f4")
    _, graph = counting(other)
    assert Binding(graph).arrays[0] is not other, old


def test_arrays_that_lie_together():
    a, b = pl.Tensor(np.arange(3.0)), pl.Tensor(np.arange(4.0).reshape(2, 2))

    def move(x):
        a.assign(a + x)
        b.assign(b - x)

    graph = pl.graph.record(move, 1.0)
    binding = Binding(graph)
    positions = [n for n, array in enumerate(binding.arrays) if array.ndim]
    whole = binding.together(positions)
    whole += 1.0
    # Recording has moved them once: a + 1 and b - 1.
    assert (a.tolist(), b.tolist()) == ([2.0, 3.0, 4.0], [[0.0, 1.0], [2.0, 3.0]])
    assert whole.tolist() in ([*a.data, *b.data.ravel()], [*b.data.ravel(), *a.data])
    assert binding.together(positions).ctypes.data == whole.ctypes.data
    assert Binding(graph).together(positions).ctypes.data == whole.ctypes.data
    a.data = np.zeros(3)
    assert binding.fresh() == [n for n in positions if binding.arrays[n] is a.data]
    again = binding.together(positions)
    again += 1.0
    assert a.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("how", ["numpy", "llvm"])
def test_a_copy_is_apart(how):
    if how == "llvm":
        pytest.importorskip("llvmlite")
    model = nn.Linear(3, 2)

    @pl.compile
    def double(x):
        model.weight.assign(model.weight * 2.0)
        return model(x)

    x = np.ones((4, 3), "f4")
    with tier(how):
        double(x)
        other, state, kept = copy.deepcopy(model), model.state_dict(), model.weight * 1.0
        before = model.weight.data.copy()
        double(x)
    for values in (other.weight, state["weight"], kept):
        assert values.data.tobytes() == before.tobytes()
    assert np.array_equal(model.weight.data, before * 2)


def descending():
    """A weight, and a compiled step that takes its argument from it."""
    w = pl.Tensor(np.ones((3, 4), "f4"), requires_grad=True)

    def step(x):
        with pl.no_grad():
            w.assign(w - x)
        return w.sum()

    return w, pl.compile(step)


@pytest.mark.parametrize("how", ["numpy", "llvm"])
def test_a_history_from_before_a_step_is_refused(how):
    if how == "llvm":
        pytest.importorskip("llvmlite")
    w, step = descending()
    with tier(how):
        step(np.float32(0.1))
        loss = (w * w).sum()
        step(np.float32(0.1))
    with pytest.raises(GradientError):
        loss.backward()


@pytest.mark.parametrize("how", ["numpy", "llvm"])
def test_steps_in_a_row_leave_later_histories_alone_and_refuse_earlier_ones(how):
    if how == "llvm":
        pytest.importorskip("llvmlite")
    w, step = descending()
    with tier(how):
        for between in (0, 1, 2, 3):  # steps of which nothing tells the time apart
            losses = []
            for _ in range(3):
                w.grad = None
                loss = (w * w).sum()
                loss.backward()
                assert w.grad.tolist() == (w * 2.0).tolist()
                losses.append((w.detach().reshape((12,)) * w.reshape((12,))).sum())
                for _ in range(1 + between):
                    step(np.float32(0.1))
            for loss in losses:
                with pytest.raises(GradientError):
                    loss.backward()


@pytest.mark.parametrize("how", ["numpy", "llvm"])
def test_a_number_of_numpys_may_stand_for_an_array(how, monkeypatch):
    if how == "llvm":
        pytest.importorskip("llvmlite")
    monkeypatch.setenv("PELLUCID_COMPILE", how)
    factor = pl.Tensor(3.0)
    times = pl.compile(lambda x: x * factor)
    assert times(pl.ones((2,))).tolist() == [3.0, 3.0]
    factor.data = np.float32(2.0)
    assert times(pl.ones((2,))).tolist() == [2.0, 2.0]
    assert (times.tier, type(factor.data)) == (how, np.ndarray)
