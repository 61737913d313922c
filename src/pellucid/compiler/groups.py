"""Fusion: a graph comes in; groups of operations leave, each of which becomes one loop nest. `schedule` orders them in
phases, `lower` writes the nests.

An operation joins the last group that it reads from, if it runs over that group's elements in their order; else it
starts a group of its own. A group is a map (elementwise operations, and reductions along the last axis, row by row), a
matrix product or a reduction with elementwise operations on its results, random bits, or an addition by indices.
Movements, and cheap operations on what is there from the start, belong to no group: they are computed where they are
used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from pellucid._typing import Shape
from pellucid.compiler.elements import (
    Elements,
    Index,
    broadcast,
    has_native_rule,
    inputs_at,
    same,
)
from pellucid.compiler.expressions import INT64, Variable, number, variable
from pellucid.compiler.layout import is_tall, tall
from pellucid.compiler.tiers import Unsupported
from pellucid.graph.ir import Graph, Instruction, Value, leaves

Kind = Literal["map", "product", "convolution", "reduce", "bits", "add", "border"]

# Results of this many elements are not computed again in the inner loop of a matrix product.
_ONCE = 4096

# Results of this many elements are computed again, rather than kept, if all that they are made of is one value of their
# size and a few that are smaller by this factor.
_LARGE, _SMALL_PART, _FEW_SOURCES = 65536, 16, 4


@dataclass(eq=False)
class Group:
    """Operations that one loop nest runs.

    shape : of the elements that the nest runs over.
    order : its axes from the outermost loop to the innermost, which is computed in vectors; those of a tall group lie
        along its rows.
    head : the product, reduction, draw or addition whose results the others start from.
    index : for each result the index that it has in the nest.
    """

    number: int
    kind: Kind
    shape: Shape
    order: tuple[int, ...]
    head: Instruction | None = None
    members: list[Instruction] = field(default_factory=list)
    index: dict[int, Index] = field(default_factory=dict)
    counters: tuple[Variable, ...] = ()

    def __post_init__(self) -> None:
        self.counters = tuple(Variable(f"i{n}", length) for n, length in enumerate(self.shape))

    @property
    def instructions(self) -> list[Instruction]:
        """Its operations, the head first."""
        return [self.head, *self.members] if self.head else self.members

    @property
    def whole(self) -> Index:
        """The index of the element that the nest is at."""
        axes = zip(self.shape, self.counters, strict=True)
        return tuple(number(0, INT64) if n == 1 else variable(c) for n, c in axes)

    @property
    def outermost(self) -> int | None:
        """The axis whose rows threads may share: that of the outermost loop."""
        return next((a for a in self.order if self.shape[a] > 1), None)

    @property
    def is_tall(self) -> bool:
        """Whether it runs over many rows of few columns, one after the other."""
        return self.order == (0, 1) and is_tall(self.shape)

    def add(self, instruction: Instruction, index: Index) -> None:
        self.members.append(instruction)
        self.index[instruction.output.id] = index


class Groups:
    """The groups of a graph in an order in which they can run.

    elements : knows which values are computed where they are used.
    group_of : the group that computes a result.
    needed : results that are read by another group, or from outside.
    """

    def __init__(self, graph: Graph, orders: dict[int, tuple[int, ...]]) -> None:
        self.graph = graph
        self.orders = orders
        self.tall = tall(graph)
        self.elements = Elements(graph)
        self.groups: list[Group] = []
        self.group_of: dict[int, Group] = {}
        self.required = {leaf.id for leaf in leaves(graph.outputs) if isinstance(leaf, Value)}
        self.required |= {value.id for _, value in graph.updates}
        self.multiplied = self._read_by("contraction")
        self.convolved = self._read_by("convolution")
        self.bordered = {x.id for i in graph.instructions if i.op.family == "convolution" for x in i.inputs}
        for instruction in _numbers_first(graph):
            missing = has_native_rule(instruction)
            if missing:
                raise Unsupported(missing)
            self._place(instruction)
        self.needed = self.required | set(self._read_elsewhere())

    def _read_by(self, family: str) -> set[int]:
        """The values that operations of a family read, as they are or through movements."""
        found: set[int] = set()
        waiting = [
            x for i in self.graph.instructions if i.op.family == family for x in i.inputs if isinstance(x, Value)
        ]
        while waiting:
            value = waiting.pop()
            made = self.elements.made_by.get(value.id)
            if value.id not in found:
                found.add(value.id)
                if made is not None and made.op.family == "movement":
                    waiting += [x for x in made.inputs if isinstance(x, Value)]
        return found

    def sources(self, value: Any, index: Index) -> Iterator[tuple[Value, Index]]:
        """The values in memory that an element comes from, each with its index: itself, or what it is computed
        from on the spot."""
        if not isinstance(value, Value):
            return
        if value.id not in self.elements.inline:
            yield value, index
            return
        for x, i in inputs_at(self.elements.made_by[value.id], index):
            yield from self.sources(x, i)

    def reads(self, group: Group) -> Iterator[tuple[Instruction, Value, Index | None]]:
        """What each operation of a group reads: the values, with their index where it follows the nest's."""
        for instruction in group.instructions:
            if instruction is group.head or instruction.op.family == "reduction":
                if instruction is not group.head:
                    for v, i in self.sources(instruction.inputs[0], group.whole):
                        yield instruction, v, i
                    continue
                for x, own in _head_reads(group):
                    for v, i in self.sources(x, own):
                        yield instruction, v, i
                continue
            for x, own in inputs_at(instruction, group.index[instruction.output.id]):
                for v, i in self.sources(x, own):
                    yield instruction, v, i

    def _place(self, instruction: Instruction) -> None:
        if self._is_inline(instruction):
            self.elements.inline.add(instruction.output.id)
            return
        probe = tuple(number(0, INT64) for _ in instruction.output.spec.shape)
        read = inputs_at(instruction, probe) if instruction.op.family == "elementwise" else _inputs(instruction)
        made = [self.group_of[v.id] for x, i in read for v, _ in self.sources(x, i) if v.id in self.group_of]
        group = max(made, key=lambda g: g.number) if made else None
        if group is None or not self._joins(group, instruction):
            group = self._new(instruction)
        self.group_of[instruction.output.id] = group

    def _is_inline(self, instruction: Instruction) -> bool:
        value = instruction.output
        if value.id in self.required or instruction.op.name in ("random_bits", "index_add"):
            return False
        if value.id in self.convolved and instruction.op.family == "elementwise":
            return False
        if instruction.op.family == "movement":
            return not self._is_put_together(instruction)
        if instruction.op.family != "elementwise":
            return False
        specs = [x.spec for x in instruction.inputs if isinstance(x, Value)]
        numbers = [x if isinstance(x, Value) else None for x in instruction.inputs]
        if instruction.op.cost(specs, value.spec, instruction.attrs).special or (
            value.id in self.multiplied and value.spec.size > _ONCE
        ):
            return False
        probe = tuple(number(0, INT64) for _ in value.spec.shape)
        sources = [v for x, i in inputs_at(instruction, probe) for v, _ in self.sources(x, i)]
        if self._is_cheaper_again(instruction, sources):
            return True
        return len(numbers) > 0 and all(
            v.id not in self.group_of or (v.spec.size == 1 and value.spec.size > 1) for v in sources
        )

    def _is_put_together(self, instruction: Instruction) -> bool:
        """Whether a value that consists of several, or has a border, is put together in memory: a product or a
        convolution would ask for each element anew from which of them it comes."""
        value = instruction.output
        if instruction.op.name not in ("pad", "concatenate"):
            return False
        return value.id in self.bordered or (value.id in self.multiplied and value.spec.size > _ONCE)

    def _is_cheaper_again(self, instruction: Instruction, sources: list[Value]) -> bool:
        """Whether a large result is had sooner by computing it again wherever it is used than by writing it to memory
        and reading it back: it is read from one other large value and from small ones, by a few operations."""
        value = instruction.output
        if value.spec.size < _LARGE or value.id in self.multiplied or value.spec.dtype.kind != "f":
            return False
        large = {v.id for v in sources if v.spec.size * _SMALL_PART > value.spec.size}
        return len(large) == 1 and len(sources) <= _FEW_SOURCES

    def _joins(self, group: Group, instruction: Instruction) -> bool:
        """Whether the operation can run in the group's nest; then it is part of it."""
        if group.kind in ("bits", "add", "border"):
            return False
        shape = instruction.output.spec.shape
        if instruction.op.family == "elementwise":
            index = _index_in(group, shape)
            if index is None:
                return False
            read = list(inputs_at(instruction, index))
        elif instruction.op.family == "reduction" and group.kind == "map" and _along_rows(instruction, group):
            index = _row_index(group, instruction)
            read = [(instruction.inputs[0], group.whole)]
        else:
            return False
        if self.order(instruction.output) != group.order and len(shape) == len(group.order) and shape == group.shape:
            return False
        for x, own in read:
            for v, i in self.sources(x, own):
                if v.id in group.index and not same(group.index[v.id], i):
                    return False
        group.add(instruction, index)
        return True

    def order(self, value: Value) -> tuple[int, ...]:
        """The order of loops over a value: that of its axes in memory, but row by row where it is tall."""
        return (0, 1) if value.id in self.tall else self.in_memory(value)

    def in_memory(self, value: Value) -> tuple[int, ...]:
        """The order of a value's axes in memory, the closest last."""
        return self.orders.get(value.id, tuple(range(len(value.spec.shape))))

    def sums_closest(self, group: Group) -> bool:
        """Whether a reduction sums along the axis that is closest in memory, so that vectors lie along it."""
        head = group.head
        assert head is not None
        shape = head.inputs[0].spec.shape
        axes = [a for a in self.in_memory(head.inputs[0]) if shape[a] > 1]
        return not axes or axes[-1] in head.attrs["axis"]

    def _new(self, instruction: Instruction) -> Group:
        family, shape = instruction.op.family, instruction.output.spec.shape
        count = len(self.groups)
        if family in ("elementwise", "pooling") or instruction.op.name == "concatenate":
            group = Group(count, "map", shape, self.order(instruction.output))
            group.add(instruction, group.whole)
        elif family == "reduction" and _is_along_last(instruction):
            domain = instruction.inputs[0].spec.shape
            group = Group(count, "map", domain, tuple(range(len(domain))))
            group.add(instruction, _row_index(group, instruction))
        else:
            kind: Kind = (
                "product"
                if family == "contraction"
                else "convolution"
                if family == "convolution"
                else "reduce"
                if family == "reduction"
                else "bits"
                if family == "random"
                else "border"
                if instruction.op.name == "pad"
                else "add"
            )
            # Rows are added one after the other wherever they lie in memory.
            order = tuple(range(len(shape))) if kind == "add" else self.order(instruction.output)
            group = Group(count, kind, shape, order, instruction)
            group.index[instruction.output.id] = group.whole
        self.groups.append(group)
        return group

    def _read_elsewhere(self) -> Iterator[int]:
        for group in self.groups:
            for _, value, _ in self.reads(group):
                if value.id in self.group_of and self.group_of[value.id] is not group:
                    yield value.id


def _numbers_first(graph: Graph) -> list[Instruction]:
    """The operations, those first that lead from inputs and state alone to single numbers, such as a count of steps: so
    that what reads the numbers can join the groups of what it reads besides."""
    alone: dict[int, Instruction] = {}
    made = {i.output.id for i in graph.instructions}
    early: set[int] = set()
    for i in graph.instructions:
        sources = [x.id for x in i.inputs if isinstance(x, Value) and x.id in made]
        if i.op.family not in ("contraction", "random") and all(s in alone for s in sources):
            alone[i.output.id] = i
            if i.output.spec.size == 1:
                waiting = [i.output.id]
                while waiting:
                    number = waiting.pop()
                    if number in alone and number not in early:
                        early.add(number)
                        waiting += [x.id for x in alone[number].inputs if isinstance(x, Value)]
    first = [i for i in graph.instructions if i.output.id in early]
    return first + [i for i in graph.instructions if i.output.id not in early]


def _inputs(instruction: Instruction) -> Iterator[tuple[Any, Index]]:
    for x in instruction.inputs:
        yield x, tuple(number(0, INT64) for _ in x.spec.shape) if isinstance(x, Value) else ()


def _head_reads(group: Group) -> Iterator[tuple[Value, Index]]:
    """What a head reads. Only a product's rows follow the nest: of its first input those that share the first letter
    of the outermost loop."""
    head = group.head
    assert head is not None
    if group.kind == "product":
        from pellucid.compiler.contractions import operand_index

        yield from operand_index(group)
    elif group.kind == "reduce":
        yield head.inputs[0], reduced_index(group)[0]
    else:
        yield from _inputs(head)


def reduced_index(group: Group) -> tuple[Index, list[tuple[Variable, int]]]:
    """The index at which a reduction reads its input, and the counters that it runs over with their lengths."""
    head = group.head
    assert head is not None
    shape, axes = head.inputs[0].spec.shape, head.attrs["axis"]
    kept = [i for a, i in enumerate(group.whole) if not (head.attrs["keepdims"] and a in axes)]
    inner: list[tuple[Variable, int]] = []
    index: list[Any] = []
    for a, n in enumerate(shape):
        if a not in axes:
            index.append(kept.pop(0))
        elif n == 1:
            index.append(number(0, INT64))
        else:
            inner.append((Variable(f"r{a}"), n))
            index.append(variable(inner[-1][0]))
    return tuple(index), inner


def _index_in(group: Group, shape: Shape) -> Index | None:
    """The index that an elementwise result of a shape has in a group's nest; None if it does not run over the nest's
    elements, or in a map over its rows."""
    if shape == group.shape:
        return group.whole
    if [n for n in shape if n != 1] == [n for n in group.shape if n != 1]:
        rest = [i for i, n in zip(group.whole, group.shape, strict=True) if n != 1]
        return tuple(number(0, INT64) if n == 1 else rest.pop(0) for n in shape)
    if group.kind == "map" and group.order == tuple(range(len(group.shape))) and group.shape:
        if shape == (*group.shape[:-1], 1):
            return broadcast(group.whole, shape)
        if shape == group.shape[:-1]:
            return group.whole[:-1]
    return None


def _is_along_last(instruction: Instruction) -> bool:
    shape = instruction.inputs[0].spec.shape
    return len(shape) > 1 and shape[-1] > 1 and tuple(instruction.attrs["axis"]) == (len(shape) - 1,)


def _along_rows(instruction: Instruction, group: Group) -> bool:
    return (
        _is_along_last(instruction)
        and instruction.inputs[0].spec.shape == group.shape
        and group.order == tuple(range(len(group.shape)))
    )


def _row_index(group: Group, instruction: Instruction) -> Index:
    row = group.whole[:-1]
    return (*row, number(0, INT64)) if instruction.attrs["keepdims"] else row
