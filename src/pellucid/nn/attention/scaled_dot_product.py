"""Attention as a function: queries, keys and values enter, for each query a mean of the values leaves, weighted by how
well the keys answer it. `MultiheadAttention` calls it for all its heads at once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid._typing import Shape
from pellucid.core.check import Flag, Real, check
from pellucid.core.context import default_dtype
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentError, ShapeError
from pellucid.nn.attention.masks import as_mask, causal_mask, check_broadcasts
from pellucid.nn.dropout import dropout
from pellucid.ops.activation import softmax
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import greater, logical_and, where
from pellucid.ops.linalg import matmul
from pellucid.ops.reduce import any_
from pellucid.ops.shape import broadcast_to, cast, expand_dims, reshape, swapaxes

_NAME = "scaled_dot_product_attention"
_P = Real(0, 1)


@composite(
    formula="y[...,i,e] = Σ_j softmax_j(scale·Σ_d query[...,i,d]·key[...,j,d] + mask[...,i,j])·value[...,j,e]",
    onnx="Attention",
)
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """For each query the mean of the values, each weighted by the softmax over the products of the query and its key.

    A query to which the mask leaves no key gets zeros, and passes no gradient: the mean of nothing would be NaN, which
    would reach every weight of a network through one padded row.

    Parameters
        query : Tensor, shape (..., L, E).
        key : Tensor, shape (..., S, E).
        value : Tensor, shape (..., S, V). The axes in front broadcast.
        attn_mask : bool, True where a query may look at a key; or floats that are added to the products, -inf where it
            may not. Its shape broadcasts to (..., L, S).
        dropout_p : probability in [0, 1] with which a weight is taken out; give 0 in use.
        is_causal : whether query i looks only at the keys 0 to i.
        scale : factor of the products; None is 1/√E.
        enable_gqa : whether axis -3, the heads, may be shorter in key and value: each of theirs then serves as many
            heads of the query in turn.
    Returns
        Tensor, shape (..., L, V)
    Raises
        ShapeError: the shapes do not fit each other, or a sequence has no elements.
        ArgumentError: attn_mask together with is_causal, or a number out of range.
        DTypeError: the mask holds whole numbers, which could mean either kind.
    Source
        Vaswani et al., Attention is all you need, NIPS 2017, eq. 1. Groups of heads: Ainslie et al., GQA,
        arXiv:2305.13245, section 2.2.
    Examples
        >>> from pellucid.nn import functional as F
        >>> same = pl.ones((1, 2, 3))
        >>> F.scaled_dot_product_attention(same, same, [[[2.0], [4.0]]]).tolist()
        [[[3.0], [3.0]]]
        >>> F.scaled_dot_product_attention(same, same, [[[2.0], [4.0]]], is_causal=True).tolist()
        [[[2.0], [3.0]]]
    """
    check(f"{_NAME}: dropout_p", dropout_p, _P)
    check(f"{_NAME}: is_causal", is_causal, Flag())
    check(f"{_NAME}: scale", scale, Real(none=True))
    check(f"{_NAME}: enable_gqa", enable_gqa, Flag())
    q, k, v = (_floats(t) for t in (query, key, value))
    _check_shapes(q.shape, k.shape, v.shape)
    if enable_gqa:
        k, v = (_for_heads_of(q.shape, t) for t in (k, v))
    products = _products(q.shape, k.shape, v.shape, enable_gqa)
    allowed: Tensor | None = None
    added: Tensor | None = None
    if attn_mask is not None:
        if is_causal:
            raise ArgumentError("attention.mask-and-causal")
        mask = as_mask(_NAME, "attn_mask", attn_mask, q)
        check_broadcasts(_NAME, mask.shape, products)
        allowed, added = (mask, None) if mask.dtype.kind == "b" else (None, mask)
    elif is_causal:
        allowed = causal_mask(q.shape[-2], k.shape[-2])
    weights = attention_weights(q, k, allowed, added, scale, may_be_empty=attn_mask is not None)
    return matmul(dropout(weights, dropout_p), v)


def attention_weights(
    q: Tensor, k: Tensor, allowed: Tensor | None, added: Tensor | None, scale: float | None, may_be_empty: bool
) -> Tensor:
    """How much each query takes of each key's value, before dropout: positive numbers that sum to 1 over the keys, or
    zeros where no key is allowed.

    Parameters
        q, k : floats, shapes (..., L, E) and (..., S, E).
        allowed : bool, True where a query may look at a key; or None.
        added : added to the products, -inf where a query may not look; or None.
        may_be_empty : whether there may be queries that are left without a key.
    Returns
        Tensor, shape (..., L, S)
    """
    # The queries are scaled and not the products, of which there are more.
    scores = matmul(q * (1.0 / math.sqrt(q.shape[-1]) if scale is None else scale), swapaxes(k, -1, -2))
    if added is not None:
        scores = scores + added
        finite = greater(added, -math.inf)
        allowed = finite if allowed is None else logical_and(allowed, finite)
    if allowed is None:
        return softmax(scores)
    # The lowest number and not -inf, whose difference from itself is NaN.
    weights = softmax(where(allowed, scores, float(np.finfo(scores.dtype).min)))
    return where(any_(allowed, -1, keepdims=True), weights, 0.0) if may_be_empty else weights


def _floats(x: Any) -> Tensor:
    tensor = as_tensor(x)
    return tensor if tensor.dtype.kind == "f" else cast(tensor, default_dtype())


def _check_shapes(q: Shape, k: Shape, v: Shape) -> None:
    for name, shape in (("query", q), ("key", k), ("value", v)):
        if len(shape) < 2:
            raise ShapeError("attention.axes", name=name, shape=shape)
    if q[-1] != k[-1] or not q[-1]:
        raise ShapeError("attention.features", query=q, key=k, a=q[-1], b=k[-1])
    if k[-2] != v[-2]:
        raise ShapeError("attention.lengths", key=k, value=v, a=k[-2], b=v[-2])
    for name, shape in (("query", q), ("key", k)):
        if not shape[-2]:
            raise ShapeError("attention.empty", owner=_NAME, name=name, shape=shape)


def _products(q: Shape, k: Shape, v: Shape, grouped: bool) -> Shape:
    """The shape of the products of all queries and keys, (..., L, S).

    Raises
        ShapeError: the axes in front do not broadcast.
    """
    try:
        front = np.broadcast_shapes(q[:-2], k[:-2])
        np.broadcast_shapes(front, v[:-2])
    except ValueError:
        heads = len(q) > 2 and len(k) > 2 and q[-3] != k[-3]
        fix = "enable_gqa=True" if heads and not grouped and k[-3] and q[-3] % k[-3] == 0 and k[:-2] == v[:-2] else None
        raise ShapeError("attention.front", query=q, key=k, value=v, suggestion=fix) from None
    return (*front, q[-2], k[-2])


def _for_heads_of(q: Shape, x: Tensor) -> Tensor:
    """Keys or values with each head repeated for its group of the query's heads.

    Raises
        ShapeError: the query's heads are not a multiple.
    """
    if len(q) < 3 or x.ndim < 3 or not x.shape[-3] or q[-3] % x.shape[-3]:
        raise ShapeError("attention.groups", query=q, given=x.shape)
    count = q[-3] // x.shape[-3]
    if count == 1:
        return x
    *front, heads, length, features = x.shape
    spread = broadcast_to(expand_dims(x, -3), (*front, heads, count, length, features))
    return reshape(spread, (*front, heads * count, length, features))
