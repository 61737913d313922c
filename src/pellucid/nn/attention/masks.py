"""Masks of attention: what a user gives comes in, bools or floats over queries and keys; what each query may look at,
and what is added to the products, leaves. The function and the layer of attention call it.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from pellucid._typing import Shape
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import DTypeError, ShapeError
from pellucid.ops.elementwise import add, logical_and, logical_not
from pellucid.ops.shape import cast, pad, reshape


def causal_mask(queries: int, keys: int) -> Tensor:
    """True where query i may look at key j: at those before it and at its own place. bool, shape (queries, keys)."""
    return wrap(np.tri(queries, keys, dtype=bool))


def as_mask(owner: str, name: str, mask: Any, x: Tensor) -> Tensor:
    """A mask as a Tensor of bool, or of the dtype of the sequences `x` that it is for.

    Raises
        DTypeError: it holds whole numbers, which could mean either.
    """
    tensor = as_tensor(mask)
    if tensor.dtype.kind == "b" or tensor.dtype == x.dtype:
        return tensor
    if tensor.dtype.kind != "f":
        raise DTypeError("attention.mask-dtype", owner=owner, name=name, dtype=tensor.dtype)
    return cast(tensor, x.dtype)


def check_broadcasts(owner: str, mask: Shape, products: Shape) -> None:
    """Raise unless a mask broadcasts to the shape of the products of queries and keys."""
    try:
        fits = np.broadcast_shapes(mask, products) == products
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError("attention.mask-shape", owner=owner, name="attn_mask", shape=mask, expected=products)


def combined(
    attn_mask: Any, key_padding_mask: Any, is_causal: bool, x: Tensor, products: Shape, batched: bool
) -> tuple[Tensor | None, Tensor | None]:
    """PyTorch's masks of `MultiheadAttention`, where True keeps a query from looking, as one of each kind.

    Parameters
        attn_mask : bool or float, shape (L, S) or (N·heads, L, S); or None.
        key_padding_mask : bool or float, shape (N, S), or (S,) of a single sequence; or None.
        x : the queries, whose dtype masks of floats take.
        products : (N, heads, L, S).
        batched : whether the sequences were given as a batch.
    Returns
        (allowed, added): True where a query may look; what is added to the products. Each broadcasts to `products`, or
        is None.
    Raises
        ShapeError: a mask has another shape.
        DTypeError: a mask holds whole numbers.
    """
    batch, heads, queries, keys = products
    masks = []
    if attn_mask is not None:
        mask = as_mask("MultiheadAttention", "attn_mask", attn_mask, x)
        if mask.shape == (batch * heads, queries, keys):
            mask = reshape(mask, products)
        elif mask.shape != (queries, keys):
            raise _wrong("attn_mask", mask, f"{(queries, keys)} / {(batch * heads, queries, keys)}")
        masks.append(mask)
    if key_padding_mask is not None:
        mask = as_mask("MultiheadAttention", "key_padding_mask", key_padding_mask, x)
        expected = (batch, keys) if batched else (keys,)
        if mask.shape != expected:
            raise _wrong("key_padding_mask", mask, str(expected))
        masks.append(reshape(mask, (batch, 1, 1, keys)))
    allowed = [logical_not(mask) for mask in masks if mask.dtype.kind == "b"]
    added = [mask for mask in masks if mask.dtype.kind != "b"]
    if is_causal:
        allowed.append(causal_mask(queries, keys))
    return reduce(logical_and, allowed) if allowed else None, reduce(add, added) if added else None


def with_further_keys(mask: Tensor | None, count: int) -> Tensor | None:
    """A mask for `count` more keys at the end, at which every query may look."""
    if mask is None or not count:
        return mask
    widths = ((0, 0),) * (mask.ndim - 1) + ((0, count),)
    return pad(mask, widths, value=mask.dtype.kind == "b")


def _wrong(name: str, mask: Tensor, expected: str) -> ShapeError:
    return ShapeError("attention.layer-mask", name=name, shape=mask.shape, expected=expected)
