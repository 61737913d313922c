"""Step after step, each of which waits for the one before."""

from __future__ import annotations

from benchmarks.kinds import Goal
from benchmarks.network_kinds import PLAIN, TrainNetwork

WORKLOAD = TrainNetwork(
    title="training an LSTM of 128 units on 32 steps of 64 features, with a linear layer on its last state, "
    "cross-entropy, Adam, batch 32, 1,600 shuffled rows",
    sides=PLAIN,
    goals=(Goal("best", 1.3),),
    network="lstm",
    optimizer="adam",
    rate=1e-3,
    batch=32,
    rows=1600,
)
