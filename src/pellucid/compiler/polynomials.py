"""Polynomials and products as expressions, for the functions of `mathematics`."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.compiler.expressions import Expr, as_expr, fma, number


def polynomial(x: Expr, coefficients: Sequence[float]) -> Expr:
    """Horner's scheme, from the highest coefficient down."""
    result = number(coefficients[0], x.dtype)
    for c in coefficients[1:]:
        result = fma(result, x, as_expr(c, x.dtype))
    return result


def side_by_side(x: Expr, coefficients: Sequence[float]) -> Expr:
    """Estrin's scheme: pairs, pairs of pairs and so on, half of which need not wait for the others. It rounds a little
    more, which does no harm in a polynomial that is a small part of a result."""
    parts: list[Expr] = [number(c, x.dtype) for c in reversed(coefficients)]
    while len(parts) > 1:
        pairs = [fma(high, x, low) for low, high in zip(parts[::2], parts[1::2], strict=False)]
        parts = [*pairs, *parts[2 * len(pairs) :]]
        x = x * x
    return parts[0]


def raised(x: Expr, exponent: int) -> Expr:
    """A power by a whole number from 0 on, as few products as its bits allow."""
    result: Expr | None = None
    square = x
    while exponent:
        if exponent & 1:
            result = square if result is None else result * square
        exponent >>= 1
        if exponent:
            square = square * square
    return number(1, x.dtype) if result is None else result
