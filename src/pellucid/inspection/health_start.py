"""A network, rows and a loss come in; two trials of a copy of it leave: two rows learned by heart, and the gradients of
a sample of weights compared with differences. The network itself is not touched. `doctor` calls both before training.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.autograd import grad
from pellucid.core.context import enable_grad, no_grad, quiet
from pellucid.core.rng import own_draws
from pellucid.core.tensor import Tensor, wrap
from pellucid.data import Dataset
from pellucid.inspection.health_records import GradientsCompared, RowsFitted
from pellucid.inspection.health_targets import DISTANCES, constant_loss, loss_kind
from pellucid.nn import BatchNorm1d, BatchNorm2d, BatchNorm3d, Module
from pellucid.optim import Adam

_STEPS, _RATES = 200, (0.01, 0.003)
_BATCH_NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d)
_DRAWS = np.array([0, 0], np.uint64)
# Of what a constant output reaches; sequences, of which two rows are many targets, need not be learned so far.
_WANTED, _WANTED_OF_MANY = 0.2, 0.6
_PER_PARAMETER, _PARAMETERS = 2, 24
_FINER = (1e-5, 1e-6, 1e-7)
_SEARCHED = 512


def two_rows(data: Dataset, loss: Any) -> Array | None:
    """The numbers of two rows with other inputs and other targets, as far apart as the targets go; None without any."""
    x, y = data.x[:_SEARCHED].reshape(min(len(data), _SEARCHED), -1), data.y
    if y is None or len(x) < 2:
        return None
    flat = y[: len(x)].reshape(len(x), -1)
    first = 0
    if loss_kind(loss) in DISTANCES and y.dtype.kind == "f":
        first = int(np.abs(flat - flat.mean(axis=0)).sum(axis=1).argmax())
        order = np.argsort(-np.abs(flat - flat[first]).sum(axis=1), kind="stable")
    else:
        order = np.arange(len(x))
    for other in order:
        if (flat[other] != flat[first]).any() and (x[other] != x[first]).any():
            return np.array([first, int(other)])
    return None


def fit_two_rows(model: Module, data: Dataset, loss: Any) -> RowsFitted | None:
    """Train a copy on two rows until it has learned them by heart, or 200 updates at each of two rates did not do it;
    None where there are no two rows to tell apart, or what a constant output reaches is not known."""
    rows = two_rows(data, loss)
    if rows is None or data.y is None:
        return None
    x, y = wrap(data.x[rows]), wrap(data.y[rows])
    with own_draws(_DRAWS), quiet():
        constant = constant_loss(loss, y.data)
        if not constant:
            return None
        wanted = constant * (_WANTED if y.size == len(rows) or y.data.dtype.kind == "f" else _WANTED_OF_MANY)
        best, start, steps = math.inf, math.nan, 0
        for rate in _RATES:
            one = _in_use(model)
            trained = [p for p in one.parameters() if p.requires_grad]
            optimizer = Adam(trained, lr=rate)
            for step in range(_STEPS):
                value = loss(one(x), y)
                number = float(value.data.mean())
                start = number if math.isnan(start) else start
                best, steps = min(best, number), step
                if best <= wanted or not math.isfinite(number) or not value.requires_grad:
                    break
                (value if value.size == 1 else value.mean()).backward()
                optimizer.step()
            if best <= wanted:
                break
    return RowsFitted(tuple(map(int, rows)), start, best, wanted, steps)


def _in_use(model: Module) -> Any:
    """A copy in evaluation mode, but for batch normalisation, whose running statistics are not there yet."""
    one = copy.deepcopy(model).eval()
    for module in one.modules():
        if isinstance(module, _BATCH_NORMS):
            module.training = True
    return one


def compare_gradients(model: Module, data: Dataset, loss: Any, *, seed: int = 0) -> GradientsCompared:
    """Gradients of up to two weights of each of up to 24 parameters against central differences, on a copy in float64
    and in evaluation mode.

    The weights are those with the largest gradients of a random few, so that what is compared is no rounding.
    """
    one: Any = copy.deepcopy(model).eval().double()
    rows = data[:8].as_floats(np.float64, keep_integers=data.x.dtype.kind != "f")
    x, y = wrap(rows.x), wrap(rows.y)
    criterion = copy.deepcopy(loss)
    if isinstance(criterion, Module):
        criterion.double()
    named = [(n, p) for n, p in one.named_parameters() if p.requires_grad]
    random = np.random.default_rng(seed)
    if len(named) > _PARAMETERS:
        named = [named[i] for i in np.linspace(0, len(named) - 1, _PARAMETERS).astype(int)]
    worst, shown, checked, skipped, passed = -1.0, ("", 0.0, 0.0), 0, 0, True
    with quiet():
        with own_draws(_DRAWS), enable_grad():
            value = criterion(one(x), y)
            found = grad(value.mean(), [p for _, p in named], allow_unused=True)
        for (name, p), g in zip(named, found, strict=True):
            # What the loss does not reach at all is a finding of its own.
            for index in [] if g is None else _chosen(g.data, random):
                computed = float(g.data[index])
                loss_at = partial(_loss_at, one, criterion, x, y, p, index)
                expected, off = _difference(loss_at, float(value.data.mean()), computed)
                if off is None:
                    skipped += 1
                    continue
                checked += 1
                passed = passed and off <= 1
                if off > worst:
                    worst, shown = off, (f"{name}[{', '.join(map(str, index))}]", computed, expected)
    return GradientsCompared(checked, skipped, *shown, passed)


def _chosen(gradient: Array, random: np.random.Generator) -> list[tuple[int, ...]]:
    if not gradient.size:
        return []
    few = random.choice(gradient.size, min(16, gradient.size), replace=False)
    largest = few[np.argsort(-np.abs(gradient.ravel()[few]), kind="stable")[:_PER_PARAMETER]]
    return [tuple(int(i) for i in np.unravel_index(place, gradient.shape)) for place in largest]


def _loss_at(model: Module, loss: Any, x: Tensor, y: Tensor, p: Tensor, index: tuple[int, ...], change: float) -> float:
    """The loss where one weight is changed."""
    original = p.data
    p.data = original.copy()
    p.data[index] += change
    try:
        with own_draws(_DRAWS), no_grad():
            return float(loss(model(x), y).data.mean())
    finally:
        p.data = original


def _difference(loss_at: Callable[[float], float], middle: float, computed: float) -> tuple[float, float | None]:
    """The difference quotient, and how far the computed gradient is off, in units of what is allowed; None at a kink or
    a jump, where the slopes of both sides have not come together at the smallest step."""
    slope, off, sides, allowed = 0.0, math.inf, 0.0, 0.0
    for step in _FINER:
        above, below = loss_at(step), loss_at(-step)
        slope = (above - below) / (2 * step)
        noise = 16 * np.finfo(np.float64).eps * max(abs(above), abs(below), abs(middle)) / step
        allowed = 1e-9 + 1e-4 * max(abs(computed), abs(slope)) + noise
        off = abs(computed - slope) / allowed
        if off <= 1:
            return slope, off
        sides = abs((above - middle) - (middle - below)) / step
    if not math.isfinite(slope) or sides > 4 * allowed:
        return slope, None
    return slope, off
