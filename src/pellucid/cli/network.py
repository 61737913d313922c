"""Sizes and names come in, as flags and configuration files hold them; a Sequential network leaves. Called by `train`
and `summary`. And what networks of other forms are made with too."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pellucid import nn
from pellucid._typing import Shape
from pellucid.cli.settings import ACTIVATIONS, NORMS
from pellucid.core.context import default_dtype, set_default_dtype
from pellucid.nn import init as initialise


def build(
    row_shape: Shape,
    layers: Sequence[int],
    num_outputs: int,
    *,
    activation: str = "relu",
    norm: str = "none",
    dropout: float = 0.0,
    init: str = "auto",
    dtype: str = "float32",
    loss: str = "cross_entropy",
) -> nn.Sequential:
    """A fully connected network: for each hidden size a linear layer, normalisation, activation and dropout, then the
    output layer.

    Parameters
        row_shape : shape of one input; more than one axis is flattened first
        layers : neurons of each hidden layer; none makes a linear model
        num_outputs : neurons of the output layer
        activation, norm, init : names of `ACTIVATIONS`, `NORMS` and `INITS`
        dropout : share of activations that are switched off while training, in [0, 1)
        dtype : "float32" or "float64"
        loss : "bce" ends the network in a sigmoid and "nll" in a log-softmax, which these losses take; others take
            plain outputs
    """
    chosen: dict[str, Any] = {"auto": None, "zeros": initialise.zeros_}
    rule = chosen.get(init, init.replace("_", " "))
    with in_dtype(dtype):
        parts: list[nn.Module] = [] if len(row_shape) == 1 else [nn.Flatten()]
        width = math.prod(row_shape)
        for size in layers:
            parts.append(nn.Linear(width, size, init=rule))
            if (norm_name := NORMS[norm]) is not None:
                parts.append(getattr(nn, norm_name)(size))
            parts.append(getattr(nn, ACTIVATIONS[activation])())
            if dropout:
                parts.append(nn.Dropout(dropout))
            width = size
        parts.append(nn.Linear(width, num_outputs, init=rule))
        return nn.Sequential(*parts, *end_of(loss))


def end_of(loss: str) -> list[nn.Module]:
    """What stands behind the last layer for a loss that does not take plain outputs."""
    if loss == "bce":
        return [nn.Sigmoid()]
    return [nn.LogSoftmax(axis=1)] if loss == "nll" else []


def with_end(model: nn.Module, loss: str) -> nn.Module:
    """A whole network with what its loss wants behind it."""
    end = end_of(loss)
    return nn.Sequential(model, *end) if end else model


@contextmanager
def in_dtype(dtype: str) -> Iterator[None]:
    """Inside, parameters are made in this dtype."""
    before = default_dtype()
    set_default_dtype(dtype)
    try:
        yield
    finally:
        set_default_dtype(before)


def sizes_of(model: nn.Module) -> list[int]:
    """The number of inputs, then the neurons of each linear layer: [64, 16, 16, 10]."""
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    return [linear[0].in_features, *(layer.out_features for layer in linear)] if linear else []
