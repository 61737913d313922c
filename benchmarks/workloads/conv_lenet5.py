"""The convolutional network of most tutorials."""

from __future__ import annotations

from benchmarks.kinds import Goal
from benchmarks.network_kinds import TrainNetwork

WORKLOAD = TrainNetwork(
    title="training LeNet-5 on 28x28, cross-entropy, Adam, batch 64, 6,400 shuffled rows",
    goals=(Goal("best", 2.0),),
    network="lenet5",
    optimizer="adam",
    rate=1e-3,
    batch=64,
    rows=6400,
)
