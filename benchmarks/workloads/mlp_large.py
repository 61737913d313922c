"""Large enough for the matrix products to decide."""

from __future__ import annotations

from benchmarks.kinds import Goal, Train

WORKLOAD = Train(
    title="training 784-512-512-10, ReLU, cross-entropy, Adam, batch 128, 12,800 shuffled rows",
    goals=(Goal("best", 1.15),),
    peak_share=0.8,
    optimizer="adam",
    rate=1e-3,
    sizes=(784, 512, 512, 10),
    batch=128,
    rows=12_800,
)
