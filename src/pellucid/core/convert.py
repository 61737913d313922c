"""Anything numeric as a NumPy array, and anything that names a dtype as a dtype. What a user passes enters here, and
leaves as an array of floats, whole numbers or booleans, or as an error that says what it was. Called by `Tensor`,
`as_tensor` and `apply`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array, DType
from pellucid.core.check import shown
from pellucid.core.context import default_dtype
from pellucid.errors import DTypeError, ShapeError

NUMERIC = "fiub"
"""The kinds of dtype that a tensor can have: floats, signed and unsigned whole numbers, booleans."""


def _taken(dtype: DType) -> bool:
    """Whether a tensor can have a dtype: real numbers of at most 64 bits, so that all machines agree."""
    return dtype.kind in NUMERIC and dtype.itemsize <= 8


def as_dtype(dtype: Any) -> DType:
    """A dtype from its name, from a NumPy or Python type, or from itself.

    Raises
        DTypeError: it names no dtype, or not one of real numbers.
    """
    if dtype is None or isinstance(dtype, np.generic):
        # A number of NumPy has a dtype, and np.dtype would take that: what was meant is not known.
        raise DTypeError("core.unknown-dtype", dtype="None" if dtype is None else shown(dtype))
    try:
        result = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):
        raise DTypeError("core.unknown-dtype", dtype=shown(dtype)) from None
    if not _taken(result):
        raise DTypeError("core.not-numeric", dtype=result)
    native: DType = result if result.isnative else result.newbyteorder("=")
    return native


def array_of(data: Any, dtype: Any = None) -> Array:
    """Numbers, nested lists or an array as an array: arrays keep their dtype and are shared, Python floats take the
    default dtype.

    Raises
        ShapeError: nested lists of unequal lengths.
        DTypeError: not numbers (strings, objects, complex numbers), or an unknown dtype.
    """
    wanted = None if dtype is None else as_dtype(dtype)
    if isinstance(data, np.ndarray):
        array = data
    else:
        try:
            array = np.asarray(data)
        except ValueError:
            raise ShapeError("core.ragged") from None
        except (TypeError, RuntimeError, OverflowError) as problem:
            raise DTypeError("core.foreign", type=type(data).__name__, problem=str(problem)) from None
        if array.dtype.kind not in NUMERIC and not hasattr(data, "dtype"):
            raise DTypeError("core.not-numbers", value=shown(data), type=type(data).__name__)
        # With a dtype asked for, Python floats go there directly: by way of float32 they would lose digits.
        if wanted is None and array.dtype == np.float64 and not _typed(data):
            array = array.astype(default_dtype())
    if not _taken(array.dtype):
        raise DTypeError("core.not-numeric", dtype=array.dtype)
    if type(array) is not np.ndarray:  # a matrix or a masked array has other rules of its own
        if isinstance(array, np.ma.MaskedArray):
            raise DTypeError("core.masked")
        array = np.asarray(array)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array if wanted is None or array.dtype == wanted else array.astype(wanted)


def _typed(data: Any) -> bool:
    """Whether floats come with a dtype of their own: NumPy's do, Python's do not."""
    if hasattr(data, "dtype"):
        return True
    while isinstance(data, list | tuple) and data:
        data = data[0]
    return isinstance(data, np.ndarray | np.generic)
