"""Activations that join the elements along an axis: softmax and its relatives, and the gated linear unit. The
mathematics is in `ops.activation`.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Integer, checked
from pellucid.core.tensor import Tensor
from pellucid.errors import ShapeError
from pellucid.nn.activation.activation import Activation
from pellucid.ops import activation as ops


class _AlongAxis(Activation):
    """What these activations share."""

    starts = "xavier uniform"
    shown = ("axis",)

    @checked(axis=Integer())
    def __init__(self, axis: int = -1) -> None:
        self.axis = int(axis)


class Softmax(_AlongAxis):
    """Positive numbers that sum to 1 along an axis.

        y_i = exp(x_i - max x) / Σ_j exp(x_j - max x)

    Not in front of a loss that takes logits, such as CrossEntropyLoss: it would be applied twice.

    Parameters
        axis : the axis of the classes; PyTorch's `dim`.
    """

    def forward(self, x: Any) -> Tensor:
        return ops.softmax(x, self.axis)


class LogSoftmax(_AlongAxis):
    """The logarithm of softmax, exact where softmax itself would be 0.

        y_i = x_i - log Σ_j exp(x_j)

    Parameters
        axis : the axis of the classes; PyTorch's `dim`.
    """

    def forward(self, x: Any) -> Tensor:
        return ops.log_softmax(x, self.axis)


class Softmin(_AlongAxis):
    """Softmax of the negated input: the smallest gets the most.

        y_i = exp(-x_i) / Σ_j exp(-x_j)

    Parameters
        axis : the axis along which the results sum to 1; PyTorch's `dim`.
    """

    def forward(self, x: Any) -> Tensor:
        return ops.softmin(x, self.axis)


class GLU(_AlongAxis):
    """The first half along an axis, gated by the sigmoid of the second.

        y = a·sigmoid(b), a and b being the halves of x

    Parameters
        axis : the axis that is halved; PyTorch's `dim`.
    Raises
        ShapeError: when called with an axis of odd length.
    Source
        Dauphin et al., Language modeling with gated convolutional networks, ICML 2017, eq. 1.
    """

    def forward(self, x: Any) -> Tensor:
        return ops.glu(x, self.axis)

    def _features_after(self, given: int | None) -> int | None:
        if self.axis >= 0:  # it may or may not be the last
            return None
        if given is None or self.axis != -1:
            return given
        if given % 2:
            raise ShapeError("ops.glu", shape=f"(..., {given})", axis=-1, length=given)
        return given // 2
