"""What recurrent layers and cells are called with: states and lengths come in, and leave checked, as Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array, DType, Shape
from pellucid.core.check import shown
from pellucid.core.context import expect
from pellucid.core.tensor import Tensor, as_tensor, to_array, wrap
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from pellucid.ops.elementwise import less
from pellucid.ops.shape import cast


def as_state(layer: str, name: str, value: Any, shape: Shape, dtype: DType) -> Tensor:
    """A state that was given, or zeros for None.

    Raises
        ShapeError: it has another shape.
    """
    if value is None:
        return wrap(np.zeros(shape, dtype))
    state = value if isinstance(value, Tensor) else as_tensor(value, dtype)
    if state.shape != shape:
        raise ShapeError("recurrent.state", layer=layer, name=name, given=state.shape, expected=shape)
    return state


def as_pair(layer: str, hx: Any) -> tuple[Any, Any]:
    """State and memory of an LSTM, or None for both.

    Raises
        ArgumentTypeError: it is not two things.
    """
    if hx is None:
        return None, None
    if not isinstance(hx, list | tuple) or len(hx) != 2:
        raise ArgumentTypeError("recurrent.pair", layer=layer, given=shown(hx))
    return hx[0], hx[1]


def within_lengths(layer: str, lengths: Any, steps: int, rows: int) -> Tensor:
    """Which steps belong to which sequence: Tensor of booleans, shape (steps, rows, 1).

    Raises
        DTypeError: the lengths are not whole numbers.
        ShapeError: there is not one for each sequence.
        ArgumentError: one is 0, below, or above the number of steps.
    """
    given = lengths if isinstance(lengths, Tensor) else wrap(to_array(lengths))
    if given.dtype.kind not in "iu" and given.size:  # the list of no lengths has no whole numbers either
        raise DTypeError("recurrent.lengths-dtype", layer=layer, dtype=given.dtype)
    if given.shape != (rows,):
        raise ShapeError("recurrent.lengths-shape", layer=layer, shape=given.shape, rows=rows)
    given = cast(given, np.int64)
    expect(given, lambda values: _check_lengths(layer, values, steps))
    return less(wrap(np.arange(steps).reshape(steps, 1, 1)), given.reshape((1, rows, 1)))


def _check_lengths(layer: str, values: Array, steps: int) -> None:
    wrong = np.flatnonzero((values < 1) | (values > steps))
    if wrong.size:
        row = int(wrong[0])
        length = int(values[row])
        key = "recurrent.lengths-zero" if length == 0 else "recurrent.lengths-range"
        raise ArgumentError(key, layer=layer, length=length, row=row, count=len(wrong), steps=steps)
