"""One row through a trained LeNet-5."""

from __future__ import annotations

from benchmarks.network_kinds import inference

WORKLOAD = inference("the forward pass of LeNet-5 on 28x28", "lenet5", 1, 1.0)
