"""Trigonometric and hyperbolic functions and their inverses; angles are in radians."""

from __future__ import annotations

from typing import Any

from pellucid.core.op import NONE
from pellucid.ops._families.elementwise import elementwise
from pellucid.ops.elementwise.powers import sqrt


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
