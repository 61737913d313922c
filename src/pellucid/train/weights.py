"""What a user says of the weight of rows and of classes comes in; one number for each row of the training data leaves.
`fit` calls it."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Real, shown
from pellucid.core.tensor import to_array
from pellucid.errors import ArgumentTypeError, DataError, LabelError, ShapeError

_WEIGHT = Real(0)


def row_weights(labels: Array, sample_weight: Any, class_weight: Any, *, rows: int, kept: Array | None) -> Array:
    """A weight for each row of the training data, float64.

    Parameters
        labels : the targets of the training data
        sample_weight : one number for each row that was given, or None
        class_weight : a list or {label: weight}, "balanced", or None
        rows : how many rows were given
        kept : the numbers of those that are trained on; None is all
    Raises
        ShapeError: not one weight for each row.
        DTypeError, ArgumentTypeError: no numbers.
        DataError: a weight that is negative or not finite, or none above 0.
        LabelError: a class without a weight.
    """
    weights = np.ones(len(labels))
    if sample_weight is not None:
        given = to_array(sample_weight).astype(np.float64)
        if given.shape != (rows,):
            raise ShapeError("train.weights-shape", shape=given.shape, rows=rows)
        bad = ~(np.isfinite(given) & (given >= 0))
        if bad.any():
            row = int(bad.argmax())
            raise DataError("train.weights-value", value=f"{given[row]:g}", row=row)
        weights *= given if kept is None else given[kept]
    if class_weight is not None:
        weights *= _class_weights(labels, class_weight)
    if not weights.sum() > 0:
        raise DataError("train.weights-none", rows=len(labels))
    return weights


def _class_weights(labels: Array, class_weight: Any) -> Array:
    """The weight of each row's class; "balanced" gives every class the same total, as scikit-learn does:
    rows / (classes · rows of the class)."""
    if labels.dtype.kind != "i" or labels.ndim != 1:
        raise LabelError("train.class-weight-labels", y=shown(labels))
    classes, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    values = len(labels) / (len(classes) * counts)
    if not isinstance(class_weight, str) or class_weight != "balanced":
        table = _table(class_weight)
        for i, label in enumerate(classes.tolist()):
            if label not in table:
                raise LabelError("train.class-weight-missing", label=label, given=", ".join(map(str, table)))
            if not _WEIGHT.type_ok(table[label]) or not _WEIGHT.value_ok(table[label]):
                raise DataError("train.class-weight-value", label=label, value=shown(table[label]))
            values[i] = float(table[label])
    weights: Array = values[places]
    return weights


def _table(class_weight: Any) -> dict[Any, Any]:
    if isinstance(class_weight, dict):
        return class_weight
    if isinstance(class_weight, list | tuple):
        return dict(enumerate(class_weight))
    if getattr(class_weight, "ndim", None) == 1:
        return dict(enumerate(to_array(class_weight).tolist()))
    raise ArgumentTypeError("train.class-weight-type", value=shown(class_weight), type=type(class_weight).__name__)
