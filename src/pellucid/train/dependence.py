"""Inputs and targets come in; how well one can be told from the other leaves, beside how well it can once the targets
are shuffled. The checks before training call it, and the command line by default: a network trained on labels that have
nothing to do with its inputs only learns them by heart.

Two quick learners are scored on rows they have not seen (each row left out in turn, in closed form): ridge regression
on random ReLU features, and the mean of the nearest neighbours. Shuffling the targets leaves both learners' inner
matrices alone, so twenty permutations cost little more than none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Integer, checked
from pellucid.data import as_dataset
from pellucid.errors import DataError

Verdict = Literal["dependent", "unclear", "independent", "too_few"]

_PERMUTATIONS = 20
_LEAST_ROWS = 30
_RIDGE_ROWS, _NEIGHBOUR_ROWS = 3000, 1500
_FEATURES = 200
_NEIGHBOURS = 10
_MOST_COLUMNS = 20
# In standard deviations of the shuffled scores. With 20 of them, chance exceeds 3 about once in 250 times.
_CLEAR, _FAINT = 3.0, 2.0


@dataclass(frozen=True)
class Dependence:
    """How much of the targets the inputs tell.

    Attributes
        verdict : "dependent": more than chance explains; "independent": no more than shuffled targets; "unclear": in
            between; "too_few": fewer than 30 rows, or targets that are all equal
        score : the share of the targets' variance explained on rows left out, by the better of the two learners; 1 is
            all of it, 0 or less nothing
        permuted : the same for each of 20 shuffles of the targets
        deviations : (score - mean of permuted) / their standard deviation
        learner : "ridge" or "neighbours"
        rows : rows it was measured on
    """

    verdict: Verdict
    score: float
    permuted: tuple[float, ...]
    deviations: float
    learner: str
    rows: int


@checked(seed=Integer(0, 2**64 - 1))
def label_dependence(x: Any, y: Any = None, seed: int = 0) -> Dependence:
    """Whether the targets depend on the inputs, by a permutation test with two quick learners.

    Parameters
        x : inputs (rows, ...), or a Dataset or a tuple (x, y)
        y : labels (rows,), or float targets (rows,) or (rows, outputs)
        seed : fixes the random features, the rows taken from a large set, and the shuffles
    Returns
        Dependence
    Source
        Ojala & Garriga, Permutation tests for studying classifier performance, JMLR 11, 2010; random features: Rahimi &
        Recht, 2008.
    Examples
        >>> from pellucid.data import two_moons
        >>> label_dependence(two_moons(200)).verdict
        'dependent'
    """
    data = as_dataset(x, y, dtype=None)
    if data.y is None:
        raise DataError("train.no-targets", rows=len(data))
    random = np.random.Generator(np.random.Philox(key=np.array([seed, 1], np.uint64)))
    rows = np.arange(len(data))
    if len(rows) > _RIDGE_ROWS:
        rows = np.sort(random.choice(len(data), _RIDGE_ROWS, replace=False))
    inputs, targets = _inputs(data.x[rows], random), _targets(data.y[rows])
    if len(rows) < _LEAST_ROWS or not targets.shape[1]:
        return Dependence("too_few", 0.0, (), 0.0, "ridge", len(rows))
    shuffles = [np.arange(len(rows)), *(random.permutation(len(rows)) for _ in range(_PERMUTATIONS))]
    fewer = slice(None) if len(rows) <= _NEIGHBOUR_ROWS else random.choice(len(rows), _NEIGHBOUR_ROWS, replace=False)
    scores = {
        "ridge": _ridge_scores(inputs, targets, shuffles, random),
        "neighbours": _neighbour_scores(inputs[fewer], targets[fewer], random),
    }
    deviations = {
        name: float((s[0] - s[1:].mean()) / max(float(s[1:].std(ddof=1)), 1e-12)) for name, s in scores.items()
    }
    learner = max(deviations, key=lambda name: deviations[name])
    z = deviations[learner]
    verdict: Verdict = "dependent" if z >= _CLEAR else "unclear" if z >= _FAINT else "independent"
    if verdict == "independent":
        # Neither found anything; the better of the two says so more plainly.
        learner = max(scores, key=lambda name: float(scores[name][0]))
    best = scores[learner]
    permuted = tuple(float(s) for s in best[1:])
    return Dependence(verdict, float(best[0]), permuted, deviations[learner], learner, len(rows))


def _inputs(x: Array, random: np.random.Generator) -> Array:
    """Standardised columns, float32; of very wide rows a random projection."""
    flat = x.reshape(len(x), -1).astype(np.float32)
    if flat.shape[1] > 1024:
        flat = flat @ random.standard_normal((flat.shape[1], 256), dtype=np.float32)
    flat = flat - flat.mean(axis=0)
    spread = flat.std(axis=0)
    keep = spread > 1e-6 * max(float(spread.max(initial=0.0)), 1e-30)
    scaled: Array = flat[:, keep] / spread[keep]
    return scaled


def _targets(y: Array) -> Array:
    """Centred columns of equal weight: one for each class, or for each output."""
    if y.ndim > 1 and y.shape[1:] == (1,):
        y = y[:, 0]
    if y.dtype.kind in "iub" and y.ndim == 1:
        labels, places, counts = np.unique(y, return_inverse=True, return_counts=True)
        largest = np.argsort(-counts, kind="stable")[:_MOST_COLUMNS]
        columns = (places[:, None] == np.arange(len(labels))[largest]).astype(np.float32)
    else:
        columns = y.reshape(len(y), -1)[:, :_MOST_COLUMNS].astype(np.float64)
        spread = columns.std(axis=0)
        columns = ((columns - columns.mean(axis=0))[:, spread > 0] / spread[spread > 0]).astype(np.float32)
    columns = columns - columns.mean(axis=0)
    varied: Array = columns[:, np.abs(columns).max(axis=0, initial=0.0) > 0]
    return varied


def _ridge_scores(x: Array, y: Array, shuffles: list[Array], random: np.random.Generator) -> Array:
    """The left-out score of ridge regression on random ReLU features, for each shuffle, at the best of three penalties.

    With the hat matrix H of the centred features, the residual of a row left out is (y - Hy) / (1 - h).
    """
    count = min(_FEATURES, len(x) // 2)
    weights = random.standard_normal((x.shape[1], count), dtype=np.float32) * (2 / max(1, x.shape[1])) ** 0.5
    features = np.maximum(x @ weights + random.standard_normal(count, dtype=np.float32), 0)
    features = np.concatenate([features, x[:, : count // 4]], axis=1)
    features -= features.mean(axis=0)
    values, vectors = np.linalg.eigh((features.T @ features).astype(np.float64))
    values = np.maximum(values, 0)
    basis = (features @ vectors.astype(np.float32)) / np.sqrt(values + 1e-6 * values.max()).astype(np.float32)
    columns = np.concatenate([y[order] for order in shuffles], axis=1)
    projected = basis.T @ columns
    total = float(np.square(y).sum())
    results = []
    for penalty in (1e-4, 1e-2, 1.0):
        shrink = (values / (values + penalty * values.mean() + 1e-30)).astype(np.float32)
        leverage = np.clip(np.square(basis) @ shrink + np.float32(1 / len(x)), 0, 0.999)
        residual = (columns - basis @ (shrink[:, None] * projected)) / (1 - leverage)[:, None]
        results.append(1 - np.square(residual).sum(axis=0).reshape(len(shuffles), -1).sum(axis=1) / total)
    best: Array = np.max(results, axis=0)
    return best


def _neighbour_scores(x: Array, y: Array, random: np.random.Generator) -> Array:
    """The left-out score of the mean over the nearest neighbours, for the targets as they are and for each shuffle."""
    squares = np.square(x).sum(axis=1)
    distances = squares[:, None] + squares - 2 * (x @ x.T)
    np.fill_diagonal(distances, np.inf)
    count = min(_NEIGHBOURS, len(x) // 3)
    nearest = np.argpartition(distances, count, axis=1)[:, :count]
    y = y - y.mean(axis=0)
    total = max(float(np.square(y).sum()), 1e-30)
    scores = []
    for shuffle in range(_PERMUTATIONS + 1):
        targets = y if shuffle == 0 else y[random.permutation(len(y))]
        means = targets[nearest].mean(axis=1)
        scores.append(1 - float(np.square(targets - means).sum()) / total)
    return np.array(scores)
