"""Sine, cosine, tangent and their inverses, against NumPy in more digits."""

import numpy as np
import pytest

from pellucid.compiler.angles import FARTHEST
from tests.compiler.functions import DTYPES, WAYS, assert_within, exact, pairs, points, values_of

BOUNDS = {"sin": 2.0, "cos": 2.0, "tan": 2.5}
INVERSE = {"arcsin": 1.5, "arccos": 1.5, "arctan": 2.0}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BOUNDS)
def test_whole_range(name, dtype, way):
    x = points(dtype, 50_000)
    near = np.arange(-3000, 3000) * (np.pi / 2)  # where sine or cosine is next to 0
    large = np.random.default_rng(0).uniform(-1, 1, 50_000) * np.exp2(np.arange(50_000) % 42)
    x = np.concatenate([x, near.astype(dtype), large.astype(dtype)])
    got = values_of(way, name, x)
    far = np.abs(x) > FARTHEST
    assert np.isnan(got[far]).all()
    assert_within(BOUNDS[name], got[~far], exact(getattr(np, name), x[~far]))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", INVERSE)
def test_inverse(name, dtype, way):
    x = np.concatenate([points(dtype, 50_000), np.linspace(-1, 1, 50_001).astype(dtype)])
    assert_within(INVERSE[name], values_of(way, name, x), exact(getattr(np, name), x))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_arctan2(dtype, way):
    rng = np.random.default_rng(2)
    y, x = (points(dtype, 20_000) for _ in range(2))
    rng.shuffle(x)
    (y2, x2), (y3, x3) = rng.standard_normal((2, 50_000)).astype(dtype), pairs(dtype)
    y, x = np.concatenate([y, y2, y3]), np.concatenate([x, x2, x3])
    assert_within(2.5, values_of(way, "arctan2", y, x), exact(np.arctan2, y, x))
