"""Contractions: operations declared by an index formula such as "ik,kj->ij", the sum over every index that the result
lacks.

From the formula come the value (a planner over views and BLAS), the gradients (the output swapped with an input:
again a contraction), the multiply-accumulates, and the printed sum. In a formula a letter is an index, and "1" an
axis of length 1 that broadcasts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.core.op import NONE, REGISTRY, Cost, Op, register
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply
from pellucid.errors import DTypeError, ShapeError
from pellucid.ops._families.calls import public
from pellucid.ops._families.elementwise import FLOATS, common_dtype, fit

LETTERS = "ijklmnopqrstuvwxyzabcdefghIJKLMNOPQRSTUVWXYZABCDEFGH"


class Formula(NamedTuple):
    """The index letters of two inputs and the output, one character an axis."""

    a: str
    b: str
    out: str

    def __str__(self) -> str:
        return f"{self.a},{self.b}->{self.out}"


@cache
def parse(formula: str) -> Formula:
    """ "ik,kj->ij" as a Formula."""
    inputs, _, out = formula.partition("->")
    a, _, b = inputs.partition(",")
    return Formula(a, b, out)


def extents(formula: Formula, a: Shape, b: Shape) -> dict[str, int]:
    """The length of every index."""
    lengths: dict[str, int] = {}
    for term, shape in ((formula.a, a), (formula.b, b)):
        for letter, length in zip(term, shape, strict=True):
            if letter != "1":
                lengths.setdefault(letter, length)
    return lengths


def contract(formula: str, a: Tensor, b: Tensor) -> Tensor:
    """The contraction of two tensors by a formula, as one recorded operation."""
    return apply(REGISTRY["contract"], [a, b], {"formula": formula})


@cache
def plan(text: str) -> Callable[[Array, Array], Array]:
    """How to compute a formula: transposed views, one matrix product over a batch, a final transpose. Cached by
    formula."""
    formula = parse(text)
    a_term, b_term, out = formula
    a_letters, b_letters, out_letters = (t.replace("1", "") for t in formula)
    batch = [i for i in out_letters if i in a_letters and i in b_letters]
    inner = [i for i in a_letters if i in b_letters and i not in out_letters]
    rows = [i for i in out_letters if i in a_letters and i not in b_letters]
    cols = [i for i in out_letters if i in b_letters and i not in a_letters]
    alone_a = tuple(n for n, i in enumerate(a_letters) if i not in b_letters and i not in out_letters)
    alone_b = tuple(n for n, i in enumerate(b_letters) if i not in a_letters and i not in out_letters)

    if not batch and not alone_a and not alone_b and "1" not in text and len(rows) == len(cols) == len(inner) == 1:
        # A plain matrix product of views: what layers of a network do. `dot` starts quicker than `@`.
        k, i = inner[0], rows[0]
        a_flip, b_flip, out_flip = a_term != i + k, b_term[0] != k, out[0] != i
        if not out_flip:
            return {
                (False, False): lambda a, b: a.dot(b),
                (False, True): lambda a, b: a.dot(b.T),
                (True, False): lambda a, b: a.T.dot(b),
                (True, True): lambda a, b: a.T.dot(b.T),
            }[a_flip, b_flip]
        return lambda a, b: ((a.T if a_flip else a) @ (b.T if b_flip else b)).T

    kept_a = [i for i in a_letters if i in b_letters or i in out_letters]
    kept_b = [i for i in b_letters if i in a_letters or i in out_letters]
    a_order = [kept_a.index(i) for i in batch + rows + inner]
    b_order = [kept_b.index(i) for i in batch + inner + cols]
    made = batch + rows + cols
    out_order = [made.index(i) for i in out_letters]
    a_ones = tuple(n for n, i in enumerate(a_term) if i == "1")
    b_ones = tuple(n for n, i in enumerate(b_term) if i == "1")
    out_ones = tuple(n for n, i in enumerate(out) if i == "1")

    def run(a: Array, b: Array) -> Array:
        a = a.squeeze(a_ones) if a_ones else a
        b = b.squeeze(b_ones) if b_ones else b
        a = a.sum(alone_a) if alone_a else a
        b = b.sum(alone_b) if alone_b else b
        a = a.transpose(a_order)
        b = b.transpose(b_order)
        nb, nr, nc = len(batch), len(rows), len(cols)
        lead, row_shape, col_shape = a.shape[:nb], a.shape[nb : nb + nr], b.shape[b.ndim - nc :]
        inner_shape = a.shape[nb + nr :]
        if not inner_shape:  # no sum: an outer product
            left = a.reshape(lead + row_shape + (1,) * nc)
            y = left * b.reshape(lead + (1,) * nr + col_shape)
        else:
            size = int(np.prod(inner_shape, dtype=np.int64))
            num_rows, num_cols = (int(np.prod(s, dtype=np.int64)) for s in (row_shape, col_shape))
            y = np.matmul(a.reshape((*lead, num_rows, size)), b.reshape((*lead, size, num_cols)))
            y = y.reshape(lead + row_shape + col_shape)
        y = y.transpose(out_order)
        return np.expand_dims(y, out_ones) if out_ones else y

    return run


@cache
def swapped(i: int, formula: Formula) -> str:
    """The formula of input i's gradient from the output's gradient and the other input; an axis neither has is left
    at length 1."""
    own, other = (formula.a, formula.b) if i == 0 else (formula.b, formula.a)
    reachable = "".join(letter if letter in formula.out or letter in other else "1" for letter in own)
    return f"{formula.out},{other}->{reachable}"


def gradient(i: int, g: Tensor, xs: list[Any], formula: str) -> Tensor:
    """The gradient of input i by the swapped formula, spread over the axes that it alone had."""
    x = xs[i]
    result = contract(formula, g, xs[1 - i])
    shape = x.data.shape
    if result.data.shape != shape:
        result = apply(REGISTRY["broadcast_to"], [result], {"shape": shape})
    return result if result.data.dtype is x.data.dtype else fit(result, x)


def contraction(
    *,
    formula: Callable[..., str],
    spec: Callable[..., None],
    onnx: str | Callable[..., Any] | NONE,
    fast: Callable[..., Array] | None = None,
    planned: bool = False,
    bias: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Tensor]]:
    """Declare a contraction of two inputs, and with `bias` a third that is added along the last axis.

    Parameters
        formula : (shape of a, shape of b, **attrs) -> index formula.
        spec : raises the clear error if two Specs do not fit.
        fast : a NumPy function equal to the formula, where there is one.
        planned : whether the formula is an attribute, so that its plan is found without asking for the shapes.
    """

    def declare(function: Callable[..., Any]) -> Callable[..., Tensor]:
        name = function.__name__.strip("_")
        parameters = list(inspect.signature(function).parameters.values())
        names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        attrs = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

        def spec_rule(*specs: Spec, **kw: Any) -> Spec:
            spec(*specs, **kw)
            a, b = specs[0], specs[1]
            if a.dtype.kind == "b" and b.dtype.kind == "b":
                raise DTypeError("ops.dtype", op=name, dtypes=f"{a.dtype.name}, {b.dtype.name}")
            parsed = parse(formula(a.shape, b.shape, **kw))
            lengths = extents(parsed, a.shape, b.shape)
            shape = tuple(1 if letter == "1" else lengths[letter] for letter in parsed.out)
            return Spec(shape, common_dtype([(s.dtype, s.weak) for s in specs]))

        def value(a: Any, b: Any, c: Any = None, **kw: Any) -> Array:
            if type(a) is not np.ndarray or type(b) is not np.ndarray:
                a, b = np.asarray(a), np.asarray(b)
            kind = a.dtype
            if kind is not b.dtype or kind not in FLOATS or (c is not None and c.dtype is not kind):
                dtype = spec_rule(*(Spec(x.shape, x.dtype) for x in (a, b, c) if x is not None), **kw).dtype
                a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)
                c = None if c is None else c.astype(dtype, copy=False)
            y: Array = plan(formula(a.shape, b.shape, **kw))(a, b) if fast is None else fast(a, b, **kw)
            if c is not None:
                if c.shape != y.shape[-1:]:  # in-place addition would broadcast the wrong way round
                    spec(Spec(a.shape, a.dtype), Spec(b.shape, b.dtype), Spec(c.shape, c.dtype), **kw)
                y += c
            return y

        def planned_value(a: Any, b: Any, *, formula: str) -> Array:
            if type(a) is np.ndarray and type(b) is np.ndarray and (kind := a.dtype) in FLOATS and b.dtype is kind:
                return plan(formula)(a, b)
            return value(a, b, formula=formula)

        @lru_cache(maxsize=4096)
        def back(i: int, a: Shape, b: Shape) -> str:
            return swapped(i, parse(formula(a, b)))

        def vjp(i: int, g: Tensor, y: Tensor, xs: list[Any], kw: dict[str, Any]) -> Tensor:
            if i == 2:
                return fit(g, xs[2])
            if kw:
                return gradient(i, g, xs, swapped(i, parse(formula(xs[0].data.shape, xs[1].data.shape, **kw))))
            return gradient(i, g, xs, back(i, xs[0].data.shape, xs[1].data.shape))

        def cost(specs: list[Spec], out: Spec, kw: dict[str, Any]) -> Cost:
            lengths = extents(parse(formula(specs[0].shape, specs[1].shape, **kw)), specs[0].shape, specs[1].shape)
            macs = 1
            for length in lengths.values():
                macs *= length
            return Cost(macs=macs, flops=out.size if bias else 0)

        def written(specs: list[Spec] | None = None, kw: dict[str, Any] | None = None) -> str:
            if specs is None:
                return inspect.getdoc(formula) or "y = Σ a·b"
            parsed = parse(formula(specs[0].shape, specs[1].shape, **(kw or {})))
            return sum_text(parsed, names) + (f" + {names[2]}[{parsed.out[-1]}]" if bias else "")

        op = register(
            Op(
                name=name,
                family="contraction",
                value=planned_value if planned else value,
                spec=spec_rule,
                vjp=vjp,
                cost=cost,
                formula=written,
                kernel=formula,
                onnx=onnx,
                attrs=attrs,
                doc=inspect.getdoc(function) or "",
            )
        )
        return public(op, function, names, attrs)

    return declare


def sum_text(formula: Formula, names: list[str]) -> str:
    """The formula as mathematics: `y[i,j] = Σ_k a[i,k]·b[k,j]`."""

    def term(name: str, letters: str) -> str:
        return f"{name}[{','.join('0' if i == '1' else i for i in letters)}]" if letters else name

    inner = [i for i in dict.fromkeys(formula.a + formula.b) if i not in formula.out and i != "1"]
    total = f"Σ_{''.join(inner)} " if inner else ""
    return f"{term('y', formula.out)} = {total}{term(names[0], formula.a)}·{term(names[1], formula.b)}"


def check_formula_fits(name: str, formula: Formula, a: Shape, b: Shape) -> None:
    """Raise unless every index has one length.

    Raises
        ShapeError: a term has another number of axes than its input, or an index has two lengths.
    """
    for which, term, shape in (("a", formula.a, a), ("b", formula.b, b)):
        if len(term) != len(shape):
            raise ShapeError("ops.formula-axes", op=name, which=which, shape=shape, term=term, count=len(term))
    lengths: dict[str, int] = {}
    for letter, length in zip(formula.a + formula.b, a + b, strict=True):
        if letter != "1" and lengths.setdefault(letter, length) != length:
            raise ShapeError(
                "ops.formula-length",
                op=name,
                a=a,
                b=b,
                formula=str(formula),
                index=letter,
                one=lengths[letter],
                two=length,
            )
