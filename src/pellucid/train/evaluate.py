"""A trained network and data come in; its outputs, or its loss and metrics over the whole set, leave. Called by users,
by `fit` after each epoch, and by the command line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pellucid._typing import Array, DType
from pellucid.core.check import Integer, check, shown
from pellucid.core.context import default_dtype, enable_grad, no_grad, quiet
from pellucid.core.tensor import Tensor, wrap
from pellucid.data import Dataset, Loader, as_dataset
from pellucid.errors import ArgumentTypeError, DataError, ModelError
from pellucid.ops.origin import composite_behind
from pellucid.train.metrics import Metric, as_metrics
from pellucid.train.rows import output_of, outputs

if TYPE_CHECKING:
    from pellucid.nn import Module


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

    Raises
        ArgumentTypeError: the model is no network of pellucid.
        DataError, DTypeError, ShapeError: what `as_dataset` refuses; numbers too large for the model's dtype.
    """
    from pellucid.nn import Module

    if not isinstance(model, Module):
        raise ArgumentTypeError("train.model-type", value=shown(model), type=type(model).__name__)
    if isinstance(data, Loader):
        data = data.data
    return as_dataset(data, dtype=None).as_floats(model_dtype(model), keep_integers=takes_whole_numbers(model))


@contextmanager
def modes_kept(model: Module) -> Iterator[None]:
    """After the block every module is back in the mode, training or evaluation, that it was in before."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Inside, the model is in evaluation mode and nothing is tracked; after it, every module is back in its own
    mode."""
    with modes_kept(model), no_grad(), quiet():
        model.eval()
        yield


def predict(model: Module, x: Any, *, batch_size: int | None = None) -> Array:
    """The outputs of a network for each row, in evaluation mode and without gradients.

    Parameters
        model : the network; its mode is as before afterwards
        x : rows of inputs: an array, nested lists, a Dataset or (x, y), whose targets are not read
        batch_size : rows at once; None is what the memory bears, at most 1,024
    Returns
        array (rows, ...), in the model's dtype
    Raises
        DataError, DTypeError, ShapeError: inputs that are no finite numbers, or of another shape than the network
        takes.
    """
    check("predict: batch_size", batch_size, Integer(1, none=True))
    data = prepared(model, x[0] if isinstance(x, tuple) and len(x) == 2 else x)
    with evaluating(model):
        return outputs(model, data.x, batch_size).data


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
        batch_size : rows at once; None is what the memory bears, at most 1,024
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
    model: Module,
    dataset: Dataset,
    criterion: Any,
    metrics: list[Metric],
    batch_size: int | None = None,
    times: int = 1,
) -> dict[str, float]:
    """`evaluate` on what is prepared already, and is going to be so many times."""
    with evaluating(model):
        y_pred = outputs(model, dataset.x, batch_size, times)
        record = {}
        if criterion is not None:
            value = criterion(y_pred, wrap(dataset.y))  # type: ignore[arg-type]
            if not isinstance(value, Tensor) or not value.data.size:
                raise ModelError("train.loss-value", value=shown(value))
            record["loss"] = float(value.data.mean())
    for metric in metrics:
        record[metric.name] = metric(y_pred.data, dataset.y)
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
    with modes_kept(model), enable_grad(), quiet():
        model.eval()
        return composite_behind(output_of(model(wrap(x[:2])), len(x[:2])))
