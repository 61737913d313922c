"""Dropout: in training a random part of a Tensor is taken out, in use it passes unchanged. The draws come from the
default generator.
"""

from __future__ import annotations

import math
from typing import Any

from pellucid.core.check import Flag, Real, check, checked
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.nn.module import Module
from pellucid.ops.activation import SELU_ALPHA, SELU_SCALE
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import where
from pellucid.ops.sampling import bernoulli

_P = Real(0, 1)


@composite(formula="y = x / (1 - p) with probability 1 - p, else 0", onnx="Dropout")
def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, key: Any = None) -> Tensor:
    """Each element is 0 with probability p, and else enlarged so that the mean stays.

    Parameters
        p : probability in [0, 1].
        training : without it the input passes unchanged.
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
        key : as for `pellucid.uniform`; None for the default generator.
    Raises
        ArgumentError: p is outside [0, 1].
    Source
        Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, JMLR 15 (2014).
    """
    check("dropout: p", p, _P)
    x = as_tensor(input)
    if not training or p == 0:
        return x
    if p == 1:
        return x * 0.0
    return where(bernoulli(1.0 - p, x.shape, key), x * (1.0 / (1.0 - p)), 0.0)


@composite(formula="y = a·(x with probability 1 - p, else α') + b", onnx=NONE("Where of a draw, Mul and Add"))
def alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False, key: Any = None) -> Tensor:
    """Each element is, with probability p, the value α' that SELU levels off at; a and b then restore mean 0 and
    variance 1.

    Parameters
        p : probability in [0, 1].
        training : without it the input passes unchanged.
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
        key : as for `pellucid.uniform`; None for the default generator.
    Raises
        ArgumentError: p is outside [0, 1].
    Source
        Klambauer et al., Self-normalizing neural networks, NIPS 2017, section 2, "New dropout technique".
    """
    check("alpha_dropout: p", p, _P)
    x = as_tensor(input)
    if not training or p == 0:
        return x
    if p == 1:
        return x * 0.0
    level = -SELU_ALPHA * SELU_SCALE
    a = 1.0 / math.sqrt((1.0 - p) * (1.0 + p * level * level))
    b = -a * p * level
    return where(bernoulli(1.0 - p, x.shape, key), x * a + b, a * level + b)


class _Dropout(Module):
    """What the dropout layers share."""

    between_layers = True

    p: float

    @checked(p=_P, inplace=Flag())
    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        self.p = float(p)

    def _features_after(self, given: int | None) -> int | None:
        return given

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout(_Dropout):
    """In training each element is 0 with probability p, and else enlarged so that the mean stays; in use nothing
    happens.

        y = x / (1 - p) with probability 1 - p, else 0

    Parameters
        p : probability in [0, 1].
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
    Source
        Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, JMLR 15 (2014).
    """

    def forward(self, x: Any) -> Tensor:
        return dropout(x, self.p, self.training)


class AlphaDropout(_Dropout):
    """Dropout for networks of SELU: elements become the value that SELU levels off at, and mean 0 and variance 1 are
    restored.

        y = a·(x with probability 1 - p, else α') + b,  α' = -1.7580993408473766,
        a = 1 / sqrt((1 - p)·(1 + p·α'²)),  b = -a·p·α'

    Parameters
        p : probability in [0, 1].
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
    Source
        Klambauer et al., Self-normalizing neural networks, NIPS 2017, section 2, "New dropout technique".
    """

    def forward(self, x: Any) -> Tensor:
        return alpha_dropout(x, self.p, self.training)
