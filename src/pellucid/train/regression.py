"""Outputs of a network and targets that are quantities come in, for a whole set at once; the size of the errors leaves.
Called through `metrics.py` by `fit` and `evaluate`, and by users on any arrays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.tensor import to_array
from pellucid.errors import DataError, ShapeError


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
