"""Threads and phases: groups come in; each leaves with how its rows are shared among the threads and in which phase it
runs. Between phases all threads wait for each other; within one, a thread may use what it has made itself.

A result that its own rows alone are read from stays with the thread that made it. So forward pass and activation
gradients follow the rows of the batch, weight gradients and the optimizer the rows of the weight: two phases a step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pellucid.compiler.contractions import contraction_of
from pellucid.compiler.convolutions import role_of
from pellucid.compiler.elements import Index, same
from pellucid.compiler.expressions import variable
from pellucid.compiler.groups import Group, Groups
from pellucid.graph.ir import Instruction

Mode = Literal["shared", "replicated", "single"]

_WORTH_SHARING = 256
_ROWS_A_UNIT = 8
_ELEMENTS_A_UNIT = 64


@dataclass(eq=False)
class Planned:
    """A group with its place.

    mode : rows shared among the threads; everything done by every thread for itself; or all by the first.
    extent, grain : rows, and how many go together to a thread.
    """

    group: Group
    mode: Mode
    extent: int
    grain: int
    phase: int = 0


@dataclass(eq=False)
class Schedule:
    """All groups with their places, and the updates that may not be written in place: their state is read later."""

    planned: list[Planned]
    phases: int
    copied: set[int]


def schedule(groups: Groups) -> Schedule:
    """Place every group."""
    places: dict[int, Planned] = {}
    updated = {value.id: target.id for target, value in groups.graph.updates}
    readers: dict[int, list[tuple[Planned, Index | None, Instruction]]] = {}
    copied: set[int] = set()
    for group in groups.groups:
        planned = _placed(group, groups, places, updated)
        for instruction, value, index in groups.reads(group):
            readers.setdefault(value.id, []).append((planned, index, instruction))
        for result in _results(group):
            for reader, index, instruction in readers.get(updated.get(result, -1), ()):
                if reader is planned:
                    if not _reads_before(group, instruction, index, result):
                        copied.add(result)
                elif not _keeps(reader, index, planned, group.index[result]):
                    planned.phase = max(planned.phase, reader.phase + 1)
                else:
                    planned.phase = max(planned.phase, reader.phase)
        places[group.number] = planned
    for result, target in updated.items():
        writer = places[groups.group_of[result].number]
        for reader, _, _ in readers.get(target, ()):
            if reader.group.number > writer.group.number and reader.phase >= writer.phase:
                copied.add(result)
    planned_groups = list(places.values())
    return Schedule(planned_groups, max((p.phase for p in planned_groups), default=0) + 1, copied)


def _reads_before(group: Group, instruction: Instruction, index: Index | None, result: int) -> bool:
    """Whether an operation reads only that element of a state which the nest writes next, and before it does."""
    if instruction is group.head or index is None or not same(index, group.index[result]):
        return False
    order = _results(group)
    return order.index(instruction.output.id) <= order.index(result)


def _is_step_by_step(group: Group) -> bool:
    """Whether it writes to an element more than once: a thread that does so must not be seen at it by others."""
    if group.kind == "convolution":
        return group.head is not None and role_of(group.head) == "k"
    return group.kind in ("add", "border")


def _results(group: Group) -> list[int]:
    return [i.output.id for i in group.instructions]


def _placed(group: Group, groups: Groups, places: dict[int, Planned], updated: dict[int, int]) -> Planned:
    extent, grain = _rows(group, groups)
    sources = [
        (places[groups.group_of[v.id].number], v.id, index)
        for _, v, index in groups.reads(group)
        if v.id in groups.group_of and groups.group_of[v.id] is not group
    ]
    if extent > grain and _work(group) >= _WORTH_SHARING:
        mode: Mode = "shared"
    elif (
        any(r in updated or r in groups.required for r in _results(group))
        or any(source.mode != "replicated" for source, _, _ in sources)
        or _is_step_by_step(group)
    ):
        mode = "single"
    else:
        mode = "replicated"
    planned = Planned(group, mode, extent, grain)
    for source, value, index in sources:
        kept = _keeps(planned, index, source, source.group.index[value])
        planned.phase = max(planned.phase, source.phase + (0 if kept else 1))
    return planned


def _keeps(reader: Planned, index: Index | None, writer: Planned, written: Index) -> bool:
    """Whether each thread reads only what it writes, or will write, itself."""
    if writer.mode == "replicated":
        return True
    if writer.mode == "single" or reader.mode != "shared":
        return writer.mode == reader.mode == "single"
    if (reader.extent, reader.grain) != (writer.extent, writer.grain) or index is None:
        return False
    row = (variable(writer.group.counters[writer.group.outermost or 0]),)
    own = (variable(reader.group.counters[reader.group.outermost or 0]),)
    return any(same((w,), row) and same((r,), own) for w, r in zip(written, index, strict=True))


def _rows(group: Group, groups: Groups) -> tuple[int, int]:
    """The rows that threads may share, and how many go together."""
    axis = group.outermost
    if axis is None:
        return 1, 1
    extent = group.shape[axis]
    if group.kind == "convolution" and not _shares_rows(group, axis):
        return 1, 1
    if group.kind == "product" and axis == contraction_of(group).column:
        return 1, 1
    if group.kind == "reduce" and groups.sums_closest(group):
        return extent, 1
    if axis == group.order[-1]:
        return extent, _ELEMENTS_A_UNIT
    if len(group.shape) > 2:  # a row holds work enough of its own
        return extent, 1
    return extent, _ROWS_A_UNIT if extent >= 2 * _ROWS_A_UNIT else 1


def _shares_rows(group: Group, axis: int) -> bool:
    """Whether threads may share the rows of a convolution's outermost axis: of a kernel's gradient those of its first
    axis, else those of any but the columns."""
    assert group.head is not None
    if role_of(group.head) == "k":
        return axis == 0
    return axis != [a for a in group.order if group.shape[a] > 1][-1]


def _work(group: Group) -> int:
    """About how many operations a group takes."""
    size = math.prod(group.shape)
    if group.head is not None:
        specs = [x.spec for x in group.head.inputs]
        cost = group.head.op.cost(specs, group.head.output.spec, group.head.attrs)
        size += cost.macs + cost.flops
    return size * max(len(group.members), 1)
