"""An optimizer and the gradients of a step come in; how it moves each chosen weight leaves: old weight, gradient,
state, the rule with numbers, new weight. The optimizer makes its own step for comparison, and is put back afterwards.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import PellucidError
from pellucid.inspection.explain_expressions import Leaf, Number, evaluate, rule
from pellucid.inspection.explain_records import Update, UpdateLine
from pellucid.inspection.explain_trace import Place

Kept = Mapping[str, Any]


class StepTaken:
    """One step of an optimizer, and what it changed; the optimizer, its parameters and gradients are as before.

    Parameters
        gradients : of each parameter, by the parameter's identity
    """

    def __init__(self, optimizer: Any, gradients: Mapping[int, Array]) -> None:
        self.optimizer = optimizer
        members = [p for group in optimizer.param_groups for p in group["params"]]
        kept = [(p, p.data, p.grad, p._used_grad) for p in members]
        states = {p: dict(s) for p, s in optimizer.state.items()}
        arrays = {id(t): (t, t.data) for s in states.values() for t in s.values() if isinstance(t, Tensor)}
        taken = optimizer._step_taken
        self.before = {id(p): _copied(optimizer.state.get(p, {})) for p in members}
        self.old = {id(p): p.data for p in members}
        try:
            for p in members:
                found = gradients.get(id(p))
                p.grad, p._used_grad = (None if found is None else wrap(found.copy())), None
            optimizer.step()
            self.new = {id(p): p.data for p in members}
            self.after = {id(p): _copied(optimizer.state.get(p, {})) for p in members}
        finally:
            optimizer.state.clear()
            optimizer.state.update(states)
            optimizer._step_taken = taken
            for t, array in arrays.values():
                t.__dict__["data"] = array
            for p, data, gradient, used in kept:
                p.__dict__["data"] = data
                p.grad, p._used_grad = gradient, used

    def moves(self, parameter: Tensor) -> bool:
        """Whether the parameter is one of the optimizer's."""
        return id(parameter) in self.old


def _copied(state: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v.data.copy() if isinstance(v, Tensor) else v for k, v in state.items()}


def update_of(step: StepTaken, name: str, parameter: Tensor, place: Place, gradient: float) -> Update | None:
    """How one weight moves; None for an optimizer whose rule is not one of single numbers."""
    optimizer = step.optimizer
    group = next(g for g in optimizer.param_groups if any(p is parameter for p in g["params"]))
    key = id(parameter)
    state = _entries(optimizer, group, step.before[key], place)
    options = _options(group)
    old, new = step.old[key][place].item(), step.new[key][place].item()
    leaves: dict[str, Leaf | None] = {n: Leaf(n, v, "option") for n, v in options.items()}
    leaves |= {n: None if v is None else Leaf(n, v, "state") for n, v in state.items()}
    leaves |= {"g": Leaf("g", gradient, "gradient"), "p": Leaf("p", old, "weight")}
    lines = []
    try:
        for line in optimizer._formula(group):
            target, _, right = line.partition(" = ")
            expression = rule(right, leaves)
            if expression is None:
                leaves[target] = None
                continue
            value = evaluate(expression).item()
            lines.append(UpdateLine(target, right, expression, value))
            leaves[target] = Leaf(target, value, "state")
    except (PellucidError, SyntaxError):
        return None
    used = {
        node.id for words in optimizer._formula(group) for node in ast.walk(ast.parse(words)) if type(node) is ast.Name
    }
    return Update(
        name=name,
        optimizer=type(optimizer).__name__,
        old=old,
        gradient=gradient,
        state={n: v for n, v in state.items() if n in used and v is not None},
        options={n: v for n, v in options.items() if n in used},
        lines=tuple(lines),
        new=new,
        new_state={n: _entry(v, place) for n, v in step.after[key].items() if n in used},
        eps=float(np.finfo(step.old[key].dtype).eps),
    )


def _options(group: Mapping[str, Any]) -> dict[str, Number]:
    found: dict[str, Number] = {}
    for name, value in group.items():
        if name == "betas":
            found["beta1"], found["beta2"] = (float(b) for b in value)
        elif isinstance(value, int | float):
            found[name] = value
        elif name != "params" and hasattr(value, "__float__"):
            found[name] = float(value)
    return found


def _entry(value: Any, place: Place) -> Number:
    array = np.asarray(value)
    return array[place].item() if array.ndim else array.item()  # type: ignore[no-any-return]


def _entries(optimizer: Any, group: Mapping[str, Any], state: Kept, place: Place) -> dict[str, Number | None]:
    """The state of one weight, with what a first step starts from where there is none yet."""
    first: dict[str, Number | None] = dict.fromkeys(optimizer.state_names, 0.0)
    first |= {n: t.data.item() for n, t in optimizer._first_counts().items()}
    if "initial_accumulator_value" in group:
        first["sum"] = group["initial_accumulator_value"]
    if group.get("dampening"):
        first["momentum_buffer"] = None
    return first | {n: _entry(v, place) for n, v in state.items()}
