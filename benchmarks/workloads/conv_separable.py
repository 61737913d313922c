"""Convolutions that see one channel each, and 1x1 convolutions between the channels, by turns."""

from __future__ import annotations

from benchmarks.kinds import Goal
from benchmarks.network_kinds import TrainNetwork

WORKLOAD = TrainNetwork(
    title="training a depthwise separable network on 3x32x32 (a convolution of 32 channels, four separable ones of 64, "
    "128, 128 and 256, strides 1, 2, 1 and 2, batch normalisation, ReLU6), cross-entropy, SGD with momentum, batch 64, "
    "640 shuffled rows",
    goals=(Goal("best", 1.3),),
    network="separable",
    optimizer="momentum",
    rate=0.01,
    batch=64,
    rows=640,
)
