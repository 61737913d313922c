"""A network, rows and a loss come in; how much the gradient varies from row to row leaves, layer by layer, and the
gradient noise scale: the size of a batch beyond which more rows help less and less. Users call `gradient_noise`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from pellucid._text import text
from pellucid._typing import Array
from pellucid.core.check import Integer, Real, check, checked
from pellucid.data import Dataset
from pellucid.inspection.curvature import layer_slices
from pellucid.inspection.hessian import SEED
from pellucid.inspection.objective import Objective, named, required_rows, rows_for
from pellucid.inspection.unchanged import unchanged

_KEPT_NUMBERS = 2**24
"""Gradients of up to so many numbers together are kept; larger ones are computed twice."""


@dataclass(frozen=True)
class NoiseScale:
    """The noise of a gradient, estimated from rows that were drawn.

    gradient_norm_squared : |G|² of the gradient over all data there are; unbiased, so it may be below 0 by chance.
    variance : tr Σ, the summed variances of the elements of the gradient of one row; unbiased.
    scale : tr Σ / |G|², in rows; infinite where |G|² cannot be told from 0.
    low, high : of a confidence interval of the scale.
    """

    gradient_norm_squared: float
    variance: float
    scale: float
    low: float
    high: float


@dataclass(frozen=True)
class LayerNoise:
    """The noise in the parameters of a layer."""

    path: str
    parameters: int
    noise: NoiseScale


@dataclass(frozen=True)
class GradientNoise:
    """How much the gradient of a network varies from row to row; see `gradient_noise`.

    rows, num_groups, group_size : gradients of `num_groups` groups of `group_size` rows were compared.
    noise : of all parameters together.
    layers : of each layer's alone.
    confidence : of the intervals.
    """

    model: str
    loss_name: str
    rows: int
    num_groups: int
    group_size: int
    parameters: int
    noise: NoiseScale
    layers: tuple[LayerNoise, ...]
    confidence: float
    seed: int

    @property
    def scale(self) -> float:
        """The noise scale, in rows."""
        return self.noise.scale

    def batch_variance(self, batch_size: int, population: int | None = None) -> float:
        """The summed variances of the gradient's elements over random batches: tr Σ / B.

        Parameters
            batch_size : rows a batch
            population : rows there are, of which a batch takes each at most once; None: as many as one likes. Then the
                variance is smaller by 1 - B / population, and 0 for the batch of all
        """
        check("batch_variance: batch_size", batch_size, Integer(1, population))
        rest = 1.0 if population is None else 1.0 - batch_size / population
        return self.noise.variance / batch_size * rest

    def progress(self, batch_size: int) -> float:
        """What the best step with batches of a size gains, as a share of what it gains with the true gradient:
        1 / (1 + scale / B), where the loss curves alike in all directions."""
        check("progress: batch_size", batch_size, Integer(1))
        return 1.0 / (1.0 + self.scale / batch_size)

    def __str__(self) -> str:
        n = self.noise
        facts = {
            "model": self.model,
            "loss_name": self.loss_name,
            "groups": f"{self.num_groups:,}",
            "size": f"{self.group_size:,}",
            "norm": f"{n.gradient_norm_squared:.4g}",
            "variance": f"{n.variance:.4g}",
            "scale": rows_text(n.scale),
            "low": rows_text(n.low),
            "high": rows_text(n.high),
            "confidence": f"{100 * self.confidence:g}",
        }
        lines = ["noise-head", "noise-parts"]
        if math.isinf(n.scale):
            lines += ["noise-no-gradient"]
        else:
            advice = "noise-one" if n.high < 1 else "noise-advice" if math.isfinite(n.high) else "noise-open"
            lines += ["noise-scale", advice]
        return "\n".join(text(f"landscape.{line}", **facts) for line in lines)


def rows_text(number: float) -> str:
    """A number of rows with three figures, as far as they mean something."""
    if math.isinf(number):
        return "∞"
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


@checked(num_groups=Integer(4), group_size=Integer(1, none=True),
         confidence=Real(0, 1, left_open=True, right_open=True), seed=SEED)  # fmt: skip
def gradient_noise(
    model: Any,
    data: Any,
    loss: Callable[..., Any],
    *,
    num_groups: int = 128,
    group_size: int | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> GradientNoise:
    """How much the gradient varies from row to row, and from which batch on that hardly matters.

    The rows are dealt at random into groups, and the gradients of the groups are compared. The noise scale
    tr Σ / |G|² is the batch at which the noise of the gradient is as large as the gradient: with fewer rows twice as
    many allow nearly twice the step, with many more they only cost time. It grows as training goes on.

    The network is looked at in evaluation mode, and left as it is. The interval takes the rows for a sample of all
    data, and is Fieller's for a ratio, over jackknife variances; without an upper end where the gradient cannot be
    told from noise, as near a minimum.

    Parameters
        model : the network.
        data : Dataset, (x, y), x, or the Dataset of a Loader.
        loss : the mean or the sum over rows, called as loss(outputs, y), or as loss(outputs) without targets.
        num_groups : how many gradients at most; two backward passes each for a large network, else one.
        group_size : rows of each; None: as many as there are for `num_groups` groups, up to 64. 1 compares rows.
        confidence : of the intervals.
        seed : of the groups.
    Returns
        GradientNoise
    Raises
        DataError: too few rows for four groups.
        ArgumentError: a loss that is neither the mean nor the sum over rows.
        ModelError: nothing is trained; the loss or its gradient is not finite.
    Source
        S. McCandlish et al., An empirical model of large-batch training, arXiv:1812.06162, eqs. 2.7 to 2.9 and appendix
        A; the estimates here are unbiased, from all pairs of groups.
    Examples
        >>> import pellucid as pl
        >>> _ = pl.manual_seed(0)
        >>> model = pl.nn.Sequential(pl.nn.Linear(2, 8), pl.nn.ReLU(), pl.nn.Linear(8, 2))
        >>> found = pl.gradient_noise(model, pl.data.two_moons(256, seed=0), pl.nn.CrossEntropyLoss())
        >>> found.num_groups, found.group_size, found.noise.low < found.scale < found.noise.high
        (128, 2, True)
    """
    rows = rows_for(model, data)
    size = group_size or max(1, min(64, len(rows) // num_groups))
    required_rows(rows, 4 * size, "gradient_noise")
    groups = min(num_groups, len(rows) // size)
    order = np.random.default_rng(seed).permutation(len(rows))[: groups * size]
    with unchanged(model, seed=seed, training=False):
        objective = _Groups(model, rows[order], loss, size)
        places = layer_slices(objective)
        squares, products = _compared(objective, groups, list(places.values()))
    norms = {path: sum(s.stop - s.start for s in slices) for path, slices in places.items()}
    layers = tuple(
        LayerNoise(path, count, noise_scale(squares[n], products[n], size, confidence))
        for n, (path, count) in enumerate(norms.items())
    )
    return GradientNoise(
        model=named(model),
        loss_name=named(loss),
        rows=groups * size,
        num_groups=groups,
        group_size=size,
        parameters=objective.size,
        noise=noise_scale(squares.sum(axis=0), products.sum(axis=0), size, confidence),
        layers=layers,
        confidence=confidence,
        seed=seed,
    )


class _Groups(Objective):
    """The loss of each group as a mean over its rows."""

    def __init__(self, model: Any, rows: Dataset, loss: Callable[..., Any], size: int) -> None:
        super().__init__(model, rows, loss, size)
        self.group_size = size

    def gradients(self) -> Iterator[Array]:
        """The gradient of each group."""
        for rows in self._parts:
            value = self._tracked(rows)
            flat = self.flat([g.data for g in self._grad(value, create_graph=False)])
            self._check_finite("loss", float(value.data))
            self._check_finite("gradient", flat)
            yield flat / self.group_size if self.adds else flat


def _compared(objective: _Groups, groups: int, places: list[list[slice]]) -> tuple[Array, Array]:
    """Of each layer's part of each group's gradient g_i the square |g_i|², and its product with the sum of all; shape
    (layers, groups) each."""
    keeps = groups * objective.size <= _KEPT_NUMBERS
    kept: list[Array] = []
    total = np.zeros(objective.size)
    for g in objective.gradients():
        total += g
        if keeps:
            kept.append(g)
    squares, products = np.empty((len(places), groups)), np.empty((len(places), groups))
    for i, g in enumerate(kept if keeps else objective.gradients()):
        for n, slices in enumerate(places):
            squares[n, i] = sum(float(g[s] @ g[s]) for s in slices)
            products[n, i] = sum(float(g[s] @ total[s]) for s in slices)
    return squares, products


def noise_scale(squares: Array, products: Array, group_size: int, confidence: float) -> NoiseScale:
    """The noise scale from the gradients of groups.

    Parameters
        squares : |g_i|², shape (groups,)
        products : g_i · Σ_j g_j, shape (groups,)
    """
    m = len(squares)
    # T estimates |G|² + tr Σ / b, and U, over all pairs of different groups, |G|².
    t, u = squares.mean(), (products.sum() - squares.sum()) / (m * (m - 1))
    # Each without one group in turn.
    t_without = (squares.sum() - squares) / (m - 1)
    u_without = (products.sum() - squares.sum() - 2 * (products - squares)) / ((m - 1) * (m - 2))
    covariance = (m - 1) ** 2 / m * np.cov(np.stack([t_without, u_without]))
    low, high = _fieller(float(t), float(u), covariance, _student(confidence, m - 1))
    scale = group_size * (t / u - 1) if u > 0 else math.inf
    return NoiseScale(
        gradient_norm_squared=float(u),
        variance=float(group_size * (t - u)),
        scale=float(scale),
        low=float(group_size * max(low - 1.0, 0.0)),
        high=float(group_size * max(high - 1.0, 0.0)),
    )


def _fieller(t: float, u: float, covariance: Array, quantile: float) -> tuple[float, float]:
    """The interval of T / U: all r for which T - r U is no further from 0 than its standard error allows.

    Source
        E. C. Fieller, Some problems in interval estimation, 1954.
    """
    q = quantile**2
    a = u * u - q * covariance[1, 1]
    b = t * u - q * covariance[0, 1]
    c = t * t - q * covariance[0, 0]
    root = b * b - a * c
    if a > 0 and u > 0:
        half = math.sqrt(max(root, 0.0))
        return (b - half) / a, (b + half) / a
    # U may be 0: the ratio has no upper end. A lower one there is where T is not 0 as well.
    if root < 0 or a == 0:
        return 1.0, math.inf
    ends = sorted(((b - math.sqrt(root)) / a, (b + math.sqrt(root)) / a))
    return 1.0 if ends[0] >= 1.0 else max(ends[1], 1.0), math.inf


def _student(confidence: float, freedom: int) -> float:
    """The two-sided quantile of Student's distribution, by the first terms of its expansion about the normal's."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
