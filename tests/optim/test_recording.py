"""A whole train step, forward, backward and update, recorded as a graph: running the graph trains to the same bits."""

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import graph, nn, optim
from pellucid.errors import RecordingError
from tests.optim.problem import CASES, LION_CASES, build, label, loss, parameters


def eager(case: Any, steps: int, dtype: Any) -> list[Any]:
    x, a, b = parameters(dtype)
    optimizer = build(case[0], [a, b], **case[1])
    for _ in range(steps):
        loss(x, a, b).backward()
        optimizer.step()
    return [a.tolist(), b.tolist(), states(optimizer)]


def states(optimizer: optim.Optimizer) -> dict[int, dict[str, Any]]:
    return {k: {n: t.tolist() for n, t in s.items()} for k, s in optimizer.state_dict()["state"].items()}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("before", [0, 2])
@pytest.mark.parametrize("case", CASES + LION_CASES, ids=label)
def test_a_recorded_step_goes_on_to_the_same_bits(case: Any, before: int, dtype: Any) -> None:
    before = max(before, 1) if case[1].get("dampening") else before  # a first step with dampening is refused: see below
    x, a, b = parameters(dtype)
    optimizer = build(case[0], [a, b], **case[1])

    def step(x: pl.Tensor) -> pl.Tensor:
        value: pl.Tensor = loss(x, a, b)
        value.backward()
        optimizer.step()
        return value

    for _ in range(before):
        step(x)
    recorded = graph.record(step, x)
    for _ in range(6):
        graph.run(recorded, x, commit=True)
    assert [a.tolist(), b.tolist(), states(optimizer)] == eager(case, before + 7, dtype)


def test_the_update_is_a_scope_of_the_graph() -> None:
    x, a, b = parameters()
    optimizer = optim.SGD([a, b], lr=0.1)

    def step(x: pl.Tensor) -> None:
        loss(x, a, b).backward()
        optimizer.step()

    recorded = graph.record(step, x)
    scopes = [[s.name for s in i.scope] for i in recorded.instructions]
    updates = [i.op.name for i, s in zip(recorded.instructions, scopes, strict=True) if s == ["SGD"]]
    assert updates == ["multiply_add", "multiply_add"]
    assert len(recorded.updates) == 2


def test_clipping_is_recorded_too() -> None:
    def ready() -> tuple[Any, Any, Any]:
        x, a, b = parameters()
        optimizer = optim.SGD([a, b], lr=0.1)

        def step(x: pl.Tensor) -> pl.Tensor:
            loss(x, a, b).backward()
            norm = optim.clip_grad_norm_([a, b], 0.5)
            optim.clip_grad_value_([a, b], 0.2)
            optimizer.step()
            return norm

        return step, x, (a, b)

    step, x, (a, b) = ready()
    recorded = graph.record(step, x)
    for _ in range(4):
        norm = graph.run(recorded, x, commit=True).outputs
    other, _, (c, d) = ready()
    for _ in range(5):
        expected = other(x)
    assert (a.tolist(), b.tolist(), norm.item()) == (c.tolist(), d.tolist(), expected.item())


def test_a_network_of_layers() -> None:
    x = pl.Tensor(np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32))
    y = pl.Tensor(np.arange(8) % 3)

    def ready() -> tuple[Any, Any]:
        pl.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
        optimizer = optim.AdamW(model.named_parameters(), lr=0.01)
        assert optimizer.param_groups[0]["param_names"] == ["0.weight", "0.bias", "2.weight", "2.bias"]
        criterion = nn.CrossEntropyLoss()

        def step(x: pl.Tensor, y: pl.Tensor) -> pl.Tensor:
            value: pl.Tensor = criterion(model(x), y)
            value.backward()
            optimizer.step()
            return value

        return model, step

    model, step = ready()
    recorded = graph.record(step, x, y)
    losses = [graph.run(recorded, x, y, commit=True).outputs.item() for _ in range(20)]
    other, eager_step = ready()
    expected = [eager_step(x, y).item() for _ in range(21)]
    assert losses == expected[1:]
    assert losses[-1] < losses[0]
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    assert all(p.tolist() == q.tolist() for p, q in pairs)


def test_a_first_step_with_dampening_is_refused() -> None:
    x, a, b = parameters()
    optimizer = optim.SGD([a, b], momentum=0.9, dampening=0.5)

    def step(x: pl.Tensor) -> None:
        loss(x, a, b).backward()
        optimizer.step()

    with pytest.raises(RecordingError) as error:
        graph.record(step, x)
    assert str(error.value).splitlines()[:3] == [
        "SGD: a first step with dampening cannot be recorded, since later steps differ from it",
        "  given:    dampening = 0.5",
        "  expected: one ordinary step before recording, or dampening = 0",
    ]


def test_lbfgs_is_refused() -> None:
    w = pl.Tensor([1.0], requires_grad=True)

    def closure() -> pl.Tensor:
        value = (w * w).sum()
        value.backward()
        return value

    with pytest.raises(RecordingError) as error:
        graph.record(lambda: optim.LBFGS([w]).step(closure))
    assert error.value.what == "LBFGS: its steps cannot be recorded, since they depend on values"
