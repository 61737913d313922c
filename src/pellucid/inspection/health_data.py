"""Training and held-out rows come in; diagnoses of the data leave: columns that never change, rows of one part in the
other, classes that hardly occur, targets far from the size of a network's outputs. What `train.examine` finds in them
(scales, order, dependence, labels out of range) is taken from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.data import Dataset
from pellucid.inspection.health_records import Diagnosis, Remedy
from pellucid.inspection.health_targets import CROSS_ENTROPIES, DISTANCES, loss_kind
from pellucid.train import Finding

_SHOWN = 5
_IMBALANCE = 20.0
_SHARED_ROWS = 0.01
_TARGET_SIZE = 50.0
_MOST_CLASSES = 1000

# What can be tried for what `examine` finds.
_REMEDIES = {
    "start-no-gradient": ("draw-weights",),
    "start-identical-units": ("draw-weights",),
    "start-dead-units": ("draw-weights",),
    "sorted-labels": ("shuffle",),
    "sorted-targets": ("shuffle",),
    "large-inputs": ("scale-inputs",),
    "unequal-scales": ("scale-inputs",),
}

_NAMES = {"losses.activated": "activation-before-loss", "data.non-finite": "non-finite-data"}


def from_finding(finding: Finding) -> Diagnosis:
    """What the checks before training found, as a diagnosis of the same name."""
    name = _NAMES.get(finding.key) or finding.key.partition(".")[2]
    remedies = tuple(Remedy(r) for r in _REMEDIES.get(name, ()))
    evidence = {k: float(v) for k, v in finding.facts.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    return Diagnosis(
        name, finding.severity, "before", finding.key, finding.facts, evidence, remedies=remedies, cause=finding.cause
    )


def data_diagnoses(train: Dataset, validation: Dataset | None, loss: Any, class_weight: Any) -> Iterator[Diagnosis]:
    """What the rows alone say.

    Parameters
        class_weight : as `fit` takes it: with one, rare classes are no news
    """
    if train.x.dtype.kind == "f":
        yield from _constant(train)
    if validation is not None:
        yield from _shared(train, validation)
    if loss_kind(loss) in CROSS_ENTROPIES and class_weight is None and getattr(loss, "weight", None) is None:
        yield from _imbalance(train)
    if loss_kind(loss) in DISTANCES and train.y is not None and train.y.dtype.kind == "f":
        yield from _targets(train.y)


def _constant(data: Dataset) -> Iterator[Diagnosis]:
    """Columns of one value, but for a background: pixels that no picture reaches have the least or the greatest value
    of all, and zeros say nothing and cost nothing."""
    x = data.x.reshape(len(data), -1)
    low, high = x.min(axis=0), x.max(axis=0)
    columns = np.flatnonzero((low == high) & (low != 0))
    ends = (low.min(), high.max())
    values = low[columns]
    background = [v for v in ends if (values == v).sum() >= 2 or data.image_shape is not None]
    columns = columns[~np.isin(values, background)]
    if len(x) < 4 or not len(columns) or len(columns) == x.shape[1]:
        return
    names = data.feature_names
    shown = [f"{c} ({names[c]})" if names is not None and c < len(names) else str(c) for c in columns[:_SHOWN]]
    facts = {
        "columns": ", ".join(shown) + (", ..." if len(columns) > _SHOWN else ""),
        "count": len(columns),
        "value": f"{low[columns[0]]:.4g}",
        "rows": len(x),
    }
    evidence = {"count": float(len(columns)), "value": float(low[columns[0]])}
    yield Diagnosis("constant-features", "note", "before", "health.constant-features", facts, evidence)


def _keys(x: Array) -> Array:
    """Each row as one value that can be compared."""
    flat = np.ascontiguousarray(x.reshape(len(x), -1))
    return flat.view(np.dtype((np.void, flat.dtype.itemsize * flat.shape[1]))).ravel()


def _shared(train: Dataset, validation: Dataset) -> Iterator[Diagnosis]:
    """Held-out rows that are training rows too, beyond what repeats within the training part anyhow."""
    if train.x.shape[1:] != validation.x.shape[1:] or train.x.dtype != validation.x.dtype:
        return
    a, b = _keys(train.x), _keys(validation.x)
    _, places, counts = np.unique(a, return_inverse=True, return_counts=True)
    repeated = float((counts[places] > 1).mean())
    both = np.flatnonzero(np.isin(b, a))
    share = len(both) / len(b)
    if share <= _SHARED_ROWS or share <= 2 * repeated:
        return
    facts = {
        "count": len(both),
        "total": len(b),
        "share": f"{100 * share:.1f}",
        "repeated": f"{100 * repeated:.1f}",
        "rows": ", ".join(map(str, both[:_SHOWN])) + (", ..." if len(both) > _SHOWN else ""),
    }
    evidence = {"share": share, "repeated": repeated, "count": float(len(both))}
    rows = tuple(int(r) for r in both[:_SHOWN])
    yield Diagnosis("rows-in-both-parts", "warning", "before", "health.rows-in-both-parts", facts, evidence, rows=rows)


def _imbalance(data: Dataset) -> Iterator[Diagnosis]:
    """Classes of which one has twenty times the rows of another."""
    y = data.y
    if y is None or y.ndim != 1 or y.dtype.kind != "i":
        return
    labels, counts = np.unique(y, return_counts=True)
    if not 2 <= len(labels) <= _MOST_CLASSES or counts.max() < _IMBALANCE * counts.min():
        return
    rare, common = int(counts.argmin()), int(counts.argmax())
    facts = {
        "rare": int(labels[rare]),
        "rare_rows": int(counts[rare]),
        "common": int(labels[common]),
        "common_rows": int(counts[common]),
        "ratio": f"{counts[common] / counts[rare]:.0f}",
        "share": f"{100 * counts[common] / len(y):.1f}",
    }
    evidence = {"ratio": float(counts[common] / counts[rare]), "share": float(counts[common] / len(y))}
    yield Diagnosis(
        "class-imbalance",
        "warning",
        "before",
        "health.class-imbalance",
        facts,
        evidence,
        remedies=(Remedy("balance-classes"),),
    )


def _targets(y: Array) -> Iterator[Diagnosis]:
    """Targets of a regression far from the size that outputs start with."""
    flat = y.reshape(len(y), -1)
    size = np.abs(flat).mean(axis=0, dtype=np.float64)
    column = int(size.argmax())
    if size[column] <= _TARGET_SIZE:
        return
    facts = {
        "column": column,
        "mean": f"{flat[:, column].mean():.4g}",
        "std": f"{flat[:, column].std():.4g}",
        "low": f"{flat[:, column].min():.4g}",
        "high": f"{flat[:, column].max():.4g}",
    }
    evidence = {"size": float(size[column])}
    yield Diagnosis(
        "large-targets",
        "warning",
        "before",
        "health.large-targets",
        facts,
        evidence,
        remedies=(Remedy("scale-targets"),),
    )
