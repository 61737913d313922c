"""Logarithms, inverse hyperbolic functions and powers over the whole range, against NumPy in more digits."""

import numpy as np
import pytest

from pellucid.compiler.expressions import function
from pellucid.compiler.logarithms import log1p
from tests.compiler.functions import DTYPES, WAYS, assert_within, exact, expanded, pairs, points, values_of

BOUNDS = {"log": 1.0, "log2": 1.0, "log10": 1.0, "log1p": 1.5, "arcsinh": 2.0, "arccosh": 2.5, "arctanh": 2.0}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BOUNDS)
def test_whole_range(name, dtype, way):
    x = points(dtype, 100_000)
    if name in ("arccosh", "arctanh"):
        x = np.concatenate([x, np.linspace(1, 3, 20_000).astype(dtype), np.linspace(-1, 1, 20_000).astype(dtype)])
    assert_within(BOUNDS[name], values_of(way, name, x), exact(getattr(np, name), x))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_of_one_more_than_an_exponential(dtype, way):
    """It is never below 0, and so needs no look at what log1p cannot take."""
    x = np.concatenate([np.linspace(-110, 90, 5001), [0.0, -np.inf, np.inf, np.nan]]).astype(dtype)
    with np.errstate(all="ignore"):
        expected = np.log1p(np.exp(x.astype(np.longdouble)))
    got = way(lambda a: expanded(log1p(function("exp", a))), x, out=x.dtype)
    normal = expected > np.finfo(dtype).tiny
    finite = normal & np.isfinite(expected) & (x < np.log(np.finfo(dtype).max))
    assert np.abs(got[finite] / expected[finite] - 1).max() < 4 * np.finfo(dtype).eps
    assert got[x == -np.inf] == 0
    assert got[x == np.inf] == np.inf
    assert np.isnan(got[np.isnan(x)]).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_logarithms_of_powers_of_two_are_exact(dtype):
    n = np.arange(-140, 120)
    y = values_of(WAYS[0], "log2", np.ldexp(1.0, n).astype(dtype))
    assert (y == n).all()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_power(dtype, way):
    rng = np.random.default_rng(1)
    size = 40_000
    a = np.exp(rng.standard_normal(size) * 20)
    b = rng.standard_normal(size) * 5
    near_one, large = 1 + rng.standard_normal(size) * 1e-3, rng.standard_normal(size) * 5e4
    negative, whole = rng.standard_normal(size) * 10, np.round(rng.standard_normal(size) * 9)
    with np.errstate(over="ignore"):
        x, y = (np.concatenate(v).astype(dtype) for v in ([a, near_one, negative], [b, large, whole]))
    assert_within(1.0, values_of(way, "power", x, y), exact(np.power, x, y))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_power_of_special_numbers(dtype, way):
    x, y = pairs(dtype)
    assert_within(1.0, values_of(way, "power", x, y), exact(np.power, x, y))
