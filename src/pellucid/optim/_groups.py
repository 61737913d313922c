"""What a user gives an optimizer as parameters comes in: an iterable of Tensors, of (name, Tensor) pairs, or of dicts
with options of their own. Checked ParamGroups leave. Called by Optimizer when it is built and when a group is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from pellucid.core.check import Constraint, check, shown, unknown_argument
from pellucid.core.context import state
from pellucid.core.tensor import Tensor
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError

# Keys of a group that are not options of the update rule: what it holds, its name, and what schedules keep there.
KEPT_KEYS = (
    "params",
    "param_names",
    "name",
    "initial_lr",
    "max_lr",
    "min_lr",
    "base_momentum",
    "max_momentum",
)


class ParamGroup(dict[str, Any]):
    """Parameters that share their options. An option is checked when it is written: `group["lr"] = -1` is refused
    there.
    """

    owner: str = ""
    constraints: Mapping[str, Constraint] = {}

    def __init__(self, owner: str, constraints: Mapping[str, Constraint], values: Mapping[str, Any]) -> None:
        super().__init__()
        self.owner = owner
        self.constraints = constraints
        self.update(values)

    def __getitem__(self, key: str) -> Any:
        if state.recorder is None or key not in self.constraints:
            return super().__getitem__(key)
        return state.recorder.setting((id(self), key), partial(super().__getitem__, key))

    def __setitem__(self, key: str, value: Any) -> None:
        if state.recorder is not None:
            state.recorder.beside(f'param_group["{key}"] = ...')
        if isinstance(value, np.generic):
            value = value.item()
        constraint = self.constraints.get(key)
        if constraint is None and self.constraints and key not in KEPT_KEYS:
            raise unknown_option(self.owner, key, self.constraints)
        if constraint is not None:
            check(f"{self.owner}: {key}", value, constraint)
            if isinstance(value, list):
                value = tuple(value)
        super().__setitem__(key, value)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """As dict's, every option checked."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value


def given_groups(optimizer: str, params: Any) -> list[dict[str, Any]]:
    """The groups in what the user gave, each a new dict with its own list of items under "params".

    Raises
        ArgumentTypeError: not an iterable of parameters or of groups.
        ArgumentError: there is no parameter.
    """
    items = listed(optimizer, params)
    if not items:
        raise ArgumentError("optim.no-parameters", optimizer=optimizer, given=_described(params))
    if not any(isinstance(item, dict) for item in items):
        return [{"params": items}]
    groups = [_group(optimizer, number, item) for number, item in enumerate(items)]
    if not any(group["params"] for group in groups):
        raise ArgumentError("optim.no-parameters", optimizer=optimizer, given=_described(params))
    return groups


def _group(optimizer: str, number: int, group: Any) -> dict[str, Any]:
    if not isinstance(group, dict):
        raise ArgumentTypeError("optim.group-type", optimizer=optimizer, number=number, given=shown(group))
    if "params" not in group:
        keys = ", ".join(map(str, group)) or "{}"
        raise ArgumentError("optim.group-params", optimizer=optimizer, number=number, keys=keys)
    params = group["params"]
    items = [params] if isinstance(params, Tensor) else listed(optimizer, params)
    if not items and isinstance(params, Iterator):
        raise ArgumentError("optim.no-parameters", optimizer=optimizer, given=_described(params))
    return {**group, "params": items}


def added_group(optimizer: str, number: int, group: Any) -> dict[str, Any]:
    """One further group, as `add_param_group` receives it.

    Raises
        ArgumentTypeError: not a dict, or its "params" are not parameters.
        ArgumentError: it has no "params".
    """
    return _group(optimizer, number, group)


def listed(optimizer: str, params: Any) -> list[Any]:
    """The items of an ordered iterable.

    Raises
        ArgumentTypeError: a single Tensor, a module, a string, a dict, a set, or nothing that can be iterated.
    """
    unordered = isinstance(params, Tensor | np.ndarray | str | bytes | dict | set | frozenset)
    if unordered or not isinstance(params, Iterable) or hasattr(params, "parameters"):
        suggestion = None
        if callable(getattr(params, "parameters", None)) or getattr(params, "__name__", "") == "parameters":
            suggestion = f"{optimizer}(model.parameters())"
        elif isinstance(params, Tensor):
            suggestion = f"{optimizer}([tensor])"
        raise ArgumentTypeError("optim.params", optimizer=optimizer, given=_described(params), suggestion=suggestion)
    return list(params)


def _described(params: Any) -> str:
    if isinstance(params, Mapping):
        keys = [repr(key) for key in params]
        return f"{type(params).__name__}({', '.join([*keys[:3], *(['...'] if len(keys) > 3 else [])])})"
    plain = isinstance(params, Iterator) or hasattr(params, "parameters") or callable(params)
    return type(params).__name__ if plain else shown(params)


def check_parameters(optimizer: str, items: list[Any], taken: set[int]) -> tuple[list[Tensor], list[str] | None]:
    """The Tensors among the items and, where they came as (name, Tensor) pairs, their names.

    Parameters
        taken : ids of the parameters that the optimizer already has.
    Raises
        ArgumentTypeError: an item is not a Tensor.
        DTypeError: a Tensor is not of floats.
        ArgumentError: a Tensor was computed from others, is there twice, or only some have names.
    """
    named = [isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str) for item in items]
    if any(named) and not all(named):
        raise ArgumentError("optim.some-names", optimizer=optimizer, named=sum(named), count=len(items))
    names = [item[0] for item in items] if items and all(named) else None
    tensors = [item[1] for item in items] if names is not None else items
    seen = set(taken)
    for number, p in enumerate(tensors):
        label = names[number] if names is not None else getattr(p, "name", None) or f"parameter {number}"
        if not isinstance(p, Tensor):
            raise ArgumentTypeError("optim.not-tensor", optimizer=optimizer, number=number, given=shown(p))
        if p._source is not None and not p._retains_grad:
            op = p._source[0].name
            raise ArgumentError("optim.non-leaf", optimizer=optimizer, name=label, shape=p.shape, op=op)
        if p.dtype.kind != "f":
            raise DTypeError("optim.dtype", optimizer=optimizer, name=label, dtype=p.dtype)
        if id(p) in seen:
            raise ArgumentError("optim.duplicate", optimizer=optimizer, name=label, shape=p.shape)
        seen.add(id(p))
    return tensors, names


def check_options(optimizer: str, group: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise for a key that is neither an option of the optimizer nor one that a group may carry.

    Raises
        ArgumentTypeError: an unknown option.
    """
    for key in group:
        if key not in options and key not in KEPT_KEYS:
            raise unknown_option(optimizer, key, options)


def unknown_option(optimizer: str, key: Any, options: Mapping[str, Any]) -> ArgumentTypeError:
    """The error for a key that is no option of the optimizer, with the one that is probably meant."""
    return unknown_argument(optimizer, str(key), [*options, "params", "name"])
