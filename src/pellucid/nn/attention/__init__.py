"""Attention: a function of queries, keys and values, the layer of several heads, and the maps of what looked where."""

from __future__ import annotations

from pellucid.nn.attention.maps import attention_maps
from pellucid.nn.attention.multihead import MultiheadAttention
from pellucid.nn.attention.scaled_dot_product import scaled_dot_product_attention

__all__ = ["MultiheadAttention", "attention_maps", "scaled_dot_product_attention"]
