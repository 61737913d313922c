"""Pooling, padding, unfold and resampling layers against PyTorch's, in float64: values, gradients and second-order
gradients over sizes at the edge and every option."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.nn import functional as F
from tests.nn.layer_checks import Case, run_layer_test

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

LINES = ((2, 3, 9), (1, 3, 8), (0, 3, 9), (3, 7))
PLANES = ((2, 3, 7, 8), (1, 1, 8, 7), (0, 3, 7, 8), (3, 7, 8))
CUBES = ((2, 2, 5, 6, 5), (0, 2, 5, 6, 5), (2, 6, 5, 5))
SHAPES = {1: LINES, 2: PLANES, 3: CUBES}


def case(name: str, *args: Any, shapes: Any = None, **kw: Any) -> Case:
    """The layer of a name and arguments in both libraries."""
    axes = int(name[-2]) if name.endswith("d") and name[-2].isdigit() else 2
    words = ", ".join([*map(repr, args), *(f"{k}={v!r}" for k, v in kw.items())])
    return Case(
        f"{name}({words})",
        lambda: getattr(nn, name)(*args, **kw),
        lambda m: getattr(m, name)(*args, **kw),
        shapes=SHAPES[axes] if shapes is None else shapes,
        modes=(True,),
    )


POOLS: list[Case] = [
    case("MaxPool1d", 2),
    case("MaxPool1d", 3, 1, 1),
    case("MaxPool1d", 3, 2, padding=1, dilation=3),
    case("MaxPool1d", 4, 3, ceil_mode=True),
    case("MaxPool1d", 2, 5, 1, ceil_mode=True),
    case("MaxPool2d", 2),
    case("MaxPool2d", 3, 1, 1),
    case("MaxPool2d", (3, 2), (2, 3), (1, 0), (2, 3)),
    case("MaxPool2d", 3, 2, 1, ceil_mode=True),
    case("MaxPool2d", 2, 4, ceil_mode=True),
    case("MaxPool2d", (7, 8), shapes=((2, 3, 7, 8), (3, 7, 8))),
    case("MaxPool2d", 1, 3),
    case("MaxPool3d", 2),
    case("MaxPool3d", (2, 3, 2), (1, 2, 3), (1, 1, 0)),
    case("MaxPool3d", 2, 3, dilation=(1, 2, 1), ceil_mode=True),
    case("AvgPool1d", 2),
    case("AvgPool1d", 3, 2, 1),
    case("AvgPool1d", 3, 2, 1, ceil_mode=True, count_include_pad=False),
    case("AvgPool1d", [4], [3], [2], ceil_mode=True),
    case("AvgPool2d", 2),
    case("AvgPool2d", 3, 1, 1),
    case("AvgPool2d", (3, 2), (2, 3), (1, 0), count_include_pad=False),
    case("AvgPool2d", 3, 2, 1, ceil_mode=True),
    case("AvgPool2d", 3, 2, 1, True, False),
    case("AvgPool2d", 2, 4, ceil_mode=True, divisor_override=3),
    case("AvgPool2d", (7, 8), shapes=((2, 3, 7, 8), (3, 7, 8))),
    case("AvgPool3d", 2),
    case("AvgPool3d", (2, 3, 2), (1, 2, 3), (1, 1, 0), ceil_mode=True),
    case("AvgPool3d", 3, 2, 1, count_include_pad=False, divisor_override=-2),
    case("LPPool1d", 2, 3),
    case("LPPool1d", 1, 2, 3, ceil_mode=True),
    case("LPPool2d", 2, 2),
    case("LPPool2d", 4.0, (2, 3), (3, 2)),
    case("LPPool2d", 2, 3, 2, ceil_mode=True),
    case("LPPool3d", 2, 2),
]
ADAPTIVE = [
    case(f"Adaptive{kind}Pool{axes}d", size)
    for kind in ("Avg", "Max")
    for axes, sizes in (
        (1, (1, 3, 4, 7, 11)),
        (2, (1, 2, (3, 4), (None, 2), (7, 8), (5, None), (1, 8), (9, 3))),
        (3, (1, (2, 3, 4), (5, 1, None))),
    )
    for size in sizes
]
PADS = [
    case(f"{kind}Pad{axes}d", *((padding, 1.5) if kind == "Constant" else (padding,)))
    for kind in ("Zero", "Constant", "Reflection", "Replication", "Circular")
    for axes, paddings in (
        (1, (2, (3, 0), (0, 1), (-1, 2), (-2, -3))),
        (2, (1, (1, 2, 3, 0), (2, -1, -2, 3), (0, 0, 0, 0))),
        (3, (2, (1, 0, 0, 2, 3, 1))),
    )
    for padding in paddings
]
RESAMPLED = [
    case("Upsample", shapes=shapes, mode=mode, **size, **corners)
    for modes, shapes, sizes in (
        (
            ("nearest", "linear", "nearest-exact", "area"),
            ((2, 3, 5), (0, 2, 5), (1, 1, 1)),
            ({"scale_factor": 2}, {"size": 7}, {"scale_factor": 1.5}, {"size": (3,)}, {"size": 1}, {"size": 5}),
        ),
        (
            ("nearest", "bilinear", "bicubic", "nearest-exact", "area"),
            ((2, 3, 4, 6), (0, 2, 4, 6), (1, 1, 2, 3)),
            (
                {"scale_factor": 2},
                {"scale_factor": (3, 2.5)},
                {"size": (2, 9)},
                {"scale_factor": 0.6},
                {"scale_factor": (2.0, 1.1)},
                {"size": (8, 3)},
            ),
        ),
        (
            ("nearest", "trilinear", "nearest-exact", "area"),
            ((2, 2, 3, 4, 2),),
            ({"scale_factor": 2}, {"size": (2, 6, 5)}, {"scale_factor": (1.0, 1.7, 2.0)}),
        ),
    )
    for mode in modes
    for size in sizes
    for corners in (({}, {"align_corners": True}) if mode.endswith(("linear", "cubic")) else ({},))
]
OTHERS = [
    case("PixelShuffle", 2, shapes=((2, 8, 3, 4), (4, 2, 2), (2, 2, 12, 2, 3))),
    case("PixelShuffle", 1),
    case("PixelUnshuffle", 3, shapes=((2, 2, 6, 3), (4, 3, 6), (2, 2, 1, 9, 3))),
    case("Unfold", 2),
    case("Unfold", (3, 2), (1, 3), (2, 1), (2, 1)),
    case("Unfold", (7, 8), shapes=((2, 3, 7, 8), (3, 7, 8))),
    case("Fold", (4, 5), 2, shapes=((2, 12, 12), (0, 12, 12), (8, 12))),
    case("Fold", 5, (3, 2), (1, 3), (2, 1), (2, 1), shapes=((2, 12, 16), (6, 16))),
    case("Fold", (3, 4), (3, 4), shapes=((2, 24, 1),)),
]


@pytest.mark.parametrize("case", [*POOLS, *ADAPTIVE, *PADS, *OTHERS], ids=lambda case: case.name)
def test_layer(case: Case) -> None:
    run_layer_test(case, torch)


@pytest.mark.filterwarnings("ignore:The default behavior for interpolate")
@pytest.mark.filterwarnings("ignore:Default upsampling behavior")
@pytest.mark.parametrize("case", RESAMPLED, ids=lambda case: case.name)
def test_resampling_layer(case: Case) -> None:
    run_layer_test(case, torch)


def test_reprs_are_pytorchs() -> None:
    layers: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("MaxPool1d", (2,), {}),
        ("MaxPool2d", ((2, 3),), {}),
        ("MaxPool3d", (2, 1, 1), {"ceil_mode": True}),
        ("AvgPool1d", (2, 1), {}),
        ("AvgPool2d", ((2, 3),), {}),
        ("AvgPool3d", (2,), {}),
        ("LPPool2d", (2, 3), {}),
        ("AdaptiveAvgPool2d", ((None, 2),), {}),
        ("AdaptiveMaxPool1d", (3,), {}),
        ("MaxUnpool1d", (2,), {}),
        ("MaxUnpool2d", (2, 3, 1), {}),
        ("ZeroPad2d", (1,), {}),
        ("ConstantPad1d", (2, 3.5), {}),
        ("ReflectionPad2d", ((1, 2, 3, 4),), {}),
        ("CircularPad3d", (1,), {}),
        ("Upsample", (), {"scale_factor": 2}),
        ("Upsample", (), {"scale_factor": (2, 3)}),
        ("Upsample", ((4, 5),), {"mode": "bilinear"}),
        ("PixelShuffle", (2,), {}),
        ("PixelUnshuffle", (2,), {}),
        ("Unfold", (3,), {}),
        ("Fold", (3, 2), {"padding": (1, 0)}),
    ]
    for name, args, kw in layers:
        assert repr(getattr(nn, name)(*args, **kw)) == repr(getattr(torch.nn, name)(*args, **kw))


# Places of the largest elements: ties, infinities, NaN


def odd(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Many equal numbers, infinities and some NaN."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, shape).astype(float)
    x[rng.random(shape) < 0.2] = -np.inf
    x[rng.random(shape) < 0.05] = np.inf
    x[rng.random(shape) < 0.05] = np.nan
    return x


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_indices_of_max_pooling_are_pytorchs(axes: int, seed: int) -> None:
    shape = {1: (3, 2, 40), 2: (2, 2, 9, 10), 3: (2, 1, 6, 5, 7)}[axes]
    for x in (odd(shape, seed), np.full(shape, -np.inf), np.full(shape, np.nan)):
        for kernel, stride, padding, dilation, ceil_mode in itertools.product(
            (2, 3), (1, 2, 4), (0, 1), (1, 2), (False, True)
        ):
            options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
            y, places = getattr(F, f"max_pool{axes}d")(pl.Tensor(x), kernel, **options, return_indices=True)
            t, i = getattr(torch.nn.functional, f"max_pool{axes}d")(
                torch.tensor(x), kernel, **options, return_indices=True
            )
            assert places.dtype == np.int64
            np.testing.assert_array_equal(y.numpy(), t.numpy())
            np.testing.assert_array_equal(places.numpy(), i.numpy())


@pytest.mark.parametrize("size", [1, 3, 4, (2, 7), (9, 10)])
def test_indices_of_adaptive_max_pooling_are_pytorchs(size: Any) -> None:
    for seed in range(4):
        x = odd((2, 2, 9, 10), seed)
        y, places = F.adaptive_max_pool2d(pl.Tensor(x), size, return_indices=True)
        t, i = torch.nn.functional.adaptive_max_pool2d(torch.tensor(x), size, return_indices=True)
        np.testing.assert_array_equal(y.numpy(), t.numpy())
        np.testing.assert_array_equal(places.numpy(), i.numpy())


def test_gradients_of_ties_and_infinities_go_to_the_same_places() -> None:
    for seed in range(4):
        x = np.nan_to_num(odd((2, 2, 9, 10), seed), nan=7.0, posinf=np.inf, neginf=-np.inf)
        a, b = pl.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        weight = np.random.default_rng(seed).normal(size=(2, 2, 5, 5))
        y, t = F.max_pool2d(a, 3, 2, 1), torch.nn.functional.max_pool2d(b, 3, 2, 1)
        g = pl.autograd.grad(y, a, pl.Tensor(weight))
        (h,) = torch.autograd.grad(t, b, torch.tensor(weight))
        np.testing.assert_allclose(g.numpy(), h.numpy(), rtol=1e-12)


def test_lp_pooling_of_zeros_has_gradient_0_like_pytorchs() -> None:
    x = np.array([[[0.0, 0.0, 3.0, 4.0, 0.0, -2.0]]])
    a, b = pl.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, t = F.lp_pool1d(a, 2, 2), torch.nn.functional.lp_pool1d(b, 2, 2)
    np.testing.assert_allclose(y.numpy(), t.detach().numpy(), rtol=1e-14)
    np.testing.assert_allclose(
        pl.autograd.grad(y.sum(), a).numpy(), torch.autograd.grad(t.sum(), b)[0].numpy(), rtol=1e-14
    )


# Unpooling


@pytest.mark.parametrize(
    ("axes", "kernel", "stride", "padding", "shape", "output_size"),
    [
        (1, 2, None, 0, (2, 3, 8), None),
        (1, 3, 2, 1, (3, 9), None),
        (2, 2, None, 0, (2, 3, 6, 8), None),
        (2, (2, 3), (3, 3), (1, 1), (2, 3, 6, 7), None),
        (2, 2, 2, 0, (2, 3, 7, 9), (7, 9)),
        (2, 2, 2, 0, (2, 3, 7, 9), (2, 3, 7, 9)),
        (2, 3, 2, 0, (3, 7, 8), (7, 8)),
        (3, 2, None, 0, (1, 2, 4, 6, 4), None),
        (2, 2, None, 0, (0, 3, 6, 8), None),
    ],
)
def test_unpooling(axes: int, kernel: Any, stride: Any, padding: Any, shape: Any, output_size: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    _, i = getattr(torch.nn.functional, f"max_pool{axes}d")(
        torch.tensor(x), kernel, stride, padding, return_indices=True
    )
    values = rng.normal(size=tuple(i.shape))
    a, b = pl.Tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    ours = getattr(nn, f"MaxUnpool{axes}d")(kernel, stride, padding)
    theirs = getattr(torch.nn, f"MaxUnpool{axes}d")(kernel, stride, padding)
    y, t = ours(a, i.numpy(), output_size), theirs(b, i, output_size)
    assert y.shape == tuple(t.shape)
    if axes == 2 and stride == 2 and kernel == 3:
        return  # windows overlap: which of the values stays is left open by PyTorch
    np.testing.assert_array_equal(y.numpy(), t.detach().numpy())
    if not values.size:
        return
    weight = rng.normal(size=y.shape)
    g = pl.autograd.grad((y * y).sum() + (y * weight).sum(), a, create_graph=True)
    (h,) = torch.autograd.grad((t * t).sum() + (t * torch.tensor(weight)).sum(), b, create_graph=True)
    np.testing.assert_allclose(g.numpy(), h.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(
        pl.autograd.grad((g * g).sum(), a).numpy(), torch.autograd.grad((h * h).sum(), b)[0].numpy(), rtol=1e-12
    )


# Functions


WIDTHS = [((5,), (1, 2)), ((4, 5), (2, 1)), ((2, 3, 4, 5), (1, 2, 3, 0)), ((2, 4, 5), (1, -1, -2, 2))]
BORDERS = [
    ("constant", *WIDTHS[0]),
    *((m, *w) for m in ("constant", "reflect", "replicate", "circular") for w in WIDTHS[1:]),
]


@pytest.mark.parametrize(("mode", "shape", "widths"), BORDERS)
def test_pad(mode: str, shape: tuple[int, ...], widths: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).normal(size=shape)
    value = 2.5 if mode == "constant" else None
    t = torch.nn.functional.pad(torch.tensor(x), widths, mode, value)
    np.testing.assert_array_equal(F.pad(x, widths, mode, value).numpy(), t.numpy())


@pytest.mark.parametrize(("dtype", "plane"), [("float32", True), ("float64", True), ("float32", False)])
def test_nearest_neighbours_are_pytorchs_for_all_lengths(dtype: str, plane: bool) -> None:
    """PyTorch finds them by rounding in float32, which decides where a quotient is whole."""
    for n in range(1, 25):
        x = np.arange(n, dtype=dtype).reshape((1, 1, 1, n) if plane else (1, 1, n))
        for m in range(1, 50):
            for mode in ("nearest", "nearest-exact") if plane else ("nearest",):
                size = (1, m) if plane else (m,)
                t = torch.nn.functional.interpolate(torch.tensor(x), size, mode=mode)
                np.testing.assert_array_equal(F.interpolate(x, size, mode=mode).numpy(), t.numpy(), err_msg=f"{n} {m}")
        for f in (0.3, 0.5, 0.75, 1.1, 1.25, 1.3, 1.5, 1.7, 2.3, 3.0, 10 / 3):
            if int(n * f) == 0:
                continue
            factors = (1.0, f) if plane else (f,)
            t = torch.nn.functional.interpolate(torch.tensor(x), scale_factor=factors)
            y = F.interpolate(x, scale_factor=factors)
            np.testing.assert_array_equal(y.numpy(), t.numpy(), err_msg=f"{n} {f}")


def test_recompute_scale_factor() -> None:
    x = np.random.default_rng(2).normal(size=(1, 2, 5, 7))
    options = {"scale_factor": (1.5, 1.3), "mode": "bilinear", "recompute_scale_factor": True}
    t = torch.nn.functional.interpolate(torch.tensor(x), **options)
    np.testing.assert_allclose(F.interpolate(x, **options).numpy(), t.numpy(), rtol=1e-12, atol=1e-14)


def test_fold_is_the_transpose_of_unfold() -> None:
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=(2, 3, 6, 7)), rng.normal(size=(2, 18, 12))
    options = {"kernel_size": (3, 2), "stride": 2, "padding": 1}
    left = float((F.unfold(x, **options) * z).sum().item())
    right = float((F.fold(z, (6, 7), **options) * x).sum().item())
    assert left == pytest.approx(right, rel=1e-12)
