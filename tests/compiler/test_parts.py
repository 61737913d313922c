"""A graph is cut into as few parts as can be, each a graph of its own; run one after the other they do what it does."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler import parts as cutting
from pellucid.compiler.parts import parts, with_made_ends
from pellucid.compiler.passes.order import optimized
from pellucid.graph import record
from pellucid.graph.ir import leaves
from pellucid.graph.run import run
from pellucid.graph.verify import verify

X = np.random.default_rng(0).standard_normal((30, 30))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """All parts are large enough."""
    monkeypatch.setattr(cutting, "LEAST", 0)


def cut(function, *inputs):
    """The whole, and its parts, which compute the same."""
    graph = record(function, *inputs)
    whole = with_made_ends(optimized(graph, native=True))
    verify(whole)
    found = parts(whole)
    expected = run(whole, *inputs)
    known = {v.id: np.asarray(x) for v, x in zip(whole.inputs, inputs, strict=True)}
    state = {}
    for part in found:
        verify(part.graph)
        # No part reads what an earlier one has renewed.
        assert not state.keys() & {x.id for i in part.graph.instructions for x in i.inputs if hasattr(x, "id")}
        result = run(part.graph, *(known[v.id] for v in part.graph.inputs))
        known |= {v.id: np.asarray(x) for v, x in zip(part.graph.outputs, leaves(result.outputs), strict=True)}
        state |= {target.id: value for (target, _), value in zip(part.graph.updates, result.updates, strict=True)}
    for v, x in zip(leaves(whole.outputs), leaves(expected.outputs), strict=True):
        np.testing.assert_array_equal(known[v.id], x)
    assert state.keys() == {target.id for target, _ in whole.updates}
    return whole, found


def kinds(found):
    return "".join("N" if part.native else "p" for part in found)


def names(part):
    return [i.op.name for i in part.graph.instructions]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x * 2.0, "N"),
        (lambda x: pl.sort(x), "p"),
        (lambda x: pl.sort(x * 2.0), "Np"),
        (lambda x: pl.sort(x) * 2.0, "pN"),
        (lambda x: pl.exp(pl.sort(pl.tanh(x))), "NpN"),
        (lambda x: (pl.sort(x), pl.tanh(x)), "Np"),
        (lambda x: (pl.sort(pl.tanh(x)), pl.exp(pl.sort(x))), "NpN"),
        (lambda x: pl.sort(pl.exp(pl.sort(x) + pl.sort(-x, axis=0)), axis=0), "NpNp"),
        (lambda x: [pl.tanh(pl.sort(x * n)) for n in range(1, 5)], "NpN"),
    ],
)
def test_the_parts_are_few(function, expected):
    assert kinds(cut(function, X)[1]) == expected


def test_what_costs_nothing_is_had_again_where_it_is_read():
    _, found = cut(lambda x: pl.exp(pl.sort(pl.tanh(x).T, axis=1)) @ pl.tanh(x).T.reshape(30, 30), X)
    assert kinds(found) == "NpN"
    assert [len(part.graph.outputs) for part in found] == [1, 1, 1]
    assert "transpose" not in names(found[0])
    assert "transpose" in names(found[1])
    assert "transpose" in names(found[2])


def test_an_operation_waits_for_the_part_that_reads_it():
    _, found = cut(lambda x: pl.sort(pl.tanh(x)) + pl.exp(x), X)
    assert kinds(found) == "NpN"
    assert "exp" in names(found[2])
    # Not where more would have to be handed on than its result.
    _, found = cut(lambda x: pl.sort(pl.tanh(x)) + pl.exp(pl.sort(x)).sum(axis=1, keepdims=True) + pl.sort(-x), X)
    assert kinds(found) == "NpN"


def test_a_small_result_does_not_wait_if_a_large_value_had_to_wait_with_it():
    def function(x):
        wave = pl.sin(x)
        return pl.sort(pl.exp(wave)) + wave.sum(axis=1, keepdims=True)

    _, found = cut(function, X)
    assert "sum" in names(found[0])
    assert [v.spec.shape for v in found[0].graph.outputs] == [(30, 30), (30, 1)]


def test_new_state_waits_until_the_old_one_has_been_read():
    a = pl.Tensor(X.copy())

    def function(x):
        new = pl.tanh(x @ a)
        late = pl.sort(new) * a
        a.assign(new)
        return late

    _, found = cut(function, X)
    assert kinds(found) == "NpN"
    assert [len(part.graph.updates) for part in found] == [0, 0, 1]
    ((_, value),) = found[2].graph.updates
    assert value in found[2].graph.inputs
    assert value in found[0].graph.outputs


def test_parts_of_little_work_go_to_numpy(monkeypatch):
    monkeypatch.setattr(cutting, "LEAST", 5000)

    def function(x):
        return pl.exp(pl.sort(pl.sort(pl.tanh(x @ x)) * 2.0, axis=0)) @ x

    assert kinds(cut(function, X)[1]) == "NpN"
    assert kinds(cut(lambda x: pl.sort(x[0] * 2.0) + 1.0, X)[1]) == "p"


def test_results_may_be_set_apart():
    graph = with_made_ends(optimized(record(lambda x: pl.exp(pl.tanh(x) * 2.0), X), native=True))
    (middle,) = [i.output.id for i in graph.instructions if i.op.name == "multiply"]
    assert kinds(parts(graph, {middle})) == "NpN"


def test_outputs_and_updates_that_nothing_computes_become_copies():
    a = pl.Tensor(X.copy())

    def function(x):
        old = a * 1.0
        a.assign(x)
        return x, old, x.T

    whole, _ = cut(function, X)
    assert all(i.op.name in ("positive", "transpose") for i in whole.instructions)
    made = {i.output.id for i in whole.instructions if i.op.name == "positive"}
    assert {v.id for v in leaves(whole.outputs)} | {v.id for _, v in whole.updates} <= made


def test_a_training_step():
    model = nn.Sequential(nn.Linear(30, 30), nn.Tanh(), nn.Linear(30, 4))
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x):
        loss = (model[2](pl.sort(model[1](model[0](x)), axis=1)) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    weights = [p.data.copy() for p in model.parameters()]
    compiled = pl.compile(step)
    compiled(X.astype("f4"))
    for p, w in zip(model.parameters(), weights, strict=True):
        p.data = w
    found = parts(with_made_ends(optimized(compiled.graph, native=True)))
    assert kinds(found) == "NpNpN"
    # The gradient of the last layer needs no other, so that it is renewed as soon as it has been read.
    assert [len(part.graph.updates) for part in found] == [0, 0, 2, 0, 2]
