"""What Adam, NAdam and RAdam have in common: weight decay as a penalty or decoupled, and the running means of the
gradient and of its square.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pellucid.core.tensor import Tensor
from pellucid.ops.elementwise import multiply_add
from pellucid.optim._groups import ParamGroup
from pellucid.optim.optimizer import gradient_formula, slot

FORMULA = (
    "exp_avg = beta1 * exp_avg + (1 - beta1) * g",
    "exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * g * g",
)
"""The lines of `moments`."""


def decay_of(group: ParamGroup) -> tuple[float, float]:
    """The L2 penalty that joins the gradient, and the factor that shrinks the parameter: one of them is neutral."""
    decay = group["weight_decay"]
    if group["decoupled_weight_decay"]:
        return 0.0, 1.0 - group["lr"] * decay
    return decay, 1.0


def start_formula(group: Mapping[str, Any]) -> tuple[str, ...]:
    """The lines of a rule up to its moments: the gradient, the step, the decoupled decay."""
    decoupled = group["decoupled_weight_decay"]
    decay = ("p = p - lr * weight_decay * p",) if decoupled and group["weight_decay"] else ()
    return (*gradient_formula(group, not decoupled), "step = step + 1", *decay)


def moments(states: dict[str, Any], p: Tensor, g: Tensor, beta1: float, beta2: float) -> tuple[Tensor, Tensor]:
    """The new running means of the gradient and of its square, also kept in the state."""
    m, v = slot(states, "exp_avg", p), slot(states, "exp_avg_sq", p)
    new_m = multiply_add(g - m, 1.0 - beta1, m)
    new_v = multiply_add(v, beta2, g * g * (1.0 - beta2))
    m.assign(new_m)
    v.assign(new_v)
    return new_m, new_v
