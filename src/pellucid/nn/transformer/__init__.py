"""The Transformer: its layers, stacks of them, and encoder and decoder together, by PyTorch's names."""

from __future__ import annotations

from pellucid.nn.transformer.layers import TransformerDecoderLayer, TransformerEncoderLayer
from pellucid.nn.transformer.stacks import Transformer, TransformerDecoder, TransformerEncoder

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]
