"""MultiheadAttention: sequences of queries, keys and values enter; for each query, and in several heads, a mean of the
values weighted by how well the keys answer it leaves, with the weights.
"""

from __future__ import annotations

from typing import Any

from pellucid._typing import Shape
from pellucid.core.check import Flag, Integer, Real, check, checked
from pellucid.core.context import default_dtype, scope
from pellucid.core.convert import as_dtype
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentError, ShapeError
from pellucid.nn import init
from pellucid.nn._allocation import zeros
from pellucid.nn.attention.maps import Attending, keep
from pellucid.nn.attention.masks import combined, with_further_keys
from pellucid.nn.attention.scaled_dot_product import attention_weights
from pellucid.nn.dropout import dropout
from pellucid.nn.linear import Linear, linear
from pellucid.nn.module import Parameter
from pellucid.ops.linalg import matmul
from pellucid.ops.reduce import mean
from pellucid.ops.shape import broadcast_to, concatenate, expand_dims, pad, permute, reshape, squeeze


class MultiheadAttention(Attending):
    """Attention in several heads, each with projections of its own, put together by a last linear layer.

        y = concatenate(head_1, ..., head_h)·Woᵀ + bo,
        head = softmax(q·kᵀ / √(embed_dim / h) + mask)·v,  q, k, v = query·Wqᵀ + bq, key·Wkᵀ + bk, value·Wvᵀ + bv

    Unlike PyTorch's, the weights that it returns are those before dropout, so that they always sum to 1; and a query to
    which the masks leave no key has weights of 0, where PyTorch's are NaN.

    Parameters
        embed_dim : features of the queries and of the result.
        num_heads : heads; a divisor of embed_dim.
        dropout : probability in [0, 1] with which a weight is taken out in training.
        bias : whether the projections have biases.
        add_bias_kv : add a key and a value that are learned.
        add_zero_attn : add a key and a value of zeros, for queries that find nothing.
        kdim, vdim : features of keys and values; None is embed_dim.
        batch_first : whether the batch is the first axis of the sequences; without it, as by default, the second.
        dtype : dtype of the parameters; None is the default dtype.
    Attributes
        in_proj_weight : Parameter, shape (3·embed_dim, embed_dim), the rows of queries, keys and values; None with kdim
            or vdim of their own.
        q_proj_weight, k_proj_weight, v_proj_weight : Parameters, shapes (embed_dim, embed_dim), (embed_dim, kdim) and
            (embed_dim, vdim), in place of it; else None.
        in_proj_bias : Parameter, shape (3·embed_dim,), at first 0; or None.
        out_proj : Linear.
        bias_k, bias_v : Parameters, shape (1, 1, embed_dim), of `add_bias_kv`; or None.
        attention_weights : how much each query of the last forward took of each value.
        keep_attention : whether what `attention_weights` is computed from is kept until the next forward: queries and
            keys. Set it to False to spare their memory.
    Raises
        ArgumentError: num_heads does not divide embed_dim.
        ShapeError: when called with sequences or masks that do not fit.
    Source
        Vaswani et al., Attention is all you need, NIPS 2017, section 3.2.2. Projections start by Glorot and Bengio's
        rule, as in PyTorch.
    Examples
        >>> from pellucid import nn
        >>> attention = nn.MultiheadAttention(8, num_heads=2, batch_first=True)
        >>> x = pl.ones((5, 4, 8))
        >>> y, weights = attention(x, x, x)
        >>> y.shape, weights.shape, attention.attention_weights.shape
        ((5, 4, 8), (5, 4, 4), (5, 2, 4, 4))
    """

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    @checked(
        embed_dim=Integer(1),
        num_heads=Integer(1),
        dropout=Real(0, 1),
        bias=Flag(),
        add_bias_kv=Flag(),
        add_zero_attn=Flag(),
        kdim=Integer(1, none=True),
        vdim=Integer(1, none=True),
        batch_first=Flag(),
    )
    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        dtype: Any = None,
    ) -> None:
        if embed_dim % num_heads:
            raise ArgumentError("attention.heads", layer=type(self).__name__, features=embed_dim, heads=num_heads)
        self.embed_dim, self.num_heads, self.head_dim = int(embed_dim), int(num_heads), int(embed_dim // num_heads)
        self.kdim = self.embed_dim if kdim is None else int(kdim)
        self.vdim = self.embed_dim if vdim is None else int(vdim)
        self.dropout, self.batch_first, self.add_zero_attn = float(dropout), bool(batch_first), bool(add_zero_attn)
        kind = default_dtype() if dtype is None else as_dtype(dtype)

        def parameter(there: bool, *shape: int) -> Parameter | None:
            return Parameter(zeros(self, shape), dtype=kind) if there else None

        packed, e = self.kdim == self.vdim == self.embed_dim, self.embed_dim
        self.register_parameter("in_proj_weight", parameter(packed, 3 * e, e))
        self.register_parameter("q_proj_weight", parameter(not packed, e, e))
        self.register_parameter("k_proj_weight", parameter(not packed, e, self.kdim))
        self.register_parameter("v_proj_weight", parameter(not packed, e, self.vdim))
        self.register_parameter("in_proj_bias", parameter(bias, 3 * e))
        self.register_parameter("bias_k", parameter(add_bias_kv, 1, 1, e))
        self.register_parameter("bias_v", parameter(add_bias_kv, 1, 1, e))
        self.out_proj = Linear(e, e, bias, init="torch", dtype=kind)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew, all but those of `out_proj`; biases become 0."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """What each query takes of the values, and the weights by which it did.

        In the masks, as in PyTorch's layer, True is what a query may not look at; in the function
        `scaled_dot_product_attention` it is what it may. Masks of floats are added to the products.

        Parameters
            query : Tensor, shape (L, N, embed_dim), with `batch_first` (N, L, embed_dim); or (L, embed_dim) for a
                single sequence.
            key, value : Tensors, shapes (S, N, kdim) and (S, N, vdim), in the same manner.
            key_padding_mask : bool or float, shape (N, S), or (S,): keys that nobody may look at.
            need_weights : whether to return the weights.
            attn_mask : bool or float, shape (L, S), or (N·num_heads, L, S): keys that a query may not look at.
            average_attn_weights : whether to return the mean of the weights over the heads.
            is_causal : whether query i looks only at the keys 0 to i, in addition to what the masks say.
        Returns
            (Tensor of query's shape, weights): weights of shape (N, L, S), or (N, num_heads, L, S) where they are not
            averaged; None without `need_weights`. A single sequence has no N. S is longer by the keys that were added.
        """
        # One Tensor given thrice needs one projection.
        q = as_tensor(query)
        k = q if key is query else as_tensor(key)
        v = k if value is key else q if value is query else as_tensor(value)
        check("MultiheadAttention: is_causal", is_causal, Flag())
        products, batched = self._products(q.shape, k.shape, v.shape)
        allowed, added = combined(attn_mask, key_padding_mask, is_causal, q, products, batched)
        axis = 0 if self.batch_first else 1
        if not batched:
            x = expand_dims(q, axis)
            one = x if k is q else expand_dims(k, axis)
            q, k, v = x, one, one if v is k else expand_dims(v, axis)
        q, k, v = self._projected(q, k, v)
        k, v = self._with_further(k, self.bias_k), self._with_further(v, self.bias_v)
        further = k.shape[-2] - products[-1]
        allowed, added = with_further_keys(allowed, further), with_further_keys(added, further)
        keep(self, q, k, allowed, added, batched)
        masked = (attn_mask is not None or key_padding_mask is not None) and not further
        with scope("scaled_dot_product_attention"):
            weights = attention_weights(q, k, allowed, added, None, may_be_empty=masked)
            y = matmul(dropout(weights, self.dropout, self.training), v)
        y = permute(y, (0, 2, 1, 3) if self.batch_first else (2, 0, 1, 3))
        y = self.out_proj(reshape(y, (*y.shape[:2], self.embed_dim)))
        if not batched:
            y = squeeze(y, axis)
        if not need_weights:
            return y, None
        shown = mean(weights, 1) if average_attn_weights else weights
        return y, shown if batched else shown[0]

    def _products(self, q: Shape, k: Shape, v: Shape) -> tuple[Shape, bool]:
        """The shape of the products of queries and keys, (N, heads, L, S), and whether there is a batch.

        Raises
            ShapeError: the sequences do not fit the layer or each other.
        """
        shapes = {"query": q, "key": k, "value": v}
        if len(q) not in (2, 3) or len({len(shape) for shape in shapes.values()}) > 1:
            raise ShapeError("attention.layer-axes", **shapes, form=self._form("query", len(q) == 3))
        for (name, shape), features in zip(shapes.items(), (self.embed_dim, self.kdim, self.vdim), strict=True):
            if shape[-1] != features:
                raise ShapeError("attention.layer-features", name=name, shape=shape, given=shape[-1], expected=features)
        batched = len(q) == 3
        sequence = 1 if batched and self.batch_first else 0
        if k[:-1] != v[:-1] or (batched and q[1 - sequence] != k[1 - sequence]):
            raise ShapeError("attention.layer-sequences", **shapes, form=self._form("key", batched))
        for name, shape in (("query", q), ("key", k)):
            if not shape[sequence]:
                raise ShapeError("attention.empty", owner=type(self).__name__, name=name, shape=shape)
        return (q[1 - sequence] if batched else 1, self.num_heads, q[sequence], k[sequence]), batched

    def _form(self, name: str, batched: bool) -> str:
        length = "L" if name == "query" else "S"
        axes = ("N", length) if self.batch_first else (length, "N")
        return f"({', '.join(axes) if batched else length}, {self.embed_dim if name == 'query' else self.kdim})"

    def _projected(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of each head, shapes (N, heads, length, head_dim)."""
        w, b, e = self.in_proj_weight, self.in_proj_bias, self.embed_dim
        parts: list[tuple[Tensor, Any, int, int]]
        if w is None:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
            parts = [(x, weight, n, n + 1) for n, (x, weight) in enumerate(zip((q, k, v), weights, strict=True))]
        elif q is k is v:
            parts = [(q, w, 0, 3)]
        elif k is v:
            parts = [(q, w[:e], 0, 1), (k, w[e:], 1, 3)]
        else:
            parts = [(x, w[n * e : (n + 1) * e], n, n + 1) for n, x in enumerate((q, k, v))]
        heads: list[Tensor] = []
        for x, weight, first, last in parts:
            bias = b if b is None or last - first == 3 else b[first * e : last * e]
            y = linear(x, weight, bias)
            y = reshape(y, (*y.shape[:-1], last - first, self.num_heads, self.head_dim))
            y = permute(y, (2, 0, 3, 1, 4) if self.batch_first else (2, 1, 3, 0, 4))
            heads += [y[n] for n in range(last - first)]
        return heads[0], heads[1], heads[2]

    def _with_further(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Keys or values with the learned one and the one of zeros at the end, as far as there are such."""
        if bias is not None:
            one = reshape(bias, (1, self.num_heads, 1, self.head_dim))
            x = concatenate([x, broadcast_to(one, (x.shape[0], *one.shape[1:]))], axis=-2)
        return pad(x, ((0, 0), (0, 0), (0, 1), (0, 0))) if self.add_zero_attn else x

    def _label(self) -> str:
        return f"MultiheadAttention({self.embed_dim}, {self.num_heads})"

    def extra_repr(self) -> str:
        words = f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, dropout={self.dropout}"
        sizes = "" if self.in_proj_weight is not None else f", kdim={self.kdim}, vdim={self.vdim}"
        return f"{words}{sizes}, batch_first={self.batch_first}"
