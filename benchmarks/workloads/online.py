"""Learning from one row at a time, in the order in which rows come: nothing but what surrounds the arithmetic."""

from __future__ import annotations

from benchmarks.kinds import Goal, Train

WORKLOAD = Train(
    title="training 2-2-1, sigmoid, binary cross-entropy, SGD, batch 1, 2,000 rows in their order",
    goals=(Goal("jax scan", 1.0), Goal("torch eager", 3000.0)),
    hidden="sigmoid",
    loss="bce",
    sizes=(2, 2, 1),
    batch=1,
    rows=2000,
    shuffle=False,
)
