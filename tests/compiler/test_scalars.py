"""Small graphs as single numbers."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler.scalars import MOST, is_small
from pellucid.graph import record


def test_a_few_neurons_are_small_and_a_layer_of_digits_is_not():
    small, large = nn.Linear(2, 1), nn.Linear(64, 32)
    assert is_small(record(lambda x: small(x), np.ones((1, 2), "f4")))
    assert not is_small(record(lambda x: large(x), np.ones((1, 64), "f4")))
    assert MOST < 64 * 32


def test_a_step_of_one_row_is_small():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x, y):
        loss = nn.functional.binary_cross_entropy_with_logits(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    x, y = np.ones((1, 2), "f4"), np.ones((1, 1), "f4")
    step(pl.asarray(x), pl.asarray(y))
    assert is_small(record(step, x, y))
    assert not is_small(record(step, np.ones((1000, 2), "f4"), np.ones((1000, 1), "f4")))


def test_a_long_sum_of_products_is_no_deep_recursion():
    pytest.importorskip("llvmlite")
    layer, x = nn.Linear(500, 1), np.ones((1, 500), "f4")
    compiled = pl.compile(lambda x: layer(x))
    assert np.allclose(compiled(pl.asarray(x)).data, layer(pl.asarray(x)).data, atol=1e-5)
    assert compiled.tier == "llvm"
