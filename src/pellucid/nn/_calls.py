"""What happens at the edge of a network: which network is being called in this thread, how raw arrays become Tensors
on the way in, and the handles that take hooks away again. `module.py` calls it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid._typing import Array, DType
from pellucid.core.tensor import Tensor, as_tensor, to_array, wrap

if TYPE_CHECKING:
    from pellucid.nn.module import Module


class _Calls(threading.local):
    """The outermost module whose call is running in this thread."""

    root: Module | None = None


calls = _Calls()


def as_inputs(args: tuple[Any, ...], dtype: DType | None, keep_integers: bool) -> tuple[Any, ...]:
    """The arguments of a network with raw data turned into Tensors.

    The first argument is the data: an array or list of numbers, cast to `dtype`; whole numbers stay what they are if
    `keep_integers` (indices of an embedding). Of the others only arrays of floats are cast: they are often masks,
    lengths or indices.
    """
    converted = list(args)
    for n, x in enumerate(args):
        if isinstance(x, Tensor):
            if x._is_raw and _other_dtype(n, x.data, dtype, keep_integers):
                converted[n] = as_tensor(x, dtype)
            continue
        if not _is_data(x, lists=n == 0):
            continue
        array = to_array(x)
        if _other_dtype(n, array, dtype, keep_integers):
            # Python's own numbers are read anew: as default floats they have lost digits that float64 has.
            array = to_array(x, dtype)
        converted[n] = wrap(array)
    return tuple(converted)


def _other_dtype(n: int, array: Array, dtype: DType | None, keep_integers: bool) -> bool:
    """Whether argument number n has to be cast."""
    if dtype is None or array.dtype == dtype:
        return False
    kind = array.dtype.kind
    return kind == "f" or (n == 0 and not (keep_integers and kind in "iu"))


def _is_data(x: Any, lists: bool) -> bool:
    if isinstance(x, list | tuple):
        return lists and not _holds_tensors(x)
    return isinstance(x, np.ndarray) or hasattr(x, "__array__")


def _holds_tensors(x: Any) -> bool:
    """Whether a nested list holds Tensors (whose history a cast would lose) or nothing numeric at all."""
    while isinstance(x, list | tuple) and x:
        if any(isinstance(item, Tensor) for item in x):
            return True
        x = x[0]
    return isinstance(x, str | dict | set) or x is None


class RemovableHandle:
    """Takes a hook away again: by `remove()`, or at the end of a `with` block."""

    def __init__(self, hooks: dict[int, Any], number: int, changed: Callable[[], None]) -> None:
        self._hooks, self._number, self._changed = hooks, number, changed

    def remove(self) -> None:
        """Remove the hook; a second call does nothing."""
        self._hooks.pop(self._number, None)
        self._changed()

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()
