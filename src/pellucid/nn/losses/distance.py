"""Losses of embeddings: what belongs together should be near, what does not far. Rows of features come in; a single
number, or one for each row, leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pellucid._typing import Reduction
from pellucid.core.check import Flag, Real, check, checked
from pellucid.core.context import expect
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor
from pellucid.errors import ArgumentTypeError, ShapeError
from pellucid.nn.losses._checks import as_input, as_target, plus_or_minus_one, refuse_shapes, same_shapes
from pellucid.nn.losses._reduction import REDUCTION, reduced
from pellucid.nn.losses.loss import Loss
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import clip, equal, minimum, sqrt, where
from pellucid.ops.reduce import norm, sum_

_ONNX = NONE("ONNX has no such loss; its operations are exported")
_COSINE_MARGIN = Real(-1, 1)
_MARGIN = Real(0, left_open=True)
_P = Real(0)
_EPS = Real(0)
# Keeps the cosine of a zero vector finite; PyTorch's constant.
_TINY = 1e-12


@composite(formula="y = (Σ |x1 - x2 + eps|^p)^(1/p)", onnx=_ONNX)
def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False) -> Tensor:
    """Distance between each row of one tensor and the same row of another.

    Parameters
        x1, x2 : Tensor, shape (..., features), the same.
        p : which norm; 2 is Euclidean.
        eps : added to each difference, so that equal rows have a gradient.
        keepdims : keep the last axis at length 1.
    Returns
        Tensor, shape (...).
    Raises
        ShapeError: the shapes differ, or have no axis.
    """
    a = as_input(x1)
    b = as_target(x2, a)
    same_shapes("pairwise_distance", x1=a, x2=b)
    _check_features("pairwise_distance", a)
    return norm(a - b + eps, p, axis=-1, keepdims=keepdims)


def _check_features(loss: str, x: Tensor) -> None:
    if x.ndim == 0:
        raise ShapeError("losses.no-features", loss=loss, shape=x.shape)


@composite(formula="y = mean 1 - cos(x1, x2) where t = 1, max(0, cos(x1, x2) - margin) where t = -1", onnx=_ONNX)
def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, *, margin: float = 0.0, reduction: Reduction = "mean"
) -> Tensor:
    """Angles of pairs: the same direction for alike pairs (target 1), a cosine of at most the margin for others (-1).

    Parameters
        input1, input2 : Tensor, shape (N, D) or (D,), the same.
        target : 1 or -1, shape (N,) or ().
        margin : a cosine, in [-1, 1].
        reduction : "mean" over the pairs, "sum", or "none".
    Returns
        Tensor, shape (), or that of the target with "none".
    Raises
        ShapeError: the shapes do not fit.
        LabelError: a target is neither 1 nor -1.
    Source
        PyTorch's CosineEmbeddingLoss, with its constant 1e-12 beside the squared lengths.
    """
    name = "cosine_embedding_loss"
    check(f"{name}: margin", margin, _COSINE_MARGIN)
    a = as_input(input1)
    b, t = as_target(input2, a), as_target(target, a)
    same_shapes(name, input1=a, input2=b)
    _check_features(name, a)
    if t.shape != a.shape[:-1]:
        refuse_shapes(name, a.shape[:-1], t.data, f"input1 {a.shape}, input2 {b.shape}, target {t.shape}")
    expect(t, partial(plus_or_minus_one, name))
    lengths = (sum_(a * a, -1) + _TINY) * (sum_(b * b, -1) + _TINY)
    cosine = sum_(a * b, -1) / sqrt(lengths)
    return reduced(name, where(equal(t, 1.0), 1.0 - cosine, clip(cosine - margin, min=0.0)), reduction, t)


@composite(formula="y = mean max(0, d(a, p) - d(a, n) + margin)", onnx=_ONNX)
def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: Reduction = "mean",
) -> Tensor:
    """Triplets: the anchor should be nearer to the positive than to the negative example, by the margin.

    Parameters
        anchor, positive, negative : Tensor, shape (..., D), the same.
        margin : above 0, in the unit of the distance.
        p, eps : as for pairwise_distance.
        swap : take the distance of positive and negative where it is the smaller one.
        reduction : "mean" over the triplets, "sum", or "none".
    Returns
        Tensor, shape (), or (...) with "none".
    Raises
        ShapeError: the shapes differ; a loss never broadcasts.
    Source
        V. Balntas et al., Learning local feature descriptors with triplets and shallow convolutional neural networks,
        BMVC 2016.
    """

    def distance(a: Any, b: Any) -> Tensor:
        return pairwise_distance(a, b, p, eps)

    return _triplet("triplet_margin_loss", anchor, positive, negative, distance, margin, swap, reduction)


@composite(formula="y = mean max(0, d(a, p) - d(a, n) + margin)", onnx=_ONNX)
def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: Reduction = "mean",
) -> Tensor:
    """Triplets under a distance of the caller's choice.

    Parameters
        anchor, positive, negative : Tensor, of one shape, which the distance takes.
        distance_function : of two Tensors; None is pairwise_distance.
        margin, swap, reduction : as for triplet_margin_loss.
    Returns
        Tensor, shape (), or that of the distances with "none".
    Raises
        ShapeError: the shapes differ.
        ArgumentTypeError: the distance is no function, or does not return a Tensor.
    Source
        As triplet_margin_loss.
    """
    distance = pairwise_distance if distance_function is None else distance_function
    name = "triplet_margin_with_distance_loss"
    if not callable(distance):
        raise ArgumentTypeError("losses.distance", given=type(distance).__name__)
    return _triplet(name, anchor, positive, negative, distance, margin, swap, reduction)


def _triplet(
    loss: str,
    anchor: Any,
    positive: Any,
    negative: Any,
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    check(f"{loss}: margin", margin, _MARGIN)
    a = as_input(anchor)
    p, n = as_target(positive, a), as_target(negative, a)
    same_shapes(loss, anchor=a, positive=p, negative=n)
    near, far = distance(a, p), distance(a, n)
    for d in (near, far):
        if not isinstance(d, Tensor):
            raise ArgumentTypeError("losses.distance", given=type(d).__name__)
    if swap:
        far = minimum(far, distance(p, n))
    return reduced(loss, clip(near - far + margin, min=0.0), reduction, n)


class CosineEmbeddingLoss(Loss):
    """Angles of alike and unlike pairs, `functional.cosine_embedding_loss`; called as loss(input1, input2, target).

    Parameters
        margin : the cosine that unlike pairs may reach, in [-1, 1].
        reduction : "mean", "sum", or "none".
    """

    @checked(margin=_COSINE_MARGIN, reduction=REDUCTION)
    def __init__(self, margin: float = 0.0, reduction: Reduction = "mean") -> None:
        super().__init__(reduction, margin=margin)
        self.margin = margin

    def forward(self, input1: Any, input2: Any, target: Any) -> Tensor:
        """The loss of a batch."""
        return cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)

    def _check_shape(self, targets: Any, shape: Any) -> None:
        super()._check_shape(targets, shape[:-1])

    def _check_values(self, targets: Any) -> None:
        plus_or_minus_one("CosineEmbeddingLoss", targets)


class TripletMarginLoss(Loss):
    """Triplets, `functional.triplet_margin_loss`; called as loss(anchor, positive, negative).

    Parameters
        margin : above 0, in the unit of the distance.
        p : which norm; 2 is Euclidean.
        eps : added to each difference.
        swap : take the distance of positive and negative where it is the smaller one.
        reduction : "mean", "sum", or "none".
    """

    @checked(margin=_MARGIN, p=_P, eps=_EPS, swap=Flag(), reduction=REDUCTION)
    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction, margin=margin, p=p, eps=eps, swap=swap)
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Tensor:
        """The loss of a batch."""
        return triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )


class TripletMarginWithDistanceLoss(Loss):
    """Triplets under a distance of your choice, `functional.triplet_margin_with_distance_loss`.

    Called as loss(anchor, positive, negative).

    Parameters
        distance_function : of two Tensors; None is the Euclidean distance of rows.
        margin : above 0, in the unit of the distance.
        swap : take the distance of positive and negative where it is the smaller one.
        reduction : "mean", "sum", or "none".
    """

    @checked(margin=_MARGIN, swap=Flag(), reduction=REDUCTION)
    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction, margin=margin, swap=swap)
        self.distance_function, self.margin, self.swap = distance_function, margin, swap

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Tensor:
        """The loss of a batch."""
        return triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


__all__ = [
    "CosineEmbeddingLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
    "cosine_embedding_loss",
    "pairwise_distance",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]
