"""A number of rows, a noise level and a seed come in; a small data set of exactly known form leaves. Called by
examples, tests and lessons.

All points are computed in float64 and given as float32; labels are int64. The order of the rows and the noise come from
the Philox generator under the seed, so that a seed gives the same set everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Flag, Integer, Options, Real, check, checked, shown
from pellucid.data._arrays import numbers, require_finite
from pellucid.data._order import SEED_LIMIT, SYNTHETIC, generator, permutation
from pellucid.data.dataset import Dataset
from pellucid.errors import ArgumentError, ArgumentTypeError, ShapeError

_SEED = Integer(0, SEED_LIMIT)


def _classified(
    name: str,
    points: Array,
    labels: Array,
    noise: float,
    seed: int,
    shuffle: bool,
    class_names: tuple[str, ...] | None = None,
) -> Dataset:
    """Shuffle the rows, then add Gaussian noise of standard deviation `noise` to every coordinate."""
    if shuffle:
        order = permutation(len(points), seed, SYNTHETIC)
        points, labels = points[order], labels[order]
    if noise > 0:
        points = points + noise * generator(seed, SYNTHETIC + 1).standard_normal(points.shape)
    features = tuple(f"x{i}" for i in range(points.shape[1]))
    return Dataset(points.astype(np.float32), labels.astype(np.int64), class_names, features, name)


@checked(num_rows=Integer(2), noise=Real(0), seed=_SEED, shuffle=Flag())
def two_moons(num_rows: int = 200, noise: float = 0.1, *, seed: int = 0, shuffle: bool = True) -> Dataset:
    """Two half circles that reach into each other; two classes.

    Class 0: (cos t, sin t); class 1: (1 - cos t, 0.5 - sin t); t evenly spaced on [0, π], both ends included. Class 0
    has ⌊rows/2⌋ points. Gaussian noise is added to both coordinates.

    Parameters
        num_rows : int >= 2
        noise : standard deviation of the noise, >= 0
        seed : fixes order and noise
        shuffle : False keeps class 0 before class 1
    Source
        The geometry of `make_moons` in scikit-learn (Pedregosa et al., JMLR 12, 2011).
    Examples
        >>> two_moons(100)
        Dataset('two_moons', x=float32(100, 2), y=int64(100,), num_classes=2)
    """
    upper = num_rows // 2
    t0, t1 = np.linspace(0, np.pi, upper), np.linspace(0, np.pi, num_rows - upper)
    points = np.concatenate(
        [np.stack([np.cos(t0), np.sin(t0)], axis=1), np.stack([1 - np.cos(t1), 1 - np.sin(t1) - 0.5], axis=1)]
    )
    return _classified("two_moons", points, np.arange(num_rows) >= upper, noise, seed, shuffle)


@checked(num_rows=Integer(2), noise=Real(0), factor=Real(0, 1, right_open=True), seed=_SEED, shuffle=Flag())
def circles(
    num_rows: int = 200, noise: float = 0.05, *, factor: float = 0.5, seed: int = 0, shuffle: bool = True
) -> Dataset:
    """A circle inside a circle; two classes that no straight line parts.

    Class 0: (cos t, sin t); class 1: factor · (cos t, sin t); t evenly spaced on [0, 2π), the end left out. Class 0 has
    ⌊rows/2⌋ points. Gaussian noise is added to both coordinates.

    Parameters
        num_rows : int >= 2
        noise : standard deviation of the noise, >= 0
        factor : radius of the inner circle, in [0, 1)
        seed : fixes order and noise
        shuffle : False keeps class 0 before class 1
    Source
        The geometry of `make_circles` in scikit-learn (Pedregosa et al., JMLR 12, 2011).
    """
    outer = num_rows // 2
    t0 = np.linspace(0, 2 * np.pi, outer, endpoint=False)
    t1 = np.linspace(0, 2 * np.pi, num_rows - outer, endpoint=False)
    points = np.concatenate(
        [np.stack([np.cos(t0), np.sin(t0)], axis=1), np.stack([np.cos(t1), np.sin(t1)], axis=1) * factor]
    )
    return _classified("circles", points, np.arange(num_rows) >= outer, noise, seed, shuffle)


@checked(
    num_rows=Integer(1),
    noise=Real(0),
    num_classes=Integer(1),
    turns=Real(0, left_open=True),
    seed=_SEED,
    shuffle=Flag(),
)
def spirals(
    num_rows: int = 300,
    noise: float = 0.02,
    *,
    num_classes: int = 2,
    turns: float = 1.0,
    seed: int = 0,
    shuffle: bool = True,
) -> Dataset:
    """Interleaved Archimedean spirals, one a class.

    Point i of the m points of class c of C: r = (i + 1)/m, angle = 2π (turns · r + c/C), at (r cos angle, r sin angle);
    i = 0 ... m - 1. The first rows mod C classes have one point more. Gaussian noise is added to both coordinates.

    Parameters
        num_rows : int >= 1
        noise : standard deviation of the noise, >= 0 (the outer radius is 1)
        num_classes : the number of spirals
        turns : full turns of each spiral, > 0
        seed : fixes order and noise
        shuffle : False keeps the classes one after another
    """
    counts = _shares(num_rows, num_classes)
    labels = np.repeat(np.arange(num_classes), counts)
    radius = np.concatenate([np.arange(1, m + 1) / m for m in counts])
    angle = 2 * np.pi * (turns * radius + labels / num_classes)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return _classified("spirals", points, labels, noise, seed, shuffle)


@checked(num_rows=Integer(1, none=True), noise=Real(0), seed=_SEED, shuffle=Flag())
def xor(num_rows: int | None = None, noise: float = 0.1, *, seed: int = 0, shuffle: bool = True) -> Dataset:
    """Exclusive or: label 1 where exactly one of two inputs is 1.

    Without `num_rows`, the four points (0,0), (0,1), (1,0), (1,1) in this order, exact. Else row i is point i mod 4 of
    these, shuffled, with Gaussian noise added to both coordinates.

    Parameters
        num_rows : int >= 1, or None for the four points
        noise : standard deviation of the noise, >= 0; of no effect on the four points
        seed : fixes order and noise
        shuffle : False keeps the points in turn
    Examples
        >>> xor().x.tolist(), xor().y.tolist()
        ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0])
    """
    if num_rows is None:
        num_rows, noise, shuffle = 4, 0.0, False
    corner = np.arange(num_rows) % 4
    first, second = corner // 2, corner % 2
    points = np.stack([first, second], axis=1).astype(np.float64)
    return _classified("xor", points, first ^ second, noise, seed, shuffle, ("0", "1"))


@checked(num_rows=Integer(1), num_features=Integer(1), std=Real(0), seed=_SEED, shuffle=Flag())
def blobs(
    num_rows: int = 300,
    centers: Any = 3,
    *,
    num_features: int = 2,
    std: float = 1.0,
    seed: int = 0,
    shuffle: bool = True,
) -> Dataset:
    """Gaussian clouds, one a class.

    A point of class c of C is centers[c] + std · n, n standard normal. The first rows mod C classes have one more.

    Parameters
        num_rows : int >= 1
        centers : an array (classes, features), or a number of centers, drawn uniformly from [-10, 10)
        num_features : the number of features, where `centers` is a number
        std : standard deviation of each cloud in every direction, >= 0
        seed : fixes centers, order and noise
        shuffle : False keeps the classes one after another
    """
    if isinstance(centers, int | np.integer | float | str):
        check("blobs: centers", centers, Integer(1))
        middle = generator(seed, SYNTHETIC + 2).uniform(-10.0, 10.0, size=(int(centers), num_features))
    else:
        middle = numbers("centers", centers).astype(np.float64)
        if middle.ndim != 2 or middle.size == 0:
            raise ShapeError("data.blob-centers", shape=middle.shape)
        require_finite("centers", middle)
    labels = np.repeat(np.arange(len(middle)), _shares(num_rows, len(middle)))
    return _classified("blobs", middle[labels], labels, std, seed, shuffle)


def _shares(num_rows: int, num_classes: int) -> Array:
    """Rows of each class, as even as they go."""
    return num_rows // num_classes + (np.arange(num_classes) < num_rows % num_classes)


_CURVES: dict[str, Callable[[Array], Any]] = {
    "identity": lambda x: x,
    "sin": np.sin,
    "square": np.square,
    "abs": np.abs,
    "step": lambda x: np.where(x >= 0, 1.0, 0.0),
    "runge": lambda x: 1 / (1 + 25 * x**2),
}


@checked(num_rows=Integer(2), low=Real(), high=Real(), noise=Real(0), seed=_SEED)
def curve(
    function: str | Callable[[Array], Any] = "sin",
    num_rows: int = 200,
    *,
    low: float = -1.0,
    high: float = 1.0,
    noise: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """A function of one number to be fitted: y = f(x) + noise · n, n standard normal.

    x is evenly spaced on [low, high], both ends included, in increasing order. x and y have shape (rows, 1), as the
    input and the output of a network with one of each have.

    Parameters
        function : "identity", "sin", "square", "abs", "step" (1 for x >= 0, else 0), "runge" (1/(1 + 25x²)), or a
            function from an array (rows,) to an array (rows,)
        num_rows : int >= 2
        low, high : the interval
        noise : standard deviation of the noise, >= 0
        seed : fixes the noise
    Raises
        ArgumentError: the function gives another shape, or NaN or infinity.
    Examples
        >>> curve(lambda x: 2 * x, 3).y.tolist()
        [[-2.0], [0.0], [2.0]]
    """
    if isinstance(function, str):
        check("curve: function", function, Options(*_CURVES))
        name, compute = function, _CURVES[function]
    elif callable(function):
        name, compute = getattr(function, "__name__", "curve"), function
    else:
        raise ArgumentTypeError(
            "core.type",
            name="curve: function",
            value=shown(function),
            type=type(function).__name__,
            expected="callable",
        )
    if not low < high:
        raise ArgumentError("data.interval", function="curve", low=low, high=high)
    x = np.linspace(low, high, num_rows)
    y = np.asarray(compute(x.copy()))
    if y.shape != (num_rows,) or y.dtype.kind not in "biuf" or not np.isfinite(y).all():
        raise ArgumentError("data.curve-values", value=shown(y), num_rows=num_rows)
    if noise > 0:
        y = y + noise * generator(seed, SYNTHETIC + 1).standard_normal(num_rows)
    return Dataset(
        x[:, None].astype(np.float32), y[:, None].astype(np.float32), feature_names=("x",), name=f"curve {name}"
    )
