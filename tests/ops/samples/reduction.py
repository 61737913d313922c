"""Samples of reductions and running sums; oracles that fold each line with Python numbers."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ops.samples.sample import Sample, points

INTS = np.array([[3, -1, 4], [1, -5, 9]])
BOOLS = np.array([[True, False, True], [False, False, False]])
CASES: list[tuple[tuple[int, ...], tuple[int, ...], bool]] = [
    ((2, 3), (0, 1), False),
    ((2, 3), (0,), False),
    ((2, 3), (1,), True),
    ((2, 3, 2), (0, 2), False),
    ((2, 3, 2), (1,), False),
    ((2, 3, 2), (0, 1, 2), True),
    ((4,), (0,), False),
    ((), (), False),
    ((1, 3), (0,), False),
    ((0, 3), (1,), False),
    ((2, 3), (), False),
]


def fold(combine: Callable[[list[Any]], Any], x: Any, axis: tuple[int, ...], keepdims: bool) -> np.ndarray:
    """Every line along the axes gathered as a list of Python numbers and combined."""
    kept = [n for n in range(x.ndim) if n not in axis]
    shape = [x.shape[n] for n in kept]
    results = []
    for place in itertools.product(*map(range, shape)):
        line = []
        for inner in itertools.product(*(range(x.shape[n]) for n in axis)):
            index = dict(zip(kept, place, strict=True)) | dict(zip(axis, inner, strict=True))
            line.append(x[tuple(index[n] for n in range(x.ndim))].item())
        results.append(combine(line))
    y = np.array(results, dtype=None if results else float).reshape(shape)
    return np.expand_dims(y, axis) if keepdims and axis else y


def reduction(
    combine: Callable[[list[Any]], Any], *, empty: bool = True, one_axis: bool = False, whole: bool = True
) -> list[Sample]:
    def oracle(x: Any, axis: tuple[int, ...], keepdims: bool) -> np.ndarray:
        return fold(combine, x, axis, keepdims)

    cases = [c for c in CASES if not one_axis or len(c[1]) in (1, len(c[0]))]
    samples = [
        Sample((points(n, shape, -2, 2),), oracle, {"axis": axis, "keepdims": keep})
        for n, (shape, axis, keep) in enumerate(cases)
    ]
    if empty:
        samples.append(Sample((np.zeros((0, 3)),), oracle, {"axis": (0,), "keepdims": False}))
        samples.append(Sample((np.zeros((2, 0)),), oracle, {"axis": (1,), "keepdims": True}))
    if whole:
        samples += [Sample((x,), oracle, {"axis": (1,), "keepdims": False}, smooth=False) for x in (INTS, BOOLS)]
    return samples


def log_sum(line: list[float]) -> float:
    return math.log(sum(map(math.exp, line))) if line else -math.inf


def running(x: Any, axis: int) -> np.ndarray:
    y = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        y[place] = sum(x[(*place[:axis], j, *place[axis + 1 :])] for j in range(place[axis] + 1))
    return y


def summed_to(x: Any, shape: tuple[int, ...]) -> np.ndarray:
    y = np.zeros(shape)
    for place in np.ndindex(*x.shape):
        own = place[len(place) - len(shape) :] if shape else ()
        y[tuple(0 if n == 1 else i for i, n in zip(own, shape, strict=True))] += x[place]
    return y


def log_softmax(x: Any, axis: int) -> np.ndarray:
    return x - np.expand_dims(fold(log_sum, x, (axis,), False), axis) if x.size else x


SAMPLES: dict[str, list[Sample]] = {
    "sum": reduction(lambda line: sum(line)),
    "max": reduction(max, empty=False),
    "min": reduction(min, empty=False),
    "logsumexp": [
        *reduction(log_sum),
        Sample(
            (np.array([[1000.0, 1000.0], [-math.inf, -math.inf], [math.inf, 1.0], [-math.inf, 2.0]]),),
            lambda x, axis, keepdims: np.array([1000.0 + math.log(2.0), -math.inf, math.inf, 2.0]),
            {"axis": (1,), "keepdims": False},
            smooth=False,
        ),
    ],
    "any": reduction(any),
    "all": reduction(all),
    "argmax": reduction(lambda line: line.index(max(line)), empty=False, one_axis=True),
    "argmin": reduction(lambda line: line.index(min(line)), empty=False, one_axis=True),
    "cumsum": [
        *(
            Sample((points(n, shape, -2, 2),), running, {"axis": axis})
            for n, (shape, axis) in enumerate(
                [((4,), 0), ((2, 3), 0), ((2, 3), 1), ((2, 0), 1), ((0, 3), 1), ((1, 1), 0)]
            )
        ),
        Sample((INTS,), running, {"axis": 1}, smooth=False),
        Sample((BOOLS,), running, {"axis": 1}, smooth=False),
    ],
    "sum_to": [
        Sample((points(n, shape, -2, 2),), summed_to, {"shape": to})
        for n, (shape, to) in enumerate(
            [
                ((2, 3), (3,)),
                ((2, 3), (1, 3)),
                ((2, 3), (2, 1)),
                ((2, 3), ()),
                ((2, 3), (2, 3)),
                ((2, 2, 3), (2, 1)),
                ((0, 3), (3,)),
            ]
        )
    ],
    "log_softmax": [
        Sample((points(n, shape, -2, 2),), log_softmax, {"axis": axis})
        for n, (shape, axis) in enumerate([((2, 3), 1), ((2, 3), 0), ((4,), 0), ((0, 3), 1), ((2, 1), 1)])
    ],
}

Evaluation = Callable[..., np.ndarray]


def along(function: Any) -> Evaluation:
    return lambda x, axis, keepdims: np.asarray(function(x, axis=axis, keepdims=keepdims))


def position(function: Any) -> Evaluation:
    def evaluate(x: Any, axis: tuple[int, ...], keepdims: bool) -> np.ndarray:
        return np.asarray(function(x, axis=axis[0] if len(axis) == 1 else None, keepdims=keepdims))

    return evaluate


def log_of_sums(x: Any, axis: tuple[int, ...], keepdims: bool) -> np.ndarray:
    """The formula with numbers too large for exp, two at a time."""
    y = np.asarray(x, float)
    for n in sorted(axis, reverse=True):
        y = (
            np.logaddexp.reduce(y, n, keepdims=keepdims)
            if y.size
            else np.full(np.sum(y, n, keepdims=keepdims).shape, -np.inf)
        )
    return y


# What each printed formula says, written in NumPy; {axes} stands for the axes that are printed.
FORMULAS: dict[str, dict[str, Evaluation]] = {
    "sum": {"y = Σ_{{{axes}}} x": along(np.sum)},
    "max": {"y = max_{{{axes}}} x": along(np.max)},
    "min": {"y = min_{{{axes}}} x": along(np.min)},
    "logsumexp": {"y = log Σ_{{{axes}}} exp(x)": log_of_sums},
    "any": {"y = any_{{{axes}}} x": along(np.any)},
    "all": {"y = all_{{{axes}}} x": along(np.all)},
    "argmax": {"y = argmax_{{{axes}}} x": position(np.argmax)},
    "argmin": {"y = argmin_{{{axes}}} x": position(np.argmin)},
    "cumsum": {"y[i] = Σ_{{j<=i}} x[j]": lambda x, axis: np.cumsum(x, axis)},
    "sum_to": {
        "y = Σ_{{axes that shape lacks}} x": lambda x, shape: x.sum(
            tuple(n for n in range(x.ndim) if ((1,) * (x.ndim - len(shape)) + shape)[n] != x.shape[n])
        ).reshape(shape)
    },
    "log_softmax": {
        "y = x - log Σ_{{axis}} exp(x)": lambda x, axis: x - np.log(np.exp(x).sum(axis, keepdims=True)),
    },
}
