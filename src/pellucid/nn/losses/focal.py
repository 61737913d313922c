"""The focal loss: cross-entropy in which examples that are already right count little. Logits and labels come in, of
one class out of several or of yes-or-no outputs; a single number, or one for each label, leaves.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from pellucid._typing import Array, Reduction, Shape
from pellucid.core.check import Real, check, checked
from pellucid.core.context import expect
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import LabelError
from pellucid.nn.losses._checks import _first, _row, as_input, as_target, class_weight, no_nan, takes_logits
from pellucid.nn.losses._classes import Labels, check_labels, class_axis
from pellucid.nn.losses._reduction import REDUCTION, reduced
from pellucid.nn.losses.loss import Loss
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import equal, exp, where
from pellucid.ops.logistic import logistic_loss
from pellucid.ops.reduce import logsumexp, max_
from pellucid.ops.shape import reshape

_GAMMA = Real(0)
_ALPHA = Real(0, 1, none=True)


@composite(
    formula="y = -mean alpha_t (1 - p_t)^gamma log p_t, with p_t the probability of the label",
    onnx=NONE("ONNX has no such loss; its operations are exported"),
)
def focal_loss(
    input: Any,
    target: Any,
    gamma: float = 2.0,
    alpha: Any = None,
    *,
    reduction: Reduction = "mean",
    sample_weight: Any = None,
) -> Tensor:
    """Focal loss of logits: cross-entropy times (1 - p)^gamma, p being the probability that the label gets.

    Targets of the input's shape are yes-or-no labels of independent outputs (p is a sigmoid); targets without the class
    axis are classes (p is a softmax). 1 - p is computed from the logits, so that value and gradient are exact for
    logits of any size and any gamma.

    Parameters
        input : logits, Tensor, any shape with yes-or-no labels; (N, C), (N, C, d1, ...) or (C,) with classes.
        target : 0 or 1, of the input's shape; or classes 0 to C-1, whole numbers of shape (N,), (N, d1, ...) or ().
        gamma : from 0; 0 gives cross-entropy.
        alpha : with yes-or-no labels the factor of label 1 in [0, 1], that of label 0 being 1 - alpha; with classes a
            factor for each, shape (C,); None is 1 everywhere.
        reduction : "mean" over all labels, "sum", or "none".
        sample_weight : a factor for each row, shape (N,); 2 equals having the row twice.
    Returns
        Tensor, shape (), or that of the target with "none"; in nats.
    Raises
        ShapeError, DTypeError: the labels do not have the shape or dtype that the logits ask for.
        LabelError: a label is neither 0 nor 1, or no class of the network.
        ModelError: the input is the output of sigmoid or softmax, or there is one class only.
    Source
        T.-Y. Lin et al., Focal loss for dense object detection, arXiv:1708.02002, equation (5); there gamma = 2 and
        alpha = 0.25.
    """
    check("focal_loss: gamma", gamma, _GAMMA)
    x, t = as_input(input), as_tensor(target)
    takes_logits("focal_loss", x, ("sigmoid", "softmax"))
    if x.data.shape == t.data.shape:
        return _binary(x, as_target(t, x), gamma, alpha, reduction, sample_weight)
    axis = class_axis("focal_loss", x.shape)
    labels = Labels("focal_loss", x, t, axis, None)
    w = None if alpha is None else class_weight("focal_loss", alpha, x, x.shape[axis], "alpha")
    z = x - max_(x, axis, keepdims=True).detach()
    everything = logsumexp(z, axis, keepdims=True)
    classes = wrap(np.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - axis - 1)))
    others = logsumexp(where(equal(labels.index, classes), -np.inf, z), axis, keepdims=True)
    losses = everything - labels.pick(z)
    if gamma != 0:
        losses = exp((others - everything) * gamma) * losses
    if w is not None:
        losses = losses * labels.at(w)
    return reduced("focal_loss", reshape(losses, labels.shape), reduction, t, sample_weight)


def _binary(x: Tensor, t: Tensor, gamma: float, alpha: Any, reduction: str, sample_weight: Any) -> Tensor:
    expect(t, partial(zero_or_one, "focal_loss"))
    check("focal_loss: alpha", alpha, _ALPHA)
    # The logit of the label itself: x for label 1, -x for label 0. Then p = sigmoid(own), and 1 - p = sigmoid(-own).
    own = x * (2.0 * t - 1.0)
    losses = logistic_loss(own, 1.0)
    if gamma != 0:
        losses = exp(logistic_loss(own, 0.0) * -gamma) * losses
    if alpha is not None:
        losses = losses * (t * (2.0 * alpha - 1.0) + (1.0 - alpha))
    return reduced("focal_loss", losses, reduction, t, sample_weight)


def zero_or_one(loss: str, target: Array) -> None:
    """Raise if a yes-or-no label is neither 0 nor 1."""
    wrong = (target != 0) & (target != 1)
    if wrong.any():
        no_nan(loss, target)
        raise LabelError("losses.binary-target", loss=loss, value=_first(target, wrong), row=_row(wrong))


class FocalLoss(Loss):
    """Cross-entropy in which examples that are already right count little, `functional.focal_loss`.

    The network ends without Sigmoid or Softmax.

    Parameters
        gamma : from 0; how little they count. 0 gives cross-entropy.
        alpha : with yes-or-no labels the factor of label 1 in [0, 1]; with classes a factor for each, shape (C,); None
            is 1.
        reduction : "mean", "sum", or "none".
    """

    @checked(gamma=_GAMMA, reduction=REDUCTION)
    def __init__(self, gamma: float = 2.0, alpha: Any = None, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, gamma=gamma)
        self.gamma = gamma
        self.alpha: Any = None
        if alpha is None or isinstance(alpha, int | float):
            check("FocalLoss: alpha", alpha, _ALPHA)
            self.alpha = alpha
        else:
            self._keep_factors("alpha", alpha)

    def forward(self, input: Any, target: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch."""
        return focal_loss(input, target, self.gamma, self.alpha, reduction=self.reduction, sample_weight=sample_weight)

    def _check_shape(self, targets: Array, shape: Shape) -> None:
        if targets.shape == shape:
            zero_or_one("FocalLoss", targets)
        else:
            check_labels("FocalLoss", shape, class_axis("FocalLoss", shape), targets, None)


__all__ = ["FocalLoss", "focal_loss"]
