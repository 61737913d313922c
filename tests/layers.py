"""Layers of known weights, for the tests of worked examples: nested lists come in, a layer leaves."""

import pellucid as pl

F64 = pl.float64


def linear(weight: list, bias: list) -> pl.nn.Linear:
    """A float64 layer with these weights, one row a neuron, and biases."""
    layer = pl.nn.Linear(len(weight[0]), len(weight), dtype=F64)
    layer.weight.assign(pl.Tensor(weight, dtype=F64))
    layer.bias.assign(pl.Tensor(bias, dtype=F64))
    return layer
