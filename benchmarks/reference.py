"""The networks' operations in NumPy and float64, in inference mode: by it the weights that a side has arrived at are
judged, and the multiplications are counted on which the operations of a step rest. Called by `network_kinds.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from benchmarks.network import Arrays

EPS = 1e-5


class Reference:
    """`benchmarks.network.Operations`.

    Attributes
        products : multiplications so far
        first : those of the first layer
    """

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = {name: np.asarray(a, np.float64) for name, a in arrays.items()}
        self.products = self.first = 0

    def _count(self, number: int) -> None:
        self.products += number
        self.first = self.first or number

    def pictures(self, x: np.ndarray) -> Any:
        return x.astype(np.float64)

    def conv2d(self, name: str, x: np.ndarray, stride: int = 1, padding: int = 0, groups: int = 1) -> Any:
        weight = self.arrays[f"{name}.weight"]
        x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
        windows = sliding_window_view(x, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
        n, _, h, w = windows.shape[:4]
        windows = windows.reshape(n, groups, -1, *windows.shape[2:])
        kernel = weight.reshape(groups, -1, *weight.shape[1:])
        y = np.einsum("ngchwij,gocij->ngohw", windows, kernel, optimize=True).reshape(n, -1, h, w)
        self._count(y.size * math.prod(weight.shape[1:]))
        if f"{name}.bias" in self.arrays:
            y = y + self.arrays[f"{name}.bias"][:, None, None]
        return y

    def batch_norm(self, name: str, x: np.ndarray) -> Any:
        mean, var, weight, bias = (
            self.arrays[f"{name}.{what}"][:, None, None] for what in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(var + EPS) * weight + bias

    def relu(self, x: np.ndarray) -> Any:
        return np.maximum(x, 0)

    def relu6(self, x: np.ndarray) -> Any:
        return np.clip(x, 0, 6)

    def max_pool2(self, x: np.ndarray) -> Any:
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))

    def padded_shortcut(self, x: np.ndarray, channels: int) -> Any:
        return np.pad(x[:, :, ::2, ::2], ((0, 0), (0, channels), (0, 0), (0, 0)))

    def mean_of_places(self, x: np.ndarray) -> Any:
        return x.mean((2, 3))

    def flatten(self, x: np.ndarray) -> Any:
        return x.reshape(len(x), -1)

    def linear(self, name: str, x: np.ndarray) -> Any:
        weight = self.arrays[f"{name}.weight"]
        y = x @ weight.T + self.arrays.get(f"{name}.bias", 0.0)
        self._count(y.size * weight.shape[1])
        return y

    def tokens(self, table: str, places: str, x: np.ndarray) -> Any:
        return self.arrays[f"{table}.weight"][x] + self.arrays[f"{places}.weight"][: x.shape[1]]

    def layer_norm(self, name: str, x: np.ndarray) -> Any:
        y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + EPS)
        return y * self.arrays[f"{name}.weight"] + self.arrays[f"{name}.bias"]

    def gelu_tanh(self, x: np.ndarray) -> Any:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    def causal_attention(self, x: np.ndarray, heads: int) -> Any:
        n, t, width = x.shape
        q, k, v = (z.reshape(n, t, heads, -1).swapaxes(1, 2) for z in np.split(x, 3, axis=-1))
        scores = q @ k.swapaxes(2, 3) / math.sqrt(q.shape[-1])
        scores = np.where(np.tri(t, dtype=bool), scores, -np.inf)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        y = (scores / scores.sum(-1, keepdims=True)) @ v
        self._count(2 * scores.size * q.shape[-1])
        return y.swapaxes(1, 2).reshape(n, t, width // 3)

    def add(self, x: np.ndarray, y: np.ndarray) -> Any:
        return x + y

    def lstm_last(self, name: str, x: np.ndarray) -> Any:
        inner, outer = (self.arrays[f"{name}.weight_{what}_l0"] for what in ("ih", "hh"))
        bias = self.arrays[f"{name}.bias_ih_l0"] + self.arrays[f"{name}.bias_hh_l0"]
        entered = x @ inner.T + bias
        self._count(entered.size * inner.shape[1])
        h = c = np.zeros((len(x), outer.shape[1]))
        for step in range(x.shape[1]):
            i, f, g, o = np.split(entered[:, step] + h @ outer.T, 4, axis=1)
            c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            h = np.tanh(c) / (1 + np.exp(-o))
            self._count(entered[:, step].size * outer.shape[1])
        return h
