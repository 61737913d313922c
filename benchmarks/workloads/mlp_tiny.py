"""A network so small that what surrounds the arithmetic decides."""

from __future__ import annotations

from benchmarks.kinds import Goal, Train

WORKLOAD = Train(
    title="training 784-16-16-10, ReLU, cross-entropy, SGD, batch 32, 12,800 shuffled rows",
    goals=(Goal("jax scan", 4.0), Goal("torch eager", 25.0), Goal("sklearn", 12.0)),
    peak_share=0.65,
    sizes=(784, 16, 16, 10),
    batch=32,
    rows=12_800,
)
