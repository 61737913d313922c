"""What users pass comes in (arrays, Tensors, nested lists); plain NumPy arrays of real numbers leave, or an error that
names the row. Called by the data sets, the scalers and the splits.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid._text import text
from pellucid._typing import Array
from pellucid.core.check import shown
from pellucid.core.tensor import Tensor
from pellucid.errors import ArgumentTypeError, DataError, DTypeError, ShapeError


@dataclass(frozen=True)
class Place:
    """Where an entry stands; reads in the language of the reader. Rows and columns count from 0."""

    index: tuple[int, ...]

    def __str__(self) -> str:
        row, *rest = self.index
        if not rest:
            return text("data.place-row", row=row)
        if len(rest) == 1:
            return text("data.place-column", row=row, column=rest[0])
        return text("data.place-index", row=row, index=rest)


def plain(name: str, value: Any) -> Any:
    """A Tensor's array; anything else as it is, but for a mask, which would be lost.

    Raises
        DataError: a masked array with masked entries.
    """
    # Not `np.ma`, which would import it: who has not done so has no masked array.
    masked = sys.modules.get("numpy.ma")
    if masked is not None and isinstance(value, masked.MaskedArray) and masked.is_masked(value):
        mask = masked.getmaskarray(value)
        first = tuple(int(i) for i in np.argwhere(mask)[0])
        raise DataError("data.masked", name=name, count=int(mask.sum()), total=mask.size, place=Place(first))
    return value.data if isinstance(value, Tensor) else value


def numbers(name: str, value: Any) -> Array:
    """`value` as an array of bools, integers or floats with at least one axis; no copy where none is needed.

    Raises
        ShapeError: lists of different lengths, or a single number.
        DTypeError: text, objects, complex numbers, dates, records.
        DataError: a masked array with masked entries.
    """
    value = plain(name, value)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError, OverflowError) as problem:
        _refuse_ragged(name, value)
        raise DTypeError("data.not-array", name=name, value=f"{shown(value)}: {problem}", suggestion=None) from None
    if array.ndim == 0 and array.dtype.kind not in "biufc":
        dense = "x.toarray()" if name == "x" and hasattr(value, "toarray") else None
        raise DTypeError(
            "data.not-array", name=name, value=f"{shown(value)} ({type(value).__name__})", suggestion=dense
        )
    if array.ndim == 0:
        raise ShapeError("data.no-rows", name=name, shape=array.shape)
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind == "O":
        return _numbers_in_objects(name, array)
    if array.dtype.kind in "UST":
        # Lists that mix text and numbers arrive as text: name the first entry that is no number in disguise.
        index = next((i for i, v in np.ndenumerate(array) if not _reads_as_number(v)), (0,) * array.ndim)
        first_text = str(array[index]) if array.size else ""
        all_text = isinstance(value, np.ndarray) or all(isinstance(v, str) for v in value)
        encode = name if name.startswith("y") and array.ndim == 1 and all_text else None
        raise DTypeError("data.text", name=name, value=repr(first_text), place=Place(index), encode=encode)
    key = "data.complex" if array.dtype.kind == "c" else "data.dtype"
    raise DTypeError(key, name=name, shape=array.shape, dtype=array.dtype)


def names_of(argument: str, value: Any) -> tuple[str, ...]:
    """Names of classes or features, as text.

    Raises
        ArgumentTypeError: one text, or no list at all.
    """
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise ArgumentTypeError("data.names", name=argument, value=shown(value), type=type(value).__name__)
    return tuple(str(name) for name in value)


def _reads_as_number(value: Any) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _numbers_in_objects(name: str, array: Array) -> Array:
    """Tables with columns of several types arrive as objects; they pass if every entry is a number, and as whole
    numbers if all of them are."""
    for index, value in np.ndenumerate(array):
        if not isinstance(value, bool | int | float | np.integer | np.floating | np.bool_):
            raise DTypeError(
                "data.object", name=name, value=shown(value), type=type(value).__name__, place=Place(index)
            )
    try:
        if array.size and all(isinstance(value, int | np.integer | np.bool_) for value in array.flat):
            with suppress(OverflowError):
                return array.astype(np.int64)
        return array.astype(np.float64)
    except OverflowError as problem:
        raise DTypeError("data.not-array", name=name, value=f"{shown(array)}: {problem}", suggestion=None) from None


def _refuse_ragged(name: str, value: Any) -> None:
    """Raise ShapeError if nested lists differ in length, naming the first two that do."""
    level: list[tuple[str, Any]] = [("", value)]
    while level:
        sized = [(p, v, len(v) if hasattr(v, "__len__") and not isinstance(v, str | bytes) else 1) for p, v in level]
        for path, item, length in sized[1:]:
            _, first_item, first_length = sized[0]
            if length != first_length or hasattr(item, "__len__") != hasattr(first_item, "__len__"):
                raise ShapeError(
                    "data.ragged",
                    name=name,
                    first=sized[0][0],
                    first_length=first_length,
                    other=path,
                    other_length=length,
                )
        level = [
            (f"{path}[{i}]", item)
            for path, items in level
            if isinstance(items, list | tuple | np.ndarray)
            for i, item in enumerate(items)
        ]


def require_finite(name: str, array: Array) -> None:
    """Raise DataError if a float array holds NaN or infinity, with the count and the first place."""
    if array.dtype.kind != "f" or array.size == 0:
        return
    # A sum is finite only if every term is, and needs no array of its own; the other way round does not hold.
    with np.errstate(all="ignore"):
        if np.isfinite(array.sum()):
            return
    bad = ~np.isfinite(array)
    if bad.any():
        first = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
        raise DataError(
            "data.non-finite",
            name=name,
            count=int(bad.sum()),
            total=array.size,
            value=str(array[first]),
            place=Place(first),
        )


def cast(name: str, array: Array, dtype: npt.DTypeLike) -> Array:
    """`array` in a float dtype; finite numbers that become infinite there are refused."""
    wanted = np.dtype(dtype)
    with np.errstate(over="ignore"):
        result = array.astype(wanted, copy=False)
    if array.dtype.itemsize > wanted.itemsize and not np.isfinite(result).all():
        bad = ~np.isfinite(result)
        first = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
        raise DataError(
            "data.overflow",
            name=name,
            dtype=wanted,
            count=int(bad.sum()),
            total=array.size,
            value=str(array[first]),
            place=Place(first),
            limit=f"{np.finfo(wanted).max:.3g}",
        )
    return result


def targets(array: Array) -> Array:
    """Class labels as int64; float targets as they are."""
    if array.dtype.kind in "bi":
        return array.astype(np.int64, copy=False)
    if array.dtype.kind == "u":
        if array.size and array.max() > np.iinfo(np.int64).max:
            raise DTypeError("data.dtype", name="y", shape=array.shape, dtype=array.dtype)
        return array.astype(np.int64)
    return array
