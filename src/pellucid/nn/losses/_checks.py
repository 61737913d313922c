"""What the losses look at before they compute: shapes, labels, ranges, and which activation an input came from. Every
loss function calls it for each batch, and `Loss.check_targets` for a whole data set; both get the same messages.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from pellucid._text import text
from pellucid._typing import Array, DType, Shape
from pellucid.core.context import default_dtype, expect
from pellucid.core.tensor import Tensor, apply, as_tensor
from pellucid.errors import DataError, LabelError, ModelError, ShapeError, warn
from pellucid.ops.origin import composite_behind, origin
from pellucid.ops.shape import cast, reshape

# Losses to which classes can be given as rows of zeros with a one.
_TAKES_ONE_HOT = frozenset(
    "mse_loss l1_loss huber_loss smooth_l1_loss kl_div binary_cross_entropy binary_cross_entropy_with_logits "
    "multilabel_soft_margin_loss MSELoss L1Loss HuberLoss SmoothL1Loss KLDivLoss BCELoss BCEWithLogitsLoss "
    "MultiLabelSoftMarginLoss".split()
)


def as_input(x: Any) -> Tensor:
    """What a network gave out, as floats."""
    x = as_tensor(x)
    return x if x.data.dtype.kind == "f" else cast(x, default_dtype())


def as_target(target: Any, like: Tensor) -> Tensor:
    """A target at the dtype of the network: float64 labels must not turn a float32 network's loss into float64."""
    target = as_tensor(target)
    return target if target.data.dtype is like.data.dtype else cast(target, like.data.dtype)


def pair(loss: str, input: Any, target: Any) -> tuple[Tensor, Tensor]:
    """Input and target as floats of one dtype and of the same shape."""
    x = as_input(input)
    t = as_tensor(target)
    if x.data.shape != t.data.shape:
        refuse_shapes(loss, x.shape, t.data)
    return x, t if t.data.dtype is x.data.dtype else cast(t, x.data.dtype)


def refuse_shapes(loss: str, shape: Shape, target: Array, given: str | None = None) -> None:
    """Raise the error for a target of another shape than `shape`, with the change that makes it fit if there is one."""
    given = given or f"input {shape}, target {target.shape}"
    raise ShapeError(
        "losses.shapes", loss=loss, given=given, expected=f"target {shape}", fix=_fitting(loss, shape, target)
    )


def _fitting(loss: str, shape: Shape, target: Array) -> str | None:
    """The expression that gives a target the shape asked for, where the meaning leaves no choice."""
    if target.size and [n for n in shape if n != 1] == [n for n in target.shape if n != 1]:
        return reshaped("target", shape)
    if loss in _TAKES_ONE_HOT and shape and target.dtype.kind in "iu" and target.size and target.shape == shape[:-1]:
        return f"pellucid.one_hot(target, {shape[-1]})" if 0 <= target.min() <= target.max() < shape[-1] else None
    return None


def reshaped(name: str, shape: Shape) -> str:
    """`target.reshape(-1, 1)`: the first length is left open, so that it holds for every batch."""
    return f"{name}.reshape({', '.join(['-1', *map(str, shape[1:])]) if shape else '()'})"


def same_shapes(loss: str, **tensors: Tensor) -> None:
    """Raise unless all have the shape of the first."""
    first, *others = tensors.items()
    for name, tensor in others:
        if tensor.data.shape != first[1].data.shape:
            given = ", ".join(f"{n} {t.shape}" for n, t in tensors.items())
            wanted = first[1].shape
            squeezed = [[n for n in s if n != 1] for s in (wanted, tensor.shape)]
            fix = reshaped(name, wanted) if tensor.size and squeezed[0] == squeezed[1] else None
            raise ShapeError("losses.shapes", loss=loss, given=given, expected=f"{name} {wanted}", fix=fix)


def checked_weight(loss: str, name: str, weight: Tensor, signed: bool = False) -> Tensor:
    """Factors as they are, if none is NaN or infinite or, unless `signed`, negative.

    Raises
        DataError: one is.
    """
    expect(weight, partial(_check_factors, loss, name, signed))
    return weight


def _check_factors(loss: str, name: str, signed: bool, values: Array) -> None:
    wrong = ~np.isfinite(values) if signed else ~((values >= 0) & np.isfinite(values))
    if wrong.any():
        expected = "losses.finite-number" if signed else "losses.factor"
        place = tuple(int(n) for n in np.argwhere(wrong)[0])
        raise DataError(
            "losses.weight-value",
            loss=loss,
            name=name,
            value=_first(values, wrong),
            place=place,
            expected=text(expected),
        )


def element_weight(loss: str, name: str, weight: Any, x: Tensor, signed: bool = False) -> Tensor:
    """A factor for each element of x: of its shape, of one row's shape, or with axes of length 1."""
    w = checked_weight(loss, name, as_target(weight, x), signed)
    shape, own = x.shape, w.shape
    tail = shape[len(shape) - len(own) :] if own else ()
    if len(own) not in (0, len(shape) - 1, len(shape)) or any(a not in (1, b) for a, b in zip(own, tail, strict=True)):
        fix = f"sample_weight={name}" if name == "weight" and own == shape[:1] else None
        expected = f"{shape}, {shape[1:]}" if len(shape) > 1 else str(shape)
        raise ShapeError("losses.weight-shape", loss=loss, name=name, given=own, expected=expected, fix=fix)
    return w


def class_weight(loss: str, weight: Any, x: Tensor, classes: int, name: str = "weight") -> Tensor:
    """A factor for each class."""
    w = checked_weight(loss, name, as_target(weight, x))
    if w.shape != (classes,):
        raise ShapeError("losses.weight-shape", loss=loss, name=name, given=w.shape, expected=str((classes,)), fix=None)
    return w


def row_weight(loss: str, weight: Any, dtype: DType, shape: Shape, ndim: int) -> Tensor:
    """A factor for each row of losses of shape `shape`, with axes of length 1 up to `ndim`."""
    w = as_tensor(weight)
    wanted = shape[:1]
    if w.shape != wanted:
        fix = reshaped("sample_weight", wanted) if w.size == math.prod(wanted) and w.size else None
        raise ShapeError(
            "losses.weight-shape", loss=loss, name="sample_weight", given=w.shape, expected=str(wanted), fix=fix
        )
    expect(w, partial(_check_row_weights, loss))
    if w.dtype != dtype:
        w = cast(w, dtype)
    return reshape(w, w.shape + (1,) * (ndim - w.ndim)) if ndim > w.ndim else w


def _check_row_weights(loss: str, values: Array) -> None:
    wrong = ~((values >= 0) & np.isfinite(values))
    if wrong.any():
        raise DataError("losses.sample-weight", loss=loss, value=_first(values, wrong), row=_row(wrong))


def _row(wrong: Array) -> int:
    """The row of the first element that is marked."""
    return int(np.argwhere(wrong)[0][0]) if wrong.ndim else 0


def _first(a: Array, wrong: Array) -> str:
    return str(a[wrong].flat[0]) if a.ndim else str(a)


def no_nan(loss: str, target: Array) -> None:
    """Raise if a target is NaN."""
    if target.dtype.kind == "f":
        wrong = np.isnan(target)
        if wrong.any():
            raise LabelError("losses.nan-target", loss=loss, count=int(wrong.sum()), row=_row(wrong))


def are_whole(labels: Array) -> bool:
    """Whether all of these are whole numbers, whatever their dtype."""
    return labels.dtype.kind != "f" or bool((np.isfinite(labels) & (labels == np.floor(labels))).all())


def in_unit_interval(loss: str, target: Array) -> None:
    """Raise if a binary target lies outside [0, 1]; NaN is left to the loss's own result."""
    if target.size and (np.minimum.reduce(target, None) < 0 or np.maximum.reduce(target, None) > 1):
        wrong = (target < 0) | (target > 1)
        signs = bool((np.abs(target) == 1).all())
        raise LabelError(
            "losses.unit-target",
            loss=loss,
            value=_first(target, wrong),
            row=_row(wrong),
            fix="(target + 1) / 2" if signs else None,
        )


def plus_or_minus_one(loss: str, target: Array) -> None:
    """Raise if a target is neither 1 nor -1."""
    wrong = np.abs(target) != 1
    if wrong.any():
        no_nan(loss, target)
        zeros = bool(((target == 0) | (target == 1)).all())
        raise LabelError(
            "losses.sign-target",
            loss=loss,
            value=_first(target, wrong),
            row=_row(wrong),
            fix="2.0 * target - 1" if zeros else None,
        )


def not_negative(loss: str, target: Array, what: str) -> None:
    """Raise if a target that counts or weighs something is negative."""
    if target.size and np.minimum.reduce(target, None) < 0:
        wrong = target < 0
        raise LabelError(
            "losses.negative-count" if what == "count" else "losses.negative-probability",
            loss=loss,
            value=_first(target, wrong),
            row=_row(wrong),
        )


def probabilities(loss: str, p: Array) -> None:
    """Raise if a network's output is no probability."""
    if p.size and (np.minimum.reduce(p, None) < 0 or np.maximum.reduce(p, None) > 1):
        wrong = (p < 0) | (p > 1)
        raise ModelError("losses.not-probability", loss=loss, value=_first(p, wrong), row=_row(wrong))


_LAYERS = {"softmax": "Softmax", "sigmoid": "Sigmoid"}


def takes_logits(loss: str, x: Tensor, refused: tuple[str, ...]) -> None:
    """Raise if x has been through an activation that the loss applies itself; warn where it only hampers."""
    found = composite_behind(x)
    if found not in _LAYERS:
        return
    if found in refused:
        raise ModelError("losses.activated", loss=loss, activation=found, layer=_LAYERS[found], shape=x.shape)
    warn("losses.squashed", loss=loss, activation=found, layer=_LAYERS[found], shape=x.shape)


def warn_if_swapped(loss: str, x: Tensor, t: Tensor) -> None:
    """Warn where a gradient flows through the target and none through the input: they are the wrong way round."""
    if t.requires_grad and not x.requires_grad:
        warn("losses.swapped", loss=loss)


def takes_log_probabilities(loss: str, x: Tensor) -> None:
    """Raise if x is softmax without its logarithm."""
    if composite_behind(x) == "softmax":
        raise ModelError("losses.no-log", loss=loss, shape=x.shape)


def logits_behind(p: Tensor) -> Tensor | None:
    """The logits that p is the sigmoid of, where its history tells; moved as p was, by a reshape or an index."""
    y, steps = origin(p)
    source = y._source
    if source is None:
        z = None if steps else y._logits
        return z if z is not None and y._changed == 0 and z._changed <= y._made else None
    op, (z, *_), _ = source
    if op.name != "sigmoid" or y._changed > y._made or not isinstance(z, Tensor) or z._changed > y._made:
        return None
    # What pad fills in is a probability, and no logit.
    if z.data.dtype.kind != "f" or any(step.name == "pad" for step, _, _ in steps):
        return None
    for step, inputs, attrs in reversed(steps):
        z = apply(step, [z if isinstance(x, Tensor) and x.data.dtype.kind == "f" else x for x in inputs], attrs)
    return z
