"""Operations that native code has no rule for, written as several that it knows: elementwise ones, sums and extremes.
What was one operation stays in its scope. Results may differ from eager's in their last bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from pellucid._typing import Shape
from pellucid.compiler.passes.expand_index import index, index_add, put
from pellucid.compiler.passes.expand_product import product
from pellucid.compiler.passes.rewriting import Rewriting, indices_a_line
from pellucid.graph.ir import Graph, Instruction, Value
from pellucid.ops.index.template import ARRAY

# A reduction of more elements to one number is worth a second thread.
_SHARED = 4096

# Lines with more indices would be gone through too often, and so would longer ones for their running sums.
_FEW = 16
_SHORT = 64


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
    """The elements of each line that its indices name, each found as the largest where no other takes part."""
    x, indices = i.inputs
    if x.spec.ndim == 1:
        return work.add("index", x, indices, like=i, template=(ARRAY,))
    if not 0 < indices_a_line(i) <= _FEW:
        return None
    hit, place = _hits(work, i, indices, x.spec.shape)
    if place != i.attrs["axis"]:
        x = work.reshaped(x, _wider(x.spec.shape, place - 1), like=i)
    if x.spec.dtype.kind == "b":
        found = work.add("any", work.add("logical_and", hit, x, like=i), like=i, axis=(place,), keepdims=True)
    else:
        lowest = -math.inf if x.spec.dtype.kind == "f" else int(np.iinfo(x.spec.dtype).min)
        found = work.add("max", work.add("where", hit, x, lowest, like=i), like=i, axis=(place,), keepdims=True)
    return work.reshaped(found, i.output.spec.shape, like=i)


def _place_along(work: Rewriting, i: Instruction) -> Value | None:
    g, indices = i.inputs
    return _placed(work, i, g, indices)


def _scatter_add(work: Rewriting, i: Instruction) -> Value | None:
    x, indices, added = i.inputs
    if indices_a_line(i) == 1:
        hit, _ = _hits(work, i, indices, i.output.spec.shape)
        return work.add("where", hit, work.add("add", x, added, like=i), x, like=i)
    placed = _placed(work, i, work.converted(added, i.output.spec.dtype, like=i), indices)
    return None if placed is None else work.add("add", x, placed, like=i)


def _placed(work: Rewriting, i: Instruction, g: Value, indices: Value) -> Value | None:
    """Zeros with elements added where the indices of each line say."""
    axis, shape = i.attrs["axis"], i.output.spec.shape
    if len(shape) == 1:
        return work.add("index_add", g, indices, like=i, shape=shape, template=(ARRAY,))
    if not 0 < indices_a_line(i) <= _FEW:
        return None
    hit, place = _hits(work, i, indices, shape)
    if place != axis:
        g = work.reshaped(g, _wider(g.spec.shape, place), like=i)
    placed = work.add("where", hit, g, g.spec.dtype.type(0).item(), like=i)
    if place != axis:
        placed = work.add("sum", placed, like=i, axis=(axis,), keepdims=False)
    return work.converted(placed, i.output.spec.dtype, like=i)


def _hits(work: Rewriting, i: Instruction, indices: Value, shape: Shape) -> tuple[Value, int]:
    """Where in lines of a shape the places are that indices name, and the axis of the lines: one further back where
    lines have several indices. Negative indices count from the end."""
    place = i.attrs["axis"]
    length = shape[place]
    if indices.spec.shape[place] > 1:
        place += 1
        indices = work.reshaped(indices, _wider(indices.spec.shape, place), like=i)
    indices = work.converted(indices, np.dtype(np.int64), like=i)
    from_end = work.add("add", indices, length, like=i)
    indices = work.add("where", work.add("less", indices, 0, like=i), from_end, indices, like=i)
    return work.add("equal", _places(work, place, indices.spec.ndim, length), indices, like=i), place


def _cumsum(work: Rewriting, i: Instruction) -> Value | None:
    """Each running sum by itself, of the elements that are not behind it."""
    x, axis = i.inputs[0], i.attrs["axis"]
    length = x.spec.shape[axis]
    if length > _SHORT:
        return None
    x = work.reshaped(work.converted(x, i.output.spec.dtype, like=i), _wider(x.spec.shape, axis), like=i)
    ndim = x.spec.ndim
    so_far = work.add("less_equal", _places(work, axis + 1, ndim, length), _places(work, axis, ndim, length), like=i)
    part = work.add("where", so_far, x, x.spec.dtype.type(0).item(), like=i)
    return work.add("sum", part, like=i, axis=(axis + 1,), keepdims=False)


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
    places = work.add("where", hit, _places(work, axis, x.spec.ndim, x.spec.shape[axis]), x.spec.shape[axis], like=i)
    return work.reshaped(work.add("min", places, like=i, **over), i.output.spec.shape, like=i)


def _places(work: Rewriting, axis: int, ndim: int, length: int) -> Value:
    """0, 1, 2, ... along one of several axes."""
    return work.constant(np.arange(length).reshape((length,) + (1,) * (ndim - axis - 1)))


def _wider(shape: Shape, axis: int) -> Shape:
    """With a new axis of length 1."""
    return (*shape[:axis], 1, *shape[axis:])


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
    "cumsum": _cumsum,
    "argmax": partial(_position, extreme="max"),
    "argmin": partial(_position, extreme="min"),
    "sum_to": _sum_to,
    **dict.fromkeys(("sum", "max", "min", "any", "all"), _reduction),
    "index": index,
    "index_add": index_add,
    "put": put,
    **dict.fromkeys(("contract", "matmul", "linear_map", "affine_map"), product),
}
