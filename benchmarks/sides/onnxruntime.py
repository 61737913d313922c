"""onnxruntime's side: a session on the network as an ONNX file, which is written here byte by byte, since nothing else
would need a package for it.
"""

from __future__ import annotations

import time

import numpy as np
import onnxruntime as ort

from benchmarks.kinds import Infer, Layers

VERSION = ort.__version__

FLOAT, INT64 = 1, 7


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def part(number: int, value: int | str | bytes) -> bytes:
    """One field of a protobuf message: a whole number, or bytes with their length before them."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(name: str, array: np.ndarray) -> bytes:
    kind = INT64 if array.dtype == np.int64 else FLOAT
    return (
        b"".join(part(1, extent) for extent in array.shape) + part(2, kind) + part(8, name) + part(9, array.tobytes())
    )


def value_info(name: str, shape: tuple[int, ...], whole: bool = False) -> bytes:
    dimensions = b"".join(part(1, part(1, extent)) for extent in shape)
    return part(1, name) + part(2, part(1, part(1, INT64 if whole else FLOAT) + part(2, dimensions)))


def node(op: str, inputs: list[str], output: str, attribute: bytes = b"") -> bytes:
    return b"".join(part(1, name) for name in inputs) + part(2, output) + part(4, op) + attribute


def model(layers: Layers, batch: int) -> bytes:
    """Gemm with weights as (out, in) and Relu in turn; field numbers are those of onnx.proto, opset 13."""
    # An attribute transB = 1, of the type INT.
    transposed = part(5, part(1, "transB") + part(3, 1) + part(20, 2))
    nodes, weights, last = [], [], "x"
    for n, (weight, bias) in enumerate(layers):
        nodes.append(node("Gemm", [last, f"w{n}", f"b{n}"], f"z{n}", transposed))
        weights += [tensor(f"w{n}", weight), tensor(f"b{n}", bias)]
        last = f"z{n}"
        if n + 1 < len(layers):
            nodes.append(node("Relu", [last], f"a{n}"))
            last = f"a{n}"
    graph = b"".join(part(1, n) for n in nodes) + part(2, "network") + b"".join(part(5, w) for w in weights)
    graph += part(11, value_info("x", (batch, layers[0][0].shape[1])))
    graph += part(12, value_info(last, (batch, layers[-1][0].shape[0])))
    return part(1, 8) + part(7, graph) + part(8, part(1, "") + part(2, 13))


def session(content: bytes, threads: int) -> ort.InferenceSession:
    """What runs a file of this content."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


class infer:
    """`session.run`."""

    def __init__(self, work: Infer, method: str, threads: int) -> None:
        self.work, self.x = work, work.network.data[0]
        self.session = session(model(work.network.layers(), work.batch), threads)

    def round(self, number: int, epochs: int) -> tuple[float, int]:
        run, x, calls = self.session.run, self.x, epochs * self.work.calls
        start = time.perf_counter()
        for _ in range(calls):
            run(None, {"x": x})
        return time.perf_counter() - start, calls

    def value(self) -> float:
        return self.work.value(self.session.run(None, {"x": self.x})[0])
