"""Values, gradients and gradients of gradients in float64 against PyTorch, over the cases of `torch_cases`, with edges:
empty and 1-sized axes, negative axes, ties, zeros in products, broadcasting both ways, all rank rules of matmul.
"""

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.autograd import grad

torch = pytest.importorskip("torch")
from tests.ops.torch_cases import CASES, Case  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_value_and_gradients(case: Case) -> None:
    ours = [pl.tensor(x, requires_grad=True) for x in case.inputs]
    theirs = [torch.tensor(x, requires_grad=True) for x in case.inputs]
    with np.errstate(all="ignore"):
        y = case.ours(*ours)
        z = case.theirs(*theirs)
        assert y.dtype == np.float64
        assert y.shape == tuple(z.shape)
        np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-12, atol=1e-14)
        v = np.random.default_rng(1).uniform(0.5, 1.5, y.shape)
        found = grad(y, ours, v, create_graph=case.second, allow_unused=True)
        wanted = torch.autograd.grad(z, theirs, torch.tensor(v), create_graph=case.second, allow_unused=True)
        compared(ours, found, wanted)
        if not case.second:
            return
        h = sum(((g * g).sum() for g in found if g is not None), start=pl.zeros((), "float64"))
        k = sum(((g * g).sum() for g in wanted if g is not None), start=torch.zeros(()))
        if not h.requires_grad:
            assert not k.requires_grad or all(
                not g.any() for g in torch.autograd.grad(k, theirs, allow_unused=True) if g is not None
            )
            return
        compared(ours, grad(h, ours, allow_unused=True), torch.autograd.grad(k, theirs, allow_unused=True))


def compared(ours: list[Any], found: Any, wanted: Any) -> None:
    for x, g, w in zip(ours, found, wanted, strict=True):
        g = np.zeros(x.shape) if g is None else g.numpy()
        w = np.zeros(x.shape) if w is None else w.detach().numpy(force=True)
        np.testing.assert_allclose(g, w, rtol=1e-10, atol=1e-12)


def test_logsumexp_of_nothing_but_minus_infinity_has_the_gradient_0() -> None:
    x = pl.tensor([[-np.inf, -np.inf]], dtype="float64", requires_grad=True)
    y = pl.logsumexp(x, 1)
    assert y.tolist() == [-np.inf]
    assert grad(y, x).tolist() == [[0.0, 0.0]]  # PyTorch has NaN here


@pytest.mark.parametrize("largest", [True, False])
def test_topk_with_nan_and_ties(largest: bool) -> None:
    x = np.array([[1.0, np.nan, 3.0, 3.0, -np.inf], [2.0, 2.0, 2.0, 2.0, 2.0]])
    values, indices = pl.topk(x, 3, largest=largest)
    np.testing.assert_array_equal(values.numpy(), torch.topk(torch.tensor(x), 3, largest=largest)[0].numpy())
    np.testing.assert_array_equal(np.take_along_axis(x, indices.numpy(), 1), values.numpy())


@pytest.mark.parametrize("descending", [True, False])
def test_argsort_is_stable_and_puts_nan_where_torch_does(descending: bool) -> None:
    x = np.array([3.0, 1.0, np.nan, 3.0, 1.0, np.inf, np.nan])
    wanted = torch.argsort(torch.tensor(x), descending=descending, stable=True)
    assert pl.argsort(x, descending=descending).tolist() == wanted.tolist()
