"""NumPy's side: matrix products, by which the machine's peak is measured."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.kinds import Product

VERSION = np.__version__


class product:
    """Products into an array that is there, one after the other."""

    def __init__(self, work: Product, method: str, threads: int) -> None:
        rng = np.random.default_rng(0)
        self.a, self.b = (rng.standard_normal((work.size, work.size), dtype=np.float32) for _ in range(2))
        self.c = np.empty_like(self.a)

    def round(self, number: int, epochs: int) -> tuple[float, int]:
        start = time.perf_counter()
        for _ in range(epochs):
            np.dot(self.a, self.b, out=self.c)
        return time.perf_counter() - start, epochs

    def value(self) -> float:
        row = self.a[0].astype(np.float64) @ self.b.astype(np.float64)
        return float(np.abs(self.c[0] - row).max() / np.abs(row).max())
