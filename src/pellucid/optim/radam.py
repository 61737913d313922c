"""RAdam. Gradients come in through Optimizer.step; new parameters, both moments and step counts leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pellucid.core.check import Constraint, Flag, Real, checked
from pellucid.core.tensor import Tensor
from pellucid.ops.elementwise import greater, multiply_add, power, sqrt, where
from pellucid.optim._groups import ParamGroup
from pellucid.optim._moments import FORMULA, decay_of, moments, start_formula
from pellucid.optim.optimizer import BETAS, Optimizer, gradient, in_dtype


class RAdam(Optimizer):
    """Adam without its uncertain first steps: while too few gradients were seen to know their mean square, only the
    mean is used.

        g = g + weight_decay * p                            (with decoupled_weight_decay: p = p - lr * weight_decay * p)
        step = step + 1
        exp_avg = beta1 * exp_avg + (1 - beta1) * g
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * g²
        m = exp_avg / (1 - beta1 ** step)
        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 * step * beta2 ** step / (1 - beta2 ** step)
        r = sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
        p = p - lr * m * r * sqrt(1 - beta2 ** step) / (sqrt(exp_avg_sq) + eps)             (rho > 5)
        p = p - lr * m                                                                      (rho <= 5)

    Parameters
        params : parameters or groups of parameters; see Optimizer
        lr : learning rate, float >= 0: in the parameters' unit once rho > 5, before for a gradient of 1
        betas : two floats in [0, 1): memory of the mean and of the mean square
        eps : float >= 0, in the gradients' unit: added to the root
        weight_decay : float >= 0, unitless: L2 penalty
        decoupled_weight_decay : decay the parameters alone, as AdamW does
        maximize : climb instead of descend
    Source
        L. Liu et al., On the variance of the adaptive learning rate and beyond, 2020, algorithm 2; rho > 5 as in the
        authors' code and PyTorch, where the paper has rho > 4.
    Examples
        >>> w = pl.Tensor([1.0], requires_grad=True)
        >>> optimizer = RAdam([w], lr=0.1)
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
        "decoupled_weight_decay": Flag(),
        "maximize": Flag(),
    }
    state_names = ("step", "exp_avg", "exp_avg_sq")

    @checked(**options)
    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, locals())

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        lr, (beta1, beta2), eps = group["lr"], group["betas"], group["eps"]
        maximize = group["maximize"]
        penalty, shrink = decay_of(group)
        rho_inf = 2.0 / (1.0 - beta2) - 1.0
        for t, dtype, members in self._counted(group, params):
            power2 = power(beta2, t)
            correction = 1.0 - power2
            rho = rho_inf - 2.0 * t * power2 / correction
            known = greater(rho, 5.0)
            # Where rho <= 5 this root may be of a negative number, and is not used.
            r = sqrt((rho - 4.0) * (rho - 2.0) * rho_inf * correction / ((rho_inf - 4.0) * (rho_inf - 2.0) * rho))
            rate = in_dtype(where(known, r, 1.0) * -lr / (1.0 - power(beta1, t)), dtype)
            for p in members:
                g: Any = gradient(p, maximize, penalty) if maximize or penalty else p.grad
                new_m, new_v = moments(self.state[p], p, g, beta1, beta2)
                start = p * shrink if shrink != 1.0 else p
                p.assign(multiply_add(new_m / where(known, sqrt(new_v) + eps, 1.0), rate, start))

    def _formula(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        return (
            *start_formula(group),
            *FORMULA,
            "m = exp_avg / (1 - beta1 ** step)",
            "rho_inf = 2 / (1 - beta2) - 1",
            "rho = rho_inf - 2 * step * beta2 ** step / (1 - beta2 ** step)",
            "r = sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)) if rho > 5 else None",
            "p = p - lr * m * (r * sqrt(1 - beta2 ** step) / (sqrt(exp_avg_sq) + eps) if rho > 5 else 1)",
        )
