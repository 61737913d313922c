"""A machine that is not ours alone: another process takes one processor."""

from __future__ import annotations

from benchmarks.kinds import Limit, Train

WORKLOAD = Train(
    title="training 784-16-16-10, ReLU, cross-entropy, SGD, batch 32, 12,800 shuffled rows, alone and beside "
    "another busy process",
    sides={
        "pellucid": ("fit-2t", "fit-1t", "fit-2t-busy", "fit-1t-busy"),
        "torch": ("eager-1t-busy", "eager-2t-busy"),
        "jax": ("scan_out-1t-busy", "scan_out-2t-busy"),
        "sklearn": ("fit-1t-busy", "fit-2t-busy"),
    },
    limits=(Limit("fit-2t-busy", 1.2, of="fit-1t"),),
    sizes=(784, 16, 16, 10),
    batch=32,
    rows=12_800,
)
