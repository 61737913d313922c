"""The place of an element in memory as one subscript an axis: `x[784 * i + k]` is read as `x[i, k]`. Called by
`python_expressions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pellucid.compiler.expressions import INT64, Buffer, Expr, Variable, affine, as_expr, number

Range = tuple[int, int]
"""The least and the greatest value of a counter."""


def subscripts(buffer: Buffer, index: Expr, ranges: Mapping[Variable, Range]) -> tuple[Expr, ...] | None:
    """One subscript an axis, or None where the place cannot be divided so that each surely is on its axis.

    Parameters
        ranges : of the counters for which they are known
    """
    if len(buffer.shape) == 1 and buffer.strides == (1,):
        return (index,)
    constant, terms = affine(index)
    axes = [a for a, n in enumerate(buffer.shape) if n > 1 and buffer.strides[a]]
    axes.sort(key=lambda a: -buffer.strides[a])
    own: dict[int, list[tuple[Any, int]]] = {a: [] for a in axes}
    for key, factor in terms.items():
        axis = next((a for a in axes if factor % buffer.strides[a] == 0), None)
        if axis is None:
            return None
        own[axis].append((key, factor // buffer.strides[axis]))
    result = [number(0, INT64)] * len(buffer.shape)
    for axis in axes:
        stride = buffer.strides[axis]
        start = abs(constant) // stride * (1 if constant >= 0 else -1)
        constant -= start * stride
        if not _within(own[axis], start, buffer.shape[axis], ranges):
            return None
        result[axis] = _sum(own[axis], start)
    return tuple(result) if constant == 0 else None


def _within(terms: list[tuple[Any, int]], start: int, length: int, ranges: Mapping[Variable, Range]) -> bool:
    """Whether a subscript is on its axis. What is looked up, or counted from where a thread begins, is so alone."""
    if len(terms) == 1 and terms[0][1] == 1 and start == 0 and terms[0][0] not in ranges:
        return True
    least = greatest = start
    for key, factor in terms:
        if key not in ranges:
            return False
        ends = [factor * end for end in ranges[key]]
        least, greatest = least + min(ends), greatest + max(ends)
    return least >= 0 and greatest < length


def _sum(terms: list[tuple[Any, int]], start: int) -> Expr:
    """The terms with positive factors first, the constant last; i + 3, 27 - i."""
    result: Expr | None = None
    if start > 0 and all(factor < 0 for _, factor in terms):
        result, start = number(start, INT64), 0
    for key, factor in sorted(terms, key=lambda term: term[1] < 0):
        part = as_expr(key, INT64) * abs(factor)
        if result is None:
            result = number(0, INT64)
        result = result + part if factor > 0 else result - part
    if result is None:
        return number(start, INT64)
    return result + start if start >= 0 else result - (-start)
