"""A small Transformer, as one trains it on the letters of a text."""

from __future__ import annotations

from benchmarks.kinds import Goal
from benchmarks.network_kinds import PLAIN, TrainNetwork

WORKLOAD = TrainNetwork(
    title="training a GPT of 4 layers, 4 heads, 128 features, 65 tokens and sequences of 64, AdamW, batch 12, "
    "120 shuffled sequences",
    sides=PLAIN,
    goals=(Goal("best", 1.4),),
    network="gpt",
    optimizer="adamw",
    rate=1e-3,
    batch=12,
    rows=120,
)
