"""Samples of the operations on sliding windows; oracles by loops over windows and places."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.ops.samples.sample import Sample, points

Shape = tuple[int, ...]

LINE = points(31, (7,), -2, 2)
PLANES = points(32, (2, 3, 5, 6), -2, 2)
# Distinct by more than a difference's step, so that no largest element changes.
DISTINCT = np.random.default_rng(33).permutation(60).reshape(1, 2, 5, 6) / 10.0 - 3.0
TIES = np.array([[1.0, 2.0, 2.0, 0.0], [2.0, 2.0, 1.0, -1.0], [-1.0, 0.0, 0.0, 0.0]])
SPECIAL = np.array([[-np.inf, -np.inf, 1.0, np.nan], [-np.inf, -np.inf, np.nan, 2.0], [np.inf, 1.0, 2.0, 3.0]])


def reach(size: int, dilation: int) -> int:
    return len(range(0, size * dilation, dilation)[:-1]) * dilation + 1


def starts(length: int, size: int, stride: int, dilation: int) -> range:
    return range(0, length - reach(size, dilation) + 1, stride)


def places(lengths: Shape, size: Shape, stride: Shape, dilation: Shape) -> Iterator[tuple[Shape, Shape, Shape]]:
    """Every window, every place in it, and where that lies."""
    axes = [list(starts(*a)) for a in zip(lengths, size, stride, dilation, strict=True)]
    for window in itertools.product(*(range(len(a)) for a in axes)):
        for place in itertools.product(*map(range, size)):
            at = tuple(a[w] + j * d for a, w, j, d in zip(axes, window, place, dilation, strict=True))
            yield window, place, at


def taken(x: Any, size: Shape, stride: Shape, dilation: Shape) -> np.ndarray:
    k = len(size)
    lengths = x.shape[x.ndim - k :]
    counts = [len(starts(*a)) for a in zip(lengths, size, stride, dilation, strict=True)]
    y = np.zeros((*x.shape[: x.ndim - k], *counts, *size), x.dtype)
    for window, place, at in places(lengths, size, stride, dilation):
        y[(..., *window, *place)] = x[(..., *at)]
    return y


def added(g: Any, lengths: Shape, stride: Shape, dilation: Shape) -> np.ndarray:
    k = len(lengths)
    y = np.zeros((*g.shape[: g.ndim - 2 * k], *lengths))
    for window, place, at in places(lengths, g.shape[g.ndim - k :], stride, dilation):
        y[(..., *at)] += g[(..., *window, *place)]
    return y


def summed(x: Any, size: Shape, stride: Shape) -> np.ndarray:
    k = len(size)
    return taken(x, size, stride, (1,) * k).sum(tuple(range(-k, 0)))


def spread(g: Any, lengths: Shape, size: Shape, stride: Shape) -> np.ndarray:
    k = len(size)
    y = np.zeros((*g.shape[: g.ndim - k], *lengths), g.dtype)
    for window, _, at in places(lengths, size, stride, (1,) * k):
        y[(..., *at)] += g[(..., *window)]
    return y


def window_elements(
    lengths: Shape, size: Shape, stride: Shape, padding: Shape, dilation: Shape, ceil_mode: bool
) -> Iterator[tuple[Shape, list[Shape]]]:
    """Every window of a max pooling and the places of the input in it."""
    axes = []
    for n, j, s, p, d in zip(lengths, size, stride, padding, dilation, strict=True):
        lines, start = [], -p
        while start + reach(j, d) <= n + p or (ceil_mode and start < n):
            lines.append([a for a in range(start, start + reach(j, d), d) if 0 <= a < n])
            start += s
            if ceil_mode and start - s + reach(j, d) >= n + p:
                break
        axes.append(lines)
    for window in itertools.product(*(range(len(a)) for a in axes)):
        yield window, list(itertools.product(*(a[w] for a, w in zip(axes, window, strict=True))))


def largest(x: Any, **attrs: Any) -> np.ndarray:
    k = len(attrs["size"])
    lengths = x.shape[x.ndim - k :]
    windows = list(window_elements(lengths, **attrs))
    counts = tuple(n + 1 for n in windows[-1][0])
    y = np.zeros((*x.shape[: x.ndim - k], *counts), int)
    for lead in np.ndindex(*x.shape[: x.ndim - k]):
        plane = x[lead]
        for window, inside in windows:
            best = inside[0]
            for at in inside[1:]:
                if plane[at] > plane[best] or plane[at] != plane[at]:
                    best = at
            y[(*lead, *window)] = np.ravel_multi_index(best, lengths)
    return y


def pooled(**attrs: Any) -> dict[str, Any]:
    k = len(attrs["size"])
    ones, zeros = (1,) * k, (0,) * k
    return {"stride": ones, "padding": zeros, "dilation": ones, "ceil_mode": False} | attrs


TAKEN: list[tuple[Any, Shape, Shape, Shape]] = [
    (PLANES, (2, 3), (1, 1), (1, 1)),
    (PLANES, (2, 2), (2, 2), (1, 1)),
    (PLANES, (3, 2), (1, 3), (2, 4)),
    (PLANES, (5, 6), (1, 1), (1, 1)),
    (PLANES, (1, 1), (4, 7), (1, 1)),
    (LINE, (3,), (2,), (1,)),
    (LINE, (2,), (5,), (3,)),
    (points(34, (2, 3, 4, 3), -1, 1), (2, 2, 3), (1, 2, 1), (1, 2, 1)),
    (np.zeros((0, 4)), (3,), (1,), (1,)),
]
POOLED: list[tuple[Any, dict[str, Any]]] = [
    (DISTINCT, pooled(size=(2, 2), stride=(2, 2))),
    (DISTINCT, pooled(size=(3, 3), stride=(2, 2), padding=(1, 1))),
    (DISTINCT, pooled(size=(3, 2), stride=(2, 3), padding=(1, 1), dilation=(2, 3))),
    (DISTINCT, pooled(size=(2, 4), stride=(3, 3), ceil_mode=True)),
    (DISTINCT, pooled(size=(2, 3), stride=(4, 4), padding=(1, 1), ceil_mode=True)),
    (DISTINCT, pooled(size=(5, 6))),
    (TIES, pooled(size=(2, 2))),
    (TIES, pooled(size=(3, 3), padding=(1, 1))),
    (SPECIAL, pooled(size=(2, 2))),
    (SPECIAL, pooled(size=(3, 3), padding=(1, 1))),
    (np.full((2, 3), -np.inf), pooled(size=(3, 3), padding=(1, 1))),
    (np.array([3, -128, 5, 5, 2], np.int8), pooled(size=(3,), padding=(1,))),
    (np.array([False, False, True, True]), pooled(size=(2,), stride=(2,))),
    (np.random.default_rng(35).normal(size=(1, 20, 20)), pooled(size=(17, 18), padding=(8, 9))),
    (np.zeros((0, 4)), pooled(size=(2,))),
]


def read(x: Any, positions: Any, **attrs: Any) -> np.ndarray:
    k = len(attrs["size"])
    y = np.zeros(positions.shape, x.dtype)
    for place in np.ndindex(*positions.shape):
        lead = place[: len(place) - k]
        y[place] = x[lead].flat[positions[place]]
    return y


def written(g: Any, positions: Any, lengths: Shape, **attrs: Any) -> np.ndarray:
    k = len(lengths)
    y = np.zeros((*g.shape[: g.ndim - k], *lengths))
    for place in np.ndindex(*positions.shape):
        y[place[: len(place) - k]].reshape(-1)[positions[place]] += g[place]
    return y


def top(x: Any, **attrs: Any) -> np.ndarray:
    return read(x, largest(x, **attrs), **attrs)


SAMPLES: dict[str, list[Sample]] = {
    "windows": [Sample((x,), taken, {"size": j, "stride": s, "dilation": d}) for x, j, s, d in TAKEN],
    "overlap_add": [
        Sample(
            (points(n, taken(x, j, s, d).shape, -1, 1),),
            added,
            {"lengths": x.shape[x.ndim - len(j) :], "stride": s, "dilation": d},
        )
        for n, (x, j, s, d) in enumerate(TAKEN)
    ],
    "sum_windows": [Sample((x,), summed, {"size": j, "stride": s}) for x, j, s, d in TAKEN if max(d) == 1]
    + [Sample((np.array([1, 2, 3, 4], np.int8),), summed, {"size": (2,), "stride": (2,)})],
    "spread_windows": [
        Sample(
            (points(n, summed(x, j, s).shape, -1, 1),),
            spread,
            {"lengths": x.shape[x.ndim - len(j) :], "size": j, "stride": s},
        )
        for n, (x, j, s, d) in enumerate(TAKEN)
        if max(d) == 1
    ]
    + [Sample((np.array([[1, 2], [3, 4]]),), spread, {"lengths": (4, 6), "size": (2, 3), "stride": (2, 3)})],
    "max_pool_positions": [Sample((x,), largest, attrs, smooth=False) for x, attrs in POOLED],
    "max_pool": [Sample((x,), top, attrs, smooth=x is DISTINCT) for x, attrs in POOLED],
    "max_pool_read": [Sample((x, largest(x, **attrs)), read, attrs) for x, attrs in POOLED[:6]],
    "max_pool_write": [
        Sample(
            (points(n, largest(x, **attrs).shape, -1, 1), largest(x, **attrs)),
            written,
            {"lengths": x.shape[x.ndim - len(attrs["size"]) :], **attrs},
        )
        for n, (x, attrs) in enumerate(POOLED[:6])
    ],
}


def additions(sample: Sample) -> int:
    """The additions of summing windows one axis after the other."""
    count, shape = 0, list(sample.inputs[0].shape)
    k = len(sample.attrs["size"])
    for axis, (j, s) in enumerate(zip(sample.attrs["size"], sample.attrs["stride"], strict=True), len(shape) - k):
        shape[axis] = len(starts(shape[axis], j, s, 1))
        count += int(np.prod(shape)) * len(range(1, j))
    return count


def spread_additions(sample: Sample) -> int:
    """The additions of spreading windows that overlap, one axis after the other."""
    count, shape = 0, list(sample.inputs[0].shape)
    attrs = sample.attrs
    k = len(attrs["size"])
    for axis, (n, j, s) in enumerate(
        zip(attrs["lengths"], attrs["size"], attrs["stride"], strict=True), len(shape) - k
    ):
        count += len(range(j)) * int(np.prod(shape)) if j > s else 0
        shape[axis] = n
    return count


def comparisons(sample: Sample) -> int:
    """The comparisons of finding the largest element of each window."""
    lengths = sample.inputs[0].shape[sample.inputs[0].ndim - len(sample.attrs["size"]) :]
    planes = math.prod(sample.inputs[0].shape[: sample.inputs[0].ndim - len(lengths)])
    return planes * sum(len(inside[1:]) for _, inside in window_elements(lengths, **sample.attrs))


WORK: dict[str, Callable[[Sample], int]] = {
    "sum_windows": additions,
    "spread_windows": spread_additions,
    "max_pool_positions": comparisons,
    "max_pool": comparisons,
    "max_pool_read": lambda sample: 0,
    "max_pool_write": lambda sample: int(sample.inputs[0].size),
}

FORMULAS: dict[str, dict[str, Callable[..., Any]]] = {
    "windows": {"y[.., o, j] = x[.., o·stride + j·dilation]": taken},
    "overlap_add": {"y = 0, with y[.., o·stride + j·dilation] += g[.., o, j]": added},
    "sum_windows": {"y[.., o] = Σ_j x[.., o·stride + j]": summed},
    "spread_windows": {"y = 0, with y[.., o·stride + j] += g[.., o]": spread},
    "max_pool_positions": {"y[.., o] = argmax_p x[.., p] over the places p of window o": largest},
    "max_pool": {"y[.., o] = max_p x[.., p] over the places p of window o": top},
    "max_pool_read": {"y[.., o] = x[.., positions[.., o]]": read},
    "max_pool_write": {"y = 0, with y[.., positions[.., o]] += g[.., o]": written},
}
