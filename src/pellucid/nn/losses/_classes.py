"""Class labels, for the losses that take them: which axis holds the classes, whether the labels fit, the
log-probability at each label, and the mean in which classes weigh differently and some labels are ignored.
cross_entropy.py, focal.py and margin.py call it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.core.check import check
from pellucid.core.context import expect, state
from pellucid.core.op import REGISTRY
from pellucid.core.tensor import Tensor, apply, wrap
from pellucid.errors import DataError, DTypeError, LabelError, ModelError, ShapeError, warn
from pellucid.nn.losses._checks import _first, _row, are_whole, no_nan, reshaped, row_weight
from pellucid.nn.losses._reduction import REDUCTION
from pellucid.ops.elementwise import divide, negative, not_equal, where
from pellucid.ops.index import take
from pellucid.ops.reduce import sum_
from pellucid.ops.shape import reshape

_TAKE = REGISTRY["take_along"]
_UNSIGNED = {n: np.dtype(f"u{n}") for n in (1, 2, 4, 8)}


def class_axis(loss: str, shape: Shape) -> int:
    """The axis that holds the classes: 1, or 0 of a single unbatched row.

    Raises
        ShapeError: there is no such axis.
        ModelError: there is one class, and nothing to choose between.
    """
    if not shape:
        raise ShapeError("losses.no-classes", loss=loss, shape=shape)
    axis = 1 if len(shape) > 1 else 0
    if shape[axis] < 2:
        raise ModelError("losses.one-output", loss=loss, shape=shape, axis=axis)
    return axis


def label_shape(shape: Shape, axis: int) -> Shape:
    """The shape of the labels for outputs of shape `shape`."""
    return shape[:axis] + shape[axis + 1 :]


def check_labels(loss: str, shape: Shape, axis: int, labels: Array, ignore_index: int | None) -> bool:
    """Whether some labels are to be ignored.

    Raises
        ShapeError: not one label for each row (and place).
        DTypeError: the labels are not whole numbers.
        LabelError: a label is no class of the network.
    """
    wanted, classes = label_shape(shape, axis), shape[axis]
    if labels.shape != wanted:
        _refuse_label_shape(loss, shape, axis, labels)
    kind = labels.dtype.kind
    if kind not in "iu":
        no_nan(loss, labels)
        fix = 'target.astype("int64")' if are_whole(labels) else None
        raise DTypeError("losses.label-dtype", loss=loss, dtype=labels.dtype, shape=labels.shape, fix=fix)
    if not labels.size:
        return False
    # Read as unsigned, a negative number is larger than any class: one look finds both ends.
    unsigned = labels.view(_UNSIGNED[labels.dtype.itemsize]) if kind == "i" else labels
    if np.maximum.reduce(unsigned, None) >= classes:
        wrong = unsigned >= classes
        if ignore_index is not None:
            wrong &= labels != ignore_index
        if wrong.any():
            _refuse_label(loss, labels, wrong, classes, ignore_index)
        return True
    return ignore_index is not None and 0 <= ignore_index < classes and bool((labels == ignore_index).any())


def check_classes(loss: str, shape: Shape, targets: Array, ignore_index: int | None) -> None:
    """Raise unless these are labels, or class probabilities, for outputs of shape `shape`."""
    axis = class_axis(loss, shape)
    if targets.dtype.kind == "f" and targets.shape == shape:
        no_nan(loss, targets)
        check_distribution(loss, axis, targets)
    else:
        check_labels(loss, shape, axis, targets, ignore_index)


def _refuse_label(loss: str, labels: Array, wrong: Array, classes: int, ignore_index: int | None) -> None:
    kept = labels if ignore_index is None else labels[labels != ignore_index]
    low, high = int(kept.min()), int(kept.max())
    raise LabelError(
        "losses.label-range",
        loss=loss,
        label=_first(labels, wrong),
        row=_row(wrong),
        classes=classes,
        low=low,
        high=high,
        last=classes - 1,
        # Labels that count from 1 fit once they count from 0.
        fix="target - 1" if low == 1 and high == classes and kept.size == labels.size else None,
    )


def _refuse_label_shape(loss: str, shape: Shape, axis: int, labels: Array) -> None:
    wanted, classes = label_shape(shape, axis), shape[axis]
    given = f"input {shape}, target {labels.shape}"
    if labels.shape == shape and labels.dtype.kind in "iub":
        batch = len(shape) > 1 and labels.size
        one_hot = batch and ((labels == 0) | (labels == 1)).all() and (labels.sum(axis) == 1).all()
        fix = f"target.argmax({axis})" if one_hot else None
        raise DTypeError("losses.label-dtype", loss=loss, dtype=labels.dtype, shape=labels.shape, fix=fix)
    fix = None
    if labels.dtype.kind == "f" and labels.ndim > 1 and label_shape(labels.shape, 1) == shape:
        fix = f"{loss}(target, input)"
    elif labels.size and labels.size == math.prod(wanted):
        if [n for n in labels.shape if n != 1] == [n for n in wanted if n != 1] and are_whole(labels):
            fix = reshaped("target", wanted) + ("" if labels.dtype.kind in "iu" else '.astype("int64")')
    elif labels.ndim == len(wanted) + 1 and labels.shape[:-1] == wanted and labels.shape[-1] == classes:
        fix = "target.argmax(-1)" if labels.dtype.kind in "iu" and (labels.sum(-1) == 1).all() else None
    raise ShapeError("losses.shapes", loss=loss, given=given, expected=f"target {wanted}", fix=fix)


def check_distribution(loss: str, axis: int, target: Array) -> None:
    """Raise if class probabilities are negative, warn if those of a row do not sum to 1."""
    if not target.size:
        return
    if np.minimum.reduce(target, None) < 0:
        wrong = target < 0
        raise LabelError("losses.negative-probability", loss=loss, value=_first(target, wrong), row=_row(wrong))
    total = np.add.reduce(target, axis)
    off = np.abs(total - 1) > 1e-3
    if off.any():
        warn("losses.row-sum", loss=loss, row=_row(off), total=f"{float(_first(total, off)):.6g}")


class Labels:
    """Labels that were checked: with the class axis at length 1, and what is needed where some of them are ignored.

    Parameters
        x : outputs, shape (N, C, ...) or (C,).
        target : labels, shape (N, ...) or ().
    """

    def __init__(self, loss: str, x: Tensor, target: Tensor, axis: int, ignore_index: int | None) -> None:
        shape = x.data.shape
        ignored = expect(target, lambda labels: check_labels(loss, shape, axis, labels, ignore_index))
        self.loss, self.axis, self.shape = loss, axis, target.data.shape
        kept = (*shape[:axis], 1, *shape[axis + 1 :])
        # A recorded graph is run with other labels too: there the ignored ones are always looked for.
        recording = state.recorder is not None
        index = reshape(target, kept) if recording else wrap(target.data.reshape(kept))
        self.valid: Tensor | None = None
        if ignored or (recording and ignore_index is not None):
            self.valid = not_equal(index, ignore_index)
            index = where(self.valid, index, 0)
        self.index = index

    def pick(self, x: Tensor) -> Tensor:
        """The element of x at each label; the class axis keeps length 1."""
        return apply(_TAKE, [x, self.index], {"axis": self.axis})

    def at(self, weight: Tensor) -> Tensor:
        """The class weight at each label."""
        return take(weight, self.index, axis=0)

    def minus(
        self, of_label: Tensor, reduction: str, weight_at: Tensor | None = None, sample_weight: Any = None
    ) -> Tensor:
        """Minus the log-probabilities of the labels, reduced; the mean is over what the labels weigh.

        Parameters
            of_label : class axis of length 1, already times `weight_at`.
        Raises
            ShapeError: the mean of no rows.
            LabelError: the mean of labels that are all ignored.
            DataError: the weights of the labels are all 0.
        """
        factor = weight_at
        if sample_weight is not None:
            rows = row_weight(self.loss, sample_weight, of_label.dtype, self.shape, of_label.ndim)
            of_label = of_label * rows
            factor = rows if factor is None else factor * rows
        if self.valid is not None:
            of_label = where(self.valid, of_label, 0.0)
            if reduction == "mean" and of_label.size and not self.valid.data.any():
                raise LabelError("losses.all-ignored", loss=self.loss, count=of_label.size)
            factor = self.valid if factor is None else where(self.valid, factor, 0.0)
        if reduction == "mean":
            n = of_label.data.size
            if n == 0:
                raise ShapeError("losses.empty", loss=self.loss, shape=self.shape)
            if factor is None:
                return divide(sum_(of_label), -n)
            total = sum_(factor)
            if total.data == 0:
                raise DataError("losses.zero-weight", loss=self.loss, rows=n)
            # A factor for each row counts once for each of its places.
            return divide(negative(sum_(of_label)), total if factor.size == n else total * (n / factor.size))
        if reduction == "sum":
            return negative(sum_(of_label))
        check(f"{self.loss}: reduction", reduction, REDUCTION)
        return reshape(negative(of_label), self.shape)
