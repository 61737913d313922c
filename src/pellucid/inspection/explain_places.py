"""An element of a result comes in; the elements of the inputs that it is made of leave, as arrays of places: what the
index formulas of contractions, convolutions and windows say, read backward. `explain_terms` writes sums from them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.graph import Instruction
from pellucid.graph.ir import input_spec
from pellucid.ops._families.contraction import Formula, extents
from pellucid.ops._families.convolution import Geometry, Role, Shapes

Place = tuple[int, ...]


class Pairs(NamedTuple):
    """The products of a sum: flat places of the first and of the second factor, in the same order."""

    a: Array
    b: Array


def contraction_pairs(formula: Formula, a: Shape, b: Shape, place: Place) -> Pairs:
    """The products that a contraction sums at a place of its result."""
    lengths = extents(formula, a, b)
    fixed = {letter: i for letter, i in zip(formula.out, place, strict=True) if letter != "1"}
    inner = [i for i in dict.fromkeys(formula.a + formula.b) if i not in fixed and i != "1"]
    count = math.prod(lengths[i] for i in inner)
    grid = np.indices([lengths[i] for i in inner]).reshape(len(inner), count)
    known: dict[str, Any] = {"1": np.zeros(count, np.int64)}
    known.update({i: np.full(count, n) for i, n in fixed.items()})
    known.update(zip(inner, grid, strict=True))

    def flat(term: str, shape: Shape) -> Array:
        if not term:
            return np.zeros(count, np.int64)
        places: Array = np.ravel_multi_index([known[i] for i in term], shape)
        return places

    return Pairs(flat(formula.a, a), flat(formula.b, b))


def convolution_pairs(role: Role, shapes: Shapes, geometry: Geometry, place: Place) -> Pairs:
    """The products that a convolution sums at a place of the tensor `role`; those with the padding are left out.

    The factors are x and k for y, y and k for x, x and y for k, as the operations take them.
    """
    groups, axes = geometry.groups, len(geometry.stride)
    outs, per = shapes.k[0] // groups, shapes.k[1]
    # For each letter the values that it takes; along each axis the triples (input, output, tap) that fit together.
    along = [_triples(role, shapes, geometry, axis, place[2 + axis]) for axis in range(axes)]
    picks = np.indices([len(t) for t in along]).reshape(axes, math.prod(map(len, along)))
    spatial = [[along[axis][picks[axis], part] for axis in range(axes)] for part in range(3)]
    ins, ends, taps = spatial
    count = picks.shape[1]
    leads: dict[str, Any]
    if role == "y":
        n, o = place[:2]
        channels = np.arange(per)
        leads = {"n": n, "o": o, "c": channels, "whole": o // outs * per + channels}
    elif role == "x":
        n, whole = place[:2]
        numbers = whole // per * outs + np.arange(outs)
        leads = {"n": n, "o": numbers, "c": whole % per, "whole": whole}
    else:
        o, c = place[:2]
        leads = {"n": np.arange(shapes.x[0]), "o": o, "c": c, "whole": o // outs * per + c}
    free = max(np.size(v) for v in leads.values())

    def flat(names: tuple[str, str], where: list[Array], shape: Shape) -> Array:
        first = [np.broadcast_to(leads[i], (free,)).repeat(count) for i in names]
        return np.ravel_multi_index([*first, *(np.tile(w, free) for w in where)], shape)

    x = flat(("n", "whole"), ins, shapes.x)
    y = flat(("n", "o"), ends, shapes.y)
    k = flat(("o", "c"), taps, shapes.k)
    return {"y": Pairs(x, k), "x": Pairs(y, k), "k": Pairs(x, y)}[role]


def _triples(role: Role, shapes: Shapes, geometry: Geometry, axis: int, at: int) -> Array:
    """(input, output, tap) along an axis with the index of `role` fixed, all inside."""
    stride, dilation, (before, _) = geometry.stride[axis], geometry.dilation[axis], geometry.padding[axis]
    length, many, size = (s[2 + axis] for s in shapes)
    if role == "y":
        taps = np.arange(size)
        ends = np.full(size, at)
    elif role == "k":
        ends = np.arange(many)
        taps = np.full(many, at)
    else:
        taps = np.arange(size)
        reach = at + before - taps * dilation
        ends = np.where(reach % stride == 0, reach // stride, -1)
    ins = ends * stride + taps * dilation - before
    inside = (ins >= 0) & (ins < length) & (ends >= 0) & (ends < many)
    return np.stack([ins, ends, taps], axis=1)[inside]


def convolution_of(instruction: Instruction) -> tuple[Role, Shapes, Geometry]:
    """Which tensor an operation sums, and what of."""
    roles: dict[str, Role] = {"convolution": "y", "convolution_input": "x", "convolution_kernel": "k"}
    a, b = (input_spec(x).shape for x in instruction.inputs)
    shapes, geometry = instruction.op.kernel(a, b, dict(instruction.attrs))
    return roles[instruction.op.name], shapes, geometry


def window_places(attrs: Any, shape: Shape, place: Place) -> list[Place]:
    """The elements of the input that lie in the window of a pooling."""
    size = attrs["size"]
    split = len(shape) - len(size)
    padding, dilation = attrs.get("padding", (0,) * len(size)), attrs.get("dilation", (1,) * len(size))
    found = []
    for taps in np.ndindex(*size):
        at = tuple(
            o * s - p + j * d
            for o, s, p, j, d in zip(place[split:], attrs["stride"], padding, taps, dilation, strict=True)
        )
        if all(0 <= i < n for i, n in zip(at, shape[split:], strict=True)):
            found.append((*place[:split], *at))
    return found


def broadcast_place(place: Place, shape: Shape) -> Place:
    """Where an input of `shape` stands at a place of what it is broadcast to."""
    return tuple(0 if n == 1 else i for i, n in zip(place[len(place) - len(shape) :], shape, strict=True))
