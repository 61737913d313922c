"""Contractions as native code wants them: matrix products with loops around. Letters that stay together become one,
what only one input has is summed first, and a product without a matrix in it becomes a multiplication and a sum.
Called by `expand`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from pellucid.compiler.passes.rewriting import Rewriting
from pellucid.graph.ir import Instruction, Value
from pellucid.ops._families.contraction import LETTERS, Formula, extents, parse


class _Term(NamedTuple):
    """An input with the letter of each of its axes."""

    value: Value
    letters: str


def product(work: Rewriting, i: Instruction) -> Value | None:
    """A contraction of floats in another form; None if it has the right one."""
    left, right = i.inputs[:2]
    if i.output.spec.dtype.kind != "f":
        return None
    formula = parse(i.op.kernel(left.spec.shape, right.spec.shape, **i.attrs))
    if len(i.inputs) == 3:
        return _affine_map(work, i) if left.spec.ndim > 2 else None
    if _is_matrix_product(formula):
        return None
    lengths = extents(formula, left.spec.shape, right.spec.shape)
    out = formula.out.replace("1", "")
    terms = [_Term(left, formula.a), _Term(right, formula.b)]
    for n in (0, 1):
        terms[n] = _alone_summed(work, i, terms[n], out, terms[1 - n].letters)
    inner = [c for c in terms[0].letters if c not in out]
    if not any((c in terms[0].letters) != (c in terms[1].letters) for c in out):
        result = _multiplied(work, i, terms, out + "".join(inner), len(out))
    else:
        result = _contracted(work, i, terms, out, inner, lengths)
    return work.reshaped(result, i.output.spec.shape, like=i)


def _is_matrix_product(formula: Formula) -> bool:
    """Whether nothing is left to do."""
    a, b, out = formula
    inner = [c for c in dict.fromkeys(a + b) if c not in out]
    return (
        "1" not in a + b + out
        and len(inner) <= 1
        and all(c in a and c in b for c in inner)
        and bool(out)
        and (out[-1] in a) != (out[-1] in b)
        and _pair(list(formula)) is None
    )


def _affine_map(work: Rewriting, i: Instruction) -> Value:
    x, weight, bias = i.inputs
    rows = work.reshaped(x, (x.spec.size // x.spec.shape[-1], x.spec.shape[-1]), like=i)
    return work.reshaped(work.add("affine_map", rows, weight, bias, like=i), i.output.spec.shape, like=i)


def _alone_summed(work: Rewriting, i: Instruction, term: _Term, out: str, other: str) -> _Term:
    """Without axes that broadcast, and without letters that nothing else has."""
    value, letters = term
    axes = tuple(n for n, c in enumerate(letters) if c != "1" and c not in out and c not in other)
    if axes:
        value = work.add("sum", value, like=i, axis=axes, keepdims=True)
    kept = [n for n, c in enumerate(letters) if c != "1" and n not in axes]
    value = work.reshaped(value, tuple(value.spec.shape[n] for n in kept), like=i)
    return _Term(value, "".join(letters[n] for n in kept))


def _multiplied(work: Rewriting, i: Instruction, terms: list[_Term], order: str, kept: int) -> Value:
    """Elements that meet multiplied, then summed over all letters of an order but the first ones."""
    factors = []
    for term in terms:
        value = _ordered(work, i, term, "".join(c for c in order if c in term.letters)).value
        own = iter(value.spec.shape)
        factors.append(work.reshaped(value, tuple(next(own) if c in term.letters else 1 for c in order), like=i))
    result = work.add("multiply", *factors, like=i)
    axes = tuple(range(kept, len(order)))
    return work.add("sum", result, like=i, axis=axes, keepdims=False) if axes else result


def _contracted(
    work: Rewriting, i: Instruction, terms: list[_Term], out: str, inner: list[str], lengths: dict[str, int]
) -> Value:
    """A matrix product of the terms: letters that both have and the result keeps in front, the summed ones together."""
    shared = [c for c in out if c in terms[0].letters and c in terms[1].letters]
    order = out if out[-1] not in shared else "".join([*shared, *(c for c in out if c not in shared)])
    if len(inner) > 1:
        for n, term in enumerate(terms):
            outer = [c for c in term.letters if c not in inner]
            terms[n] = _ordered(work, i, term, "".join([*outer, *inner]))
    letters = [terms[0].letters, terms[1].letters, order]
    joined = dict(lengths)
    while (pair := _pair(letters)) is not None:
        joined[pair[0]] *= joined[pair[1]]
        letters = [term.replace(pair, pair[0]) for term in letters]
    a, b = (
        work.reshaped(term.value, tuple(joined[c] for c in own), like=i)
        for term, own in zip(terms, letters[:2], strict=True)
    )
    names = {c: LETTERS[n] for n, c in enumerate(dict.fromkeys("".join(letters)))}
    formula = Formula(*("".join(names[c] for c in term) for term in letters))
    result = work.add("contract", a, b, like=i, formula=str(formula))
    result = work.reshaped(result, tuple(lengths[c] for c in order), like=i)
    return _ordered(work, i, _Term(result, order), out).value


def _pair(letters: list[str]) -> str | None:
    """Two letters that stand side by side, in this order, wherever one of them stands."""
    for term in letters:
        for pair in map("".join, pairwise(term)):
            if all(pair in t or (pair[0] not in t and pair[1] not in t) for t in letters):
                return pair
    return None


def _ordered(work: Rewriting, i: Instruction, term: _Term, letters: str) -> _Term:
    if letters == term.letters:
        return term
    axes = tuple(term.letters.index(c) for c in letters)
    return _Term(work.add("transpose", term.value, like=i, axes=axes), letters)
