"""Losses that are negative log-likelihoods of distributions: Poisson counts, Gaussians with a predicted variance, and
the Kullback-Leibler divergence between distributions. Input and target have the same shape.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from pellucid._typing import Array, Reduction
from pellucid.core.check import Flag, Options, Real, check, checked
from pellucid.core.context import expect
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor
from pellucid.errors import ModelError, ShapeError
from pellucid.nn.losses._checks import (
    _first,
    _row,
    as_target,
    no_nan,
    not_negative,
    pair,
    takes_log_probabilities,
)
from pellucid.nn.losses._reduction import REDUCTION, reduced
from pellucid.nn.losses.loss import Loss
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import clip, divide, exp, greater, log, square, where
from pellucid.ops.shape import expand_dims

_ONNX = NONE("ONNX has no such loss; its operations are exported")
_EPS = Real(0, left_open=True)
_WITH_BATCHMEAN = Options("batchmean", "mean", "sum", "none")


@composite(formula="y = mean (exp(x) - t x), or mean (x - t log(x + eps)) without log_input", onnx=_ONNX)
def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    *,
    eps: float = 1e-8,
    reduction: Reduction = "mean",
    sample_weight: Any = None,
) -> Tensor:
    """Negative log-likelihood of counts under a Poisson distribution.

    Parameters
        input : Tensor, any shape: the logarithm of the expected count, or with log_input=False the expected count
            itself, from 0.
        target : counts, of the same shape, from 0.
        full : add log(t!) by Stirling's approximation, t log t - t + log(2 π t) / 2, for counts above 1.
        eps : keeps the logarithm finite with log_input=False.
        reduction : "mean" over all elements, "sum", or "none".
        sample_weight : a factor for each row, shape (rows,); 2 equals having the row twice.
    Returns
        Tensor, shape (), or the input's with "none"; in nats.
    Raises
        ShapeError: the shapes differ; a loss never broadcasts.
        LabelError: a count is negative or NaN.
        ModelError: an expected count is negative.
    Source
        A. C. Cameron and P. K. Trivedi, Regression analysis of count data, 1998; the constants are PyTorch's.
    """
    check("poisson_nll_loss: eps", eps, _EPS)
    x, t = pair("poisson_nll_loss", input, target)
    expect(t, partial(not_negative, "poisson_nll_loss", what="count"))
    if log_input:
        losses = exp(x) - t * x
    else:
        wrong = x.data < 0
        if wrong.any():
            raise ModelError(
                "losses.negative-rate", loss="poisson_nll_loss", value=_first(x.data, wrong), row=_row(wrong)
            )
        losses = x - t * log(x + eps)
    if full:
        many = greater(t, 1.0)
        safe = where(many, t, 1.0)
        losses = losses + where(many, safe * log(safe) - safe + 0.5 * log((2 * math.pi) * safe), 0.0)
    return reduced("poisson_nll_loss", losses, reduction, t, sample_weight)


@composite(formula="y = mean (log v + (x - t)² / v) / 2, with v = max(var, eps)", onnx=_ONNX)
def gaussian_nll_loss(
    input: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    *,
    reduction: Reduction = "mean",
    sample_weight: Any = None,
) -> Tensor:
    """Negative log-likelihood of numbers under normal distributions whose mean and variance are predicted.

    Parameters
        input : the means, Tensor, any shape.
        target : of the same shape.
        var : the variances, from 0: of the input's shape, or one for each row (the input's shape without its last axis
            or with 1 there), or a number.
        full : add the constant log(2 π) / 2.
        eps : the smallest variance reckoned with; a smaller one still gets the gradient of this bound.
        reduction : "mean" over all elements, "sum", or "none".
        sample_weight : a factor for each row, shape (rows,); 2 equals having the row twice.
    Returns
        Tensor, shape (), or the input's with "none"; in nats.
    Raises
        ShapeError: the shapes do not fit.
        LabelError: a target is NaN.
        ModelError: a variance is negative.
    Source
        D. A. Nix and A. S. Weigend, Estimating the mean and variance of the target probability distribution, ICNN 1994.
    """
    check("gaussian_nll_loss: eps", eps, _EPS)
    x, t = pair("gaussian_nll_loss", input, target)
    v = as_target(float(var) if isinstance(var, int) else var, x)
    if v.shape != x.shape and v.shape != () and v.shape != (*x.shape[:-1], 1):
        if v.shape != x.shape[:-1]:
            expected = f"{x.shape}, {x.shape[:-1]}, {(*x.shape[:-1], 1)}" if x.ndim else "()"
            raise ShapeError(
                "losses.weight-shape", loss="gaussian_nll_loss", name="var", given=v.shape, expected=expected, fix=None
            )
        v = expand_dims(v, -1)
    wrong = v.data < 0
    if wrong.any():
        raise ModelError("losses.negative-variance", value=_first(v.data, wrong), row=_row(wrong))
    v = v + (clip(v, min=eps) - v).detach()
    losses = 0.5 * (log(v) + square(x - t) / v)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced("gaussian_nll_loss", losses, reduction, t, sample_weight)


@composite(formula="y = Σ t (log t - x) / rows", onnx=_ONNX)
def kl_div(input: Any, target: Any, *, reduction: str = "batchmean", log_target: bool = False) -> Tensor:
    """Kullback-Leibler divergence of the target distribution from the predicted one.

    PyTorch's default "mean" divides by the number of elements and so is no divergence; its own documentation advises
    "batchmean", the default here.

    Parameters
        input : log-probabilities, Tensor, any shape, such as (N, C): what comes out of LogSoftmax.
        target : probabilities of the same shape, from 0; with log_target their logarithms.
        reduction : "batchmean" (the sum divided by the number of rows), "mean" over all elements, "sum", or "none".
    Returns
        Tensor, shape (), or the input's with "none"; in nats.
    Raises
        ShapeError: the shapes differ; a loss never broadcasts.
        LabelError: a target is negative or NaN.
        ModelError: the input is the output of softmax without its logarithm.
    Source
        S. Kullback and R. A. Leibler, On information and sufficiency, Annals of Mathematical Statistics 22 (1951).
    """
    x, t = pair("kl_div", input, target)
    takes_log_probabilities("kl_div", x)
    if log_target:
        losses = exp(t) * (t - x)
    else:
        expect(t, partial(not_negative, "kl_div", what="probability"))
        some = greater(t, 0.0)
        # 0 log 0 is 0.
        losses = t * (where(some, log(where(some, t, 1.0)), 0.0) - x)
    if reduction != "batchmean":
        check("kl_div: reduction", reduction, _WITH_BATCHMEAN)
        return reduced("kl_div", losses, reduction, t)
    total = reduced("kl_div", losses, "sum", t)
    if x.ndim == 0:
        return total
    if x.shape[0] == 0:
        raise ShapeError("losses.empty", loss="kl_div", shape=x.shape)
    return divide(total, x.shape[0])


class PoissonNLLLoss(Loss):
    """Negative log-likelihood of counts, `functional.poisson_nll_loss`.

    Parameters
        log_input : whether the network gives the logarithm of the expected count.
        full : whether log(t!) is added, by Stirling's approximation.
        eps : keeps the logarithm finite with log_input=False; above 0.
        reduction : "mean", "sum", or "none".
    """

    @checked(log_input=Flag(), full=Flag(), eps=_EPS, reduction=REDUCTION)
    def __init__(
        self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: Reduction = "mean"
    ) -> None:
        super().__init__(reduction, log_input=log_input, full=full, eps=eps)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, input: Any, target: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch."""
        return poisson_nll_loss(
            input,
            target,
            self.log_input,
            self.full,
            eps=self.eps,
            reduction=self.reduction,
            sample_weight=sample_weight,
        )

    def _check_values(self, targets: Array) -> None:
        no_nan("PoissonNLLLoss", targets)
        not_negative("PoissonNLLLoss", targets, "count")


class GaussianNLLLoss(Loss):
    """Negative log-likelihood of numbers with a predicted variance, `functional.gaussian_nll_loss`.

    Called as loss(input, target, var).

    Parameters
        full : whether the constant log(2 π) / 2 is added.
        eps : the smallest variance reckoned with, above 0.
        reduction : "mean", "sum", or "none".
    """

    @checked(full=Flag(), eps=_EPS, reduction=REDUCTION)
    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, full=full, eps=eps)
        self.full, self.eps = full, eps

    def forward(self, input: Any, target: Any, var: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch."""
        return gaussian_nll_loss(
            input, target, var, self.full, self.eps, reduction=self.reduction, sample_weight=sample_weight
        )


class KLDivLoss(Loss):
    """Kullback-Leibler divergence of log-probabilities from a target distribution, `functional.kl_div`.

    Parameters
        reduction : "batchmean" (PyTorch's default "mean" is no divergence), "mean", "sum", or "none".
        log_target : whether the targets are logarithms.
    """

    @checked(reduction=_WITH_BATCHMEAN, log_target=Flag())
    def __init__(self, reduction: str = "batchmean", log_target: bool = False) -> None:
        super().__init__("mean", log_target=log_target)
        self.reduction = reduction
        self.log_target = log_target

    def forward(self, input: Any, target: Any) -> Tensor:
        """The loss of a batch."""
        return kl_div(input, target, reduction=self.reduction, log_target=self.log_target)

    def _check_values(self, targets: Array) -> None:
        no_nan("KLDivLoss", targets)
        if not self.log_target:
            not_negative("KLDivLoss", targets, "probability")


__all__ = [
    "GaussianNLLLoss",
    "KLDivLoss",
    "PoissonNLLLoss",
    "gaussian_nll_loss",
    "kl_div",
    "poisson_nll_loss",
]
