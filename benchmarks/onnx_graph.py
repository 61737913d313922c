"""The networks' operations written into an ONNX file, as the usual exporters write them: batch normalisation as a node
of its own, attention as its products and a softmax, GELU as one node. Called by onnxruntime's side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.network import Arrays, Network
from benchmarks.sides.onnxruntime import node, tensor, value_info
from benchmarks.sides.onnxruntime import part as field

OPSET = 20
INT, STRING, INTS = 2, 3, 7


def attribute(name: str, value: int | str | Sequence[int]) -> bytes:
    """One attribute of a node."""
    if isinstance(value, int):
        content = field(3, value) + field(20, INT)
    elif isinstance(value, str):
        content = field(4, value) + field(20, STRING)
    else:
        content = b"".join(field(8, v) for v in value) + field(20, INTS)
    return field(5, field(1, name) + content)


class Writer:
    """`benchmarks.network.Operations` in inference mode; a value is the name it has in the file."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self.nodes: list[bytes] = []
        self.held: dict[str, np.ndarray] = {}

    def _node(self, op: str, *inputs: str, outputs: int = 1, **attributes: int | str | Sequence[int]) -> Any:
        names = [f"v{len(self.nodes)}_{n}" for n in range(outputs)]
        written = b"".join(attribute(name, value) for name, value in attributes.items())
        # All but the first output go where further attributes would.
        written += b"".join(field(2, name) for name in names[1:])
        self.nodes.append(node(op, list(inputs), names[0], written))
        return names[0] if outputs == 1 else names

    def _constant(self, name: str, array: Any) -> str:
        self.held[name] = np.ascontiguousarray(array)
        return name

    def _held(self, name: str) -> str:
        return self._constant(name, self.arrays[name])

    def _numbers(self, *numbers: int) -> str:
        return self._constant(f"numbers_{'_'.join(map(str, numbers))}", np.array(numbers, np.int64))

    def pictures(self, x: str) -> str:
        return x

    def conv2d(self, name: str, x: str, stride: int = 1, padding: int = 0, groups: int = 1) -> str:
        inputs = [x, self._held(f"{name}.weight")]
        if f"{name}.bias" in self.arrays:
            inputs.append(self._held(f"{name}.bias"))
        return self._node("Conv", *inputs, strides=[stride] * 2, pads=[padding] * 4, group=groups)  # type: ignore[no-any-return]

    def batch_norm(self, name: str, x: str) -> str:
        # Its epsilon is 1e-5 where none is told.
        held = [self._held(f"{name}.{what}") for what in ("weight", "bias", "running_mean", "running_var")]
        return self._node("BatchNormalization", x, *held)  # type: ignore[no-any-return]

    def relu(self, x: str) -> str:
        return self._node("Relu", x)  # type: ignore[no-any-return]

    def relu6(self, x: str) -> str:
        low, high = (self._constant(f"float_{v}", np.float32(v)) for v in (0, 6))
        return self._node("Clip", x, low, high)  # type: ignore[no-any-return]

    def max_pool2(self, x: str) -> str:
        return self._node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])  # type: ignore[no-any-return]

    def padded_shortcut(self, x: str, channels: int) -> str:
        largest = 2**31 - 1
        ends = self._numbers(largest, largest)
        x = self._node("Slice", x, self._numbers(0, 0), ends, self._numbers(2, 3), self._numbers(2, 2))
        return self._node("Pad", x, self._numbers(0, 0, 0, 0, 0, channels, 0, 0))  # type: ignore[no-any-return]

    def mean_of_places(self, x: str) -> str:
        return self.flatten(self._node("GlobalAveragePool", x))

    def flatten(self, x: str) -> str:
        return self._node("Flatten", x)  # type: ignore[no-any-return]

    def linear(self, name: str, x: str) -> str:
        weight, bias = self.arrays[f"{name}.weight"], f"{name}.bias"
        if not name.startswith(("h.", "wte")):
            return self._node("Gemm", x, self._held(f"{name}.weight"), self._held(bias), transB=1)  # type: ignore[no-any-return]
        # Sequences: a product over the last axis.
        y = self._node("MatMul", x, self._constant(f"{name}.weight.T", weight.T))
        return self._node("Add", y, self._held(bias)) if bias in self.arrays else y  # type: ignore[no-any-return]

    def tokens(self, table: str, places: str, x: str) -> str:
        return self.add(self._node("Gather", self._held(f"{table}.weight"), x), self._held(f"{places}.weight"))

    def layer_norm(self, name: str, x: str) -> str:
        # Along the last axis and with the epsilon 1e-5 where nothing is told.
        return self._node("LayerNormalization", x, self._held(f"{name}.weight"), self._held(f"{name}.bias"))  # type: ignore[no-any-return]

    def gelu_tanh(self, x: str) -> str:
        return self._node("Gelu", x, approximate="tanh")  # type: ignore[no-any-return]

    def causal_attention(self, x: str, heads: int) -> str:
        places, features = self.arrays["wpe.weight"].shape
        size = features // heads
        q, k, v = (
            self._node("Reshape", part, self._numbers(0, 0, heads, size))
            for part in self._node("Split", x, outputs=3, axis=2, num_outputs=3)
        )
        q, v = (self._node("Transpose", z, perm=[0, 2, 1, 3]) for z in (q, v))
        scores = self._node("MatMul", q, self._node("Transpose", k, perm=[0, 2, 3, 1]))
        scores = self._node("Mul", scores, self._constant("scale", np.float32(1 / math.sqrt(size))))
        mask = np.where(np.tri(places, dtype=bool), 0, -np.inf).astype(np.float32)
        weights = self._node("Softmax", self.add(scores, self._constant("mask", mask)))
        y = self._node("Transpose", self._node("MatMul", weights, v), perm=[0, 2, 1, 3])
        return self._node("Reshape", y, self._numbers(0, 0, features))  # type: ignore[no-any-return]

    def add(self, x: str, y: str) -> str:
        return self._node("Add", x, y)  # type: ignore[no-any-return]

    def lstm_last(self, name: str, x: str) -> str:
        raise NotImplementedError("no workload asks an LSTM in an ONNX file")


def model(net: Network, arrays: Arrays, batch: int) -> bytes:
    """The file's content; field numbers are those of onnx.proto."""
    writer = Writer(arrays)
    last = net.forward(writer, "x")
    graph = b"".join(field(1, n) for n in writer.nodes) + field(2, "network")
    graph += b"".join(field(5, tensor(name, array)) for name, array in writer.held.items())
    leaving = (batch, *net.shape, net.outputs) if net.vocabulary else (batch, net.outputs)
    graph += field(11, value_info("x", (batch, *net.shape), whole=bool(net.vocabulary)))
    graph += field(12, value_info(last, leaving))
    return field(1, 9) + field(7, graph) + field(8, field(1, "") + field(2, OPSET))
