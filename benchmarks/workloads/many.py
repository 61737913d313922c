"""Many small networks on the same data, as a search for hyper-parameters trains them."""

from __future__ import annotations

from benchmarks.kinds import Goal, Train

WORKLOAD = Train(
    title="training 64 networks 784-16-16-10, ReLU, cross-entropy, SGD, batch 32, 200 steps each on 6,400 "
    "shuffled rows",
    sides={
        "pellucid": ("fit_many-2t", "fit-2t"),
        "torch": ("vmap-1t", "vmap-2t", "compiled-1t", "compiled-2t"),
        "jax": ("vmap-1t", "vmap-2t"),
        "sklearn": ("fit-1t", "joblib-2t"),
    },
    goals=(Goal("jax vmap", 2.0),),
    sizes=(784, 16, 16, 10),
    batch=32,
    rows=6400,
    models=64,
    anew=True,
)
