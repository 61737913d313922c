"""Very small graphs: every element of every value becomes an expression of its own, without loops or memory between, so
that a network of a few neurons trains at the speed of its arithmetic. Called by `lower` where a graph has few enough
elements.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from pellucid.compiler.elements import converted, elementwise, inputs_at
from pellucid.compiler.expressions import INT64, Expr, fma, function, named, number
from pellucid.compiler.nest import Comment, Let, Statement
from pellucid.compiler.tiers import Unsupported
from pellucid.graph.ir import Graph, Instruction, Value
from pellucid.graph.text import scope_text
from pellucid.ops._families.contraction import extents, parse

Place = tuple[int, ...]

# More operations than these would be slower as single numbers than as vectors.
MOST = 512

_COMBINE = {"sum": "+", "max": "maximum", "min": "minimum", "any": "or", "all": "and"}


_FAMILIES = frozenset({"elementwise", "contraction", "reduction", "movement"})


def is_small(graph: Graph) -> bool:
    """Whether a graph has so few elements that each can be an expression."""
    work = 0
    for i in graph.instructions:
        if i.op.family not in _FAMILIES or i.op.name in ("index_add", "concatenate", "pad"):
            return False
        if i.op.name == "index" and len(i.inputs) > 1:
            return False
        specs = [x.spec for x in i.inputs if isinstance(x, Value)]
        work += i.output.spec.size
        if i.op.family == "contraction":
            work += i.op.cost(specs, i.output.spec, i.attrs).macs
        elif i.op.family == "reduction":
            work += specs[0].size
    return 0 < work <= MOST


class Scalars:
    """The statements that compute every element of a graph's results, in the order of its operations.

    element(value, place) : an element of an input or of captured state, where it lies in memory.
    """

    def __init__(self, graph: Graph, leaf: Any) -> None:
        self.made_by = {i.output.id: i for i in graph.instructions}
        self.leaf = leaf
        self.known: dict[tuple[int, Place], Expr] = {}
        self.statements: list[Statement] = []
        scope = None
        for instruction in graph.instructions:
            if instruction.op.family == "movement":
                continue
            if instruction.scope != scope:
                scope = instruction.scope
                self.statements.append(Comment(scope_text(scope)))
            for place in places(instruction.output):
                self._define(instruction, place)

    def element(self, value: Value, place: Place) -> Expr:
        """An element as a name, read from memory once where it is not computed."""
        key = (value.id, place)
        if key in self.known:
            return self.known[key]
        made = self.made_by.get(value.id)
        if made is None:
            self._let(key, self.leaf(value, tuple(number(i, INT64) for i in place)))
            return self.known[key]
        (source, index), *more = inputs_at(made, tuple(number(i, INT64) for i in place))
        if more:
            raise Unsupported(made.op.name)
        x = self.element(source, _whole(index))
        return converted(x, made.output.spec.dtype)

    def _define(self, instruction: Instruction, place: Place) -> None:
        key = (instruction.output.id, place)
        if instruction.op.family == "elementwise":
            index = tuple(number(i, INT64) for i in place)
            elements = [
                self.element(x, _whole(i)) if isinstance(x, Value) else x for x, i in inputs_at(instruction, index)
            ]
            self._let(key, elementwise(instruction, elements))
        elif instruction.op.family == "contraction":
            self._let(key, self._product(instruction, place))
        else:
            self._let(key, self._reduction(instruction, place))

    def _let(self, key: tuple[int, Place], value: Expr) -> None:
        name = "_".join(map(str, (f"v{key[0]}", *key[1])))
        self.statements.append(Let(name, value))
        self.known[key] = named(name, value.dtype)

    def _product(self, instruction: Instruction, place: Place) -> Expr:
        a, b, *bias = instruction.inputs
        dtype = instruction.output.spec.dtype
        formula = parse(instruction.op.kernel(a.spec.shape, b.spec.shape, **instruction.attrs))
        lengths = extents(formula, a.spec.shape, b.spec.shape)
        fixed = dict(zip(formula.out, place, strict=True))
        inner = [i for i in dict.fromkeys(formula.a + formula.b) if i not in formula.out and i != "1"]
        total: Expr | None = None
        for values in itertools.product(*(range(lengths[i]) for i in inner)):
            at = {**fixed, **dict(zip(inner, values, strict=True)), "1": 0}
            x, y = (
                converted(self.element(v, tuple(at[i] for i in term)), dtype)
                for v, term in ((a, formula.a), (b, formula.b))
            )
            total = x * y if total is None else fma(x, y, total)
        if total is None:
            total = number(0, dtype)
        return total + converted(self.element(bias[0], place[-1:]), dtype) if bias else total

    def _reduction(self, instruction: Instruction, place: Place) -> Expr:
        (x,), attrs = instruction.inputs, instruction.attrs
        axes, dtype = attrs["axis"], instruction.output.spec.dtype
        kept = iter(i for a, i in enumerate(place) if not (attrs["keepdims"] and a in axes))
        ranges = [range(n) if a in axes else (next(kept),) for a, n in enumerate(x.spec.shape)]
        op = _COMBINE[instruction.op.name]
        total: Expr | None = None
        for p in itertools.product(*ranges):
            e = converted(self.element(x, p), dtype)
            total = e if total is None else (total + e if op == "+" else function(op, total, e))
        if total is None:
            raise Unsupported(instruction.op.name)
        return total


def places(value: Value) -> Iterator[Place]:
    """The index of every element, in order."""
    return itertools.product(*map(range, value.spec.shape))


def _whole(index: tuple[Expr, ...]) -> Place:
    if any(i.op != "number" for i in index):
        raise Unsupported("index")
    return tuple(int(i.args[0]) for i in index)
