"""Losses that ask for a margin and are 0 once it is kept: of one input against another, of a distance, and of the right
classes against the others. Scores and labels come in; a single number, or one for each row, leaves.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from pellucid._typing import Array, Reduction, Shape
from pellucid.core.check import Options, Real, check, checked
from pellucid.core.context import expect
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import DTypeError, LabelError, ShapeError
from pellucid.nn.losses._checks import (
    _first,
    _row,
    are_whole,
    as_input,
    as_target,
    class_weight,
    no_nan,
    pair,
    plus_or_minus_one,
    refuse_shapes,
    same_shapes,
)
from pellucid.nn.losses._classes import Labels, check_labels, class_axis
from pellucid.nn.losses._reduction import REDUCTION, reduced
from pellucid.nn.losses.loss import Loss
from pellucid.ops.activation import relu
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import clip, equal, less, logical_and, logical_not, square, where
from pellucid.ops.reduce import any_, cumulative_sum, sum_
from pellucid.ops.shape import cast, expand_dims, reshape

_ONNX = NONE("ONNX has no such loss; its operations are exported")
_MARGIN = Real()
_POWER = Options(1, 2)


@composite(formula="y = mean max(0, margin - t (x1 - x2))", onnx=_ONNX)
def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, *, margin: float = 0.0, reduction: Reduction = "mean"
) -> Tensor:
    """Ranking of pairs: with target 1 the first input should be larger by the margin, with -1 the second.

    Parameters
        input1, input2 : scores, Tensor, any shape, the same.
        target : of the same shape, 1 or -1.
        margin : in the unit of the scores.
        reduction : "mean" over all pairs, "sum", or "none".
    Returns
        Tensor, shape (), or the inputs' with "none".
    Raises
        ShapeError: the shapes differ; a loss never broadcasts.
        LabelError: a target is neither 1 nor -1.
    Source
        R. Herbrich, T. Graepel and K. Obermayer, Large margin rank boundaries for ordinal regression, 2000.
    """
    check("margin_ranking_loss: margin", margin, _MARGIN)
    x1 = as_input(input1)
    x2, t = as_target(input2, x1), as_target(target, x1)
    same_shapes("margin_ranking_loss", input1=x1, input2=x2, target=t)
    expect(t, partial(plus_or_minus_one, "margin_ranking_loss"))
    return reduced("margin_ranking_loss", clip(margin - t * (x1 - x2), min=0.0), reduction, t)


@composite(formula="y = mean x where t = 1, max(0, margin - x) where t = -1", onnx=_ONNX)
def hinge_embedding_loss(input: Any, target: Any, *, margin: float = 1.0, reduction: Reduction = "mean") -> Tensor:
    """Distances of pairs: small for alike pairs (target 1), at least the margin for others (-1).

    Parameters
        input : distances, Tensor, any shape.
        target : of the same shape, 1 or -1.
        margin : in the unit of the distances.
        reduction : "mean" over all pairs, "sum", or "none".
    Returns
        Tensor, shape (), or the input's with "none".
    Raises
        ShapeError: the shapes differ.
        LabelError: a target is neither 1 nor -1.
    Source
        R. Hadsell, S. Chopra and Y. LeCun, Dimensionality reduction by learning an invariant mapping, CVPR 2006,
        equation (4), without its squares.
    """
    check("hinge_embedding_loss: margin", margin, _MARGIN)
    x, t = pair("hinge_embedding_loss", input, target)
    expect(t, partial(plus_or_minus_one, "hinge_embedding_loss"))
    losses = where(equal(t, 1.0), x, clip(margin - x, min=0.0))
    return reduced("hinge_embedding_loss", losses, reduction, t)


def _rows_of_classes(loss: str, shape: Shape) -> int:
    """The class axis of (N, C) or (C,)."""
    if len(shape) not in (1, 2):
        raise ShapeError("losses.rows", loss=loss, shape=shape)
    return class_axis(loss, shape)


@composite(formula="y = mean_i w[t] Σ_{c≠t} max(0, margin - x[t] + x_c)^p / C", onnx=_ONNX)
def multi_margin_loss(
    input: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    *,
    reduction: Reduction = "mean",
) -> Tensor:
    """The hinge loss of several classes: the right class should lead every other by the margin.

    Parameters
        input : scores, Tensor, shape (N, C) or (C,).
        target : classes 0 to C-1, whole numbers of shape (N,) or ().
        p : power of the shortfall, 1 or 2.
        margin : in the unit of the scores.
        weight : a factor for each class, shape (C,). The mean is not divided by it.
        reduction : "mean" over the rows, "sum", or "none".
    Returns
        Tensor, shape (), or that of the labels with "none".
    Raises
        ShapeError: the labels do not have the shape that the scores ask for.
        LabelError: a label is no class of the network.
        DTypeError: the labels are not whole numbers.
    Source
        J. Weston and C. Watkins, Support vector machines for multi-class pattern recognition, ESANN 1999.
    """
    name = "multi_margin_loss"
    check(f"{name}: p", p, _POWER)
    check(f"{name}: margin", margin, _MARGIN)
    x, t = as_input(input), as_tensor(target)
    axis = _rows_of_classes(name, x.shape)
    labels = Labels(name, x, t, axis, None)
    right = equal(labels.index, wrap(np.arange(x.shape[axis])))
    short = where(right, 0.0, relu(margin - labels.pick(x) + x))
    losses = sum_(short if p == 1 else square(short), axis, keepdims=True) / x.shape[axis]
    if weight is not None:
        losses = losses * labels.at(class_weight(name, weight, x, x.shape[axis]))
    return reduced(name, reshape(losses, labels.shape), reduction, t)


@composite(formula="y = mean_i Σ_{j∈t} Σ_{c∉t} max(0, 1 - x_j + x_c) / C", onnx=_ONNX)
def multilabel_margin_loss(input: Any, target: Any, *, reduction: Reduction = "mean") -> Tensor:
    """The hinge loss of several labels a row: every right class should lead every other by 1.

    Parameters
        input : scores, Tensor, shape (N, C) or (C,).
        target : of the same shape, whole numbers: the right classes of each row, then -1; what follows the first -1
            does not count.
        reduction : "mean" over the rows, "sum", or "none".
    Returns
        Tensor, shape (), or (N,) with "none".
    Raises
        ShapeError: the shapes differ.
        LabelError: a label is neither -1 nor a class of the network.
        DTypeError: the labels are not whole numbers.
    Source
        PyTorch's MultiLabelMarginLoss; after K. Crammer and Y. Singer, A family of additive online algorithms for
        category ranking, 2003.
    """
    name = "multilabel_margin_loss"
    x, t = as_input(input), as_tensor(target)
    axis = _rows_of_classes(name, x.shape)
    expect(t, partial(_check_lists, name, x.shape))
    if axis == 0:
        x, t = expand_dims(x, 0), expand_dims(t, 0)
    counts = equal(cumulative_sum(cast(less(t, 0), np.int64), 1), 0)
    # (row, place in the list, class)
    at_class = equal(expand_dims(t, 2), wrap(np.arange(x.shape[1])))
    right = any_(logical_and(at_class, expand_dims(counts, 2)), 1, keepdims=True)
    score = expand_dims(sum_(where(at_class, expand_dims(x, 1), 0.0), 2), 2)
    short = relu(1.0 - score + expand_dims(x, 1))
    asked = logical_and(expand_dims(counts, 2), logical_not(right))
    losses = sum_(where(asked, short, 0.0), (1, 2)) / x.shape[1]
    return reduced(name, losses if axis == 1 else reshape(losses, ()), reduction, t)


def _check_lists(loss: str, shape: Shape, target: Array) -> None:
    if target.shape != shape:
        refuse_shapes(loss, shape, target)
    if target.dtype.kind not in "iu":
        no_nan(loss, target)
        fix = 'target.astype("int64")' if are_whole(target) else None
        raise DTypeError("losses.label-dtype", loss=loss, dtype=target.dtype, shape=target.shape, fix=fix)
    wrong = (target < -1) | (target >= shape[-1])
    if wrong.any():
        raise LabelError(
            "losses.label-range",
            loss=loss,
            label=_first(target, wrong),
            row=_row(wrong),
            classes=shape[-1],
            low=int(target.min()),
            high=int(target.max()),
            last=shape[-1] - 1,
            fix=None,
        )


class MarginRankingLoss(Loss):
    """Ranking of pairs, `functional.margin_ranking_loss`; called as loss(input1, input2, target).

    Parameters
        margin : by how much the larger input should lead.
        reduction : "mean", "sum", or "none".
    """

    @checked(margin=_MARGIN, reduction=REDUCTION)
    def __init__(self, margin: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, margin=margin)
        self.margin = margin

    def forward(self, input1: Any, input2: Any, target: Any) -> Tensor:
        """The loss of a batch."""
        return margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)

    def _check_values(self, targets: Array) -> None:
        plus_or_minus_one("MarginRankingLoss", targets)


class HingeEmbeddingLoss(Loss):
    """Distances of alike and unlike pairs, `functional.hinge_embedding_loss`.

    Parameters
        margin : the distance that unlike pairs should keep.
        reduction : "mean", "sum", or "none".
    """

    @checked(margin=_MARGIN, reduction=REDUCTION)
    def __init__(self, margin: float = 1.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, margin=margin)
        self.margin = margin

    def forward(self, input: Any, target: Any) -> Tensor:
        """The loss of a batch."""
        return hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)

    def _check_values(self, targets: Array) -> None:
        plus_or_minus_one("HingeEmbeddingLoss", targets)


class MultiMarginLoss(Loss):
    """The hinge loss of several classes, `functional.multi_margin_loss`.

    Parameters
        p : power of the shortfall, 1 or 2.
        margin : by how much the right class should lead.
        weight : a factor for each class, shape (C,).
        reduction : "mean" over the rows, "sum", or "none".
    """

    weight: Tensor | None

    @checked(p=_POWER, margin=_MARGIN, reduction=REDUCTION)
    def __init__(self, p: int = 1, margin: float = 1.0, weight: Any = None, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, p=p, margin=margin)
        self.p, self.margin = p, margin
        self._keep_factors("weight", weight)

    def forward(self, input: Any, target: Any) -> Tensor:
        """The loss of a batch."""
        return multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)

    def _check_shape(self, targets: Array, shape: Shape) -> None:
        check_labels("MultiMarginLoss", shape, _rows_of_classes("MultiMarginLoss", shape), targets, None)


class MultiLabelMarginLoss(Loss):
    """The hinge loss of several labels a row, `functional.multilabel_margin_loss`.

    Parameters
        reduction : "mean" over the rows, "sum", or "none".
    """

    @checked(reduction=REDUCTION)
    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)

    def forward(self, input: Any, target: Any) -> Tensor:
        """The loss of a batch."""
        return multilabel_margin_loss(input, target, reduction=self.reduction)

    def _check_shape(self, targets: Array, shape: Shape) -> None:
        _check_lists("MultiLabelMarginLoss", shape, targets)


__all__ = [
    "HingeEmbeddingLoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiMarginLoss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
]
