"""A network, a few rows and a loss come in; what its last layer does leaves: which activation its graph ends with,
whether its outputs are probabilities already, and whether any gradient passes it. `checks` calls it before training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid._typing import Array
from pellucid.autograd import grad
from pellucid.core.context import no_grad
from pellucid.core.tensor import Tensor, wrap
from pellucid.data import Dataset
from pellucid.errors import PellucidError
from pellucid.graph import Value, record

if TYPE_CHECKING:
    from pellucid.nn import Module

# Rows looked at before a network is said to get no gradient: many at once, and a few alone.
_MANY, _ALONE = 4096, 8


def last_activation(model: Module, rows: Array) -> str | None:
    """The name softmax or sigmoid, if the last instruction of the recorded network, movements apart, belongs to it."""
    try:
        with no_grad():
            graph = record(model, rows)
    except PellucidError:
        return None
    made = {i.output.id: i for i in graph.instructions}
    constants = {c.value.id for c in graph.captured if c.constant}
    value = graph.outputs
    while isinstance(value, Value) and value.id in made:
        last = made[value.id]
        if last.op.family != "movement":
            if last.op.name == "sigmoid":
                return "sigmoid"
            # A layer may be called "softmax" too: the composite is the scope that also holds the exponential.
            inner = last.scope[-1] if last.scope else None
            if inner is None or inner.name != "softmax" or last.op.name != "divide":
                return None
            return "softmax" if any(i.op.name == "exp" and inner in i.scope for i in graph.instructions) else None
        floats = [v for v in last.inputs if isinstance(v, Value) and v.spec.dtype.kind == "f"]
        moved = [v for v in floats if v.id not in constants]
        if len(moved) != 1:
            return None
        value = moved[0]
    return None


def are_probabilities(p: Array) -> bool:
    """Whether rows of scores look like rows of probabilities: three or more, not all alike, that sum to 1."""
    if p.ndim != 2 or len(p) < 3 or p.shape[1] < 2 or bool((p == p[0]).all()):
        return False
    return bool((p >= 0).all() and (p <= 1).all() and (np.abs(p.sum(axis=1) - 1) <= 1e-5).all())


def all_zero(gradients: Any) -> bool:
    """Whether all gradients that exist are exactly 0."""
    return not any(g.data.any() for g in gradients if g is not None)


def never_learns(model: Module, data: Dataset, loss: Any, parameters: list[Tensor]) -> bool:
    """Whether the gradient is exactly 0 also for many more rows, for rows alone, where nothing cancels, and in training
    mode, though the loss is not 0: where it is, there is nothing to learn."""
    many = slice(None, None, max(1, len(data) // _MANY))
    parts = [many, *(slice(n, n + 1) for n in range(min(_ALONE, len(data))))]
    buffers = [(b, b.data) for b in model.buffers()]
    lost = False
    try:
        for training in (False, True):
            model.train(training)
            for part in parts[: 1 if training else None]:
                value = loss(model(wrap(data.x[part])), wrap(data.y[part]))  # type: ignore[index]
                if not value.requires_grad:
                    return False
                ones = wrap(np.ones(value.shape, value.data.dtype))
                if not all_zero(grad(value, parameters, ones, allow_unused=True)):
                    return False
                lost = lost or bool(value.data.any())
    except Exception:  # a loss or a network of the user's own that takes no single row: nothing is known then
        return False
    finally:
        for buffer, array in buffers:
            buffer.data = array
    return lost
