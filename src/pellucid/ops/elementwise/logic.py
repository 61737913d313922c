"""Comparisons, logic, tests for NaN and infinity, and bits: elementwise operations whose results are no real
numbers."""

from __future__ import annotations

from typing import Any

from pellucid.core.op import NONE
from pellucid.ops._families.elementwise import elementwise

_DISCRETE = NONE("its result is not a real number")


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
