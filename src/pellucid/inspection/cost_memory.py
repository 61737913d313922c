"""A recorded graph comes in; how much of it has to be in memory at once, and how much it makes in all, leaves. Called
by `cost`.

Values share memory by three rules, those of a careful run: a view (reshape, transpose, slice) has the memory of what
it looks at; an elementwise operation writes over an input of the same size that nobody reads any more, as an in-place
ReLU does, but never over an input of the network; everything else has memory of its own, from the operation that makes
it to the last that reads it. Parameters, and what is computed from them alone, are no activations.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pellucid.graph import Graph, Instruction, Value
from pellucid.graph.ir import leaves

_VIEWS = frozenset(("reshape", "transpose", "broadcast_to", "flip", "windows"))


def is_view(instruction: Instruction) -> bool:
    """Whether the result looks at the memory of the first input. Where NumPy has to copy all the same, that is not
    counted."""
    name = instruction.op.name
    return name in _VIEWS or (name == "index" and len(instruction.inputs) == 1)


@dataclass(eq=False)
class Buffer:
    """Memory of some values, one after the other.

    made_by : number of the operation that made its first value; -1 of an input.
    last : number of the last operation that reads one of them.
    is_activation : whether it is an input, is read outside of the unit that made it, or is a product of matrices.
    """

    size: int
    nbytes: int
    made_by: int
    last: int
    is_activation: bool
    values: list[int] = field(default_factory=list)


def buffers(graph: Graph, units: Sequence[Hashable], of_inputs: bool = True) -> list[Buffer]:
    """The buffers of what comes from a graph's inputs.

    Parameters
        units : for each operation, what it is part of: results that never leave it are scratch
        of_inputs : False for all results, also those of parameters alone, such as an update
    """
    roots: dict[int, int] = {v.id: v.id for v in graph.inputs}
    captured = {c.value.id for c in graph.captured}
    for i in graph.instructions:
        given = [x.id for x in i.inputs if isinstance(x, Value)]
        if any(g in roots for g in given) or not of_inputs:
            seen = roots.get(given[0]) if given and is_view(i) else None
            looks_at_parameter = bool(given) and is_view(i) and given[0] in captured
            if not looks_at_parameter:
                roots[i.output.id] = i.output.id if seen is None else seen
            else:
                captured.add(i.output.id)
    last: dict[int, int] = {}
    leaves_unit: set[int] = set()
    maker: dict[int, Hashable] = {}
    for number, i in enumerate(graph.instructions):
        for x in i.inputs:
            if isinstance(x, Value) and x.id in roots:
                last[roots[x.id]] = number
                if maker.get(x.id, _NOBODY) != units[number]:
                    leaves_unit.add(roots[x.id])
        maker[i.output.id] = units[number]
    end = len(graph.instructions)
    for leaf in (*leaves(graph.outputs), *(value for _, value in graph.updates)):
        if isinstance(leaf, Value) and leaf.id in roots:
            last[roots[leaf.id]] = end
            leaves_unit.add(roots[leaf.id])
    found: dict[int, Buffer] = {
        v.id: Buffer(v.spec.size, v.spec.nbytes, -1, last.get(v.id, -1), True, [v.id]) for v in graph.inputs
    }
    for number, i in enumerate(graph.instructions):
        root = i.output.id
        if roots.get(root) != root:
            continue
        is_activation = root in leaves_unit or i.op.family in ("contraction", "convolution")
        over = _overwritten(i, number, roots, last, found) if i.op.family == "elementwise" else None
        if over is None:
            over = Buffer(i.output.spec.size, i.output.spec.nbytes, number, number, False)
        over.last = max(over.last, last.get(root, number))
        over.is_activation = over.is_activation or is_activation
        over.values.append(root)
        found[root] = over
    unique = {id(b): b for b in found.values()}
    return list(unique.values())


_NOBODY: Any = object()


def _overwritten(
    i: Instruction, number: int, roots: dict[int, int], last: dict[int, int], found: dict[int, Buffer]
) -> Buffer | None:
    """The buffer of an input whose place the result may take."""
    for x in i.inputs:
        if not isinstance(x, Value) or x.id not in roots:
            continue
        root = roots[x.id]
        buffer = found[root]
        if buffer.made_by >= 0 and last[root] == number and buffer.nbytes == i.output.spec.nbytes == x.spec.nbytes:
            return buffer
    return None


@dataclass(frozen=True)
class Peak:
    """The largest set of buffers that are in use at once, and the operation at which it is."""

    size: int
    nbytes: int
    at: int


def peak(found: Sequence[Buffer], count: int, counts: Callable[[Buffer], bool] = lambda buffer: True) -> Peak:
    """The peak over `count` operations; at a tie the first."""
    size, nbytes = [0] * (count + 1), [0] * (count + 1)
    for b in found:
        if counts(b):
            first, after = max(b.made_by, 0), min(b.last, count - 1) + 1
            if after <= first:
                continue
            for line, amount in ((size, b.size), (nbytes, b.nbytes)):
                line[first] += amount
                line[after] -= amount
    best, now_size, now_bytes = Peak(0, 0, 0), 0, 0
    for number in range(count):
        now_size, now_bytes = now_size + size[number], now_bytes + nbytes[number]
        if now_bytes > best.nbytes:
            best = Peak(now_size, now_bytes, number)
    return best
