"""Samples of movements, indexing, sorting and random bits; oracles by loops over places or by NumPy's own function."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.ops.index import ARRAY
from tests.ops.samples.sample import Sample, points

X = points(1, (2, 3), -2, 2)
CUBE = points(2, (2, 3, 4), -2, 2)
EMPTY = np.zeros((0, 3))
ALL = slice(None)


def picked(x: Any, *arrays: Any, template: tuple[Any, ...]) -> np.ndarray:
    rest = iter(arrays)
    return x[tuple(next(rest) if isinstance(t, str) else t for t in template)]


def added(g: Any, *arrays: Any, shape: tuple[int, ...], template: tuple[Any, ...]) -> np.ndarray:
    """Each element added where reading by the template would take it from."""
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    y = np.zeros(int(np.prod(shape)))
    for place, value in zip(picked(numbers, *arrays, template=template).ravel(), np.ravel(g), strict=True):
        y[place] += value
    return y.reshape(shape)


def placed(x: Any, value: Any, *arrays: Any, template: tuple[Any, ...]) -> np.ndarray:
    numbers = np.arange(x.size).reshape(x.shape)
    places = picked(numbers, *arrays, template=template)
    y = x.ravel().copy()
    for place, v in zip(places.ravel(), np.broadcast_to(value, places.shape).ravel(), strict=True):
        y[place] = v
    return y.reshape(x.shape)


def along(x: Any, indices: Any, axis: int) -> np.ndarray:
    y = np.zeros(indices.shape)
    for place in np.ndindex(*indices.shape):
        y[place] = x[(*place[:axis], indices[place], *place[axis + 1 :])]
    return y


def place_along(g: Any, indices: Any, axis: int, shape: tuple[int, ...]) -> np.ndarray:
    return scattered(np.zeros(shape), indices, g, axis)


def scattered(x: Any, indices: Any, src: Any, axis: int) -> np.ndarray:
    y = np.array(x, float)
    for place in np.ndindex(*indices.shape):
        y[(*place[:axis], indices[place], *place[axis + 1 :])] += src[place]
    return y


def bordered(x: Any, widths: tuple[tuple[int, int], ...], value: float) -> np.ndarray:
    return np.pad(x, widths, constant_values=value)


def flipped(x: Any, axis: tuple[int, ...]) -> np.ndarray:
    return x[tuple(slice(None, None, -1) if n in axis else ALL for n in range(x.ndim))]


def sorted_order(x: Any, axis: int, descending: bool) -> np.ndarray:
    """Python's stable sort of each line, NaN counted as the largest."""
    moved = np.moveaxis(x, axis, -1)
    y = np.zeros(moved.shape, int)
    for place in np.ndindex(*moved.shape[:-1]):
        line = moved[place].tolist()
        key = [(v != v, 0 if v != v else v) for v in line]
        y[place] = sorted(range(len(line)), key=key.__getitem__, reverse=descending)
        if descending:  # Python's reversed sort keeps the order of equals, as ours
            y[place] = sorted(range(len(line)), key=lambda n: (not key[n][0], -key[n][1]))
    return np.moveaxis(y, -1, axis)


def words(key: Any, shape: tuple[int, ...]) -> np.ndarray:
    """NumPy's Philox bit generator, 64-bit words cut in halves, low half first."""
    size = int(np.prod(shape))
    stream = np.random.Philox(counter=0, key=key).random_raw((size + 1) // 2)
    halves = [h for word in stream.tolist() for h in (word & 0xFFFFFFFF, word >> 32)]
    return np.array(halves[:size], np.uint32).reshape(shape)


TEMPLATES: list[tuple[Any, tuple[Any, ...], tuple[Any, ...]]] = [
    (X, (0,), ()),
    (X, (-1, 2), ()),
    (X, (ALL, slice(0, 2)), ()),
    (X, (slice(None, None, -1), slice(2, None, -2)), ()),
    (X, (None, ..., 1), ()),
    (X, (...,), ()),
    (X, (), ()),
    (CUBE, (1, ..., slice(1, 3)), ()),
    (X, (ARRAY,), (np.array([1, 0, 1]),)),
    (X, (ALL, ARRAY), (np.array([[2, -1], [0, 0]]),)),
    (X, (ARRAY, ARRAY), (np.array([1, 0]), np.array([2, 2]))),
    (X, (ARRAY, ARRAY), (np.array([[1], [0]]), np.array([0, 2, 2]))),
    (CUBE, (ARRAY, ALL, ARRAY), (np.array([1, 0]), np.array([3, 3]))),
    (CUBE, (ALL, ARRAY, ARRAY), (np.array([1, 0]), np.array([3, 3]))),
    (CUBE, (0, ALL, ARRAY), (np.array([1, 1]),)),
    (CUBE, (ARRAY, None, slice(0, 2), 1), (np.array([1, 1, 0]),)),
    (X, (ARRAY,), (np.array([], int),)),
    (X, (ARRAY,), (np.array(1),)),
    (EMPTY, (ALL, 0), ()),
    (EMPTY, (ALL, ARRAY), (np.array([1, 2]),)),
]
PUTS: list[tuple[Any, Any, tuple[Any, ...], tuple[Any, ...]]] = [
    (X, np.array(5.0), (0, 1), ()),
    (X, np.array([1.0, 2.0, 3.0]), (ALL,), ()),
    (X, np.array([[1.0], [2.0]]), (ALL, slice(0, 2)), ()),
    (X, np.array([7.0, 8.0]), (ARRAY, ARRAY), (np.array([1, 0]), np.array([2, 2]))),
    (CUBE, points(3, (2, 3), 0, 1), (ARRAY, ALL, ARRAY), (np.array([1, 0]), np.array([3, 1]))),
    (X, np.array(5.0), (ARRAY,), (np.array([], int),)),
]
ALONG = [
    (X, np.array([[2, 0, -1, 2], [1, 1, 1, 0]]), 1),
    (X, np.array([[0, 1, 1]]), 0),
    (CUBE, np.array([[[1, 2, 3, 0]]] * 2) % 3, 1),
    (X, np.zeros((2, 0), int), 1),
    (X, np.array([[1]]), 1),
    (np.array([1.0, 2.0]), np.array([1, 1, 0]), 0),
]
KEY = np.array([7, 3], np.uint64)

SAMPLES: dict[str, list[Sample]] = {
    "cast": [
        Sample((X,), lambda x, dtype: x.astype(dtype), {"dtype": name}, smooth=name == "float64")
        for name in ("float64", "int64", "bool", "float32")
    ]
    + [Sample((np.array([3, -1]),), lambda x, dtype: x.astype(dtype), {"dtype": "float64"})],
    "reshape": [
        Sample((x,), lambda x, shape: np.array(x.ravel().tolist()).reshape(shape), {"shape": shape})
        for x, shape in [
            (X, (3, 2)),
            (X, (6,)),
            (X, (1, 2, 1, 3)),
            (CUBE, (4, 6)),
            (np.ones(()), (1,)),
            (np.ones(1), ()),
            (EMPTY, (3, 0, 2)),
        ]
    ],
    "transpose": [
        Sample((x,), lambda x, axes: np.transpose(x, axes), {"axes": axes})
        for x, axes in [(X, (1, 0)), (X, (0, 1)), (CUBE, (2, 0, 1)), (np.ones(()), ()), (EMPTY, (1, 0))]
    ],
    "broadcast_to": [
        Sample((x,), lambda x, shape: np.zeros(shape) + x, {"shape": shape})
        for x, shape in [
            (X, (2, 3)),
            (X, (2, 2, 3)),
            (X[:, :1], (2, 4)),
            (np.ones(()), (2, 2)),
            (X[:1], (0, 3)),
            (X[:1], (5, 3)),
        ]
    ],
    "concatenate": [
        Sample((X, X + 1, X[:1]), lambda *xs, axis: np.concatenate(xs, axis), {"axis": 0}),
        Sample((X, X[:, :1]), lambda *xs, axis: np.concatenate(xs, axis), {"axis": 1}),
        Sample((X,), lambda *xs, axis: np.concatenate(xs, axis), {"axis": 0}),
        Sample((EMPTY, X, EMPTY), lambda *xs, axis: np.concatenate(xs, axis), {"axis": 0}),
        Sample((np.array([1, 2]), np.array([True])), lambda *xs, axis: np.concatenate(xs, axis), {"axis": 0}),
    ],
    "pad": [
        Sample((x,), bordered, {"widths": widths, "value": value})
        for x, widths, value in [
            (X, ((1, 0), (2, 3)), 0.0),
            (X, ((0, 0), (0, 0)), 1.0),
            (EMPTY, ((1, 1), (0, 1)), -7.5),
            (np.ones(2), ((1, 1),), 3),
        ]
    ],
    "flip": [
        Sample((x,), flipped, {"axis": axis})
        for x, axis in [(X, (0,)), (X, (0, 1)), (CUBE, (1,)), (X, ()), (EMPTY, (0,)), (np.ones(()), ())]
    ],
    "index": [Sample((x, *arrays), picked, {"template": template}) for x, template, arrays in TEMPLATES],
    "index_add": [
        Sample(
            (np.ones(picked(x, *arrays, template=template).shape) * 1.5, *arrays),
            added,
            {"shape": x.shape, "template": template},
        )
        for x, template, arrays in TEMPLATES
    ],
    "put": [Sample((x, value, *arrays), placed, {"template": template}) for x, value, template, arrays in PUTS],
    "take_along": [Sample((x, indices), along, {"axis": axis}) for x, indices, axis in ALONG],
    "place_along": [
        Sample((points(n, i.shape, -1, 1), i), place_along, {"axis": axis, "shape": x.shape})
        for n, (x, i, axis) in enumerate(ALONG)
    ],
    "scatter_add": [
        Sample((x, i, points(n, i.shape, -1, 1)), scattered, {"axis": axis}) for n, (x, i, axis) in enumerate(ALONG)
    ]
    + [Sample((np.array([1, 2]), np.array([1, 1]), np.array([5, 6])), scattered, {"axis": 0}, smooth=False)],
    "argsort": [
        Sample((x,), sorted_order, {"axis": axis, "descending": descending})
        for x, axis in [
            (X, 1),
            (X, 0),
            (CUBE, 1),
            (np.array([2.0, 1.0, 2.0, 1.0, np.nan, 0.0]), 0),
            (np.array([3, 1, 3]), 0),
            (EMPTY, 0),
            (EMPTY, 1),
            (np.array([[True, False, True]]), 1),
        ]
        for descending in (False, True)
    ],
    "random_bits": [Sample((KEY,), words, {"shape": shape}) for shape in [(5,), (2, 3), (), (0,)]],
}

Evaluation = Callable[..., Any]
# What each printed formula says, written in NumPy.
FORMULAS: dict[str, dict[str, Evaluation]] = {
    "cast": {"y[i] = x[i]": lambda x, dtype: x.astype(dtype)},
    "reshape": {"y[i] = x[i], counted in row-major order": lambda x, shape: np.array(list(x.flat)).reshape(shape)},
    "transpose": {"y[i[axes]] = x[i]": lambda x, axes: np.moveaxis(x, axes, range(len(axes)))},
    "broadcast_to": {"y[i] = x[i], axes of length 1 repeated": lambda x, shape: x * np.ones(shape)},
    "concatenate": {"y = x_1, x_2, ... one after the other along the axis": lambda *xs, axis: np.concatenate(xs, axis)},
    "pad": {"y[i] = x[i - before] inside, value outside": bordered},
    "flip": {"y[i] = x[n - 1 - i]": lambda x, axis: np.flip(x, axis)},
    "index": {"y[i] = x[template(i)]": picked},
    "index_add": {"y[template(i)] += g[i]": added},
    "put": {"y = x, with y[template(i)] = value[i]": placed},
    "take_along": {"y[i, j] = x[i, indices[i, j]]": along},
    "place_along": {"y = 0, with y[i, indices[i, j]] += g[i, j]": place_along},
    "scatter_add": {"y = x, with y[i, indices[i, j]] += src[i, j]": scattered},
    "argsort": {"y = the order that sorts x": sorted_order},
    "random_bits": {"y[i] = half i of the Philox-4x64-10 stream of the key": words},
}
