"""A step in parts: a graph in which some operations have no native rule comes in; graphs leave that are run one after
the other, by turns machine code and NumPy, each on what those before it gave. Called by `mixed_plan`.

The order of operations is free where they do not read each other, so there are as few parts as can be: each takes all
that it can. What a part reads of state is the old value: new values that are there earlier wait until the last part
that reads the old one takes them over.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from pellucid.compiler.elements import has_native_rule
from pellucid.compiler.prepared import with_copies
from pellucid.graph.ir import Graph, Instruction, Value, input_spec, leaves

LEAST = 5000
"""A part of fewer operations is not worth machine code, which has to be made and to be called. A call of NumPy that it
saves counts as so many operations as take as long:"""

A_CALL = 1000

MOST = 32
"""Making the machine code of more parts would take seconds."""

_LOOKS = frozenset({"reshape", "transpose", "broadcast_to", "flip", "index"})


@dataclass(frozen=True)
class Part:
    """Some operations of a graph.

    native : whether they become machine code.
    graph : they alone: inputs are what they read of the whole's inputs and of earlier parts, outputs what others read
        of them; both are the whole's own values.
    """

    native: bool
    graph: Graph


def parts(graph: Graph, apart: Collection[int] = ()) -> list[Part]:
    """The parts of a graph, in their order.

    Parameters
        graph : after the passes for native code, with operations that make its outputs and updates
        apart : results that NumPy shall compute although there is a native rule, by number
    """
    looks = {i.output.id for i in graph.instructions if _is_look(i)}
    native = {i.output.id: i.output.id not in apart and _has_rule(i) for i in graph.instructions}
    while True:
        cut = min((_Cut(graph, native, looks, first) for first in (True, False)), key=lambda c: c.cost)
        small = [level for level in cut.levels if cut.is_native(level) and _work(cut.made(level)) < LEAST]
        if not small:
            return [cut.part(level) for level in cut.levels]
        native.update({i.output.id: False for level in small for i in cut.made(level)})


class _Cut:
    """A graph cut by levels: an operation has that of the latest value it reads, or the next if that is of the other
    kind. Looks at memory, which cost nothing, are of either kind, and are had again in each part that reads them.

    levels : those that have operations.
    cost : the number of parts, then how many new values of state have to wait.
    """

    def __init__(self, graph: Graph, native: dict[int, bool], looks: set[int], native_first: bool) -> None:
        self._graph, self._looks, self._native_first = graph, looks, native_first
        self._made_by = {i.output.id: i for i in graph.instructions}
        self._level: dict[int, int] = {}
        for i in graph.instructions:
            level = max((self._level.get(x.id, 0) for x in _values(i.inputs)), default=0)
            if i.output.id not in looks and self.is_native(level) != native[i.output.id]:
                level += 1
            self._level[i.output.id] = level
        self._wait()
        self.levels = sorted({self._level[i.output.id] for i in graph.instructions if i.output.id not in looks})
        self._instructions = {level: self._with_looks(level) for level in self.levels}
        self._reads = {level: self._read(level) for level in self.levels}
        # Where the new value of each piece of state is taken over.
        self._commits: list[tuple[int, Value, Value]] = []
        for target, value in graph.updates:
            readers = [level for level in self.levels if target.id in self._reads[level]]
            self._commits.append((max([self._level[value.id], *readers]), target, value))
        waiting = [(level, value) for level, _, value in self._commits if level > self._level[value.id]]
        for level, value in waiting:
            self._reads[level][value.id] = value
        self.cost = (len(self.levels), len(waiting))

    def is_native(self, level: int) -> bool:
        return (level % 2 == 0) == self._native_first

    def made(self, level: int) -> list[Instruction]:
        """The operations of a level, without looks."""
        return [i for i in self._instructions[level] if i.output.id not in self._looks]

    def part(self, level: int) -> Part:
        graph = self._graph
        reads = self._reads[level]
        given = {v.id for v in graph.inputs}
        inputs = [v for v in graph.inputs if v.id in reads]
        inputs += [v for i, v in reads.items() if i in self._made_by]
        updates = tuple([(target, value) for at, target, value in self._commits if at == level])
        state = {target.id for target, _ in updates} | reads.keys()
        wanted = {v.id for v in leaves(graph.outputs) if isinstance(v, Value)}
        wanted |= {i for other in self.levels if other > level for i in self._reads[other]}
        return Part(
            self.is_native(level),
            replace(
                graph,
                inputs=tuple(inputs),
                captured=tuple([c for c in graph.captured if c.value.id in state and c.value.id not in given]),
                instructions=tuple(self._instructions[level]),
                outputs=tuple([i.output for i in self.made(level) if i.output.id in wanted]),
                updates=updates,
            ),
        )

    def _wait(self) -> None:
        """Let operations that a single later part reads wait for it, where less is to be handed on then."""
        graph = self._graph
        ends = {v.id for v in (*leaves(graph.outputs), *(value for _, value in graph.updates)) if isinstance(v, Value)}
        renewed = {target.id: self._level[value.id] for target, value in graph.updates}
        read: dict[int, set[int]] = {}
        for i in reversed(graph.instructions):
            number = i.output.id
            levels = read.get(number, set())
            if number not in self._looks:
                sources = {self._source(x) for x in _values(i.inputs)}
                if len(levels) == 1 and number not in ends and self._may_wait(i, max(levels), renewed, sources):
                    made = [x for x in sources if x.id in self._level and max(read.get(x.id, {0})) < max(levels)]
                    if sum(x.spec.nbytes for x in made) <= i.output.spec.nbytes:
                        self._level[number] = max(levels)
                levels = {self._level[number]}
            for x in _values(i.inputs):
                read.setdefault(x.id, set()).update(levels)

    def _may_wait(self, i: Instruction, level: int, renewed: dict[int, int], sources: Collection[Value]) -> bool:
        """Whether an operation could be in another part: of its kind, and before state that it reads is renewed."""
        same_kind = self.is_native(level) == self.is_native(self._level[i.output.id])
        return same_kind and all(renewed.get(x.id, level) >= level for x in sources)

    def _source(self, value: Value) -> Value:
        """What is read of a value: itself, or what it is a look at."""
        while value.id in self._looks:
            value = self._made_by[value.id].inputs[0]
        return value

    def _with_looks(self, level: int) -> list[Instruction]:
        """The operations of a level, and the looks that they read."""
        own = {i for i, n in self._level.items() if n == level and i not in self._looks}
        for i in reversed(self._graph.instructions):
            if i.output.id in own:
                own |= {x.id for x in _values(i.inputs) if x.id in self._looks}
        return [i for i in self._graph.instructions if i.output.id in own]

    def _read(self, level: int) -> dict[int, Value]:
        """What the operations of a level read from elsewhere."""
        own = {i.output.id for i in self._instructions[level]}
        return {x.id: x for i in self._instructions[level] for x in _values(i.inputs) if x.id not in own}


def _values(inputs: tuple[Any, ...]) -> list[Value]:
    return [x for x in inputs if isinstance(x, Value)]


def _has_rule(instruction: Instruction) -> bool:
    if instruction.output.spec.size == 0 or any(x.spec.size == 0 for x in _values(instruction.inputs)):
        return False
    return not has_native_rule(instruction)


def _is_look(instruction: Instruction) -> bool:
    return instruction.op.name in _LOOKS and len(instruction.inputs) == 1 and _has_rule(instruction)


def _work(instructions: list[Instruction]) -> int:
    """What operations take, in operations on numbers."""
    total = 0
    for i in instructions:
        cost = i.op.cost([input_spec(x) for x in i.inputs], i.output.spec, i.attrs)
        total += A_CALL + 2 * cost.macs + cost.flops + 10 * cost.special
    return total


def with_made_ends(graph: Graph) -> Graph:
    """The graph with a copy for each output and update that no operation makes but a look."""
    made = {i.output.id for i in graph.instructions if i.op.name not in _LOOKS}
    return with_copies(graph, lambda value: value.id in made)
