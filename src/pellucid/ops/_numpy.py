"""NumPy's own functions when they are called on a Tensor: `np.exp(t)`, `array + t`, `np.sum(t, axis=0)` run the
operation of the same name, with its gradient, and what has no counterpart is refused. Attached by `_methods.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pellucid.core.check import shown
from pellucid.core.other_names import call_error
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentTypeError, GradientError, PellucidError, ShapeError
from pellucid.ops import create, dtypes, elementwise, index, linalg, reduce, search, shape, sort
from pellucid.ops.index import check_keeps_kind


def named(module: Any, names: str) -> dict[str, Callable[..., Any]]:
    """The functions of a module that go by the same name."""
    return {name: getattr(module, name) for name in names.split()}


_UFUNCS: dict[str, Callable[..., Tensor]] = {
    **named(elementwise, "add subtract multiply divide floor_divide remainder power negative positive square sqrt"),
    **named(elementwise, "reciprocal exp exp2 expm1 log log2 log10 log1p logaddexp sin cos tan sinh cosh tanh sign"),
    **named(elementwise, "floor ceil trunc maximum minimum equal not_equal less less_equal greater greater_equal"),
    **named(elementwise, "logical_and logical_or logical_xor logical_not isnan isinf isfinite"),
    **named(elementwise, "bitwise_and bitwise_or bitwise_xor hypot copysign signbit nextafter"),
    "matmul": linalg.matmul,
    "vecdot": linalg.vecdot,
    "absolute": elementwise.abs_,
    "fabs": elementwise.abs_,
    "arcsin": elementwise.asin,
    "arccos": elementwise.acos,
    "arctan": elementwise.atan,
    "arctan2": elementwise.atan2,
    "arcsinh": elementwise.asinh,
    "arccosh": elementwise.acosh,
    "arctanh": elementwise.atanh,
    "invert": elementwise.bitwise_invert,
    "left_shift": elementwise.bitwise_left_shift,
    "right_shift": elementwise.bitwise_right_shift,
    "rint": elementwise.round_,
}
"""Ufuncs by NumPy's name."""


def _vector_norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """numpy.linalg.norm where it is a norm of vectors; those of matrices are another thing."""
    x = as_tensor(x)
    pair = isinstance(axis, list | tuple) and len(axis) == 2
    if ord is not None and (pair or (axis is None and x.ndim == 2)):
        raise ArgumentTypeError(
            "ops.numpy-argument", function="numpy.linalg.norm", name="ord", value=shown(ord), options="axis, keepdims"
        )
    return reduce.norm(x, 2 if ord is None else ord, axis, keepdims)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **named(reduce, "prod mean var std argmax argmin cumsum cumprod cumulative_sum cumulative_prod diff count_nonzero"),
    **named(shape, "reshape transpose swapaxes moveaxis expand_dims squeeze broadcast_to broadcast_arrays"),
    **named(
        shape, "concatenate concat stack split unstack tile repeat pad flip roll permute_dims matrix_transpose astype"
    ),
    **named(linalg, "dot outer tensordot einsum diagonal trace tril triu"),
    **named(create, "zeros_like ones_like full_like empty_like meshgrid"),
    **named(search, "nonzero searchsorted unique_all unique_counts unique_inverse unique_values allclose"),
    **named(sort, "sort argsort"),
    **named(dtypes, "result_type can_cast"),
    **named(index, "take take_along_axis"),
    **named(elementwise, "clip isclose"),
    "where": lambda *arrays: search.nonzero(*arrays) if len(arrays) == 1 else elementwise.where(*arrays),
    "sum": reduce.sum_,
    "max": reduce.max_,
    "amax": reduce.max_,
    "min": reduce.min_,
    "amin": reduce.min_,
    "any": reduce.any_,
    "all": reduce.all_,
    "round": elementwise.round_,
    "around": elementwise.round_,
    "ravel": shape.flatten,
    "copy": elementwise.positive,
    "shape": lambda x: as_tensor(x).shape,
    "ndim": lambda x: as_tensor(x).ndim,
    "size": lambda x: as_tensor(x).size,
    "array_equal": lambda a, b: as_tensor(a).shape == as_tensor(b).shape and bool(elementwise.equal(a, b).data.all()),
    "iscomplexobj": lambda x: False,
    "isrealobj": lambda x: True,
}
"""Other functions of the namespace `numpy` by name."""

_LINALG: dict[str, Callable[..., Any]] = {
    "norm": _vector_norm,
    "matmul": linalg.matmul,
    "outer": linalg.outer,
    "tensordot": linalg.tensordot,
    "vecdot": linalg.vecdot,
    "matrix_transpose": shape.matrix_transpose,
}
"""Functions of `numpy.linalg` that mean the same here."""

_RENAMED = {
    "ddof": "correction",
    "a_min": "min",
    "a_max": "max",
    "pad_width": "widths",
    "constant_values": "value",
    "indices_or_sections": "sections",
    "newshape": "shape",
    "reps": "repetitions",
}


def array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """np.exp(tensor) and array + tensor run the operation of the same name, with its gradient."""
    name = f"numpy.{ufunc.__name__}"
    function = _UFUNCS.get(ufunc.__name__)
    if function is None:
        raise ArgumentTypeError("ops.numpy-function", function=name)
    out = kwargs.get("out")
    if method == "__call__" and len(kwargs) == 1 and out is not None and out[0] is inputs[0]:
        return _into(inputs[0], function(*inputs), name)
    if method != "__call__" or kwargs:
        form = f"{name}.{method}" if method != "__call__" else ", ".join(f"{k}=" for k in kwargs)
        raise ArgumentTypeError("ops.numpy-out", function=name, form=form)
    return function(*inputs)


def _into(array: Any, result: Tensor, name: str) -> Any:
    """`array -= tensor`: the values written into the array, which can hold no gradient."""
    if result.requires_grad:
        raise GradientError("ops.numpy-into", function=name)
    result._read()
    if result.shape != array.shape:
        raise ShapeError("ops.in-place-shape", given=result.shape, expected=array.shape)
    check_keeps_kind(name, result.dtype, array.dtype)
    array[...] = result.data
    return array


def array_function(self: Tensor, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """np.sum(tensor, axis=0) and the like run the operation of the same name, with its gradient."""
    name = f"{function.__module__}.{function.__name__}"
    table = {"numpy": _FUNCTIONS, "numpy.linalg": _LINALG}.get(function.__module__, {})
    ours = table.get(function.__name__)
    if ours is None:
        raise ArgumentTypeError("ops.numpy-function", function=name)
    positional, named = _by_name(function, args, kwargs)
    signature = inspect.signature(ours)
    options = ", ".join(p for p in signature.parameters if p not in _DATA) or "-"
    for argument, value in named.items():
        if argument not in signature.parameters:
            raise ArgumentTypeError(
                "ops.numpy-argument", function=name, name=argument, value=shown(value), options=options
            )
    try:
        return ours(*positional, **named)
    except PellucidError:
        raise
    except TypeError as problem:
        raise call_error(name, ours, positional, named) or ArgumentTypeError(
            "core.bad-call", function=name, problem=str(problem), signature=f"{ours.__name__}{signature}"
        ) from None


def _by_name(function: Any, args: Any, kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
    """NumPy's arguments as ours: data stay in their places, options go by their names, which may differ from NumPy's.

    By place they could mean another thing: the third argument of numpy.sum is a dtype, of ours keepdims.
    """
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # a function in C without a signature; these take data alone
        return list(args), dict(kwargs)
    places = [n for n, p in parameters.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    several = next((n for n in places if parameters[n].kind is inspect.Parameter.VAR_POSITIONAL), None)
    positional: list[Any] = []
    given = dict(kwargs)
    for place, value in enumerate(args):
        parameter = several or places[place]
        if several or parameter in _DATA:
            positional.append(value)
        else:
            given[parameter] = value
    positional += [given.pop(parameter) for parameter in list(given) if parameter in _DATA]
    defaults = {name: p.default for name, p in parameters.items()}
    named = {str(_RENAMED.get(k, k)): v for k, v in given.items() if not (k in defaults and v is defaults[k])}
    return positional, named


_DATA = frozenset(
    "a b x y x1 x2 a1 a2 v m A arr array ary arrays condition indices operands prototype from_ to".split()
)
"""What NumPy calls the parameters that are data."""
