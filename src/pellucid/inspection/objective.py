"""A network, rows and a loss come in; the loss over these rows as a function of the trained parameters leaves: its
value, gradient, and Hessian times a vector, where parameters are one flat vector in float64. Curvature, sharpness, the
slices of the loss and the gradient noise are computed from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.autograd import grad
from pellucid.core.check import shown
from pellucid.core.context import default_dtype, enable_grad, no_grad, quiet
from pellucid.core.tensor import Tensor, wrap
from pellucid.data import Dataset, Loader, as_dataset
from pellucid.errors import ArgumentError, ArgumentTypeError, DataError, ModelError, ShapeError
from pellucid.graph.names import function_name
from pellucid.nn import Module

_ROWS_TRIED = 64


def named(thing: Any) -> str:
    """What a network or a loss is called in a report."""
    return type(thing).__name__ if isinstance(thing, Module) else function_name(thing)


def rows_for(model: Any, data: Any) -> Dataset:
    """Anything that holds rows, as a Dataset in the dtype of the network.

    Raises
        ArgumentTypeError: the model is no Module.
        DataError, DTypeError, ShapeError: what `as_dataset` refuses.
    """
    if not isinstance(model, Module):
        raise ArgumentTypeError("landscape.model", value=shown(model), type=type(model).__name__)
    dtype = next((p.dtype for p in model.parameters() if p.dtype.kind == "f"), default_dtype())
    keep = any(m.takes_indices for m in model.modules())
    return as_dataset(data.data if isinstance(data, Loader) else data, dtype=None).as_floats(dtype, keep_integers=keep)


def check_loss(loss: Any) -> None:
    """Refuse what is no loss.

    Raises
        ArgumentTypeError: it cannot be called, or is a class.
    """
    if not callable(loss) or isinstance(loss, type):
        raise ArgumentTypeError("landscape.loss", value=shown(loss), type=type(loss).__name__)


def trained_parameters(model: Module) -> list[tuple[str, Tensor]]:
    """The parameters that are trained, by name.

    Raises
        ModelError: there is none.
    """
    found: list[tuple[str, Tensor]] = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if not found:
        raise ModelError("landscape.nothing-trained", model=type(model).__name__)
    return found


def loss_of(model: Module, loss: Callable[..., Any], x: Array, y: Array | None) -> Tensor:
    """The loss of some rows.

    Raises
        ModelError: the loss is not a single number, or is not finite.
    """
    outputs = model(wrap(x))
    value = loss(outputs) if y is None else loss(outputs, wrap(y))
    if not isinstance(value, Tensor) or value.size != 1:
        raise ModelError("landscape.loss-value", loss=named(loss), value=shown(value))
    return value


class Objective:
    """The loss over all rows; used inside `unchanged`.

    Parameters
        batch_size : rows at once; None is all of them
    Raises
        ArgumentError: several batches, and the loss of rows is neither the mean nor the sum of its parts.
        ModelError: nothing is trained; a loss that is no number.
    """

    def __init__(self, model: Module, rows: Dataset, loss: Callable[..., Any], batch_size: int | None) -> None:
        check_loss(loss)
        self.model, self.loss, self.rows = model, loss, rows
        self.named = trained_parameters(model)
        self.parameters = [p for _, p in self.named]
        self.size = sum(p.size for p in self.parameters)
        size = batch_size or len(rows)
        self._parts = [slice(n, min(n + size, len(rows))) for n in range(0, len(rows), size)]
        self._first: tuple[Tensor, ...] | None = None
        self.adds = False
        if len(self._parts) > 1:
            self.adds = self._law()

    def _loss(self, rows: slice | Array) -> Tensor:
        y = self.rows.y
        return loss_of(self.model, self.loss, self.rows.x[rows], None if y is None else y[rows])

    def _tracked(self, rows: slice) -> Tensor:
        with enable_grad(), quiet():
            return self._loss(rows)

    def _law(self) -> bool:
        """Whether losses of parts add up (a sum over rows) or are averaged (a mean): found out by trying some rows,
        since a loss may be any function."""
        rows = np.random.default_rng(0).permutation(len(self.rows))
        y, ignored = self.rows.y, getattr(self.loss, "ignore_index", None)
        if y is not None and ignored is not None:
            # A label that is left out makes a mean over fewer rows: such rows have to be among those tried.
            outside = (y[rows] == ignored).reshape(len(rows), -1).any(axis=1)
            rows = np.concatenate([rows[outside][:8], rows[~outside]])
        rows = rows[:_ROWS_TRIED]
        length, cut = len(rows), max(1, len(rows) // 3)
        with no_grad(), quiet():
            whole, a, b = (float(self._loss(part).data) for part in (rows, rows[:cut], rows[cut:]))
        # Far above rounding, and far below what another law makes of it.
        allowed = 1e-4 if self.parameters[0].dtype == np.float32 else 1e-9
        mean = (cut * a + (length - cut) * b) / length
        if math.isclose(whole, mean, rel_tol=allowed, abs_tol=1e-12):
            return False
        if math.isclose(whole, a + b, rel_tol=allowed, abs_tol=1e-12):
            return True
        raise ArgumentError(
            "landscape.not-additive",
            loss=named(self.loss),
            rows=length,
            whole=f"{whole:.6g}",
            mean=f"{mean:.6g}",
            sum=f"{a + b:.6g}",
        )

    def _weighted(self) -> Iterator[tuple[slice, float]]:
        """The batches, each with its factor in the whole."""
        for rows in self._parts:
            yield rows, 1.0 if self.adds else (rows.stop - rows.start) / len(self.rows)

    def value(self) -> float:
        """The loss where the parameters are now; may be infinite or NaN."""
        with no_grad(), quiet(), np.errstate(all="ignore"):
            return math.fsum(factor * float(self._loss(rows).data) for rows, factor in self._weighted())

    def gradient(self) -> tuple[float, Array]:
        """The loss and its gradient, flat.

        Raises
            ModelError: they are not finite.
        """
        total, flat = 0.0, np.zeros(self.size)
        for rows, factor in self._weighted():
            value = self._tracked(rows)
            gradients = self._grad(value, create_graph=False)
            total += factor * float(value.data)
            flat += factor * self.flat([g.data for g in gradients])
        self._check_finite("loss", total)
        self._check_finite("gradient", flat)
        return total, flat

    def _grad(self, value: Tensor, create_graph: bool) -> tuple[Tensor, ...]:
        if not value.requires_grad:
            raise ModelError("landscape.not-reached", loss=named(self.loss))
        found = grad(value, self.parameters, create_graph=create_graph, allow_unused=True)
        return tuple(
            wrap(np.zeros_like(p.data)) if g is None else g for p, g in zip(self.parameters, found, strict=True)
        )

    def product(self, v: Array) -> Array:
        """The Hessian times a vector: the gradient's own gradient in a direction.

        Raises
            ModelError: it is not finite.
        """
        directions = self.unflat(v)
        result = np.zeros(self.size)
        for rows, factor in self._weighted():
            first = self._first
            if first is None:
                first = self._grad(self._tracked(rows), create_graph=True)
                if len(self._parts) == 1:
                    # Of a single batch the first pass is made once; what it keeps is as large as the batch.
                    self._first = first
            result += factor * self._second(first, directions)
        self._check_finite("hessian", result)
        return result

    def _second(self, first: Sequence[Tensor], directions: Sequence[Array]) -> Array:
        terms = [(g, d) for g, d in zip(first, directions, strict=True) if g.requires_grad]
        if not terms:
            return np.zeros(self.size)
        # The gradients weighted by the direction are differentiated: their sum need not be formed.
        found = grad([g for g, _ in terms], self.parameters, [wrap(d) for _, d in terms], allow_unused=True)
        return self.flat(
            [np.zeros(p.shape) if h is None else h.data for p, h in zip(self.parameters, found, strict=True)]
        )

    def _check_finite(self, what: str, value: Any) -> None:
        if not np.isfinite(value).all():
            raise ModelError(f"landscape.not-finite-{what}", loss=named(self.loss), model=type(self.model).__name__)

    def point(self) -> Array:
        """The parameters, flat."""
        return self.flat([p.data for p in self.parameters])

    def move(self, point: Array) -> None:
        """Give the parameters new values."""
        self._first = None
        for p, values in zip(self.parameters, self.unflat(point), strict=True):
            p.assign(wrap(values))

    def flat(self, arrays: Sequence[Array]) -> Array:
        """Arrays of the parameters' shapes as one vector."""
        return np.concatenate([np.asarray(a, np.float64).ravel() for a in arrays])

    def unflat(self, vector: Array) -> list[Array]:
        """A vector as arrays of the parameters' shapes and dtypes, copies."""
        if vector.shape != (self.size,):
            raise ShapeError("landscape.vector", given=vector.shape, expected=(self.size,))
        ends = np.cumsum([p.size for p in self.parameters])[:-1]
        pieces = np.split(vector, ends)
        return [v.reshape(p.shape).astype(p.dtype) for v, p in zip(pieces, self.parameters, strict=True)]


def required_rows(rows: Dataset, least: int, what: str) -> None:
    """Refuse too few rows.

    Raises
        DataError: there are fewer than `least`.
    """
    if len(rows) < least:
        raise DataError("landscape.too-few-rows", rows=len(rows), least=least, what=what)
