"""Names and functions come in; metrics leave: measures with their name and direction. `fit` and `evaluate` call them
with the outputs of a whole set, so that a smaller last batch weighs no more than its rows.

The measures themselves stand in `classification.py` and `regression.py`. A metric takes `(y_pred, y_true)`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from pellucid.core.check import Options, check, shown
from pellucid.core.tensor import to_array
from pellucid.errors import ArgumentError, ArgumentTypeError
from pellucid.train.choose import known_name
from pellucid.train.classification import accuracy, auc, f1, precision, recall, top_k_accuracy
from pellucid.train.regression import mae, mse, r2, rmse

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

    def __post_init__(self) -> None:
        check("Metric: direction", self.direction, Options("max", "min", None))

    def __call__(self, y_pred: Any, y_true: Any) -> float:
        """The measure of all rows, as a Python float; NaN where an output is NaN, since nothing is right or wrong
        there."""
        outputs = to_array(y_pred)
        if outputs.dtype.kind == "f" and np.isnan(outputs).any():
            return math.nan
        value = self.function(outputs, to_array(y_true))
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


def _metric(name: str, function: Callable[..., Any], direction: Direction | None) -> Metric:
    try:
        takes_threshold = "threshold" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        takes_threshold = False
    return Metric(name, function, direction, takes_threshold)


_MAXIMISED = (accuracy, top_k_accuracy, precision, recall, f1, auc, r2)
_MINIMISED = (mae, mse, rmse)

METRICS: dict[str, Metric] = {
    **{function.__name__: _metric(function.__name__, function, "max") for function in _MAXIMISED},
    **{function.__name__: _metric(function.__name__, function, "min") for function in _MINIMISED},
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
        return METRICS[known_name("metric", metric, METRICS)]
    if callable(metric):
        for known in METRICS.values():
            if known.function is metric:
                return known
        name = getattr(metric, "name", None) or getattr(metric, "__name__", None) or type(metric).__name__
        return _metric(str(name), metric, getattr(metric, "direction", None))
    raise ArgumentTypeError("train.metric-type", value=shown(metric), type=type(metric).__name__)


def as_metrics(metrics: Any) -> list[Metric]:
    """Each of one or several metrics as a Metric; None is none, and two of the same name are refused."""
    if metrics is None:
        return []
    one = isinstance(metrics, str | Metric) or callable(metrics) or not isinstance(metrics, Iterable)
    several = [metrics] if one else list(metrics)
    result = [as_metric(m) for m in several]
    names = [m.name for m in result]
    for name in names:
        if names.count(name) > 1 or name in ("loss", "lr", "time_s", "epoch") or name.startswith("val_"):
            raise ArgumentError("train.metric-name", name=name, names=", ".join(names))
    return result
