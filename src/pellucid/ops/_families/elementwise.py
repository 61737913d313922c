"""Elementwise operations, declared as a scalar body that takes a maths handler `m`, and the gradient.

From the body come the eager value (m = NumPy), the formula and the counted work (m = symbols), and later the fused
kernel. The shape rule is NumPy's broadcasting; gradients are summed back to the shape of their input. dtypes: whole
numbers meet floats at the float's dtype, and a function that only makes sense in floats turns whole numbers into the
default float first.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Literal, TypeAlias

import numpy as np

from pellucid._typing import Array, DType, Shape
from pellucid.core.check import parameter_names
from pellucid.core.context import default_dtype
from pellucid.core.op import NONE, REGISTRY, Cost, Op, register
from pellucid.core.spec import Spec, weak_dtype
from pellucid.core.tensor import Tensor, apply
from pellucid.errors import DTypeError, ShapeError
from pellucid.ops._families.calls import public
from pellucid.ops._families.maths import NUMPY, SYMBOLS, formula_of, is_arithmetic, ufunc_of, variable, work_of

_BOOL = np.dtype(np.bool_)
_REQUIRED = inspect.Parameter.empty
FLOATS = frozenset((np.dtype(np.float32), np.dtype(np.float64)))

Kind: TypeAlias = Literal["same", "float", "bool"]


def elementwise(
    *,
    vjp: Any,
    onnx: str | Callable[..., Any] | NONE,
    kind: Kind = "same",
    name: str | None = None,
    accepts: str = "fiub",
    value: Callable[..., Array] | None = None,
    quick: Callable[..., Array] | None = None,
    typed: slice = slice(None),
) -> Callable[[Callable[..., Any]], Callable[..., Tensor]]:
    """Declare an elementwise operation.

    Parameters
        vjp : a function (g, y, *inputs, **attrs) -> Tensor for one input; a tuple of them for several, None for an
            input without a gradient; or NONE(why).
        onnx : the ONNX operator's name, a function that builds it, or NONE(why).
        kind : "same": the result has the inputs' common dtype; "float": whole numbers become floats first; "bool":
            comparisons.
        accepts : the kinds of common dtype it takes (f float, i and u whole numbers, b boolean).
        value : a faster way to the same eager value as the body's, if there is one.
        quick : such a way where the first input is an array of floats and no other is an array of another dtype.
        typed : the inputs that decide the dtype; a condition does not.
    """

    def declare(body: Callable[..., Any]) -> Callable[..., Tensor]:
        written: Any = inspect.unwrap(body)
        parameters, arity = parameter_names(body), written.__code__.co_argcount
        names = list(parameters[1:arity])
        attrs = {name: (written.__kwdefaults__ or {}).get(name, _REQUIRED) for name in parameters[arity:]}
        op_name = name or body.__name__.rstrip("_")

        def spec(*specs: Spec, **kw: Any) -> Spec:
            common = common_dtype([(s.dtype, s.weak) for s in specs[typed]])
            if common.kind not in accepts:
                raise DTypeError("ops.dtype", op=op_name, dtypes=", ".join(s.dtype.name for s in specs))
            dtype = _BOOL if kind == "bool" else default_dtype() if kind == "float" and common.kind != "f" else common
            return Spec(broadcast_shapes(op_name, names, [s.shape for s in specs]), dtype)

        def expression(**kw: Any) -> Any:
            return body(SYMBOLS, *map(variable, names), **kw)

        def cost(specs: list[Spec], out: Spec, kw: dict[str, Any]) -> Cost:
            plain, special = work_of(expression(**kw))
            return Cost(0, plain * out.size, special * out.size)

        def formula(specs: list[Spec] | None = None, kw: dict[str, Any] | None = None) -> str:
            return "y = " + formula_of(expression(**(kw or attrs)))

        op = register(
            Op(
                name=op_name,
                family="elementwise",
                value=value or _value(body, len(names), not attrs, kind, accepts, spec, quick),
                spec=spec,
                vjp=vjp if type(vjp) is NONE else _vjp(vjp),
                cost=cost,
                formula=formula,
                kernel=body,
                onnx=onnx,
                attrs=attrs,
                doc=inspect.getdoc(body) or "",
            )
        )
        return public(op, body, names, attrs)

    return declare


def _value(
    body: Callable[..., Any],
    arity: int,
    plain: bool,
    kind: Kind,
    accepts: str,
    spec: Callable[..., Spec],
    quick: Callable[..., Array] | None,
) -> Callable[..., Array]:
    """The body over NumPy, with the dtype rule in front; equal float dtypes, the usual case, go straight through."""
    check = accepts != "fiub"

    def prepared(arrays: tuple[Any, ...]) -> list[Any]:
        dtypes = [(a.dtype, False) if isinstance(a, np.ndarray) else (weak_dtype(a), True) for a in arrays]
        if check:
            spec(*(Spec(np.shape(a), d, w) for a, (d, w) in zip(arrays, dtypes, strict=True)))
        common = common_dtype(dtypes)
        if kind == "float" and common.kind != "f":
            common = default_dtype()
        # NumPy compares a Python number of any size with whole numbers of any width.
        kept = int if kind == "bool" and common.kind in "iu" else None
        return [
            np.asarray(a, common) if isinstance(a, np.ndarray) else a if type(a) is kept else common.type(a)
            for a in arrays
        ]

    fast = ufunc_of(body, arity) if plain and arity <= 2 else None
    if arity == 1 and plain:
        one = quick or fast or partial(body, NUMPY)

        def unary(a: Any) -> Any:
            if type(a) is np.ndarray and a.dtype in FLOATS:
                return one(a)
            return body(NUMPY, *prepared((a,)))

        return unary

    if arity == 2 and plain:
        two = quick or fast or partial(body, NUMPY)
        # A ufunc knows that a Python number is weak. In a body m.exp(2.0) would be a float64: it gets the dtype first.
        numbers = fast is not None

        def binary(a: Any, b: Any) -> Any:
            if type(a) is np.ndarray:
                dtype = a.dtype
                if dtype in FLOATS and (b.dtype is dtype if type(b) is np.ndarray else numbers):
                    return two(a, b)
            elif numbers and type(b) is np.ndarray and b.dtype in FLOATS:
                return two(a, b)
            return body(NUMPY, *prepared((a, b)))

        return binary

    if quick is not None:

        def ternary(a: Any, b: Any, c: Any) -> Any:
            if (
                type(a) is np.ndarray
                and (dtype := a.dtype) in FLOATS
                and (type(b) is not np.ndarray or b.dtype is dtype)
                and (type(c) is not np.ndarray or c.dtype is dtype)
            ):
                return quick(a, b, c)
            return body(NUMPY, *prepared((a, b, c)))

        return ternary

    weak = plain and is_arithmetic(body, arity)

    def several(*arrays: Any, **kw: Any) -> Any:
        first = arrays[0]
        if type(first) is np.ndarray and (dtype := first.dtype) in FLOATS:
            for a in arrays:
                if type(a) is np.ndarray and a.dtype is not dtype:
                    break
            else:
                if weak:
                    return body(NUMPY, *arrays)
                number = dtype.type
                return body(NUMPY, *[a if type(a) is np.ndarray else number(a) for a in arrays], **kw)
        return body(NUMPY, *prepared(arrays), **kw)

    return several


def _vjp(rules: Any) -> Callable[..., Tensor | None]:
    functions = rules if isinstance(rules, tuple) else (rules,)

    def vjp(i: int, g: Tensor, y: Tensor, xs: list[Any], attrs: dict[str, Any]) -> Tensor | None:
        rule = functions[i]
        if rule is None:
            return None
        return fit(rule(g, y, *xs, **attrs), xs[i])

    return vjp


def fit(g: Tensor, x: Tensor) -> Tensor:
    """A gradient brought to the shape and dtype of its input: what broadcasting spread is summed."""
    if g.data.shape != x.data.shape:
        g = apply(REGISTRY["sum_to"], [g], {"shape": x.data.shape})
    if g.data.dtype is not x.data.dtype and g.data.dtype != x.data.dtype:
        g = apply(REGISTRY["cast"], [g], {"dtype": x.data.dtype.name})
    return g


def common_dtype(dtypes: list[tuple[DType, bool]]) -> DType:
    """The dtype at which values meet: floats win over whole numbers, whole numbers over booleans; inside a kind the
    wider wins; a Python number takes the dtype of what it meets unless its kind is the higher one (int array + 0.5 ->
    default float)."""
    return _common_dtype(tuple(dtypes), default_dtype())


@lru_cache(1024)
def _common_dtype(dtypes: tuple[tuple[DType, bool], ...], default: DType) -> DType:
    strong = [d for d, weak in dtypes if not weak] or [d for d, _ in dtypes]
    rank = max("buif".index(d.kind) if d.kind in "buif" else 4 for d in strong)
    top = [d for d in strong if d.kind == "f"] if rank == 3 else strong
    common = np.result_type(*top)
    weakest = max(("buif".index(d.kind) for d, weak in dtypes if weak), default=0)
    if weakest > rank and not (common.kind in "iu" and weakest == 2):
        common = default if weakest == 3 else np.dtype(np.int64)
    if common.kind == "f" and rank < 3 and weakest < 3:
        # NumPy meets uint64 and int64 at float64: a silent loss of exactness.
        raise DTypeError("ops.dtype-mix", dtypes=", ".join(d.name for d in strong))
    return common


def broadcast_shapes(op: str, names: list[str], shapes: list[Shape]) -> Shape:
    """The common shape of inputs under broadcasting.

    Raises
        ShapeError: an axis has two lengths, neither of them 1.
    """
    common = _broadcast(*shapes)
    if common is not None:
        return common
    given = ", ".join(f"{n} {s}" for n, s in zip(names, shapes, strict=False))
    ndim = max(map(len, shapes))
    for axis in range(1, ndim + 1):
        lengths = sorted({s[-axis] for s in shapes if len(s) >= axis and s[-axis] != 1})
        if len(lengths) > 1:
            raise ShapeError("ops.broadcast", op=op, given=given, axis=-axis, lengths=" ≠ ".join(map(str, lengths)))
    raise ShapeError("ops.negative", op=op, name="shape", value=given)


@lru_cache(1024)
def _broadcast(*shapes: Shape) -> Shape | None:
    """The common shape; None where there is none."""
    if any(n < 0 for s in shapes for n in s):
        return None
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        return None
