"""Gradient descent on all rows at once, with a network of three neurons."""

from __future__ import annotations

from benchmarks.kinds import Goal, Train

WORKLOAD = Train(
    title="training 2-2-1, sigmoid, binary cross-entropy, SGD, all 1,000 rows in one batch",
    goals=(Goal("best", 3.0),),
    hidden="sigmoid",
    loss="bce",
    rate=0.1,
    sizes=(2, 2, 1),
    batch=1000,
    rows=1000,
    shuffle=False,
    epochs=200,
)
