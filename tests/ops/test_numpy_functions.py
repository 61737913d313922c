"""NumPy's functions called on Tensors run the operation of the same name, with its gradient; the others are refused."""

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.autograd import grad
from pellucid.errors import ArgumentTypeError, DTypeError, GradientError

A = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.exp(x),
        lambda x: np.add(A, x),
        lambda x: A + x,
        lambda x: A * x - x / A,
        lambda x: np.float64(2.0) * x,
        lambda x: np.abs(x),
        lambda x: np.maximum(x, 0.5),
        lambda x: np.matmul(x, A.T),
        lambda x: A.T @ x,
        lambda x: np.arctan2(x, A),
        lambda x: np.sum(x, axis=0),
        lambda x: np.sum(x, 0, np.float64),
        lambda x: np.sum(x, (0, 1), None, None, True),
        lambda x: np.mean(x, 1, keepdims=True),
        lambda x: np.var(x, axis=1, ddof=1),
        lambda x: np.std(x, 0),
        lambda x: np.max(x, axis=-1),
        lambda x: np.prod(x, axis=0),
        lambda x: np.cumsum(x, 1),
        lambda x: np.concatenate([x, A]),
        lambda x: np.concatenate((x, x), axis=1),
        lambda x: np.stack([x, x], -1),
        lambda x: np.split(x, 3, axis=1)[1],
        lambda x: np.where(x > 0, x, A),
        lambda x: np.clip(x, -1.5, None),
        lambda x: np.clip(x, a_min=0, a_max=2),
        lambda x: np.reshape(x, (3, 2)),
        lambda x: np.transpose(x),
        lambda x: np.swapaxes(x, 0, 1),
        lambda x: np.expand_dims(x, 1),
        lambda x: np.broadcast_to(x, (2, 2, 3)),
        lambda x: np.pad(x, ((0, 1), (2, 0)), constant_values=3),
        lambda x: np.pad(x, 1, mode="edge"),
        lambda x: np.tile(x, (2, 1)),
        lambda x: np.repeat(x, [1, 2], axis=0),
        lambda x: np.roll(x, 1, axis=1),
        lambda x: np.flip(x, 0),
        lambda x: np.dot(x, A.T),
        lambda x: np.dot(A.reshape(1, 2, 3), x.reshape(1, 3, 2)),
        lambda x: np.dot(2.0, x),
        lambda x: np.outer(x[0], A[1]),
        lambda x: np.tensordot(x, A, axes=([0], [0])),
        lambda x: np.einsum("ij,kj->ik", x, A),
        lambda x: np.trace(x, offset=1),
        lambda x: np.tril(x),
        lambda x: np.take(x, [2, 0], axis=1),
        lambda x: np.take_along_axis(x, np.array([[0], [2]]), axis=1),
        lambda x: np.sort(x, axis=0),
        lambda x: np.diff(x, n=1, axis=1),
        lambda x: np.linalg.norm(x),
        lambda x: np.linalg.norm(x, axis=1),
        lambda x: np.linalg.norm(x, 1, 1),
        lambda x: np.zeros_like(x) + x,
        lambda x: np.ravel(x),
        lambda x: np.copy(x),
    ],
)
def test_value_and_gradient(call: Any) -> None:
    x = pl.tensor(A, requires_grad=True)
    y = call(x)
    assert isinstance(y, pl.Tensor)
    wanted = call(A)
    np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-12)
    g = grad((y * y).sum(), x)
    h = np.zeros(A.shape)
    for place in np.ndindex(*A.shape):
        ends = []
        for sign in (1, -1):
            moved = A.copy()
            moved[place] += sign * 1e-6
            ends.append((np.asarray(call(moved)) ** 2).sum())
        h[place] = (ends[0] - ends[1]) / 2e-6
    np.testing.assert_allclose(g.numpy(), h, rtol=1e-5, atol=1e-6)


def test_questions_about_a_tensor() -> None:
    x = pl.tensor(A)
    assert np.shape(x) == (2, 3)
    assert (np.ndim(x), np.size(x)) == (2, 6)
    assert np.allclose(x, A)
    assert np.array_equal(x, A)
    assert not np.array_equal(x, A[0])
    assert np.isclose(x, A).tolist() == [[True] * 3] * 2
    assert [p.tolist() for p in np.nonzero(x > 2)] == [[0, 1], [2, 1]]
    assert [p.tolist() for p in np.where(x > 2)] == [[0, 1], [2, 1]]
    assert np.argmax(x) == 4
    assert np.result_type(x, np.float32) == np.float64
    assert not np.iscomplexobj(x)
    np.testing.assert_allclose(x, A)
    np.testing.assert_array_equal(x, A)


NO_COUNTERPART = """{} has no counterpart with a gradient
  given:    a pellucid Tensor
  expected: a NumPy array; tensor.numpy() gives one"""
FORM = """{0} is not taken in this form
  given:    {1}
  expected: {0} called without out=, where= or a method such as reduce"""
ARGUMENT = """{} of a Tensor does not take this argument
  given:    {}
  expected: one of {}"""


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: np.median(x), NO_COUNTERPART.format("numpy.median")),
        (lambda x: np.fft.fft(x), NO_COUNTERPART.format("numpy.fft.fft")),
        (lambda x: np.spacing(x), NO_COUNTERPART.format("numpy.spacing")),
        (lambda x: np.add.reduce(x), FORM.format("numpy.add", "numpy.add.reduce")),
        (lambda x: np.exp(x, out=np.zeros((2, 3))), FORM.format("numpy.exp", "out=")),
        (lambda x: np.mean(x, dtype="f8"), ARGUMENT.format("numpy.mean", "dtype = 'f8'", "axis, keepdims")),
        (lambda x: np.round(x, 2), ARGUMENT.format("numpy.round", "decimals = 2", "-")),
        (lambda x: np.linalg.norm(x, 2), ARGUMENT.format("numpy.linalg.norm", "ord = 2", "axis, keepdims")),
    ],
)
def test_refusals(call: Any, words: str) -> None:
    with pytest.raises(ArgumentTypeError) as problem:
        call(pl.tensor(A))
    assert "\n".join(str(problem.value).splitlines()[:-1]) == words


def test_a_tensor_without_a_gradient_can_be_added_to_an_array_in_place() -> None:
    array = A.copy()
    same = array
    array += pl.tensor(A)
    assert array is same
    assert np.array_equal(array, 2 * A)


def test_what_a_gradient_flows_through_cannot_go_into_an_array() -> None:
    array = A.copy()
    with pytest.raises(GradientError, match=r"numpy\.add: a NumPy array cannot hold what a gradient flows through"):
        array += pl.Tensor(A, requires_grad=True)
    with pytest.raises(DTypeError):
        np.ones((2, 3), np.int64).__iadd__(pl.tensor(A))
    assert np.array_equal(array, A)
