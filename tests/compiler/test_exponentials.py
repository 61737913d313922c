"""exp and its relatives over the whole range, against NumPy in more digits."""

import numpy as np
import pytest

from tests.compiler.functions import DTYPES, WAYS, assert_within, by_machine, exact, points, values_of

BOUNDS = {"exp": 1.1, "exp2": 1.1, "expm1": 2.0, "tanh": 2.5, "sinh": 2.0, "cosh": 2.0}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BOUNDS)
def test_whole_range(name, dtype, way):
    x = points(dtype, 100_000)
    assert_within(BOUNDS[name], values_of(way, name, x), exact(getattr(np, name), x))


def test_exp_of_four_million_floats():
    x = np.arange(0, 2**32, 2**10, dtype=np.uint64).astype(np.uint32).view(np.float32)
    assert len(x) == 2**22
    assert_within(1.1, values_of(by_machine, "exp", x), exact(np.exp, x))


def test_an_error_of_the_last_bits_is_seen():
    x = np.linspace(-80, 80, 1000, dtype=np.float32)
    expected = exact(np.exp, x)
    off = (expected * (1 + 2.0**-21)).astype(np.float32)
    with pytest.raises(AssertionError):
        assert_within(1.1, off, expected)


def test_exp_underflows_gradually():
    x = np.array([-87.5, -100.0, -103.9, -104.1, -np.inf], np.float32)
    y = values_of(WAYS[0], "exp", x)
    assert (y == np.exp(x.astype(np.float64)).astype(np.float32)).all()
    assert 0 < y[2] < np.finfo(np.float32).tiny
    assert y[3] == 0
