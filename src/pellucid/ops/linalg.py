"""Contractions: matrix products and all that is written as a sum over indices; and the triangles and diagonals of
matrices."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.core.check import Integer, check, shown
from pellucid.core.op import NONE
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import ArgumentError, ShapeError
from pellucid.ops._families.contraction import LETTERS, check_formula_fits, contraction, parse
from pellucid.ops._families.reduction import one_axis
from pellucid.ops.elementwise import multiply, where
from pellucid.ops.reduce import sum_
from pellucid.ops.shape import broadcast_to, permute


def _contract_formula(a: Shape, b: Shape, *, formula: str) -> str:
    """y = Σ a·b over the indices that the formula's result lacks"""
    return formula


def _contract_spec(a: Spec, b: Spec, *, formula: str) -> None:
    check_formula_fits("contract", parse(formula), a.shape, b.shape)


@contraction(formula=_contract_formula, spec=_contract_spec, onnx="Einsum", planned=True)
def _contract(a: Any, b: Any, *, formula: str) -> Any:
    """The contraction of two tensors by an index formula such as "ik,kj->ij"."""


def contract(a: Any, b: Any, /, formula: Any) -> Tensor:
    """The contraction of two tensors by an index formula such as "ik,kj->ij": the sum over every index that the
    result lacks.

    Raises
        ArgumentError: the formula is malformed, or a letter stands twice in one term.
        ShapeError: a term does not fit its tensor, or an index has two lengths.
    """
    a, b = as_tensor(a), as_tensor(b)
    if not isinstance(formula, str) or not _FORMULA.fullmatch(formula):
        raise ArgumentError("ops.formula-text", op="contract", formula=shown(formula))
    parsed = parse(formula)
    known = set(parsed.a + parsed.b)
    if any(len(set(t)) != len(t) for t in parsed) or not known.issuperset(parsed.out):
        raise ArgumentError("ops.formula-text", op="contract", formula=formula)
    check_formula_fits("contract", parsed, a.shape, b.shape)
    return _contract(a, b, formula=formula)


_FORMULA = re.compile("[a-zA-Z]*,[a-zA-Z]*->[a-zA-Z]*")


def _matmul_formula(a: Shape, b: Shape) -> str:
    """y[...,i,j] = Σ_k a[...,i,k]·b[...,k,j]"""
    i, j, k, lead = LETTERS[0], LETTERS[1], LETTERS[2], LETTERS[3:]
    a_own, b_own = a[:-2], b[:-2]
    ndim = max(len(a_own), len(b_own))
    letters = lead[:ndim]

    def batch(own: Shape) -> str:
        skip = ndim - len(own)
        longest = [max(s[n - ndim] if n - ndim >= -len(s) else 1 for s in (a_own, b_own)) for n in range(ndim)]
        empty = [any(n - ndim >= -len(s) and s[n - ndim] == 0 for s in (a_own, b_own)) for n in range(ndim)]
        spread = [own[n - skip] == 1 and (longest[n] != 1 or empty[n]) for n in range(skip, ndim)]
        return "".join("1" if s else letters[n + skip] for n, s in enumerate(spread))

    a_term = batch(a_own) + (i if len(a) > 1 else "") + k
    b_term = batch(b_own) + k + (j if len(b) > 1 else "")
    out = "".join(letters) + (i if len(a) > 1 else "") + (j if len(b) > 1 else "")
    return f"{a_term},{b_term}->{out}"


def _matmul_spec(a: Spec, b: Spec) -> None:
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError("ops.matmul-scalar", a=a.shape, b=b.shape)
    b_axis = -2 if b.ndim > 1 else -1
    if a.shape[-1] != b.shape[b_axis]:
        raise ShapeError(
            "ops.matmul-inner",
            a=a.shape,
            b=b.shape,
            a_axis=a.ndim - 1,
            b_axis=b.ndim + b_axis,
            k=a.shape[-1],
            j=b.shape[b_axis],
        )
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError("ops.matmul-batch", a=a.shape, b=b.shape) from None


@contraction(formula=_matmul_formula, spec=_matmul_spec, onnx="MatMul", fast=np.matmul)
def matmul(a: Any, b: Any) -> Any:
    """Matrix product by NumPy's rules: vectors are rows or columns as needed, axes in front of the last two broadcast.

    Raises
        ShapeError: the inner axes differ, the batch axes do not broadcast, or an input has no axes.
    """


def _linear_formula(x: Shape, weight: Shape) -> str:
    """y[...,o] = Σ_k x[...,k]·w[o,k]"""
    return _linear_text(len(x))


@cache
def _linear_text(ndim: int) -> str:
    o, k, lead = LETTERS[0], LETTERS[1], LETTERS[2 : ndim + 1]
    return f"{lead}{k},{o}{k}->{lead}{o}"


def _linear_spec(x: Spec, weight: Spec, bias: Spec | None = None) -> None:
    if x.ndim == 0 or weight.ndim != 2 or x.shape[-1] != weight.shape[1]:
        features = weight.shape[1] if weight.ndim == 2 else "?"
        got = x.shape[-1] if x.ndim else "()"
        raise ShapeError("ops.linear", x=x.shape, weight=weight.shape, features=features, got=got)
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ShapeError("ops.linear-bias", weight=weight.shape, bias=bias.shape, out=weight.shape[0])


def _rows_times_transposed(x: Array, weight: Array) -> Array:
    y: Array = x.dot(weight.T) if x.ndim == 2 else x @ weight.T  # `dot` starts quicker, but loops over further axes
    return y


@contraction(
    formula=_linear_formula,
    spec=_linear_spec,
    onnx=NONE("MatMul with the transposed weight"),
    fast=_rows_times_transposed,
)
def linear_map(x: Any, weight: Any) -> Any:
    """Each row of x times the transposed weight (out, in): a fully connected layer without bias."""


@contraction(formula=_linear_formula, spec=_linear_spec, onnx="Gemm", fast=_rows_times_transposed, bias=True)
def affine_map(x: Any, weight: Any, bias: Any) -> Any:
    """Each row of x times the transposed weight (out, in), plus a bias (out,): a fully connected layer."""


def outer(a: Any, b: Any, /) -> Tensor:
    """Outer product of two vectors: y[i,j] = a[i]·b[j].

    Raises
        ShapeError: an input is not a vector.
    """
    a, b = as_tensor(a), as_tensor(b)
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeError("ops.outer", a=a.shape, b=b.shape)
    return contract(a, b, formula="i,j->ij")


def vecdot(a: Any, b: Any, /, axis: int = -1) -> Tensor:
    """Sum of the products along an axis, broadcasting the others.

    Raises
        ShapeError: the axes differ in length.
    """
    a, b = as_tensor(a), as_tensor(b)
    lengths = [t.shape[one_axis("vecdot", axis, t.ndim)] for t in (a, b)]
    if lengths[0] != lengths[1]:
        raise ShapeError("ops.vecdot", a=a.shape, b=b.shape, axis=axis)
    return sum_(a * b, axis)


def dot(a: Any, b: Any, /) -> Tensor:
    """NumPy's dot: the sum of products over the last axis of a and the last but one of b (the only one of a vector),
    all other axes side by side; with a number, the product."""
    a, b = as_tensor(a), as_tensor(b)
    if a.ndim == 0 or b.ndim == 0:
        return multiply(a, b)
    return matmul(a, b) if b.ndim <= 2 else tensordot(a, b, axes=([-1], [-2]))


def tensordot(a: Any, b: Any, /, axes: Any = 2) -> Tensor:
    """Sum of products over `axes`: the last n of a with the first n of b, or a pair of axes or of sequences of axes.

    Raises
        ShapeError: the axes differ in number or length.
    """
    a, b = as_tensor(a), as_tensor(b)
    if not isinstance(axes, list | tuple):
        check("axes", axes, Integer(0, min(a.ndim, b.ndim)))
        a_axes, b_axes = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        if len(axes) != 2:
            raise ArgumentError("ops.tensordot", axes=shown(axes), a=a.shape, b=b.shape)
        a_axes, b_axes = (
            [one_axis("tensordot", n, t.ndim) for n in (s if isinstance(s, list | tuple) else (s,))]
            for s, t in zip(axes, (a, b), strict=True)
        )
    if (
        len(a_axes) != len(b_axes)
        or len({*a_axes}) + len({*b_axes}) != 2 * len(a_axes)
        or any(a.shape[i] != b.shape[j] for i, j in zip(a_axes, b_axes, strict=True))
    ):
        raise ShapeError("ops.tensordot", axes=shown(axes), a=a.shape, b=b.shape)
    a_term = list(LETTERS[: a.ndim])
    b_term = list(LETTERS[a.ndim : a.ndim + b.ndim])
    for i, j in zip(a_axes, b_axes, strict=True):
        b_term[j] = a_term[i]
    out = [t for i, t in enumerate(a_term) if i not in a_axes] + [t for j, t in enumerate(b_term) if j not in b_axes]
    return contract(a, b, formula=f"{''.join(a_term)},{''.join(b_term)}->{''.join(out)}")


def einsum(subscripts: str, /, *operands: Any) -> Tensor:
    """Einstein's summation: "ik,kj->ij" sums over the indices that the result lacks; "..." stands for further axes.

    Without "->" the result has the indices that occur once, in alphabetical order. An index repeated in one operand
    takes the diagonal. Three or more operands are contracted in the order that NumPy's path finder gives.

    Raises
        ShapeError: the terms do not fit the operands, or an index has two lengths.
        ArgumentError: the subscripts are malformed.
    """
    tensors = [as_tensor(t) for t in operands]
    if not isinstance(subscripts, str):
        raise ArgumentError("ops.einsum-text", subscripts=shown(subscripts), count=len(tensors))
    terms, out = _terms(subscripts, [t.ndim for t in tensors])
    lengths: dict[str, int] = {}
    for term, t in zip(terms, tensors, strict=True):
        for letter, n in zip(term, t.shape, strict=True):
            if lengths.setdefault(letter, n) == 1:
                lengths[letter] = n
            elif n not in (1, lengths[letter]):
                raise ShapeError(
                    "ops.einsum-length",
                    subscripts=subscripts,
                    shapes=", ".join(str(t.shape) for t in tensors),
                    index=letter,
                    one=lengths[letter],
                    two=n,
                )
    pairs = [_without_repeats(term, t, lengths) for term, t in zip(terms, tensors, strict=True)]
    if len(pairs) > 2:
        pairs = _in_order(pairs, out)
    if len(pairs) == 2:
        (a_term, a), (b_term, b) = pairs
        return contract(a, b, formula=f"{a_term},{b_term}->{out}")
    ((term, x),) = pairs
    alone = tuple(i for i, letter in enumerate(term) if letter not in out)
    if alone:
        x, term = sum_(x, alone), "".join(letter for letter in term if letter in out)
    return permute(x, [term.index(letter) for letter in out])


def _terms(subscripts: str, ndims: list[int]) -> tuple[list[str], str]:
    text = subscripts.replace(" ", "")
    inputs, arrow, out = text.partition("->")
    terms = inputs.split(",")
    letters_ok = all((c.isascii() and c.isalpha()) or c in ".," for c in inputs + out)
    if (
        len(terms) != len(ndims)
        or not letters_ok
        or any(t.count(".") not in (0, 3) or ("." in t and "..." not in t) for t in [*terms, out])
    ):
        raise ArgumentError("ops.einsum-text", subscripts=subscripts, count=len(ndims))
    free = [c for c in LETTERS if c not in text]
    widest = 0
    for term, ndim in zip(terms, ndims, strict=True):
        named = len(term.replace("...", ""))
        if (named > ndim) if "..." in term else (named != ndim):
            raise ShapeError("ops.einsum-axes", subscripts=subscripts, term=term, ndim=ndim)
        if "..." in term:
            widest = max(widest, ndim - named)
    extra = "".join(free[:widest])
    full = [
        t.replace("...", extra[widest - (n - len(t) + 3) :] if n - len(t) + 3 else "")
        for t, n in zip(terms, ndims, strict=True)
    ]
    if not arrow:
        joined = "".join(full)
        out = extra + "".join(sorted(c for c in set(joined) if joined.count(c) == 1 and c not in extra))
    else:
        out = out.replace("...", extra)
    if any(c not in "".join(full) or out.count(c) > 1 for c in out):
        raise ArgumentError("ops.einsum-text", subscripts=subscripts, count=len(ndims))
    return full, out


def _without_repeats(term: str, x: Tensor, lengths: dict[str, int]) -> tuple[str, Tensor]:
    """Axes of length 1 against a longer index spread out, and a repeated index turned into its diagonal."""
    wanted = tuple(lengths[letter] for letter in term)
    if x.shape != wanted:
        x = broadcast_to(x, wanted)
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            first = term.index(letter)
            second = term.index(letter, first + 1)
            x = diagonal(x, axis1=first, axis2=second)
            term = term[:first] + term[first + 1 : second] + term[second + 1 :] + letter
    return term, x


def _in_order(pairs: list[tuple[str, Tensor]], out: str) -> list[tuple[str, Tensor]]:
    path = np.einsum_path(",".join(t for t, _ in pairs) + "->" + out, *(x.data for _, x in pairs), optimize="greedy")[
        0
    ][1:]
    for step in path[:-1]:
        chosen = [pairs[i] for i in step]
        rest = [p for i, p in enumerate(pairs) if i not in step]
        while len(chosen) > 1:
            (a_term, a), (b_term, b), *others = chosen
            needed = set(out).union(*(t for t, _ in rest + others))
            keep = "".join(c for c in dict.fromkeys(a_term + b_term) if c in needed)
            chosen = [(keep, contract(a, b, formula=f"{a_term},{b_term}->{keep}")), *others]
        pairs = [*rest, *chosen]
    while len(pairs) > 2:
        (a_term, a), (b_term, b), *others = pairs
        needed = set(out).union(*(t for t, _ in others))
        keep = "".join(c for c in dict.fromkeys(a_term + b_term) if c in needed)
        pairs = [*others, (keep, contract(a, b, formula=f"{a_term},{b_term}->{keep}"))]
    return pairs


# Triangles and diagonals


_FAR = 2**31


def _triangle(name: str, x: Any, k: int, lower: bool) -> Tensor:
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError("ops.matrix", op=name, shape=x.shape)
    check(f"{name}: k", k, Integer(-_FAR, _FAR))
    mask = np.tri(x.shape[-2], x.shape[-1], k if lower else k - 1, dtype=bool)
    return where(wrap(mask if lower else ~mask), x, wrap(np.zeros((), x.dtype)))


def tril(x: Any, /, k: int = 0) -> Tensor:
    """The lower triangle of the last two axes, up to the k-th diagonal; 0 above."""
    return _triangle("tril", x, k, lower=True)


def triu(x: Any, /, k: int = 0) -> Tensor:
    """The upper triangle of the last two axes, from the k-th diagonal; 0 below."""
    return _triangle("triu", x, k, lower=False)


def diagonal(x: Any, /, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The diagonal of two axes, as a new last axis."""
    x = as_tensor(x)
    check("diagonal: offset", offset, Integer(-_FAR, _FAR))
    a, b = (one_axis("diagonal", axis, x.ndim) for axis in (axis1, axis2))
    if a == b:
        raise ShapeError("ops.axis-twice", op="diagonal", axis=(axis1, axis2))
    order = [i for i in range(x.ndim) if i not in (a, b)] + [a, b]
    rows, cols = x.shape[a], x.shape[b]
    length = max(0, min(rows, cols - offset) if offset >= 0 else min(rows + offset, cols))
    start = np.arange(length)
    moved = permute(x, order)
    return moved[..., start + max(0, -offset), start + max(0, offset)]


def trace(x: Any, /, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum along a diagonal of two axes."""
    return sum_(diagonal(x, offset, axis1, axis2), -1)
