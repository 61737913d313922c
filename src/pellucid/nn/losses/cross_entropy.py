"""Losses for one class out of several: cross-entropy of logits, and negative log-likelihood of log-probabilities.
Outputs (N, C, ...) and labels (N, ...) or class probabilities come in; a single number, or one for each label, leaves.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pellucid._typing import Array, Reduction, Shape
from pellucid.core.check import Integer, Real, check, checked
from pellucid.core.context import expect
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentError, warn
from pellucid.nn.losses._checks import (
    as_input,
    as_target,
    class_weight,
    takes_log_probabilities,
    takes_logits,
    warn_if_swapped,
)
from pellucid.nn.losses._classes import Labels, check_classes, check_distribution, check_labels, class_axis
from pellucid.nn.losses._reduction import REDUCTION, reduced
from pellucid.nn.losses.loss import Loss
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import negative
from pellucid.ops.log_softmax import log_softmax
from pellucid.ops.reduce import sum_
from pellucid.ops.shape import reshape

_SMOOTHING = Real(0, 1)
_IGNORE = Integer(none=True)


@composite(
    formula="y = Σ_i w[t_i] (log Σ_j exp(x_ij) - x_i[t_i]) / Σ_i w[t_i]",
    onnx="SoftmaxCrossEntropyLoss",
)
def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int | None = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    sample_weight: Any = None,
) -> Tensor:
    """Cross-entropy between softmax of the logits and the labels: minus the log of the right class's probability.

    The largest logit of each row is taken out first, so that value and gradient are exact for logits of any size.

    Parameters
        input : logits, Tensor, shape (N, C), (N, C, d1, ...) or (C,): what comes before any Softmax.
        target : labels 0 to C-1, whole numbers of shape (N,), (N, d1, ...) or (); or class probabilities, floats of the
            input's shape.
        weight : a factor for each class, shape (C,).
        ignore_index : the label to be left out; None if there is none.
        reduction : "mean" (divided by the sum of the weights of the labels that count; with class probabilities by
            their number), "sum", or "none".
        label_smoothing : in [0, 1], the part of each label that is spread evenly over all classes.
        sample_weight : a factor for each row, shape (N,); 2 equals having the row twice.
    Returns
        Tensor, shape (), or that of the labels with "none"; in nats.
    Raises
        ShapeError: the labels do not have the shape that the logits ask for.
        LabelError: a label is no class of the network, is NaN, or all are ignored.
        DTypeError: the labels are not whole numbers.
        ModelError: there is one logit only, or the input is the output of softmax.
    Source
        I. J. Good, Rational decisions, Journal of the Royal Statistical Society B 14 (1952). Smoothing: C. Szegedy et
        al., Rethinking the Inception architecture, arXiv:1512.00567, section 7. Reductions as in PyTorch, except that a
        batch of ignored labels is refused.
    Examples
        >>> round(cross_entropy([[0.0, 0.0, 0.0]], [2]).item(), 4)
        1.0986
    """
    x = as_input(input)
    t = as_tensor(target)
    takes_logits("cross_entropy", x, ("softmax",))
    axis = class_axis("cross_entropy", x.data.shape)
    if label_smoothing != 0.0:
        check("cross_entropy: label_smoothing", label_smoothing, _SMOOTHING)
    w = None if weight is None else class_weight("cross_entropy", weight, x, x.data.shape[axis])
    if t.data.dtype.kind == "f" and t.data.shape == x.data.shape:
        warn_if_swapped("cross_entropy", x, t)
        if ignore_index is not None and ignore_index >= 0:
            raise ArgumentError("losses.ignored-probabilities", loss="cross_entropy", ignore_index=ignore_index)
        return _soft(log_softmax(x, axis), as_target(t, x), w, axis, reduction, label_smoothing, sample_weight)
    labels = Labels("cross_entropy", x, t, axis, ignore_index)
    log_p = log_softmax(x, axis)
    of_label = labels.pick(log_p)
    weight_at = None
    if w is not None:
        weight_at = labels.at(w)
        of_label = of_label * weight_at
    if label_smoothing != 0.0:
        evenly = log_p if w is None else log_p * _along(w, axis, x.ndim)
        share = label_smoothing / x.shape[axis]
        of_label = of_label * (1.0 - label_smoothing) + sum_(evenly, axis, keepdims=True) * share
    return labels.minus(of_label, reduction, weight_at, sample_weight)


def _along(weight: Tensor, axis: int, ndim: int) -> Tensor:
    return reshape(weight, (-1,) + (1,) * (ndim - axis - 1))


def _soft(
    log_p: Tensor, t: Tensor, w: Tensor | None, axis: int, reduction: str, smoothing: float, sample_weight: Any
) -> Tensor:
    """Cross-entropy with class probabilities."""
    expect(t, partial(check_distribution, "cross_entropy", axis))
    if smoothing != 0.0:
        t = t * (1.0 - smoothing) + smoothing / log_p.shape[axis]
    terms = t * log_p
    if w is not None:
        terms = terms * _along(w, axis, log_p.ndim)
    return reduced("cross_entropy", negative(sum_(terms, axis)), reduction, t, sample_weight)


@composite(formula="y = -Σ_i w[t_i] x_i[t_i] / Σ_i w[t_i]", onnx="NegativeLogLikelihoodLoss")
def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int | None = -100,
    reduction: Reduction = "mean",
    sample_weight: Any = None,
) -> Tensor:
    """Negative log-likelihood: minus the right class's log-probability. After log_softmax it equals cross_entropy.

    Parameters
        input : log-probabilities, Tensor, shape (N, C), (N, C, d1, ...) or (C,): what comes out of LogSoftmax.
        target : labels 0 to C-1, whole numbers of shape (N,), (N, d1, ...) or ().
        weight, ignore_index, reduction, sample_weight : as for cross_entropy.
    Returns
        Tensor, shape (), or that of the labels with "none"; in nats.
    Raises
        ShapeError, LabelError, DTypeError: as for cross_entropy.
        ModelError: there is one class only, or the input is the output of softmax without its logarithm.
        PellucidWarning: the loss is negative, which log-probabilities cannot make it.
    Source
        R. A. Fisher, On the mathematical foundations of theoretical statistics, 1922.
    """
    x = as_input(input)
    t = as_tensor(target)
    takes_log_probabilities("nll_loss", x)
    axis = class_axis("nll_loss", x.data.shape)
    w = None if weight is None else class_weight("nll_loss", weight, x, x.data.shape[axis])
    labels = Labels("nll_loss", x, t, axis, ignore_index)
    of_label = labels.pick(x)
    weight_at = None
    if w is not None:
        weight_at = labels.at(w)
        of_label = of_label * weight_at
    y = labels.minus(of_label, reduction, weight_at, sample_weight)
    if y.data.ndim == 0 and y.data < -1e-3:
        warn("losses.positive-log", loss="nll_loss", value=f"{y.data.item():.6g}")
    return y


class CrossEntropyLoss(Loss):
    """Cross-entropy of logits and labels, `functional.cross_entropy`. The network ends without Softmax.

    Parameters
        weight : a factor for each class, shape (C,).
        ignore_index : the label to be left out; None if there is none.
        reduction : "mean", "sum", or "none".
        label_smoothing : in [0, 1], the part of each label that is spread evenly over all classes.
    """

    weight: Tensor | None

    @checked(ignore_index=_IGNORE, reduction=REDUCTION, label_smoothing=_SMOOTHING)
    def __init__(
        self,
        weight: Any = None,
        ignore_index: int | None = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction, ignore_index=ignore_index, label_smoothing=label_smoothing)
        self._keep_factors("weight", weight)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Any, target: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch."""
        return cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
            sample_weight=sample_weight,
        )

    def _check_shape(self, targets: Array, shape: Shape) -> None:
        check_classes("CrossEntropyLoss", shape, targets, self.ignore_index)


class NLLLoss(Loss):
    """Negative log-likelihood of log-probabilities and labels, `functional.nll_loss`. The network ends with LogSoftmax.

    Parameters
        weight : a factor for each class, shape (C,).
        ignore_index : the label to be left out; None if there is none.
        reduction : "mean", "sum", or "none".
    """

    weight: Tensor | None

    @checked(ignore_index=_IGNORE, reduction=REDUCTION)
    def __init__(self, weight: Any = None, ignore_index: int | None = -100, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, ignore_index=ignore_index)
        self._keep_factors("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Any, target: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch."""
        return nll_loss(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            sample_weight=sample_weight,
        )

    def _check_shape(self, targets: Array, shape: Shape) -> None:
        check_labels("NLLLoss", shape, class_axis("NLLLoss", shape), targets, self.ignore_index)


__all__ = ["CrossEntropyLoss", "NLLLoss", "cross_entropy", "nll_loss"]
