"""One sequence through a trained GPT."""

from __future__ import annotations

from benchmarks.network_kinds import inference

WORKLOAD = inference(
    "the forward pass of a GPT of 4 layers, 4 heads, 128 features and 65 tokens on sequences of 64",
    "gpt",
    1,
    0.83,
    pictures=False,
)
