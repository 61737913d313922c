"""One element of a pooling as an expression: over the few places of a window, or the few windows that a place lies in,
one after the other. Called by `elements`. Larger windows have no native rule.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np

from pellucid._typing import Shape
from pellucid.compiler.expressions import BOOL, INT64, Expr, cast, differs, equal, function, number, where
from pellucid.compiler.tiers import Unsupported
from pellucid.graph.ir import Instruction, Value

_MOST = 64
"""Places of a window that are written one after the other."""

Index = tuple[Expr, ...]
Read = Callable[[Value, Index], Expr]


def has_rule(instruction: Instruction) -> bool:
    """Whether there is a native rule: for floats, and windows that are not too large."""
    name, attrs = instruction.op.name, instruction.attrs
    if name == "max_pool_read" or instruction.inputs[0].spec.dtype.kind != "f":
        return False
    places: int = math.prod(attrs["size"])
    return places <= _MOST


def element(instruction: Instruction, index: Index, read: Read) -> Expr:
    """The element of a pooling's result at an index."""
    return _RULES[instruction.op.name](instruction, index, read)


class _Axes:
    """The pooled axes of an operation: how windows lie on them."""

    def __init__(self, instruction: Instruction, lengths: Shape) -> None:
        attrs = instruction.attrs
        k = len(attrs["size"])
        self.lengths: Shape = lengths[-k:]
        self.size: Shape = attrs["size"]
        self.stride: Shape = attrs["stride"]
        self.padding: Shape = attrs.get("padding", (0,) * k)
        self.dilation: Shape = attrs.get("dilation", (1,) * k)

    def places(self, window: Index) -> Iterator[tuple[Index, Expr]]:
        """The places of a window, in row-major order: each brought into the input, and whether it was there."""
        for tap in itertools.product(*map(range, self.size)):
            at = [
                o * s + j * d - p
                for o, s, j, d, p in zip(window, self.stride, tap, self.dilation, self.padding, strict=True)
            ]
            yield _inside(at, self.lengths)

    def windows(self, place: Index, counts: Shape) -> Iterator[tuple[Index, Expr]]:
        """The windows that may hold a place: each brought among those that there are, and whether it was one."""
        if max(self.dilation) > 1:
            yield from self._windows_of_taps(place, counts)
            return
        most = [range(-(-k // s)) for k, s in zip(self.size, self.stride, strict=True)]
        for back in itertools.product(*most):
            at = [(a + p) // s - t for a, p, s, t in zip(place, self.padding, self.stride, back, strict=True)]
            window, exists = _inside(at, counts)
            for a, p, o, s, k in zip(place, self.padding, at, self.stride, self.size, strict=True):
                exists = exists & (a + p - o * s < k)
            yield window, exists

    def _windows_of_taps(self, place: Index, counts: Shape) -> Iterator[tuple[Index, Expr]]:
        """The same where the places of a window do not lie side by side: one window for each of them."""
        for tap in itertools.product(*map(range, self.size)):
            back = [a + p - j * d for a, p, j, d in zip(place, self.padding, tap, self.dilation, strict=True)]
            window, exists = _inside([b // s for b, s in zip(back, self.stride, strict=True)], counts)
            for b, s in zip(back, self.stride, strict=True):
                exists = exists & equal(b % s, 0)
            yield window, exists


def _inside(at: list[Expr], lengths: Shape) -> tuple[Index, Expr]:
    there, exists = [], number(True, BOOL)
    for i, n in zip(at, lengths, strict=True):
        exists = exists & (i >= 0) & (i < n)
        i = where(i < 0, number(0, INT64), i)
        there.append(where(i < n, i, number(n - 1, INT64)))
    return tuple(there), exists


def _split(index: Index, k: int) -> tuple[Index, Index]:
    return index[: len(index) - k], index[len(index) - k :]


def _flat(place: Index, lengths: Shape) -> Expr:
    flat = number(0, INT64)
    for i, n in zip(place, lengths, strict=True):
        flat = flat * n + i
    return flat


def _maximum(instruction: Instruction, index: Index, read: Read) -> Expr:
    (x,) = instruction.inputs
    axes = _Axes(instruction, x.spec.shape)
    lead, window = _split(index, len(axes.size))
    lowest = number(-np.inf, x.spec.dtype)
    result: Expr | None = None
    for place, exists in axes.places(window):
        value = where(exists, read(x, (*lead, *place)), lowest)
        result = value if result is None else function("maximum", result, value)
    return _given(result)


def _positions(instruction: Instruction, index: Index, read: Read) -> Expr:
    (x,) = instruction.inputs
    axes = _Axes(instruction, x.spec.shape)
    lead, window = _split(index, len(axes.size))
    best: Expr | None = None
    position: Expr | None = None
    for place, exists in axes.places(window):
        value, flat = read(x, (*lead, *place)), _flat(place, axes.lengths)
        if best is None or position is None:
            # A first place in the border loses to any other.
            best, position = where(exists, value, number(-np.inf, value.dtype)), flat
            none = where(exists, number(False, BOOL), number(True, BOOL))
            continue
        better = exists & (none | (value > best) | differs(value, value))
        best, position = where(better, value, best), where(better, flat, position)
        none = none & where(exists, number(False, BOOL), number(True, BOOL))
    return _given(position)


def _written(instruction: Instruction, index: Index, read: Read) -> Expr:
    g, positions = instruction.inputs
    axes = _Axes(instruction, instruction.output.spec.shape)
    lead, place = _split(index, len(axes.size))
    counts = g.spec.shape[g.spec.ndim - len(axes.size) :]
    flat, zero = _flat(place, axes.lengths), number(0, g.spec.dtype)
    result: Expr | None = None
    for window, exists in axes.windows(place, counts):
        own = (*lead, *window)
        chosen = exists & equal(cast(read(positions, own), INT64), flat)
        value = where(chosen, read(g, own), zero)
        result = value if result is None else result + value
    return _given(result)


def _summed(instruction: Instruction, index: Index, read: Read) -> Expr:
    (x,) = instruction.inputs
    axes = _Axes(instruction, x.spec.shape)
    lead, window = _split(index, len(axes.size))
    result: Expr | None = None
    for place, _ in axes.places(window):
        value = read(x, (*lead, *place))
        result = value if result is None else result + value
    return _given(result)


def _spread(instruction: Instruction, index: Index, read: Read) -> Expr:
    (g,) = instruction.inputs
    axes = _Axes(instruction, instruction.output.spec.shape)
    lead, place = _split(index, len(axes.size))
    counts = g.spec.shape[g.spec.ndim - len(axes.size) :]
    result: Expr | None = None
    for window, exists in axes.windows(place, counts):
        value = where(exists, read(g, (*lead, *window)), number(0, g.spec.dtype))
        result = value if result is None else result + value
    return _given(result)


def _given(result: Expr | None) -> Expr:
    if result is None:
        raise Unsupported("a window without places")
    return result


_RULES: dict[str, Callable[[Instruction, Index, Read], Expr]] = {
    "max_pool": _maximum,
    "max_pool_positions": _positions,
    "max_pool_write": _written,
    "sum_windows": _summed,
    "spread_windows": _spread,
}
