"""Movements: reshaping, broadcasting, joining, splitting, padding and mirroring. Nothing is computed."""

from __future__ import annotations

from pellucid.ops.shape.borders import flip, pad, roll
from pellucid.ops.shape.joining import concat, concatenate, repeat, split, stack, tile, unstack
from pellucid.ops.shape.layout import (
    as_shape,
    astype,
    broadcast_arrays,
    broadcast_shapes,
    broadcast_to,
    cast,
    checked_shape,
    expand_dims,
    flatten,
    matrix_transpose,
    moveaxis,
    permute,
    permute_dims,
    reshape,
    squeeze,
    swapaxes,
    transpose,
    unsqueeze,
)

__all__ = [
    "as_shape",
    "astype",
    "broadcast_arrays",
    "broadcast_shapes",
    "broadcast_to",
    "cast",
    "checked_shape",
    "concat",
    "concatenate",
    "expand_dims",
    "flatten",
    "flip",
    "matrix_transpose",
    "moveaxis",
    "pad",
    "permute",
    "permute_dims",
    "repeat",
    "reshape",
    "roll",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "tile",
    "transpose",
    "unsqueeze",
    "unstack",
]
