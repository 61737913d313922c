"""Weights lie as their forward product reads them."""

import numpy as np

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler.layout import orders


def names_turned(graph):
    turned = orders(graph)
    return {str(c.value)[1:] for c in graph.captured if c.value.id in turned}


def test_a_weight_its_gradient_and_the_optimizers_state_lie_column_by_column():
    model = nn.Linear(5, 3)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(x):
        loss = (model(x) * model(x)).sum()
        loss.backward()
        optimizer.step()
        return loss

    x = np.ones((4, 5), np.float32)
    step(pl.asarray(x))
    graph = pl.graph.record(step, x)
    assert names_turned(graph) == {"model.weight", "optimizer.0.momentum_buffer"}
    turned = orders(graph)
    updates = {str(target)[1:]: value for target, value in graph.updates}
    assert turned[updates["model.weight"].id] == (1, 0)
    assert updates["model.bias"].id not in turned


def test_a_matrix_that_is_read_row_by_row_keeps_its_rows():
    matrix = pl.Tensor(np.ones((5, 3), np.float32), requires_grad=True)
    assert not orders(pl.graph.record(lambda x: x @ matrix, np.ones((4, 5), np.float32)))


def test_a_row_and_a_column_lie_alike_in_both_orders():
    model = nn.Linear(5, 1)
    assert not orders(pl.graph.record(lambda x: model(x), np.ones((4, 5), np.float32)))
