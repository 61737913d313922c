"""A batch whose loss is NaN or infinite comes in, with the state from before its step; an error leaves that names the
first operation at fault, its layer, the rows and the range of its input. `fit` calls it before anything is changed by
the batch.

The batch is run once more, watched operation by operation, from the same weights, buffers and random state.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid._text import text
from pellucid._typing import Array
from pellucid.core.context import Recorder, no_grad, state
from pellucid.core.op import Op
from pellucid.core.rng import Generator, default_generator
from pellucid.core.tensor import Tensor
from pellucid.errors import DataError, NonFiniteError, PellucidError
from pellucid.train.run import copied_weights

if TYPE_CHECKING:
    from pellucid.train.run import Run

_SHOWN_ROWS = 5


class Before:
    """A batch, and what a forward pass changes: running statistics and the random state, as they were before it."""

    __slots__ = ("_arrays", "_buffers", "_generator", "_key", "x", "y")

    def __init__(self, x: Tensor, y: Tensor, buffers: list[Tensor], generator: Generator) -> None:
        self.x, self.y = x, y
        # References: both are replaced, never changed in place.
        self._buffers, self._arrays = buffers, [b.data for b in buffers]
        self._generator, self._key = generator, generator.state.data

    def restore(self) -> None:
        """Go back to the state before the batch."""
        for buffer, array in zip(self._buffers, self._arrays, strict=True):
            buffer.data = array
        self._generator.state.data = self._key


class _Watch(Recorder):
    """A recorder that looks for the operation at which finite inputs became a value that is not finite."""

    def __init__(self) -> None:
        self.scopes: list[str] = []
        self.fault: tuple[Op, list[Any], Tensor, tuple[str, ...]] | None = None
        # The first NaN or infinity with any inputs: where infinities are meant, as in a mask, it is no fault of its
        # own.
        self.first: tuple[Op, list[Any], Tensor, tuple[str, ...]] | None = None

    def operation(self, op: Op, inputs: list[Any], attrs: dict[str, Any], output: Tensor) -> None:
        """Look at one result."""
        if self.fault is not None or output.data.dtype.kind != "f" or np.isfinite(output.data).all():
            return
        found = (op, list(inputs), output, tuple(self.scopes))
        if self.first is None:
            self.first = found
        made_nan = np.isnan(output.data).any() and not any(_has_nan(x) for x in inputs)
        if made_nan or all(_finite(x) for x in inputs):
            self.fault = found

    def enter_scope(self, name: str) -> None:
        """A layer or a composite begins."""
        self.scopes.append(name)

    def leave_scope(self) -> None:
        """It ends."""
        self.scopes.pop()


def _array(x: Any) -> Array:
    return x.data if isinstance(x, Tensor) else np.asarray(x)


def _finite(x: Any) -> bool:
    array = _array(x)
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _has_nan(x: Any) -> bool:
    array = _array(x)
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


def explain_non_finite(run: Run, criterion: Any, before: Before, weights: Array | None) -> PellucidError:
    """The error that says where a loss that is not finite came from: the data, the weights, or an operation; with the
    batch and the state to replay it from."""
    error = _explained(run, criterion, before, weights)
    if isinstance(error, NonFiniteError):
        error.batch, error.sample_weight = (before.x, before.y), weights
        # `_explained` has gone back to the state before the batch.
        error.state = {"model": copied_weights(run.model), "random_state": default_generator.get_state()}
    return error


def _explained(run: Run, criterion: Any, before: Before, weights: Array | None) -> PellucidError:
    place = {
        "loss": _number(run.loss_value),
        "epoch": run.epoch + 1,
        "batch": run.batch + 1,
        "step": run.history.steps + 1,
    }
    before.restore()
    for name, tensor in (("x", before.x), ("y", before.y)):
        if not _finite(tensor):
            index = tuple(int(i) for i in np.argwhere(~np.isfinite(tensor.data))[0])
            return DataError(
                "train.non-finite-data",
                name=name,
                value=_number(tensor.data[index]),
                row=_row(run, index[0]),
                column=", ".join(map(str, index[1:])) or "0",
                **place,
            )
    broken = _broken_parameter(run)
    if broken is not None:
        return NonFiniteError("train.non-finite-parameter", course=_course(run), **broken, **place)
    watch = _Watch()
    outside, state.recorder = state.recorder, watch
    try:
        with no_grad():
            y_pred = run.model(before.x)
            criterion(y_pred, before.y) if weights is None else criterion(y_pred, before.y, sample_weight=weights)
    finally:
        state.recorder = outside
        before.restore()
    found = watch.fault or watch.first
    if found is None:
        return NonFiniteError("train.non-finite-unexplained", **place)
    op, inputs, output, scopes = found
    return NonFiniteError(
        "train.non-finite-op",
        op=op.name,
        where=_where(scopes),
        value=_number(output.data[~np.isfinite(output.data)].flat[0]),
        count=int((~np.isfinite(output.data)).sum()),
        total=output.data.size,
        rows=_rows(run, inputs, output, len(before.x.data)),
        ranges="; ".join(_range(x) for x in inputs),
        course=_course(run),
        **place,
    )


def check_weights(run: Run) -> None:
    """Raise if an update left a weight that is not finite: a finite loss can have a gradient that is not, and the last
    one of a run would go unnoticed.

    Raises
        NonFiniteError: it names the parameter.
    """
    broken = _broken_parameter(run)
    if broken is not None:
        raise NonFiniteError(
            "train.non-finite-update",
            loss=_number(run.loss_value),
            epoch=run.epoch + 1,
            course=_course(run),
            **broken,
        )


def _broken_parameter(run: Run) -> dict[str, Any] | None:
    """The first parameter that is not finite, and how much of it."""
    for name, parameter in run.model.named_parameters():
        if not _finite(parameter):
            bad = ~np.isfinite(parameter.data)
            return {"name": name, "count": int(bad.sum()), "total": bad.size}
    return None


def _where(scopes: tuple[str, ...]) -> str:
    """The layer or loss in which an operation ran, from outside in."""
    names = [s for s in scopes if s]
    return " › ".join(names) if names else text("train.where-loss")


def _row(run: Run, position: int) -> int:
    """The number in the training data of a row of the batch."""
    return int(run.rows[position]) if run.rows is not None and position < len(run.rows) else position


def _rows(run: Run, inputs: list[Any], output: Tensor, batch: int) -> str:
    """The rows of the data at which a result is not finite, if it has an axis of rows; else those of its largest
    inputs."""
    for array in (output.data, *(_array(x) for x in inputs)):
        if array.ndim and array.shape[0] == batch:
            magnitude = np.abs(array.reshape(batch, -1).astype(np.float64))
            bad = ~np.isfinite(magnitude).all(axis=1)
            positions = np.flatnonzero(bad) if bad.any() else np.array([int(magnitude.max(axis=1).argmax())])
            numbers = ", ".join(str(_row(run, int(i))) for i in positions[:_SHOWN_ROWS])
            more = len(positions) - _SHOWN_ROWS
            if more > 0:
                return text("train.rows-more", rows=numbers, more=more)
            return text("train.row", row=numbers) if len(positions) == 1 else text("train.rows", rows=numbers)
    return text("train.rows-all", count=batch)


def _range(x: Any) -> str:
    """An input in words: its shape and the interval its finite values lie in."""
    array = _array(x)
    if array.ndim == 0:
        return _number(array.item())
    finite = array[np.isfinite(array)] if array.dtype.kind == "f" else array
    if not finite.size:
        return text("train.range-none", shape=array.shape)
    return text("train.range", shape=array.shape, low=_number(finite.min()), high=_number(finite.max()))


def _course(run: Run) -> str:
    """How the loss came here: a rate that is too high shows in a loss that grew."""
    before = [v for v in run.recent if math.isfinite(v)]
    if not before:
        return text("train.course-first", lr=_number(run.lr))
    if len(before) > 1 and before[-1] > 10 * max(min(before), 1e-30):
        return text("train.course-grew", low=_number(min(before)), high=_number(before[-1]), lr=_number(run.lr))
    return text("train.course-steady", last=_number(before[-1]), lr=_number(run.lr))


def _number(value: Any) -> str:
    return f"{float(value):.4g}"
