"""One row through a trained ResNet-20."""

from __future__ import annotations

from benchmarks.network_kinds import inference

WORKLOAD = inference("the forward pass of ResNet-20 on 3x32x32", "resnet20", 1, 0.83)
