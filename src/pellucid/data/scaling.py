"""The inputs of a training part come in; a scaler leaves that brings any inputs to that scale and back. Called by users
before training; a model file holds a scaler as its `state()`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar, Self, cast

import numpy as np

from pellucid._text import text
from pellucid._typing import Array
from pellucid.core.check import Real, checked
from pellucid.data._arrays import numbers, require_finite
from pellucid.data.dataset import Dataset
from pellucid.errors import ArgumentError, ArgumentTypeError, DataError, FileFormatError, ShapeError, warn

_BLOCK_ENTRIES = 1 << 20


class Scaler(ABC):
    """What Standardize and MinMax share: (x - shift) · factor + offset for each feature, computed in float64 and given
    in x's own dtype (float32 for integers). A feature is one place in a row, whatever the rows' number of axes.
    """

    kind: ClassVar[str]
    _arrays: ClassVar[tuple[str, ...]]

    def fit(self, x: Any) -> Self:
        """Measure each feature of `x`, which is the training part alone: an array (rows, ...), or a Dataset.

        Features that are constant are only shifted, and reported in a warning.
        """
        array = self._inputs(x)
        if array.size == 0:
            raise DataError("data.empty", name="x", shape=array.shape)
        low, high = array.min(axis=0).astype(np.float64), array.max(axis=0).astype(np.float64)
        constant = low == high
        self._measure(array, low, high, constant)
        if constant.any():
            columns = np.flatnonzero(constant)
            listed = ", ".join(str(c) for c in columns[:8]) + (", ..." if len(columns) > 8 else "")
            warn(
                "data.constant-columns",
                kind=type(self).__name__,
                count=len(columns),
                total=constant.size,
                columns=listed,
            )
        return self

    def transform(self, x: Any) -> Any:
        """`x` on the scale of the training part: a new array, or a Dataset with new inputs."""
        return self._apply(x, self._forward)

    def inverse_transform(self, x: Any) -> Any:
        """Scaled inputs back in their own units."""
        return self._apply(x, self._backward)

    def fit_transform(self, x: Any) -> Any:
        """`fit`, then `transform`, of the same training part."""
        return self.fit(x).transform(x)

    def state(self) -> dict[str, Any]:
        """The kind and the measured float64 arrays; `from_state` makes an equal scaler of it."""
        self._require_fit()
        return {"kind": self.kind} | {name: getattr(self, name).copy() for name in self._arrays}

    @classmethod
    def from_state(cls, state: Any) -> Self:
        """The scaler that `state()` was taken from; `Scaler.from_state` reads every kind.

        Raises
            FileFormatError: another kind, or keys, shapes or numbers that no fit leaves.
        """
        kind = state.get("kind") if isinstance(state, dict) else None
        if not isinstance(kind, str) or kind not in _KINDS or not issubclass(_KINDS[kind], cls):
            raise FileFormatError("data.scaler-state", problem=text("data.scaler-state-kind", kind=repr(kind)))
        scaler: Any = _KINDS[kind]()
        if set(state) != {"kind", *scaler._arrays}:
            keys = ", ".join(sorted(map(str, state)))
            raise FileFormatError("data.scaler-state", problem=text("data.scaler-state-keys", keys=keys))
        arrays: dict[str, Array] = {}
        for name in scaler._arrays:
            try:
                arrays[name] = np.array(state[name], dtype=np.float64)
            except (TypeError, ValueError):
                arrays[name] = np.array(np.nan)
            if not _fits(name, arrays[name], arrays):
                raise FileFormatError("data.scaler-state", problem=text("data.scaler-state-value", name=name))
            setattr(scaler, name, arrays[name])
        return cast(Self, scaler)

    @abstractmethod
    def _measure(self, x: Array, low: Array, high: Array, constant: Array) -> None: ...

    @abstractmethod
    def _forward(self, block: Array) -> Array: ...

    @abstractmethod
    def _backward(self, block: Array) -> Array: ...

    def _inputs(self, x: Any) -> Array:
        if isinstance(x, tuple):
            raise ArgumentTypeError("data.scaler-dataset", value=f"tuple of {len(x)}")
        array = x.x if isinstance(x, Dataset) else numbers("x", x)
        require_finite("x", array)
        return array

    def _require_fit(self) -> None:
        if not hasattr(self, self._arrays[0]):
            raise DataError("data.not-fitted", kind=type(self).__name__)

    def _apply(self, x: Any, function: Any) -> Any:
        self._require_fit()
        array = self._inputs(x)
        features = getattr(self, self._arrays[0]).shape
        if array.shape[1:] != features:
            raise ShapeError("data.scaler-shape", kind=type(self).__name__, shape=array.shape, features=features)
        dtype = array.dtype if array.dtype.kind == "f" else np.dtype(np.float32)
        result = np.empty(array.shape, dtype=dtype)
        for rows in _blocks(array):
            result[rows] = function(array[rows].astype(np.float64))
        return replace(x, x=result) if isinstance(x, Dataset) else result

    def __repr__(self) -> str:
        fitted = hasattr(self, self._arrays[0])
        return f"{type(self).__name__}(features={getattr(self, self._arrays[0]).shape if fitted else None})"


class Standardize(Scaler):
    """Mean 0 and standard deviation 1 for each feature of the training part.

        z = (x - mean) / std,  std² = Σ (x - mean)² / rows

    Attributes
        mean, std : float64, the shape of a row; std is 1 where the feature is constant
    Examples
        >>> scaler = Standardize().fit([[0.0, 10.0], [2.0, 30.0]])
        >>> scaler.transform([[1.0, 20.0], [3.0, 50.0]]).tolist()
        [[0.0, 0.0], [2.0, 3.0]]
    """

    kind = "standardize"
    _arrays = ("mean", "std")
    mean: Array
    std: Array

    def _measure(self, x: Array, low: Array, high: Array, constant: Array) -> None:
        total = np.zeros(x.shape[1:])
        for rows in _blocks(x):
            total += x[rows].sum(axis=0, dtype=np.float64)
        # A rounded mean of a constant column would leave a residue; clipping also keeps the mean within the data.
        self.mean = np.clip(total / len(x), low, high)
        # Deviations are squared relative to the largest, so that tiny and huge units neither underflow nor overflow.
        unit = np.where(constant, 1.0, np.maximum(high - self.mean, self.mean - low))
        squares = np.zeros(x.shape[1:])
        for rows in _blocks(x):
            squares += np.square((x[rows].astype(np.float64) - self.mean) / unit).sum(axis=0)
        self.std = np.where(constant, 1.0, unit * np.sqrt(squares / len(x)))

    def _forward(self, block: Array) -> Array:
        return (block - self.mean) / self.std

    def _backward(self, block: Array) -> Array:
        return block * self.std + self.mean


class MinMax(Scaler):
    """The training part's smallest value of each feature at `low`, its largest at `high`.

        z = low + (x - minimum) · (high - low) / (maximum - minimum)

    Later rows may lie outside. A constant feature becomes `low`.

    Attributes
        minimum, maximum : float64, the shape of a row
    Examples
        >>> MinMax().fit([[0.0], [4.0]]).transform([[1.0], [6.0]]).tolist()
        [[0.25], [1.5]]
    """

    kind = "minmax"
    _arrays = ("minimum", "maximum", "range")
    minimum: Array
    maximum: Array

    @checked(low=Real(), high=Real())
    def __init__(self, low: float = 0.0, high: float = 1.0) -> None:
        if not low < high:
            raise ArgumentError("data.scaler-range", low=low, high=high)
        self.range = np.array([low, high], dtype=np.float64)

    def _measure(self, x: Array, low: Array, high: Array, constant: Array) -> None:
        self.minimum, self.maximum = low, high

    @property
    def _width(self) -> Array:
        width: Array = self.maximum - self.minimum
        return np.where(width == 0, 1.0, width)

    def _forward(self, block: Array) -> Array:
        low, high = self.range.tolist()
        scaled: Array = low + (block - self.minimum) / self._width * (high - low)
        return scaled

    def _backward(self, block: Array) -> Array:
        low, high = self.range.tolist()
        unscaled: Array = self.minimum + (block - low) / (high - low) * self._width
        return unscaled


def _blocks(x: Array) -> Iterator[slice]:
    """Slices of rows small enough that their float64 copies do not matter."""
    step = max(1, _BLOCK_ENTRIES // max(1, x[:1].size))
    for first in range(0, len(x), step):
        yield slice(first, first + step)


_KINDS: dict[str, type[Scaler]] = {c.kind: c for c in (Standardize, MinMax)}


def _fits(name: str, array: Array, arrays: dict[str, Array]) -> bool:
    """Whether a fit could have left this array."""
    first = next(iter(arrays.values()))
    if array.shape != ((2,) if name == "range" else first.shape) or not np.isfinite(array).all():
        return False
    if name == "std":
        return bool((array > 0).all())
    if name == "maximum":
        return bool((array >= arrays["minimum"]).all())
    return name != "range" or bool(array[0] < array[1])
