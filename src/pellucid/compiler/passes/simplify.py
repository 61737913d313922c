"""Operations that do nothing, or that two of make one: the result is the same to the last bit, with the sign of a zero,
NaN and infinity. So x * 1 is x, but x * 0 is not 0, and x + 0.0 is not x, since -0.0 + 0.0 is 0.0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid._typing import DType
from pellucid.compiler.passes.rewriting import Rewriting, fits, indices_a_line
from pellucid.core.op import REGISTRY
from pellucid.graph.ir import Graph, Instruction, Value, input_spec


def simplify(graph: Graph) -> Graph:
    """The graph with fewer and cheaper operations."""
    return Rewriting(graph).rewritten(_rule)


def _rule(work: Rewriting, i: Instruction) -> Value | Instruction | None:
    if i.op.name in _RULES:
        found = _RULES[i.op.name](work, i)
        if found is not None:
            return found
    return _without_broadcasts(work, i) if i.op.family == "elementwise" else None


def _without_broadcasts(work: Rewriting, i: Instruction) -> Instruction | None:
    """Elementwise operations broadcast by themselves."""
    inputs = i.inputs
    for n, x in enumerate(inputs):
        source = _spread_from(work, x)
        if source is not None and fits(i, trial := (*inputs[:n], source, *inputs[n + 1 :])):
            inputs = trial
    return replace(i, inputs=inputs) if inputs is not i.inputs else None


def _spread_from(work: Rewriting, x: Any) -> Value | None:
    """What a value is a broadcast of, if only by axes of length 1 in front."""
    made = work.maker(x, "broadcast_to", "reshape")
    if made is None:
        return None
    source: Value = made.inputs[0]
    more = x.spec.ndim - source.spec.ndim
    leads = made.op.name == "broadcast_to" or x.spec.shape == (1,) * more + source.spec.shape
    return source if leads else None


# Elementwise


def _is(x: Any, number: float) -> bool:
    """Whether an input is a number, with its sign if that is 0."""
    return not isinstance(x, Value) and x == number and math.copysign(1, x) == math.copysign(1, number)


def _if_same(i: Instruction, x: Any) -> Value | None:
    """An input that has the shape and dtype of the result, and so may stand for it."""
    return x if isinstance(x, Value) and x.spec == i.output.spec else None


def _positive(work: Rewriting, i: Instruction) -> Value | None:
    return _if_same(i, i.inputs[0])


def _negative(work: Rewriting, i: Instruction) -> Value | None:
    made = work.maker(i.inputs[0], "negative")
    return None if made is None else _if_same(i, made.inputs[0])


def _multiply(work: Rewriting, i: Instruction) -> Value | None:
    a, b = i.inputs
    return _if_same(i, a) if _is(b, 1) else _if_same(i, b) if _is(a, 1) else None


def _divide(work: Rewriting, i: Instruction) -> Value | None:
    a, b = i.inputs
    if _is(b, 1):
        return _if_same(i, a)
    if isinstance(b, Value) or i.output.spec.dtype.kind != "f" or not math.isfinite(b):
        return None
    # The reciprocal of a power of two is exact, and so are both ways to scale by it.
    limit = np.finfo(i.output.spec.dtype)
    if abs(math.frexp(b)[0]) == 0.5 and limit.tiny <= abs(1 / b) <= limit.max and limit.tiny <= abs(b) <= limit.max:
        return _if_fits(work, i, "multiply", a, 1 / b)
    return None


def _add(work: Rewriting, i: Instruction) -> Value | None:
    zero = -0.0 if i.output.spec.dtype.kind == "f" else 0
    a, b = i.inputs
    return _if_same(i, a) if _is(b, zero) else _if_same(i, b) if _is(a, zero) else None


def _subtract(work: Rewriting, i: Instruction) -> Value | None:
    return _if_same(i, i.inputs[0]) if _is(i.inputs[1], 0) else None


def _multiply_add(work: Rewriting, i: Instruction) -> Value | None:
    a, b, c = i.inputs
    if _is(b, 1):
        return _if_fits(work, i, "add", a, c)
    return _if_fits(work, i, "add", b, c) if _is(a, 1) else None


def _power(work: Rewriting, i: Instruction) -> Value | None:
    return _if_same(i, i.inputs[0]) if _is(i.inputs[1], 1) else None


def _if_fits(work: Rewriting, i: Instruction, op: str, *inputs: Any) -> Value | None:
    """The result of another operation, if it has the shape and dtype."""
    spec = REGISTRY[op].spec(*map(input_spec, inputs))
    same = (spec.shape, spec.dtype) == (i.output.spec.shape, i.output.spec.dtype)
    return work.add(op, *inputs, like=i) if same else None


def _where(work: Rewriting, i: Instruction) -> Value | Instruction | None:
    condition, a, b = i.inputs
    if a is b:
        return _if_same(i, a)
    # Inside the branch of a condition that same condition is decided.
    for n, branch in ((1, a), (2, b)):
        made = work.maker(branch, "where")
        if made is not None and made.inputs[0] is condition and made.output.spec.dtype == i.output.spec.dtype:
            inputs = (*i.inputs[:n], made.inputs[n], *i.inputs[n + 1 :])
            if fits(i, inputs):
                return replace(i, inputs=inputs)
    return None


# Movements


def _cast(work: Rewriting, i: Instruction) -> Value | None:
    x = i.inputs[0]
    made = work.maker(x, "cast")
    if x.spec.dtype == i.output.spec.dtype:
        return _if_same(i, x)
    if made is not None and _is_exact(made.inputs[0].spec.dtype, x.spec.dtype):
        return work.add("cast", made.inputs[0], like=i, **i.attrs)
    return None


def _is_exact(given: DType, wanted: DType) -> bool:
    """Whether every value of one dtype is one of another too. NumPy calls int64 to float64 safe, which rounds."""
    return np.can_cast(given, wanted, "safe") and not (
        given.kind in "iu" and given.itemsize == 8 and wanted.kind == "f"
    )


def _reshape(work: Rewriting, i: Instruction) -> Value | None:
    x = i.inputs[0]
    if x.spec.shape == i.output.spec.shape:
        return _if_same(i, x)
    made = work.maker(x, "reshape")
    if made is not None:
        return work.add("reshape", made.inputs[0], like=i, **i.attrs)
    return _repeated(work, i)


def _transpose(work: Rewriting, i: Instruction) -> Value | None:
    x, axes = i.inputs[0], i.attrs["axes"]
    if tuple(axes) == tuple(range(len(axes))):
        return _if_same(i, x)
    made = work.maker(x, "transpose")
    if made is not None:
        first = made.attrs["axes"]
        return work.add("transpose", made.inputs[0], like=i, axes=tuple(first[a] for a in axes))
    return _repeated(work, i)


def _flip(work: Rewriting, i: Instruction) -> Value | None:
    x, axes = i.inputs[0], i.attrs["axis"]
    if all(x.spec.shape[a] == 1 for a in axes):
        return _if_same(i, x)
    made = work.maker(x, "flip")
    if made is not None and sorted(made.attrs["axis"]) == sorted(axes):
        return _if_same(i, made.inputs[0])
    return _repeated(work, i)


def _broadcast_to(work: Rewriting, i: Instruction) -> Value | None:
    x = i.inputs[0]
    if x.spec.size == i.output.spec.size:
        return work.add("reshape", x, like=i, **i.attrs)
    source = _spread_from(work, x)
    return None if source is None else work.add("broadcast_to", source, like=i, **i.attrs)


def _repeated(work: Rewriting, i: Instruction) -> Value | None:
    """One element repeated is the same from wherever one looks."""
    made = work.maker(i.inputs[0], "broadcast_to")
    if made is None or made.inputs[0].spec.size != 1:
        return None
    one = made.inputs[0]
    if one.spec.shape:
        one = work.add("reshape", one, like=i, shape=())
    return work.add("broadcast_to", one, like=i, shape=i.output.spec.shape)


def _index(work: Rewriting, i: Instruction) -> Value | None:
    whole = all(t is Ellipsis or t == slice(None) for t in i.attrs["template"])
    return _if_same(i, i.inputs[0]) if whole else None


def _single(work: Rewriting, i: Instruction) -> Value | None:
    """A concatenation of one array, or a border of no width."""
    return _if_same(i, i.inputs[0]) if len(i.inputs) == 1 else None


# Reductions


def _sum_to(work: Rewriting, i: Instruction) -> Value | None:
    return _if_same(i, i.inputs[0])


def _sum(work: Rewriting, i: Instruction) -> Value | None:
    """A sum of one element, or of zeros and one element, a line."""
    x, dtype = i.inputs[0], i.output.spec.dtype
    if not _is_over_ones(i):
        made = work.maker(x, "place_along")
        if made is None or i.attrs["axis"] != (made.attrs["axis"],) or indices_a_line(made) != 1:
            return None
        x = made.inputs[0]
    x = work.converted(x, dtype, like=i)
    if dtype.kind == "f":  # sums make 0.0 of -0.0
        x = work.add("add", x, 0.0, like=i)
    return work.reshaped(x, i.output.spec.shape, like=i)


def _extreme(work: Rewriting, i: Instruction) -> Value | None:
    return work.reshaped(i.inputs[0], i.output.spec.shape, like=i) if _is_over_ones(i) else None


def _is_over_ones(i: Instruction) -> bool:
    return all(i.inputs[0].spec.shape[a] == 1 for a in i.attrs["axis"])


_RULES: dict[str, Callable[[Rewriting, Instruction], Value | Instruction | None]] = {
    "positive": _positive,
    "negative": _negative,
    "multiply": _multiply,
    "divide": _divide,
    "add": _add,
    "subtract": _subtract,
    "multiply_add": _multiply_add,
    "power": _power,
    "where": _where,
    "cast": _cast,
    "reshape": _reshape,
    "transpose": _transpose,
    "flip": _flip,
    "broadcast_to": _broadcast_to,
    "index": _index,
    "concatenate": _single,
    "pad": _single,
    "sum_to": _sum_to,
    "sum": _sum,
    "max": _extreme,
    "min": _extreme,
}
