"""An LSTM of 128 units over 32 steps of 64 features, and a linear layer on its last state."""

from __future__ import annotations

from typing import Any

from benchmarks.network import Network, Operations

STEPS, FEATURES, HIDDEN = 32, 64, 128

SHAPES = {
    "lstm.weight_ih_l0": (4 * HIDDEN, FEATURES), "lstm.weight_hh_l0": (4 * HIDDEN, HIDDEN),
    "lstm.bias_ih_l0": (4 * HIDDEN,), "lstm.bias_hh_l0": (4 * HIDDEN,),
    "head.weight": (10, HIDDEN), "head.bias": (10,),
}  # fmt: skip


def forward(m: Operations, x: Any) -> Any:
    return m.linear("head", m.lstm_last("lstm", x))


NETWORK = Network((STEPS, FEATURES), 10, SHAPES, forward, deviation=0.1)
