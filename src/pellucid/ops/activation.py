"""Activation functions of one number each, declared as elementwise operations, and softmax and its relatives as composites.

All are written so that no input overflows: exp is only taken of what is not positive.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.ops._families.composite import composite
from pellucid.ops._families.elementwise import elementwise
from pellucid.ops.elementwise import exp
from pellucid.ops.reduce import logsumexp, max_, sum_


@elementwise(onnx=NONE("Where of a comparison"), vjp=(lambda h, y, g, x: pass_positive(h, x), None))
def pass_positive(m: Any, g: Any, x: Any) -> Any:
    """g where x is positive, else 0: the gradient of relu."""
    return m.where(x > 0, g, 0.0)


@elementwise(onnx="Relu", vjp=lambda g, y, x: pass_positive(g, y))
def relu(m: Any, x: Any) -> Any:
    """The input where it is positive, else 0; the gradient at 0 is 0."""
    return m.maximum(x, 0)


@elementwise(onnx="Sigmoid", kind="float", vjp=lambda g, y, x: g * y * (1.0 - y))
def sigmoid(m: Any, x: Any) -> Any:
    """The logistic function, between 0 and 1."""
    e = m.exp(-m.abs(x))
    return m.where(x >= 0, 1.0, e) / (1.0 + e)


@composite(formula="y_i = exp(x_i - max x) / Σ_j exp(x_j - max x)", onnx="Softmax")
def softmax(x: Any, /, axis: int = -1) -> Tensor:
    """Positive numbers that sum to 1 along an axis."""
    x = as_tensor(x)
    e = exp(x - max_(x, axis, keepdims=True).detach())
    return e / sum_(e, axis, keepdims=True)


@composite(formula="y_i = x_i - log Σ_j exp(x_j)", onnx="LogSoftmax")
def log_softmax(x: Any, /, axis: int = -1) -> Tensor:
    """The logarithm of softmax, exact where softmax itself would be 0."""
    x = as_tensor(x)
    return x - logsumexp(x, axis, keepdims=True)
