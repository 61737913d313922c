"""Inputs and targets come in, as arrays or nested lists; a checked `Dataset` leaves. Called by users, loaders, splits,
readers of files and `fit`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid._typing import Array, Shape
from pellucid.core.check import shown
from pellucid.data._arrays import cast, names_of, numbers, require_finite, targets
from pellucid.errors import ArgumentTypeError, DataError, IndexRangeError, LabelError, ShapeError


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Rows of inputs, their targets, and what is known about both.

    Parameters
        x : array, shape (rows, ...), finite real numbers; kept in its dtype
        y : array, shape (rows,) or (rows, outputs), or None; whole numbers and booleans become int64 labels
        class_names : the name of each label, from label 0 up
        feature_names : the name of each column of x
        name : a short name
        description : where the rows come from, and under which licence
        image_shape : the shape of a row as an image, if it is one
    Raises
        DataError, DTypeError, ShapeError: what `as_dataset` refuses.
        LabelError: a label without a class name.
    Examples
        >>> data = Dataset([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1])
        >>> len(data), data[1:].y.tolist()
        (3, [1, 1])
    """

    x: Array
    y: Array | None = None
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    name: str = ""
    description: str = ""
    image_shape: Shape | None = None

    def __post_init__(self) -> None:
        x = numbers("x", self.x)
        require_finite("x", x)
        y = self.y
        if y is not None:
            y = targets(numbers("y", y))
            require_finite("y", y)
            if len(x) != len(y):
                raise ShapeError(
                    "data.lengths-differ", a="x", b="y", a_shape=x.shape, b_shape=y.shape, a_rows=len(x), b_rows=len(y)
                )
        self._set(x=x, y=y)
        for field in ("class_names", "feature_names"):
            if getattr(self, field) is not None:
                self._set(**{field: names_of(field, getattr(self, field))})
        if self.image_shape is not None:
            self._set(image_shape=_lengths(self.image_shape))
        self._check_names()

    def _set(self, **fields: Any) -> None:
        for field, value in fields.items():
            object.__setattr__(self, field, value)

    def _check_names(self) -> None:
        names, y = self.class_names, self.y
        if names is not None and y is not None and y.dtype.kind == "i":
            outside = (y < 0) | (y >= len(names))
            if outside.any():
                raise LabelError(
                    "data.class-names",
                    label=int(y[outside][0]),
                    row=int(np.argwhere(outside)[0][0]),
                    count=len(names),
                    low=int(y.min()),
                    high=int(y.max()),
                    names=shown(list(names)),
                    last=len(names) - 1,
                )
        if self.feature_names is not None and (self.x.ndim < 2 or len(self.feature_names) != self.x.shape[1]):
            raise ShapeError("data.feature-names", count=len(self.feature_names), shape=self.x.shape)
        size = math.prod(self.x.shape[1:])
        if self.image_shape is not None and math.prod(self.image_shape) != size:
            raise ShapeError("data.image-shape", image_shape=self.image_shape, shape=self.x.shape, size=size)

    @property
    def images(self) -> Array:
        """The rows as images, shape (rows, *image_shape); a view of x where x is contiguous."""
        if self.image_shape is None:
            raise DataError("data.no-images")
        return self.x.reshape(len(self.x), *self.image_shape)

    @property
    def num_classes(self) -> int | None:
        """The number of class names, else one more than the largest label; None where y is not one label a row."""
        if self.class_names is not None:
            return len(self.class_names)
        if self.y is None or self.y.dtype.kind != "i" or self.y.ndim != 1 or self.y.size == 0 or self.y.min() < 0:
            return None
        return int(self.y.max()) + 1

    def as_floats(self, dtype: npt.DTypeLike, *, keep_integers: bool = False) -> Dataset:
        """The same rows with x and float targets in a float dtype; itself where they have it already.

        Parameters
            dtype : float32 or float64
            keep_integers : whether an x of whole numbers stays as it is, as indices must
        Raises
            DataError: finite numbers that would become infinite.
        """
        x, y, wanted = self.x, self.y, np.dtype(dtype)
        if x.dtype != wanted and (x.dtype.kind == "f" or not keep_integers):
            x = cast("x", x, wanted)
        if y is not None and y.dtype.kind == "f" and y.dtype != wanted:
            y = cast("y", y, wanted)
        return self if x is self.x and y is self.y else replace(self, x=x, y=y)

    def __len__(self) -> int:
        return len(self.x)

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for row in range(len(self)):
            yield self[row]

    def __getitem__(self, rows: Any) -> Any:
        """One row as (x, y) for a whole number; a Dataset for a slice (views), row numbers or booleans (copies)."""
        if isinstance(rows, int | np.integer) and not isinstance(rows, bool | np.bool_):
            if not -len(self) <= rows < len(self):
                raise IndexRangeError("data.row-index", index=int(rows), low=-len(self), high=len(self) - 1)
            return self.x[rows], None if self.y is None else self.y[rows]
        if not isinstance(rows, slice):
            rows = self._row_numbers(rows)
        part = copy.copy(self)
        part._set(x=self.x[rows], y=None if self.y is None else self.y[rows])
        return part

    def _row_numbers(self, rows: Any) -> Array:
        try:
            chosen = np.asarray(rows)
        except ValueError:
            chosen = np.empty((0, 0))
        if chosen.size == 0 and chosen.ndim == 1:
            return chosen.astype(np.int64)
        if (
            chosen.ndim != 1
            or chosen.dtype.kind not in "biu"
            or (chosen.dtype.kind == "b" and len(chosen) != len(self))
        ):
            raise ArgumentTypeError("data.row-selection", value=shown(rows), rows=len(self))
        if chosen.dtype.kind != "b":
            outside = (chosen < -len(self)) | (chosen >= len(self))
            if outside.any():
                index = int(chosen[outside.argmax()])
                raise IndexRangeError("data.row-index", index=index, low=-len(self), high=len(self) - 1)
        return chosen

    def __repr__(self) -> str:
        facts = [repr(self.name)] if self.name else []
        facts.append(f"x={self.x.dtype}{self.x.shape}")
        facts.append("y=None" if self.y is None else f"y={self.y.dtype}{self.y.shape}")
        if self.num_classes is not None:
            facts.append(f"num_classes={self.num_classes}")
        if self.class_names is not None:
            facts.append(f"class_names={shown(list(self.class_names))}")
        if self.image_shape is not None:
            facts.append(f"image_shape={self.image_shape}")
        return f"Dataset({', '.join(facts)})"


def as_dataset(data: Any, y: Any = None, *, dtype: npt.DTypeLike | None = np.float32) -> Dataset:
    """Anything that holds rows, as a Dataset with at least one of them.

    Parameters
        data : a Dataset, which passes as it is; a tuple (x, y); or x alone. Arrays of any layout, Tensors and nested
            lists are read; only a tuple is taken for a pair, a list is always x
        y : the targets, if they are not in `data`
        dtype : the dtype of x and of float targets that come as arrays or lists, so that 0/1 lists and float64 columns
            suit a float32 network. None keeps theirs, as integer tokens need
    Returns
        Dataset, whose integer and boolean targets are int64
    Raises
        ShapeError: rows of different lengths, a single number, or another number of targets than of rows.
        DTypeError: text, objects, complex numbers, dates.
        DataError: no rows or no features; NaN, infinity or masked entries, with their number and the first place.
    Examples
        >>> as_dataset(([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]))
        Dataset(x=float32(4, 2), y=int64(4,), num_classes=2)
    """
    if isinstance(data, Dataset):
        if y is not None and data.y is not None:
            raise ArgumentTypeError("data.two-targets")
        result = data if y is None else replace(data, y=y)
    else:
        if isinstance(data, list) and y is None and _is_pair(data):
            raise ArgumentTypeError("data.pair-list")
        if isinstance(data, tuple):
            if len(data) not in (1, 2):
                raise ArgumentTypeError("data.tuple", length=len(data))
            if len(data) == 2:
                if y is not None:
                    raise ArgumentTypeError("data.two-targets")
                y = data[1]
            data = data[0]
        x = numbers("x", data)
        require_finite("x", x)
        if dtype is not None:
            x = cast("x", x, dtype)
        if y is not None:
            y = targets(numbers("y", y))
            require_finite("y", y)
            if dtype is not None and y.dtype.kind == "f":
                y = cast("y", y, dtype)
        result = Dataset(x, y)
    if result.x.size == 0:
        raise DataError("data.empty", name="x", shape=result.x.shape)
    return result


def _is_pair(data: list[Any]) -> bool:
    """Whether a list holds an array of rows and one of as many targets, which together form no array."""
    if len(data) != 2 or not all(hasattr(part, "shape") and len(part.shape) for part in data):
        return False
    x, y = data
    return bool(len(x.shape) > 1 and x.shape[0] == y.shape[0] and x.shape != y.shape)


def _lengths(shape: Any) -> Shape:
    if not isinstance(shape, tuple | list) or not all(isinstance(n, int | np.integer) and n > 0 for n in shape):
        raise ArgumentTypeError("data.image-lengths", value=shown(shape))
    return tuple(int(n) for n in shape)
