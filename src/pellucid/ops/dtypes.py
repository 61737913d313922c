"""What dtypes are and how they meet: result_type, can_cast, isdtype, and the limits of each. Nothing is computed."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import DType
from pellucid.core.convert import as_dtype
from pellucid.core.spec import weak_dtype
from pellucid.core.tensor import Tensor
from pellucid.errors import ArgumentError, DTypeError
from pellucid.ops._families.elementwise import common_dtype

_KINDS: dict[str, str] = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "",
    "numeric": "iuf",
}


def result_type(item: Any, /, *items: Any) -> DType:
    """The dtype at which tensors, dtypes and Python numbers meet: floats win over whole numbers, whole numbers over
    booleans, and a Python number takes the dtype of what it meets unless its kind is the higher one.

    Raises
        DTypeError: uint64 meets a signed dtype.
    """
    return common_dtype(
        [
            (item.dtype, False)
            if isinstance(item, Tensor | np.ndarray)
            else (weak_dtype(item), True)
            if isinstance(item, bool | int | float)
            else (as_dtype(item), False)
            for item in (item, *items)
        ]
    )


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether every value of a dtype (or of a tensor's) has a place in another one."""
    source = from_.dtype if isinstance(from_, Tensor | np.ndarray) else as_dtype(from_)
    return bool(np.can_cast(source, as_dtype(to)))


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: a dtype, a tuple of kinds, or "bool", "signed integer", "unsigned integer",
    "integral", "real floating", "complex floating", "numeric".

    Raises
        ArgumentError: there is no such kind.
    """
    own = as_dtype(dtype)
    if isinstance(kind, tuple):
        return any(isdtype(own, k) for k in kind)
    if isinstance(kind, str) and kind in _KINDS:
        return own.kind in _KINDS[kind]
    try:
        return own == as_dtype(kind)
    except DTypeError:
        raise ArgumentError(
            "core.option", name="kind", value=repr(kind), options=", ".join(map(repr, _KINDS))
        ) from None


def finfo(dtype: Any, /) -> np.finfo[Any]:
    """The limits of a float dtype (or of a tensor's): bits, eps, max, min, smallest_normal, dtype.

    Raises
        DTypeError: the dtype is not a float.
    """
    own = dtype.dtype if isinstance(dtype, Tensor | np.ndarray) else as_dtype(dtype)
    if own.kind != "f":
        raise DTypeError("ops.dtype", op="finfo", dtypes=own.name)
    return np.finfo(own)


def iinfo(dtype: Any, /) -> np.iinfo[Any]:
    """The limits of a whole-number dtype (or of a tensor's): bits, max, min, dtype.

    Raises
        DTypeError: the dtype is not of whole numbers.
    """
    own = dtype.dtype if isinstance(dtype, Tensor | np.ndarray) else as_dtype(dtype)
    if own.kind not in "iu":
        raise DTypeError("ops.dtype", op="iinfo", dtypes=own.name)
    return np.iinfo(own)
