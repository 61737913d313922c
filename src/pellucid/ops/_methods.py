"""Attaches the operations to Tensor: operators, methods, and the answers when NumPy's functions are called on it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.core.check import Integer, bad_call, check
from pellucid.core.in_place import become, before_change
from pellucid.core.other_names import DEVICES, OF_TENSORS, Elsewhere, explains_calls
from pellucid.core.tensor import Tensor
from pellucid.errors import ArgumentError, ShapeError
from pellucid.ops import activation, array_api, elementwise, index, linalg, reduce, search, shape
from pellucid.ops._numpy import array_function, array_ufunc, named
from pellucid.ops.index import check_keeps_kind
from pellucid.ops.sort import argsort, sort, topk


def _swapped(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda self, other: function(other, self)


def _in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`x += y`: the same Tensor object with new values and history; parameters only inside no_grad().

    The values are new memory: tensors that looked at the old values (slices, detached ones) keep them.
    """

    def change(self: Tensor, other: Any) -> Tensor:
        before = before_change(self)
        result = function(before, other)
        if result.shape != self.shape:
            raise ShapeError("ops.in-place-shape", given=result.shape, expected=self.shape)
        check_keeps_kind(function.__name__, result.dtype, self.dtype)
        become(self, result if result.dtype == self.dtype else shape.cast(result, self.dtype), before)
        return self

    return change


_OPERATORS: dict[str, Callable[..., Tensor]] = {
    "add": elementwise.add,
    "sub": elementwise.subtract,
    "mul": elementwise.multiply,
    "truediv": elementwise.divide,
    "floordiv": elementwise.floor_divide,
    "mod": elementwise.remainder,
    "pow": elementwise.power,
    "matmul": linalg.matmul,
    "and": elementwise.bitwise_and,
    "or": elementwise.bitwise_or,
    "xor": elementwise.bitwise_xor,
    "lshift": elementwise.bitwise_left_shift,
    "rshift": elementwise.bitwise_right_shift,
}
_COMPARISONS: dict[str, Callable[..., Tensor]] = {
    "eq": elementwise.equal,
    "ne": elementwise.not_equal,
    "lt": elementwise.less,
    "le": elementwise.less_equal,
    "gt": elementwise.greater,
    "ge": elementwise.greater_equal,
}
_UNARY: dict[str, Callable[..., Tensor]] = {
    "neg": elementwise.negative,
    "pos": elementwise.positive,
    "abs": elementwise.abs_,
    "invert": elementwise.bitwise_invert,
}


_METHODS: dict[str, Callable[..., Any]] = {
    **named(
        elementwise, "add subtract multiply divide negative square sqrt reciprocal exp exp2 expm1 log log1p log2 log10"
    ),
    **named(elementwise, "sin cos tan tanh sinh cosh sign floor ceil trunc clip maximum minimum power erf"),
    **named(elementwise, "logical_and logical_or logical_not isnan isinf isfinite"),
    **named(reduce, "prod mean var std norm logsumexp argmax argmin count_nonzero"),
    **named(reduce, "cumsum cumprod cumulative_sum cumulative_prod diff"),
    **named(shape, "flatten permute swapaxes moveaxis expand_dims unsqueeze squeeze broadcast_to split unstack"),
    **named(shape, "tile repeat flip roll pad cast astype"),
    **named(index, "take take_along_axis gather scatter_add"),
    **named(search, "nonzero searchsorted"),
    **named(linalg, "matmul dot diagonal trace tril triu"),
    **named(activation, "relu sigmoid softmax log_softmax"),
    "sort": sort,
    "argsort": argsort,
    "topk": topk,
    "abs": elementwise.abs_,
    "round": elementwise.round_,
    "sum": reduce.sum_,
    "max": reduce.max_,
    "min": reduce.min_,
    "any": reduce.any_,
    "all": reduce.all_,
}


def _reshape(self: Tensor, *lengths: Any) -> Tensor:
    """The same elements under another shape, given as a sequence or as numbers."""
    if not lengths and self.size != 1:  # one element has the shape of no lengths: x.reshape(*shape)
        raise bad_call("reshape", _RESHAPE, (self,), {})
    return shape.reshape(self, lengths[0] if len(lengths) == 1 else lengths)


_RESHAPE = inspect.signature(lambda self, shape, /, *more: None)


def _transpose(self: Tensor, *axes: Any) -> Tensor:
    """The axes reversed, or in the order given as a sequence or as numbers."""
    if not axes:
        return shape.transpose(self)
    # To NumPy the order that is there already, to PyTorch a swap.
    if self.ndim == 2 and all(type(a) is int for a in axes) and axes == (0, 1):
        raise ArgumentError("ops.transpose-nothing", shape=self.shape)
    return shape.transpose(self, axes[0] if len(axes) == 1 and isinstance(axes[0], list | tuple) else axes)


def _rounded(self: Tensor, ndigits: int | None = None) -> Tensor:
    """round(x): the nearest whole numbers; with ndigits, to that many decimals."""
    if not ndigits:
        return elementwise.round_(self)
    check("ndigits", ndigits, Integer(-300, 300))
    return elementwise.divide(elementwise.round_(self * 10.0**ndigits), 10.0**ndigits)


def _dlpack(self: Tensor, **options: Any) -> Any:
    """The values for another library, which shares their memory."""
    self._read()
    return self.data.__dlpack__(**options)


def _comparison(function: Callable[..., Tensor]) -> Callable[..., Any]:
    """`x == None` and `x == "name"` are plain False, as for any object of another kind."""
    return lambda self, other: NotImplemented if other is None or isinstance(other, str) else function(self, other)


_CASTS: dict[str, Callable[..., Any]] = {
    "float": lambda self: shape.cast(self, np.float32),
    "double": lambda self: shape.cast(self, np.float64),
    "long": lambda self: shape.cast(self, np.int64),
}
_COPIES: dict[str, Callable[..., Any]] = {
    "clone": elementwise.positive,
    "copy": elementwise.positive,
    "contiguous": lambda self: self,
    "ravel": shape.flatten,
}


def attach() -> None:
    """Give Tensor its operators and methods."""
    cls: Any = Tensor
    for name, function in _OPERATORS.items():
        setattr(cls, f"__{name}__", function)
        setattr(cls, f"__r{name}__", _swapped(function))
        if name != "matmul":
            setattr(cls, f"__i{name}__", _in_place(function))
    for name, function in _COMPARISONS.items():
        setattr(cls, f"__{name}__", _comparison(function))
    for name, function in _UNARY.items():
        setattr(cls, f"__{name}__", function)
    for name in (*OF_TENSORS, *DEVICES):
        setattr(cls, name, Elsewhere(name))
    for name, method in _METHODS.items():
        setattr(cls, name, explains_calls(method, name, method=True))
    cls.__getitem__ = index.getitem
    cls.__setitem__ = index.setitem
    cls.__contains__ = lambda self, value: bool(elementwise.equal(self, value).any())
    cls.__round__ = _rounded
    for name, method in {"reshape": _reshape, "view": _reshape, "transpose": _transpose, **_CASTS, **_COPIES}.items():
        setattr(cls, name, explains_calls(method, name, method=True))
    cls.T = property(shape.transpose)
    cls.mT = property(shape.matrix_transpose)
    cls.__array_ufunc__ = array_ufunc
    cls.__array_function__ = array_function
    cls.__array_namespace__ = array_api.namespace
    cls.device = property(array_api.device)
    cls.to_device = explains_calls(array_api.to_device, "to_device")
    cls.__dlpack__ = _dlpack
    cls.__dlpack_device__ = lambda self: self.data.__dlpack_device__()


attach()
