"""Indexing with gradients; take, gather, scatter-add and one-hot."""

from __future__ import annotations

from pellucid.ops.index.along import gather, one_hot, scatter_add, take, take_along_axis
from pellucid.ops.index.template import ARRAY, check_keeps_kind, getitem, setitem

__all__ = [
    "ARRAY",
    "check_keeps_kind",
    "gather",
    "getitem",
    "one_hot",
    "scatter_add",
    "setitem",
    "take",
    "take_along_axis",
]
