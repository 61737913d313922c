"""Attaches the operations to Tensor: operators, methods, and NumPy's own functions when they are called on a Tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentTypeError
from pellucid.ops import activation, elementwise, index, linalg, reduce, shape, sort


def _swapped(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda self, other: function(other, self)


def _in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`x += y`: the same Tensor object with new values and history; parameters only inside no_grad()."""

    def change(self: Tensor, other: Any) -> Tensor:
        before = self._before_change()
        result = function(before, other)
        if result.shape != self.shape:
            from pellucid.errors import ShapeError

            raise ShapeError("ops.in-place-shape", given=result.shape, expected=self.shape)
        self._become(result if result.dtype == self.dtype else shape.cast(result, self.dtype))
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
    **{
        name: getattr(elementwise, name)
        for name in (
            "add subtract multiply divide negative square sqrt reciprocal exp expm1 log log1p log2 sin cos tan tanh sinh cosh "
            "sign floor ceil trunc clip maximum minimum power erf logical_and logical_or logical_not isnan isinf isfinite"
        ).split()
    },
    **{
        name: getattr(reduce, name)
        for name in "prod mean var std norm logsumexp argmax argmin cumsum cumulative_sum".split()
    },
    **{
        name: getattr(shape, name)
        for name in (
            "reshape flatten permute swapaxes moveaxis expand_dims unsqueeze squeeze broadcast_to split unstack tile repeat "
            "flip roll pad cast astype"
        ).split()
    },
    **{name: getattr(index, name) for name in "take take_along_axis gather scatter_add".split()},
    **{name: getattr(sort, name) for name in "sort argsort topk".split()},
    **{name: getattr(linalg, name) for name in "matmul diagonal trace tril triu".split()},
    **{name: getattr(activation, name) for name in "relu sigmoid softmax log_softmax".split()},
    "abs": elementwise.abs_,
    "round": elementwise.round_,
    "sum": reduce.sum_,
    "max": reduce.max_,
    "min": reduce.min_,
    "any": reduce.any_,
    "all": reduce.all_,
    "dot": linalg.matmul,
}


def _reshape(self: Tensor, *lengths: Any) -> Tensor:
    """The same elements under another shape, given as a sequence or as numbers."""
    return shape.reshape(self, lengths[0] if len(lengths) == 1 else lengths)


def _transpose(self: Tensor, *axes: Any) -> Tensor:
    """The axes reversed, or in the order given as a sequence or as numbers."""
    if not axes:
        return shape.transpose(self)
    return shape.transpose(self, axes[0] if len(axes) == 1 and isinstance(axes[0], list | tuple) else axes)


def _array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """np.exp(tensor) and array + tensor run the operation of the same name, with its gradient."""
    function = BY_NUMPY_NAME.get(ufunc.__name__)
    if function is None or method != "__call__" or kwargs:
        raise ArgumentTypeError("ops.numpy-function", function=f"numpy.{ufunc.__name__}")
    return function(*inputs)


def _array_function(self: Tensor, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """np.sum(tensor, axis=0) and the like run the operation of the same name, with its gradient."""
    ours = BY_NUMPY_NAME.get(function.__name__)
    if ours is None or function.__module__ not in ("numpy", "numpy.linalg"):
        raise ArgumentTypeError("ops.numpy-function", function=f"numpy.{function.__name__}")
    return ours(*args, **kwargs)


_NUMPY_SPELLINGS: dict[str, Callable[..., Any]] = {
    **_METHODS,
    "matmul": linalg.matmul,
    "dot": linalg.matmul,
    "absolute": elementwise.abs_,
    "amax": reduce.max_,
    "amin": reduce.min_,
    "true_divide": elementwise.divide,
    "arcsin": elementwise.asin,
    "arccos": elementwise.acos,
    "arctan": elementwise.atan,
    "arctan2": elementwise.atan2,
    "arcsinh": elementwise.asinh,
    "arccosh": elementwise.acosh,
    "arctanh": elementwise.atanh,
    "invert": elementwise.bitwise_invert,
    "rint": elementwise.round_,
    "transpose": shape.transpose,
    "concatenate": shape.concatenate,
    "stack": shape.stack,
    "outer": linalg.outer,
    "tensordot": linalg.tensordot,
    "einsum": linalg.einsum,
    "where": elementwise.where,
    **{
        name: getattr(elementwise, name)
        for name in (
            "positive floor_divide remainder exp2 log10 logaddexp equal not_equal less less_equal greater greater_equal "
            "logical_xor bitwise_and bitwise_or bitwise_xor"
        ).split()
    },
}
BY_NUMPY_NAME = _NUMPY_SPELLINGS


def attach() -> None:
    """Give Tensor its operators and methods."""
    cls: Any = Tensor
    for name, function in _OPERATORS.items():
        setattr(cls, f"__{name}__", function)
        setattr(cls, f"__r{name}__", _swapped(function))
        if name != "matmul":
            setattr(cls, f"__i{name}__", _in_place(function))
    for name, function in (_COMPARISONS | _UNARY).items():
        setattr(cls, f"__{name}__", function)
    for name, method in _METHODS.items():
        setattr(cls, name, method)
    cls.__getitem__ = index.getitem
    cls.__setitem__ = index.setitem
    cls.reshape = cls.view = _reshape
    cls.transpose = _transpose
    cls.T = property(shape.transpose)
    cls.mT = property(shape.matrix_transpose)
    cls.__array_ufunc__ = _array_ufunc
    cls.__array_function__ = _array_function
    cls.float = lambda self: shape.cast(self, np.float32)
    cls.double = lambda self: shape.cast(self, np.float64)
    cls.long = lambda self: shape.cast(self, np.int64)
    cls.clone = lambda self: elementwise.positive(self)
    cls.contiguous = lambda self: as_tensor(self)


attach()
