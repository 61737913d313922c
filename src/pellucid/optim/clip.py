"""Gradients that are too long are shortened between backward and the optimizer's step. Parameters with gradients come
in; the same parameters with new gradients, and the norm before, leave. Called by training loops and `fit`.
"""

from __future__ import annotations

import math
from typing import Any

from pellucid.core.check import Flag, Real, check
from pellucid.core.context import no_grad, quiet
from pellucid.core.tensor import Tensor
from pellucid.errors import ArgumentError, GradientError
from pellucid.ops.elementwise import abs_, clip, maximum, minimum, multiply, power, sqrt
from pellucid.ops.reduce import max_, sum_
from pellucid.optim._groups import check_parameters, listed
from pellucid.optim.optimizer import FLOAT64, in_dtype


def _with_gradients(function: str, parameters: Any, only_fresh: bool = True) -> list[Tensor]:
    """The parameters with a gradient, those whose gradient a step has used left out.

    Raises
        ArgumentTypeError: not Tensors.
        ArgumentError: there is no parameter.
        GradientError: parameters ask for gradients, and none has a fresh one.
    """
    items = [parameters] if isinstance(parameters, Tensor) else listed(function, parameters)
    if not items:
        raise ArgumentError("optim.no-parameters", optimizer=function, given=type(parameters).__name__)
    params, _ = check_parameters(function, items, set())
    fresh = [p for p in params if p.grad is not None and not (only_fresh and p.grad is p._used_grad)]
    if not fresh and any(p.grad is not None for p in params):
        raise GradientError("optim.clip-used", function=function, count=len(params))
    if not fresh:
        asked = any(p.requires_grad for p in params)
        raise GradientError("optim.no-gradient" if asked else "optim.frozen", optimizer=function, count=len(params))
    return fresh


def clip_grad_norm_(parameters: Any, max_norm: float, norm_type: Any = 2.0, error_if_nonfinite: bool = False) -> Tensor:
    """Shorten all gradients by one factor, so that together they are at most `max_norm` long.

        total = (Σ |g|^norm_type)^(1 / norm_type), over every element of every gradient
        g = g * min(1, max_norm / (total + 1e-6))

    The norm is summed in float64: a float32 gradient of 1e30 is shortened to `max_norm` like any other. Call it between
    `backward` and `step`; each `.grad` becomes a new Tensor.

    Parameters
        parameters : iterable of Tensors, or one; those without a gradient are left out
        max_norm : float >= 0, in the gradients' unit; infinity only measures
        norm_type : float > 0, or infinity for the largest element
        error_if_nonfinite : refuse gradients with a NaN or an infinity, instead of spreading it to all of them
    Returns
        Tensor, shape (), float64: the norm before.
    Raises
        GradientError: no parameter has a gradient, or a step has used them already; a total that is not finite, if
            asked for.
    Source
        R. Pascanu, T. Mikolov and Y. Bengio, On the difficulty of training recurrent neural networks, 2013, algorithm
        1; the 1e-6 is PyTorch's. PyTorch sums in the gradients' dtype.
    Examples
        >>> w = pl.Tensor([3.0, 4.0], requires_grad=True)
        >>> (w * w / 2).sum().backward()
        >>> clip_grad_norm_([w], max_norm=1.0).item()
        5.0
        >>> [round(g, 4) for g in w.grad.tolist()]
        [0.6, 0.8]
    """
    order = math.inf if norm_type == "inf" else norm_type
    if max_norm != math.inf:
        check("clip_grad_norm_: max_norm", max_norm, Real(0))
    if order != math.inf:
        check("clip_grad_norm_: norm_type", order, Real(0, left_open=True))
    check("clip_grad_norm_: error_if_nonfinite", error_if_nonfinite, Flag())
    only_measure = max_norm == math.inf
    params = _with_gradients("clip_grad_norm_", parameters, only_fresh=not only_measure)
    with no_grad(), quiet():
        gradients = [in_dtype(p.grad, FLOAT64) for p in params]  # type: ignore[arg-type]
        total = _norm(gradients, order)
        if error_if_nonfinite and not math.isfinite(total.item()):
            raise GradientError("optim.non-finite-norm", total=total.item(), order=order)
        if only_measure:
            return total
        factor = minimum(max_norm / (total + 1e-6), 1.0)
        for p, g in zip(params, gradients, strict=True):
            p.grad = in_dtype(multiply(g, factor), p.grad.dtype)  # type: ignore[union-attr]
    return total


def _norm(gradients: list[Tensor], order: float) -> Tensor:
    total: Any = None
    for g in gradients:
        if g.size == 0:
            part: Tensor = sum_(g)
        elif order == math.inf:
            part = max_(abs_(g))
        else:
            part = sum_(g * g if order == 2 else power(abs_(g), order))
        total = part if total is None else maximum(total, part) if order == math.inf else total + part
    if order == math.inf:
        return total  # type: ignore[no-any-return]
    return sqrt(total) if order == 2 else power(total, 1.0 / order)


def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    """Hold every element of every gradient between -clip_value and clip_value.

    Parameters
        parameters : iterable of Tensors, or one; those without a gradient are left out
        clip_value : float >= 0, in the gradients' unit
    Raises
        GradientError: no parameter has a gradient, or a step has used them already.
    Examples
        >>> w = pl.Tensor([3.0, -0.5], requires_grad=True)
        >>> (w * w / 2).sum().backward()
        >>> clip_grad_value_([w], 1.0)
        >>> w.grad.tolist()
        [1.0, -0.5]
    """
    check("clip_grad_value_: clip_value", clip_value, Real(0))
    with no_grad(), quiet():
        for p in _with_gradients("clip_grad_value_", parameters):
            p.grad = clip(p.grad, min=-float(clip_value), max=float(clip_value))
