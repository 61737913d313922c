"""Stacks of Transformer layers: sequences enter and pass all layers in turn. An encoder, a decoder, and the two
together.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from pellucid.core.check import Flag, Integer, check, checked
from pellucid.core.context import default_dtype
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.nn import init
from pellucid.nn._parts import not_a_module
from pellucid.nn.containers import ModuleList
from pellucid.nn.module import Module
from pellucid.nn.norm import LayerNorm
from pellucid.nn.transformer.layers import ARGUMENTS, TransformerDecoderLayer, TransformerEncoderLayer, TransformerLayer


def _copies(owner: str, name: str, layer: Any, count: int) -> ModuleList:
    """A layer as often as asked for, each with weights of its own."""
    if not isinstance(layer, Module):
        raise not_a_module(owner, name, layer)
    copies = [copy.deepcopy(layer) for _ in range(count)]
    if isinstance(layer, TransformerLayer) and layer._is_as_drawn():
        for one in copies[1:]:
            one._redraw()
    return ModuleList(copies)


class _Stack(Module):
    """What the stacks of encoder and decoder share."""

    layers: ModuleList
    norm: Any

    def _stacked(self, name: str, layer: Any, num_layers: int, norm: Any) -> None:
        if norm is not None and not isinstance(norm, Module):
            raise not_a_module(type(self).__name__, "norm", norm)
        self.layers = _copies(type(self).__name__, name, layer, num_layers)
        self.num_layers = int(num_layers)
        self.norm = norm

    def _features_after(self, given: int | None) -> int | None:
        for layer in self.layers:
            given = layer._features_after(given)
        after: int | None = given if self.norm is None else self.norm._features_after(given)
        return after

    def _normed(self, x: Tensor) -> Tensor:
        y: Tensor = x if self.norm is None else self.norm(x)
        return y


class TransformerEncoder(_Stack):
    """Layers of an encoder, one after the other.

    Unlike PyTorch's, whose layers all start with the same weights, each has weights of its own: those of
    `encoder_layer` are drawn anew for every further layer, unless they were loaded or changed before.

    Parameters
        encoder_layer : a `TransformerEncoderLayer`, or a module that is called like one; it is copied.
        num_layers : how many layers.
        norm : a module that the last layer's output passes, usually a LayerNorm where the layers have norm_first.
        enable_nested_tensor, mask_check : taken for PyTorch's sake. Padded places of the output are not made zeros.
    Attributes
        layers : ModuleList of the copies.
        norm : as it was given.
    Source
        Vaswani et al., Attention is all you need, NIPS 2017, section 3.1.
    Examples
        >>> from pellucid import nn
        >>> layer = nn.TransformerEncoderLayer(8, nhead=2, batch_first=True)
        >>> encoder = nn.TransformerEncoder(layer, num_layers=3)
        >>> encoder(pl.ones((5, 4, 8))).shape
        (5, 4, 8)
    """

    @checked(num_layers=Integer(1, 10_000), enable_nested_tensor=Flag(), mask_check=Flag())
    def __init__(
        self,
        encoder_layer: Any,
        num_layers: int,
        norm: Any = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        self._stacked("encoder_layer", encoder_layer, num_layers, norm)

    def forward(
        self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool | None = None
    ) -> Tensor:
        """src (L, N, d_model), with `batch_first` (N, L, d_model), or (L, d_model) -> the same shape.

        Parameters
            mask, src_key_padding_mask, is_causal : as `src_mask`, `src_key_padding_mask` and `is_causal` of
                `TransformerEncoderLayer`. None is False: what a mask says is never guessed.
        """
        x = as_tensor(src)
        for layer in self.layers:
            x = layer(x, mask, src_key_padding_mask, _flag(self, "is_causal", is_causal))
        return self._normed(x)


class TransformerDecoder(_Stack):
    """Layers of a decoder, one after the other; all look at the same memory.

    Unlike PyTorch's, whose layers all start with the same weights, each has weights of its own, as in
    `TransformerEncoder`.

    Parameters
        decoder_layer : a `TransformerDecoderLayer`, or a module that is called like one; it is copied.
        num_layers : how many layers.
        norm : a module that the last layer's output passes.
    Attributes
        layers : ModuleList of the copies.
        norm : as it was given.
    Source
        Vaswani et al., Attention is all you need, NIPS 2017, section 3.1.
    """

    @checked(num_layers=Integer(1, 10_000))
    def __init__(self, decoder_layer: Any, num_layers: int, norm: Any = None) -> None:
        self._stacked("decoder_layer", decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """tgt (L, N, d_model) and memory (S, N, d_model), with `batch_first` N in front -> the shape of tgt.

        Parameters
            tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, tgt_is_causal, memory_is_causal : as
                for `TransformerDecoderLayer`. None is False: what a mask says is never guessed.
        """
        x, memory = as_tensor(tgt), as_tensor(memory)
        own, other = _flag(self, "tgt_is_causal", tgt_is_causal), _flag(self, "memory_is_causal", memory_is_causal)
        for layer in self.layers:
            x = layer(x, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, own, other)
        return self._normed(x)


class Transformer(Module):
    """An encoder and a decoder: the source passes the encoder, and what it leaves is the memory that the decoder looks
    at for the target. Embeddings, positions and the last layer are the user's.

    Parameters
        d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias : as for
            `TransformerEncoderLayer`.
        num_encoder_layers, num_decoder_layers : how many layers each has.
        custom_encoder, custom_decoder : modules in place of encoder and decoder; or None.
        dtype : dtype of the parameters; None is the default dtype.
    Attributes
        encoder, decoder : TransformerEncoder and TransformerDecoder, each with a LayerNorm at its end. Their weights
            of two axes start by Glorot and Bengio's rule, as in PyTorch.
    Source
        Vaswani et al., Attention is all you need, NIPS 2017, figure 1.
    Examples
        >>> from pellucid import nn
        >>> model = nn.Transformer(8, nhead=2, num_encoder_layers=1, num_decoder_layers=1, batch_first=True)
        >>> model(pl.ones((5, 4, 8)), pl.ones((5, 3, 8)), tgt_is_causal=True).shape
        (5, 3, 8)
    """

    @checked(num_encoder_layers=Integer(1), num_decoder_layers=Integer(1), **ARGUMENTS)
    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Any = "relu",
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        dtype: Any = None,
    ) -> None:
        shared = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)

        self.encoder, self.decoder = custom_encoder, custom_decoder
        if custom_encoder is None:
            layer: Any = TransformerEncoderLayer(*shared, dtype=dtype)
            self.encoder = _by_glorot(TransformerEncoder(layer, num_encoder_layers, norm()))
        if custom_decoder is None:
            layer = TransformerDecoderLayer(*shared, dtype=dtype)
            self.decoder = _by_glorot(TransformerDecoder(layer, num_decoder_layers, norm()))
        self.d_model, self.nhead, self.batch_first = int(d_model), int(nhead), bool(batch_first)

    def forward(
        self,
        src: Any,
        tgt: Any,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """src (S, N, d_model) and tgt (L, N, d_model), with `batch_first` N in front -> the shape of tgt.

        Parameters
            src_mask, src_key_padding_mask, src_is_causal : the encoder's masks, as for `TransformerEncoder`.
            tgt_mask, ..., memory_is_causal : the decoder's, as for `TransformerDecoder`.
        """
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        return self.decoder(  # type: ignore[no-any-return]
            tgt,
            memory,
            tgt_mask,
            memory_mask,
            tgt_key_padding_mask,
            memory_key_padding_mask,
            tgt_is_causal,
            memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz: int, dtype: Any = None) -> Tensor:
        """The mask that `is_causal=True` stands for, as floats: 0 at the places up to each query's own, -inf behind
        it; shape (sz, sz)."""
        check("generate_square_subsequent_mask: sz", sz, Integer(1))
        return wrap(np.triu(np.full((sz, sz), -np.inf, default_dtype() if dtype is None else dtype), 1))


def _flag(stack: Module, name: str, value: bool | None) -> bool:
    check(f"{type(stack).__name__}: {name}", False if value is None else value, Flag())
    return bool(value)


def _by_glorot(stack: Module) -> Module:
    for parameter in stack.parameters():
        if parameter.ndim > 1:
            init.xavier_uniform_(parameter)
    return stack
