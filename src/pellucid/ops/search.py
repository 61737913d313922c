"""Finding: where elements are not 0, where values belong in a sorted vector, and which values there are. The shape of
most results depends on the values, so that a recorder is told that they were read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pellucid.core.check import Options, check
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import ShapeError
from pellucid.ops._families.elementwise import common_dtype
from pellucid.ops.elementwise import isclose
from pellucid.ops.index import take


def nonzero(x: Any, /) -> tuple[Tensor, ...]:
    """The indices of the elements that are not 0, one tensor for each axis, in row-major order.

    Raises
        ShapeError: x has no axes.
    """
    x = as_tensor(x)
    if x.ndim == 0:
        raise ShapeError("ops.zero-axis", op="nonzero")
    x._read()
    return tuple(wrap(found) for found in np.nonzero(x.data))


def searchsorted(x1: Any, x2: Any, /, side: str = "left", sorter: Any = None) -> Tensor:
    """Where each value of x2 belongs in the sorted vector x1 so that it stays sorted: its index, int64.

    Parameters
        side : "left" in front of equal elements, "right" behind them.
        sorter : indices that sort x1, if it is not sorted.
    """
    x1, x2 = as_tensor(x1), as_tensor(x2)
    check("side", side, Options("left", "right"))
    if x1.ndim != 1:
        raise ShapeError("ops.searchsorted", shape=x1.shape)
    if sorter is not None:
        order = as_tensor(sorter)
        if order.shape != x1.shape:
            raise ShapeError("ops.sorter", sorter=order.shape, shape=x1.shape)
        x1 = take(x1, order)
    x1._read()
    x2._read()
    kind = common_dtype([(x1.dtype, False), (x2.dtype, False)])
    return wrap(np.asarray(np.searchsorted(x1.data.astype(kind), x2.data.astype(kind), side)))  # type: ignore[call-overload]


class UniqueAll(NamedTuple):
    """Distinct values, where each stands first, how to rebuild the tensor from them, and how often each occurs."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """Distinct values, and how often each occurs."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """Distinct values, and how to rebuild the tensor from them."""

    values: Tensor
    inverse_indices: Tensor


def unique_all(x: Any, /) -> UniqueAll:
    """The distinct elements in ascending order, with first places, inverse and counts; each NaN is distinct. The
    gradient of a value goes to the place where it stands first."""
    x = as_tensor(x)
    x._read()
    _, first, inverse, counts = np.unique(
        x.data, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    indices = wrap(first)
    return UniqueAll(take(x, indices), indices, wrap(inverse.reshape(x.shape)), wrap(counts))


def unique_counts(x: Any, /) -> UniqueCounts:
    """The distinct elements in ascending order, and how often each occurs."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Any, /) -> UniqueInverse:
    """The distinct elements in ascending order, and the index of each element of x among them."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Any, /) -> Tensor:
    """The distinct elements in ascending order."""
    return unique_all(x).values


def allclose(a: Any, b: Any, /, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all elements of two tensors are close, as `isclose` has it: a Python bool."""
    close = isclose(a, b, rtol, atol, equal_nan)
    close._read()
    return bool(close.data.all())
