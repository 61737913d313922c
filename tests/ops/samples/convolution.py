"""Samples of convolutions and their gradients; the oracle runs the relation between the three tensors over every
index, one product at a time."""

import itertools
from typing import Any

import numpy as np

from tests.ops.samples.sample import Sample, points


def related(role: str, x: Any, y: Any, k: Any, stride: Any, dilation: Any, padding: Any, groups: int) -> np.ndarray:
    """x, y or k (an array of zeros) summed from the other two."""
    own_in, own_out = k.shape[1], k.shape[0] // groups
    total = {"x": x, "y": y, "k": k}[role]
    for n, o, c in itertools.product(range(len(x)), range(len(k)), range(own_in)):
        channel = o // own_out * own_in + c
        for h in np.ndindex(*y.shape[2:]):
            for i in np.ndindex(*k.shape[2:]):
                at = [a * s + b * d - p for a, s, b, d, (p, _) in zip(h, stride, i, dilation, padding, strict=True)]
                if all(0 <= q < m for q, m in zip(at, x.shape[2:], strict=True)):
                    place = (n, channel, *at)
                    if role == "x":
                        total[place] += y[(n, o, *h)] * k[(o, c, *i)]
                    elif role == "y":
                        total[(n, o, *h)] += x[place] * k[(o, c, *i)]
                    else:
                        total[(o, c, *i)] += x[place] * y[(n, o, *h)]
    return total


# Shape of x, shape of k, stride, dilation, padding, groups.
CASES: list[tuple[Any, ...]] = [
    ((2, 2, 5), (3, 2, 3), (1,), (1,), ((1, 1),), 1),
    ((1, 2, 5), (2, 1, 2), (3,), (1,), ((0, 0),), 2),
    ((1, 1, 4), (1, 1, 4), (1,), (1,), ((0, 0),), 1),
    ((1, 1, 3), (1, 1, 3), (2,), (2,), ((3, 1),), 1),
    ((0, 2, 5), (3, 2, 3), (1,), (1,), ((1, 1),), 1),
    ((2, 2, 4, 3), (3, 2, 3, 2), (1, 1), (1, 1), ((1, 1), (0, 0)), 1),
    ((1, 4, 5, 4), (4, 2, 2, 2), (2, 1), (1, 2), ((0, 1), (1, 1)), 2),
    ((2, 2, 4, 4), (4, 1, 3, 3), (2, 2), (1, 1), ((1, 1), (1, 1)), 2),
    ((2, 3, 2, 2), (2, 3, 1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)), 1),
    ((2, 4, 2, 2), (2, 2, 1, 1), (1, 1), (1, 1), ((0, 0), (0, 0)), 2),
    ((1, 2, 3, 2, 3), (2, 2, 2, 2, 2), (1, 2, 1), (1, 1, 1), ((0, 0), (1, 1), (0, 1)), 1),
]


def _lengths(x: Any, k: Any, stride: Any, dilation: Any, padding: Any) -> tuple[int, ...]:
    return tuple(
        sum(1 for h in range(n + a + b) if h % s == 0 and h + d * (m - 1) < n + a + b)
        for n, m, s, d, (a, b) in zip(x[2:], k[2:], stride, dilation, padding, strict=True)
    )


def _sample(role: str, number: int, x: Any, k: Any, stride: Any, dilation: Any, padding: Any, groups: int) -> Sample:
    shapes = {"x": x, "y": (x[0], k[0], *_lengths(x, k, stride, dilation, padding)), "k": k}
    factors = [r for r in ("x", "y", "k") if r != role]
    attrs: dict[str, Any] = {"stride": stride, "dilation": dilation, "padding": padding, "groups": groups}
    if role != "y":
        attrs["size"] = shapes[role][2:]

    def oracle(a: Any, b: Any, stride: Any, dilation: Any, padding: Any, groups: int, size: Any = None) -> np.ndarray:
        given = dict(zip(factors, (a, b), strict=True)) | {role: np.zeros(shapes[role])}
        return related(role, **given, stride=stride, dilation=dilation, padding=padding, groups=groups)

    inputs = tuple(points(10 * number + n, shapes[r], -2, 2) for n, r in enumerate(factors))
    return Sample(inputs, oracle, attrs)


def _samples(role: str) -> list[Sample]:
    return [_sample(role, number, *case) for number, case in enumerate(CASES)]


SAMPLES = {
    "convolution": _samples("y"),
    "convolution_input": _samples("x"),
    "convolution_kernel": _samples("k"),
}
