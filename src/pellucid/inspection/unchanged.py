"""A network, and perhaps its optimizer, come in; inside the block they may be trained and moved, and after it they are
what they were, to the last bit. Called by everything that looks at a loss elsewhere than at the weights it was given.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pellucid.core.rng import Generator, own_draws
from pellucid.core.tensor import Tensor
from pellucid.nn import Module
from pellucid.optim import Optimizer

_GRADIENTS = ("grad", "_used_grad")


@contextmanager
def unchanged(model: Module, *, seed: int, training: bool, optimizer: Optimizer | None = None) -> Iterator[None]:
    """Inside, the model is in training mode or in use, and draws come from a stream of their own.

    What there was is put aside and put back, rather than written over and restored: the arrays of parameters, buffers
    and the optimizer's state are themselves never touched.

    Parameters
        seed : of what is drawn inside, such as dropout
        training : the mode of every module inside
        optimizer : put back too, with its options, state and gradients
    """
    modules = list(model.modules())
    tensors = {id(t): t for t in [*model.parameters(), *model.buffers()]}
    if optimizer is not None:
        tensors |= {id(p): p for group in optimizer.param_groups for p in group["params"]}
    attributes = [(m, m.training, vars(m).get("inputs_seen")) for m in modules]
    arrays = [(t, t.data, {name: vars(t).get(name) for name in _GRADIENTS}) for t in tensors.values()]
    generators = [(g, g.get_state()) for m in modules for g in vars(m).values() if isinstance(g, Generator)]
    groups, states, taken = _put_aside(optimizer)
    try:
        for t, array, _ in arrays:
            t.data = array.copy()
            t.grad = t._used_grad = None
        for m in modules:
            m.training = training
        with own_draws(np.array([seed, 0], np.uint64)):
            yield
    finally:
        for t, array, gradients in arrays:
            t.data = array
            for name, value in gradients.items():
                setattr(t, name, value)
        for m, mode, seen in attributes:
            m.training = mode
            if seen is None:
                vars(m).pop("inputs_seen", None)
            else:
                vars(m)["inputs_seen"] = seen
        for generator, before in generators:
            generator.set_state(before)
        if optimizer is not None:
            for group, options in zip(optimizer.param_groups, groups, strict=True):
                group.clear()
                group.update(options)
            optimizer.state.clear()
            optimizer.state.update(states)
            vars(optimizer)["_step_taken"] = taken


def _put_aside(optimizer: Optimizer | None) -> tuple[list[dict[str, Any]], dict[Tensor, dict[str, Any]], bool]:
    """The optimizer's options, its state itself, of which it goes on with a copy, and whether it has made a step."""
    if optimizer is None:
        return [], {}, False
    states = dict(optimizer.state)
    # In one copy, so that parameters that share a count of steps go on sharing it.
    copies = copy.deepcopy(list(states.values()))
    optimizer.state.clear()
    optimizer.state.update(zip(states, copies, strict=True))
    return [dict(group) for group in optimizer.param_groups], states, optimizer._step_taken
