"""A table of thirty columns, from the first epoch to the last."""

from __future__ import annotations

from benchmarks.kinds import TRAINERS, Goal, Train

WORKLOAD = Train(
    title="training 30-64-64-1, ReLU, binary cross-entropy, Adam, batch 256, 20,480 shuffled rows, all of 5 epochs "
    "from the initial weights, whole calls of fit",
    # A whole call is what `fit` is timed as here.
    sides=TRAINERS | {"pellucid": ("fit-2t", "fit-1t", "step-2t", "step-1t")},
    goals=(Goal("best", 2.2), Goal("sklearn", 9.0)),
    loss="bce",
    optimizer="adam",
    rate=1e-3,
    sizes=(30, 64, 64, 1),
    batch=256,
    rows=20_480,
    epochs=5,
    anew=True,
)
