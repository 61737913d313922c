"""Adadelta. Gradients come in through Optimizer.step; new parameters, mean squares of gradients and of steps, and
step counts leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pellucid.core.check import Constraint, Flag, Real, checked
from pellucid.core.tensor import Tensor
from pellucid.ops.elementwise import multiply_add, sqrt
from pellucid.optim._groups import ParamGroup
from pellucid.optim.optimizer import Optimizer, gradient, gradient_formula, slot


class Adadelta(Optimizer):
    """Adadelta: the length of a step is learnt from the lengths of the steps before it, in the parameters' own unit.

        g = g + weight_decay * p
        square_avg = rho * square_avg + (1 - rho) * g²
        d = sqrt(acc_delta + eps) / sqrt(square_avg + eps) * g
        acc_delta = rho * acc_delta + (1 - rho) * d²
        p = p - lr * d

    Parameters
        params : parameters or groups of parameters; see Optimizer
        lr : float >= 0, unitless: multiplies the step that the rule itself proposes; the paper's is 1
        rho : float in [0, 1]: memory of both mean squares
        eps : float >= 0: starts the steps, whose first length is about sqrt(eps / (1 - rho))
        weight_decay : float >= 0, unitless: L2 penalty
        maximize : climb instead of descend
    Source
        M. D. Zeiler, ADADELTA: an adaptive learning rate method, 2012, algorithm 1.
    Examples
        >>> w = pl.Tensor([1.0], requires_grad=True)
        >>> optimizer = Adadelta([w])
        >>> (w * w / 2).sum().backward()
        >>> optimizer.step()
        >>> print(f"{w.item():.4f}")
        0.9968
    """

    options: ClassVar[Mapping[str, Constraint]] = {
        "lr": Real(0),
        "rho": Real(0, 1),
        "eps": Real(0),
        "weight_decay": Real(0),
        "maximize": Flag(),
    }
    state_names = ("step", "square_avg", "acc_delta")

    @checked(**options)
    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, locals())

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        lr, rho, eps = group["lr"], group["rho"], group["eps"]
        maximize, decay = group["maximize"], group["weight_decay"]
        for _, _, members in self._counted(group, params):
            for p in members:
                s = self.state[p]
                g: Any = gradient(p, maximize, decay) if maximize or decay else p.grad
                squares, steps = slot(s, "square_avg", p), slot(s, "acc_delta", p)
                new_squares = multiply_add(squares, rho, g * g * (1.0 - rho))
                d = sqrt(steps + eps) / sqrt(new_squares + eps) * g
                squares.assign(new_squares)
                steps.assign(multiply_add(steps, rho, d * d * (1.0 - rho)))
                p.assign(multiply_add(d, -lr, p))

    def _formula(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        return (
            *gradient_formula(group),
            "square_avg = rho * square_avg + (1 - rho) * g * g",
            "d = sqrt(acc_delta + eps) / sqrt(square_avg + eps) * g",
            "acc_delta = rho * acc_delta + (1 - rho) * d * d",
            "p = p - lr * d",
        )
