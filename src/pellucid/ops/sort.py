"""Order: argsort, sort, top-k and searching. Sorting is a gather by argsort, so that its gradient is the scatter
back."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Flag, Integer, check
from pellucid.core.op import NONE, Cost, Op, register
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor
from pellucid.ops._families.reduction import one_axis
from pellucid.ops.index import take_along_axis


def _argsort(x: Array, *, axis: int, descending: bool) -> Array:
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    # Sorted backwards and read backwards, equal elements keep their order; NaN comes first.
    n = x.shape[axis]
    return np.flip(n - 1 - np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)


def _comparisons(specs: list[Spec], out: Spec, attrs: dict[str, Any]) -> Cost:
    n = out.shape[attrs["axis"]]
    return Cost(flops=out.size * max(n - 1, 0).bit_length())


_ARGSORT = register(
    Op(
        name="argsort",
        family="movement",
        value=_argsort,
        spec=lambda x, *, axis, descending: Spec(x.shape, np.dtype(np.int64)),
        vjp=NONE("an order does not change with small changes of the input"),
        cost=_comparisons,
        formula=lambda specs=None, attrs=None: "y = the order that sorts x",
        kernel=NONE("a sort is no loop nest"),
        onnx=NONE("TopK of the whole axis"),
        attrs={"axis": -1, "descending": False},
        doc="Indices that would sort along an axis, equal elements keeping their order.",
    )
)


def argsort(x: Any, /, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Indices that would sort along an axis. NaN counts as the largest. Equal elements keep their order, whether
    asked to or not."""
    check("descending", descending, Flag())
    check("stable", stable, Flag())
    x = as_tensor(x)
    return apply(_ARGSORT, [x], {"axis": one_axis("argsort", axis, x.ndim), "descending": bool(descending)})


def sort(x: Any, /, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The elements in order along an axis; NaN counts as the largest."""
    x = as_tensor(x)
    return take_along_axis(x, argsort(x, axis, descending, stable), axis)


def topk(x: Any, /, k: int, axis: int = -1, largest: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest (or smallest) elements along an axis, in order, and their indices; NaN counts as the largest.

    Raises
        ArgumentError: k is negative or more than the axis has.
    """
    x = as_tensor(x)
    number = one_axis("topk", axis, x.ndim)
    check("topk: k", k, Integer(0, x.shape[number]))
    check("topk: largest", largest, Flag())
    indices = argsort(x, number, descending=largest)[(slice(None),) * number + (slice(0, k),)]
    return take_along_axis(x, indices, number), indices
