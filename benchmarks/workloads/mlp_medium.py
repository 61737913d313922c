"""The network of most tutorials."""

from __future__ import annotations

from benchmarks.kinds import Goal, Train

WORKLOAD = Train(
    title="training 784-128-10, ReLU, cross-entropy, SGD with momentum, batch 64, 12,800 shuffled rows",
    goals=(Goal("best", 1.45), Goal("torch eager", 3.5)),
    optimizer="momentum",
    sizes=(784, 128, 10),
    batch=64,
    rows=12_800,
)
