"""From the start of a process to 95 % of the test digits right: imports, compiling and all."""

from __future__ import annotations

from benchmarks.kinds import Goal, Limit, Reach

WORKLOAD = Reach(
    title="a fresh process, from its start to its end, to 95 % test accuracy on the 8x8 digits, 64-32-10, Adam 3e-3, "
    "batch 32",
    sides={
        "pellucid": ("fit-2t-cold",),
        "torch": ("eager-1t",),
        "jax": ("scan-2t",),
        "sklearn": ("fit-1t",),
    },
    goals=(Goal("best", 1.0),),
    limits=(Limit("fit-2t-cold", 0.4),),
    # As users run it: `fit` itself decides that so few steps are not worth compiling.
    environment={"PELLUCID_COMPILE": ""},
)
