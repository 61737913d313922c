"""Samples of composites; oracles from their definitions in NumPy and `math`."""

import math
from typing import Any

import numpy as np

import pellucid as pl
from tests.ops.samples.sample import Sample, points

X = points(5, (2, 3), -2, 2, avoid=(0.0,))
CUBE = points(6, (2, 3, 2), 0.4, 2)
ZEROS = np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 4.0], [1.0, 2.0, 3.0]])


def calls(
    function: Any, oracle: Any, inputs: list[Any], options: list[dict[str, Any]], smooth: bool = True
) -> list[Sample]:
    return [Sample((x,), oracle, kw, smooth, function) for x in inputs for kw in options]


def variance(x: Any, axis: Any = None, correction: float = 0, keepdims: bool = False) -> np.ndarray:
    n = x.size if axis is None else np.prod([x.shape[a] for a in np.atleast_1d(axis)])
    return ((x - x.mean(axis, keepdims=True)) ** 2).sum(axis, keepdims=keepdims) / (n - correction)


def p_norm(x: Any, ord: float = 2, axis: Any = None, keepdims: bool = False) -> np.ndarray:
    a = np.abs(x)
    if ord in (math.inf, -math.inf):
        return (a.max if ord > 0 else a.min)(axis, keepdims=keepdims)
    if ord == 0:
        return (a > 0).sum(axis, keepdims=keepdims).astype(float)
    return (a**ord).sum(axis, keepdims=keepdims) ** (1 / ord)


def softmax(x: Any, axis: int = -1) -> np.ndarray:
    e = np.exp(x)
    return e / e.sum(axis, keepdims=True)


def gated(x: Any, axis: int = -1) -> np.ndarray:
    a, b = np.split(x, 2, axis)
    return a / (1 + np.exp(-b))


def unit(key: Any, count: int) -> np.ndarray:
    """float64 numbers of a key's stream from NumPy's Philox: 32 high bits of one word, 21 of the next."""
    stream = np.random.Philox(counter=0, key=np.asarray(key)).random_raw(count)
    return np.array([((w & 0xFFFFFFFF) * 2.0**-32 + ((w >> 32) // 2**11) * 2.0**-53) for w in stream.tolist()])


def drawn_normal(key: Any, mean: float, std: float, n: int) -> np.ndarray:
    u = unit(key, 2 * n)
    return mean + std * np.sqrt(-2 * np.log(1 - u[:n])) * np.cos(2 * math.pi * u[n:])


KEY = np.array([11, 4], np.uint64)
AXES = [{}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (0, 1)}]

SAMPLES: dict[str, list[Sample]] = {
    "prod": calls(pl.prod, np.prod, [X, CUBE, ZEROS, np.zeros((2, 0)), np.ones(()), np.ones((1, 5)) * 2], [{}])
    + calls(pl.prod, np.prod, [X, CUBE, ZEROS], AXES)
    + calls(pl.prod, np.prod, [np.array([[100, 100], [2, 3]], np.int8)], [{}, {"axis": 0}], smooth=False),
    "cumulative_prod": calls(pl.cumulative_prod, np.cumprod, [X, ZEROS, CUBE], [{"axis": 0}, {"axis": 1}])
    + calls(pl.cumulative_prod, np.cumprod, [X[0], np.zeros(0), np.ones(1)], [{}]),
    "mean": calls(pl.mean, np.mean, [X, CUBE], AXES)
    + calls(pl.mean, np.mean, [np.array([1, 2, 4]), np.array([True, False])], [{}]),
    "var": calls(pl.var, variance, [X, CUBE], [*AXES, {"axis": 0, "correction": 1}, {"correction": 1.5}]),
    "std": calls(pl.std, lambda x, **kw: np.sqrt(variance(x, **kw)), [X, CUBE], [*AXES, {"axis": 0, "correction": 1}]),
    "norm": calls(
        pl.norm,
        p_norm,
        [X, CUBE],
        [{"ord": o, **kw} for o in (2, 1, 3, 0.5, -1, math.inf, -math.inf) for kw in AXES[:3]],
    )
    + calls(pl.norm, p_norm, [ZEROS], [{"ord": 0}, {"ord": 0, "axis": 1}], smooth=False),
    "softmax": calls(pl.softmax, softmax, [X, CUBE], [{}, {"axis": 0}]),
    "softmin": calls(pl.softmin, lambda x, axis=-1: softmax(-x, axis), [X], [{}, {"axis": 0}]),
    "glu": calls(pl.glu, gated, [points(7, (2, 4), -2, 2)], [{}, {"axis": 0}]),
    "rrelu": calls(
        pl.rrelu,
        lambda x, lower=1 / 8, upper=1 / 3: np.where(x > 0, x, x * (lower + upper) / 2),
        [X],
        [{}, {"lower": 0.1, "upper": 0.5}],
    ),
    "uniform": [
        Sample(
            (KEY,),
            lambda key: -1 + 3 * unit(key, 5),
            {},
            False,
            lambda key: pl.uniform(-1, 2, (5,), key, dtype="float64"),
        )
    ],
    "normal": [
        Sample(
            (KEY,),
            lambda key: drawn_normal(key, 1.0, 2.0, 4),
            {},
            False,
            lambda key: pl.normal(1, 2, (4,), key, dtype="float64"),
        )
    ],
    "bernoulli": [
        Sample((KEY,), lambda key: unit(key, 6) < 0.3, {}, False, lambda key: pl.bernoulli(np.full(6, 0.3), key=key))
    ],
}

# The printed formulas that the oracles above evaluate.
FORMULAS: dict[str, str] = {
    "prod": "y = Π x",
    "cumulative_prod": "y[i] = Π_{j<=i} x[j]",
    "mean": "y = Σ x / n",
    "var": "y = Σ (x - mean(x))² / (n - correction)",
    "std": "y = sqrt(Σ (x - mean(x))² / (n - correction))",
    "norm": "y = (Σ |x|^ord)^(1/ord)",
    "softmax": "y_i = exp(x_i - max x) / Σ_j exp(x_j - max x)",
    "softmin": "y_i = exp(-x_i) / Σ_j exp(-x_j)",
    "glu": "y = a·sigmoid(b), a and b being the halves of x",
    "rrelu": "y = x where x > 0, else a·x; a random in training, else (lower + upper)/2",
    "uniform": "y = low + (high - low)·u",
    "normal": "y = mean + std·sqrt(-2 log u)·cos(2π v)",
    "bernoulli": "y = 1 if u < p else 0",
}
