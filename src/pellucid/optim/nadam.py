"""NAdam. Gradients come in through Optimizer.step; new parameters, both moments, step counts and products of momenta
leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from pellucid.core.check import Constraint, Flag, Real, checked
from pellucid.core.tensor import Tensor, wrap
from pellucid.ops.elementwise import multiply_add, power, sqrt
from pellucid.optim._groups import ParamGroup
from pellucid.optim._moments import FORMULA, decay_of, moments, start_formula
from pellucid.optim.optimizer import BETAS, FLOAT64, Optimizer, gradient, in_dtype


class NAdam(Optimizer):
    """Adam with Nesterov's look ahead, its momentum warmed up by a schedule.

        g = g + weight_decay * p                            (with decoupled_weight_decay: p = p - lr * weight_decay * p)
        step = step + 1
        mu = beta1 * (1 - 0.96 ** (step * momentum_decay) / 2)                  (mu_next: the same of step + 1)
        mu_product = mu_product * mu
        exp_avg = beta1 * exp_avg + (1 - beta1) * g
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * g²
        m = mu_next * exp_avg / (1 - mu_product * mu_next) + (1 - mu) * g / (1 - mu_product)
        p = p - lr * m / (sqrt(exp_avg_sq / (1 - beta2 ** step)) + eps)

    Parameters
        params : parameters or groups of parameters; see Optimizer
        lr : learning rate, float >= 0, in the parameters' unit: about the length of one step
        betas : two floats in [0, 1): memory of the mean and of the mean square
        eps : float >= 0, in the gradients' unit: added to the root
        weight_decay : float >= 0, unitless: L2 penalty
        momentum_decay : float >= 0, unitless: how fast the momentum grows from half of beta1 to beta1
        decoupled_weight_decay : decay the parameters alone, as AdamW does
        maximize : climb instead of descend
    Source
        T. Dozat, Incorporating Nesterov momentum into Adam, 2016, algorithm 2 and its momentum schedule. The product of
        momenta is kept in float64, where PyTorch keeps float32.
    Examples
        >>> w = pl.Tensor([1.0], requires_grad=True)
        >>> optimizer = NAdam([w], lr=0.1)
        >>> (w * w / 2).sum().backward()
        >>> optimizer.step()
        >>> w.item() < 1
        True
    """

    options: ClassVar[Mapping[str, Constraint]] = {
        "lr": Real(0),
        "betas": BETAS,
        "eps": Real(0),
        "weight_decay": Real(0),
        "momentum_decay": Real(0),
        "decoupled_weight_decay": Flag(),
        "maximize": Flag(),
    }
    state_names = ("step", "mu_product", "exp_avg", "exp_avg_sq")

    @checked(**options)
    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, locals())

    def _first_counts(self) -> dict[str, Tensor]:
        return {"step": wrap(np.zeros((), np.float32)), "mu_product": wrap(np.ones((), np.float64))}

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        lr, (beta1, beta2), eps = group["lr"], group["betas"], group["eps"]
        maximize, psi = group["maximize"], group["momentum_decay"]
        penalty, shrink = decay_of(group)
        products: dict[int, Tensor] = {}
        for t, dtype, members in self._counted(group, params):
            mu = beta1 * (1.0 - 0.5 * power(0.96, t * psi))
            mu_next = beta1 * (1.0 - 0.5 * power(0.96, (t + 1.0) * psi))
            kept = self.state[members[0]]["mu_product"]
            product = products.get(id(kept))
            if product is None:
                product = products[id(kept)] = in_dtype(kept, FLOAT64) * mu
                kept.assign(product)
            of_gradient = in_dtype(lr * (1.0 - mu) / (1.0 - product), dtype)
            of_mean = in_dtype(lr * mu_next / (1.0 - product * mu_next), dtype)
            correction = in_dtype(1.0 - power(beta2, t), dtype)
            for p in members:
                g: Any = gradient(p, maximize, penalty) if maximize or penalty else p.grad
                new_m, new_v = moments(self.state[p], p, g, beta1, beta2)
                start = p * shrink if shrink != 1.0 else p
                direction = multiply_add(g, of_gradient, new_m * of_mean)
                p.assign(start - direction / (sqrt(new_v / correction) + eps))

    def _formula(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        return (
            *start_formula(group),
            "mu = beta1 * (1 - 0.96 ** (step * momentum_decay) / 2)",
            "mu_next = beta1 * (1 - 0.96 ** ((step + 1) * momentum_decay) / 2)",
            "mu_product = mu_product * mu",
            *FORMULA,
            "m = mu_next * exp_avg / (1 - mu_product * mu_next) + (1 - mu) * g / (1 - mu_product)",
            "p = p - lr * m / (sqrt(exp_avg_sq / (1 - beta2 ** step)) + eps)",
        )
