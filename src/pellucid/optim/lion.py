"""Lion. Gradients come in through Optimizer.step; new parameters and running means leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pellucid.core.check import Constraint, Flag, Real, checked
from pellucid.core.tensor import Tensor
from pellucid.ops.elementwise import multiply_add, sign
from pellucid.optim._groups import ParamGroup
from pellucid.optim.optimizer import BETAS, Optimizer, gradient, gradient_formula, slot


class Lion(Optimizer):
    """Lion: every element moves by exactly `lr`, in the direction of a running mean's sign; one state instead of Adam's
    two.

        p = p - lr * weight_decay * p
        p = p - lr * sign(beta1 * exp_avg + (1 - beta1) * g)
        exp_avg = beta2 * exp_avg + (1 - beta2) * g

    Use a rate 3 to 10 times smaller than Adam's, and a weight decay larger by the same factor.

    Parameters
        params : parameters or groups of parameters; see Optimizer
        lr : learning rate, float >= 0, in the parameters' unit: the length of every step
        betas : two floats in [0, 1): share of the mean in a step's direction, and memory of the mean
        weight_decay : float >= 0: a step shrinks the parameters by the share lr * weight_decay
        maximize : climb instead of descend
    Source
        X. Chen et al., Symbolic discovery of optimization algorithms, 2023, algorithm 2. PyTorch has no Lion; names and
        defaults are the authors'.
    Examples
        >>> w = pl.Tensor([1.0], requires_grad=True)
        >>> optimizer = Lion([w], lr=0.1)
        >>> (w * w / 2).sum().backward()
        >>> optimizer.step()
        >>> print(f"{w.item():.4f}")
        0.9000
    """

    options: ClassVar[Mapping[str, Constraint]] = {
        "lr": Real(0),
        "betas": BETAS,
        "weight_decay": Real(0),
        "maximize": Flag(),
    }
    state_names = ("exp_avg",)

    @checked(**options)
    def __init__(
        self,
        params: Any,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, locals())

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        lr, (beta1, beta2) = group["lr"], group["betas"]
        maximize, shrink = group["maximize"], 1.0 - lr * group["weight_decay"]
        for p in params:
            g: Any = gradient(p, maximize, 0.0) if maximize else p.grad
            m = slot(self.state[p], "exp_avg", p)
            start = p * shrink if shrink != 1.0 else p
            direction = sign(multiply_add(m, beta1, g * (1.0 - beta1)))
            m.assign(multiply_add(m, beta2, g * (1.0 - beta2)))
            p.assign(multiply_add(direction, -lr, start))

    def _formula(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        decay = ("p = p - lr * weight_decay * p",) if group["weight_decay"] else ()
        return (
            *gradient_formula(group, weight_decay=False),
            *decay,
            "p = p - lr * sign(beta1 * exp_avg + (1 - beta1) * g)",
            "exp_avg = beta2 * exp_avg + (1 - beta2) * g",
        )
