"""The machine's peak: NumPy's matrix products on one and on two threads. Runs along with every race that counts
floating-point operations."""

from __future__ import annotations

from benchmarks.kinds import Product

WORKLOAD = Product(title="matrix products", sides={"numpy": ("dot-1t", "dot-2t")})
