"""How what convolutions work on lies in memory: a graph comes in; the graph with the copies that this takes leaves, and
the order of axes of each value that lies otherwise than row by row. Called by `prepared`.

Samples lie closest, then channels, then places: (N, C, H, W) lies as H, W, C, N. So a vector holds one place of several
samples, and whatever a convolution, a pooling or a normalisation does to a place it does to whole vectors, with any
stride and at any border. Inputs and weights come and results go as NumPy has them.
"""

from __future__ import annotations

from dataclasses import replace

from pellucid.compiler.convolutions import has_rule, role_of, samples_of
from pellucid.compiler.layout import Families
from pellucid.core.op import REGISTRY
from pellucid.core.spec import Spec
from pellucid.graph.ir import Graph, Instruction, Value, leaves, mapped

Orders = dict[int, tuple[int, ...]]


def with_pictures(graph: Graph) -> tuple[Graph, Orders]:
    """The graph with copies, and the orders of its pictures; the graph itself where it has no convolution."""
    graph = _with_borders(graph)
    convolutions = [i for i in graph.instructions if _lies_by_samples(i)]
    if not convolutions:
        return graph, {}
    pictures = _pictures(graph, convolutions)
    return _Copies(graph, pictures).made()


def _lies_by_samples(i: Instruction) -> bool:
    return i.op.family == "convolution" and samples_of(i) > 1 and has_rule(i)


def _with_borders(graph: Graph) -> Graph:
    """The graph with the padding of convolutions of a single sample, which lies row by row, as an operation."""
    following = graph.next_id
    instructions: list[Instruction] = []
    for i in graph.instructions:
        if i.op.family == "convolution" and samples_of(i) == 1 and has_rule(i) and any(map(any, i.attrs["padding"])):
            x, kernel = i.inputs
            widths = ((0, 0), (0, 0), *i.attrs["padding"])
            shape = tuple(n + a + b for n, (a, b) in zip(x.spec.shape, widths, strict=True))
            padded = Value(following, Spec(shape, x.spec.dtype))
            following += 1
            instructions.append(Instruction(REGISTRY["pad"], (x,), {"widths": widths, "value": 0}, padded))
            none = ((0, 0),) * len(i.attrs["padding"])
            i = replace(i, inputs=(padded, kernel), attrs={**i.attrs, "padding": none})
        instructions.append(i)
    return replace(graph, instructions=tuple(instructions))


def _pictures(graph: Graph, convolutions: list[Instruction]) -> set[int]:
    """The results that lie with the samples closest: those of convolutions, and what is made of them place by place or
    window by window, or meets it element by element; but no kernel's gradient, new state, or matrix product."""
    kinds = {(i.output.spec.ndim, samples_of(i)) for i in convolutions}
    families = Families()
    # Random bits come one after the other, whatever the order of what they meet.
    drawn = [i for i in graph.instructions if i.op.family != "random"]
    candidates = [i for i in drawn if (i.output.spec.ndim, *i.output.spec.shape[:1]) in kinds]
    made = {i.output.id for i in candidates}
    for i in candidates:
        if i.op.family == "elementwise":
            for x in _values(i):
                if x.id in made and x.spec.shape == i.output.spec.shape:
                    families.join(x.id, i.output.id)
    rows = {families.of(i.output.id) for i in candidates if i.op.family == "contraction"}
    rows |= {families.of(i.output.id) for i in convolutions if role_of(i) == "k"}
    rows |= {families.of(value.id) for _, value in graph.updates}
    found = {families.of(i.output.id) for i in convolutions} - rows
    before = -1
    while before != len(found):
        before = len(found)
        for i in candidates:
            follows = i.op.family in ("elementwise", "pooling", "reduction") or i.op.name in _PLACED
            if follows and any(families.of(x.id) in found for x in _values(i)):
                found |= {families.of(i.output.id)} - rows
    return {i.output.id for i in candidates if families.of(i.output.id) in found}


_PLACED = frozenset({"pad", "concatenate", "flip", "index", "cast"})
"""Movements whose results have the places and channels of what they move."""


def _values(instruction: Instruction) -> list[Value]:
    return [x for x in instruction.inputs if isinstance(x, Value)]


def _closest_first(value: Value) -> tuple[int, ...]:
    """The order with the samples closest, then the channels."""
    ndim = value.spec.ndim
    return (*range(2, ndim), 1, 0) if ndim > 1 else (0,)


class _Copies:
    """A graph while copies are put into it."""

    def __init__(self, graph: Graph, pictures: set[int]) -> None:
        self._graph, self._pictures = graph, pictures
        self._following = graph.next_id
        self._made_by = {i.output.id: i for i in graph.instructions}
        self._instructions: list[Instruction] = []
        self._copies: dict[int, Value] = {}
        self._orders: Orders = {
            i.output.id: _closest_first(i.output) for i in graph.instructions if i.output.id in pictures
        }

    def made(self) -> tuple[Graph, Orders]:
        """The graph and the orders."""
        graph = self._graph
        returned = {v.id for v in leaves(graph.outputs) if isinstance(v, Value)}
        flattened: dict[int, Value] = {}
        for i in graph.instructions:
            inputs = tuple([flattened.get(x.id, x) if isinstance(x, Value) else x for x in i.inputs])
            if _lies_by_samples(i):
                role = role_of(i)
                inputs = tuple([x if n == 1 and role != "k" else self._as_picture(x) for n, x in enumerate(inputs)])
            self._instructions.append(i if inputs == i.inputs else replace(i, inputs=inputs))
            if self._flattens(i):
                copy = self._copy(i.output)
                self._orders[copy.id] = (*range(1, copy.spec.ndim), 0)
                flattened[i.output.id] = copy
        rows = {v: self._copy(self._made_by[v].output) for v in returned & self._pictures}
        outputs = mapped(graph.outputs, lambda v: rows.get(v.id, v) if isinstance(v, Value) else v)
        return replace(graph, instructions=tuple(self._instructions), outputs=outputs), self._orders

    def _as_picture(self, value: Value) -> Value:
        """The value if it is in memory as a picture, else its copy that is."""
        made = self._made_by.get(value.id)
        if value.id in self._pictures and made is not None and made.op.family != "movement":
            return value
        if value.id not in self._copies:
            copy = self._copies[value.id] = self._copy(value)
            self._orders[copy.id] = _closest_first(copy)
        return self._copies[value.id]

    def _copy(self, value: Value) -> Value:
        copy = Value(self._following, value.spec)
        self._following += 1
        self._instructions.append(Instruction(REGISTRY["positive"], (value,), {}, copy))
        return copy

    def _flattens(self, i: Instruction) -> bool:
        """Whether a picture is made a row a sample, as in front of a fully connected layer."""
        if i.op.name != "reshape" or i.inputs[0].id not in self._pictures:
            return False
        before, after = i.inputs[0].spec.shape, i.output.spec.shape
        return (
            len(after) < len(before)
            and after[:1] == before[:1]
            and [n for n in before if n > 1] != [n for n in after if n > 1]
        )
