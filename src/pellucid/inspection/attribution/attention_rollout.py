"""A network with attention and an input come in; how much each position of the input flows into a position at the end,
if attention were all that mixes positions, leaves. Users call `attention_rollout`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Integer, Options, checked, shown
from pellucid.core.context import no_grad
from pellucid.errors import ArgumentError, ArgumentTypeError, ShapeError
from pellucid.inspection.attribution.records import Attribution
from pellucid.inspection.layers import as_in_use, as_input
from pellucid.nn import Module, attention_maps
from pellucid.nn.attention.maps import Attending

_TOGETHER: dict[str, Callable[..., Array]] = {"mean": np.mean, "max": np.max, "min": np.min}


@checked(position=Integer(none=True), heads=Options("mean", "max", "min"))
def attention_rollout(model: Any, x: Any, *, position: int | None = None, heads: str = "mean") -> Attribution:
    """How much of each position of the input arrives at a position after the last attention layer.

        R = Ā_L ··· Ā_1,  Ā = (A + I) / 2, its rows scaled to sum to 1

    A is a layer's attention, its heads taken together, and I the connection around the layer.

    Parameters
        model : a network with layers of attention from a sequence to itself, such as `MultiheadAttention` and those of
            `GPT`, called one after the other; it is asked in eval mode.
        x : its input, the rows in front
        position : at the end: 0 for a class token in front, -1 for the last token; None for the mean of all.
        heads : how the heads of a layer are taken together.
    Returns
        Attribution; the scores have the shape (N, positions) and sum to 1 for each row. `parts["rollout"]` is R, shape
        (N, positions, positions).
    Raises
        ModelError: the network has no attention layer.
        ArgumentError: there is no such position.
        ShapeError: a layer attends to another sequence.
    Source
        S. Abnar, W. Zuidema, Quantifying attention flow in transformers, 2020, section 3.
    """
    if not isinstance(model, Module):
        raise ArgumentTypeError("attribution.network", value=shown(model), type=type(model).__name__)
    tokens = as_input(model, x)
    with as_in_use(model), no_grad():
        order = _order_of_calls(model, tokens)
        maps = {name: m.data for name, m in attention_maps(model).items()}
    rolled: Array | None = None
    for name in sorted(maps, key=order.index):
        attention = maps[name].astype(np.float64)
        if attention.ndim != 4 or attention.shape[2] != attention.shape[3]:
            raise ShapeError("attribution.rollout-shape", name=name, shape=attention.shape)
        length = attention.shape[2]
        if rolled is not None and rolled.shape[-1] != length:
            raise ShapeError("attribution.rollout-lengths", name=name, given=length, before=rolled.shape[-1])
        mixed = _TOGETHER[heads](attention, axis=1) + np.eye(length)
        mixed /= mixed.sum(axis=2, keepdims=True)
        rolled = mixed if rolled is None else mixed @ rolled
    rollout: Array = np.asarray(rolled)
    length = rollout.shape[1]
    if position is not None and not -length <= position < length:
        raise ArgumentError("attribution.position", position=position, length=length)
    return Attribution(
        method="attention-rollout",
        scores=rollout.mean(axis=1) if position is None else rollout[:, position],
        inputs=tokens.data,
        settings={"position": "mean" if position is None else int(position), "heads": heads},
        parts={"rollout": rollout},
    )


def _order_of_calls(model: Module, x: Any) -> list[str]:
    """Names of the attention layers in the order in which a call of the network calls them."""
    layers = {name: m for name, m in model.named_modules() if isinstance(m, Attending)}
    order: list[str] = []
    handles = [
        layer.register_forward_hook(lambda m, args, output, name=name: order.append(name))
        for name, layer in layers.items()
    ]
    try:
        model(x)
    finally:
        for handle in handles:
            handle.remove()
    # Those that are not called as modules come last, in the order of their names.
    return [*order, *layers]
