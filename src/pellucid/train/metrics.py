"""Outputs of a network and the targets come in, for a whole set at once; one number leaves. Called by `fit` and
`evaluate`, which collect the batches first, so that a smaller last batch weighs no more than its rows; and by users, on
any arrays.

A metric takes `(y_pred, y_true)`. Classification metrics read outputs of shape (rows, classes) as scores, of which the
largest wins; of shape (rows,) or (rows, 1) as one score a row for class 1.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Integer, Options, check, closest, shown
from pellucid.core.tensor import to_array
from pellucid.errors import ArgumentError, ArgumentTypeError, DataError, LabelError, ShapeError

Direction = Literal["max", "min"]


@dataclass(frozen=True)
class Metric:
    """A measure with its name, and whether more of it is better.

    Parameters
        name : what histories and progress lines call it
        function : called with (y_pred, y_true) as arrays; returns a number
        direction : "max" or "min"; None where it is not known, and EarlyStopping then asks for its `mode`
        takes_threshold : whether the function has an argument `threshold`, which `fit` sets to 0.5 for a network whose
            loss takes probabilities
    """

    name: str
    function: Callable[..., Any]
    direction: Direction | None = None
    takes_threshold: bool = False

    def __call__(self, y_pred: Any, y_true: Any) -> float:
        """The measure of all rows, as a Python float."""
        value = self.function(to_array(y_pred), to_array(y_true))
        try:
            return float(value)
        except (TypeError, ValueError):
            raise ArgumentTypeError("train.metric-value", name=self.name, value=shown(value)) from None

    def with_threshold(self, threshold: float) -> Metric:
        """The same metric at another decision threshold for single scores."""
        if not self.takes_threshold:
            return self
        function = self.function
        return replace(self, function=lambda p, t: function(p, t, threshold=threshold))


def predicted_labels(y_pred: Any, threshold: float = 0.0) -> Array:
    """The class of each row, int64.

    Parameters
        y_pred : shape (rows, classes): the class with the largest score (the first of equals); shape (rows,) or (rows,
            1): 1 where the score exceeds `threshold`, else 0; whole numbers and booleans of shape (rows,) are classes
            already
        threshold : 0 for logits, 0.5 for probabilities
    Examples
        >>> predicted_labels([[0.1, 2.0], [3.0, -1.0]]).tolist(), predicted_labels([-1.5, 0.5]).tolist()
        ([1, 0], [0, 1])
    """
    scores = to_array(y_pred)
    if scores.ndim == 1 and scores.dtype.kind in "iub":
        return scores.astype(np.int64)
    if scores.ndim == 2 and scores.shape[1] > 1:
        best: Array = scores.argmax(axis=1).astype(np.int64)
        return best
    if scores.ndim == 1 or (scores.ndim == 2 and scores.shape[1] == 1):
        labels: Array = (scores.reshape(len(scores)) > threshold).astype(np.int64)
        return labels
    raise ShapeError("train.scores-shape", shape=scores.shape)


def true_labels(y_true: Any, rows: int) -> Array:
    """Targets as class labels, int64 (rows,): labels, whole floats, shape (rows, 1), or one row of class probabilities
    each."""
    labels = to_array(y_true)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    elif labels.ndim == 2 and labels.shape[1] > 1:
        labels = labels.argmax(axis=1)
    if labels.shape != (rows,):
        raise ShapeError("train.metric-rows", y_pred=rows, y_true=to_array(y_true).shape)
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.floor(labels)):
        row = int(np.argmax(labels != np.floor(labels)))
        raise LabelError("train.fractional-label", label=f"{labels[row]:g}", row=row)
    return labels.astype(np.int64)


def _labels(y_pred: Any, y_true: Any, threshold: float) -> tuple[Array, Array]:
    predicted = predicted_labels(y_pred, threshold)
    if not len(predicted):
        raise DataError("train.metric-empty")
    return predicted, true_labels(y_true, len(predicted))


def accuracy(y_pred: Any, y_true: Any, *, threshold: float = 0.0) -> float:
    """The share of rows whose class is right.

        accuracy = #(predicted = true) / rows

    Parameters
        y_pred : scores (rows, classes), or one score a row, or classes
        y_true : classes, int (rows,) or (rows, 1), or class probabilities (rows, classes)
        threshold : of single scores: 0 for logits, 0.5 for probabilities
    Examples
        >>> accuracy([[2.0, 1.0], [0.0, 1.0], [0.3, 0.1]], [0, 1, 1])
        0.6666666666666666
    """
    predicted, true = _labels(y_pred, y_true, threshold)
    return float((predicted == true).mean())


def top_k_accuracy(y_pred: Any, y_true: Any, *, k: int = 5) -> float:
    """The share of rows whose true class has one of the k largest scores; of equal scores the lower class goes first.

    Parameters
        y_pred : scores (rows, classes)
        k : int in [1, classes]
    """
    scores = to_array(y_pred)
    if scores.ndim != 2:
        raise ShapeError("train.scores-shape", shape=scores.shape)
    check("top_k_accuracy: k", k, Integer(1, scores.shape[1]))
    true = true_labels(y_true, len(scores))
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float((best == true[:, None]).any(axis=1).mean())


def confusion_matrix(y_pred: Any, y_true: Any, *, num_classes: int | None = None, threshold: float = 0.0) -> Array:
    """How often each true class was predicted as each class.

    Returns
        int64 (classes, classes): entry [i, j] counts rows of true class i predicted as class j
    Examples
        >>> confusion_matrix([0, 1, 1], [0, 0, 1]).tolist()
        [[1, 1], [0, 1]]
    """
    predicted, true = _labels(y_pred, y_true, threshold)
    scores = to_array(y_pred)
    least = max(int(max(predicted.max(), true.max())) + 1, scores.shape[1] if scores.ndim == 2 else 0, 2)
    if min(predicted.min(), true.min()) < 0:
        negative = int(np.argmax((predicted < 0) | (true < 0)))
        raise LabelError("train.negative-label", label=int(min(predicted[negative], true[negative])), row=negative)
    check("confusion_matrix: num_classes", num_classes, Integer(least, none=True))
    size = num_classes or least
    counts: Array = np.bincount(true * size + predicted, minlength=size * size)
    return counts.reshape(size, size)


def _rates(y_pred: Any, y_true: Any, average: str, threshold: float) -> tuple[Array, Array, Array]:
    """True positives, predicted and true rows, of each class that occurs, or of class 1 alone."""
    check("average", average, Options("macro", "binary", "micro"))
    counts = confusion_matrix(y_pred, y_true, threshold=threshold)
    hits, predicted, true = counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1)
    if average == "binary":
        if len(counts) != 2:
            raise ArgumentError("train.binary-average", classes=len(counts))
        return hits[1:], predicted[1:], true[1:]
    if average == "micro":
        return hits.sum(keepdims=True), predicted.sum(keepdims=True), true.sum(keepdims=True)
    occurs = predicted + true > 0
    return hits[occurs], predicted[occurs], true[occurs]


def _mean_ratio(numerator: Array, denominator: Array) -> float:
    return float(np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0).mean())


def precision(y_pred: Any, y_true: Any, *, average: str = "macro", threshold: float = 0.0) -> float:
    """Of the rows predicted as a class, the share that are of it; 0 where none were.

    Parameters
        average : "macro": the mean over the classes that occur; "binary": class 1 of two; "micro": of all rows together
    """
    hits, predicted, _ = _rates(y_pred, y_true, average, threshold)
    return _mean_ratio(hits, predicted)


def recall(y_pred: Any, y_true: Any, *, average: str = "macro", threshold: float = 0.0) -> float:
    """Of the rows of a class, the share that were predicted as it; `average` as in `precision`."""
    hits, _, true = _rates(y_pred, y_true, average, threshold)
    return _mean_ratio(hits, true)


def f1(y_pred: Any, y_true: Any, *, average: str = "macro", threshold: float = 0.0) -> float:
    """The harmonic mean of precision and recall; `average` as in `precision`.

    F1 = 2·hits / (predicted + true)
    """
    hits, predicted, true = _rates(y_pred, y_true, average, threshold)
    return _mean_ratio(2 * hits, predicted + true)


def auc(y_pred: Any, y_true: Any) -> float:
    """The area under the ROC curve of a two-class problem: the chance that a row of class 1 scores above one of class
    0.

        AUC = (Σ ranks of class 1 - n1(n1 + 1)/2) / (n0·n1),  equal scores sharing their mean rank

    Parameters
        y_pred : one score a row, (rows,) or (rows, 1), of any scale; or (rows, 2), of which the difference is taken
    Raises
        DataError: only one class occurs.
    Source
        Hanley & McNeil, The meaning and use of the area under a ROC curve, Radiology 143, 1982.
    """
    scores = to_array(y_pred).astype(np.float64)
    if scores.ndim == 2 and scores.shape[1] == 2:
        scores = scores[:, 1] - scores[:, 0]
    elif scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    if scores.ndim != 1:
        raise ShapeError("train.binary-scores", shape=to_array(y_pred).shape)
    true = true_labels(y_true, len(scores))
    positive = true == 1
    ones, zeros = int(positive.sum()), int((true == 0).sum())
    if not ones or not zeros or ones + zeros != len(true):
        raise DataError("train.two-classes", classes=", ".join(map(str, np.unique(true)[:8])))
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _residuals(y_pred: Any, y_true: Any) -> tuple[Array, Array]:
    """Differences and targets in float64; a single column and no column are the same, anything else must agree."""
    p, t = to_array(y_pred).astype(np.float64), to_array(y_true).astype(np.float64)
    if (
        p.shape != t.shape
        and p.size == t.size
        and {p.ndim, t.ndim} == {1, 2}
        and (p.shape[-1], t.shape[-1])[p.ndim == 1] == 1
    ):
        p = p.reshape(t.shape)
    if p.shape != t.shape:
        raise ShapeError("train.metric-shapes", y_pred=p.shape, y_true=t.shape)
    if not p.size:
        raise DataError("train.metric-empty")
    return p - t, t


def mae(y_pred: Any, y_true: Any) -> float:
    """The mean absolute error, in the target's units.

    MAE = mean |y_pred - y_true|
    """
    return float(np.abs(_residuals(y_pred, y_true)[0]).mean())


def mse(y_pred: Any, y_true: Any) -> float:
    """The mean squared error, in the target's units squared.

    MSE = mean (y_pred - y_true)²
    """
    return float(np.square(_residuals(y_pred, y_true)[0]).mean())


def rmse(y_pred: Any, y_true: Any) -> float:
    """The root of the mean squared error, in the target's units."""
    return math.sqrt(mse(y_pred, y_true))


def r2(y_pred: Any, y_true: Any) -> float:
    """The share of the target's variance that is explained: 1 is perfect, 0 as good as the mean, below that worse.

        R² = 1 - Σ (y_pred - y_true)² / Σ (y_true - mean)²,  the mean over outputs where there are several

    Raises
        DataError: a target that is constant.
    """
    error, true = _residuals(y_pred, y_true)
    spread = np.square(true - true.mean(axis=0)).sum(axis=0)
    if not np.all(spread > 0):
        raise DataError("train.constant-target", rows=len(true))
    return float(np.mean(1 - np.square(error).sum(axis=0) / spread))


_MAXIMISED: dict[str, Callable[..., float]] = {
    "accuracy": accuracy,
    "top_k_accuracy": top_k_accuracy,
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "auc": auc,
    "r2": r2,
}
_MINIMISED: dict[str, Callable[..., float]] = {"mae": mae, "mse": mse, "rmse": rmse}


def _metric(name: str, function: Callable[..., Any], direction: Direction | None) -> Metric:
    try:
        takes_threshold = "threshold" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        takes_threshold = False
    return Metric(name, function, direction, takes_threshold)


METRICS: dict[str, Metric] = {
    **{name: _metric(name, function, "max") for name, function in _MAXIMISED.items()},
    **{name: _metric(name, function, "min") for name, function in _MINIMISED.items()},
}
"""The metrics that a name stands for."""


def as_metric(metric: Any) -> Metric:
    """A Metric from a Metric, a name in `METRICS`, or any callable (y_pred, y_true) -> number.

    Raises
        ArgumentError: no metric has the name.
        ArgumentTypeError: none of the three.
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        if metric not in METRICS:
            raise ArgumentError(
                "train.unknown-metric", name=repr(metric), names=", ".join(METRICS), suggestion=closest(metric, METRICS)
            )
        return METRICS[metric]
    if callable(metric):
        for known in METRICS.values():
            if known.function is metric:
                return known
        name = getattr(metric, "name", None) or getattr(metric, "__name__", None) or type(metric).__name__
        return _metric(str(name), metric, getattr(metric, "direction", None))
    raise ArgumentTypeError("train.metric-type", value=shown(metric), type=type(metric).__name__)


def as_metrics(metrics: Any) -> list[Metric]:
    """Each of one or several metrics as a Metric; two of the same name are refused."""
    several: Sequence[Any] = [metrics] if isinstance(metrics, str | Metric) or callable(metrics) else list(metrics)
    result = [as_metric(m) for m in several]
    names = [m.name for m in result]
    for name in names:
        if names.count(name) > 1 or name in ("loss", "lr", "time_s", "epoch"):
            raise ArgumentError("train.metric-name", name=name, names=", ".join(names))
    return result
