"""Synthetic sets: their exact geometry, seeds, noise."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pellucid.data import Dataset, blobs, circles, curve, spirals, two_moons, xor
from pellucid.errors import ArgumentError, ArgumentTypeError, ShapeError

MAKERS: list[Callable[..., Dataset]] = [two_moons, circles, spirals, xor, blobs]


@pytest.mark.parametrize("make", MAKERS)
def test_a_seed_repeats_and_another_differs(make: Callable[..., Dataset]) -> None:
    a, b, c = make(60, seed=1), make(60, seed=1), make(60, seed=2)
    assert a.x.tobytes() == b.x.tobytes()
    assert a.x.tobytes() != c.x.tobytes()
    assert (a.x.shape, a.x.dtype) == ((60, 2), np.float32)
    assert a.y is not None
    assert (a.y.shape, a.y.dtype) == ((60,), np.int64)
    assert a.name == make.__name__


@pytest.mark.parametrize("make", MAKERS)
def test_rows_are_shuffled_unless_told_otherwise(make: Callable[..., Dataset]) -> None:
    off: dict[str, Any] = {"std": 0.0} if make is blobs else {"noise": 0.0}
    shuffled, plain = make(60, **off), make(60, shuffle=False, **off)
    assert shuffled.y is not None
    assert plain.y is not None
    assert shuffled.x.tolist() != plain.x.tolist()
    rows = [sorted(zip(map(tuple, d.x.tolist()), d.y.tolist(), strict=True)) for d in (shuffled, plain)]  # type: ignore[union-attr]
    assert rows[0] == rows[1]
    if make is not xor:
        assert (np.diff(plain.y) >= 0).all()


@pytest.mark.sklearn
@pytest.mark.parametrize("num_rows", [7, 50])
def test_moons_and_circles_as_scikit_learn(num_rows: int) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    for ours, theirs in (
        (two_moons(num_rows, 0, shuffle=False), datasets.make_moons(num_rows, shuffle=False)),
        (
            circles(num_rows, 0, factor=0.3, shuffle=False),
            datasets.make_circles(num_rows, shuffle=False, factor=0.3),
        ),
    ):
        np.testing.assert_array_equal(ours.x, theirs[0].astype(np.float32))
        np.testing.assert_array_equal(ours.y, theirs[1])


def test_noise_has_its_standard_deviation() -> None:
    # 20,000 draws: the standard error of the deviation is 0.3 / sqrt(2 · 20000) = 0.0015; five of them.
    clean, noisy = two_moons(10_000, 0), two_moons(10_000, 0.3)
    assert abs((noisy.x - clean.x).std() - 0.3) < 0.0075
    cloud = blobs(10_000, [[5.0, -5.0]], std=2.0)
    assert abs((cloud.x - [5, -5]).std() - 2) < 0.05


def test_spirals() -> None:
    data = spirals(7, 0, num_classes=3, turns=0.5, shuffle=False)
    assert data.y is not None
    assert data.y.tolist() == [0, 0, 0, 1, 1, 2, 2]
    # Class 0, m = 3: r = 1/3, 2/3, 1 at angles π/3, 2π/3, π.
    s = np.sqrt(3) / 2
    np.testing.assert_allclose(data.x[:3], [[1 / 6, s / 3], [-1 / 3, 2 * s / 3], [-1, 0]], atol=1e-7)
    # Class 2, m = 2, last: r = 1 at π + 4π/3 = π/3.
    np.testing.assert_allclose(data.x[6], [0.5, s], atol=1e-7)


def test_xor() -> None:
    for data in (xor(), xor(None, 5.0, seed=9)):
        assert data.x.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
        assert np.asarray(data.y).tolist() == [0, 1, 1, 0]
    data = xor(100, 0)
    assert data.y is not None
    assert (np.logical_xor(data.x[:, 0], data.x[:, 1]) == data.y).all()
    assert sorted(map(tuple, data.x.tolist())) == sorted([(0, 0), (0, 1), (1, 0), (1, 1)] * 25)


def test_blobs() -> None:
    data = blobs(7, [[0.0, 1.0, 2.0], [10.0, 10.0, 10.0]], std=0, shuffle=False)
    assert data.x.tolist() == [[0, 1, 2]] * 4 + [[10, 10, 10]] * 3
    drawn = blobs(9, 4, num_features=5)
    assert drawn.x.shape == (9, 5)
    assert drawn.num_classes == 4
    with pytest.raises(ShapeError, match="centers has the wrong form"):
        blobs(9, [1.0, 2.0])
    with pytest.raises(ArgumentTypeError):
        blobs(9, 2.5)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("identity", [-1, -0.5, 0, 0.5, 1]),
        ("sin", [-0.8414709848, -0.4794255386, 0, 0.4794255386, 0.8414709848]),
        ("square", [1, 0.25, 0, 0.25, 1]),
        ("abs", [1, 0.5, 0, 0.5, 1]),
        ("step", [0, 0, 1, 1, 1]),
        ("runge", [1 / 26, 1 / 7.25, 1, 1 / 7.25, 1 / 26]),
        (lambda x: 3 * x + 1, [-2, -0.5, 1, 2.5, 4]),
    ],
)
def test_curve(function: Any, expected: list[float]) -> None:
    data = curve(function, 5)
    assert data.x.tolist() == [[-1], [-0.5], [0], [0.5], [1]]
    assert data.y is not None
    assert data.y.dtype == np.float32
    np.testing.assert_allclose(data.y, np.array(expected)[:, None], atol=1e-7)


def test_curve_noise_and_refusals() -> None:
    assert curve("sin", 50, noise=0.1, seed=1).name == "curve sin"
    assert np.std(np.asarray(curve("sin", 5000, noise=0.1).y) - np.asarray(curve("sin", 5000).y)) == pytest.approx(
        0.1, abs=0.005
    )
    with pytest.raises(ArgumentError, match="curve: function is not one of its options"):
        curve("cosh")
    with pytest.raises(ArgumentTypeError):
        curve(3)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="curve: low must be less than high"):
        curve("sin", low=1, high=1)
    for wrong in (lambda x: 1.0, lambda x: x[:-1], lambda x: x * np.nan, lambda x: "a"):
        with pytest.raises(ArgumentError, match="does not return one finite number a point"):
            curve(wrong)


@pytest.mark.parametrize("make", MAKERS)
def test_arguments_are_checked(make: Callable[..., Dataset]) -> None:
    for name, constraint in make.constraints.items():  # type: ignore[attr-defined]
        for value in constraint.invalid():
            with pytest.raises((ArgumentError, ArgumentTypeError)):
                make(**{name: value})
