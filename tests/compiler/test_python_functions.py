"""The operations that NumPy lacks, against exact fractions and Python's whole numbers."""

from fractions import Fraction

import numpy as np
import pytest

from pellucid.compiler.python_functions import fma, mulhi


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fma_rounds_once(dtype):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 500)).astype(dtype)
    c = (-a * b + rng.standard_normal(500) * np.finfo(dtype).eps).astype(dtype)
    exact = [
        float(Fraction(x) * Fraction(y) + Fraction(z))
        for x, y, z in zip(*map(np.ndarray.tolist, (a, b, c)), strict=True)
    ]
    got = fma(a, b, c)
    assert got.dtype == dtype
    assert (got == np.array(exact, dtype)).all()
    assert (got != a * b + c).any()


def test_fma_of_what_is_not_finite():
    with np.errstate(all="ignore"):
        got = fma(np.array([np.inf, 1e300, 1e300, np.nan, 2.0]), np.array([1.0, 1e300, 1.0, 1.0, 3.0]), 1.0)
    assert np.array_equal(got, [np.inf, np.inf, 1e300, np.nan, 7.0], equal_nan=True)


def test_fma_keeps_the_sign_of_zero():
    for dtype in (np.float32, np.float64):
        x = np.array([-0.0], dtype)
        assert np.signbit(fma(x, dtype(1), x)).all()


def test_fma_takes_the_dtype_of_what_has_one():
    assert fma(np.float32(3), 0.1, 0.0).dtype == np.float32
    assert fma(np.float32(3), 0.1, 0.0) == np.float32(3) * np.float32(0.1)


def test_upper_half_of_a_product():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2**64, (2, 200), np.uint64)
    a[0] = b[0] = 2**64 - 1
    with np.errstate(over="ignore"):
        assert mulhi(a, b).tolist() == [x * y >> 64 for x, y in zip(a.tolist(), b.tolist(), strict=True)]
