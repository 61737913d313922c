"""Powers, roots, exponentials, logarithms and the error function."""

from __future__ import annotations

import math
from typing import Any

from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor
from pellucid.ops._families.elementwise import elementwise
from pellucid.ops.elementwise.arithmetic import divide, subtract
from pellucid.ops.elementwise.logic import equal, greater_equal, logical_and
from pellucid.ops.elementwise.selection import where


def _power_base(g: Tensor, y: Tensor, a: Any, b: Any) -> Tensor:
    if type(b) in (int, float):
        return g * 0.0 if b == 0 else g if b == 1 else g * (b * power(a, b - 1))
    # Where the exponent is 0 the derivative is 0, also at a = 0, where a ** -1 would be infinite.
    constant = equal(b, 0)
    return where(constant, 0.0, g * b * power(a, where(constant, 1.0, subtract(b, 1))))


def _power_exponent(g: Tensor, y: Tensor, a: Any, b: Any) -> Tensor:
    if not isinstance(a, Tensor) and a > 0:
        return g * y * math.log(a)
    # 0 ** b is constantly 0 for b > 0; b = 0 counts to it. Below 0 only whole exponents have a power: NaN.
    constant = logical_and(equal(a, 0), greater_equal(b, 0))
    return where(constant, 0.0, g * y * log(where(constant, 1.0, a)))


@elementwise(onnx="Pow", vjp=(_power_base, _power_exponent), accepts="fiu")
def power(m: Any, a: Any, b: Any) -> Any:
    """a to the power of b."""
    return m.power(a, b)


pow = power


@elementwise(onnx="Mul", vjp=lambda g, y, x: 2.0 * g * x)
def square(m: Any, x: Any) -> Any:
    """The input times itself."""
    return x * x


@elementwise(onnx="Sqrt", kind="float", vjp=lambda g, y, x: g * 0.5 / y)
def sqrt(m: Any, x: Any) -> Any:
    """Square root."""
    return m.sqrt(x)


@elementwise(onnx="Reciprocal", kind="float", vjp=lambda g, y, x: -g * y * y)
def reciprocal(m: Any, x: Any) -> Any:
    """One over the input."""
    return 1.0 / x


@elementwise(onnx="Exp", kind="float", vjp=lambda g, y, x: g * y)
def exp(m: Any, x: Any) -> Any:
    """e to the power of the input."""
    return m.exp(x)


def _over(a: Any, y: Tensor) -> Tensor:
    """a / y, and 0 where y is: the gradient of a length at the origin."""
    zero = equal(y, 0)
    return where(zero, 0.0, divide(a, where(zero, 1.0, y)))


@elementwise(
    onnx=NONE("Sqrt of a sum of squares"),
    kind="float",
    vjp=(lambda g, y, a, b: g * _over(a, y), lambda g, y, a, b: g * _over(b, y)),
)
def hypot(m: Any, a: Any, b: Any) -> Any:
    """Length of the hypotenuse, sqrt(a² + b²), without overflow; its gradient at the origin is 0."""
    return m.hypot(a, b)


@elementwise(onnx=NONE("Pow of 2"), kind="float", vjp=lambda g, y, x: g * y * math.log(2.0))
def exp2(m: Any, x: Any) -> Any:
    """2 to the power of the input."""
    return m.exp2(x)


@elementwise(onnx=NONE("Exp minus 1"), kind="float", vjp=lambda g, y, x: g * (y + 1.0))
def expm1(m: Any, x: Any) -> Any:
    """exp(x) - 1, exact near 0."""
    return m.expm1(x)


@elementwise(onnx="Log", kind="float", vjp=lambda g, y, x: g / x)
def log(m: Any, x: Any) -> Any:
    """Natural logarithm."""
    return m.log(x)


@elementwise(onnx=NONE("Log over log 2"), kind="float", vjp=lambda g, y, x: g / (x * math.log(2.0)))
def log2(m: Any, x: Any) -> Any:
    """Logarithm to base 2."""
    return m.log2(x)


@elementwise(onnx=NONE("Log over log 10"), kind="float", vjp=lambda g, y, x: g / (x * math.log(10.0)))
def log10(m: Any, x: Any) -> Any:
    """Logarithm to base 10."""
    return m.log10(x)


@elementwise(onnx=NONE("Log of 1 + x"), kind="float", vjp=lambda g, y, x: g / (1.0 + x))
def log1p(m: Any, x: Any) -> Any:
    """log(1 + x), exact near 0."""
    return m.log1p(x)


@elementwise(
    onnx=NONE("LogSumExp of two"),
    kind="float",
    vjp=(lambda g, y, a, b: g * exp(a - y), lambda g, y, a, b: g * exp(b - y)),
)
def logaddexp(m: Any, a: Any, b: Any) -> Any:
    """log(exp(a) + exp(b)) without overflow."""
    return m.logaddexp(a, b)


@elementwise(
    onnx=NONE("Exp of a difference"),
    kind="float",
    vjp=(lambda g, y, x, top: g * y, lambda g, y, x, top: where(equal(top, -math.inf), 0.0, -g * y)),
)
def exp_below(m: Any, x: Any, top: Any) -> Any:
    """exp(x - top), a top of -inf counting as 0: the share of x in a sum whose logarithm is top."""
    return m.exp(x - m.where(top == -math.inf, 0.0, top))


@elementwise(onnx="Erf", kind="float", vjp=lambda g, y, x: g * (2.0 / math.sqrt(math.pi)) * exp(-x * x))
def erf(m: Any, x: Any) -> Any:
    """The error function, between -1 and 1."""
    return m.erf(x)
