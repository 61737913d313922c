"""Adamax. Gradients come in through Optimizer.step; new parameters, the mean, the running maximum and step counts
leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pellucid.core.check import Constraint, Flag, Real, checked
from pellucid.core.tensor import Tensor
from pellucid.ops.elementwise import abs_, maximum, multiply_add, power
from pellucid.optim._groups import ParamGroup
from pellucid.optim.optimizer import BETAS, Optimizer, gradient, gradient_formula, in_dtype, slot


class Adamax(Optimizer):
    """Adam with the largest recent gradient in the place of the root mean square.

        g = g + weight_decay * p
        step = step + 1
        exp_avg = beta1 * exp_avg + (1 - beta1) * g
        exp_inf = max(beta2 * exp_inf, |g| + eps)
        p = p - lr * exp_avg / ((1 - beta1 ** step) * exp_inf)

    Parameters
        params : parameters or groups of parameters; see Optimizer
        lr : learning rate, float >= 0, in the parameters' unit: the longest step
        betas : two floats in [0, 1): memory of the mean and of the maximum
        eps : float >= 0, in the gradients' unit: added to the gradient's size
        weight_decay : float >= 0, unitless: L2 penalty
        maximize : climb instead of descend
    Source
        D. P. Kingma and J. Ba, Adam: a method for stochastic optimization, 2015, algorithm 2; eps is PyTorch's
        addition.
    Examples
        >>> w = pl.Tensor([1.0], requires_grad=True)
        >>> optimizer = Adamax([w], lr=0.1)
        >>> (w * w / 2).sum().backward()
        >>> optimizer.step()
        >>> print(f"{w.item():.4f}")
        0.9000
    """

    options: ClassVar[Mapping[str, Constraint]] = {
        "lr": Real(0),
        "betas": BETAS,
        "eps": Real(0),
        "weight_decay": Real(0),
        "maximize": Flag(),
    }
    state_names = ("step", "exp_avg", "exp_inf")

    @checked(**options)
    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, locals())

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        lr, (beta1, beta2), eps = group["lr"], group["betas"], group["eps"]
        maximize, decay = group["maximize"], group["weight_decay"]
        for t, dtype, members in self._counted(group, params):
            rate = in_dtype(-lr / (1.0 - power(beta1, t)), dtype)
            for p in members:
                s = self.state[p]
                g: Any = gradient(p, maximize, decay) if maximize or decay else p.grad
                m, u = slot(s, "exp_avg", p), slot(s, "exp_inf", p)
                new_m = multiply_add(g - m, 1.0 - beta1, m)
                new_u = maximum(u * beta2, abs_(g) + eps)
                m.assign(new_m)
                u.assign(new_u)
                p.assign(multiply_add(new_m / new_u, rate, p))

    def _formula(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        return (
            *gradient_formula(group),
            "step = step + 1",
            "exp_avg = beta1 * exp_avg + (1 - beta1) * g",
            "exp_inf = maximum(beta2 * exp_inf, abs(g) + eps)",
            "p = p - lr * exp_avg / ((1 - beta1 ** step) * exp_inf)",
        )
