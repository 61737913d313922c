"""Operations that native code has no rule for, written as several that it knows: elementwise ones, sums and extremes.
What was one operation stays in its scope. Results may differ from eager's in their last bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pellucid._typing import DType, Shape
from pellucid.compiler.passes.expand_index import index, index_add
from pellucid.compiler.passes.expand_product import product
from pellucid.compiler.passes.rewriting import Rewriting, one_a_line
from pellucid.graph.ir import Graph, Instruction, Value

# A reduction of more elements to one number is worth a second thread.
_SHARED = 4096


def expand(graph: Graph) -> Graph:
    """The graph in operations that native code has rules for, as far as there are such."""
    return Rewriting(graph).rewritten(_rule)


def _rule(work: Rewriting, i: Instruction) -> Value | None:
    if i.output.spec.size == 0 or any(isinstance(x, Value) and x.spec.size == 0 for x in i.inputs):
        return None
    rule = _RULES.get(i.op.name)
    return None if rule is None else rule(work, i)


# Along lines


def _log_softmax(work: Rewriting, i: Instruction) -> Value:
    x = work.converted(i.inputs[0], i.output.spec.dtype, like=i)
    over = {"axis": (i.attrs["axis"],), "keepdims": True}
    shifted = work.add("subtract", x, work.add("max", x, like=i, **over), like=i)
    total = work.add("sum", work.add("exp", shifted, like=i), like=i, **over)
    return work.add("subtract", shifted, work.add("log", total, like=i), like=i)


def _softmax(work: Rewriting, i: Instruction) -> Value | None:
    """exp(shifted - log(total)), where exp(shifted) is there already: that over the total, without another exp."""
    minus = work.maker(i.inputs[0], "subtract")
    log = None if minus is None else work.maker(minus.inputs[1], "log")
    total = None if log is None else work.maker(log.inputs[0], "sum")
    exp = None if total is None else work.maker(total.inputs[0], "exp")
    if minus is None or total is None or exp is None or exp.inputs[0] is not minus.inputs[0]:
        return None
    return work.add("multiply", exp.output, work.add("reciprocal", total.output, like=i), like=i)


def _logsumexp(work: Rewriting, i: Instruction) -> Value:
    x = work.converted(i.inputs[0], i.output.spec.dtype, like=i)
    over = {"axis": i.attrs["axis"], "keepdims": True}
    # An infinite largest element is brought to the largest number, so that inf - inf does not arise.
    limit = float(np.finfo(i.output.spec.dtype).max)
    top = work.add("clip", work.add("max", x, like=i, **over), like=i, min=-limit, max=limit)
    total = work.add("sum", work.add("exp", work.add("subtract", x, top, like=i), like=i), like=i, **over)
    result = work.add("add", work.add("log", total, like=i), top, like=i)
    return work.reshaped(result, i.output.spec.shape, like=i)


def _take_along(work: Rewriting, i: Instruction) -> Value | None:
    """The element of each line that an index names, found as the largest where no other takes part."""
    x, indices = i.inputs
    axis = i.attrs["axis"]
    if not one_a_line(i):
        return None
    hit = _hit(work, i, indices, axis, x.spec.shape)
    over = {"axis": (axis,), "keepdims": True}
    if x.spec.dtype.kind == "b":
        return work.add("any", work.add("logical_and", hit, x, like=i), like=i, **over)
    lowest = -math.inf if x.spec.dtype.kind == "f" else int(np.iinfo(x.spec.dtype).min)
    return work.add("max", work.add("where", hit, x, lowest, like=i), like=i, **over)


def _place_along(work: Rewriting, i: Instruction) -> Value | None:
    g, indices = i.inputs
    axis, shape = i.attrs["axis"], i.output.spec.shape
    if not one_a_line(i):
        return None
    return work.add("where", _hit(work, i, indices, axis, shape), g, _zero(g.spec.dtype), like=i)


def _scatter_add(work: Rewriting, i: Instruction) -> Value | None:
    x, indices, added = i.inputs
    axis, shape = i.attrs["axis"], i.output.spec.shape
    if not one_a_line(i):
        return None
    total = work.add("add", x, added, like=i)
    return work.add("where", _hit(work, i, indices, axis, shape), total, x, like=i)


def _position(work: Rewriting, i: Instruction, extreme: str) -> Value:
    """argmax and argmin: the smallest place at which the extreme stands; the first NaN if there is one."""
    x, axes = i.inputs[0], i.attrs["axis"]
    if x.spec.dtype.kind == "b":
        x = work.converted(x, np.dtype(np.int64), like=i)
    if len(axes) > 1:
        x, axes = work.reshaped(x, (x.spec.size,), like=i), (0,)
    if not axes:
        return work.constant(np.zeros((), np.int64))
    (axis,) = axes
    over = {"axis": axes, "keepdims": True}
    hit = work.add("equal", x, work.add(extreme, x, like=i, **over), like=i)
    if x.spec.dtype.kind == "f":
        hit = work.add("logical_or", hit, work.add("isnan", x, like=i), like=i)
    places = work.add("where", hit, _places(work, axis, x.spec.shape), x.spec.shape[axis], like=i)
    return work.reshaped(work.add("min", places, like=i, **over), i.output.spec.shape, like=i)


def _hit(work: Rewriting, i: Instruction, indices: Value, axis: int, shape: Shape) -> Value:
    """Where in lines of a shape the places are that indices name; negative ones count from the end."""
    indices = work.converted(indices, np.dtype(np.int64), like=i)
    from_end = work.add("add", indices, shape[axis], like=i)
    indices = work.add("where", work.add("less", indices, 0, like=i), from_end, indices, like=i)
    return work.add("equal", _places(work, axis, shape), indices, like=i)


def _places(work: Rewriting, axis: int, shape: Shape) -> Value:
    """0, 1, 2, ... along an axis."""
    return work.constant(np.arange(shape[axis]).reshape(_with((1,) * len(shape), axis, shape[axis])))


def _with(shape: Shape, axis: int, length: int) -> Shape:
    return (*shape[:axis], length, *shape[axis + 1 :])


def _zero(dtype: DType) -> Any:
    return dtype.type(0).item()


# Reductions


def _sum_to(work: Rewriting, i: Instruction) -> Value:
    x, shape = i.inputs[0], i.output.spec.shape
    lead = x.spec.ndim - len(shape)
    axes = tuple(a for a, n in enumerate(x.spec.shape) if a < lead or shape[a - lead] != n)
    total = work.add("sum", x, like=i, axis=axes, keepdims=False)
    return work.reshaped(work.converted(total, i.output.spec.dtype, like=i), shape, like=i)


def _reduction(work: Rewriting, i: Instruction) -> Value | None:
    """A reduction to one number in two, so that threads share the first."""
    x = i.inputs[0]
    rows = next((a for a, n in enumerate(x.spec.shape) if n > 1), 0)
    inner = tuple(range(rows + 1, x.spec.ndim))
    if i.output.spec.size > 1 or x.spec.size <= _SHARED or x.spec.size == x.spec.shape[rows]:
        return None
    each = work.add(i.op.name, x, like=i, axis=inner, keepdims=True)
    all_axes = tuple(range(x.spec.ndim))
    return work.reshaped(work.add(i.op.name, each, like=i, axis=all_axes, keepdims=False), i.output.spec.shape, like=i)


_RULES: dict[str, Callable[[Rewriting, Instruction], Value | None]] = {
    "exp": _softmax,
    "log_softmax": _log_softmax,
    "logsumexp": _logsumexp,
    "take_along": _take_along,
    "place_along": _place_along,
    "scatter_add": _scatter_add,
    "argmax": partial(_position, extreme="max"),
    "argmin": partial(_position, extreme="min"),
    "sum_to": _sum_to,
    **dict.fromkeys(("sum", "max", "min", "any", "all"), _reduction),
    "index": index,
    "index_add": index_add,
    **dict.fromkeys(("contract", "matmul", "linear_map", "affine_map"), product),
}
