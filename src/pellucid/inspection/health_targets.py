"""A loss and targets come in; what the loss would be for outputs that say nothing, and for the best constant outputs,
leaves. The rules compare a network's loss with both.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.core.context import no_grad, quiet
from pellucid.core.tensor import wrap
from pellucid.errors import PellucidError

CROSS_ENTROPIES = ("CrossEntropyLoss", "NLLLoss", "NextTokenLoss", "MultiMarginLoss")
BINARY = ("BCELoss", "BCEWithLogitsLoss")
DISTANCES = ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss")


def loss_kind(loss: Any) -> str:
    """The class of a loss."""
    return type(loss).__name__


def uninformed_loss(loss: Any, y: Array | None, shape: Shape) -> float | None:
    """The loss of outputs that say nothing: all classes alike, probabilities of a half, or zeros; None where that is
    not known for this loss.

    Parameters
        y : targets
        shape : of the outputs for them
    """
    kind = loss_kind(loss)
    if kind not in (*CROSS_ENTROPIES, *BINARY, *DISTANCES) or y is None:
        return None
    if kind == "NLLLoss":
        outputs = np.full(shape, -math.log(max(2, shape[1] if len(shape) > 1 else 2)))
    else:
        outputs = np.full(shape, 0.5 if kind == "BCELoss" else 0.0)
    return _value(loss, outputs.astype(np.float32), y)


def constant_loss(loss: Any, y: Array | None) -> float | None:
    """The loss of the best outputs that are the same for every row: what is reached without looking at the inputs; None
    where that is not known for this loss.
    """
    kind = loss_kind(loss)
    if y is None or not len(y) or getattr(loss, "weight", None) is not None:
        return None
    if kind in ("CrossEntropyLoss", "NLLLoss", "NextTokenLoss") and y.dtype.kind == "i":
        _, counts = np.unique(y, return_counts=True)
        shares = counts / counts.sum()
        return float(-(shares * np.log(shares)).sum())
    if kind in BINARY:
        share = y.reshape(len(y), -1).mean(axis=0, dtype=np.float64).clip(1e-7, 1 - 1e-7)
        return float(-(share * np.log(share) + (1 - share) * np.log(1 - share)).mean())
    if kind in DISTANCES:
        middle = np.median(y, axis=0) if kind == "L1Loss" else y.mean(axis=0, dtype=np.float64)
        outputs = np.broadcast_to(middle, y.shape).astype(np.float32)
        return _value(loss, outputs, y)
    return None


def _value(loss: Any, outputs: Array, y: Array) -> float | None:
    try:
        with no_grad(), quiet():
            value = loss(wrap(outputs), wrap(y if y.dtype.kind != "f" else y.astype(np.float32)))
    except PellucidError:
        return None
    found = float(np.mean(value.data))
    return found if math.isfinite(found) else None
