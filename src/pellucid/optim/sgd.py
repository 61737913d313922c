"""Gradient descent, with momentum. Gradients come in through Optimizer.step; new parameters and momentum buffers
leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pellucid.core.check import Constraint, Flag, Real, checked
from pellucid.core.context import state
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import ArgumentError, RecordingError
from pellucid.ops.elementwise import multiply_add, positive
from pellucid.optim._groups import ParamGroup
from pellucid.optim.optimizer import Optimizer, gradient, gradient_formula, slot


class SGD(Optimizer):
    """Gradient descent: a step against the gradient; with momentum, along a running sum of gradients.

        g = g + weight_decay * p
        momentum_buffer = momentum * momentum_buffer + (1 - dampening) * g      (g itself at the first step)
        p = p - lr * momentum_buffer                                            (momentum)
        p = p - lr * (g + momentum * momentum_buffer)                           (nesterov)
        p = p - lr * g                                                          (momentum 0)

    Parameters
        params : parameters or groups of parameters; see Optimizer
        lr : learning rate, float >= 0: step length for a gradient of 1
        momentum : float >= 0, unitless: share of the buffer that survives a step. Below 1 the steps stay bounded
        dampening : float, unitless: share of the gradient that is kept out of the buffer
        weight_decay : float >= 0, unitless: strength of the penalty weight_decay / 2 * p²
        nesterov : look ahead along the momentum; needs momentum > 0 and dampening 0
        maximize : climb instead of descend
    Raises
        ArgumentError: nesterov without momentum or with dampening.
    Source
        B. Polyak, Some methods of speeding up the convergence of iteration methods, 1964; I. Sutskever et al., On the
        importance of initialization and momentum in deep learning, 2013, equations 1-4, with the rate outside of the
        buffer as in PyTorch, so that a change of the rate acts at once on the whole step.
    Examples
        >>> w = pl.Tensor([1.0], requires_grad=True)
        >>> optimizer = SGD([w], lr=0.1, momentum=0.9)
        >>> for _ in range(3):
        ...     (w * w / 2).sum().backward()
        ...     optimizer.step()
        >>> print(f"{w.item():.3f}")
        0.486
    """

    options: ClassVar[Mapping[str, Constraint]] = {
        "lr": Real(0),
        "momentum": Real(0),
        "dampening": Real(),
        "weight_decay": Real(0),
        "nesterov": Flag(),
        "maximize": Flag(),
    }
    state_names = ("momentum_buffer",)

    @checked(**options)
    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, locals())

    def _check_group(self, group: ParamGroup) -> None:
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ArgumentError("optim.nesterov", momentum=group["momentum"], dampening=group["dampening"])

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        lr, momentum, nesterov = group["lr"], group["momentum"], group["nesterov"]
        decay, maximize = group["weight_decay"], group["maximize"]
        for p in params:
            g: Any = gradient(p, maximize, decay) if maximize or decay else p.grad
            if momentum:
                buffer = self._buffer(p, g, momentum, group["dampening"])
                g = multiply_add(buffer, momentum, g) if nesterov else buffer
            p.assign(multiply_add(g, -lr, p))

    def _buffer(self, p: Tensor, g: Tensor, momentum: float, dampening: float) -> Tensor:
        """The new momentum buffer."""
        states = self.state[p]
        if dampening == 0:
            # From zeros the first step needs no rule of its own, so that a step recorded first is right ever after.
            buffer = slot(states, "momentum_buffer", p)
            new = multiply_add(buffer, momentum, g)
            buffer.assign(new)
            return new
        kept: Tensor | None = states.get("momentum_buffer")
        if kept is None:
            if state.recorder is not None:
                raise RecordingError("optim.dampening-recorded", dampening=dampening)
            new = positive(g)
            states["momentum_buffer"] = wrap(new.data)
            return new
        new = multiply_add(kept, momentum, g * (1.0 - dampening))
        kept.assign(new)
        return new

    def _formula(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        lines = gradient_formula(group)
        if not group["momentum"]:
            return (*lines, "p = p - lr * g")
        buffer = "momentum * momentum_buffer + g"
        if group["dampening"]:
            buffer = "g if momentum_buffer is None else momentum * momentum_buffer + (1 - dampening) * g"
        lines = (*lines, f"momentum_buffer = {buffer}")
        return (
            *lines,
            f"p = p - lr * {'(g + momentum * momentum_buffer)' if group['nesterov'] else 'momentum_buffer'}",
        )
