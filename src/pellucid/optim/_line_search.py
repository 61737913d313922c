"""How far to go along a direction: a step length at which loss and slope have both fallen enough. Called by LBFGS."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pellucid.core.tensor import Tensor
from pellucid.ops.linalg import matmul
from pellucid.ops.reduce import max_

# Nocedal and Wright's constants for quasi-Newton directions.
ENOUGH_DECREASE = 1e-4
ENOUGH_FLATTENING = 0.9


@dataclass
class _Point:
    """A tried length, and the loss, gradient and slope there."""

    t: float
    loss: float
    g: Tensor
    slope: float


def _cubic_minimum(a: _Point, b: _Point, low: float | None = None, high: float | None = None) -> float:
    """The minimum, between two bounds (else between the points), of the cubic with the losses and slopes of both
    points.
    """
    if low is None or high is None:
        low, high = min(a.t, b.t), max(a.t, b.t)
    if a.t == b.t:
        # Both ends of a bracket at one place: the cubic has no minimum, and every other length is equally unknown.
        return (low + high) / 2.0
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2.0
    d2 = math.sqrt(square)
    left, right = (a, b) if a.t <= b.t else (b, a)
    span = right.slope - left.slope + 2 * d2
    if span == 0:
        return (low + high) / 2.0
    t = right.t - (right.t - left.t) * ((right.slope + d2 - d1) / span)
    return min(max(t, low), high)


def strong_wolfe(
    evaluate: Callable[[float], tuple[float, Tensor]],
    t: float,
    d: Tensor,
    loss: float,
    g: Tensor,
    slope: float,
    max_evaluations: int,
    tolerance_change: float = 1e-9,
) -> tuple[float, Tensor, float, int]:
    """A length that satisfies the strong Wolfe conditions, or the best found within the evaluations allowed.

    Parameters
        evaluate : loss and gradient at a length.
        t : the first length to try.
        d : the direction.
        loss, g, slope : at length 0; the slope is negative.
    Returns
        Loss, gradient and length, and the number of evaluations.
    Source
        J. Nocedal and S. Wright, Numerical optimization, 2nd edition, 2006, algorithms 3.5 and 3.6, with PyTorch's
        limits on how far one trial may go beyond or how near to an end of the bracket.
    """

    def point(t: float) -> _Point:
        value, gradient = evaluate(t)
        return _Point(t, value, gradient, matmul(gradient, d).item())

    def too_high(p: _Point) -> bool:
        return p.loss > loss + ENOUGH_DECREASE * p.t * slope

    def flat_enough(p: _Point) -> bool:
        return abs(p.slope) <= -ENOUGH_FLATTENING * slope

    start = _Point(0.0, loss, g, slope)
    reach = max_(abs(d)).item()
    previous, new = start, point(t)
    tried, trials = 1, 0
    bracket: list[_Point] = []
    while trials < max_evaluations:
        if too_high(new) or (trials > 1 and new.loss >= previous.loss):
            bracket = [previous, new]
            break
        if flat_enough(new):
            return new.loss, new.g, new.t, tried
        if new.slope >= 0:
            bracket = [previous, new]
            break
        following = _cubic_minimum(previous, new, new.t + 0.01 * (new.t - previous.t), new.t * 10)
        previous, new = new, point(following)
        tried += 1
        trials += 1
    if not bracket:
        bracket = [start, new]

    low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
    little_progress = False
    while trials < max_evaluations:
        ends = (bracket[0].t, bracket[1].t)
        width = abs(ends[1] - ends[0])
        if width * reach < tolerance_change:
            break
        t = _cubic_minimum(bracket[0], bracket[1])
        margin = 0.1 * width
        if min(max(ends) - t, t - min(ends)) < margin:
            if little_progress or t >= max(ends) or t <= min(ends):
                t = max(ends) - margin if abs(t - max(ends)) < abs(t - min(ends)) else min(ends) + margin
                little_progress = False
            else:
                little_progress = True
        else:
            little_progress = False
        new = point(t)
        tried += 1
        trials += 1
        if too_high(new) or new.loss >= bracket[low].loss:
            bracket[high] = new
            low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
            continue
        done = flat_enough(new)
        if not done and new.slope * (bracket[high].t - bracket[low].t) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = new
        if done:
            break
    best = bracket[low]
    return best.loss, best.g, best.t, tried
