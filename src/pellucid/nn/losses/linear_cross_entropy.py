"""Cross-entropy that holds the last linear layer itself. Features (N, D) and labels come in; a single number, or one
for each label, leaves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pellucid._typing import Array, Reduction, Shape
from pellucid.core.check import Flag, Integer, Options, Real, checked
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentError, ShapeError
from pellucid.nn.linear import Linear, linear
from pellucid.nn.losses._checks import as_input
from pellucid.nn.losses._classes import check_classes
from pellucid.nn.losses._reduction import REDUCTION
from pellucid.nn.losses.cross_entropy import cross_entropy
from pellucid.nn.losses.loss import Loss
from pellucid.ops.declare import composite
from pellucid.ops.shape import reshape


@composite(
    formula="y = cross_entropy(input·linear_weightᵀ + linear_bias, target)",
    onnx=NONE("ONNX has no such loss; its operations are exported"),
)
def linear_cross_entropy(
    input: Any,
    linear_weight: Any,
    target: Any,
    *,
    linear_bias: Any = None,
    weight: Any = None,
    reduction: Reduction = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    sample_weight: Any = None,
) -> Tensor:
    """Cross-entropy of the logits that a linear map makes of the input.

    Parameters
        input : features, Tensor, shape (N, D) or (D,).
        linear_weight : Tensor, shape (C, D), or (C, d1, ..., D) for logits of shape (N, C, d1, ...).
        target : labels or class probabilities, as for cross_entropy.
        linear_bias : Tensor, shape (C,) or (C, d1, ...), or None.
        ignore_index : the label to be left out; None is -100, which no class is.
        weight, reduction, label_smoothing, sample_weight : as for cross_entropy.
    Returns
        Tensor, shape (), or that of the labels with "none"; in nats.
    Raises
        ShapeError: the weight does not fit the features, or the bias the weight.
        LabelError, DTypeError, ModelError: as for cross_entropy.
    """
    x, w = as_input(input), as_tensor(linear_weight)
    b = None if linear_bias is None else as_tensor(linear_bias)
    if (
        x.ndim not in (1, 2)
        or w.ndim < 2
        or x.shape[-1] != w.shape[-1]
        or (b is not None and b.shape != w.shape[:-1])
        or (x.ndim == 1 and w.ndim > 2)
    ):
        bias = "None" if b is None else b.shape
        raise ShapeError("losses.linear-shapes", input=x.shape, weight=w.shape, bias=bias)
    kept = w.shape[:-1]
    if len(kept) > 1:
        w = reshape(w, (-1, w.shape[-1]))
        b = None if b is None else reshape(b, -1)
    logits = linear(x, w, b)
    if len(kept) > 1:
        logits = reshape(logits, (x.shape[0], *kept))
    return cross_entropy(
        logits,
        target,
        weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
        sample_weight=sample_weight,
    )


class LinearCrossEntropyLoss(Loss):
    """The last linear layer of a classifier and its cross-entropy in one, `functional.linear_cross_entropy`.

    It has parameters: hand them to the optimizer too.

    Parameters
        in_features : length of the features that come in.
        num_classes : number of classes, at least 2.
        out_features : lengths (d1, ...) of further axes of the labels, each place having its own weights.
        bias : whether the linear layer has a bias.
        dtype : dtype of the linear layer's parameters; None is the default dtype.
        reduction : "mean", "sum", or "none".
        weight : a factor for each class, shape (num_classes,).
        ignore_index : the label to be left out; None is -100, which no class is.
        label_smoothing : in [0, 1], the part of each label that is spread evenly over all classes.
        options : None. PyTorch's ways to save memory have no counterpart.
    Attributes
        linear : Linear, weight of shape (num_classes·d1·..., in_features).
    Raises
        ShapeError: `weight` is not one factor for each class.
    """

    weight: Tensor | None
    linear: Linear

    @checked(
        in_features=Integer(1),
        num_classes=Integer(2),
        bias=Flag(),
        reduction=REDUCTION,
        ignore_index=Integer(none=True),
        label_smoothing=Real(0, 1),
        options=Options(None),
    )
    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: Sequence[int] = (),
        bias: bool = False,
        dtype: Any = None,
        reduction: Reduction = "mean",
        weight: Any = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: None = None,
    ) -> None:
        super().__init__(reduction, ignore_index=ignore_index, label_smoothing=label_smoothing)
        if not isinstance(out_features, list | tuple) or not all(type(n) is int and n > 0 for n in out_features):
            raise ArgumentError("losses.out-features", given=repr(out_features))
        self.num_classes, self.out_features = int(num_classes), tuple(out_features)
        self._keep_factors("weight", weight)
        if self.weight is not None and self.weight.shape != (num_classes,):
            raise ShapeError(
                "losses.weight-shape",
                loss="LinearCrossEntropyLoss",
                name="weight",
                given=self.weight.shape,
                expected=str((num_classes,)),
                fix=None,
            )
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        self.linear = Linear(in_features, math.prod(self.out_features, start=num_classes), bias, dtype=dtype)

    def forward(self, input: Any, target: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch."""
        kept = (self.num_classes, *self.out_features)
        bias = self.linear.bias
        return linear_cross_entropy(
            input,
            reshape(self.linear.weight, (*kept, self.linear.in_features)) if self.out_features else self.linear.weight,
            target,
            linear_bias=reshape(bias, kept) if bias is not None and self.out_features else bias,
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            sample_weight=sample_weight,
        )

    def _check_shape(self, targets: Array, shape: Shape) -> None:
        logits = (*shape[:1], self.num_classes, *self.out_features)
        ignored = -100 if self.ignore_index is None else self.ignore_index
        check_classes("LinearCrossEntropyLoss", logits, targets, ignored)

    def extra_repr(self) -> str:
        """The arguments."""
        words = [f"in_features={self.linear.in_features}, num_classes={self.num_classes}"]
        if self.out_features:
            words.append(f"out_features={self.out_features}")
        if self.linear.bias is not None:
            words.append("bias=True")
        return ", ".join([*words, *filter(None, [super().extra_repr()])])


__all__ = ["LinearCrossEntropyLoss", "linear_cross_entropy"]
