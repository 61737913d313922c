"""All passes together on whole train steps."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import graph, nn, optim
from pellucid.compiler.passes.order import optimized
from tests.compiler.passes.graphs import assert_close, assert_same_bits, ops

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(8, 5)).astype(np.float32), RNG.integers(0, 3, 8)


def train_step():
    pl.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4, bias=False), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.25), nn.Linear(4, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.1)

    def step(x, y):
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step(pl.Tensor(X), pl.Tensor(Y))
    return graph.record(step, X, Y)


def test_a_train_step_keeps_its_bits_with_fewer_operations():
    g = train_step()
    changed = optimized(g, native=False)
    assert len(changed.instructions) < len(g.instructions)
    assert_same_bits(g, changed, X, Y)


def test_a_native_train_step_has_no_operation_that_native_code_lacks():
    g = train_step()
    changed = optimized(g, native=True)
    assert not {"log_softmax", "take_along", "place_along", "sum_to"} & set(ops(changed))
    assert_close(g, changed, X, Y)


@pytest.mark.parametrize("native", [False, True])
def test_a_second_time_changes_nothing(native):
    changed = optimized(train_step(), native)
    assert str(optimized(changed, native)) == str(changed)


def test_the_gradients_and_looks_stay_with_the_recorded_graph():
    g = train_step()
    changed = optimized(g, native=False)
    assert g.expectations
    assert not changed.expectations
    assert any(i.stopped for i in g.instructions)
    assert not any(i.stopped for i in changed.instructions)


def test_cross_entropys_backward_sums_no_zeros():
    changed = optimized(train_step(), native=False)
    placed = next(i.output for i in changed.instructions if i.op.name == "place_along")
    assert not any(i.op.name == "sum" and placed in i.inputs for i in changed.instructions)
