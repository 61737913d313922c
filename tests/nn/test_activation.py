"""Activations: values by hand, far out, and their arguments. test_layers_torch.py compares them with PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, ArgumentTypeError, PellucidError, ShapeError

E = math.e
HALF = 1 / (1 + math.exp(-0.5))


def normal_cdf(x: float) -> float:
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


# Layer, x, y, dy/dx: from the definitions, in Python's own floats.
BY_HAND = [
    (nn.ReLU(), -2.0, 0.0, 0.0),
    (nn.ReLU(), 2.0, 2.0, 1.0),
    (nn.ReLU(), 0.0, 0.0, 0.0),
    (nn.ReLU6(), 7.0, 6.0, 0.0),
    (nn.LeakyReLU(), -2.0, -0.02, 0.01),
    (nn.PReLU(), -2.0, -0.5, 0.25),
    (nn.RReLU().eval(), -48.0, -11.0, 11 / 48),
    (nn.ELU(2.0), -1.0, 2 * (1 / E - 1), 2 / E),
    (nn.SELU(), 2.0, 2 * 1.0507009873554805, 1.0507009873554805),
    (
        nn.SELU(),
        -1.0,
        1.0507009873554805 * 1.6732632423543772 * (1 / E - 1),
        1.0507009873554805 * 1.6732632423543772 / E,
    ),
    (nn.CELU(2.0), -2.0, 2 * (1 / E - 1), 1 / E),
    (nn.GELU(), 1.0, normal_cdf(1), normal_cdf(1) + math.exp(-0.5) / math.sqrt(2 * math.pi)),
    (nn.SiLU(), 0.5, 0.5 * HALF, HALF * (1 + 0.5 * (1 - HALF))),
    (nn.Mish(), 0.0, 0.0, 0.6),
    (nn.Mish(), 2.0, 2 * math.tanh(math.log(1 + E**2)), None),
    (nn.Mish(), -2.0, -2 * math.tanh(math.log(1 + E**-2)), None),
    (nn.Softplus(), 0.5, math.log(1 + math.exp(0.5)), HALF),
    (nn.Softplus(2.0, 3.0), 1.6, 1.6, 1.0),
    (nn.Softsign(), -3.0, -0.75, 1 / 16),
    (nn.Hardtanh(-2, 0.5), -3.0, -2.0, 0.0),
    (nn.Hardsigmoid(), 1.0, 4 / 6, 1 / 6),
    (nn.Hardsigmoid(), -3.0, 0.0, 0.0),
    (nn.Hardswish(), 1.0, 4 / 6, 1 / 3 + 0.5),
    (nn.Hardshrink(), 0.5, 0.0, 0.0),
    (nn.Hardshrink(), -0.6, -0.6, 1.0),
    (nn.Softshrink(), -2.0, -1.5, 1.0),
    (nn.Tanhshrink(), 1.0, 1 - math.tanh(1), math.tanh(1) ** 2),
    (nn.LogSigmoid(), 0.5, math.log(HALF), 1 - HALF),
    (nn.Threshold(1.0, 20.0), 0.5, 20.0, 0.0),
    (nn.Threshold(1.0, 20.0), 1.5, 1.5, 1.0),
    (nn.Sigmoid(), 0.5, HALF, HALF * (1 - HALF)),
    (nn.Tanh(), 1.0, math.tanh(1), 1 - math.tanh(1) ** 2),
]


@pytest.mark.parametrize(("layer", "x", "y", "slope"), BY_HAND, ids=str)
def test_values_by_hand(layer: nn.Module, x: float, y: float, slope: float | None) -> None:
    tensor = pl.Tensor([x], dtype="float64", requires_grad=True)
    out = layer.double()(tensor)
    assert out.item() == pytest.approx(y, rel=1e-14, abs=1e-15)
    if slope is not None:
        out.sum().backward()
        assert tensor.grad.item() == pytest.approx(slope, rel=1e-14, abs=1e-15)


def test_along_an_axis() -> None:
    x = pl.Tensor([[0.0, math.log(3.0)], [1e4, -1e4]], dtype="float64")
    np.testing.assert_allclose(nn.Softmax()(x).numpy(), [[0.25, 0.75], [1, 0]], rtol=1e-14)
    np.testing.assert_allclose(nn.Softmin()(x).numpy(), [[0.75, 0.25], [0, 1]], rtol=1e-14)
    np.testing.assert_allclose(nn.LogSoftmax()(x).numpy(), [np.log([0.25, 0.75]), [0, -2e4]], rtol=1e-14)
    np.testing.assert_allclose(nn.Softmax(0)(x).numpy(), [[0, 1], [1, 0]], atol=1e-14)
    assert nn.GLU()(pl.Tensor([[2.0, 0.0]])).tolist() == [[1.0]]
    assert nn.GLU(0)(pl.Tensor([[2.0], [0.0]])).tolist() == [[1.0]]


ALL = [
    nn.Sigmoid, nn.Tanh, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU,
    lambda: nn.GELU("tanh"), nn.SiLU, nn.Mish, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish,
    nn.Hardshrink, nn.Softshrink, nn.Tanhshrink, nn.LogSigmoid, lambda: nn.Threshold(0.0, 1.0), nn.Softmax,
    nn.LogSoftmax, nn.Softmin, nn.GLU,
]  # fmt: skip


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_input_overflows(make: Callable[[], nn.Module], dtype: str) -> None:
    x = pl.Tensor([[-1e4, -90.0, -1.0, 0.0, 1.0, 30.0, 90.0, 1e4]], dtype=dtype, requires_grad=True)
    y = make().to(dtype)(x)
    y.sum().backward()
    assert np.isfinite(y.numpy()).all()
    assert np.isfinite(x.grad.numpy()).all()
    assert y.dtype == dtype


@pytest.mark.parametrize("make", [m for m in ALL if m is not nn.RReLU])
def test_gradients_against_differences(make: Callable[[], nn.Module]) -> None:
    x = np.random.default_rng(3).normal(size=(3, 4)) * 1.5 + 0.01
    assert pl.check_gradients(make(), pl.Tensor(x)).num_checked > 0


def test_whole_numbers_become_floats_where_they_must() -> None:
    assert nn.Sigmoid()(pl.Tensor([0, 1])).dtype == np.float32
    assert nn.LeakyReLU()(pl.Tensor([-1, 1])).tolist() == pytest.approx([-0.01, 1.0])


def test_rrelu_draws_a_slope_for_each_element_in_training() -> None:
    pl.manual_seed(0)
    layer = nn.RReLU()
    y = layer(np.full((1000,), -1.0, np.float32)).numpy()
    assert len(set(y.tolist())) > 900
    assert -1 / 3 <= y.min() < y.max() <= -1 / 8
    assert abs(y.mean() + 11 / 48) < 0.005  # 2.6 standard deviations of the mean
    x = pl.Tensor([-1.0, 2.0], requires_grad=True)
    out = layer(x)
    out.sum().backward()
    assert x.grad.tolist() == [-out.numpy()[0], 1.0]
    pl.manual_seed(0)
    assert np.array_equal(layer(np.full((1000,), -1.0, np.float32)).numpy(), y)


def test_prelu_learns_one_slope_or_one_for_each_channel() -> None:
    layer = nn.PReLU(2)
    layer.weight.assign(pl.Tensor([0.5, 3.0]))
    y = layer(np.array([[[-1.0, 2.0], [-1.0, -2.0]]]))
    assert y.tolist() == [[[-0.5, 2.0], [-3.0, -6.0]]]
    y.sum().backward()
    assert layer.weight.grad.tolist() == [-1.0, -3.0]
    with pytest.raises(ShapeError) as caught:
        layer(np.ones((2, 3)))
    assert str(caught.value).split("\n")[:3] == [
        "PReLU: the number of slopes does not fit the channels",
        "  given:    input (2, 3): 3 channels; slopes (2,)",
        "  expected: 1 slope or 3",
    ]


CONSTRAINED = [
    (layer, name, bad)
    for layer in (
        nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.Softplus, nn.Hardtanh, nn.Hardshrink,
        nn.Softshrink, nn.Threshold, nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.GLU, nn.ReLU, nn.SiLU,
    )
    for name, constraint in layer.__init__.constraints.items()
    for bad in constraint.invalid()
]  # fmt: skip


@pytest.mark.parametrize(("layer", "name", "bad"), CONSTRAINED, ids=str)
def test_arguments_out_of_range_are_refused(layer: type, name: str, bad: object) -> None:
    needed = {"threshold": 0.0, "value": 0.0} if layer is nn.Threshold else {}
    with pytest.raises(PellucidError, match=f"{layer.__name__}: {name}"):
        layer(**{**needed, name: bad})


def test_arguments_that_do_not_fit_each_other() -> None:
    with pytest.raises(ArgumentError) as caught:
        nn.Hardtanh(1.0, -1.0)
    assert str(caught.value).split("\n")[:3] == [
        "Hardtanh: the bounds are in the wrong order",
        "  given:    min_val = 1.0, max_val = -1.0",
        "  expected: min_val < max_val",
    ]
    with pytest.raises(ArgumentError, match="RReLU: the bounds are in the wrong order"):
        nn.RReLU(0.5, 0.1)
    with pytest.raises(ShapeError) as caught_shape:
        nn.GLU()(np.ones((2, 3)))
    assert str(caught_shape.value).split("\n")[:3] == [
        "glu: the axis cannot be halved",
        "  given:    shape (2, 3), axis 1 of length 3",
        "  expected: an even length",
    ]
    with pytest.raises(ArgumentTypeError) as caught_type:
        nn.Softmax(dim=1)
    assert str(caught_type.value).split("\n")[:3] == [
        "Softmax has no argument dim",
        "  given:    dim",
        "  expected: one of axis",
    ]
