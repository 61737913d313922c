"""Outputs of a network and labels come in, for a whole set at once; the share that is right leaves, counted in one way
or another. Called through `metrics.py` by `fit` and `evaluate`, and by users on any arrays.

Outputs of shape (rows, classes) are scores, of which the largest wins; of shape (rows,) or (rows, 1) one score a row
for class 1; whole numbers of shape (rows,) are classes already.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Integer, Options, check, shown
from pellucid.core.tensor import to_array
from pellucid.errors import ArgumentError, DataError, LabelError, ShapeError


def _scores(y_pred: Any) -> Array:
    """Outputs as an array, without NaN: its place among the largest would be chance.

    Raises
        DataError: an output is NaN.
    """
    scores = to_array(y_pred)
    if scores.dtype.kind == "f" and np.isnan(scores).any():
        raise DataError("train.nan-scores", row=int(np.argwhere(np.isnan(scores))[0][0]), shape=scores.shape)
    return scores


def predicted_labels(y_pred: Any, threshold: float = 0.0) -> Array:
    """The class of each row, int64.

    Parameters
        y_pred : shape (rows, classes): the class with the largest score (the first of equals); shape (rows,) or (rows,
            1): 1 where the score exceeds `threshold`, else 0; whole numbers and booleans of shape (rows,) are classes
            already
        threshold : 0 for logits, 0.5 for probabilities
    Raises
        ShapeError: more axes.
        DataError: an output is NaN.
    Examples
        >>> predicted_labels([[0.1, 2.0], [3.0, -1.0]]).tolist(), predicted_labels([-1.5, 0.5]).tolist()
        ([1, 0], [0, 1])
    """
    scores = _scores(y_pred)
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
    each.

    Raises
        ShapeError: not one target for each row.
        LabelError: a label that is no whole number; a row of several targets that are no class probabilities.
    """
    labels = to_array(y_true)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    elif labels.ndim == 2 and labels.shape[1] > 1:
        wrong = (labels < 0).any(axis=1) | ~(np.abs(labels.sum(axis=1, dtype=np.float64) - 1) < 1e-3)
        if wrong.any():
            row = int(wrong.argmax())
            raise LabelError("train.not-probabilities", row=row, targets=shown(labels[row].tolist()))
        labels = labels.argmax(axis=1)
    if labels.shape != (rows,):
        raise ShapeError("train.metric-rows", y_pred=rows, y_true=to_array(y_true).shape)
    if labels.dtype.kind == "f":
        wrong = ~np.isfinite(labels) | (labels != np.floor(labels))
        if wrong.any():
            row = int(wrong.argmax())
            raise LabelError("train.fractional-label", label=f"{labels[row]:g}", row=row)
    return labels.astype(np.int64)


def _known_labels(y_true: Any, scores: Array) -> Array:
    """Targets as class labels, each of which the scores have a place for.

    Raises
        LabelError: a label beyond the classes, which no prediction could ever equal.
    """
    true = true_labels(y_true, len(scores))
    if scores.ndim == 1 and scores.dtype.kind in "iub":  # classes, not scores
        return true
    classes = max(scores.shape[1] if scores.ndim == 2 else 1, 2)
    outside = (true < 0) | (true >= classes)
    if outside.any():
        row = int(outside.argmax())
        raise LabelError("train.label-range", label=int(true[row]), row=row, shape=scores.shape, last=classes - 1)
    return true


def _labels(y_pred: Any, y_true: Any, threshold: float) -> tuple[Array, Array]:
    predicted = predicted_labels(y_pred, threshold)
    if not len(predicted):
        raise DataError("train.metric-empty")
    return predicted, _known_labels(y_true, to_array(y_pred))


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
    scores = _scores(y_pred)
    if scores.ndim != 2:
        raise ShapeError("train.scores-shape", shape=scores.shape)
    if not len(scores):
        raise DataError("train.metric-empty")
    check("top_k_accuracy: k", k, Integer(1, scores.shape[1]))
    true = _known_labels(y_true, scores)
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
    scores = _scores(y_pred).astype(np.float64)
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
