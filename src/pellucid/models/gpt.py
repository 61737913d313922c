"""GPT: token numbers enter, scores for what comes next after each of them leave. A Transformer that looks back only, in
nanoGPT's form, whose names and shapes its parameters have. Users and the command line train it and `generate` with it.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, ClassVar

import numpy as np

from pellucid.core.check import Flag, Integer, Real, checked
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import ArgumentError, ShapeError
from pellucid.models.language import as_sequences
from pellucid.nn import Dropout, Embedding, LayerNorm, Linear, Module, ModuleList, init
from pellucid.nn.attention.maps import Attending, keep
from pellucid.nn.attention.masks import causal_mask
from pellucid.nn.functional import gelu, scaled_dot_product_attention
from pellucid.ops.shape import reshape, split, swapaxes

_STD = 0.02


def _linear(in_features: int, out_features: int, bias: bool, std: float, dtype: Any) -> Linear:
    layer = Linear(in_features, out_features, bias, init=partial(init.normal_, mean=0.0, std=std), dtype=dtype)
    layer.init = f"normal, std {std:.3g}"
    return layer


class CausalSelfAttention(Attending):
    """Every place of a sequence gathers from the places up to it what its query asks for, in several heads.

        y = c_proj(concat over heads of softmax(q·kᵀ / √d, up to the place itself)·v),  q, k, v = parts of c_attn(x)

    Parameters
        n_embd : features a place.
        n_head : heads, each with n_embd / n_head of the features.
        dropout : probability, for the attention's weights and for what leaves.
        bias : whether the linear layers have one.
        residual_std : standard deviation of c_proj's first weights.
        dtype : of the parameters; None is the default dtype.
    Source
        Vaswani et al., Attention is all you need, NIPS 2017, section 3.2; the mask of Radford et al., 2018.
    """

    def __init__(
        self,
        n_embd: int,
        n_head: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        residual_std: float = _STD,
        dtype: Any = None,
    ) -> None:
        self.n_head, self.dropout = n_head, dropout
        self.c_attn = _linear(n_embd, 3 * n_embd, bias, _STD, dtype)
        self.c_proj = _linear(n_embd, n_embd, bias, residual_std, dtype)
        self.resid_dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x (sequences, places, n_embd) -> the same shape."""
        sequences, places, features = x.shape
        heads = (sequences, places, self.n_head, features // self.n_head)
        q, k, v = (swapaxes(reshape(part, heads), 1, 2) for part in split(self.c_attn(x), 3, axis=-1))
        keep(self, q, k, causal_mask(places, places), None, batched=True)
        dropout = self.dropout if self.training else 0.0
        y = scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        y = reshape(swapaxes(y, 1, 2), (sequences, places, features))
        return self.resid_dropout(self.c_proj(y))  # type: ignore[no-any-return]


class MLP(Module):
    """The same two linear layers at every place, four times as wide between them.

    y = c_proj(gelu(c_fc(x))), with GELU's tanh form, as GPT-2 has it
    """

    def __init__(
        self, n_embd: int, dropout: float = 0.0, bias: bool = True, *, residual_std: float = _STD, dtype: Any = None
    ) -> None:
        self.c_fc = _linear(n_embd, 4 * n_embd, bias, _STD, dtype)
        self.c_proj = _linear(4 * n_embd, n_embd, bias, residual_std, dtype)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x (sequences, places, n_embd) -> the same shape."""
        return self.dropout(self.c_proj(gelu(self.c_fc(x), approximate="tanh")))  # type: ignore[no-any-return]


class Block(Module):
    """Attention, then the MLP, each of the normalised input and added to it.

    x = x + attn(ln_1(x));  x = x + mlp(ln_2(x))
    """

    def __init__(
        self,
        n_embd: int,
        n_head: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        residual_std: float = _STD,
        dtype: Any = None,
    ) -> None:
        self.ln_1 = LayerNorm(n_embd, bias=bias, dtype=dtype)
        self.attn = CausalSelfAttention(n_embd, n_head, dropout, bias, residual_std=residual_std, dtype=dtype)
        self.ln_2 = LayerNorm(n_embd, bias=bias, dtype=dtype)
        self.mlp = MLP(n_embd, dropout, bias, residual_std=residual_std, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """x (sequences, places, n_embd) -> the same shape."""
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


class GPT(Module):
    """A language model: scores for the next token after each token of a sequence, from it and those before it alone.

        x = wte[tokens] + wpe[place];  x = h.i(x) for each block;  scores = ln_f(x)·wteᵀ

    The last layer, `lm_head`, has the weight of `wte`: one Parameter under two names. All weights start normal with
    standard deviation 0.02, those that lead back into the residual stream (`c_proj`) with 0.02/√(2·n_layer); biases
    start at 0. The names and shapes of the parameters are nanoGPT's, so that its state dict loads as it is.

    Parameters
        vocab_size : tokens that there are.
        block_size : the longest sequence.
        n_layer : blocks.
        n_head : heads of each block's attention; n_embd is a multiple of it.
        n_embd : features a place.
        dropout : probability, in [0, 1).
        bias : whether linear layers and layer norms have one.
        dtype : of the parameters; None is the default dtype.
    Raises
        ArgumentError: n_embd is no multiple of n_head.
        ShapeError, DTypeError, IndexRangeError: when called with other than token numbers of shape (sequences, places),
            or with longer sequences than block_size.
    Source
        Radford et al., Language models are unsupervised multitask learners, 2019; A. Karpathy, nanoGPT, model.py.
    Examples
        >>> model = GPT(vocab_size=65, block_size=8, n_layer=1, n_head=2, n_embd=16)
        >>> model([[1, 2, 3]]).shape
        (1, 3, 65)
        >>> model.lm_head.weight is model.wte.weight
        True
    """

    SIZES: ClassVar[dict[str, dict[str, int]]] = {
        "small": {"n_layer": 12, "n_head": 12, "n_embd": 768},
        "medium": {"n_layer": 24, "n_head": 16, "n_embd": 1024},
        "large": {"n_layer": 36, "n_head": 20, "n_embd": 1280},
        "xl": {"n_layer": 48, "n_head": 25, "n_embd": 1600},
    }
    """GPT-2's four sizes, all with 50,257 tokens and sequences of 1,024."""

    takes_indices = True

    @checked(
        vocab_size=Integer(2),
        block_size=Integer(1),
        n_layer=Integer(1, 10_000),
        n_head=Integer(1),
        n_embd=Integer(1),
        dropout=Real(0, 1, right_open=True),
        bias=Flag(),
    )
    def __init__(
        self,
        vocab_size: int = 50257,
        block_size: int = 1024,
        n_layer: int = 12,
        n_head: int = 12,
        n_embd: int = 768,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        dtype: Any = None,
    ) -> None:
        if n_embd % n_head:
            raise ArgumentError("text.heads", n_embd=n_embd, n_head=n_head)
        self.vocab_size, self.block_size = int(vocab_size), int(block_size)
        residual_std = _STD / math.sqrt(2 * n_layer)
        self.wte = Embedding(vocab_size, n_embd, dtype=dtype)
        self.wpe = Embedding(block_size, n_embd, dtype=dtype)
        for table in (self.wte, self.wpe):
            init.normal_(table.weight, 0.0, _STD)
        self.drop = Dropout(dropout)
        self.h = ModuleList(
            [Block(n_embd, n_head, dropout, bias, residual_std=residual_std, dtype=dtype) for _ in range(n_layer)]
        )
        self.ln_f = LayerNorm(n_embd, bias=bias, dtype=dtype)
        self.lm_head = Linear(n_embd, vocab_size, bias=False, init=_unchanged, dtype=dtype)
        self.lm_head.weight, self.lm_head.init = self.wte.weight, "wte"

    def forward(self, tokens: Any) -> Tensor:
        """tokens (sequences, places), whole numbers -> scores (sequences, places, vocab_size)."""
        tokens = as_sequences("GPT", tokens)
        length = tokens.shape[1]
        if length > self.block_size:
            raise ShapeError("text.block-size", model="GPT", length=length, block_size=self.block_size)
        x = self.drop(self.wte(tokens) + self.wpe(wrap(np.arange(length))))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))  # type: ignore[no-any-return]

    @classmethod
    def small(cls, **changes: Any) -> GPT:
        """GPT-2 small: 12 blocks of 12 heads, 768 features, 50,257 tokens, sequences of 1,024; 124,439,808 parameters.

        Parameters
            changes : arguments that differ, such as block_size
        """
        return cls(**{**cls.SIZES["small"], **changes})

    @staticmethod
    def count_parameters(
        vocab_size: int = 50257,
        block_size: int = 1024,
        n_layer: int = 12,
        n_embd: int = 768,
        bias: bool = True,
    ) -> int:
        """How many parameters a GPT of these sizes has, without making it; the shared weight counts once.

        Examples
            >>> GPT.count_parameters()  # GPT-2 small
            124439808
        """
        norm = n_embd * (1 + bias)
        attention = 4 * n_embd * n_embd + 4 * n_embd * bias
        mlp = 8 * n_embd * n_embd + 5 * n_embd * bias
        return (vocab_size + block_size) * n_embd + n_layer * (2 * norm + attention + mlp) + norm


def _unchanged(weight: Tensor) -> None:
    """Leave a weight that will be replaced as it is."""


__all__ = ["GPT", "MLP", "Block", "CausalSelfAttention"]
