"""The machine's peak: NumPy's matrix products on one and on two threads. Runs along with every race that counts
floating-point operations."""

from __future__ import annotations

from benchmarks.kinds import Product

WORKLOAD = Product(
    title="NumPy's matrix products, 1536 x 1536, float32", sides={"numpy": ("dot-1t", "dot-2t")}, size=1536
)
