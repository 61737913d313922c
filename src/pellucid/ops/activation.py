"""Activation functions of one number each, declared as elementwise operations, and softmax and its relatives as
composites. The layers of `nn/activation` and `nn.functional` call them.

All are written so that no input overflows: exp is only taken of what is not positive. At a kink the gradient is
PyTorch's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.core.written import clock
from pellucid.errors import ShapeError
from pellucid.ops._families.composite import composite
from pellucid.ops._families.elementwise import FLOATS, elementwise
from pellucid.ops._families.reduction import one_axis
from pellucid.ops.elementwise import abs_, erf, exp, logical_and, multiply, tanh, where
from pellucid.ops.log_softmax import log_softmax as log_softmax
from pellucid.ops.reduce import max_, sum_
from pellucid.ops.sampling import uniform

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805

_SQRT_HALF = math.sqrt(0.5)
_NORMAL_PEAK = 1.0 / math.sqrt(2.0 * math.pi)
_GELU_SLOPE = math.sqrt(2.0 / math.pi)
_GELU_CUBE = 0.044715


def _between(x: Tensor, low: float, high: float) -> Tensor:
    return logical_and(x > low, x < high)


# Piecewise linear

# NumPy would make an array of a Python 0 at every call.
_ZERO = {dtype: np.zeros((), dtype) for dtype in FLOATS}


def _pass_positive(g: Array, x: Array) -> Array:
    zero = _ZERO[g.dtype]
    y: Array = np.where(x > zero, g, zero)
    return y


def _relu(x: Array) -> Array:
    y: Array = np.maximum(x, _ZERO[x.dtype])
    return y


@elementwise(
    onnx=NONE("Where of a comparison"),
    kind="float",
    vjp=(lambda h, y, g, x: pass_positive(h, x), None),
    quick=_pass_positive,
)
def pass_positive(m: Any, g: Any, x: Any) -> Any:
    """g where x is positive, else 0: the gradient of relu."""
    return m.where(x > 0, g, 0.0)


@elementwise(onnx="Relu", accepts="fiu", vjp=lambda g, y, x: pass_positive(g, y), quick=_relu)
def relu(m: Any, x: Any) -> Any:
    """The input where it is positive, else 0; the gradient at 0 is 0."""
    return m.maximum(x, 0)


@elementwise(onnx=NONE("Clip to 0 and 6"), accepts="fiu", vjp=lambda g, y, x: where(_between(x, 0, 6), g, 0.0))
def relu6(m: Any, x: Any) -> Any:
    """The input held between 0 and 6."""
    return m.minimum(m.maximum(x, 0), 6)


@elementwise(onnx="LeakyRelu", kind="float", vjp=lambda g, y, x, negative_slope: where(x > 0, g, g * negative_slope))
def leaky_relu(m: Any, x: Any, *, negative_slope: float = 0.01) -> Any:
    """The input where it is positive, else a small multiple of it."""
    return m.where(x > 0, x, x * negative_slope)


@elementwise(
    onnx="PRelu",
    kind="float",
    vjp=(lambda g, y, x, slope: where(x > 0, g, g * slope), lambda g, y, x, slope: where(x > 0, 0.0, g * x)),
)
def prelu(m: Any, x: Any, slope: Any) -> Any:
    """The input where it is positive, else `slope` times it; the slope broadcasts and has a gradient."""
    return m.where(x > 0, x, x * slope)


@elementwise(
    onnx="Clip", kind="float", vjp=lambda g, y, x, min_val, max_val: where(_between(x, min_val, max_val), g, 0.0)
)
def hardtanh(m: Any, x: Any, *, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """The input held between two bounds; the gradient is 0 at and outside them."""
    return m.minimum(m.maximum(x, min_val), max_val)


@elementwise(
    onnx=NONE("HardSigmoid of slope 1/6"), kind="float", vjp=lambda g, y, x: where(_between(x, -3, 3), g / 6.0, 0.0)
)
def hardsigmoid(m: Any, x: Any) -> Any:
    """A sigmoid of three straight pieces: 0 up to -3, 1 from 3."""
    return m.minimum(m.maximum(x + 3.0, 0.0), 6.0) / 6.0


@elementwise(
    onnx="HardSwish",
    kind="float",
    vjp=lambda g, y, x: where(x <= -3, 0.0, where(x < 3, g * (x / 3.0 + 0.5), g)),
)
def hardswish(m: Any, x: Any) -> Any:
    """The input times hardsigmoid of it."""
    return x * m.minimum(m.maximum(x + 3.0, 0.0), 6.0) / 6.0


@elementwise(onnx="Shrink", kind="float", vjp=lambda g, y, x, lambd: where(abs_(x) > lambd, g, 0.0))
def hardshrink(m: Any, x: Any, *, lambd: float = 0.5) -> Any:
    """The input, but 0 between -lambd and lambd."""
    return m.where(m.abs(x) > lambd, x, 0)


@elementwise(onnx="Shrink", kind="float", vjp=lambda g, y, x, lambd: where(abs_(x) > lambd, g, 0.0))
def softshrink(m: Any, x: Any, *, lambd: float = 0.5) -> Any:
    """The input moved by lambd towards 0, and 0 between -lambd and lambd."""
    return m.maximum(x - lambd, 0) + m.minimum(x + lambd, 0)


@elementwise(
    onnx=NONE("Where of a comparison"), kind="float", vjp=lambda g, y, x, threshold, value: where(x > threshold, g, 0.0)
)
def threshold(m: Any, x: Any, *, threshold: float = 0.0, value: float = 0.0) -> Any:
    """The input where it is above a threshold, else a fixed value."""
    return m.where(x > threshold, x, value)


# Smooth


def _remembers_logits(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The result knows its input without a history too: a loss of probabilities is the same in no_grad()."""

    @wraps(function)
    def call(x: Any, /) -> Tensor:
        y = function(x)
        if y._source is None and isinstance(x, Tensor):
            y._logits, y._made = x, clock()
        return y

    return call


@_remembers_logits
@elementwise(onnx="Sigmoid", kind="float", vjp=lambda g, y, x: g * y * (1.0 - y))
def sigmoid(m: Any, x: Any) -> Any:
    """The logistic function, between 0 and 1."""
    e = m.exp(-m.abs(x))
    return m.where(x >= 0, 1.0, e) / (1.0 + e)


@elementwise(onnx=NONE("Log of Sigmoid"), kind="float", vjp=lambda g, y, x: g * sigmoid(-x))
def log_sigmoid(m: Any, x: Any) -> Any:
    """The logarithm of sigmoid, exact where sigmoid itself would be 0."""
    return m.minimum(x, 0) - m.log1p(m.exp(-m.abs(x)))


@elementwise(
    onnx="Elu", kind="float", vjp=lambda g, y, x, alpha: where(x > 0, g, g * (alpha * exp(where(x > 0, 0.0, x))))
)
def elu(m: Any, x: Any, *, alpha: float = 1.0) -> Any:
    """The input where it is positive, else alpha·(exp(x) - 1)."""
    return m.where(x > 0, x, alpha * m.expm1(m.minimum(x, 0)))


@elementwise(
    onnx="Selu",
    kind="float",
    vjp=lambda g, y, x: g * where(x > 0, SELU_SCALE, (SELU_SCALE * SELU_ALPHA) * exp(where(x > 0, 0.0, x))),
)
def selu(m: Any, x: Any) -> Any:
    """ELU with the two constants that keep mean 0 and variance 1 from layer to layer."""
    return m.where(x > 0, SELU_SCALE * x, (SELU_SCALE * SELU_ALPHA) * m.expm1(m.minimum(x, 0)))


@elementwise(
    onnx="Celu", kind="float", vjp=lambda g, y, x, alpha: where(x > 0, g, g * exp(where(x > 0, 0.0, x) / alpha))
)
def celu(m: Any, x: Any, *, alpha: float = 1.0) -> Any:
    """The input where it is positive, else alpha·(exp(x/alpha) - 1), whose gradient has no jump at 0."""
    return m.where(x > 0, x, alpha * m.expm1(m.minimum(x, 0) / alpha))


def _gelu_vjp(g: Tensor, y: Tensor, x: Tensor, approximate: str) -> Tensor:
    if approximate == "tanh":
        t = tanh(_GELU_SLOPE * (x + _GELU_CUBE * x * x * x))
        inner = _GELU_SLOPE * (1.0 + (3.0 * _GELU_CUBE) * x * x)
        return g * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner)
    return g * (0.5 * (1.0 + erf(x * _SQRT_HALF)) + x * _NORMAL_PEAK * exp(-0.5 * x * x))


@elementwise(onnx="Gelu", kind="float", vjp=_gelu_vjp)
def gelu(m: Any, x: Any, *, approximate: str = "none") -> Any:
    """The input times the probability that a standard normal number lies below it; "tanh" approximates that."""
    if approximate == "tanh":
        return 0.5 * x * (1.0 + m.tanh(_GELU_SLOPE * (x + _GELU_CUBE * x * x * x)))
    return 0.5 * x * (1.0 + m.erf(x * _SQRT_HALF))


def _silu_vjp(g: Tensor, y: Tensor, x: Tensor) -> Tensor:
    s = sigmoid(x)
    return g * (s * (1.0 + x * (1.0 - s)))


@elementwise(onnx=NONE("Mul by Sigmoid"), kind="float", vjp=_silu_vjp)
def silu(m: Any, x: Any) -> Any:
    """The input times sigmoid of it; also called swish."""
    e = m.exp(-m.abs(x))
    return x * m.where(x >= 0, 1.0, e) / (1.0 + e)


def _mish_vjp(g: Tensor, y: Tensor, x: Tensor) -> Tensor:
    t = tanh(softplus(x, threshold=math.inf))
    return g * (t + x * (1.0 - t * t) * sigmoid(x))


@elementwise(onnx="Mish", kind="float", vjp=_mish_vjp)
def mish(m: Any, x: Any) -> Any:
    """The input times tanh(softplus(x)), where tanh(softplus(x)) = ((1 + exp x)² - 1) / ((1 + exp x)² + 1)."""
    e = m.exp(-m.abs(x))
    p = m.where(x >= 0, 1.0 + 2.0 * e, e * (e + 2.0))
    q = m.where(x >= 0, 2.0 * e * e, 2.0)
    return x * p / (p + q)


@elementwise(
    onnx="Softplus",
    kind="float",
    vjp=lambda g, y, x, beta, threshold: where(x * beta > threshold, g, g * sigmoid(x * beta)),
)
def softplus(m: Any, x: Any, *, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + exp(beta·x)) / beta, and the input itself where beta·x is above the threshold."""
    z = x * beta
    return m.where(z > threshold, x, (m.maximum(z, 0) + m.log1p(m.exp(-m.abs(z)))) / beta)


def _softsign_vjp(g: Tensor, y: Tensor, x: Tensor) -> Tensor:
    d = 1.0 + abs_(x)
    return g / (d * d)


@elementwise(onnx="Softsign", kind="float", vjp=_softsign_vjp)
def softsign(m: Any, x: Any) -> Any:
    """x / (1 + |x|), between -1 and 1."""
    return x / (1.0 + m.abs(x))


def _tanhshrink_vjp(g: Tensor, y: Tensor, x: Tensor) -> Tensor:
    t = tanh(x)
    return g * t * t


@elementwise(onnx=NONE("Sub of Tanh"), kind="float", vjp=_tanhshrink_vjp)
def tanhshrink(m: Any, x: Any) -> Any:
    """The input minus its hyperbolic tangent."""
    return x - m.tanh(x)


# Along an axis, and random


@composite(formula="y_i = exp(x_i - max x) / Σ_j exp(x_j - max x)", onnx="Softmax")
def softmax(x: Any, /, axis: int = -1) -> Tensor:
    """Positive numbers that sum to 1 along an axis."""
    x = as_tensor(x)
    e = exp(x - max_(x, axis, keepdims=True).detach())
    return e / sum_(e, axis, keepdims=True)


@composite(formula="y_i = exp(-x_i) / Σ_j exp(-x_j)", onnx=NONE("Softmax of the negated input"))
def softmin(x: Any, /, axis: int = -1) -> Tensor:
    """Softmax of the negated input: the smallest gets the most."""
    return softmax(-as_tensor(x), axis)


@composite(formula="y = a·sigmoid(b), a and b being the halves of x", onnx=NONE("Split, Sigmoid and Mul"))
def glu(x: Any, /, axis: int = -1) -> Tensor:
    """The first half along an axis, gated by the sigmoid of the second.

    Raises
        ShapeError: the axis has an odd length.
    """
    x = as_tensor(x)
    number = one_axis("glu", axis, x.ndim)
    if x.shape[number] % 2:
        raise ShapeError("ops.glu", shape=x.shape, axis=number, length=x.shape[number])
    half = x.shape[number] // 2
    before = (slice(None),) * number
    return multiply(x[(*before, slice(0, half))], sigmoid(x[(*before, slice(half, None))]))


@composite(
    formula="y = x where x > 0, else a·x; a random in training, else (lower + upper)/2", onnx=NONE("PRelu of a draw")
)
def rrelu(x: Any, /, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, key: Any = None) -> Tensor:
    """Leaky ReLU whose slope is drawn anew for every element from lower to upper; their middle outside of training."""
    x = as_tensor(x)
    if not training:
        return leaky_relu(x, negative_slope=(lower + upper) / 2)
    return prelu(x, uniform(lower, upper, x.shape, key, x.dtype if x.dtype.kind == "f" else None))
