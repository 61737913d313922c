"""onnxruntime's side of whole networks: a session on the network as an ONNX file (`benchmarks/onnx_graph.py`)."""

from __future__ import annotations

import time

from benchmarks.network_kinds import InferNetwork
from benchmarks.onnx_graph import model
from benchmarks.sides.onnxruntime import VERSION, session

__all__ = ["VERSION", "infer_network"]


class infer_network:
    """`session.run`."""

    def __init__(self, work: InferNetwork, method: str, threads: int) -> None:
        self.work, self.x = work, work.data
        self.session = session(model(work.net, work.net.arrays(), work.batch), threads)

    def round(self, number: int, epochs: int) -> tuple[float, int]:
        run, x, calls = self.session.run, self.x, epochs * self.work.calls
        start = time.perf_counter()
        for _ in range(calls):
            run(None, {"x": x})
        return time.perf_counter() - start, calls

    def value(self) -> float:
        return self.work.value(self.session.run(None, {"x": self.x})[0])
