"""New tensors: from data, filled, counted, and grids. Random ones are in `sampling.py`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.core.check import Flag, Integer, Options, Real, check
from pellucid.core.context import default_dtype
from pellucid.core.convert import as_dtype
from pellucid.core.failure import room_for
from pellucid.core.tensor import Tensor, as_tensor, to_array, wrap
from pellucid.errors import ArgumentError, ShapeError
from pellucid.ops.elementwise import positive
from pellucid.ops.shape import broadcast_to, checked_shape, reshape


def asarray(data: Any, /, dtype: Any = None, copy: bool | None = None) -> Tensor:
    """Anything numeric as a Tensor, with its history if it has one; shared with an array or Tensor of the right dtype
    unless copy=True.

    Raises
        ArgumentError: copy=False, and the data cannot be shared.
    """
    if copy is not None:
        check("copy", copy, Flag())
    if isinstance(data, Tensor):
        result = as_tensor(data, dtype)
        if copy and result is data:
            result = positive(data)
    else:
        array = to_array(data, dtype)
        result = wrap(array.copy() if copy and np.may_share_memory(array, data) else array)
    if copy is False and not (
        isinstance(data, Tensor | np.ndarray) and np.may_share_memory(result.data, to_array(data))
    ):
        given = str(data.dtype) if isinstance(data, Tensor | np.ndarray) else type(data).__name__
        raise ArgumentError("core.copy-needed", given=given, expected=result.dtype)
    return result


def tensor(data: Any, /, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A leaf Tensor with its own copy of the data, as torch.tensor makes one."""
    if isinstance(data, Tensor):
        data._read()
    return Tensor(to_array(data, dtype).copy(), requires_grad=requires_grad)


def from_dlpack(x: Any, /) -> Tensor:
    """A Tensor that shares the memory of another library's array through the DLPack protocol.

    Raises
        DTypeError: the object does not speak the protocol, is on another device, or is not made of real numbers.
    """
    if isinstance(x, Tensor):
        return x
    try:
        array = np.from_dlpack(x)
    except (AttributeError, TypeError, ValueError, RuntimeError, BufferError) as problem:
        from pellucid.errors import DTypeError

        raise DTypeError("core.foreign", type=type(x).__name__, problem=str(problem)) from None
    return wrap(to_array(array))


def _filled(op: str, shape: Any, value: Any, dtype: Any, requires_grad: bool) -> Tensor:
    lengths = checked_shape(op, shape)
    number = to_array(value, dtype)
    if number.ndim:
        raise ShapeError("core.one-element", shape=number.shape)
    kind = number.dtype if dtype is not None or op == "full" else default_dtype()
    with room_for(op, lengths):
        return Tensor(np.full(lengths, number, kind), requires_grad=requires_grad)


def zeros(shape: Any, /, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros."""
    return _filled("zeros", shape, 0, dtype, requires_grad)


def ones(shape: Any, /, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones."""
    return _filled("ones", shape, 1, dtype, requires_grad)


def full(shape: Any, /, fill_value: float, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of one value; its dtype follows the value's kind."""
    if isinstance(fill_value, Tensor):
        fill_value._read()
    return _filled("full", shape, fill_value, dtype, requires_grad)


def empty(shape: Any, /, dtype: Any = None) -> Tensor:
    """A tensor whose values do not matter; they are zeros, so that none is ever undefined."""
    return _filled("empty", shape, 0, dtype, False)


def zeros_like(x: Any, /, dtype: Any = None) -> Tensor:
    """Zeros of another tensor's shape and dtype."""
    x = as_tensor(x)
    return zeros(x.shape, x.dtype if dtype is None else dtype)


def ones_like(x: Any, /, dtype: Any = None) -> Tensor:
    """Ones of another tensor's shape and dtype."""
    x = as_tensor(x)
    return ones(x.shape, x.dtype if dtype is None else dtype)


def full_like(x: Any, /, fill_value: float, dtype: Any = None) -> Tensor:
    """One value in another tensor's shape and dtype."""
    x = as_tensor(x)
    return full(x.shape, fill_value, x.dtype if dtype is None else dtype)


def empty_like(x: Any, /, dtype: Any = None) -> Tensor:
    """Zeros of another tensor's shape and dtype."""
    return zeros_like(x, dtype)


def arange(start: float, /, stop: float | None = None, step: float = 1, dtype: Any = None) -> Tensor:
    """Numbers from start (inclusive) to stop (exclusive) in steps; whole numbers give int64, else the default float.

    Raises
        ArgumentError: the step is 0.
    """
    for name, value in (("start", start), ("stop", stop), ("step", step)):
        check(f"arange: {name}", value, Real(none=name == "stop"))
    if step == 0:
        raise ArgumentError("ops.arange", start=start, stop=stop)
    low, high = (0, start) if stop is None else (start, stop)
    whole = all(isinstance(v, int | np.integer) for v in (low, high, step))
    kind = as_dtype(dtype) if dtype is not None else np.dtype(np.int64) if whole else default_dtype()
    with room_for("arange", (max(0, math.ceil((high - low) / step)),)):
        return wrap(np.arange(low, high, step).astype(kind, copy=False))


def linspace(start: float, stop: float, /, num: int = 50, dtype: Any = None, endpoint: bool = True) -> Tensor:
    """`num` equally spaced numbers from start to stop, or to just before it with endpoint=False."""
    check("linspace: start", start, Real())
    check("linspace: stop", stop, Real())
    check("linspace: num", num, Integer(0))
    check("linspace: endpoint", endpoint, Flag())
    kind = default_dtype() if dtype is None else as_dtype(dtype)
    with room_for("linspace", (num,)):
        return wrap(np.linspace(float(start), float(stop), num, endpoint=endpoint).astype(kind))


def eye(n: int, m: int | None = None, /, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on the k-th diagonal of an (n, m) matrix, zeros elsewhere."""
    check("eye: n", n, Integer(0))
    check("eye: m", m, Integer(0, none=True))
    check("eye: k", k, Integer(-(2**31), 2**31))
    kind = default_dtype() if dtype is None else as_dtype(dtype)
    with room_for("eye", (n, n if m is None else m)):
        return wrap(np.eye(n, m, k, dtype=kind))


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Tensor]:
    """Coordinate grids of vectors: one tensor for each, its values along its own axis.

    Parameters
        indexing : "xy" exchanges the first two axes, as for a picture; "ij" keeps the order of the vectors.
    Raises
        ShapeError: an array is not a vector.
    """
    check("indexing", indexing, Options("xy", "ij"))
    tensors = [as_tensor(a) for a in arrays]
    if any(t.ndim > 1 for t in tensors):
        raise ShapeError("ops.meshgrid", shapes=", ".join(str(t.shape) for t in tensors))
    places = list(range(len(tensors)))
    if indexing == "xy" and len(tensors) > 1:
        places[0], places[1] = 1, 0
    lengths = [0] * len(tensors)
    for t, place in zip(tensors, places, strict=True):
        lengths[place] = t.size
    return [
        broadcast_to(reshape(t, [t.size if i == place else 1 for i in range(len(tensors))]), lengths)
        for t, place in zip(tensors, places, strict=True)
    ]
