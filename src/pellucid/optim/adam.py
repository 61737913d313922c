"""Adam, with AMSGrad, and AdamW. Gradients come in through Optimizer.step; new parameters, both moments and step
counts leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pellucid.core.check import Constraint, Flag, Real, checked
from pellucid.core.tensor import Tensor
from pellucid.ops.elementwise import maximum, multiply_add, power, sqrt
from pellucid.optim._groups import ParamGroup
from pellucid.optim._moments import FORMULA, decay_of, moments, start_formula
from pellucid.optim.optimizer import BETAS, Optimizer, gradient, in_dtype, slot


class Adam(Optimizer):
    """Adam: each element moves by its mean gradient over its root mean square gradient, both running averages.

        g = g + weight_decay * p                            (with decoupled_weight_decay: p = p - lr * weight_decay * p)
        step = step + 1
        exp_avg = beta1 * exp_avg + (1 - beta1) * g
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * g²
        m = exp_avg / (1 - beta1 ** step)
        v = exp_avg_sq / (1 - beta2 ** step)                        (amsgrad: of the largest exp_avg_sq so far)
        p = p - lr * m / (sqrt(v) + eps)

    Early on a step is about `lr` long in every element, whatever the size of the gradient.

    Parameters
        params : parameters or groups of parameters; see Optimizer
        lr : learning rate, float >= 0, in the parameters' unit: about the length of one step
        betas : two floats in [0, 1): memory of the mean and of the mean square; 0.9 looks back about 10 steps, 0.999
            about 1,000
        eps : float >= 0, in the gradients' unit: added to the root; steps of elements with smaller gradients shrink
        weight_decay : float >= 0, unitless: L2 penalty. It is divided by the root too, so that elements with large
            gradients decay less: see AdamW
        amsgrad : never let a rate grow again: divide by the largest mean square so far
        maximize : climb instead of descend
        decoupled_weight_decay : decay as AdamW does
    Source
        D. P. Kingma and J. Ba, Adam: a method for stochastic optimization, 2015, algorithm 1, in the order of section
        2's last paragraph; AMSGrad: S. Reddi et al., On the convergence of Adam and beyond, 2018, algorithm 2, with the
        corrections that PyTorch keeps.
    Examples
        >>> w = pl.Tensor([1.0], requires_grad=True)
        >>> optimizer = Adam([w], lr=0.1)
        >>> for _ in range(3):
        ...     (w * w / 2).sum().backward()
        ...     optimizer.step()
        >>> print(f"{w.item():.4f}")
        0.7016
    """

    options: ClassVar[Mapping[str, Constraint]] = {
        "lr": Real(0),
        "betas": BETAS,
        "eps": Real(0),
        "weight_decay": Real(0),
        "amsgrad": Flag(),
        "maximize": Flag(),
        "decoupled_weight_decay": Flag(),
    }
    state_names = ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    @checked(**options)
    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(params, locals())

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        lr, (beta1, beta2), eps = group["lr"], group["betas"], group["eps"]
        maximize, amsgrad = group["maximize"], group["amsgrad"]
        penalty, shrink = decay_of(group)
        for t, dtype, members in self._counted(group, params):
            # The corrections of m and v are taken out of the elements' arithmetic, into the rate and eps.
            root = sqrt(1.0 - power(beta2, t))
            rate = in_dtype(root * -lr / (1.0 - power(beta1, t)), dtype)
            floor = in_dtype(root * eps, dtype)
            for p in members:
                s = self.state[p]
                g: Any = gradient(p, maximize, penalty) if maximize or penalty else p.grad
                new_m, new_v = moments(s, p, g, beta1, beta2)
                if amsgrad:
                    largest = slot(s, "max_exp_avg_sq", p)
                    new_v = maximum(largest, new_v)
                    largest.assign(new_v)
                start = p * shrink if shrink != 1.0 else p
                p.assign(multiply_add(new_m / (sqrt(new_v) + floor), rate, start))

    def _formula(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        largest = ("max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq)",) if group["amsgrad"] else ()
        v = "max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"
        return (
            *start_formula(group),
            *FORMULA,
            *largest,
            f"p = p - lr * (exp_avg / (1 - beta1 ** step)) / (sqrt({v} / (1 - beta2 ** step)) + eps)",
        )
