"""Polynomials and whole powers as expressions."""

import numpy as np
import pytest

from pellucid.compiler.polynomials import polynomial, raised, side_by_side
from tests.compiler.functions import by_python


def test_the_highest_coefficient_comes_first():
    x = np.array([0.0, 1.0, 2.0, -3.0])
    got = by_python(lambda a: polynomial(a, (2.0, -1.0, 5.0)), x, out=x.dtype)
    assert (got == 2 * x * x - x + 5).all()


@pytest.mark.parametrize("count", range(1, 10))
def test_pairs_side_by_side_give_the_same_polynomial(count):
    x = np.array([0.0, 1.0, 2.0, -3.0])
    coefficients = tuple(float(c) for c in range(2, 2 + count))
    got = by_python(lambda a: side_by_side(a, coefficients) + 0.0 * a, x, out=x.dtype)
    assert (got == np.polyval(coefficients, x)).all()


@pytest.mark.parametrize("exponent", range(12))
def test_powers_are_few_products(exponent):
    x = np.array([0, 1, 2, -3])
    expression = []
    got = by_python(lambda a: expression.append(raised(a, exponent)) or expression[0], x, out=x.dtype)
    assert got.tolist() == [v**exponent for v in x.tolist()]
    seen, waiting = set(), [expression[0]]
    while waiting:
        e = waiting.pop()
        if e.op == "*" and e not in seen:
            seen.add(e)
            waiting += e.args
    assert len(seen) <= 2 * max(exponent.bit_length() - 1, 0)
