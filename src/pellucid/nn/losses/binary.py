"""Losses for yes-or-no outputs: binary cross-entropy of probabilities and of logits, the logistic loss of ±1 labels,
and the multi-label mean of several yes-or-no outputs. All are computed from logits where these are known.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pellucid._typing import Array, Reduction
from pellucid.core.check import checked
from pellucid.core.context import expect
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor
from pellucid.errors import ShapeError
from pellucid.nn.losses._checks import (
    class_weight,
    element_weight,
    in_unit_interval,
    logits_behind,
    no_nan,
    pair,
    plus_or_minus_one,
    probabilities,
    takes_logits,
    warn_if_swapped,
)
from pellucid.nn.losses._reduction import REDUCTION, reduced
from pellucid.nn.losses.loss import Loss
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import clip, log
from pellucid.ops.logistic import logistic_loss
from pellucid.ops.reduce import mean

_ONNX = NONE("ONNX has no such loss; its operations are exported")
# PyTorch's bound for the logarithm of a probability, and a number whose logarithm lies below it in float32 too.
_FLOOR = -100.0
_SMALLEST = 1e-44


def _bounded_log(p: Tensor) -> Tensor:
    return clip(log(clip(p, min=_SMALLEST)), min=_FLOOR)


@composite(formula="y = -mean (t log p + (1 - t) log(1 - p))", onnx=_ONNX)
def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, *, reduction: Reduction = "mean", sample_weight: Any = None
) -> Tensor:
    """Binary cross-entropy of probabilities.

    Where the input is the direct result of sigmoid (or a reshape of it), value and gradient are computed from the
    logits and are exact: sigmoid at a logit of -50 with target 1 has the gradient -1. Otherwise the logarithms are held
    at -100 and above; beyond that the gradient is 0.

    Parameters
        input : probabilities, Tensor, any shape, in [0, 1].
        target : of the same shape, in [0, 1].
        weight : a factor for each element: of the input's shape, of one row's, or with axes of length 1. The mean is
            not divided by it.
        reduction : "mean" over all elements, "sum", or "none".
        sample_weight : a factor for each row, shape (rows,); 2 equals having the row twice.
    Returns
        Tensor, shape (), or the input's with "none"; in nats.
    Raises
        ShapeError: the shapes differ; a loss never broadcasts.
        LabelError: a target is outside [0, 1] or NaN.
        ModelError: the input is outside [0, 1].
    Source
        D. R. Cox, The regression analysis of binary sequences, 1958. The bound -100 is PyTorch's; its gradient, wrong
        below a probability of 1e-12, is not taken over.
    """
    p, t = pair("binary_cross_entropy", input, target)
    warn_if_swapped("binary_cross_entropy", p, t)
    expect(t, partial(in_unit_interval, "binary_cross_entropy"))
    x = logits_behind(p)
    if x is None:
        probabilities("binary_cross_entropy", p.data)
        losses = -(t * _bounded_log(p) + (1.0 - t) * _bounded_log(1.0 - p))
    else:
        losses = logistic_loss(x, t)
    if weight is not None:
        losses = losses * element_weight("binary_cross_entropy", "weight", weight, p, signed=True)
    return reduced("binary_cross_entropy", losses, reduction, t, sample_weight)


@composite(formula="y = mean (pos_weight t log(1 + exp(-x)) + (1 - t) log(1 + exp(x)))", onnx=_ONNX)
def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    *,
    pos_weight: Any = None,
    reduction: Reduction = "mean",
    sample_weight: Any = None,
) -> Tensor:
    """Binary cross-entropy between sigmoid of the logits and the targets, exact for logits of any size.

    Parameters
        input : logits, Tensor, any shape: what comes before any Sigmoid.
        target : of the same shape, in [0, 1].
        weight : a factor for each element: of the input's shape, of one row's, or with axes of length 1. The mean is
            not divided by it.
        pos_weight : a factor for the positive part, of the same shapes; above 1 it raises recall, below 1 precision.
        reduction : "mean" over all elements, "sum", or "none".
        sample_weight : a factor for each row, shape (rows,); 2 equals having the row twice.
    Returns
        Tensor, shape (), or the input's with "none"; in nats.
    Raises
        ShapeError: the shapes differ; a loss never broadcasts.
        LabelError: a target is outside [0, 1] or NaN.
        ModelError: the input is the output of sigmoid or softmax.
    Source
        D. R. Cox, The regression analysis of binary sequences, 1958.
    Examples
        >>> binary_cross_entropy_with_logits([-10000.0, 10000.0], [1.0, 1.0], reduction="none").tolist()
        [10000.0, 0.0]
    """
    name = "binary_cross_entropy_with_logits"
    x, t = pair(name, input, target)
    takes_logits(name, x, ("sigmoid", "softmax"))
    warn_if_swapped(name, x, t)
    expect(t, partial(in_unit_interval, name))
    if pos_weight is None:
        losses = logistic_loss(x, t)
    else:
        positive = t * element_weight(name, "pos_weight", pos_weight, x)
        losses = positive * logistic_loss(x, 1.0) + (1.0 - t) * logistic_loss(x, 0.0)
    if weight is not None:
        losses = losses * element_weight(name, "weight", weight, x, signed=True)
    return reduced(name, losses, reduction, t, sample_weight)


@composite(formula="y = mean log(1 + exp(-t x))", onnx=_ONNX)
def soft_margin_loss(input: Any, target: Any, *, reduction: Reduction = "mean") -> Tensor:
    """The logistic loss of labels 1 and -1; value and gradient are exact for inputs of any size.

    Parameters
        input : Tensor, any shape.
        target : of the same shape, 1 or -1.
        reduction : "mean" over all elements, "sum", or "none".
    Returns
        Tensor, shape (), or the input's with "none"; in nats.
    Raises
        ShapeError: the shapes differ.
        LabelError: a target is neither 1 nor -1.
    Source
        J. Friedman, T. Hastie and R. Tibshirani, Additive logistic regression, Annals of Statistics 28 (2000).
    """
    x, t = pair("soft_margin_loss", input, target)
    expect(t, partial(plus_or_minus_one, "soft_margin_loss"))
    return reduced("soft_margin_loss", logistic_loss(t * x, 1.0), reduction, t)


@composite(formula="y = mean_i mean_c w_c (t log(1 + exp(-x)) + (1 - t) log(1 + exp(x)))", onnx=_ONNX)
def multilabel_soft_margin_loss(
    input: Any, target: Any, weight: Any = None, *, reduction: Reduction = "mean"
) -> Tensor:
    """Binary cross-entropy of logits, averaged over the classes of each row.

    Parameters
        input : logits, Tensor, shape (N, C) or (C,); the last axis holds the classes.
        target : of the same shape, in [0, 1].
        weight : a factor for each class, shape (C,).
        reduction : "mean" over the rows, "sum", or "none".
    Returns
        Tensor, shape (), or the input's without its last axis with "none"; in nats.
    Raises
        ShapeError: the shapes differ.
        LabelError: a target is outside [0, 1] or NaN.
        ModelError: the input is the output of sigmoid or softmax.
    Source
        As binary_cross_entropy_with_logits.
    """
    name = "multilabel_soft_margin_loss"
    x, t = pair(name, input, target)
    takes_logits(name, x, ("sigmoid", "softmax"))
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ShapeError("losses.no-classes", loss=name, shape=x.shape)
    expect(t, partial(in_unit_interval, name))
    losses = logistic_loss(x, t)
    if weight is not None:
        losses = losses * class_weight(name, weight, x, x.shape[-1])
    return reduced(name, mean(losses, -1), reduction, t)


class BCELoss(Loss):
    """Binary cross-entropy of probabilities, `functional.binary_cross_entropy`. The network ends with Sigmoid.

    Parameters
        weight : a factor for each element: of the input's shape, of one row's, or with axes of length 1.
        reduction : "mean", "sum", or "none".
    """

    weight: Tensor | None

    @checked(reduction=REDUCTION)
    def __init__(self, weight: Any = None, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self._keep_factors("weight", weight, signed=True)

    def forward(self, input: Any, target: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch."""
        return binary_cross_entropy(input, target, self.weight, reduction=self.reduction, sample_weight=sample_weight)

    def _check_values(self, targets: Array) -> None:
        no_nan("BCELoss", targets)
        in_unit_interval("BCELoss", targets)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of logits, `functional.binary_cross_entropy_with_logits`. The network ends without Sigmoid.

    Parameters
        weight : a factor for each element: of the input's shape, of one row's, or with axes of length 1.
        reduction : "mean", "sum", or "none".
        pos_weight : a factor for the positive part of the loss, of the same shapes.
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    @checked(reduction=REDUCTION)
    def __init__(self, weight: Any = None, reduction: Reduction = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self._keep_factors("weight", weight, signed=True)
        self._keep_factors("pos_weight", pos_weight)

    def forward(self, input: Any, target: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch."""
        return binary_cross_entropy_with_logits(
            input,
            target,
            self.weight,
            pos_weight=self.pos_weight,
            reduction=self.reduction,
            sample_weight=sample_weight,
        )

    def _check_values(self, targets: Array) -> None:
        no_nan("BCEWithLogitsLoss", targets)
        in_unit_interval("BCEWithLogitsLoss", targets)


class SoftMarginLoss(Loss):
    """The logistic loss of labels 1 and -1, `functional.soft_margin_loss`.

    Parameters
        reduction : "mean", "sum", or "none".
    """

    @checked(reduction=REDUCTION)
    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Any, target: Any) -> Tensor:
        """The loss of a batch."""
        return soft_margin_loss(input, target, reduction=self.reduction)

    def _check_values(self, targets: Array) -> None:
        plus_or_minus_one("SoftMarginLoss", targets)


class MultiLabelSoftMarginLoss(Loss):
    """Binary cross-entropy of logits averaged over classes, `functional.multilabel_soft_margin_loss`.

    Parameters
        weight : a factor for each class, shape (C,).
        reduction : "mean" over the rows, "sum", or "none".
    """

    weight: Tensor | None

    @checked(reduction=REDUCTION)
    def __init__(self, weight: Any = None, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self._keep_factors("weight", weight)

    def forward(self, input: Any, target: Any) -> Tensor:
        """The loss of a batch."""
        return multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)

    def _check_values(self, targets: Array) -> None:
        no_nan("MultiLabelSoftMarginLoss", targets)
        in_unit_interval("MultiLabelSoftMarginLoss", targets)


__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "MultiLabelSoftMarginLoss",
    "SoftMarginLoss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "multilabel_soft_margin_loss",
    "soft_margin_loss",
]
