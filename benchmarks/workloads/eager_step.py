"""A step without compiling."""

from __future__ import annotations

from benchmarks.kinds import Goal, Train

WORKLOAD = Train(
    title="an eager training step of 784-16-16-10, ReLU, cross-entropy, SGD, one batch of 32 again and again",
    sides={
        "pellucid": ("eager-1t", "eager-2t"),
        "torch": ("eager-1t", "eager-2t"),
    },
    goals=(Goal("torch", 1.0),),
    sizes=(784, 16, 16, 10),
    batch=32,
    rows=32,
    epochs=100,
)
