"""What every layer promises, in one call: values, gradients and second-order gradients as PyTorch's in float64, the
same names and shapes of its state, both ways; copies that are equal and independent; the dtype kept; training and use
told apart.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import pellucid as pl
from pellucid import nn

FORWARD, GRADIENT = 1e-10, 1e-9


@dataclass(frozen=True)
class Case:
    """A layer of ours and PyTorch's of the same arguments, and the shapes of inputs to try them on."""

    name: str
    ours: Callable[[], nn.Module]
    theirs: Callable[[Any], Any]
    shapes: Sequence[tuple[int, ...]] = ((5, 4), (1, 4), (0, 4), (2, 3, 4), (4,))
    modes: Sequence[bool] = (True, False)
    num_inputs: int = 1
    integers: int | None = None
    second_order: bool = True
    gradient_tolerance: float = GRADIENT


def run_layer_test(case: Case, torch: Any) -> None:
    """Raise AssertionError where the layer of a case breaks a promise."""
    pl.manual_seed(7)
    rng = np.random.default_rng(7)
    ours, theirs = case.ours().double(), case.theirs(torch.nn).double()
    same_names_and_shapes(ours, theirs)
    randomise(ours, rng)
    to_torch(ours, theirs, torch)
    for training in case.modes:
        ours.train(training)
        theirs.train(training)
        for shape in case.shapes:
            if training and isinstance(ours, nn.BatchNorm1d) and np.prod(shape) // shape[1] < 2:
                continue
            same_values_and_gradients(case, ours, theirs, shape, rng, torch)
    state_round_trip(case, ours, theirs, rng, torch)
    copies(case, ours, rng)
    dtypes(case, rng)


def inputs(case: Case, shape: tuple[int, ...], rng: np.random.Generator) -> list[np.ndarray]:
    if case.integers is not None:
        return [rng.integers(0, case.integers, shape)]
    return [rng.normal(size=shape) * 2 for _ in range(case.num_inputs)]


def randomise(module: nn.Module, rng: np.random.Generator) -> None:
    """Values that no default hides behind; variances stay positive."""
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.dtype.kind == "f":
            value = rng.normal(size=tensor.shape)
            tensor.assign(pl.Tensor(np.abs(value) + 0.5 if "var" in name else value))


def same_names_and_shapes(ours: nn.Module, theirs: Any) -> None:
    expected = [(name, tuple(t.shape)) for name, t in theirs.state_dict().items()]
    assert [(name, t.shape) for name, t in ours.state_dict().items()] == expected
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert [n for n, _ in ours.named_buffers()] == [n for n, _ in theirs.named_buffers()]
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in theirs.named_modules()]


def to_torch(ours: nn.Module, theirs: Any, torch: Any) -> None:
    theirs.load_state_dict({k: torch.from_numpy(v.numpy().copy()) for k, v in ours.state_dict().items()})


def close(ours: Any, theirs: Any, tolerance: float, what: str) -> None:
    a = np.zeros(theirs.shape) if ours is None else ours.numpy()
    b = theirs.detach().numpy()
    assert a.shape == b.shape, (what, a.shape, b.shape)
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=what)


def same_values_and_gradients(
    case: Case, ours: nn.Module, theirs: Any, shape: tuple[int, ...], rng: np.random.Generator, torch: Any
) -> None:
    arrays = inputs(case, shape, rng)
    floats = case.integers is None
    xs = [pl.Tensor(a, requires_grad=floats) for a in arrays]
    ts = [torch.tensor(a, requires_grad=floats) for a in arrays]
    y, t = ours(*xs), theirs(*ts)
    close(y, t, FORWARD, f"{case.name} {shape}: forward")
    for (name, buffer), (_, expected) in zip(ours.named_buffers(), theirs.named_buffers(), strict=True):
        close(buffer, expected, FORWARD, f"{case.name} {shape}: {name}")

    weight = rng.normal(size=tuple(t.shape))
    leaves = [*(xs if floats else []), *ours.parameters()]
    torch_leaves = [*(ts if floats else []), *theirs.parameters()]
    if not leaves:
        return
    g = pl.autograd.grad((y * weight).sum(), leaves, create_graph=True, allow_unused=True)
    h = torch.autograd.grad((t * torch.from_numpy(weight)).sum(), torch_leaves, create_graph=True, allow_unused=True)
    for n, (a, b) in enumerate(zip(g, h, strict=True)):
        if b is not None:
            close(a, b, case.gradient_tolerance, f"{case.name} {shape}: gradient {n}")
    if not case.second_order:
        return
    directions = [rng.normal(size=leaf.shape) for leaf in leaves]
    ours_dot = [(a * v).sum() for a, v in zip(g, directions, strict=True) if a is not None and a.requires_grad]
    theirs_dot = [
        (b * torch.from_numpy(v)).sum() for b, v in zip(h, directions, strict=True) if b is not None and b.requires_grad
    ]
    if not theirs_dot:
        return
    expected = torch.autograd.grad(sum(theirs_dot[1:], theirs_dot[0]), torch_leaves, allow_unused=True)
    if not ours_dot:  # a piecewise linear layer: there is no second derivative
        assert all(b is None or not b.any() for b in expected), case.name
        return
    second = pl.autograd.grad(sum(ours_dot[1:], ours_dot[0]), leaves, allow_unused=True)
    for n, (a, b) in enumerate(zip(second, expected, strict=True)):
        if b is not None:
            close(a, b, GRADIENT, f"{case.name} {shape}: second-order gradient {n}")


def state_round_trip(case: Case, ours: nn.Module, theirs: Any, rng: np.random.Generator, torch: Any) -> None:
    fresh = case.ours().double()
    result = fresh.load_state_dict(theirs.state_dict())
    assert result == ([], [])
    for (name, a), b in zip(fresh.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert np.array_equal(a.numpy(), b.numpy()), name
    # PyTorch's memory is not shared: training there does not change the weights here.
    before = {k: v.numpy().copy() for k, v in fresh.state_dict().items()}
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(1.0)
    assert all(np.array_equal(v.numpy(), before[k]) for k, v in fresh.state_dict().items())


def copies(case: Case, ours: nn.Module, rng: np.random.Generator) -> None:
    ours.eval()
    arrays = inputs(case, case.shapes[0], rng)
    expected = ours(*arrays).numpy()
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):  # noqa: S301
        assert not other.training
        assert repr(other) == repr(ours)
        assert np.array_equal(other(*arrays).numpy(), expected)
        for p in other.parameters():
            p.assign(p + 1.0)
        assert np.array_equal(ours(*arrays).numpy(), expected)


def dtypes(case: Case, rng: np.random.Generator) -> None:
    for dtype in (np.float32, np.float64):
        layer = case.ours().to(dtype)
        arrays = [a if case.integers is not None else a.astype(dtype) for a in inputs(case, case.shapes[0], rng)]
        y = layer(*map(pl.Tensor, arrays))
        assert y.dtype == dtype
        if y.requires_grad:
            y.sum().backward()
            assert all(p.grad is None or p.grad.dtype == dtype for p in layer.parameters())
