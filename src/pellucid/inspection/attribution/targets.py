"""A network's output and what the user wants explained of it come in; a choice leaves, which takes that one number a
row out of any output of the network. `question.py` calls it.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import shown
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import ArgumentError, ArgumentTypeError, ShapeError


@dataclass(frozen=True)
class Choice:
    """One number of each row's output.

    words : which that is, a word for each row.
    places : for each row, the number's place in the row's flattened output; None where `function` finds it.
    """

    words: tuple[str, ...]
    places: Array | None
    function: Callable[[Tensor], Any] | None = None

    def of(self, output: Any, rows: Array) -> Tensor:
        """The chosen number for each row of an output, shape (len(rows),).

        Parameters
            rows : which of the rows that were asked about each row of the output belongs to.
        """
        y = checked_output(output, len(rows))
        if self.function is not None:
            return _of_function(self.function, y, len(rows))
        flat = y.reshape((len(rows), -1))
        found: Tensor = flat[wrap(np.arange(len(rows))), wrap(self.places[rows])]  # type: ignore[index]
        return found


def checked_output(output: Any, rows: int) -> Tensor:
    """A network's output, if there is one of floats with a row for each row of the input.

    Raises
        ArgumentTypeError: it is no Tensor of floats.
        ShapeError: it has another number of rows.
    """
    if not isinstance(output, Tensor):
        raise ArgumentTypeError("attribution.output", type=type(output).__name__)
    if output.dtype.kind != "f":
        raise ArgumentTypeError("attribution.output-dtype", dtype=output.dtype)
    if output.ndim == 0 or output.shape[0] != rows:
        raise ShapeError("attribution.output-rows", shape=output.shape, rows=rows)
    return output


def chosen(target: Any, output: Any, rows: int) -> Choice:
    """What a target means for an output.

    Parameters
        target : None for the only output, or the largest of several; a whole number, or one for each row, for a place
            on axis 1; a tuple of whole numbers for a place in each row's output; a function of the output.
    Raises
        ArgumentTypeError: it is something else.
        ArgumentError: there is no such place, or None where a row's output has several axes.
        ShapeError: not as many targets as rows.
    """
    y = checked_output(output, rows)
    shape = y.shape[1:]
    if callable(target) and not isinstance(target, Tensor):
        _of_function(target, y, rows)
        return Choice((getattr(target, "__name__", "function"),) * rows, None, target)
    if isinstance(target, tuple):
        return _at_place(target, shape, rows)
    if y.size == rows and (target is None or (isinstance(target, numbers.Integral) and int(target) == 0)):
        return Choice(("0",) * rows, np.zeros(rows, np.int64))
    if len(shape) != 1:
        raise ArgumentError("attribution.target-axes", given=shown(target), shape=y.shape, axes=len(shape))
    if target is None:
        return _by_label(np.argmax(y.data, axis=1))
    labels = _labels(target, rows)
    if labels.size and (labels.min() < 0 or labels.max() >= shape[0]):
        wrong = labels[(labels < 0) | (labels >= shape[0])]
        raise ArgumentError("attribution.target-range", target=int(wrong[0]), count=shape[0], last=shape[0] - 1)
    return _by_label(labels)


def _by_label(labels: Array) -> Choice:
    return Choice(tuple(map(str, labels.tolist())), labels.astype(np.int64))


def _labels(target: Any, rows: int) -> Array:
    if isinstance(target, numbers.Integral) and not isinstance(target, bool):
        return np.full(rows, int(target))
    array = target.data if isinstance(target, Tensor) else target
    if isinstance(array, Sequence) and not isinstance(array, str):
        array = np.array(array) if all(isinstance(n, numbers.Integral) for n in array) else None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu":
        raise ArgumentTypeError("attribution.target", value=shown(target), type=type(target).__name__)
    if array.shape != (rows,):
        raise ShapeError("attribution.target-rows", given=array.shape, rows=rows)
    return array


def _at_place(target: tuple[Any, ...], shape: tuple[int, ...], rows: int) -> Choice:
    if not all(isinstance(n, numbers.Integral) and not isinstance(n, bool) for n in target):
        raise ArgumentTypeError("attribution.target", value=shown(target), type="tuple")
    place = tuple(int(n) for n in target)
    if len(place) != len(shape) or any(n < 0 or n >= length for n, length in zip(place, shape, strict=True)):
        raise ArgumentError("attribution.target-place", target=place, shape=shape)
    number = int(np.ravel_multi_index(place, shape)) if place else 0
    return Choice((str(place),) * rows, np.full(rows, number, np.int64))


def _of_function(function: Callable[[Tensor], Any], y: Tensor, rows: int) -> Tensor:
    value = function(y)
    if not isinstance(value, Tensor):
        raise ArgumentTypeError("attribution.target-function", type=type(value).__name__)
    if value.size != rows or value.ndim > 2 or value.shape[:1] not in ((rows,), ()):
        raise ShapeError("attribution.target-function-shape", shape=value.shape, rows=rows)
    one_each: Tensor = value.reshape((rows,))
    return one_each
