"""New tensors: filled, counted, and random."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Shape
from pellucid.core.check import Flag, Integer, Real, check
from pellucid.core.context import default_dtype
from pellucid.core.tensor import Tensor, as_tensor, to_array, wrap
from pellucid.errors import ArgumentError, ShapeError
from pellucid.ops.shape import as_shape


def asarray(data: Any, /, dtype: Any = None, copy: bool | None = None) -> Tensor:
    """Anything numeric as a Tensor; shared with an array or Tensor of the right dtype unless copy=True."""
    if isinstance(data, Tensor) and not copy and (dtype is None or data.dtype == np.dtype(dtype)):
        return data
    array = to_array(data, dtype)
    if copy and isinstance(data, Tensor):
        data._read()
    return wrap(array.copy() if copy else array)


def tensor(data: Any, /, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A Tensor with its own copy of the data, as torch.tensor makes one."""
    if isinstance(data, Tensor):
        data._read()
    return Tensor(to_array(data, dtype).copy(), requires_grad=requires_grad)


def _filled(op: str, shape: Any, value: Any, dtype: Any, requires_grad: bool) -> Tensor:
    lengths = as_shape(op, shape)
    if any(n < 0 for n in lengths):
        raise ShapeError("ops.negative", op=op, name="shape", value=lengths)
    kind = to_array(value, dtype).dtype if dtype is not None or op == "full" else default_dtype()
    return Tensor(np.full(lengths, value, kind), requires_grad=requires_grad)


def zeros(shape: Any, /, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros."""
    return _filled("zeros", shape, 0, dtype, requires_grad)


def ones(shape: Any, /, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones."""
    return _filled("ones", shape, 1, dtype, requires_grad)


def full(shape: Any, /, fill_value: float, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of one value; its dtype follows the value's kind."""
    return _filled("full", shape, fill_value, dtype, requires_grad)


def empty(shape: Any, /, dtype: Any = None) -> Tensor:
    """A tensor whose values do not matter; they are zeros, so that none is ever undefined."""
    return zeros(shape, dtype)


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
    """Numbers from start (inclusive) to stop (exclusive) in steps; whole numbers give int64, else the default float."""
    for name, value in (("start", start), ("stop", stop), ("step", step)):
        check(name, value, Real(none=name == "stop"))
    if step == 0:
        raise ArgumentError("ops.arange", start=start, stop=stop)
    low, high = (0, start) if stop is None else (start, stop)
    whole = all(isinstance(v, int | np.integer) for v in (low, high, step))
    return wrap(np.arange(low, high, step).astype(dtype or (np.int64 if whole else default_dtype())))


def linspace(start: float, stop: float, /, num: int = 50, dtype: Any = None, endpoint: bool = True) -> Tensor:
    """`num` equally spaced numbers from start to stop."""
    check("start", start, Real())
    check("stop", stop, Real())
    check("num", num, Integer(0))
    check("endpoint", endpoint, Flag())
    return wrap(np.linspace(start, stop, num, endpoint=endpoint).astype(dtype or default_dtype()))


def eye(n: int, m: int | None = None, /, k: int = 0, dtype: Any = None) -> Tensor:
    """Ones on the k-th diagonal of an (n, m) matrix, zeros elsewhere."""
    check("n", n, Integer(0))
    check("m", m, Integer(0, none=True))
    check("k", k, Integer())
    return wrap(np.eye(n, m, k).astype(dtype or default_dtype()))


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Tensor]:
    """Coordinate grids of vectors."""
    from pellucid.core.check import Options

    check("indexing", indexing, Options("xy", "ij"))
    return [wrap(np.ascontiguousarray(g)) for g in np.meshgrid(*(to_array(a) for a in arrays), indexing=indexing)]  # type: ignore[arg-type]
