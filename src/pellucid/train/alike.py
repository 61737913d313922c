"""A run comes in; a key leaves that is the same for runs whose steps do the same on other tensors: one recording and
one piece of machine code serve them all. Called by `compiled` and `checks`.

Where two runs might differ the key differs: what is not known to be a plain value is told apart by identity.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from pellucid.core.same import Same
from pellucid.core.tensor import Tensor
from pellucid.nn import Module
from pellucid.nn._parts import OF_THIS_OBJECT
from pellucid.optim._groups import KEPT_KEYS

if TYPE_CHECKING:
    from pellucid.train.loop import Step
    from pellucid.train.run import Run

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
# What a module works out or notes for itself, which its `forward` does not read.
_WORKED_OUT = frozenset((*OF_THIS_OBJECT, "_path", "_hooked", "_drawn", "_warned", "inputs_seen"))
_OURS = "pellucid."


def step_likeness(run: Run, step: Step, collects: bool) -> Hashable:
    """What the steps of two runs have in common whose recordings differ in tensors and lifted options alone."""
    seen: dict[int, int] = {}
    model, loss = _described(run.model, seen), _described(run.loss, seen)
    return model, loss, _optimizer(run.optimizer, seen), step.clip_norm, step.weights is None, collects


def wholly_ours(run: Run) -> bool:
    """Whether a step does nothing but what this library's own layers, losses and optimizers do, so that two steps of
    one likeness are alike at any time."""
    modules = [m for x in (run.model, run.loss) if isinstance(x, Module) for m in x.modules()]
    parts = [part for m in modules for name, part in vars(m).items() if name not in _WORKED_OUT]
    return (
        isinstance(run.loss, Module)
        and all(type(x).__module__.startswith(_OURS) for x in (*modules, run.optimizer))
        and all(map(_is_known, parts))
    )


def _is_known(x: Any) -> bool:
    if isinstance(x, dict):
        return all(_is_known(item) for pair in x.items() for item in pair)
    if isinstance(x, tuple | list):
        return all(map(_is_known, x))
    return type(x) in _PLAIN or isinstance(x, Module | Tensor)


def structure(model: Module) -> Hashable:
    """What two networks have in common that do the same with other parameters."""
    return _described(model, {})


def _described(x: Any, seen: dict[int, int]) -> Hashable:
    """An object by its parts; one that was met before by when that was."""
    if type(x) in _PLAIN:
        return type(x), repr(x)
    if isinstance(x, tuple | list):
        return type(x), *[_described(item, seen) for item in x]
    if isinstance(x, dict):
        return type(x), *[(_described(key, seen), _described(item, seen)) for key, item in x.items()]
    if id(x) in seen:
        return Same, seen[id(x)]
    if not isinstance(x, Module):
        return Same(x)
    seen[id(x)] = len(seen)
    parts = []
    for name, part in vars(x).items():
        if name in _WORKED_OUT:
            continue
        state = name in x._kinds and isinstance(part, Tensor)
        parts.append((name, _state(part, seen) if state else _described(part, seen)))
    return type(x), *parts


def _state(tensor: Tensor, seen: dict[int, int]) -> Hashable:
    """A parameter or a buffer, whose values do not matter."""
    number = seen.setdefault(id(tensor), len(seen))
    return number, tensor.data.shape, tensor.data.dtype, tensor.requires_grad


def _optimizer(optimizer: Any, seen: dict[int, int]) -> Hashable:
    """An optimizer, without the numbers that a recorded step reads anew."""
    kind = type(optimizer)
    ours = kind.__module__.startswith(_OURS)
    skipped = ("state", "param_groups", "_step_taken", *(("defaults",) if ours else ()))
    own = [(name, _described(part, seen)) for name, part in vars(optimizer).items() if name not in skipped]
    groups = [[_option(k, v, ours, seen) for k, v in group.items()] for group in optimizer.param_groups]
    state = [
        (
            _described(p, seen),
            *[(k, _state(v, seen) if isinstance(v, Tensor) else _described(v, seen)) for k, v in s.items()],
        )
        for p, s in optimizer.state.items()
    ]
    return kind, tuple(own), tuple(map(tuple, groups)), tuple(state)


def _option(name: str, value: Any, ours: bool, seen: dict[int, int]) -> Hashable:
    if ours and name in KEPT_KEYS and name != "params":
        return name
    numbers = value if isinstance(value, tuple) else (value,)
    if ours and numbers and all(type(v) is float for v in numbers):
        return name, len(numbers)
    return name, _described(value, seen)
