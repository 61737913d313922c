"""256 rows through a trained LeNet-5."""

from __future__ import annotations

from benchmarks.network_kinds import inference

WORKLOAD = inference("the forward pass of LeNet-5 on 28x28", "lenet5", 256, 1.0)
