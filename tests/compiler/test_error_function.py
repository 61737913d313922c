"""The error function over the whole range, against C's."""

import math

import numpy as np
import pytest

from tests.compiler.functions import DTYPES, WAYS, assert_within, points, values_of


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_range(dtype, way):
    x = np.concatenate([points(dtype, 30_000), np.linspace(-6, 6, 30_001).astype(dtype)])
    expected = np.array([math.erf(v) for v in x.tolist()])
    assert_within(1.5, values_of(way, "erf", x), expected)
