"""An optimizer's state as plain data in PyTorch's layout, and back. Called by Optimizer.state_dict and
load_state_dict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.core.tensor import Tensor, to_array, wrap
from pellucid.errors import ArgumentError, ShapeError
from pellucid.optim._groups import KEPT_KEYS, ParamGroup

if TYPE_CHECKING:
    from pellucid.optim.optimizer import Optimizer

# How PyTorch computes a step, not what: of no meaning here, and its own defaults when it loads our state.
_TORCH_ONLY = ("foreach", "capturable", "differentiable", "fused")

# Counts that parameters share while they step together.
_COUNTS = ("step", "mu_product")


def saved(optimizer: Optimizer) -> dict[str, Any]:
    """The state with parameters as numbers and every array copied."""
    numbers: dict[int, int] = {}
    groups = []
    for group in optimizer.param_groups:
        for p in group["params"]:
            numbers[id(p)] = len(numbers)
        groups.append({**group, "params": [numbers[id(p)] for p in group["params"]]})
    kept = {numbers[id(p)]: _copied(s) for p, s in optimizer.state.items() if s}
    return {"state": dict(sorted(kept.items())), "param_groups": groups}


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return wrap(value.data.copy())
    if isinstance(value, dict):
        return {k: _copied(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_copied(v) for v in value]
    return value


def load(optimizer: Optimizer, given: Any) -> None:
    """Check everything, then replace the optimizer's groups' options and its state."""
    name = type(optimizer).__name__
    if not isinstance(given, Mapping) or not {"state", "param_groups"} <= set(given):
        keys = ", ".join(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
        raise ArgumentError("optim.state-dict", optimizer=name, keys=keys or "{}")
    ours, theirs = optimizer.param_groups, list(given["param_groups"])
    sizes = [len(g["params"]) for g in ours]
    their_sizes = [len(g["params"]) for g in theirs]
    if sizes != their_sizes:
        raise ArgumentError("optim.state-groups", optimizer=name, given=tuple(their_sizes), expected=tuple(sizes))
    groups = [_loaded_group(optimizer, new, old) for new, old in zip(theirs, ours, strict=True)]
    parameters = {
        number: (p, where)
        for where, (new, old) in enumerate(zip(theirs, ours, strict=True))
        for number, p in zip(new["params"], old["params"], strict=True)
    }
    states: dict[Tensor, dict[str, Any]] = {}
    shared: dict[tuple[Any, ...], dict[str, Tensor]] = {}
    for number, values in given["state"].items():
        if number not in parameters:
            raise ArgumentError("optim.state-number", optimizer=name, number=number, count=len(parameters))
        p, where = parameters[number]
        loaded = {k: _loaded(optimizer, p, number, k, v) for k, v in values.items() if v is not None}
        unknown = sorted(set(loaded) - set(optimizer.state_names))
        if unknown:
            expected = ", ".join(optimizer.state_names) or "{}"
            raise ArgumentError("optim.state-names", optimizer=name, given=", ".join(unknown), expected=expected)
        counts = {k: loaded[k] for k in _COUNTS if k in loaded}
        if counts:
            key = (where, *((k, float(t.data)) for k, t in counts.items()))
            loaded.update(shared.setdefault(key, counts))
        states[p] = loaded
    for old, new in zip(ours, groups, strict=True):
        old.clear()
        old.update(new)
    optimizer.state.clear()
    optimizer.state.update(states)


def _loaded_group(optimizer: Optimizer, new: Mapping[str, Any], old: ParamGroup) -> ParamGroup:
    values = {k: _number(v) for k, v in new.items() if k not in _TORCH_ONLY}
    foreign = sorted(k for k in values if k not in old.constraints and k not in KEPT_KEYS)
    if foreign and old.constraints:
        name, expected = type(optimizer).__name__, ", ".join(old.constraints)
        raise ArgumentError("optim.state-names", optimizer=name, given=", ".join(foreign), expected=expected)
    group = ParamGroup(old.owner, old.constraints, {**old, **values, "params": old["params"]})
    optimizer._check_group(group)
    return group


def _number(value: Any) -> Any:
    """A rate that PyTorch keeps as a tensor becomes the number that it is."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value


def _loaded(optimizer: Optimizer, p: Tensor, number: int, key: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_loaded(optimizer, p, number, key, v) for v in value]
    if key in _COUNTS:
        return wrap(np.asarray(value, np.float32 if key == "step" else np.float64).reshape(()).copy())
    if not hasattr(value, "shape"):
        return value
    array = to_array(value).astype(p.dtype)
    if array.ndim and array.shape != optimizer._state_shape(p):
        raise ShapeError(
            "optim.state-shape", name=f"{key} {number}", given=array.shape, expected=optimizer._state_shape(p)
        )
    return wrap(array)
