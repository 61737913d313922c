"""A trained network and data come in; its outputs, or its loss and metrics over the whole set, leave. Called by users,
by `fit` after each epoch, and by the command line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid._typing import Array, DType
from pellucid.core.check import Integer, check
from pellucid.core.context import default_dtype, enable_grad, no_grad, quiet
from pellucid.core.tensor import Tensor, wrap
from pellucid.data import Dataset, Loader, as_dataset
from pellucid.errors import ArgumentTypeError, DataError
from pellucid.train.metrics import Metric, as_metrics

if TYPE_CHECKING:
    from pellucid.nn import Module

ROWS_AT_ONCE = 1024


def model_dtype(model: Module) -> DType:
    """The dtype of a model's floating-point parameters; the default dtype where it has none."""
    for parameter in model.parameters():
        if parameter.data.dtype.kind == "f":
            return parameter.data.dtype
    return default_dtype()


def takes_whole_numbers(model: Module) -> bool:
    """Whether integer inputs stay integers: a model with an embedding reads them as indices."""
    return any(module.takes_indices for module in model.modules())


def prepared(model: Module, data: Any) -> Dataset:
    """Anything that holds rows, as a Dataset in the model's dtype: cast once, not at every batch.

    Whole-number inputs become floats too, unless the model has an embedding; integer targets stay labels.
    """
    if isinstance(data, Loader):
        data = data.data
    dataset = as_dataset(data, dtype=None)
    dtype = model_dtype(model)
    x, y = dataset.x, dataset.y
    if x.dtype != dtype and (x.dtype.kind == "f" or not takes_whole_numbers(model)):
        x = x.astype(dtype)
    if y is not None and y.dtype.kind == "f" and y.dtype != dtype:
        y = y.astype(dtype)
    if x is dataset.x and y is dataset.y:
        return dataset
    return Dataset(
        x,
        y,
        dataset.class_names,
        dataset.feature_names,
        dataset.name,
        dataset.description,
        dataset.image_shape,
    )


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Inside, the model is in evaluation mode and nothing is tracked; after it, every module is back in its own
    mode."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad(), quiet():
            yield
    finally:
        for module, training in modes:
            module.training = training


def outputs(model: Module, x: Array, batch_size: int | None) -> Array:
    """The model's outputs for all rows; in evaluation mode by the caller."""
    size = batch_size or ROWS_AT_ONCE
    if len(x) <= size:
        return output_of(model(wrap(x))).data
    first = output_of(model(wrap(x[:size]))).data
    result = np.empty((len(x), *first.shape[1:]), first.dtype)
    result[:size] = first
    for start in range(size, len(x), size):
        part = output_of(model(wrap(x[start : start + size]))).data
        result[start : start + len(part)] = part
    return result


def output_of(y_pred: Any) -> Tensor:
    """What a model returned, if it is one Tensor.

    Raises
        ArgumentTypeError: it is something else, such as a tuple of several outputs.
    """
    if not isinstance(y_pred, Tensor):
        raise ArgumentTypeError("train.one-output", type=type(y_pred).__name__)
    return y_pred


def predict(model: Module, x: Any, *, batch_size: int | None = None) -> Array:
    """The outputs of a network for each row, in evaluation mode and without gradients.

    Parameters
        model : the network; its mode is as before afterwards
        x : rows of inputs: an array, nested lists, or a Dataset, whose targets are not read
        batch_size : rows at once; None is 1,024, which bounds the memory
    Returns
        array (rows, ...), in the model's dtype
    Raises
        DataError, DTypeError, ShapeError: inputs that are no finite numbers, or of another shape than the network
        takes.
    """
    check("predict: batch_size", batch_size, Integer(1, none=True))
    if isinstance(x, tuple):
        x = x[0]
    data = prepared(model, x)
    with evaluating(model):
        return outputs(model, data.x, batch_size)


def evaluate(
    model: Module, data: Any, *, loss: Any = None, metrics: Any = (), batch_size: int | None = None
) -> dict[str, float]:
    """The loss and the metrics of a network over a whole set, in evaluation mode and without gradients.

    Every number is computed from the outputs of all rows together, so the size of the batches has no influence on it.

    Parameters
        model : the network; its mode is as before afterwards
        data : Dataset, (x, y), or Loader
        loss : a loss module, a function (y_pred, y) -> Tensor, or a name such as "cross_entropy"; None leaves it out
        metrics : names ("accuracy"), Metrics, or functions (y_pred, y_true) -> number
        batch_size : rows at once; None is 1,024
    Returns
        dict of Python floats: "loss", then the metrics by name
    Raises
        DataError: the data have no targets.
    """
    from pellucid.train.choose import make_loss

    check("evaluate: batch_size", batch_size, Integer(1, none=True))
    dataset = prepared(model, data)
    if dataset.y is None:
        raise DataError("train.no-targets", rows=len(dataset))
    criterion = None if loss is None else make_loss(loss)
    chosen = with_thresholds(model, dataset.x, criterion, as_metrics(metrics))
    return measured(model, dataset, criterion, chosen, batch_size)


def measured(
    model: Module, dataset: Dataset, criterion: Any, metrics: list[Metric], batch_size: int | None = None
) -> dict[str, float]:
    """`evaluate` on what is prepared already."""
    with evaluating(model):
        y_pred = outputs(model, dataset.x, batch_size)
        record = {}
        if criterion is not None:
            record["loss"] = float(criterion(wrap(y_pred), wrap(dataset.y)).data.mean())  # type: ignore[arg-type]
    for metric in metrics:
        record[metric.name] = metric(y_pred, dataset.y)
    return record


def with_thresholds(model: Module, x: Array, criterion: Any, metrics: list[Metric]) -> list[Metric]:
    """The metrics, with the threshold of single scores at 0.5 where the network gives probabilities."""
    if not any(m.takes_threshold for m in metrics):
        return metrics
    if type(criterion).__name__ != "BCELoss" and last_function(model, x) != "sigmoid":
        return metrics
    return [m.with_threshold(0.5) for m in metrics]


def last_function(model: Module, x: Array) -> str | None:
    """The name of the function that a network's output is the value of ("softmax", "sigmoid", ...), found from how the
    output of two rows came to be; None where the output came from nothing that asks for a gradient."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with enable_grad(), quiet():
            return function_of(output_of(model(wrap(x[:2]))))
    finally:
        for module, training in modes:
            module.training = training


def function_of(y: Tensor) -> str | None:
    """The composite, else the operation, that computed a tensor; reshaping and slicing are looked through."""
    while y._source is not None:
        op, inputs, _ = y._source
        if y._scope is not None:
            return y._scope
        if op.family != "movement":
            return op.name
        y = next(x for x in inputs if isinstance(x, Tensor))
    return None
