"""Phases and threads: what may run without waiting."""

import numpy as np

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler.groups import Groups
from pellucid.compiler.layout import orders
from pellucid.compiler.passes.order import optimized
from pellucid.compiler.prepared import with_own_outputs
from pellucid.compiler.schedule import schedule


def planned(function, *examples):
    function(*map(pl.asarray, examples))
    graph = with_own_outputs(optimized(pl.graph.record(function, *examples), native=True))
    return schedule(Groups(graph, orders(graph)))


def data(rows=32, features=20, classes=10):
    rng = np.random.default_rng(0)
    return rng.standard_normal((rows, features)).astype("f4"), rng.integers(0, classes, rows)


def train_step(model, optimizer, clip=None):
    loss_fn = nn.CrossEntropyLoss()

    def step(x, y):
        loss = loss_fn(model(x), y)
        loss.backward()
        if clip:
            optim.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        return loss

    return step


def mlp():
    return nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10))


def test_a_training_step_waits_once_in_its_middle():
    model = mlp()
    found = planned(train_step(model, optim.SGD(model.parameters(), lr=0.1)), *data())
    assert found.phases == 2
    assert not found.copied
    products = [p for p in found.planned if p.group.kind == "product"]
    # Forward and activation gradients by rows of the batch, weight gradients by rows of the weight.
    assert [(p.phase, p.extent) for p in products] == [
        (0, 32), (0, 32), (0, 32), (0, 32), (1, 16), (0, 32), (1, 16), (1, 20)
    ]  # fmt: skip
    assert all(p.mode == "shared" for p in products)


def test_adam_waits_no_more():
    model = mlp()
    found = planned(train_step(model, optim.Adam(model.parameters())), *data())
    assert found.phases == 2
    assert not found.copied


def test_clipping_needs_the_norm_of_all_gradients_first():
    model = mlp()
    found = planned(train_step(model, optim.SGD(model.parameters(), lr=0.1), clip=1.0), *data())
    assert found.phases > 2
    writers = {r.output.id: p.phase for p in found.planned for r in p.group.members}
    norms = [p.phase for p in found.planned if any(m.op.name == "sqrt" for m in p.group.members)]
    assert max(writers.values()) > max(norms)


def test_state_that_is_read_after_its_update_is_copied_last():
    count = pl.zeros((300,))

    def step(x):
        before = count * 1.0
        count.assign(count + x)
        return (before - count.mean()).sum() + before.max()

    found = planned(step, np.ones(300, "f4"))
    assert found.phases >= 2


def test_a_recurrent_layer_waits_no_more_for_more_places():
    """Each thread goes through all places with its own sequences; the gates' gradients are joined row by row."""

    def phases(places):
        pl.manual_seed(0)
        layer = nn.LSTM(6, 16)

        def step(x):
            (layer(x)[0] ** 2).sum().backward()
            return layer.weight_hh_l0.grad

        return planned(step, np.ones((places, 32, 6), "f4")).phases

    assert phases(9) == phases(5)


def test_who_adds_into_an_element_step_by_step_does_it_unseen():
    """Every thread may compute a few numbers for itself, but not where others would see half of a sum."""
    model = nn.Sequential(nn.Embedding(7, 4, scale_grad_by_freq=True), nn.Flatten(), nn.Linear(12, 10))
    words = np.random.default_rng(0).integers(0, 7, (6, 3))
    found = planned(train_step(model, optim.SGD(model.parameters(), lr=0.1)), words, data(6)[1])
    counts = [p for p in found.planned if p.group.kind == "add"]
    assert len(counts) == 2
    assert all(p.mode != "replicated" for p in counts)
