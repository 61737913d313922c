"""Losses for numbers: squared, absolute, Huber, smooth absolute and quantile. Input and target have the same shape; the
result is a single number, or one for each element.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid._typing import Array, Reduction, Shape
from pellucid.core.check import Real, check, checked
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import ArgumentError
from pellucid.nn.losses._checks import as_input, as_target, pair, refuse_shapes
from pellucid.nn.losses._reduction import REDUCTION, reduced
from pellucid.nn.losses.loss import Loss
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import abs_, clip, maximum, square
from pellucid.ops.shape import expand_dims

_ONNX = NONE("ONNX has no such loss; its operations are exported")
_DELTA = Real(0, left_open=True)
_BETA = Real(0)
_QUANTILE = Real(0, 1, left_open=True, right_open=True)


@composite(formula="y = mean (x - t)²", onnx=_ONNX)
def mse_loss(input: Any, target: Any, *, reduction: Reduction = "mean", sample_weight: Any = None) -> Tensor:
    """Squared error.

    Parameters
        input : Tensor, any shape, float.
        target : of the same shape.
        reduction : "mean" over all elements, "sum", or "none".
        sample_weight : a factor for each row, shape (rows,); 2 equals having the row twice.
    Returns
        Tensor, shape (), or the input's with "none"; in the unit of the target, squared.
    Raises
        ShapeError: the shapes differ; a loss never broadcasts.
        LabelError: a target is NaN.
    Source
        A.-M. Legendre, Nouvelles méthodes pour la détermination des orbites des comètes, 1805.
    Examples
        >>> mse_loss([[0.25, 1.0]], [[0.75, 1.0]]).item()
        0.125
    """
    x, t = pair("mse_loss", input, target)
    return reduced("mse_loss", square(x - t), reduction, t, sample_weight)


@composite(formula="y = mean |x - t|", onnx=_ONNX)
def l1_loss(input: Any, target: Any, *, reduction: Reduction = "mean", sample_weight: Any = None) -> Tensor:
    """Absolute error; its gradient where input and target are equal is 0.

    Parameters
        input : Tensor, any shape, float.
        target : of the same shape.
        reduction, sample_weight : as for mse_loss.
    Returns
        Tensor, shape (), or the input's with "none"; in the unit of the target.
    Raises
        ShapeError: the shapes differ.
        LabelError: a target is NaN.
    Source
        P.-S. Laplace, Mémoire sur la probabilité des causes par les évènements, 1774.
    """
    x, t = pair("l1_loss", input, target)
    return reduced("l1_loss", abs_(x - t), reduction, t, sample_weight)


@composite(formula="y = mean c (d - c / 2), with d = x - t and c = clip(d, -delta, delta)", onnx=_ONNX)
def huber_loss(
    input: Any, target: Any, *, reduction: Reduction = "mean", delta: float = 1.0, sample_weight: Any = None
) -> Tensor:
    """Half the squared error up to delta, beyond it delta times the absolute error less delta / 2.

    Parameters
        input : Tensor, any shape, float.
        target : of the same shape.
        delta : above 0, in the unit of the target.
        reduction, sample_weight : as for mse_loss.
    Returns
        Tensor, shape (), or the input's with "none".
    Raises
        ShapeError: the shapes differ.
        LabelError: a target is NaN.
    Source
        P. J. Huber, Robust estimation of a location parameter, Annals of Mathematical Statistics 35 (1964).
    """
    check("huber_loss: delta", delta, _DELTA)
    x, t = pair("huber_loss", input, target)
    return reduced("huber_loss", _huber(x - t, delta), reduction, t, sample_weight)


def _huber(d: Tensor, delta: float) -> Tensor:
    # The product form has the right second derivative at 0 too, where a form with |d| has none.
    c = clip(d, min=-delta, max=delta)
    return c * (d - 0.5 * c)


@composite(formula="y = mean c (d - c / 2) / beta, with d = x - t and c = clip(d, -beta, beta)", onnx=_ONNX)
def smooth_l1_loss(
    input: Any, target: Any, *, reduction: Reduction = "mean", beta: float = 1.0, sample_weight: Any = None
) -> Tensor:
    """Absolute error with its corner at 0 rounded off between -beta and beta: the Huber loss divided by beta.

    Parameters
        input : Tensor, any shape, float.
        target : of the same shape.
        beta : from 0, in the unit of the target; 0 is the absolute error.
        reduction, sample_weight : as for mse_loss.
    Returns
        Tensor, shape (), or the input's with "none"; in the unit of the target.
    Raises
        ShapeError: the shapes differ.
        LabelError: a target is NaN.
    Source
        R. Girshick, Fast R-CNN, ICCV 2015, equation (3), there with beta = 1.
    """
    check("smooth_l1_loss: beta", beta, _BETA)
    x, t = pair("smooth_l1_loss", input, target)
    losses = abs_(x - t) if beta == 0 else _huber(x - t, beta) * (1.0 / beta)
    return reduced("smooth_l1_loss", losses, reduction, t, sample_weight)


@composite(formula="y = mean max(q d, (q - 1) d), with d = t - x", onnx=_ONNX)
def quantile_loss(
    input: Any,
    target: Any,
    quantile: float | Sequence[float] = 0.5,
    *,
    reduction: Reduction = "mean",
    sample_weight: Any = None,
) -> Tensor:
    """The pinball loss, least at the quantile of the target's distribution; 0.5 gives half the absolute error.

    Parameters
        input : Tensor; with one quantile any shape, with several (..., len(quantile)): one output for each.
        target : of the input's shape; with several quantiles without its last axis.
        quantile : between 0 and 1, or several.
        reduction, sample_weight : as for mse_loss.
    Returns
        Tensor, shape (), or the input's with "none"; in the unit of the target.
    Raises
        ShapeError: the shapes do not fit.
        LabelError: a target is NaN.
        ArgumentError: a quantile is not between 0 and 1, or there is none.
    Source
        R. Koenker and G. Bassett, Regression quantiles, Econometrica 46 (1978).
    Examples
        >>> quantile_loss([1.0, 1.0], [3.0, 0.0], 0.75, reduction="none").tolist()
        [1.5, 0.25]
    """
    if isinstance(quantile, int | float):
        check("quantile_loss: quantile", quantile, _QUANTILE)
        x, t = pair("quantile_loss", input, target)
        d = t - x
        q: Any = float(quantile)
    else:
        quantiles = _quantiles("quantile_loss", quantile)
        x = as_input(input)
        t = as_target(target, x)
        _check_several(quantiles, x.shape, t.data)
        d = expand_dims(t, -1) - x
        q = wrap(np.array(quantiles, x.dtype))
    return reduced("quantile_loss", maximum(d * q, d * (q - 1.0)), reduction, t, sample_weight)


def _quantiles(function: str, given: Any) -> tuple[float, ...]:
    values = tuple(given)
    if not values:
        raise ArgumentError("core.range", name=f"{function}: quantile", value=repr(given), range=str(_QUANTILE))
    for value in values:
        check(f"{function}: quantile", value, _QUANTILE)
    return tuple(float(v) for v in values)


def _check_several(quantiles: tuple[float, ...], shape: Shape, target: Array) -> None:
    if shape[-1:] != (len(quantiles),):
        wanted = (*shape[:-1], len(quantiles)) if len(shape) > target.ndim else (*target.shape, len(quantiles))
        given = f"input {shape}, target {target.shape}"
        raise ArgumentError("losses.quantiles", given=given, count=len(quantiles), expected=wanted)
    if target.shape != shape[:-1]:
        given = f"input {shape}, target {target.shape}"
        refuse_shapes("quantile_loss", shape[:-1], target, given)


class MSELoss(Loss):
    """Squared error, `functional.mse_loss`.

    Parameters
        reduction : "mean" over all elements, "sum", or "none".
    """

    @checked(reduction=REDUCTION)
    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Any, target: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch."""
        return mse_loss(input, target, reduction=self.reduction, sample_weight=sample_weight)


class L1Loss(Loss):
    """Absolute error, `functional.l1_loss`.

    Parameters
        reduction : "mean" over all elements, "sum", or "none".
    """

    @checked(reduction=REDUCTION)
    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Any, target: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch."""
        return l1_loss(input, target, reduction=self.reduction, sample_weight=sample_weight)


class HuberLoss(Loss):
    """Squared for small, absolute for large errors, `functional.huber_loss`.

    Parameters
        reduction : "mean" over all elements, "sum", or "none".
        delta : where one becomes the other, above 0, in the unit of the target.
    """

    @checked(reduction=REDUCTION, delta=_DELTA)
    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction, delta=delta)
        self.delta = delta

    def forward(self, input: Any, target: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch."""
        return huber_loss(input, target, reduction=self.reduction, delta=self.delta, sample_weight=sample_weight)


class SmoothL1Loss(Loss):
    """Absolute error with a round corner, `functional.smooth_l1_loss`.

    Parameters
        reduction : "mean" over all elements, "sum", or "none".
        beta : half the width of the round part, from 0, in the unit of the target.
    """

    @checked(reduction=REDUCTION, beta=_BETA)
    def __init__(self, reduction: Reduction = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction, beta=beta)
        self.beta = beta

    def forward(self, input: Any, target: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch."""
        return smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta, sample_weight=sample_weight)


class QuantileLoss(Loss):
    """The pinball loss of one quantile or several, `functional.quantile_loss`.

    Parameters
        quantile : between 0 and 1, or several; with several the network has one output for each, on its last axis.
        reduction : "mean" over all elements, "sum", or "none".
    """

    @checked(reduction=REDUCTION)
    def __init__(self, quantile: float | Sequence[float] = 0.5, reduction: Reduction = "mean") -> None:
        if isinstance(quantile, int | float):
            check("QuantileLoss: quantile", quantile, _QUANTILE)
        else:
            quantile = _quantiles("QuantileLoss", quantile)
        super().__init__(reduction, quantile=quantile)
        self.quantile = quantile

    def forward(self, input: Any, target: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch."""
        return quantile_loss(input, target, self.quantile, reduction=self.reduction, sample_weight=sample_weight)

    def _check_shape(self, targets: Array, shape: Shape) -> None:
        if isinstance(self.quantile, tuple):
            _check_several(self.quantile, shape, targets)
        else:
            super()._check_shape(targets, shape)


__all__ = [
    "HuberLoss",
    "L1Loss",
    "MSELoss",
    "QuantileLoss",
    "SmoothL1Loss",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "quantile_loss",
    "smooth_l1_loss",
]
