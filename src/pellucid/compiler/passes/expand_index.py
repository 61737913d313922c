"""Indexing as native code knows it: slices and whole numbers, or one array of indices; and its transpose, which adds
into zeros, as a border of zeros or as rows added to rows; and assignment to what slices pick. Called by `expand`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from pellucid._typing import Shape
from pellucid.compiler.passes.rewriting import Rewriting
from pellucid.graph.ir import Instruction, Value
from pellucid.ops.index.template import ARRAY


class _Parts(NamedTuple):
    """A template as steps that follow each other.

    basic : slices and whole numbers, one for each axis.
    axes : of what `basic` leaves, those that arrays index.
    place : where the arrays' axes stand in the result.
    """

    basic: tuple[Any, ...]
    axes: tuple[int, ...]
    place: int


def index(work: Rewriting, i: Instruction) -> Value | None:
    """An index without new axes, with arrays or with whole numbers; None if it is one."""
    x, *arrays = i.inputs
    template = i.attrs["template"]
    plain = all(isinstance(t, str | slice | int) for t in template)
    if plain and (not arrays or (len(arrays) == 1 and not any(isinstance(t, int) for t in template))):
        return None
    parts = _parts(template, x.spec.ndim)
    if any(t != slice(None) for t in parts.basic):
        x = work.add("index", x, like=i, template=parts.basic)
    if arrays:
        x = _arranged(work, i, x, parts)
        flat = _flat(work, i, arrays, tuple(x.spec.shape[parts.place : parts.place + len(arrays)]))
        x = work.reshaped(x, _joined(x.spec.shape, parts), like=i)
        x = work.add("index", x, flat, like=i, template=(slice(None),) * parts.place + (ARRAY,))
    return work.reshaped(x, i.output.spec.shape, like=i)


def index_add(work: Rewriting, i: Instruction) -> Value | None:
    """Zeros with elements added, as rows added to the rows of a matrix or as a border; None if it is such."""
    g, *arrays = i.inputs
    template, shape = i.attrs["template"], i.output.spec.shape
    if arrays and template[0] == ARRAY and len(arrays) == 1 and all(t == slice(None) for t in template[1:]):
        return None
    parts = _parts(template, len(shape))
    picked = np.broadcast_to(np.empty((), np.bool_), shape)[parts.basic].shape
    if not arrays:
        return _bordered(work, i, g, parts.basic)
    front = (*parts.axes, *(a for a in range(len(picked)) if a not in parts.axes))
    rows = tuple(picked[a] for a in front)
    count = len(arrays)
    flat = _flat(work, i, arrays, rows[:count])
    block = flat.spec.ndim
    rest = rows[count:]
    g = work.reshaped(g, (*rest[: parts.place], *flat.spec.shape, *rest[parts.place :]), like=i)
    moved = (*range(parts.place, parts.place + block), *range(parts.place), *range(parts.place + block, g.spec.ndim))
    g = work.transposed(g, moved, like=i)
    merged = (math.prod(rows[:count]), *rest)
    g = work.add("index_add", g, flat, like=i, shape=merged, template=(ARRAY,))
    g = work.transposed(work.reshaped(g, rows, like=i), tuple(front.index(a) for a in range(len(front))), like=i)
    return _bordered(work, i, g, parts.basic)


def put(work: Rewriting, i: Instruction) -> Value | None:
    """Elements replaced where slices and whole numbers pick: a choice at every place. None with arrays, which may pick
    one place twice."""
    x, value, *arrays = i.inputs
    if arrays:
        return None
    template = i.attrs["template"]
    picked = np.zeros(x.spec.shape, np.bool_)
    picked[template] = True
    if isinstance(value, Value):
        value = work.converted(value, x.spec.dtype, like=i)
        if value.spec.size == 1:
            value = work.reshaped(value, (), like=i)
        else:
            shape = picked[template].shape
            if value.spec.shape != shape:
                value = work.add("broadcast_to", value, like=i, shape=shape)
            value = _bordered(work, i, value, _parts(template, x.spec.ndim).basic)
    return work.add("where", work.constant(picked), value, x, like=i)


def _parts(template: tuple[Any, ...], ndim: int) -> _Parts:
    used = sum(t is not None and t is not Ellipsis for t in template)
    items: list[Any] = []
    for t in template if any(t is Ellipsis for t in template) else (*template, Ellipsis):
        items += [slice(None)] * (ndim - used) if t is Ellipsis else [t]
    arrays = [n for n, t in enumerate(items) if isinstance(t, str)]
    # Beside arrays whole numbers count as arrays too. Where a slice or a new axis parts them, their axes go to the
    # front of the result.
    advanced = [n for n, t in enumerate(items) if isinstance(t, str | int)]
    together = not arrays or advanced == list(range(advanced[0], advanced[-1] + 1))
    own = [t for t in items if t is not None]
    left = [t for t in own if not isinstance(t, int)]
    axes = tuple(n for n, t in enumerate(left) if isinstance(t, str))
    basic = tuple(slice(None) if isinstance(t, str) else t for t in own)
    return _Parts(basic, axes, axes[0] if axes and together else 0)


def _arranged(work: Rewriting, i: Instruction, x: Value, parts: _Parts) -> Value:
    """The axes that arrays index side by side, from their place on."""
    others = [a for a in range(x.spec.ndim) if a not in parts.axes]
    return work.transposed(x, (*others[: parts.place], *parts.axes, *others[parts.place :]), like=i)


def _joined(shape: Shape, parts: _Parts) -> Shape:
    end = parts.place + len(parts.axes)
    return (*shape[: parts.place], math.prod(shape[parts.place : end]), *shape[end:])


def _flat(work: Rewriting, i: Instruction, arrays: list[Value], lengths: Shape) -> Value:
    """Indices of several axes as one into those axes joined; negative ones count from the end of their axis."""
    if len(arrays) == 1:
        return arrays[0]
    total: Value | None = None
    for array, length in zip(arrays, lengths, strict=True):
        place = array if array.spec.dtype == np.int64 else work.add("cast", array, like=i, dtype="int64")
        from_end = work.add("add", place, length, like=i)
        place = work.add("where", work.add("less", place, 0, like=i), from_end, place, like=i)
        total = place if total is None else work.add("multiply_add", total, length, place, like=i)
    assert total is not None
    return total


def _bordered(work: Rewriting, i: Instruction, g: Value, basic: tuple[Any, ...]) -> Value:
    """Elements where slices and whole numbers pick, zeros elsewhere."""
    shape = i.output.spec.shape
    picks = [
        range(n)[t] if isinstance(t, slice) else range(t % n, t % n + 1) for t, n in zip(basic, shape, strict=True)
    ]
    g = work.reshaped(g, tuple(map(len, picks)), like=i)
    backwards = tuple(a for a, pick in enumerate(picks) if pick.step < 0)
    if backwards:
        g = work.add("flip", g, like=i, axis=backwards)
        picks = [pick[::-1] if pick.step < 0 else pick for pick in picks]
    if any(pick.step > 1 for pick in picks):
        g = _apart(work, i, g, [pick.step for pick in picks])
    ends = [pick.start + n for pick, n in zip(picks, g.spec.shape, strict=True)]
    if any(end > n for end, n in zip(ends, shape, strict=True)):
        template = tuple(slice(0, n - pick.start) for pick, n in zip(picks, shape, strict=True))
        g = work.add("index", g, like=i, template=template)
        ends = [min(end, n) for end, n in zip(ends, shape, strict=True)]
    widths = tuple((pick.start, n - end) for pick, end, n in zip(picks, ends, shape, strict=True))
    return work.add("pad", g, like=i, widths=widths, value=0)


def _apart(work: Rewriting, i: Instruction, g: Value, steps: list[int]) -> Value:
    """Zeros after each element, so that the elements of an axis stand its step apart."""
    shape = g.spec.shape
    g = work.reshaped(g, tuple(length for n in shape for length in (n, 1)), like=i)
    widths = tuple(width for step in steps for width in ((0, 0), (0, step - 1)))
    g = work.add("pad", g, like=i, widths=widths, value=0)
    return work.reshaped(g, tuple(n * step for n, step in zip(shape, steps, strict=True)), like=i)
