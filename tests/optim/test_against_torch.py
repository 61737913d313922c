"""Trajectories, groups and saved states of every optimizer and every option, against PyTorch."""

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from tests.optim.problem import CASES, A, B, X, build, label, loss, parameters, train

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

NAMES = sorted({name for name, _ in CASES})
LBFGS_CASES: list[dict[str, Any]] = [
    {"lr": 0.1},
    {"lr": 0.5, "history_size": 2, "max_iter": 4},
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "history_size": 3, "max_iter": 7},
    {"line_search_fn": "strong_wolfe", "max_iter": 7, "max_eval": 5},
    {"lr": 0.3, "tolerance_grad": 1.0},
    {"lr": 0.3, "tolerance_change": 1e-2},
]


@pytest.fixture(autouse=True)
def _double() -> Any:
    # PyTorch keeps its step counts and products of momenta in the default dtype.
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def torch_parameters(dtype: Any = np.float64) -> tuple[Any, Any, Any]:
    a, b = (torch.tensor(v.astype(dtype), requires_grad=True) for v in (A, B))
    return torch.tensor(X.astype(dtype)), a, b


def distance(ours: Any, theirs: Any) -> float:
    pairs = zip(ours, theirs, strict=True)
    return max(float(np.abs(p.numpy() - q.detach().numpy()).max()) for p, q in pairs)


def trained(name: str, options: dict[str, Any], dtype: Any, steps: int = 20) -> float:
    x, a, b = parameters(dtype)
    tx, ta, tb = torch_parameters(dtype)
    train(build(name, [a, b], **options), x, a, b, steps)
    train(getattr(torch.optim, name)([ta, tb], **options), tx, ta, tb, steps)
    return distance((a, b), (ta, tb))


@pytest.mark.parametrize("case", CASES, ids=label)
def test_twenty_steps_in_float64(case: Any) -> None:
    assert trained(*case, np.float64) < 1e-8


@pytest.mark.parametrize("case", CASES, ids=label)
def test_twenty_steps_in_float32(case: Any) -> None:
    assert trained(*case, np.float32) < 1e-5


def test_the_comparison_finds_a_wrong_rate() -> None:
    x, a, b = parameters()
    tx, ta, tb = torch_parameters()
    train(build("Adam", [a, b], lr=0.1), x, a, b, 20)
    train(torch.optim.Adam([ta, tb], lr=0.1 * (1 + 1e-6)), tx, ta, tb, 20)
    assert distance((a, b), (ta, tb)) > 1e-8


@pytest.mark.parametrize("name", NAMES)
def test_groups_have_their_own_options(name: str) -> None:
    x, a, b = parameters()
    tx, ta, tb = torch_parameters()
    ours = build(name, [{"params": [a], "lr": 0.03}, {"params": b, "weight_decay": 0.1}], lr=0.01)
    theirs = getattr(torch.optim, name)([{"params": [ta], "lr": 0.03}, {"params": tb, "weight_decay": 0.1}], lr=0.01)
    train(ours, x, a, b, 5)
    train(theirs, tx, ta, tb, 5)
    for optimizer in (ours, theirs):
        optimizer.param_groups[0]["lr"] = 0.005
    train(ours, x, a, b, 5)
    train(theirs, tx, ta, tb, 5)
    assert distance((a, b), (ta, tb)) < 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_that_misses_steps_keeps_its_own_count(name: str) -> None:
    _, a, b = parameters()
    _, ta, tb = torch_parameters()
    ours, theirs = build(name, [a, b], lr=0.02), getattr(torch.optim, name)([ta, tb], lr=0.02)
    for step in range(9):
        for optimizer, (c, d) in ((ours, (a, b)), (theirs, (ta, tb))):
            optimizer.zero_grad()
            # b alone at steps 0, 3, 4 and 6; the two together else.
            value = (d * d * d).sum() if step in (0, 3, 4, 6) else (c * c).sum() * 0.5 + (d * d).sum()
            value.backward()
            optimizer.step()
    assert distance((a, b), (ta, tb)) < 1e-9
    if "step" in ours.state[a]:
        assert (ours.state[a]["step"].item(), ours.state[b]["step"].item()) == (5.0, 9.0)


def to_torch(value: Any) -> Any:
    """A saved state with Tensors as PyTorch's."""
    if isinstance(value, pl.Tensor):
        return torch.from_numpy(value.numpy().copy())
    if isinstance(value, dict):
        return {k: to_torch(v) for k, v in value.items()}
    return [to_torch(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_state_of_torch_loads(case: Any) -> None:
    name, options = case
    tx, ta, tb = torch_parameters()
    theirs = getattr(torch.optim, name)([ta, tb], **options)
    train(theirs, tx, ta, tb, 6)
    x, a, b = parameters()
    for p, q in ((a, ta), (b, tb)):
        p.assign(pl.Tensor(q.detach().numpy().copy()))
    ours = build(name, [a, b])
    ours.load_state_dict(theirs.state_dict())
    train(theirs, tx, ta, tb, 6)
    train(ours, x, a, b, 6)
    assert distance((a, b), (ta, tb)) < 1e-9


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_state_of_ours_loads_in_torch(case: Any) -> None:
    name, options = case
    x, a, b = parameters()
    ours = build(name, [a, b], **options)
    train(ours, x, a, b, 6)
    tx, ta, tb = torch_parameters()
    with torch.no_grad():
        for p, q in ((a, ta), (b, tb)):
            q.copy_(torch.from_numpy(p.numpy().copy()))
    theirs = getattr(torch.optim, name)([ta, tb])
    theirs.load_state_dict(to_torch(ours.state_dict()))
    train(theirs, tx, ta, tb, 6)
    train(ours, x, a, b, 6)
    assert distance((a, b), (ta, tb)) < 1e-9


@pytest.mark.parametrize("case", CASES, ids=label)
def test_defaults_and_layout_are_those_of_torch(case: Any) -> None:
    name, options = case
    x, a, b = parameters()
    tx, ta, tb = torch_parameters()
    ours, theirs = build(name, [a, b], **options), getattr(torch.optim, name)([ta, tb], **options)
    train(ours, x, a, b, 2)
    train(theirs, tx, ta, tb, 2)
    mine, other = ours.state_dict(), theirs.state_dict()
    execution = {"foreach", "capturable", "differentiable", "fused"}
    expected = [{k: v for k, v in g.items() if k not in execution} for g in other["param_groups"]]
    assert mine["param_groups"] == expected
    for number, states in other["state"].items():
        known = {k: tuple(v.shape) for k, v in states.items() if v is not None}
        assert {k: v.shape for k, v in mine["state"].get(number, {}).items()} == known


def closure_of(optimizer: Any, x: Any, a: Any, b: Any) -> Any:
    def closure() -> Any:
        optimizer.zero_grad()
        value = loss(x, a, b)
        value.backward()
        return value

    return closure


@pytest.mark.parametrize("options", LBFGS_CASES, ids=str)
def test_lbfgs(options: dict[str, Any]) -> None:
    x, a, b = parameters()
    tx, ta, tb = torch_parameters()
    ours, theirs = build("LBFGS", [a, b], **options), torch.optim.LBFGS([ta, tb], **options)
    for _ in range(4):
        first = ours.step(closure_of(ours, x, a, b))
        expected = theirs.step(closure_of(theirs, tx, ta, tb))
        assert abs(first.item() - expected.item()) < 1e-8
        assert distance((a, b), (ta, tb)) < 1e-8
    counts = [[o.state_dict()["state"][0][k] for k in ("n_iter", "func_evals")] for o in (ours, theirs)]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
def test_states_of_lbfgs_load_both_ways(line_search: str | None) -> None:
    options = {"lr": 0.3, "line_search_fn": line_search, "max_iter": 3}
    x, a, b = parameters()
    tx, ta, tb = torch_parameters()
    ours, theirs = build("LBFGS", [a, b], **options), torch.optim.LBFGS([ta, tb], **options)
    ours.step(closure_of(ours, x, a, b))
    theirs.step(closure_of(theirs, tx, ta, tb))
    swapped, swapped_torch = build("LBFGS", [a, b]), torch.optim.LBFGS([ta, tb])
    mine = ours.state_dict()
    swapped.load_state_dict(theirs.state_dict())
    swapped_torch.load_state_dict(to_torch(mine))
    swapped.step(closure_of(swapped, x, a, b))
    swapped_torch.step(closure_of(swapped_torch, tx, ta, tb))
    assert distance((a, b), (ta, tb)) < 1e-9
