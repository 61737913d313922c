"""Without llvmlite: the same network as mlp_tiny by NumPy alone."""

from __future__ import annotations

from benchmarks.kinds import Goal, Train

WORKLOAD = Train(
    title="training 784-16-16-10, ReLU, cross-entropy, SGD, batch 32, 12,800 shuffled rows, PELLUCID_COMPILE=numpy",
    sides={
        "pellucid": ("fit-1t", "fit-2t", "step-1t", "step-2t"),
        "torch": ("eager-1t", "eager-2t"),
    },
    goals=(Goal("torch eager", 4.0),),
    environment={"PELLUCID_COMPILE": "numpy"},
    sizes=(784, 16, 16, 10),
    batch=32,
    rows=12_800,
)
