"""Running sums and products along an axis, and differences of neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Flag, Integer, check
from pellucid.core.op import NONE, Cost, Op, register
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor, wrap
from pellucid.ops._families.composite import composite
from pellucid.ops._families.reduction import one_axis, summed_dtype
from pellucid.ops.elementwise import not_equal
from pellucid.ops.shape import cast, concatenate, flip, reshape


def _running_spec(x: Spec, *, axis: int) -> Spec:
    return Spec(x.shape, summed_dtype(x.dtype))


def _cumsum(x: Array, *, axis: int) -> Array:
    return np.add.accumulate(x, axis, dtype=summed_dtype(x.dtype))


_CUMSUM = register(
    Op(
        name="cumsum",
        family="reduction",
        value=_cumsum,
        spec=_running_spec,
        vjp=lambda i, g, y, xs, attrs: flip(cumulative_sum(flip(g, attrs["axis"]), attrs["axis"]), attrs["axis"]),
        cost=lambda specs, out, attrs: Cost(flops=out.size - out.size // max(out.shape[attrs["axis"]], 1)),
        formula=lambda specs=None, attrs=None: "y[i] = Σ_{j<=i} x[j]",
        kernel=("add", 0),
        onnx="CumSum",
        attrs={"axis": None},
        doc="Running sum along an axis.",
    )
)


def _line(op: str, x: Tensor, axis: int | None) -> tuple[Tensor, int]:
    """The tensor and the axis to run along: a tensor of several axes is flattened if none is named."""
    if axis is None:
        return reshape(x, (-1,)), 0
    return x, one_axis(op, axis, x.ndim)


def _with_first(y: Tensor, axis: int, first: float) -> Tensor:
    shape = tuple(1 if i == axis else n for i, n in enumerate(y.shape))
    return concatenate([wrap(np.full(shape, first, y.dtype)), y], axis=axis)


def cumulative_sum(x: Any, /, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Tensor:
    """Running sum along an axis: y[i] is the sum of x[0] to x[i]. With include_initial a 0 stands in front."""
    check("include_initial", include_initial, Flag())
    x, number = _line("cumulative_sum", as_tensor(x), axis)
    y = apply(_CUMSUM, [x if dtype is None else cast(x, dtype)], {"axis": number})
    return _with_first(y, number, 0) if include_initial else y


cumsum = cumulative_sum


@composite(onnx=NONE("a doubling scan of Mul"), formula="y[i] = Π_{j<=i} x[j]")
def cumulative_prod(x: Any, /, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Tensor:
    """Running product along an axis, by doubling; its gradients are right where elements are 0 too. With
    include_initial a 1 stands in front."""
    check("include_initial", include_initial, Flag())
    x, number = _line("cumulative_prod", as_tensor(x), axis)
    y = cast(x, summed_dtype(x.dtype) if dtype is None else dtype)
    lead = (slice(None),) * number
    step, length = 1, y.shape[number]
    while step < length:
        longer = y[(*lead, slice(step, None))] * y[(*lead, slice(None, length - step))]
        y = concatenate([y[(*lead, slice(None, step))], longer], axis=number)
        step *= 2
    return _with_first(y, number, 1) if include_initial else y


cumprod = cumulative_prod


def diff(x: Any, /, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Tensor:
    """Differences of neighbours along an axis, n times over; `prepend` and `append` are joined to the ends first."""
    check("n", n, Integer(0))
    y, number = _line("diff", as_tensor(x), axis)
    ends = [as_tensor(t) if t is not None else None for t in (prepend, append)]
    if any(t is not None for t in ends):
        y = concatenate([t for t in (ends[0], y, ends[1]) if t is not None], axis=number)
    lead = (slice(None),) * number
    for _ in range(n):
        later, earlier = y[(*lead, slice(1, None))], y[(*lead, slice(None, -1))]
        y = not_equal(later, earlier) if y.dtype.kind == "b" else later - earlier
    return y
