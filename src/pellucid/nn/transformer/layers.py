"""Layers of the Transformer: sequences of features enter, sequences of the same shape leave, in which every element has
looked at the others. `stacks.py` puts them in rows.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.core.check import Constraint, Flag, Integer, Options, Real, check, checked
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentTypeError
from pellucid.nn import init
from pellucid.nn._initial import draw, wrong_features
from pellucid.nn.attention import MultiheadAttention
from pellucid.nn.dropout import Dropout
from pellucid.nn.linear import Linear
from pellucid.nn.module import Module
from pellucid.nn.norm import LayerNorm
from pellucid.ops.activation import gelu, relu

ARGUMENTS: dict[str, Constraint] = {
    "d_model": Integer(1),
    "nhead": Integer(1),
    "dim_feedforward": Integer(1),
    "dropout": Real(0, 1),
    "layer_norm_eps": Real(0),
    "batch_first": Flag(),
    "norm_first": Flag(),
    "bias": Flag(),
}
_ACTIVATIONS: dict[str, Callable[[Any], Tensor]] = {"relu": relu, "gelu": gelu}


class TransformerLayer(Module):
    """What the layers of encoder and decoder share: the two linear layers, and the features that they take."""

    self_attn: MultiheadAttention
    linear1: Linear
    linear2: Linear
    norm1: LayerNorm
    activation: Any
    d_model: int
    # A checksum of the weights as they were first drawn.
    _started: int

    def _is_as_drawn(self) -> bool:
        """Whether nobody has touched the weights since they were drawn, but for a cast."""
        return self._started == _fingerprint(self)

    def _activated(self, activation: Any) -> None:
        """Take over the activation: a name, a function or a module."""
        if isinstance(activation, str):
            check(f"{type(self).__name__}: activation", activation, Options(*_ACTIVATIONS))
            activation = _ACTIVATIONS[activation]
        elif not callable(activation):
            raise ArgumentTypeError("attention.activation", layer=type(self).__name__, type=type(activation).__name__)
        self.activation = activation

    def _fed_forward(self, x: Tensor, last: Dropout) -> Tensor:
        return last(self.linear2(self.dropout(self.activation(self.linear1(x)))))  # type: ignore[no-any-return]

    def _redraw(self) -> None:
        """Draw the weights anew, as a layer of its own would have drawn them."""
        for module in self.modules():
            if isinstance(module, MultiheadAttention):
                module.reset_parameters()
                draw(module.out_proj, "torch")
                if module.out_proj.bias is not None:
                    init.zeros_(module.out_proj.bias)
        draw(self.linear1, "torch")
        draw(self.linear2, "torch")
        self._started = _fingerprint(self)

    def _features_after(self, given: int | None) -> int | None:
        if given is not None and given != self.d_model:
            nhead = self.self_attn.num_heads
            fix = f"{type(self).__name__}({given}, {nhead})" if given % nhead == 0 else None
            raise wrong_features(self, given, self.d_model, fix)
        return self.d_model

    def _checked(self, x: Any) -> Tensor:
        tensor = as_tensor(x)
        self._features_after(tensor.shape[-1] if tensor.ndim else None)
        return tensor

    def _label(self) -> str:
        return f"{type(self).__name__}({self.d_model}, {self.self_attn.num_heads})"


class TransformerEncoderLayer(TransformerLayer):
    """A layer of a Transformer's encoder: every element looks at all elements, then each is taken through two linear
    layers; both are added to what entered.

        x = norm1(x + attention(x)),  y = norm2(x + linear2(activation(linear1(x))))
        with norm_first: x = x + attention(norm1(x)),  y = x + linear2(activation(linear1(norm2(x))))

    Parameters
        d_model : features of the elements.
        nhead : heads of the attention; a divisor of d_model.
        dim_feedforward : features between the two linear layers.
        dropout : probability in [0, 1] of what is taken out in training: of the attention's weights, between the linear
            layers, and of both before they are added.
        activation : "relu", "gelu", a function of a Tensor, or a module.
        layer_norm_eps : eps of both LayerNorms.
        batch_first : whether the batch is the first axis; without it, as by default, the second.
        norm_first : whether to normalise what enters the attention and the linear layers, and not the sums.
        bias : whether linear layers, projections and LayerNorms have biases.
        dtype : dtype of the parameters; None is the default dtype.
    Attributes
        self_attn, linear1, dropout, linear2, norm1, norm2, dropout1, dropout2 : the layers. Weights start as in
            PyTorch.
    Raises
        ShapeError: when called with another number of features.
    Source
        Vaswani et al., Attention is all you need, NIPS 2017, section 3.1. norm_first: Xiong et al., On layer
        normalization in the Transformer architecture, ICML 2020.
    Examples
        >>> from pellucid import nn
        >>> nn.TransformerEncoderLayer(8, nhead=2, batch_first=True)(pl.ones((5, 4, 8))).shape
        (5, 4, 8)
    """

    @checked(**ARGUMENTS)
    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Any = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        dtype: Any = None,
    ) -> None:
        self.d_model, self.norm_first = int(d_model), bool(norm_first)
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype)
        self.linear1 = Linear(d_model, dim_feedforward, bias, init="torch", dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, init="torch", dtype=dtype)
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1, self.dropout2 = Dropout(dropout), Dropout(dropout)
        self._activated(activation)
        self._started = _fingerprint(self)

    def forward(
        self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Tensor:
        """src (L, N, d_model), with `batch_first` (N, L, d_model), or (L, d_model) -> the same shape.

        Parameters
            src_mask, src_key_padding_mask, is_causal : as `attn_mask`, `key_padding_mask` and `is_causal` of
                `MultiheadAttention`: True is what may not be looked at.
        """
        x, masks = self._checked(src), (src_mask, src_key_padding_mask, is_causal)
        if self.norm_first:
            x = x + self.dropout1(_looked(self.self_attn, y := self.norm1(x), y, *masks))
            return self._fed_forward(self.norm2(x), self.dropout2) + x  # type: ignore[no-any-return]
        x = self.norm1(x + self.dropout1(_looked(self.self_attn, x, x, *masks)))
        return self.norm2(x + self._fed_forward(x, self.dropout2))  # type: ignore[no-any-return]


class TransformerDecoderLayer(TransformerLayer):
    """A layer of a Transformer's decoder: every element of the target looks at the target, then at the memory that the
    encoder left, then each is taken through two linear layers; all are added to what entered.

        x = norm1(x + attention(x)),  x = norm2(x + attention(x, memory)),
        y = norm3(x + linear2(activation(linear1(x)))); with norm_first as in the encoder

    Parameters
        d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, dtype : as
            for `TransformerEncoderLayer`.
    Attributes
        self_attn, multihead_attn, linear1, dropout, linear2, norm1, norm2, norm3, dropout1, dropout2, dropout3 : the
            layers. Weights start as in PyTorch.
    Raises
        ShapeError: when called with another number of features, or sequences that do not fit.
    Source
        Vaswani et al., Attention is all you need, NIPS 2017, section 3.1.
    Examples
        >>> from pellucid import nn
        >>> layer = nn.TransformerDecoderLayer(8, nhead=2, batch_first=True)
        >>> layer(pl.ones((5, 3, 8)), pl.ones((5, 4, 8)), tgt_is_causal=True).shape
        (5, 3, 8)
    """

    @checked(**ARGUMENTS)
    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Any = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        dtype: Any = None,
    ) -> None:
        self.d_model, self.norm_first = int(d_model), bool(norm_first)
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype)
        self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype)
        self.linear1 = Linear(d_model, dim_feedforward, bias, init="torch", dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, init="torch", dtype=dtype)
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm3 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1, self.dropout2, self.dropout3 = Dropout(dropout), Dropout(dropout), Dropout(dropout)
        self._activated(activation)
        self._started = _fingerprint(self)

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """tgt (L, N, d_model) and memory (S, N, d_model), with `batch_first` N in front -> the shape of tgt.

        Parameters
            tgt_mask, tgt_key_padding_mask, tgt_is_causal : the masks of the first attention, as for
                `MultiheadAttention`: True is what may not be looked at. A decoder that shall learn to continue needs
                `tgt_is_causal=True` or such a mask.
            memory_mask, memory_key_padding_mask, memory_is_causal : those of the second.
        """
        x, memory = self._checked(tgt), as_tensor(memory)
        own, other = (
            (tgt_mask, tgt_key_padding_mask, tgt_is_causal),
            (memory_mask, memory_key_padding_mask, memory_is_causal),
        )
        if self.norm_first:
            x = x + self.dropout1(_looked(self.self_attn, y := self.norm1(x), y, *own))
            x = x + self.dropout2(_looked(self.multihead_attn, self.norm2(x), memory, *other))
            return self._fed_forward(self.norm3(x), self.dropout3) + x  # type: ignore[no-any-return]
        x = self.norm1(x + self.dropout1(_looked(self.self_attn, x, x, *own)))
        x = self.norm2(x + self.dropout2(_looked(self.multihead_attn, x, memory, *other)))
        return self.norm3(x + self._fed_forward(x, self.dropout3))  # type: ignore[no-any-return]


def _looked(attention: MultiheadAttention, x: Tensor, at: Tensor, mask: Any, padding: Any, causal: bool) -> Tensor:
    y: Tensor = attention(x, at, at, padding, need_weights=False, attn_mask=mask, is_causal=causal)[0]
    return y


def _fingerprint(layer: Module) -> int:
    value = 0
    for parameter in layer.parameters():
        value = zlib.crc32(np.ascontiguousarray(parameter.data, np.float32).data, value)
    return value
