"""Arithmetic, signs and rounding."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.core.check import Flag, Real, check
from pellucid.core.context import quiet
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.ops._families.elementwise import elementwise
from pellucid.ops.elementwise.logic import equal, isfinite, isnan, less_equal, logical_and, logical_or


def _flat(g: Tensor, y: Tensor, *xs: Any) -> Tensor:
    return g * 0.0


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


def _multiply_add(a: Any, b: Any, c: Any) -> Any:
    y = a * b
    if type(c) is np.ndarray and c.shape != y.shape:
        return y + c
    y += c  # needs no third array
    return y


@elementwise(
    onnx=NONE("Add of Mul"),
    vjp=(lambda g, y, a, b, c: g * b, lambda g, y, a, b, c: g * a, lambda g, y, a, b, c: g),
    accepts="fiu",
    quick=_multiply_add,
)
def multiply_add(m: Any, a: Any, b: Any, c: Any) -> Any:
    """Product of two tensors plus a third, broadcasting: the step of most optimizers as one operation."""
    return a * b + c


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


@elementwise(onnx="Sign", vjp=_flat, accepts="fiu")
def sign(m: Any, x: Any) -> Any:
    """-1, 0 or 1."""
    return m.sign(x)


@elementwise(onnx="Round", vjp=_flat, accepts="fiu")
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


@elementwise(
    onnx=NONE("Abs with a chosen sign"),
    kind="float",
    vjp=(lambda g, y, a, b: g * sign(a) * copysign(1.0, b), _flat),
)
def copysign(m: Any, a: Any, b: Any) -> Any:
    """The size of the first with the sign of the second."""
    return m.copysign(a, b)


@elementwise(onnx=NONE("Less than 0, or the sign bit of -0"), kind="bool", vjp=NONE("its result is not a real number"))
def signbit(m: Any, x: Any) -> Any:
    """Whether the sign bit is set: of negative numbers, and of -0.0."""
    return m.signbit(x)


@elementwise(onnx=NONE("there is no such operator"), kind="float", vjp=(lambda g, y, a, b: g, None))
def nextafter(m: Any, a: Any, b: Any) -> Any:
    """The next number of the dtype from the first towards the second."""
    return m.nextafter(a, b)


def isclose(a: Any, b: Any, /, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether |a - b| <= atol + rtol·|b|, elementwise; infinities are close to themselves, NaN only with equal_nan."""
    check("rtol", rtol, Real(0))
    check("atol", atol, Real(0))
    check("equal_nan", equal_nan, Flag())
    a, b = as_tensor(a), as_tensor(b)
    if a.dtype.kind != "f" and b.dtype.kind != "f":
        a = multiply(a, wrap(np.ones(())))  # float64: whole numbers are compared exactly
    finite = logical_and(isfinite(a), isfinite(b))
    with quiet():
        near = less_equal(abs_(subtract(a, b)), add(multiply(abs_(b), rtol), atol))
    close = logical_or(logical_and(finite, near), equal(a, b))
    return logical_or(close, logical_and(isnan(a), isnan(b))) if equal_nan else close
