"""What compiling a deep network costs."""

from __future__ import annotations

from benchmarks.kinds import Limit
from benchmarks.network_kinds import CompileNetwork

WORKLOAD = CompileNetwork(
    title="the first compiled training step of ResNet-20 on 3x32x32, SGD with momentum, batch 64, in a fresh process: "
    "recording, compiling and running it; building the network is not in it, and imports are told apart",
    limits=(Limit("step-2t-cold", 2.0),),
    network="resnet20",
    optimizer="momentum",
    rate=0.002,
    batch=64,
    rows=64,
)
