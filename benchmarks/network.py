"""What is known of a network that is raced: what enters and leaves, names and shapes of its weights, and its forward
pass over named operations. NumPy in float64 (`reference.py`), JAX and the writer of ONNX files do those operations;
pellucid and PyTorch build the network from their own layers and take the same weights.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

Arrays = dict[str, np.ndarray]
"""Weights and buffers by PyTorch's names."""

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
"""How names end that no gradient belongs to."""


class Operations(Protocol):
    """What the networks are made of. A name leads to the weights; pictures are (N, C, H, W), wherever the channels lie
    in memory."""

    def pictures(self, x: Any) -> Any:
        """What enters, laid out as the other operations want it."""

    def conv2d(self, name: str, x: Any, stride: int = 1, padding: int = 0, groups: int = 1) -> Any: ...

    def batch_norm(self, name: str, x: Any) -> Any: ...

    def relu(self, x: Any) -> Any: ...

    def relu6(self, x: Any) -> Any: ...

    def max_pool2(self, x: Any) -> Any:
        """The largest of each 2x2."""

    def padded_shortcut(self, x: Any, channels: int) -> Any:
        """Every other row and column, and so many channels of zeros behind the others."""

    def mean_of_places(self, x: Any) -> Any:
        """(N, C, H, W) -> (N, C)."""

    def flatten(self, x: Any) -> Any:
        """(N, C, H, W) -> (N, C·H·W)."""

    def linear(self, name: str, x: Any) -> Any:
        """Along the last axis; with a bias where there is one."""

    def tokens(self, table: str, places: str, x: Any) -> Any:
        """Rows of one table by token, plus rows of another by place."""

    def layer_norm(self, name: str, x: Any) -> Any: ...

    def gelu_tanh(self, x: Any) -> Any: ...

    def causal_attention(self, x: Any, heads: int) -> Any:
        """Queries, keys and values side by side in the last axis -> what was gathered."""

    def add(self, x: Any, y: Any) -> Any: ...

    def lstm_last(self, name: str, x: Any) -> Any:
        """(N, L, features) -> the last state, (N, hidden)."""


@dataclass(frozen=True)
class Network:
    """A network and its data.

    Parameters
        shape : of one row of what enters
        outputs : classes
        shapes : of weights and buffers, by name
        forward : scores from the operations and what enters
        vocabulary : tokens that there are, where tokens enter; then each place has a token as its target
        deviation : standard deviation of the initial weights; None for that of He, √(2 / fan-in)
    """

    shape: tuple[int, ...]
    outputs: int
    shapes: Mapping[str, tuple[int, ...]]
    forward: Callable[[Any, Any], Any]
    vocabulary: int = 0
    deviation: float | None = None

    def data(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and labels, drawn, so that gradients stay alive however long the training."""
        rng = np.random.default_rng(0)
        if self.vocabulary:
            return tuple(rng.integers(0, self.vocabulary, (rows, *self.shape)) for _ in range(2))  # type: ignore[return-value]
        return rng.standard_normal((rows, *self.shape), dtype=np.float32), rng.integers(0, self.outputs, rows)

    def arrays(self) -> Arrays:
        """Initial weights and buffers."""
        rng = np.random.default_rng(1)
        arrays: Arrays = {}
        for name, shape in self.shapes.items():
            leaf = name.rpartition(".")[2]
            if leaf == "num_batches_tracked":
                arrays[name] = np.zeros(shape, np.int64)
            elif leaf.startswith("bias") or leaf == "running_mean":
                arrays[name] = np.zeros(shape, np.float32)
            elif len(shape) == 1:
                arrays[name] = np.ones(shape, np.float32)
            else:
                deviation = self.deviation or math.sqrt(2 / math.prod(shape[1:]))
                arrays[name] = rng.standard_normal(shape, dtype=np.float32) * np.float32(deviation)
        return arrays

    @cached_property
    def products(self) -> tuple[int, int]:
        """Multiplications of one row's forward pass, and those of its first layer, if its input needs no gradient."""
        from benchmarks.reference import Reference

        operations = Reference(self.arrays())
        self.forward(operations, self.data(1)[0])
        return operations.products, 0 if self.vocabulary else operations.first


def network(name: str) -> Network:
    """The network of a file in `networks/`."""
    return importlib.import_module(f"benchmarks.networks.{name}").NETWORK  # type: ignore[no-any-return]


def norm_shapes(name: str, features: int) -> dict[str, tuple[int, ...]]:
    """Weights and buffers of a batch normalisation."""
    shapes: dict[str, tuple[int, ...]] = {
        f"{name}.{what}": (features,) for what in ("weight", "bias", "running_mean", "running_var")
    }
    return shapes | {f"{name}.num_batches_tracked": ()}
