"""What a sample is: inputs, attributes, and the result by an oracle that shares nothing with the operation."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Sample:
    """inputs : float64 arrays, arrays of whole numbers or booleans, and Python numbers.
    oracle : (*inputs, **attrs) -> the result in float64.
    smooth : whether differences tell the gradient at these inputs.
    call : for a composite, (*tensors, **attrs) -> Tensor.
    """

    inputs: tuple[Any, ...]
    oracle: Callable[..., Any]
    attrs: dict[str, Any] = field(default_factory=dict)
    smooth: bool = True
    call: Callable[..., Any] | None = None


def points(seed: int, shape: tuple[int, ...], low: float, high: float, avoid: tuple[float, ...] = ()) -> np.ndarray:
    """Numbers between two bounds, none of them within 0.05 of the numbers to avoid (kinks)."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(low, high, shape)
    while True:
        near = np.zeros(shape, bool)
        for kink in avoid:
            near |= np.abs(x - kink) < 0.05
        if not near.any():
            return x
        x = np.where(near, rng.uniform(low, high, shape), x)


def one_by_one(function: Callable[..., Any], *arrays: Any, **attrs: Any) -> np.ndarray:
    """A function of Python numbers applied to every element: the oracle of elementwise operations."""
    spread = np.broadcast_arrays(*arrays)
    flat = [function(*(v.item() for v in values), **attrs) for values in zip(*(a.ravel() for a in spread), strict=True)]
    return np.array(flat, dtype=None if flat else float).reshape(spread[0].shape)


def elementwise(
    function: Callable[..., Any],
    *domains: tuple[float, ...],
    avoid: tuple[float, ...] = (),
    apart: bool = False,
    attrs: dict[str, Any] | None = None,
    smooth: bool = True,
) -> list[Sample]:
    """Samples of an elementwise operation of floats: equal shapes, broadcasting, no axes, no elements, a number.

    avoid : kinks that no input may be near.
    apart : two inputs must not be near each other.
    """

    def oracle(*arrays: Any, **kw: Any) -> np.ndarray:
        return one_by_one(function, *arrays, **kw)

    kw = attrs or {}
    samples = []
    n = len(domains)
    shapes: list[tuple[tuple[int, ...], ...]] = [((3, 4),) * n, ((),) * n, ((0, 3),) * n, ((1, 1),) * n]
    if n > 1:
        shapes += [((3, 1), (1, 4), (4,))[:n], ((2, 3, 4), (4,), (3, 1))[:n], ((1,), (2, 3), ())[:n]]
    for case, shape in enumerate(shapes):
        arrays = [points(10 * case + i, s, *domains[i], avoid=avoid) for i, s in enumerate(shape)]
        if apart:
            arrays[1] = np.where(np.abs(arrays[0] - arrays[1]) < 0.05, arrays[1] + 0.2, arrays[1])
            if arrays[1].shape != shape[1]:  # broadcasting: move the whole input instead
                arrays = [points(10 * case, shape[0], *domains[0]), points(1, shape[1], *domains[1]) + 0.033]
        samples.append(Sample(tuple(arrays), oracle, kw, smooth))
    for i in range(n if n > 1 else 0):
        mixed: list[Any] = [points(70 + j, (2, 3), *domains[j], avoid=avoid) for j in range(n)]
        mixed[i] = float(points(99, (), *domains[i], avoid=avoid))
        samples.append(Sample(tuple(mixed), oracle, kw, smooth))
    return samples


def whole(function: Callable[..., Any], *arrays: Any) -> Sample:
    """A sample of whole numbers or booleans."""
    return Sample(arrays, lambda *a, **kw: one_by_one(function, *a, **kw), smooth=False)


def sign(x: float) -> float:
    return math.copysign(1.0, x) if x else 0.0
