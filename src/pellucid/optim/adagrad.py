"""Adagrad. Gradients come in through Optimizer.step; new parameters, sums of squares and step counts leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from pellucid.core.check import Constraint, Flag, Real, checked
from pellucid.core.tensor import Tensor, wrap
from pellucid.ops.elementwise import multiply_add, sqrt
from pellucid.optim._groups import ParamGroup
from pellucid.optim.optimizer import Optimizer, gradient, gradient_formula, in_dtype


class Adagrad(Optimizer):
    """Adagrad: the rate of each element falls with the root of the sum of its squared gradients so far.

        g = g + weight_decay * p
        step = step + 1
        sum = sum + g²                                                          (from initial_accumulator_value)
        p = p - lr / (1 + (step - 1) * lr_decay) * g / (sqrt(sum) + eps)

    Suited to sparse features, whose rare gradients keep a large rate; on long runs the rate goes to 0.

    Parameters
        params : parameters or groups of parameters; see Optimizer
        lr : learning rate, float >= 0, in the parameters' unit: length of the first step
        lr_decay : float >= 0, a step: a further fall of the rate
        weight_decay : float >= 0, unitless: L2 penalty
        initial_accumulator_value : float >= 0, in the squared gradients' unit: what the sum starts from
        eps : float >= 0, in the gradients' unit: added to the root
        maximize : climb instead of descend
    Source
        J. Duchi, E. Hazan and Y. Singer, Adaptive subgradient methods for online learning and stochastic optimization,
        2011, figure 1, the diagonal case.
    Examples
        >>> w = pl.Tensor([1.0], requires_grad=True)
        >>> optimizer = Adagrad([w], lr=0.1)
        >>> (w * w / 2).sum().backward()
        >>> optimizer.step()
        >>> print(f"{w.item():.4f}")
        0.9000
    """

    options: ClassVar[Mapping[str, Constraint]] = {
        "lr": Real(0),
        "lr_decay": Real(0),
        "weight_decay": Real(0),
        "initial_accumulator_value": Real(0),
        "eps": Real(0),
        "maximize": Flag(),
    }
    state_names = ("step", "sum")

    @checked(**options)
    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, locals())

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        lr, lr_decay, eps = group["lr"], group["lr_decay"], group["eps"]
        maximize, decay = group["maximize"], group["weight_decay"]
        for t, dtype, members in self._counted(group, params):
            rate = in_dtype(-lr / (1.0 + (t - 1.0) * lr_decay), dtype) if lr_decay else -lr
            for p in members:
                s = self.state[p]
                g: Any = gradient(p, maximize, decay) if maximize or decay else p.grad
                if "sum" not in s:
                    s["sum"] = wrap(np.full_like(p.data, group["initial_accumulator_value"]))
                new = multiply_add(g, g, s["sum"])
                s["sum"].assign(new)
                p.assign(multiply_add(g / (sqrt(new) + eps), rate, p))

    def _formula(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        return (
            *gradient_formula(group),
            "step = step + 1",
            "sum = sum + g * g",
            "p = p - lr / (1 + (step - 1) * lr_decay) * g / (sqrt(sum) + eps)",
        )
