"""What compiling costs before anything is repaid."""

from __future__ import annotations

from benchmarks.kinds import FirstStep, Limit

WORKLOAD = FirstStep(
    title="building 784-16-16-10 with cross-entropy and Adam and its first compiled step, batch 32, in a fresh "
    "process; imports are told apart",
    sides={
        "pellucid": ("step-2t-cold", "step-2t-cached", "eager-1t"),
        "torch": ("compiled-2t-cold", "compiled-2t-cached", "eager-1t"),
        "jax": ("jit-2t-cold", "jit-2t-cached"),
    },
    limits=(Limit("step-2t-cold", 0.25), Limit("step-2t-cached", 0.03)),
    optimizer="adam",
    rate=1e-3,
    sizes=(784, 16, 16, 10),
    batch=32,
    rows=32,
)
