"""Large enough for the convolutions to decide."""

from __future__ import annotations

from benchmarks.kinds import Goal
from benchmarks.network_kinds import TrainNetwork

WORKLOAD = TrainNetwork(
    title="training ResNet-20 on 3x32x32, cross-entropy, SGD with momentum, batch 64, 320 shuffled rows",
    goals=(Goal("best", 1.05),),
    network="resnet20",
    optimizer="momentum",
    rate=0.002,
    batch=64,
    rows=320,
)
