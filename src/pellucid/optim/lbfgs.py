"""L-BFGS. A closure that recomputes loss and gradients comes in at `step`; after up to `max_iter` iterations new
parameters leave. It looks at values to decide what to do next, so a step of it cannot be recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from pellucid.core.check import Constraint, Integer, Options, Real, checked
from pellucid.core.context import quiet, state
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import ArgumentError, ArgumentTypeError, RecordingError, ShapeError
from pellucid.ops.linalg import matmul
from pellucid.ops.reduce import max_, sum_
from pellucid.ops.shape import concatenate, reshape
from pellucid.optim._groups import ParamGroup
from pellucid.optim._line_search import strong_wolfe
from pellucid.optim.optimizer import Optimizer


class LBFGS(Optimizer):
    """Limited-memory BFGS: Newton's method with a curvature estimated from the last `history_size` steps.

        s_i = change of p, y_i = change of g in step i, both as one vector of all parameters
        d = -H·g, H from the pairs (s_i, y_i) by two loops, started from (s·y) / (y·y)
        p = p + t * d           t = lr, or by line search; at the first iteration min(1, 1 / Σ|g|) * lr

    For small problems whose loss is the same at every evaluation: the full batch, no dropout. One `step` is many
    iterations.

    Parameters
        params : parameters; one group only, since the curvature is that of all of them together
        lr : float >= 0, unitless: step length in units of d
        max_iter : int >= 1: iterations a step
        max_eval : int >= 1: evaluations of the closure a step; None is 1.25 * max_iter
        tolerance_grad : float >= 0: stop where no gradient element is larger
        tolerance_change : float >= 0: stop where loss or parameters change by less
        history_size : int >= 1: pairs that are kept, each as large as the parameters
        line_search_fn : None, or "strong_wolfe", which tries lengths until loss and slope have both fallen enough.
            Recommended: without it a step may go uphill
    Raises
        ArgumentError: more than one group.
    Source
        J. Nocedal and S. Wright, Numerical optimization, 2nd edition, 2006, algorithms 7.4, 7.5, 3.5 and 3.6, in
        PyTorch's form (M. Schmidt's minFunc).
    Examples
        >>> w = pl.Tensor([-1.2, 1.0], dtype=pl.float64, requires_grad=True)
        >>> optimizer = LBFGS([w], line_search_fn="strong_wolfe", max_iter=100)
        >>> def closure():
        ...     loss = (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
        ...     loss.backward()
        ...     return loss
        >>> _ = optimizer.step(closure)
        >>> [round(x, 4) for x in w.tolist()]
        [1.0, 1.0]
    """

    options: ClassVar[Mapping[str, Constraint]] = {
        "lr": Real(0),
        "max_iter": Integer(1),
        "max_eval": Integer(1, none=True),
        "tolerance_grad": Real(0),
        "tolerance_change": Real(0),
        "history_size": Integer(1),
        "line_search_fn": Options(None, "strong_wolfe"),
    }
    state_names = (
        "func_evals",
        "n_iter",
        "d",
        "t",
        "old_dirs",
        "old_stps",
        "ro",
        "H_diag",
        "prev_flat_grad",
        "prev_loss",
        "al",
    )

    @checked(**options)
    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        super().__init__(params, locals())

    def _check_group(self, group: ParamGroup) -> None:
        if self.param_groups and self.param_groups[0]["params"] is not group["params"]:
            raise ArgumentError("optim.one-group", optimizer=self._name)
        if group["max_eval"] is None:
            group["max_eval"] = group["max_iter"] * 5 // 4

    def _formula(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        return ("d = -H @ g", "p = p + t * d")

    @property
    def _params(self) -> list[Tensor]:
        return self.param_groups[0]["params"]  # type: ignore[no-any-return]

    def _state_shape(self, p: Tensor) -> tuple[int, ...]:
        return (sum(q.size for q in self._params),)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Iterate until a tolerance or a limit is reached.

        Parameters
            closure : computes the loss, calls backward and returns the loss; called many times. It needs no zero_grad.
        Returns
            What the closure returned first: the loss before the step.
        Raises
            ArgumentTypeError: no closure, or it returns no number.
            GradientError: the closure leaves no parameter with a new gradient.
            RecordingError: a graph is being recorded.
        """
        if closure is None:
            raise ArgumentTypeError("optim.closure", optimizer=self._name, given="None")
        if state.recorder is not None:
            raise RecordingError("optim.not-recordable", optimizer=self._name)
        before, state.grad = state.grad, False
        try:
            with quiet():
                return self._iterate(closure)
        finally:
            state.grad = before
            self._step_taken = True

    def _loss_and_gradient(self, closure: Callable[[], Any]) -> tuple[Any, float, Tensor]:
        """What the closure returns, as it is and as a number, and the gradients of all parameters as one vector."""
        loss = self._evaluate(closure)
        try:
            number = float(loss)
        except (TypeError, ValueError):
            given = f"Tensor{loss.shape}" if isinstance(loss, Tensor) else type(loss).__name__
            raise ArgumentTypeError("optim.closure-result", optimizer=self._name, given=given) from None
        parts = []
        fresh = False
        for p in self._params:
            g = p.grad
            if g is None or g is p._used_grad:
                parts.append(wrap(np.zeros(p.size, p.dtype)))
                continue
            if g.shape != p.shape:
                raise ShapeError("optim.gradient-shape", name=p.name or "parameter", given=g.shape, expected=p.shape)
            fresh = True
            parts.append(reshape(g, -1))
            p._used_grad = g
        if not fresh:
            raise self._no_gradient()
        return loss, number, concatenate(parts)

    def _move(self, start: list[Tensor], t: float, d: Tensor) -> None:
        """Put the parameters at start + t * d."""
        offset = 0
        for p, x in zip(self._params, start, strict=True):
            p.assign(x + reshape(d[offset : offset + p.size], p.shape) * t)
            offset += p.size

    def _iterate(self, closure: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        lr, max_iter, max_eval = group["lr"], group["max_iter"], group["max_eval"]
        s = self.state[self._params[0]]
        s.setdefault("func_evals", 0)
        s.setdefault("n_iter", 0)
        first_loss, loss, g = self._loss_and_gradient(closure)
        s["func_evals"] += 1
        if _largest(g) <= group["tolerance_grad"]:
            return first_loss
        evaluations, iteration = 1, 0
        while iteration < max_iter:
            iteration += 1
            s["n_iter"] += 1
            d = self._direction(s, g, group["history_size"])
            s["d"], s["prev_flat_grad"], s["prev_loss"] = d, g, loss
            previous = loss
            t = min(1.0, 1.0 / sum_(abs(g)).item()) * lr if s["n_iter"] == 1 else lr
            s["t"] = t
            slope = matmul(g, d).item()
            if slope > -group["tolerance_change"]:
                break
            start = [p.detach() for p in self._params]
            used = 0
            if group["line_search_fn"] is not None:

                def at(t: float, start: list[Tensor] = start, d: Tensor = d) -> tuple[float, Tensor]:
                    self._move(start, t, d)
                    return self._loss_and_gradient(closure)[1:]

                loss, g, t, used = strong_wolfe(at, t, d, loss, g, slope, max_eval - evaluations)
                s["t"] = t
                self._move(start, t, d)
            else:
                self._move(start, t, d)
                if iteration != max_iter:
                    _, loss, g = self._loss_and_gradient(closure)
                    used = 1
            evaluations += used
            s["func_evals"] += used
            if (
                evaluations >= max_eval
                or _largest(g) <= group["tolerance_grad"]
                or _largest(d) * abs(t) <= group["tolerance_change"]
                or abs(loss - previous) < group["tolerance_change"]
            ):
                break
        return first_loss

    def _direction(self, s: dict[str, Any], g: Tensor, history_size: int) -> Tensor:
        """-H·g by the two loops, after the newest pair is stored."""
        if s["n_iter"] == 1:
            s["old_dirs"], s["old_stps"], s["ro"], s["H_diag"] = [], [], [], 1.0
            return -g
        changes, steps = s["old_dirs"], s["old_stps"]
        y = g - s["prev_flat_grad"]
        step = s["d"] * float(s["t"])
        curvature = matmul(y, step).item()
        if curvature > 1e-10:
            if len(changes) >= history_size:
                changes.pop(0)
                steps.pop(0)
                s["ro"].pop(0)
            changes.append(y)
            steps.append(step)
            s["ro"].append(1.0 / curvature)
            s["H_diag"] = curvature / matmul(y, y).item()
        ro = [float(r) for r in s["ro"]]
        shares = [0.0] * len(ro)
        q = -g
        for i in range(len(ro) - 1, -1, -1):
            shares[i] = matmul(steps[i], q).item() * ro[i]
            q = q - changes[i] * shares[i]
        d = q * float(s["H_diag"])
        for i in range(len(ro)):
            d = d + steps[i] * (shares[i] - matmul(changes[i], d).item() * ro[i])
        return d


def _largest(x: Tensor) -> float:
    return max_(abs(x)).item()  # type: ignore[no-any-return]
