"""Positions: attention alone does not know in which order the elements of a sequence stand. Features enter; features
that say it leave, by waves or learned vectors that are added, or by a rotation of queries and keys.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.core.check import Flag, Integer, Options, Real, check, checked
from pellucid.core.context import default_dtype
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import DTypeError, ShapeError
from pellucid.nn import init
from pellucid.nn._allocation import zeros
from pellucid.nn._initial import wrong_features
from pellucid.nn.dropout import dropout
from pellucid.nn.module import Module, Parameter
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import cos, sin
from pellucid.ops.shape import cast, concatenate, expand_dims, reshape, stack

_BASE = Real(0, left_open=True)
_LAYOUT = Options("half", "interleaved")


class _Added(Module):
    """What the encodings that are added share."""

    d_model: int
    dropout: float
    batch_first: bool

    def _entered(self, x: Any) -> tuple[Tensor, int]:
        """The sequences as a Tensor, and their length."""
        tensor = as_tensor(x)
        if tensor.ndim not in (2, 3):
            axes = "(N, L, d_model)" if self.batch_first else "(L, N, d_model)"
            raise ShapeError("attention.sequence", layer=type(self).__name__, shape=tensor.shape, form=axes)
        self._features_after(tensor.shape[-1])
        length = tensor.shape[-2] if self.batch_first else tensor.shape[0]
        if not length:
            raise ShapeError("attention.empty", owner=type(self).__name__, name="input", shape=tensor.shape)
        return tensor, length

    def _added(self, x: Tensor, table: Tensor) -> Tensor:
        along = table if x.ndim == 2 or self.batch_first else expand_dims(table, 1)
        return dropout(x + along, self.dropout, self.training)

    def _features_after(self, given: int | None) -> int | None:
        if given is not None and given != self.d_model:
            raise wrong_features(self, given, self.d_model, None)
        return self.d_model


class SinusoidalPositionalEncoding(_Added):
    """Adds to each element waves that say where in the sequence it stands; nothing is learned, no length is too long.

        y[p, 2i] = x[p, 2i] + sin(p / base^(2i / d_model)),  y[p, 2i+1] = x[p, 2i+1] + cos(p / base^(2i / d_model))

    Parameters
        d_model : features of the elements.
        dropout : probability in [0, 1] with which a feature of the sum is taken out in training.
        batch_first : whether the batch is the first axis of the sequences; without it, as by default, the second.
        base : the longest wave is base·2π positions long.
    Raises
        ShapeError: when called with another number of features, or something else than sequences.
    Source
        Vaswani et al., Attention is all you need, NIPS 2017, section 3.5.
    Examples
        >>> from pellucid import nn
        >>> nn.SinusoidalPositionalEncoding(2)(pl.zeros((1, 2))).tolist()
        [[0.0, 1.0]]
    """

    @checked(d_model=Integer(1), dropout=Real(0, 1), batch_first=Flag(), base=_BASE)
    def __init__(self, d_model: int, dropout: float = 0.0, batch_first: bool = False, base: float = 10000.0) -> None:
        self.d_model, self.dropout = int(d_model), float(dropout)
        self.batch_first, self.base = bool(batch_first), float(base)

    def forward(self, x: Any) -> Tensor:
        """x (L, N, d_model), with `batch_first` (N, L, d_model), or (L, d_model) -> the same shape."""
        x, length = self._entered(x)
        kind = x.dtype if x.dtype.kind == "f" else default_dtype()
        return self._added(x, wrap(_waves(length, self.d_model, self.base).astype(kind)))

    def extra_repr(self) -> str:
        return f"{self.d_model}, dropout={self.dropout}, batch_first={self.batch_first}, base={self.base:g}"


class LearnedPositionalEncoding(_Added):
    """Adds to each element a vector that is learned for its place in the sequence.

        y[p] = x[p] + weight[p]

    Parameters
        d_model : features of the elements.
        max_len : the longest sequence.
        dropout : probability in [0, 1] with which a feature of the sum is taken out in training.
        batch_first : whether the batch is the first axis of the sequences; without it, as by default, the second.
        dtype : dtype of the table; None is the default dtype.
    Attributes
        weight : Parameter, shape (max_len, d_model), at first normal with mean 0 and standard deviation 0.02.
    Raises
        ShapeError: when called with a longer sequence, another number of features, or something else than sequences.
    Source
        Gehring et al., Convolutional sequence to sequence learning, ICML 2017, section 3.1. The start is that of
        Devlin et al., BERT, NAACL 2019.
    """

    weight: Parameter

    @checked(d_model=Integer(1), max_len=Integer(1), dropout=Real(0, 1), batch_first=Flag())
    def __init__(
        self, d_model: int, max_len: int, dropout: float = 0.0, batch_first: bool = False, *, dtype: Any = None
    ) -> None:
        self.d_model, self.max_len = int(d_model), int(max_len)
        self.dropout, self.batch_first = float(dropout), bool(batch_first)
        self.weight = Parameter(zeros(self, (max_len, d_model)), dtype=default_dtype() if dtype is None else dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table anew: normal with mean 0 and standard deviation 0.02."""
        init.normal_(self.weight, 0.0, 0.02)

    def forward(self, x: Any) -> Tensor:
        """x (L, N, d_model), with `batch_first` (N, L, d_model), or (L, d_model) -> the same shape."""
        x, length = self._entered(x)
        if length > self.max_len:
            raise ShapeError("attention.too-long", length=length, shape=x.shape, most=self.max_len)
        return self._added(x, self.weight[:length])

    def extra_repr(self) -> str:
        return f"{self.d_model}, max_len={self.max_len}, dropout={self.dropout}, batch_first={self.batch_first}"


@composite(
    formula="(y[p,a], y[p,b]) = (x[p,a]·cos(p·θ) - x[p,b]·sin(p·θ), x[p,b]·cos(p·θ) + x[p,a]·sin(p·θ)), "
    "θ = base^(-2j/E), for the j-th pair (a, b)",
    onnx="RotaryEmbedding",
)
def rotary(input: Any, positions: Any = None, base: float = 10000.0, layout: str = "half") -> Tensor:
    """Features turned in pairs by angles that grow with the position: the product of a query and a key turned so
    depends only on how far apart they stand.

    Parameters
        input : queries or keys, Tensor, shape (..., L, E), E even.
        positions : where the elements stand, numbers that broadcast to (..., L), whole or not; None is 0 to L - 1.
        base : the slowest pair turns once in about base·2π positions.
        layout : which features form the j-th pair: "half" is j and j + E/2 (called rotate-half), "interleaved" is 2j
            and 2j + 1, as in the source. Weights that were trained with one are useless with the other.
    Returns
        Tensor, shape (..., L, E)
    Raises
        ShapeError: E is odd, or the positions do not fit.
        DTypeError: the positions are no numbers.
    Source
        Su et al., RoFormer: enhanced Transformer with rotary position embedding, arXiv:2104.09864, eq. 15 and 34.
    Examples
        >>> from pellucid.nn import functional as F
        >>> F.rotary([[1.0, 0.0], [1.0, 0.0]], positions=[0, 0]).tolist()
        [[1.0, 0.0], [1.0, 0.0]]
    """
    check("rotary: base", base, _BASE)
    check("rotary: layout", layout, _LAYOUT)
    x = as_tensor(input)
    if x.dtype.kind != "f":
        x = cast(x, default_dtype())
    if x.ndim < 2 or x.shape[-1] % 2 or not x.shape[-1]:
        raise ShapeError("attention.rotary", shape=x.shape)
    cosine, sine = _turns(x, positions, float(base))
    half = x.shape[-1] // 2
    if layout == "half":
        a, b = x[..., :half], x[..., half:]
        return concatenate([a * cosine - b * sine, b * cosine + a * sine], axis=-1)
    pairs = reshape(x, (*x.shape[:-1], half, 2))
    a, b = pairs[..., 0], pairs[..., 1]
    return reshape(stack([a * cosine - b * sine, b * cosine + a * sine], axis=-1), x.shape)


class RotaryEmbedding(Module):
    """Turns the features of queries and keys in pairs by angles that grow with the position: `functional.rotary` as a
    layer. It goes between the projections of an attention and its products.

    Parameters
        head_dim : features of a head, E; even.
        base : the slowest pair turns once in about base·2π positions.
        layout : "half" pairs the features j and j + E/2 (called rotate-half), "interleaved" 2j and 2j + 1.
    Raises
        ShapeError: when called with another number of features.
    Source
        Su et al., RoFormer: enhanced Transformer with rotary position embedding, arXiv:2104.09864, eq. 15 and 34.
    Examples
        >>> from pellucid import nn
        >>> nn.RotaryEmbedding(8)(pl.ones((2, 4, 5, 8))).shape
        (2, 4, 5, 8)
    """

    @checked(head_dim=Integer(2), base=_BASE, layout=_LAYOUT)
    def __init__(self, head_dim: int, base: float = 10000.0, layout: str = "half") -> None:
        if head_dim % 2:
            raise ShapeError("attention.rotary", shape=("...", "L", head_dim))
        self.head_dim, self.base, self.layout = int(head_dim), float(base), layout

    def forward(self, x: Any, positions: Any = None) -> Tensor:
        """x (..., L, head_dim), positions as for `functional.rotary` -> the same shape."""
        x = as_tensor(x)
        self._features_after(x.shape[-1] if x.ndim else None)
        return rotary(x, positions, self.base, self.layout)

    def _features_after(self, given: int | None) -> int | None:
        if given is not None and given != self.head_dim:
            raise wrong_features(self, given, self.head_dim, f"RotaryEmbedding({given})" if given % 2 == 0 else None)
        return self.head_dim

    def extra_repr(self) -> str:
        return f'{self.head_dim}, base={self.base:g}, layout="{self.layout}"'


def _turns(x: Tensor, positions: Any, base: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine of each pair's angle at each position, in the dtype of x. The angles are float64: a float32 of
    some thousands is known to no more than 1/4096."""
    length, features = x.shape[-2:]
    if positions is None:
        cosine, sine = _table(length, features, base)
        return wrap(cosine.astype(x.dtype)), wrap(sine.astype(x.dtype))
    at = as_tensor(positions)
    if at.dtype.kind not in "iuf":
        raise DTypeError("attention.positions-dtype", dtype=at.dtype)
    if not _broadcasts(at.shape, x.shape[:-1]):
        raise ShapeError("attention.positions", shape=at.shape, expected=x.shape[:-1])
    angles = expand_dims(cast(at, np.float64), -1) * wrap(_speeds(features, base))
    return cast(cos(angles), x.dtype), cast(sin(angles), x.dtype)


def _broadcasts(shape: Shape, to: Shape) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def _speeds(features: int, base: float) -> Array:
    """By which angle each pair of features turns from one position to the next, float64."""
    return base ** (-np.arange(0, features, 2) / features)


@lru_cache(32)
def _table(length: int, features: int, base: float) -> tuple[Array, Array]:
    angles = np.arange(length)[:, None] * _speeds(features, base)
    return np.cos(angles), np.sin(angles)


@lru_cache(32)
def _waves(length: int, features: int, base: float) -> Array:
    cosine, sine = _table(length, features, base)
    waves = np.empty((length, features))
    waves[:, 0::2] = sine
    waves[:, 1::2] = cosine[:, : features // 2]
    return waves
