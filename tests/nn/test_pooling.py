"""Pooling, padding, unfold and resampling: values by hand, what is refused and in which words, and that recorded and
compiled calls give the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import graph, nn
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError, IndexRangeError, PellucidError, ShapeError
from pellucid.nn import functional as F

PLANE = np.array([[[1.0, 2.0, 0.0, 1.0], [4.0, 3.0, 7.0, 5.0], [0.0, 0.0, -1.0, -2.0]]])


def lines(error: Exception) -> list[str]:
    return [line for line in str(error).split("\n") if not line.startswith("  at: ")]


# Values by hand


def test_max_pooling_by_hand() -> None:
    x = pl.Tensor(PLANE, requires_grad=True)
    y, places = F.max_pool2d(x, 2, return_indices=True)
    assert y.tolist() == [[[4.0, 7.0]]]  # the last row makes no window
    assert places.tolist() == [[[4, 6]]]
    y.sum().backward()
    assert x.grad.tolist() == [[[0.0] * 4, [1.0, 0.0, 1.0, 0.0], [0.0] * 4]]
    assert F.max_pool2d(PLANE, 2, ceil_mode=True).tolist() == [[[4.0, 7.0], [0.0, -1.0]]]
    assert F.max_pool2d(PLANE, 3, 3, 1).tolist() == [[[4.0, 7.0]]]


def test_a_window_wholly_outside_is_not_made() -> None:
    # With a border of 1 the windows begin at -1 and 3; one at 7 would begin behind the input.
    assert F.max_pool1d([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]], 2, 4, 1, ceil_mode=True).tolist() == [[1.0, 5.0]]
    assert F.avg_pool1d([[1.0, 2.0, 3.0, 4.0]], 3, 3, ceil_mode=True).tolist() == [[2.0, 4.0]]


def test_of_equals_the_first_gets_the_gradient_and_nan_wins() -> None:
    x = pl.Tensor([[2.0, 2.0, 1.0, math.nan, -math.inf, -math.inf]], requires_grad=True)
    y, places = F.max_pool1d(x, 2, return_indices=True)
    assert places.tolist() == [[0, 3, 4]]
    assert y.tolist()[0][0] == 2.0
    assert math.isnan(y.tolist()[0][1])
    assert y.tolist()[0][2] == -math.inf
    assert pl.autograd.grad(y[:, ::2].sum(), x).tolist() == [[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]]


def test_max_pooling_of_whole_numbers() -> None:
    y = F.max_pool1d(pl.Tensor(np.array([[-128, -128, 5, -7]], np.int8)), 3, 1, 1)
    assert y.dtype == np.int8
    assert y.tolist() == [[-128, 5, 5, 5]]


def test_average_pooling_by_hand() -> None:
    assert F.avg_pool2d(PLANE, 2).tolist() == [[[2.5, 3.25]]]
    assert F.avg_pool2d(PLANE, 2, divisor_override=2).tolist() == [[[5.0, 6.5]]]
    assert F.avg_pool1d([[3.0, 6.0]], 2, padding=1).tolist() == [[1.5, 3.0]]
    assert F.avg_pool1d([[3.0, 6.0]], 2, padding=1, count_include_pad=False).tolist() == [[3.0, 6.0]]
    assert F.avg_pool1d(pl.Tensor([[1, 2, 4]]), 3).tolist() == [[pytest.approx(7 / 3, rel=1e-6)]]


def test_adaptive_pooling_by_hand() -> None:
    line = [[1.0, 2.0, 3.0, 4.0, 6.0]]
    assert F.adaptive_avg_pool1d(line, 2).tolist() == [[2.0, pytest.approx(13 / 3, rel=1e-6)]]  # 0 to 2 and 2 to 4
    assert F.adaptive_avg_pool1d(line, 1).tolist() == [[pytest.approx(3.2, rel=1e-6)]]
    y, places = F.adaptive_max_pool1d(line, 3, return_indices=True)  # 0 to 1, 1 to 3, 3 to 4
    assert y.tolist() == [[2.0, 4.0, 6.0]]
    assert places.tolist() == [[1, 3, 4]]


def test_unpooling_puts_back() -> None:
    y, places = F.max_pool2d(PLANE, 2, return_indices=True)
    assert F.max_unpool2d(y, places, 2, output_size=(3, 4)).tolist() == [[[0.0] * 4, [4.0, 0.0, 7.0, 0.0], [0.0] * 4]]


def test_padding_by_hand() -> None:
    line = [[1.0, 2.0, 3.0]]
    assert F.pad(line, (1, 2)).tolist() == [[0.0, 1.0, 2.0, 3.0, 0.0, 0.0]]
    assert F.pad(line, (1, 2), "constant", 9.0).tolist() == [[9.0, 1.0, 2.0, 3.0, 9.0, 9.0]]
    assert F.pad(line, (1, 2), "reflect").tolist() == [[2.0, 1.0, 2.0, 3.0, 2.0, 1.0]]
    assert F.pad(line, (1, 2), "replicate").tolist() == [[1.0, 1.0, 2.0, 3.0, 3.0, 3.0]]
    assert F.pad(line, (1, 2), "circular").tolist() == [[3.0, 1.0, 2.0, 3.0, 1.0, 2.0]]
    assert F.pad(line, (-1, 1)).tolist() == [[2.0, 3.0, 0.0]]
    assert F.pad(line, ()).tolist() == line


def test_resampling_by_hand() -> None:
    line = [[[1.0, 3.0]]]
    assert F.interpolate(line, 4).tolist() == [[[1.0, 1.0, 3.0, 3.0]]]
    assert F.interpolate(line, 3, mode="linear", align_corners=True).tolist() == [[[1.0, 2.0, 3.0]]]
    assert F.interpolate(line, 4, mode="linear").tolist() == [[[1.0, 1.5, 2.5, 3.0]]]
    assert F.interpolate([[[1.0, 3.0, 5.0, 9.0]]], scale_factor=0.5).tolist() == [[[1.0, 5.0]]]
    assert F.interpolate([[[1.0, 3.0, 5.0, 9.0]]], 2, mode="area").tolist() == [[[2.0, 7.0]]]
    # Cubic weights at the distances 1.75, 0.75, 0.25 and 1.25 by Keys' formula with the slope -3/4.
    impulses = np.eye(6).reshape(1, 6, 1, 6)
    weights = F.interpolate(impulses, (1, 12), mode="bicubic").numpy()[0, :, 0, 4]
    np.testing.assert_allclose(weights, [-0.03515625, 0.26171875, 0.87890625, -0.10546875, 0.0, 0.0], rtol=1e-12)


def test_upsampling_infinities_copies_them() -> None:
    assert F.interpolate([[[math.inf, 1.0]]], scale_factor=2).tolist() == [[[math.inf, math.inf, 1.0, 1.0]]]


def test_shuffling_and_unfolding_without_samples() -> None:
    assert F.pixel_shuffle(np.zeros((0, 4, 1, 2)), 2).shape == (0, 1, 2, 4)
    assert F.pixel_unshuffle(np.zeros((0, 1, 2, 4)), 2).shape == (0, 4, 1, 2)
    assert F.unfold(np.zeros((0, 2, 3, 3)), 2).shape == (0, 8, 4)
    assert F.fold(np.zeros((0, 8, 4)), 3, 2).shape == (0, 2, 3, 3)


def test_a_weight_in_front_of_pooling_is_drawn_for_the_activation_behind_it() -> None:
    pl.manual_seed(0)
    one = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    pl.manual_seed(0)
    other = nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.ReLU())
    assert np.array_equal(one[0].weight.numpy(), other[0].weight.numpy())


# What is refused

X = np.zeros((2, 3, 5, 6))
REFUSED: list[tuple[type[PellucidError], Any, list[str]]] = [
    (ArgumentError, lambda: F.max_pool2d(X, 3, padding=2), [
        "max_pool2d: the border is wider than half a window",
        "  given:    padding (2, 2), windows that reach over (3, 3)",
        "  expected: padding of at most (1, 1)"]),
    (ArgumentError, lambda: nn.AvgPool1d(2, padding=2), [
        "AvgPool1d: the border is wider than half a window",
        "  given:    padding (2,), windows that reach over (2,)",
        "  expected: padding of at most (1,)"]),
    (ShapeError, lambda: F.max_pool2d(np.zeros((2, 3)), 2), [
        "max_pool2d: the input has another number of axes",
        "  given:    shape (2, 3)",
        "  expected: (N, C, H, W) / (C, H, W)"]),
    (ShapeError, lambda: F.avg_pool1d(np.zeros((2, 3, 0)), 2), [
        "avg_pool1d: there is nothing to pool",
        "  given:    shape (2, 3, 0): last axes (0,)",
        "  expected: last axes of at least 1; the batch may be empty"]),
    (ShapeError, lambda: F.max_pool2d(X, (6, 2), 1), [
        "max_pool: not even one window fits",
        "  given:    axis -2 of length 5, padding 0, a window that reaches over 6",
        "  expected: a length of at least 6 with the padding of both sides"]),
    (ShapeError, lambda: F.avg_pool2d(X, 7), [
        "avg_pool2d: not even one window fits",
        "  given:    axis -2 of length 5, padding 0, a window that reaches over 7",
        "  expected: a length of at least 7 with the padding of both sides"]),
    (ShapeError, lambda: F.max_pool1d(np.zeros((1, 1)), 2, 1, 2, 3), [
        "max_pool: a window lies in the border alone",
        "  given:    axis -1 of length 1, padding 2, kernel size 2, dilation 3",
        "  expected: at least one element of the input in every window"]),
    (ArgumentError, lambda: nn.AvgPool2d(2, divisor_override=0), [
        "AvgPool2d: divisor_override is 0",
        "  given:    divisor_override = 0",
        "  expected: a whole number other than 0, or None"]),
    (ShapeError, lambda: F.max_unpool1d(np.zeros((1, 3)), np.zeros((1, 2), int), 2), [
        "max_unpool1d: the input and the indices differ in shape",
        "  given:    input (1, 3), indices (1, 2)",
        "  expected: one shape: both results of max pooling with return_indices=True"]),
    (ShapeError, lambda: F.max_unpool1d(np.zeros((1, 3)), np.zeros((1, 3), int), 2, output_size=(8,)), [
        "max_unpool1d: no pooling leads from this output size to the input",
        "  given:    input (1, 3), output size (8,)",
        "  expected: last axes from (5,) to (7,)"]),
    (IndexRangeError, lambda: F.max_unpool1d(np.zeros((1, 3)), np.full((1, 3), 6), 2), [
        "max_unpool1d: an index lies outside the output",
        "  given:    index 6, planes of (6,)",
        "  expected: 0 to 5"]),
    (DTypeError, lambda: F.max_unpool1d(np.zeros((1, 3)), np.zeros((1, 3)), 2), [
        "max_unpool1d: indices are whole numbers",
        "  given:    indices of dtype float64",
        "  expected: an integer dtype",
        "  fix:      .astype(int)"]),
    (ArgumentTypeError, lambda: F.pad(X, (1, 2, 3)), [
        "pad: these are no border widths",
        "  given:    padding (1, 2, 3) for shape (2, 3, 5, 6)",
        "  expected: pairs of whole numbers, the last axis first (left, right, top, bottom, ...), for up to 4 axes"]),
    (ShapeError, lambda: nn.ReflectionPad1d(1)(X), [
        "pad: the input has another number of axes",
        "  given:    shape (2, 3, 5, 6), borders on the last 1 axes",
        "  expected: 2 or 3 axes: the channels, and the samples or not"]),
    (ShapeError, lambda: F.pad(X, (-3, -3)), [
        "pad: more is cut off than there is",
        "  given:    axis 3 of length 6, padding -3 and -3",
        "  expected: at least one element left on each axis"]),
    (ShapeError, lambda: F.pad(X, (6, 0, 0, 0), "reflect"), [
        "pad: the border takes more than there is",
        "  given:    mode 'reflect', width 6 on axis 3 of length 6",
        "  expected: a width of at most 5"]),
    (ShapeError, lambda: F.pad(X, (0, 7, 0, 0), "circular"), [
        "pad: the border takes more than there is",
        "  given:    mode 'circular', width 7 on axis 3 of length 6",
        "  expected: a width of at most 6"]),
    (ArgumentError, lambda: F.pad(X, (1, 1, 1, 1), "reflect", 2.0), [
        "pad: a value is only taken with constant borders",
        "  given:    mode 'reflect', value 2.0",
        "  expected: value None, or mode 'constant'"]),
    (ShapeError, lambda: F.pixel_shuffle(X, 2), [
        "pixel_shuffle: the axis cannot be cut by the factor",
        "  given:    shape (2, 3, 5, 6), axis 1 of length 3",
        "  expected: a length that 4 divides"]),
    (ShapeError, lambda: F.pixel_unshuffle(X, 2), [
        "pixel_unshuffle: the axis cannot be cut by the factor",
        "  given:    shape (2, 3, 5, 6), axis 2 of length 5",
        "  expected: a length that 2 divides"]),
    (ShapeError, lambda: F.pixel_shuffle(np.zeros((4, 4)), 2), [
        "pixel_shuffle: the input has too few axes",
        "  given:    shape (4, 4)",
        "  expected: (..., C, H, W)"]),
    (ArgumentError, lambda: F.interpolate(X), [
        "interpolate: takes either a size or a scale factor",
        "  given:    size = None, scale_factor = None",
        "  expected: one of the two"]),
    (ArgumentError, lambda: F.interpolate(X, scale_factor=(1.0, -2.0)), [
        "interpolate: this is no scale factor",
        "  given:    scale_factor = (1.0, -2.0) for 2 axes",
        "  expected: a number above 0, or one for each axis behind the channels"]),
    (ShapeError, lambda: F.interpolate(X, scale_factor=0.1), [
        "interpolate: nothing would be left",
        "  given:    shape (2, 3, 5, 6), output size (0, 0)",
        "  expected: lengths of at least 1 behind the channels, before and after"]),
    (ShapeError, lambda: F.interpolate(X, 3, mode="linear"), [
        "interpolate: this mode is for another number of axes",
        "  given:    shape (2, 3, 5, 6), mode 'linear'",
        "  expected: (N, C, L)"]),
    (ArgumentError, lambda: F.interpolate(X, 3, align_corners=True), [
        "interpolate: this mode has no corners to align",
        "  given:    mode 'nearest', align_corners = True",
        "  expected: align_corners None; it goes with linear, bilinear, trilinear and bicubic"]),
    (ArgumentError, lambda: F.interpolate(X, 3, mode="bilinear", antialias=True), [
        "interpolate: antialiasing is not offered",
        "  given:    antialias = True",
        "  expected: antialias False; blur before, with avg_pool2d"]),
    (ArgumentError, lambda: F.interpolate(X, 3, recompute_scale_factor=True), [
        "interpolate: without a scale factor there is none to recompute",
        "  given:    size and recompute_scale_factor = True",
        "  expected: recompute_scale_factor None or False, or a scale_factor"]),
    (ShapeError, lambda: F.fold(np.zeros((2, 8, 5)), 3, 2), [
        "fold: the input does not hold the blocks of such an output",
        "  given:    shape (2, 8, 5), output size (3, 3), kernel size (2, 2)",
        "  expected: (N, C·4, 4) or (C·4, 4)"]),
    (ShapeError, lambda: F.unfold(X, 7), [
        "unfold: not even one window fits",
        "  given:    axis -2 of length 5, padding 0, a window that reaches over 7",
        "  expected: a length of at least 7 with the padding of both sides"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "call", "words"), REFUSED, ids=lambda v: v[0][:40] if isinstance(v, list) else "")
def test_refused(kind: type[PellucidError], call: Any, words: list[str]) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert lines(caught.value) == words


@pytest.mark.parametrize(
    "call",
    [
        lambda: nn.MaxPool2d(0),
        lambda: nn.MaxPool2d(2, 0),
        lambda: nn.MaxPool2d((2, 2, 2)),
        lambda: nn.MaxPool2d(2.5),
        lambda: nn.MaxPool2d(2, dilation=0),
        lambda: nn.MaxPool2d(2, padding=-1),
        lambda: nn.MaxPool2d(2, ceil_mode=3),
        lambda: nn.AvgPool2d("2"),
        lambda: nn.AvgPool2d(2, divisor_override=1.5),
        lambda: nn.AdaptiveAvgPool2d(0),
        lambda: nn.AdaptiveMaxPool2d((1, 2, 3)),
        lambda: nn.LPPool2d(0, 2),
        lambda: nn.MaxUnpool2d(2, padding=-1),
        lambda: nn.ZeroPad2d((1, 2)),
        lambda: nn.ZeroPad2d(1.5),
        lambda: nn.ConstantPad1d(1, "x"),
        lambda: nn.Upsample(),
        lambda: nn.Upsample(2, 2),
        lambda: nn.Upsample(2, mode="cubic"),
        lambda: nn.Upsample(scale_factor="2"),
        lambda: nn.PixelShuffle(0),
        lambda: nn.Unfold(0),
        lambda: nn.Fold(2, 0),
        lambda: F.pad(X, 1),
        lambda: F.pad(X, (1,) * 10),
        lambda: F.pad(X, (1, 1), "mirror"),
        lambda: F.max_pool2d(X, 2, return_indices=2),
    ],
)
def test_wrong_arguments_are_refused_in_words(call: Any) -> None:
    with pytest.raises((ArgumentError, ArgumentTypeError)):
        call()


# Recorded and compiled


class Unpooled(nn.Module):
    def forward(self, x: pl.Tensor) -> pl.Tensor:
        y, places = F.max_pool2d(x, 2, return_indices=True)
        return F.max_unpool2d(y * 2.0, places, 2)


class Folded(nn.Module):
    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return F.fold(F.unfold(x, 3, stride=2, padding=1), 8, 3, stride=2, padding=1)


LAYERS = [
    nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    nn.LPPool2d(2, 2),
    nn.AdaptiveAvgPool2d((3, 1)),
    nn.AdaptiveMaxPool2d((3, 4)),
    nn.ReflectionPad2d((1, 2, 3, -1)),
    nn.ReplicationPad2d(2),
    nn.CircularPad2d(2),
    nn.Upsample(scale_factor=1.7),
    nn.Upsample(scale_factor=2),
    nn.Upsample(scale_factor=1.7, mode="bicubic"),
    nn.PixelShuffle(2),
    nn.PixelUnshuffle(2),
    Unpooled(),
    Folded(),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: repr(layer)[:40])
def test_recorded_for_any_batch_and_compiled(layer: nn.Module) -> None:
    rng = np.random.default_rng(0)
    batched = graph.record_batched(layer, rng.normal(size=(2, 4, 8, 8)))
    step = pl.compile(lambda x, g: pl.autograd.vjp(layer, x, g))
    for rows in (5, 1):
        x = rng.normal(size=(rows, 4, 8, 8))
        y = layer(x)
        np.testing.assert_allclose(graph.run(batched, x).outputs, y.numpy(), rtol=1e-12)
        g = rng.normal(size=y.shape)
        leaf = pl.Tensor(x, requires_grad=True)
        expected = pl.autograd.grad(layer(leaf), leaf, pl.Tensor(g))
        found = _gradient(step(pl.Tensor(x), pl.Tensor(g)))
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-10, atol=1e-12)


def _gradient(result: Any) -> np.ndarray:
    """The second of value and gradient."""
    return result[1].numpy()
