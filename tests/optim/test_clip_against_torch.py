"""Clipping of gradients against PyTorch."""

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import optim

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

SHAPES = [(4, 3), (), (1,), (2, 0), (5,)]


def both(dtype: Any, size: float) -> tuple[list[pl.Tensor], list[Any]]:
    rng = np.random.default_rng(3)
    ours, theirs = [], []
    for shape in SHAPES:
        g = np.asarray(rng.normal(size=shape) * size, dtype)
        p = pl.Tensor(np.zeros(shape, dtype), requires_grad=True)
        q = torch.zeros(shape, dtype=getattr(torch, np.dtype(dtype).name), requires_grad=True)
        p.grad, q.grad = pl.Tensor(g.copy()), torch.tensor(g)
        ours.append(p)
        theirs.append(q)
    return ours, theirs


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", [1.0, 2.0, 3.5, 0.5, "inf"])
@pytest.mark.parametrize("max_norm", [0.0, 0.3, 5.0, 1e9])
def test_norm(dtype: Any, order: Any, max_norm: float) -> None:
    ours, theirs = both(dtype, 2.0)
    exact = 1e-12 if dtype is np.float64 else 1e-5
    norm = optim.clip_grad_norm_(ours, max_norm, order)
    if order == "inf":  # PyTorch has no largest element of an empty gradient
        theirs = [q for q in theirs if q.numel()]
        ours = [p for p in ours if p.size]
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, float(order))
    assert norm.item() == pytest.approx(expected.item(), rel=exact)
    for p, q in zip(ours, theirs, strict=True):
        assert p.grad is not None
        assert p.grad.numpy() == pytest.approx(q.grad.numpy(), rel=exact, abs=exact)


@pytest.mark.parametrize("value", [0.0, 0.5, 100.0])
def test_value(value: float) -> None:
    ours, theirs = both(np.float64, 2.0)
    optim.clip_grad_value_(ours, value)
    torch.nn.utils.clip_grad_value_(theirs, value)
    for p, q in zip(ours, theirs, strict=True):
        assert p.grad is not None
        assert p.grad.numpy() == pytest.approx(q.grad.numpy(), abs=0)
