"""Elementwise operations: arithmetic, comparison, logic, powers, exponentials, trigonometry, rounding and selection. Activation functions
are in `activation.py`. Each is declared once: a scalar body over a maths handler and its gradient.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor
from pellucid.ops._families.elementwise import elementwise

_FLAT = NONE("piecewise constant: its derivative is zero wherever it exists")
_DISCRETE = NONE("its result is not a real number")


def _flat(g: Tensor, y: Tensor, *xs: Any) -> Tensor:
    return g * 0.0


# Arithmetic


@elementwise(onnx="Add", vjp=(lambda g, y, a, b: g, lambda g, y, a, b: g))
def add(m: Any, a: Any, b: Any) -> Any:
    """Sum of two tensors, broadcasting."""
    return a + b


@elementwise(onnx="Sub", vjp=(lambda g, y, a, b: g, lambda g, y, a, b: -g), accepts="fiu")
def subtract(m: Any, a: Any, b: Any) -> Any:
    """Difference of two tensors, broadcasting."""
    return a - b


@elementwise(onnx="Mul", vjp=(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a))
def multiply(m: Any, a: Any, b: Any) -> Any:
    """Product of two tensors, broadcasting."""
    return a * b


@elementwise(onnx="Div", kind="float", vjp=(lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b))
def divide(m: Any, a: Any, b: Any) -> Any:
    """Quotient of two tensors, broadcasting; always a float."""
    return a / b


@elementwise(onnx=NONE("Floor of Div"), vjp=(_flat, _flat), accepts="fiu")
def floor_divide(m: Any, a: Any, b: Any) -> Any:
    """Quotient rounded towards minus infinity."""
    return m.floor_divide(a, b)


@elementwise(onnx="Mod", vjp=(lambda g, y, a, b: g, lambda g, y, a, b: -g * floor_divide(a, b)), accepts="fiu")
def remainder(m: Any, a: Any, b: Any) -> Any:
    """Remainder of the division, with the sign of the divisor."""
    return m.remainder(a, b)


@elementwise(onnx="Neg", vjp=lambda g, y, x: -g, accepts="fiu")
def negative(m: Any, x: Any) -> Any:
    """Negation."""
    return -x


@elementwise(onnx="Identity", vjp=lambda g, y, x: g)
def positive(m: Any, x: Any) -> Any:
    """The input itself."""
    return m.positive(x)


@elementwise(onnx="Abs", vjp=lambda g, y, x: g * sign(x))
def abs_(m: Any, x: Any) -> Any:
    """Absolute value; its gradient at 0 is taken as 0."""
    return m.abs(x)


@elementwise(onnx="Sign", vjp=_flat)
def sign(m: Any, x: Any) -> Any:
    """-1, 0 or 1."""
    return m.sign(x)


def _power_base(g: Tensor, y: Tensor, a: Any, b: Any) -> Tensor:
    if type(b) in (int, float):
        return g * 0.0 if b == 0 else g if b == 1 else g * (b * power(a, b - 1))
    # Where the exponent is 0 the derivative is 0, also at a = 0, where a ** -1 would be infinite.
    return where(equal(b, 0), 0.0, g * b * power(a, where(equal(b, 0), 1.0, b - 1)))


def _power_exponent(g: Tensor, y: Tensor, a: Any, b: Any) -> Tensor:
    # 0 ** b is constantly 0 for b > 0.
    safe = where(equal(a, 0), 1.0, a) if isinstance(a, Tensor) else a
    return (
        where(equal(a, 0), 0.0, g * y * log(safe)) if isinstance(a, Tensor) else g * y * math.log(a) if a else g * 0.0
    )


@elementwise(onnx="Pow", vjp=(_power_base, _power_exponent), accepts="fiu")
def power(m: Any, a: Any, b: Any) -> Any:
    """a to the power of b."""
    return m.power(a, b)


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


# Exponentials and logarithms


@elementwise(onnx="Exp", kind="float", vjp=lambda g, y, x: g * y)
def exp(m: Any, x: Any) -> Any:
    """e to the power of the input."""
    return m.exp(x)


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
    vjp=(lambda g, y, x, top: g * y, lambda g, y, x, top: where(isinf(top), 0.0, -g * y)),
)
def exp_below(m: Any, x: Any, top: Any) -> Any:
    """exp(x - top), an infinite top counting as 0: the share of x in a sum whose logarithm is top."""
    return m.exp(x - m.where(m.isinf(top), 0.0, top))


# Trigonometric and hyperbolic functions


@elementwise(onnx="Sin", kind="float", vjp=lambda g, y, x: g * cos(x))
def sin(m: Any, x: Any) -> Any:
    """Sine of an angle in radians."""
    return m.sin(x)


@elementwise(onnx="Cos", kind="float", vjp=lambda g, y, x: -g * sin(x))
def cos(m: Any, x: Any) -> Any:
    """Cosine of an angle in radians."""
    return m.cos(x)


@elementwise(onnx="Tan", kind="float", vjp=lambda g, y, x: g * (1.0 + y * y))
def tan(m: Any, x: Any) -> Any:
    """Tangent of an angle in radians."""
    return m.tan(x)


@elementwise(onnx="Asin", kind="float", vjp=lambda g, y, x: g / sqrt(1.0 - x * x))
def asin(m: Any, x: Any) -> Any:
    """Angle in radians whose sine is the input."""
    return m.arcsin(x)


@elementwise(onnx="Acos", kind="float", vjp=lambda g, y, x: -g / sqrt(1.0 - x * x))
def acos(m: Any, x: Any) -> Any:
    """Angle in radians whose cosine is the input."""
    return m.arccos(x)


@elementwise(onnx="Atan", kind="float", vjp=lambda g, y, x: g / (1.0 + x * x))
def atan(m: Any, x: Any) -> Any:
    """Angle in radians whose tangent is the input."""
    return m.arctan(x)


@elementwise(
    onnx=NONE("there is no two-argument arctangent"),
    kind="float",
    vjp=(lambda g, y, a, b: g * b / (a * a + b * b), lambda g, y, a, b: -g * a / (a * a + b * b)),
)
def atan2(m: Any, a: Any, b: Any) -> Any:
    """Angle in radians of the point (b, a) from the positive first axis."""
    return m.arctan2(a, b)


@elementwise(onnx="Sinh", kind="float", vjp=lambda g, y, x: g * cosh(x))
def sinh(m: Any, x: Any) -> Any:
    """Hyperbolic sine."""
    return m.sinh(x)


@elementwise(onnx="Cosh", kind="float", vjp=lambda g, y, x: g * sinh(x))
def cosh(m: Any, x: Any) -> Any:
    """Hyperbolic cosine."""
    return m.cosh(x)


@elementwise(onnx="Tanh", kind="float", vjp=lambda g, y, x: g * (1.0 - y * y))
def tanh(m: Any, x: Any) -> Any:
    """Hyperbolic tangent, between -1 and 1."""
    return m.tanh(x)


@elementwise(onnx="Asinh", kind="float", vjp=lambda g, y, x: g / sqrt(x * x + 1.0))
def asinh(m: Any, x: Any) -> Any:
    """Inverse hyperbolic sine."""
    return m.arcsinh(x)


@elementwise(onnx="Acosh", kind="float", vjp=lambda g, y, x: g / sqrt(x * x - 1.0))
def acosh(m: Any, x: Any) -> Any:
    """Inverse hyperbolic cosine, of inputs from 1 on."""
    return m.arccosh(x)


@elementwise(onnx="Atanh", kind="float", vjp=lambda g, y, x: g / (1.0 - x * x))
def atanh(m: Any, x: Any) -> Any:
    """Inverse hyperbolic tangent, of inputs between -1 and 1."""
    return m.arctanh(x)


@elementwise(onnx="Erf", kind="float", vjp=lambda g, y, x: g * (2.0 / math.sqrt(math.pi)) * exp(-x * x))
def erf(m: Any, x: Any) -> Any:
    """The error function, between -1 and 1."""
    return m.erf(x)


# Rounding


@elementwise(onnx="Round", vjp=_flat)
def round_(m: Any, x: Any) -> Any:
    """Nearest whole number, halves to the even one; its gradient is 0."""
    return m.round(x)


@elementwise(onnx="Floor", vjp=_flat)
def floor(m: Any, x: Any) -> Any:
    """Largest whole number not above the input; its gradient is 0."""
    return m.floor(x)


@elementwise(onnx="Ceil", vjp=_flat)
def ceil(m: Any, x: Any) -> Any:
    """Smallest whole number not below the input; its gradient is 0."""
    return m.ceil(x)


@elementwise(onnx=NONE("Floor of the absolute value with the sign"), vjp=_flat)
def trunc(m: Any, x: Any) -> Any:
    """The whole part, towards 0; its gradient is 0."""
    return m.trunc(x)


# Selection


def _share(g: Tensor, y: Tensor, own: Any, other: Any) -> Tensor:
    # Where both are equal each takes half, so that the gradient does not depend on their order.
    return where(equal(own, y), where(equal(own, other), 0.5 * g, g), 0.0)


@elementwise(onnx="Max", vjp=(lambda g, y, a, b: _share(g, y, a, b), lambda g, y, a, b: _share(g, y, b, a)))
def maximum(m: Any, a: Any, b: Any) -> Any:
    """The larger of two; NaN if either is. Where they are equal the gradient is shared."""
    return m.maximum(a, b)


@elementwise(onnx="Min", vjp=(lambda g, y, a, b: _share(g, y, a, b), lambda g, y, a, b: _share(g, y, b, a)))
def minimum(m: Any, a: Any, b: Any) -> Any:
    """The smaller of two; NaN if either is. Where they are equal the gradient is shared."""
    return m.minimum(a, b)


def _where_value(condition: Any, a: Any, b: Any) -> Array:
    if type(a) is np.ndarray and type(b) is np.ndarray and a.dtype is not b.dtype:
        from pellucid.ops._families.elementwise import common_dtype

        common = common_dtype([(a.dtype, False), (b.dtype, False)])
        a, b = a.astype(common), b.astype(common)
    elif type(a) is not np.ndarray and type(b) is not np.ndarray:
        from pellucid.ops._families.elementwise import _weak, common_dtype

        common = common_dtype([(_weak(a), True), (_weak(b), True)])
        a, b = common.type(a), common.type(b)
    elif type(a) is np.ndarray and a.dtype.kind != "f" and type(b) is float:
        from pellucid.core.context import default_dtype

        a, b = a.astype(default_dtype()), default_dtype().type(b)
    elif type(b) is np.ndarray and b.dtype.kind != "f" and type(a) is float:
        from pellucid.core.context import default_dtype

        a, b = default_dtype().type(a), b.astype(default_dtype())
    return np.where(condition, a, b)


@elementwise(
    onnx="Where",
    vjp=(None, lambda g, y, c, a, b: where(c, g, 0.0), lambda g, y, c, a, b: where(c, 0.0, g)),
    value=_where_value,
)
def where(m: Any, condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds, else b."""
    return m.where(condition, a, b)


@elementwise(
    onnx="Clip",
    vjp=lambda g, y, x, min, max: where(logical_and(_from(x, min), _up_to(x, max)), g, 0.0),
)
def clip(m: Any, x: Any, *, min: float | None = None, max: float | None = None) -> Any:
    """The input held between two bounds (None: unbounded); the gradient is 0 outside."""
    if min is not None:
        x = m.maximum(x, min)
    if max is not None:
        x = m.minimum(x, max)
    return x if min is not None or max is not None else m.positive(x)


def _from(x: Tensor, low: float | None) -> Any:
    return True if low is None else greater_equal(x, low)


def _up_to(x: Tensor, high: float | None) -> Any:
    return True if high is None else less_equal(x, high)


# Comparison and logic


@elementwise(onnx="Equal", kind="bool", vjp=_DISCRETE)
def equal(m: Any, a: Any, b: Any) -> Any:
    """Whether two are equal."""
    return a == b


@elementwise(onnx=NONE("Not of Equal"), kind="bool", vjp=_DISCRETE)
def not_equal(m: Any, a: Any, b: Any) -> Any:
    """Whether two differ."""
    return a != b


@elementwise(onnx="Less", kind="bool", vjp=_DISCRETE)
def less(m: Any, a: Any, b: Any) -> Any:
    """Whether the first is below the second."""
    return a < b


@elementwise(onnx="LessOrEqual", kind="bool", vjp=_DISCRETE)
def less_equal(m: Any, a: Any, b: Any) -> Any:
    """Whether the first is at most the second."""
    return a <= b


@elementwise(onnx="Greater", kind="bool", vjp=_DISCRETE)
def greater(m: Any, a: Any, b: Any) -> Any:
    """Whether the first is above the second."""
    return a > b


@elementwise(onnx="GreaterOrEqual", kind="bool", vjp=_DISCRETE)
def greater_equal(m: Any, a: Any, b: Any) -> Any:
    """Whether the first is at least the second."""
    return a >= b


@elementwise(onnx="And", kind="bool", vjp=_DISCRETE)
def logical_and(m: Any, a: Any, b: Any) -> Any:
    """Whether both are true (not 0)."""
    return m.logical_and(a, b)


@elementwise(onnx="Or", kind="bool", vjp=_DISCRETE)
def logical_or(m: Any, a: Any, b: Any) -> Any:
    """Whether either is true (not 0)."""
    return m.logical_or(a, b)


@elementwise(onnx="Xor", kind="bool", vjp=_DISCRETE)
def logical_xor(m: Any, a: Any, b: Any) -> Any:
    """Whether exactly one is true (not 0)."""
    return m.logical_xor(a, b)


@elementwise(onnx="Not", kind="bool", vjp=_DISCRETE)
def logical_not(m: Any, x: Any) -> Any:
    """Whether it is false (0)."""
    return m.logical_not(x)


@elementwise(onnx="IsNaN", kind="bool", vjp=_DISCRETE)
def isnan(m: Any, x: Any) -> Any:
    """Whether it is NaN."""
    return m.isnan(x)


@elementwise(onnx="IsInf", kind="bool", vjp=_DISCRETE)
def isinf(m: Any, x: Any) -> Any:
    """Whether it is plus or minus infinity."""
    return m.isinf(x)


@elementwise(onnx=NONE("Not of IsNaN or IsInf"), kind="bool", vjp=_DISCRETE)
def isfinite(m: Any, x: Any) -> Any:
    """Whether it is neither NaN nor infinite."""
    return m.isfinite(x)


@elementwise(onnx="BitwiseAnd", vjp=_DISCRETE, accepts="iub")
def bitwise_and(m: Any, a: Any, b: Any) -> Any:
    """Bits set in both; of booleans, and."""
    return m.bitwise_and(a, b)


@elementwise(onnx="BitwiseOr", vjp=_DISCRETE, accepts="iub")
def bitwise_or(m: Any, a: Any, b: Any) -> Any:
    """Bits set in either; of booleans, or."""
    return m.bitwise_or(a, b)


@elementwise(onnx="BitwiseXor", vjp=_DISCRETE, accepts="iub")
def bitwise_xor(m: Any, a: Any, b: Any) -> Any:
    """Bits set in exactly one; of booleans, exclusive or."""
    return m.bitwise_xor(a, b)


@elementwise(onnx="BitwiseNot", vjp=_DISCRETE, accepts="iub")
def bitwise_invert(m: Any, x: Any) -> Any:
    """All bits flipped; of booleans, not."""
    return m.invert(x)


@elementwise(onnx="BitShift", vjp=_DISCRETE, accepts="iu")
def bitwise_left_shift(m: Any, a: Any, b: Any) -> Any:
    """Bits moved up by b places."""
    return m.left_shift(a, b)


@elementwise(onnx="BitShift", vjp=_DISCRETE, accepts="iu")
def bitwise_right_shift(m: Any, a: Any, b: Any) -> Any:
    """Bits moved down by b places."""
    return m.right_shift(a, b)
