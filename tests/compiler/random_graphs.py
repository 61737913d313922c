"""Random programs of operations on inputs and state, the same for a seed, in which every value may meet every other:
what nobody thinks of when writing tests by hand.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import pellucid as pl

LENGTHS = [1, 1, 2, 3, 4, 5, 7, 8, 16, 17, 31, 33, 40]
MOST = 4000


class Program:
    """A function of Tensors with state that it changes.

    Attributes
        inputs : arrays for a first call
        state : Tensors
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._lengths = [int(n) for n in rng.choice(LENGTHS, 4)]
        self._dtype = ("float64", "float32", "float32")[seed % 3]
        self.inputs = [self._array(rng) for _ in range(rng.integers(1, 4))]
        self.state = [pl.Tensor(self._array(rng)) for _ in range(rng.integers(0, 4))]
        self._choices = rng.integers(0, 10**9, (rng.integers(3, 22), 6)).tolist()

    def _array(self, rng: np.random.Generator) -> np.ndarray:
        shape = tuple(rng.choice(self._lengths, rng.integers(0, 4)))
        return rng.standard_normal(shape).astype(self._dtype)

    def __call__(self, *inputs: pl.Tensor) -> tuple[pl.Tensor, ...]:
        values = [*inputs, *self.state]
        results = []
        for choices in self._choices:
            kind, first, *rest = choices
            value = KINDS[kind % len(KINDS)](values[first % len(values)], values, rest)
            values.append(value)
            if rest[3] % 3 == 0:
                results.append(value)
            if rest[2] % 4 == 0:
                for state in self.state:
                    if state.shape == value.shape:
                        state.assign(value)
                        break
        return (*results, values[-1])


def _meeting(a: pl.Tensor, values: list[Any], n: list[int]) -> pl.Tensor:
    others = [b for b in values if _meet(a.shape, b.shape)] or [1.5]
    b = others[n[0] % len(others)]
    return (a + b, a * b, a - b, pl.maximum(a, b))[n[1] % 4]


def _meet(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        shape = np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return len(shape) <= 3 and int(np.prod(shape)) < MOST


def _reduced(a: pl.Tensor, values: list[Any], n: list[int]) -> pl.Tensor:
    if a.ndim == 0:
        return pl.relu(a)
    return (a.sum, a.mean, a.max)[n[0] % 3](axis=n[1] % a.ndim, keepdims=bool(n[2] % 2))


def _product(a: pl.Tensor, values: list[Any], n: list[int]) -> pl.Tensor:
    others = [b for b in values if b.ndim == a.ndim == 2 and a.shape[1] == b.shape[0]]
    return a @ others[n[0] % len(others)] * (1.0 / a.shape[1]) if others else pl.sigmoid(a)


def _picked(a: pl.Tensor, values: list[Any], n: list[int]) -> pl.Tensor:
    if a.ndim == 0:
        return -a
    return (a[n[1] % a.shape[0]], a[::2], a[::-1], a[:, None])[n[0] % 4] if a.ndim < 3 else a[::-1]


def _joined(a: pl.Tensor, values: list[Any], n: list[int]) -> pl.Tensor:
    return pl.concatenate([a, a * 2.0], axis=0) if a.ndim and a.shape[0] < 40 else abs(a)


def _normalized(a: pl.Tensor, values: list[Any], n: list[int]) -> pl.Tensor:
    if a.ndim != 2:
        return pl.exp(-a * a)
    return pl.softmax(a, axis=-1) if n[0] % 2 else pl.log_softmax(a, axis=n[1] % 2)


KINDS: list[Callable[[pl.Tensor, list[Any], list[int]], pl.Tensor]] = [
    lambda a, values, n: pl.tanh(a),
    lambda a, values, n: a * 0.7 + 1.0,
    _meeting,
    _meeting,
    _meeting,
    _reduced,
    lambda a, values, n: a.T if a.ndim == 2 else a.reshape(-1),
    _product,
    _picked,
    lambda a, values, n: pl.where(a > 0.1, a, a * 0.5),
    lambda a, values, n: a.sum() * 0.01,
    _normalized,
    _joined,
]
