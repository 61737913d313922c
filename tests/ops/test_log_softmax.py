"""log_softmax by hand, at sizes where its parts would overflow or lose digits, and its gradients of both orders."""

import math
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.core.spec import Spec
from pellucid.errors import IndexRangeError
from pellucid.gradient_check import check_gradients
from pellucid.ops.log_softmax import LOG_SOFTMAX


def test_values_by_hand() -> None:
    y = pl.log_softmax(np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 3.0]]))
    np.testing.assert_allclose(y.numpy(), np.log([[1 / 8, 2 / 8, 5 / 8], [1 / 3] * 3]), rtol=1e-15)
    y = pl.log_softmax([[0, 0], [0, 1]], axis=0)
    assert y.dtype == np.float32
    assert y[:, 0].tolist() == pytest.approx([-math.log(2)] * 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1e4, -1e4, 1e30])
def test_a_common_offset_changes_nothing(dtype: Any, offset: float) -> None:
    row = np.array([0.0, 0.0]) if offset == 1e30 else np.array([0.0, 1.0])
    y = pl.log_softmax(row.astype(dtype) + dtype(offset))
    tail = math.log1p(math.exp(-(row[1] - row[0])))
    np.testing.assert_allclose(y.numpy(), [row[0] - row[1] - tail, -tail], rtol=1e-6 if dtype is np.float32 else 1e-12)


def test_excluded_classes_get_nothing() -> None:
    x = pl.Tensor([-np.inf, 0.0, 0.0], requires_grad=True)
    y = pl.log_softmax(x)
    assert y.tolist() == [-math.inf, pytest.approx(-math.log(2)), pytest.approx(-math.log(2))]
    y[1].backward()
    assert x.grad.tolist() == [0, 0.5, -0.5]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 1), (2, 3, 4)])
def test_shapes(shape: tuple[int, ...]) -> None:
    for axis in range(-len(shape), len(shape)):
        y = pl.log_softmax(np.zeros(shape), axis)
        assert y.shape == shape
        assert LOG_SOFTMAX.spec(Spec(shape, y.dtype), axis=axis % len(shape)) == Spec(shape, y.dtype)
        np.testing.assert_allclose(np.exp(y.numpy()), 1 / max(shape[axis], 1))
    with pytest.raises(IndexRangeError):
        pl.log_softmax(np.zeros(shape), len(shape))


def test_gradients_equal_differences() -> None:
    x, weight = np.random.default_rng(0).normal(size=(2, 3, 4))
    for axis in (0, 1):
        check_gradients(lambda x, a=axis: (pl.log_softmax(x, a) * weight).sum(), [x])


def test_second_derivatives_by_hand() -> None:
    x, weight = np.random.default_rng(0).normal(size=(2, 4))
    p = np.exp(x) / np.exp(x).sum()
    h = pl.autograd.hessian(lambda x: (pl.log_softmax(x) * weight).sum(), x)
    np.testing.assert_allclose(h.numpy(), -weight.sum() * (np.diag(p) - np.outer(p, p)), rtol=1e-12, atol=1e-15)


def test_cost_by_hand() -> None:
    # Two lines of three: 2 comparisons, 3 differences, 2 additions and 3 differences each; 3 exp and 1 log each.
    spec = Spec((2, 3), np.dtype(np.float32))
    assert LOG_SOFTMAX.cost([spec], spec, {"axis": 1}) == (0, 20, 8)
