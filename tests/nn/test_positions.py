"""Positions: waves, learned vectors and rotations against formulas of their own, and what is refused."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from pellucid.nn import functional as F


def lines(error: Exception) -> list[str]:
    return [line for line in str(error).split("\n") if not line.startswith("  at: ")]


@pytest.mark.parametrize("features", [1, 2, 5, 8])
@pytest.mark.parametrize("base", [10000.0, 50.0])
def test_waves(features: int, base: float) -> None:
    expected = [
        [(math.sin if f % 2 == 0 else math.cos)(p / base ** ((f - f % 2) / features)) for f in range(features)]
        for p in range(7)
    ]
    layer = nn.SinusoidalPositionalEncoding(features, base=base)
    x = np.random.default_rng(0).normal(size=(7, features))
    np.testing.assert_allclose(layer(pl.Tensor(x)).numpy(), x + expected, rtol=1e-12, atol=1e-12)


def test_waves_of_far_positions_have_no_rounding_of_float32() -> None:
    layer = nn.SinusoidalPositionalEncoding(2)
    y = layer(np.zeros((20_000, 2), np.float32)).numpy()
    assert y.dtype == np.float32
    for p in (4_097, 19_999):
        np.testing.assert_allclose(y[p], [math.sin(p), math.cos(p)], rtol=1e-6)


@pytest.mark.parametrize("kind", ["waves", "learned"])
def test_both_forms_of_a_batch_and_a_single_sequence(kind: str) -> None:
    def made(**options: Any) -> nn.Module:
        pl.manual_seed(0)
        if kind == "waves":
            return nn.SinusoidalPositionalEncoding(4, **options)
        return nn.LearnedPositionalEncoding(4, max_len=6, **options)

    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    first = made(batch_first=True)(x).numpy()
    np.testing.assert_array_equal(made()(x.swapaxes(0, 1)).numpy().swapaxes(0, 1), first)
    for options in ({}, {"batch_first": True}):
        np.testing.assert_array_equal(made(**options)(x[1]).numpy(), first[1])
    assert made(batch_first=True)(x[:0]).shape == (0, 5, 4)
    assert made(batch_first=True)(x[:, :1]).shape == (2, 1, 4)


def test_learned_vectors() -> None:
    pl.manual_seed(0)
    layer = nn.LearnedPositionalEncoding(64, max_len=500, batch_first=True)
    assert layer.weight.shape == (500, 64)
    assert abs(layer.weight.numpy().std() - 0.02) < 0.0005
    x = np.zeros((3, 2, 64), np.float32)
    y = layer(x)
    np.testing.assert_array_equal(y.numpy(), np.broadcast_to(layer.weight.numpy()[:2], x.shape))
    y.sum().backward()
    assert layer.weight.grad.numpy()[:3, 0].tolist() == [3.0, 3.0, 0.0]
    pl.check_gradients(nn.LearnedPositionalEncoding(3, 4), np.random.default_rng(0).normal(size=(3, 2, 3)))


def test_dropout_is_of_the_sum_and_for_training() -> None:
    pl.manual_seed(0)
    layer = nn.SinusoidalPositionalEncoding(4, dropout=0.25, batch_first=True)
    x = np.full((500, 5, 4), 3.0, np.float32)
    kept = layer(x).numpy() != 0
    assert abs(kept.mean() - 0.75) < 5 * math.sqrt(0.25 * 0.75 / x.size)
    assert (layer.eval()(x).numpy() != 0).all()


def turned(x: np.ndarray, positions: np.ndarray, base: float, layout: str) -> np.ndarray:
    """Each pair as a complex number times exp(i·p·θ), one by one."""
    y, features = np.empty_like(x), x.shape[-1]
    at = np.broadcast_to(positions, x.shape[:-1])
    for place in np.ndindex(*x.shape[:-1]):
        for j in range(features // 2):
            a, b = (j, j + features // 2) if layout == "half" else (2 * j, 2 * j + 1)
            z = complex(x[(*place, a)], x[(*place, b)]) * cmath.exp(1j * float(at[place]) * base ** (-2 * j / features))
            y[(*place, a)], y[(*place, b)] = z.real, z.imag
    return y


@pytest.mark.parametrize("layout", ["half", "interleaved"])
@pytest.mark.parametrize("base", [10000.0, 7.0])
def test_rotations_by_complex_numbers(layout: str, base: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 5, 6))
    for positions in (
        None,
        [3, 1, 4, 1, 5],
        np.array(2),
        rng.integers(0, 50, (2, 1, 5)),
        rng.normal(size=(2, 3, 5)),
        np.arange(5, dtype=np.int32),
    ):
        expected = turned(x, np.arange(5) if positions is None else np.asarray(positions), base, layout)
        found = F.rotary(x, positions, base, layout)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-12)
        layer = nn.RotaryEmbedding(6, base, layout)
        np.testing.assert_array_equal(layer(pl.Tensor(x), positions).numpy(), found.numpy())


@pytest.mark.parametrize("layout", ["half", "interleaved"])
def test_products_of_turned_features_depend_on_the_distance_alone(layout: str) -> None:
    rng = np.random.default_rng(1)
    q, k = rng.normal(size=(2, 1, 8))
    products = [
        float((F.rotary(q, [m], layout=layout) * F.rotary(k, [n], layout=layout)).sum())
        for m, n in ((3, 1), (103, 101), (2, 0))
    ]
    np.testing.assert_allclose(products, products[0], rtol=1e-10)
    other = float((F.rotary(q, [3], layout=layout) * F.rotary(k, [2], layout=layout)).sum())
    assert abs(other - products[0]) > 1e-3


def test_the_two_layouts_are_one_rotation_of_features_in_another_order() -> None:
    x = np.random.default_rng(2).normal(size=(5, 6))
    order = np.array([0, 2, 4, 1, 3, 5])
    half = F.rotary(x[:, order], layout="half").numpy()
    np.testing.assert_allclose(half, F.rotary(x, layout="interleaved").numpy()[:, order], rtol=1e-14)
    assert (half != F.rotary(x[:, order], layout="interleaved").numpy()).any()


@pytest.mark.parametrize("layout", ["half", "interleaved"])
def test_gradients_by_differences(layout: str) -> None:
    x = np.random.default_rng(3).normal(size=(2, 3, 4))
    pl.check_gradients(lambda x: F.rotary(x, layout=layout), x)
    pl.check_gradients(lambda p: F.rotary(x, p, layout=layout), np.array([0.3, 1.7, -2.0]))


def test_rotations_of_far_positions_have_no_rounding_of_float32() -> None:
    x = np.tile(np.float32([1.0, 0.0]), (1, 1))
    for p in (19_999, 1_000_003):
        y = F.rotary(x, [p])
        assert y.dtype == np.float32
        np.testing.assert_allclose(y.numpy()[0], [math.cos(p), math.sin(p)], rtol=1e-6)


@pytest.mark.parametrize("way", ["numpy", "llvm"])
def test_compiled(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "llvm":
        pytest.importorskip("llvmlite")
    monkeypatch.setenv("PELLUCID_COMPILE", way)
    learned, waves = nn.LearnedPositionalEncoding(8, 6, batch_first=True), nn.SinusoidalPositionalEncoding(8, 0, True)
    turn, other = nn.RotaryEmbedding(8), nn.RotaryEmbedding(8, layout="interleaved")

    def function(x: pl.Tensor, positions: pl.Tensor) -> pl.Tensor:
        return other(turn(waves(learned(x))), positions)

    compiled = pl.compile(function)
    for seed in range(2):
        rng = np.random.default_rng(seed)
        x, p = pl.Tensor(rng.normal(size=(3, 5, 8)).astype(np.float32)), pl.Tensor(rng.integers(0, 99, (3, 5)))
        np.testing.assert_allclose(compiled(x, p).numpy(), function(x, p).numpy(), rtol=1e-5, atol=1e-6)
    assert compiled.tier == way


def test_refused() -> None:
    with pytest.raises(ShapeError) as caught:
        nn.LearnedPositionalEncoding(4, 3, batch_first=True)(np.zeros((2, 5, 4)))
    assert lines(caught.value) == [
        "LearnedPositionalEncoding: the sequence is longer than there are positions",
        "  given:    5 elements, input (2, 5, 4)",
        "  expected: at most 3, which is max_len",
    ]
    for layer in (nn.LearnedPositionalEncoding(4, 3), nn.SinusoidalPositionalEncoding(4)):
        name = type(layer).__name__
        with pytest.raises(ShapeError) as caught:
            layer(np.zeros(4))
        assert lines(caught.value) == [
            f"{name}: the input is not a batch of sequences",
            "  given:    (4,)",
            "  expected: (L, N, d_model), or (L, d_model) for a single sequence",
        ]
        with pytest.raises(ShapeError, match="another number of features"):
            layer(np.zeros((3, 2, 5)))
        with pytest.raises(ShapeError, match=f"{name}: a sequence has no elements"):
            layer(np.zeros((0, 2, 4)))
    for wrong in (np.zeros((3, 5)), np.zeros(4), np.zeros((3, 0))):
        with pytest.raises(ShapeError) as caught:
            F.rotary(wrong)
        assert lines(caught.value) == [
            "rotary: the features do not form pairs",
            f"  given:    {wrong.shape}",
            "  expected: (..., L, E) with an even E, at least 2",
        ]
    with pytest.raises(ShapeError) as caught:
        F.rotary(np.zeros((2, 3, 4)), [0, 1])
    assert lines(caught.value) == [
        "rotary: the positions do not fit the sequences",
        "  given:    positions (2,)",
        "  expected: (2, 3), or a shape that broadcasts to it",
    ]
    with pytest.raises(DTypeError) as kind:
        F.rotary(np.zeros((3, 4)), [True, False, True])
    assert lines(kind.value) == [
        "rotary: positions are numbers",
        "  given:    positions of bool",
        "  expected: whole numbers or floats",
    ]
    with pytest.raises(ShapeError, match=r"RotaryEmbedding.*another number of features"):
        nn.RotaryEmbedding(4)(np.zeros((3, 6)))
    with pytest.raises(ShapeError, match="do not form pairs"):
        nn.RotaryEmbedding(5)
    for bad in ({"base": 0.0}, {"base": "x"}, {"layout": "both"}):
        with pytest.raises((ArgumentError, ArgumentTypeError), match=f"rotary: {next(iter(bad))}"):
            F.rotary(np.zeros((3, 4)), **bad)


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        (nn.SinusoidalPositionalEncoding, {"d_model": 4}),
        (nn.LearnedPositionalEncoding, {"d_model": 4, "max_len": 3}),
        (nn.RotaryEmbedding, {"head_dim": 4}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_arguments_out_of_range_are_refused(kind: Any, needed: dict[str, int]) -> None:
    for name, constraint in kind.__init__.constraints.items():
        for bad in constraint.invalid():
            with pytest.raises((ArgumentError, ArgumentTypeError), match=f"{kind.__name__}: {name}"):
                kind(**{**needed, name: bad})
