"""A network, rows and a loss come in; how far the loss rises within a ball around the weights leaves: SAM's ball, in
which all weights count alike, or the adaptive one, in which each may change by a part of itself. Called by users and by
`curvature`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid._text import text
from pellucid._typing import Array
from pellucid.core.check import Flag, Integer, Real, checked
from pellucid.errors import ModelError
from pellucid.inspection.hessian import SEED
from pellucid.inspection.objective import Objective, rows_for
from pellucid.inspection.unchanged import unchanged


@dataclass(frozen=True)
class Sharpness:
    """How far the loss rises near the weights; see `sharpness`.

    rise : the largest rise that was found in the ball, a lower bound of the largest that there is.
    one_step : the rise at the end of the gradient, which is what SAM looks at.
    loss : in the middle of the ball.
    rho : radius of the ball.
    adaptive : whether each weight's change is measured in parts of its own size.
    num_gradients : how many gradients the search took.
    """

    rise: float
    one_step: float
    loss: float
    rho: float
    adaptive: bool
    num_gradients: int

    def __str__(self) -> str:
        facts = {"rise": f"{self.rise:.4g}", "step": f"{self.one_step:.4g}", "rho": f"{self.rho:g}"}
        if self.adaptive:
            return text("landscape.line-adaptive", **facts)
        return text("landscape.line-sharpness", **facts)


@checked(rho=Real(0, left_open=True, none=True), adaptive=Flag(), num_steps=Integer(1),
         batch_size=Integer(1, none=True), seed=SEED)  # fmt: skip
def sharpness(
    model: Any,
    data: Any,
    loss: Callable[..., Any],
    *,
    rho: float | None = None,
    adaptive: bool = False,
    num_steps: int = 10,
    batch_size: int | None = None,
    seed: int = 0,
) -> Sharpness:
    """How far the loss rises when the weights w change by ε:

        max L(w + ε) - L(w)  over |ε| ≤ ρ;  adaptive: over |ε / w| ≤ ρ, element by element

    A ReLU network computes the same when a layer is multiplied by a > 0 and the next one is divided by it; the plain
    ball makes another sharpness of it, the adaptive one the same. A weight of 0 stays 0 in the adaptive ball.

    The search goes where the gradient leads, first from the weights, then again and again from where it came to.

    Parameters
        model : the network, in evaluation mode; it is left as it is.
        data : Dataset, (x, y), x, or the Dataset of a Loader.
        loss : called as loss(outputs, y), or as loss(outputs) where the data have no targets.
        rho : radius; None: 0.05, and 0.5 for the adaptive ball, the values of the two papers.
        adaptive : take the ball in which each weight is measured by itself.
        num_steps : gradients at most.
        batch_size : rows at once; None is all of them.
        seed : of the direction where the gradient is 0.
    Returns
        Sharpness
    Source
        P. Foret et al., Sharpness-aware minimization, arXiv:2010.01412, eq. 2; J. Kwon et al., ASAM, arXiv:2102.11600,
        eq. 4, here with biases as all other weights, without which it would not be invariant.
    """
    rows = rows_for(model, data)
    with unchanged(model, seed=seed, training=False):
        objective = Objective(model, rows, loss, batch_size)
        value, gradient = objective.gradient()
        return search(objective, value, gradient, rho, adaptive, num_steps, np.random.default_rng(seed))


def search(
    objective: Objective,
    value: float,
    gradient: Array,
    rho: float | None,
    adaptive: bool,
    num_steps: int,
    generator: np.random.Generator,
    starts: Sequence[Array] = (),
) -> Sharpness:
    """The largest rise from where the objective stands, to which it comes back.

    Parameters
        value, gradient : of the objective where it stands
        starts : directions to be tried besides the gradient's, in units of each weight if adaptive
    """
    radius = rho if rho is not None else 0.5 if adaptive else 0.05
    middle = objective.point()
    scale = np.abs(middle) if adaptive else np.ones(len(middle))
    slope = scale * gradient
    if not slope.any():
        slope = scale * generator.standard_normal(len(middle))
    best = one_step = -np.inf
    gradients = 1
    try:
        candidates = [_on_ball(slope, scale, radius), *(_on_ball(s, scale, radius) for s in starts)]
        rises = []
        for step in candidates:
            objective.move(middle + step)
            rises.append(objective.value() - value)
        one_step = rises[0]
        best = _largest(rises)
        step = candidates[int(np.nanargmax(rises))] if np.isfinite(best) else candidates[0]
        while np.isfinite(best) and gradients < num_steps:
            objective.move(middle + step)
            try:
                slope = scale * objective.gradient()[1]
            except ModelError:  # a finite loss without a finite slope: from here nothing leads on
                break
            gradients += 1
            if not slope.any():
                break
            step = _on_ball(slope, scale, radius)
            objective.move(middle + step)
            rise = _largest([objective.value() - value])
            if rise <= best + 1e-6 * abs(best):
                best = max(best, rise)
                break
            best = rise
    finally:
        objective.move(middle)
    # No step at all is in the ball too.
    return Sharpness(max(best, 0.0), one_step, value, radius, adaptive, gradients)


def _on_ball(direction: Array, scale: Array, radius: float) -> Array:
    """The step to the edge of the ball along a direction that is measured in units of `scale`."""
    length = np.linalg.norm(direction)
    step: Array = radius * scale * direction / length if length else np.zeros(len(direction))
    return step


def _largest(rises: Sequence[float]) -> float:
    """The largest; a loss that is no number has no bound."""
    return float("inf") if any(np.isnan(rises)) else float(max(rises))
