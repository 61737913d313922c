"""Weight and spectral normalisation against PyTorch's, in float64: values, both gradients, buffers, state dicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from tests.nn.layer_checks import Case, run_layer_test

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def both(name: str, layer: str, args: tuple[Any, ...], shapes: Any, **options: Any) -> Case:
    theirs = {"dim" if k == "axis" else k: v for k, v in options.items()}
    if name == "weight_norm":
        theirs.pop("name", None)
    return Case(
        f"{name} {layer}{args} {options}",
        lambda: getattr(nn.parametrizations, name)(getattr(nn, layer)(*args), **options),
        lambda m: getattr(torch.nn.utils.parametrizations, name)(getattr(m, layer)(*args), **theirs),
        shapes=shapes,
        # The second derivative of PyTorch's fused weight_norm fails PyTorch's own gradgradcheck (2.13).
        second_order=name != "weight_norm",
    )


WIDE = ((5, 4), (1, 4), (0, 4), (2, 3, 4))
CASES = [
    both("weight_norm", "Linear", (4, 3), WIDE),
    both("weight_norm", "Linear", (4, 3, False), WIDE, axis=1),
    both("weight_norm", "Linear", (4, 3), WIDE, axis=None),
    both("spectral_norm", "Linear", (4, 3), WIDE),
    both("spectral_norm", "Linear", (4, 6, False), WIDE, axis=1, n_power_iterations=3),
    both("spectral_norm", "Linear", (4, 1), WIDE, eps=1e-3),
    both("weight_norm", "Conv2d", (2, 3, 2), ((2, 2, 4, 3),)),
    both("weight_norm", "Conv1d", (2, 3, 2), ((2, 2, 4),), axis=1),
    both("spectral_norm", "Conv2d", (2, 3, 2), ((2, 2, 4, 3),)),
    both("spectral_norm", "ConvTranspose2d", (2, 3, 2), ((2, 2, 4, 3),)),
    both("spectral_norm", "LayerNorm", (4,), ((2, 4),)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_layer(case: Case) -> None:
    run_layer_test(case, torch)


@pytest.mark.parametrize("axis", [0, 1, None])
def test_second_derivative_of_weight_norm_as_that_of_its_formula(axis: int | None) -> None:
    rng = np.random.default_rng(1)
    layer = nn.parametrizations.weight_norm(nn.Linear(4, 3), axis=axis).double()
    g, v = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
    tg, tv = (torch.tensor(p.numpy().copy(), requires_grad=True) for p in (g, v))
    length = tv.norm(2) if axis is None else tv.norm(2, dim=1 - axis, keepdim=True)
    weight, directions = rng.normal(size=(3, 4)), [rng.normal(size=p.shape) for p in (g, v)]
    first = pl.autograd.grad((layer.weight**2 * weight).sum(), [g, v], create_graph=True)
    expected = torch.autograd.grad(
        ((tv * (tg / length)) ** 2 * torch.tensor(weight)).sum(), (tg, tv), create_graph=True
    )
    ours = pl.autograd.grad(sum((a * d).sum() for a, d in zip(first, directions, strict=True)), [g, v])
    theirs = torch.autograd.grad(
        sum((a * torch.tensor(d)).sum() for a, d in zip(expected, directions, strict=True)), (tg, tv)
    )
    for a, b in zip([*first, *ours], [*expected, *theirs], strict=True):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_both_on_one_weight_as_in_pytorch() -> None:
    pl.manual_seed(0)
    ours = nn.parametrizations.spectral_norm(nn.parametrizations.weight_norm(nn.Linear(4, 3))).double()
    parametrizations = torch.nn.utils.parametrizations
    theirs = parametrizations.spectral_norm(parametrizations.weight_norm(torch.nn.Linear(4, 3))).double()
    theirs.load_state_dict({k: torch.from_numpy(v.numpy().copy()) for k, v in ours.state_dict().items()})
    x = np.random.default_rng(0).normal(size=(5, 4))
    for _ in range(3):
        y, t = ours(x), theirs(torch.tensor(x))
        np.testing.assert_allclose(y.numpy(), t.detach().numpy(), rtol=1e-10)
        y.sum().backward()
        t.sum().backward()
    for (name, p), (_, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)
