"""Parameters side by side: a graph comes in whose updates are the same few operations for every parameter; an order of
instructions leaves in which those are done once, on arrays in which the parameters stand one after the other, as do
their gradients and averages. Elementwise operations give every element the same bits, wherever it stands. Called by
`numpy_plan`: for small arrays a call of NumPy costs more than its work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from math import prod
from typing import Any

from pellucid.compiler.numpy_elements import Body
from pellucid.core.spec import Spec
from pellucid.graph.ir import Graph, Instruction, Value

# Above that calls cost little beside their work, which caches serve better one parameter at a time.
_LARGEST = 16384
_LARGEST_PACK = 65536


@dataclass(frozen=True)
class Pack:
    """Values that stand one after the other in one array.

    whole : the array, with one axis.
    members : in their order; of one dtype.
    """

    whole: Value
    members: tuple[Value, ...]

    def parts(self) -> Iterator[tuple[Value, int, int]]:
        """Every member with where it begins and ends."""
        start = 0
        for member in self.members:
            stop = start + prod(member.spec.shape)
            yield member, start, stop
            start = stop


@dataclass
class Packed:
    """The instructions in an order in which they can run, those of packs once for all their members; new state, of
    wholes and of values that are in none."""

    instructions: list[Instruction]
    packs: list[Pack]
    updates: list[tuple[Value, Value]]


@dataclass
class _Lane:
    """Instructions that are connected by elementwise operations on arrays of one shape."""

    numbers: list[int]
    values: list[Value]
    likeness: Any


def unpacked(graph: Graph) -> Packed:
    """The instructions as they are."""
    known = {c.value.id for c in graph.captured}
    return Packed(list(graph.instructions), [], [(t, v) for t, v in graph.updates if t.id in known])


def packed(graph: Graph) -> Packed:
    """The instructions with what is alike for several parameters done at once."""
    alike: dict[Any, list[_Lane]] = {}
    for lane in _lanes(graph):
        alike.setdefault(lane.likeness, []).append(lane)
    groups = [group for lanes in alike.values() for group in _of_some_size(lanes) if len(group) > 1]
    chosen: list[list[_Lane]] = []
    order: list[Any] = list(range(len(graph.instructions)))
    for group in groups:
        found = _order(graph, [*chosen, group])
        if found is not None:
            chosen, order = [*chosen, group], found
    return _rewritten(graph, chosen, order)


def _lanes(graph: Graph) -> list[_Lane]:
    """All lanes that state takes part in and that take nothing else from outside but results."""
    root: dict[int, int] = {}

    def find(i: int) -> int:
        while root.setdefault(i, i) != i:
            i = root[i]
        return i

    fitting = [n for n, i in enumerate(graph.instructions) if _fits(i)]
    for n in fitting:
        instruction = graph.instructions[n]
        for x in _arrays(instruction):
            root[find(x.id)] = find(instruction.output.id)
    lanes: dict[int, list[int]] = {}
    for n in fitting:
        lanes.setdefault(find(graph.instructions[n].output.id), []).append(n)
    changing = {target.id: value.id for target, value in graph.updates}
    state = {c.value.id for c in graph.captured} & changing.keys()
    given = {v.id for v in graph.inputs} | {c.value.id for c in graph.captured} - state
    found = []
    for numbers in lanes.values():
        lane = _lane(graph, numbers, state, changing)
        ids = {v.id for v in lane.values}
        if ids & state and not ids & given:
            found.append(lane)
    return found


def _fits(instruction: Instruction) -> bool:
    spec = instruction.output.spec
    if instruction.op.family != "elementwise" or not spec.shape or not 0 < spec.size <= _LARGEST:
        return False
    return all(x.spec.shape == spec.shape for x in _arrays(instruction)) and Body(instruction).possible


def _arrays(instruction: Instruction) -> list[Value]:
    return [x for x in instruction.inputs if isinstance(x, Value) and x.spec.shape]


def _lane(graph: Graph, numbers: list[int], state: set[int], changing: dict[int, int]) -> _Lane:
    """Instructions with their values, and what makes another lane like it."""
    places: dict[int, int] = {}
    values: list[Value] = []

    def place(x: Any) -> Any:
        if not isinstance(x, Value):
            return repr(x)
        if not x.spec.shape:
            return x
        if x.id not in places:
            places[x.id] = len(values)
            values.append(x)
        return places[x.id]

    likeness: list[Any] = []
    for n in numbers:
        i = graph.instructions[n]
        inputs = tuple(place(x) for x in i.inputs)
        likeness.append((i.op.name, repr(sorted(i.attrs.items())), inputs, place(i.output)))
    for v in values:
        likeness.append((v.spec.dtype, v.id in state, places.get(changing.get(v.id, -1))))
    return _Lane(numbers, values, tuple(likeness))


def _of_some_size(lanes: list[_Lane]) -> Iterator[list[_Lane]]:
    """Lanes in groups that are not too large."""
    group: list[_Lane] = []
    size = 0
    for lane in lanes:
        length = prod(lane.values[0].spec.shape)
        if size + length > _LARGEST_PACK:
            yield group
            group, size = [], 0
        group.append(lane)
        size += length
    yield group


def _order(graph: Graph, groups: list[list[_Lane]]) -> list[Any] | None:
    """Numbers of instructions, and for those of a group tuples of numbers, in an order in which each follows what it
    reads; None if there is none."""
    node_of: dict[int, Any] = {n: n for n in range(len(graph.instructions))}
    for group in groups:
        for together in zip(*(lane.numbers for lane in group), strict=True):
            node_of.update(dict.fromkeys(together, together))
    made_by = {i.output.id: n for n, i in enumerate(graph.instructions)}
    waits: dict[Any, set[Any]] = {}
    readers: dict[Any, set[Any]] = {}
    for n, instruction in enumerate(graph.instructions):
        before = {made_by[x.id] for x in instruction.inputs if isinstance(x, Value) and x.id in made_by}
        waits.setdefault(node_of[n], set()).update(node_of[m] for m in before)
    for node, before in waits.items():
        for other in before:
            readers.setdefault(other, set()).add(node)

    def turn(node: Any) -> tuple[int, Any]:
        return (max(node) if isinstance(node, tuple) else node), node

    ready = [turn(node) for node, before in waits.items() if not before]
    heapify(ready)
    order = []
    while ready:
        node = heappop(ready)[1]
        order.append(node)
        for reader in readers.get(node, ()):
            waits[reader].discard(node)
            if not waits[reader]:
                heappush(ready, turn(reader))
    return order if len(order) == len(waits) else None


def _rewritten(graph: Graph, groups: list[list[_Lane]], order: list[Any]) -> Packed:
    following = graph.next_id
    packs: list[Pack] = []
    whole_of: dict[int, Value] = {}
    seats = {v.id: (g, n) for g, group in enumerate(groups) for n, lane in enumerate(group) for v in lane.values}
    for group in groups:
        size = sum(prod(lane.values[0].spec.shape) for lane in group)
        for members in zip(*(lane.values for lane in group), strict=True):
            packs.append(Pack(Value(following, Spec((size,), members[0].spec.dtype)), members))
            whole_of.update(dict.fromkeys((m.id for m in members), packs[-1].whole))
            following += 1

    def whole(x: Any) -> Any:
        return whole_of.get(x.id, x) if isinstance(x, Value) else x

    instructions = []
    for node in order:
        i = graph.instructions[node[0] if isinstance(node, tuple) else node]
        if isinstance(node, tuple):
            i = replace(i, inputs=tuple(map(whole, i.inputs)), output=whole(i.output))
        instructions.append(i)
    updates: dict[int, tuple[Value, Value]] = {}
    for target, value in unpacked(graph).updates:
        # Where all members take over members of one pack, one array takes over the other.
        alike = target.id in seats and seats[target.id] == seats.get(value.id)
        both = (whole(target), whole(value)) if alike else (target, value)
        updates[both[0].id] = both
    return Packed(instructions, packs, list(updates.values()))
