"""RMSprop. Gradients come in through Optimizer.step; new parameters, mean squares, means, momentum buffers and step
counts leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pellucid.core.check import Constraint, Flag, Real, checked
from pellucid.core.tensor import Tensor
from pellucid.ops.elementwise import maximum, multiply_add, sqrt
from pellucid.optim._groups import ParamGroup
from pellucid.optim.optimizer import Optimizer, gradient, gradient_formula, slot


class RMSprop(Optimizer):
    """RMSprop: each element's gradient is divided by its running root mean square.

        g = g + weight_decay * p
        square_avg = alpha * square_avg + (1 - alpha) * g²
        grad_avg = alpha * grad_avg + (1 - alpha) * g                           (centered)
        v = square_avg - grad_avg²                                              (centered; else square_avg)
        momentum_buffer = momentum * momentum_buffer + g / (sqrt(v) + eps)
        p = p - lr * momentum_buffer

    The mean square starts at 0 and is not corrected for it: the first step is lr / sqrt(1 - alpha) long, ten times lr
    with the default.

    Parameters
        params : parameters or groups of parameters; see Optimizer
        lr : learning rate, float >= 0, in the parameters' unit: about the length of a later step
        alpha : float in [0, 1]: memory of the mean square
        eps : float >= 0, in the gradients' unit: added to the root
        weight_decay : float >= 0, unitless: L2 penalty
        momentum : float >= 0, unitless: share of the buffer that survives a step
        centered : divide by the standard deviation instead of the root mean square
        maximize : climb instead of descend
    Source
        T. Tieleman and G. Hinton, Lecture 6.5, Neural networks for machine learning, 2012; centered: A. Graves,
        Generating sequences with recurrent neural networks, 2013, equations 38-41. A variance that rounding makes
        negative counts as 0 here; in PyTorch it becomes NaN.
    Examples
        >>> w = pl.Tensor([1.0], requires_grad=True)
        >>> optimizer = RMSprop([w], lr=0.01)
        >>> (w * w / 2).sum().backward()
        >>> optimizer.step()
        >>> print(f"{w.item():.4f}")
        0.9000
    """

    options: ClassVar[Mapping[str, Constraint]] = {
        "lr": Real(0),
        "alpha": Real(0, 1),
        "eps": Real(0),
        "weight_decay": Real(0),
        "momentum": Real(0),
        "centered": Flag(),
        "maximize": Flag(),
    }
    state_names = ("step", "square_avg", "momentum_buffer", "grad_avg")

    @checked(**options)
    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, locals())

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        lr, alpha, eps, momentum = group["lr"], group["alpha"], group["eps"], group["momentum"]
        maximize, decay, centered = group["maximize"], group["weight_decay"], group["centered"]
        for _, _, members in self._counted(group, params):
            for p in members:
                s = self.state[p]
                g: Any = gradient(p, maximize, decay) if maximize or decay else p.grad
                squares = slot(s, "square_avg", p)
                v = multiply_add(squares, alpha, g * g * (1.0 - alpha))
                squares.assign(v)
                if centered:
                    mean = slot(s, "grad_avg", p)
                    new_mean = multiply_add(g - mean, 1.0 - alpha, mean)
                    mean.assign(new_mean)
                    v = maximum(v - new_mean * new_mean, 0.0)
                root = sqrt(v) + eps
                if momentum:
                    buffer = slot(s, "momentum_buffer", p)
                    new_buffer = multiply_add(buffer, momentum, g / root)
                    buffer.assign(new_buffer)
                    p.assign(multiply_add(new_buffer, -lr, p))
                else:
                    p.assign(multiply_add(g / root, -lr, p))

    def _formula(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        lines = [*gradient_formula(group), "square_avg = alpha * square_avg + (1 - alpha) * g * g"]
        root = "(sqrt(square_avg) + eps)"
        if group["centered"]:
            lines.append("grad_avg = alpha * grad_avg + (1 - alpha) * g")
            root = "(sqrt(maximum(square_avg - grad_avg * grad_avg, 0)) + eps)"
        if group["momentum"]:
            return (
                *lines,
                f"momentum_buffer = momentum * momentum_buffer + g / {root}",
                "p = p - lr * momentum_buffer",
            )
        return (*lines, f"p = p - lr * g / {root}")
