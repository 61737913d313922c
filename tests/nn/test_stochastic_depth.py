"""StochasticDepth: whole rows or the whole batch are left out, with the right probability; what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, ArgumentTypeError, ShapeError
from pellucid.nn import functional as F


def test_rows_are_left_out_whole() -> None:
    pl.manual_seed(0)
    layer = nn.StochasticDepth(0.25, "row")
    x = pl.Tensor(np.random.default_rng(0).normal(size=(4000, 3, 2)), requires_grad=True)
    y = layer(x)
    factors = y.numpy() / x.numpy()
    assert np.allclose(factors, factors[:, :1, :1])
    values, counts = np.unique(factors[:, 0, 0].round(9), return_counts=True)
    np.testing.assert_allclose(values, [0, 1 / 0.75], atol=1e-9)
    assert abs(counts[0] - 1000) < 4 * math.sqrt(4000 * 0.25 * 0.75)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), factors, rtol=1e-12)  # the same rows
    assert not np.array_equal(layer(x).numpy(), y.numpy())  # new ones each time
    pl.manual_seed(0)
    assert np.array_equal(layer(x).numpy(), y.numpy())
    assert np.array_equal(layer.eval()(x).numpy(), x.numpy())


def test_a_batch_is_left_out_whole() -> None:
    pl.manual_seed(0)
    layer = nn.StochasticDepth(0.5, "batch")
    results = [layer(np.ones((3, 2), np.float32)).numpy() for _ in range(400)]
    assert all((r == r[0, 0]).all() and r[0, 0] in (0.0, 2.0) for r in results)
    dropped = sum(r[0, 0] == 0 for r in results)
    assert abs(dropped - 200) < 4 * math.sqrt(400 * 0.25)


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_ends_of_the_range(mode: str) -> None:
    x = np.array([[1.0, -2.0], [3.0, 4.0]])
    assert F.stochastic_depth(x, 0.0, mode).tolist() == x.tolist()
    assert F.stochastic_depth(x, 1.0, mode).tolist() == (x * 0).tolist()
    assert F.stochastic_depth(x, 1.0, mode, training=False).tolist() == x.tolist()
    assert F.stochastic_depth(x, 0.5, mode, key=7).tolist() == F.stochastic_depth(x, 0.5, mode, key=7).tolist()
    assert F.stochastic_depth(np.zeros((0, 3)), 0.5, mode).shape == (0, 3)
    assert F.stochastic_depth(np.ones(5, np.float32), 0.5, mode).dtype == pl.float32


def test_second_gradients_and_repr() -> None:
    layer = nn.StochasticDepth(0.5, "row")
    pl.check_gradients(lambda x: F.stochastic_depth(x * x, 0.5, "row", key=3), np.array([[1.0, 2.0], [-1.0, 0.5]]))
    assert repr(layer) == "StochasticDepth(p=0.5, mode=row)"


def test_compiled_it_leaves_out_the_same_rows() -> None:
    layer = nn.StochasticDepth(0.5, "row")
    x = np.ones((64, 3, 2, 2), np.float32)
    pl.manual_seed(5)
    eager = [layer(x).numpy() for _ in range(3)]
    pl.manual_seed(5)
    run = pl.compile(layer)
    for expected in eager:
        np.testing.assert_array_equal(run(x).numpy(), expected)


def test_refused() -> None:
    for p in (-0.1, 1.1, float("nan"), "half", None):
        with pytest.raises((ArgumentError, ArgumentTypeError), match="StochasticDepth: p"):
            nn.StochasticDepth(p, "row")
        with pytest.raises((ArgumentError, ArgumentTypeError), match="stochastic_depth: p"):
            F.stochastic_depth([1.0], p, "row")
    with pytest.raises(ArgumentError, match="StochasticDepth: mode"):
        nn.StochasticDepth(0.5, "column")
    with pytest.raises(ArgumentError, match="stochastic_depth: mode"):
        F.stochastic_depth([1.0], 0.5, "column")
    with pytest.raises(ShapeError) as caught:
        F.stochastic_depth(1.0, 0.5, "row")
    assert str(caught.value).splitlines()[:3] == [
        "stochastic_depth: the input has no rows",
        "  given:    shape ()",
        "  expected: one axis or more, the first of them the batch",
    ]
