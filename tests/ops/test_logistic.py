"""The logistic loss of one number: exact on both sides, and its gradients of both orders."""

import math
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.gradient_check import check_gradients
from pellucid.ops.logistic import logistic_loss


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1.0, 20.0, 50.0])
def test_what_is_almost_right_keeps_its_digits(dtype: Any, size: float) -> None:
    x = pl.Tensor(np.array([size, -size], dtype), requires_grad=True)
    y = logistic_loss(x, [1.0, 0.0])
    np.testing.assert_allclose(y.numpy(), math.log1p(math.exp(-size)), rtol=3e-7)
    y.sum().backward()
    slope = math.exp(-size) / (1 + math.exp(-size))
    np.testing.assert_allclose(x.grad.numpy(), [-slope, slope], rtol=3e-7)


def test_values_by_hand() -> None:
    assert logistic_loss(0.0, 0.3).item() == pytest.approx(math.log(2))
    assert logistic_loss(1e4, 0.0).item() == 1e4
    assert logistic_loss(-1e4, 1.0).item() == 1e4
    # -t log p - (1 - t) log(1 - p)
    p, t = 0.8, 0.3
    by_hand = -t * math.log(p) - (1 - t) * math.log(1 - p)
    assert logistic_loss(np.log(p / (1 - p)), t).item() == pytest.approx(by_hand)


def test_gradients_equal_differences() -> None:
    x, t = np.random.default_rng(0).normal(size=(2, 5)), np.random.default_rng(1).uniform(size=(2, 5))
    check_gradients(lambda x, t: logistic_loss(x, t).sum(), [x, t])


def test_second_derivatives_by_hand() -> None:
    x = np.array([-50.0, -1.0, 0.0, 2.0, 50.0])
    h = pl.autograd.hessian(lambda x: logistic_loss(x, [0.0, 1.0, 0.3, 0.0, 1.0]).sum(), x)
    np.testing.assert_allclose(h.numpy(), np.diag(1 / (2 + np.exp(x) + np.exp(-x))), rtol=1e-12)
