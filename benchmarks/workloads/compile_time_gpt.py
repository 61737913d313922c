"""What compiling a Transformer costs."""

from __future__ import annotations

from benchmarks.kinds import Limit
from benchmarks.network_kinds import CompileNetwork

WORKLOAD = CompileNetwork(
    title="the first compiled training step of a GPT of 4 layers, 4 heads, 128 features, 65 tokens and sequences of "
    "64, AdamW, batch 12, in a fresh process: recording, compiling and running it; building the network is not in it, "
    "and imports are told apart",
    limits=(Limit("step-2t-cold", 2.0),),
    network="gpt",
    optimizer="adamw",
    rate=1e-3,
    batch=12,
    rows=12,
)
