"""Attaches the operations to Tensor: operators, methods, and the answers when NumPy's functions are called on it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.core.check import Integer, check
from pellucid.core.other_names import explains_calls
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ShapeError
from pellucid.ops import activation, elementwise, index, linalg, reduce, search, shape
from pellucid.ops._numpy import array_function, array_ufunc
from pellucid.ops.index import check_keeps_kind
from pellucid.ops.sort import argsort, sort, topk


def _swapped(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda self, other: function(other, self)


def _in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`x += y`: the same Tensor object with new values and history; parameters only inside no_grad().

    The values are new memory: tensors that looked at the old values (slices, detached ones) keep them.
    """

    def change(self: Tensor, other: Any) -> Tensor:
        before = self._before_change()
        result = function(before, other)
        if result.shape != self.shape:
            raise ShapeError("ops.in-place-shape", given=result.shape, expected=self.shape)
        check_keeps_kind(function.__name__, result.dtype, self.dtype)
        self._become(result if result.dtype == self.dtype else shape.cast(result, self.dtype), before)
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


def _named(module: Any, names: str) -> dict[str, Callable[..., Any]]:
    return {name: getattr(module, name) for name in names.split()}


_METHODS: dict[str, Callable[..., Any]] = {
    **_named(
        elementwise, "add subtract multiply divide negative square sqrt reciprocal exp exp2 expm1 log log1p log2 log10"
    ),
    **_named(elementwise, "sin cos tan tanh sinh cosh sign floor ceil trunc clip maximum minimum power erf"),
    **_named(elementwise, "logical_and logical_or logical_not isnan isinf isfinite"),
    **_named(reduce, "prod mean var std norm logsumexp argmax argmin count_nonzero"),
    **_named(reduce, "cumsum cumprod cumulative_sum cumulative_prod diff"),
    **_named(shape, "flatten permute swapaxes moveaxis expand_dims unsqueeze squeeze broadcast_to split unstack"),
    **_named(shape, "tile repeat flip roll pad cast astype"),
    **_named(index, "take take_along_axis gather scatter_add"),
    **_named(search, "nonzero searchsorted"),
    **_named(linalg, "matmul dot diagonal trace tril triu"),
    **_named(activation, "relu sigmoid softmax log_softmax"),
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
    return shape.reshape(self, lengths[0] if len(lengths) == 1 else lengths)


def _transpose(self: Tensor, *axes: Any) -> Tensor:
    """The axes reversed, or in the order given as a sequence or as numbers."""
    if not axes:
        return shape.transpose(self)
    return shape.transpose(self, axes[0] if len(axes) == 1 and isinstance(axes[0], list | tuple) else axes)


def _rounded(self: Tensor, ndigits: int | None = None) -> Tensor:
    """round(x): the nearest whole numbers; with ndigits, to that many decimals."""
    if not ndigits:
        return elementwise.round_(self)
    check("ndigits", ndigits, Integer(-300, 300))
    return elementwise.divide(elementwise.round_(self * 10.0**ndigits), 10.0**ndigits)


def _namespace(self: Tensor, /, *, api_version: str | None = None) -> Any:
    """The namespace of the array-API standard: pellucid itself."""
    return importlib.import_module("pellucid")


def _dlpack(self: Tensor, **options: Any) -> Any:
    """The values for another library, which shares their memory."""
    self._read()
    return self.data.__dlpack__(**options)


def _comparison(function: Callable[..., Tensor]) -> Callable[..., Any]:
    """`x == None` and `x == "name"` are plain False, as for any object of another kind."""
    return lambda self, other: NotImplemented if other is None or isinstance(other, str) else function(self, other)


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
    for name, method in _METHODS.items():
        setattr(cls, name, explains_calls(method))
    cls.__getitem__ = index.getitem
    cls.__setitem__ = index.setitem
    cls.__contains__ = lambda self, value: bool(elementwise.equal(self, value).any())
    cls.__round__ = _rounded
    cls.reshape = cls.view = _reshape
    cls.transpose = _transpose
    cls.T = property(shape.transpose)
    cls.mT = property(shape.matrix_transpose)
    cls.__array_ufunc__ = array_ufunc
    cls.__array_function__ = array_function
    cls.__array_namespace__ = _namespace
    cls.__dlpack__ = _dlpack
    cls.__dlpack_device__ = lambda self: self.data.__dlpack_device__()
    cls.float = lambda self: shape.cast(self, np.float32)
    cls.double = lambda self: shape.cast(self, np.float64)
    cls.long = lambda self: shape.cast(self, np.int64)
    cls.clone = cls.copy = elementwise.positive
    cls.contiguous = as_tensor
    cls.ravel = shape.flatten


attach()
