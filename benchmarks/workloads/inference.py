"""One row through a trained network."""

from __future__ import annotations

from benchmarks.kinds import Goal, Infer

WORKLOAD = Infer(
    title="the forward pass of 784-16-16-10, batch 1, from a NumPy array to a NumPy array",
    sides={
        "pellucid": ("compiled-1t", "compiled-2t", "eager-1t"),
        "torch": ("eager-1t", "script-1t", "compiled-1t", "compiled-2t"),
        "jax": ("jit-1t", "jit-2t"),
        "onnxruntime": ("run-1t", "run-2t"),
    },
    goals=(Goal("onnxruntime", 1.0),),
    sizes=(784, 16, 16, 10),
    batch=1,
)
