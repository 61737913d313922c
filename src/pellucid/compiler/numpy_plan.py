"""The NumPy tier: a recorded graph comes in; Python text of NumPy calls into memory that is made once leaves, and runs
to the bits of `graph.run`. Called by `step` where there is no machine code. `numpy_calls` says how an operation is
called; here results get their memory and state its new values.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.compiler.binding import Binding
from pellucid.compiler.numpy_calls import Task, may_be_view, written
from pellucid.compiler.numpy_packs import Pack, Packed, packed, unpacked
from pellucid.compiler.numpy_writer import Place, Writer
from pellucid.compiler.passes.order import optimized
from pellucid.compiler.tiers import native_wanted
from pellucid.core.context import quiet
from pellucid.errors import GraphError, PellucidError
from pellucid.graph.ir import Graph, Instruction, Value, leaves
from pellucid.graph.text import instruction_text, scope_text


class NumpyPlan:
    """A graph as NumPy calls, bound to the arrays of its state: one step at a call.

    source : the function that runs.
    memory : where it keeps intermediate results.
    """

    tier = "numpy"

    def __init__(self, graph: Graph, binding: Binding) -> None:
        self.graph = graph
        self._binding = binding
        self._lean = optimized(graph, native=False)
        positions = {id(c.tensor): n for n, c in enumerate(graph.captured)}
        # A pass may have dropped some of the captured tensors, and made constants.
        self._positions = [positions.get(id(c.tensor)) for c in self._lean.captured]
        # Where machine code shares the state, it has an order of memory of its own for it.
        self._packed = unpacked(self._lean) if native_wanted() else packed(self._lean)
        at = {c.value.id: n for n, c in zip(self._positions, self._lean.captured, strict=True) if n is not None}
        self._side_by_side = {
            pack.whole.id: [at[m.id] for m in pack.members]
            for pack in self._packed.packs
            if all(m.id in at for m in pack.members)
        }
        self._made()

    def _made(self) -> None:
        """Write the text for the arrays that state has now."""
        text = _Text(self._lean, self._packed, self._state())
        self.source, self.memory = text.source, text.memory
        self._writer, self._names = text.write, {i: place.name for i, place in text.state.items()}
        scope: dict[str, Any] = self._writer.names
        exec(compile(self.source, _FILE, "exec"), scope)  # noqa: S102 - the text is ours
        self._function = scope[text.name]
        self._lines = text.lines

    def _state(self) -> dict[int, Array]:
        """The array of every captured value and of those that stand side by side, by the value's id."""
        wholes = {i: self._binding.together(positions) for i, positions in self._side_by_side.items()}
        parts = {m.id for pack in self._packed.packs if pack.whole.id in wholes for m in pack.members}
        alone = {
            c.value.id: c.tensor.data if n is None else self._binding.arrays[n]
            for n, c in zip(self._positions, self._lean.captured, strict=True)
            if c.value.id not in parts
        }
        return wholes | alone

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One step on a batch; new state is written in place.

        Raises
            GraphError: NumPy refuses the values of an operation's inputs.
        """
        if self._binding.fresh():
            self._take_up(self._state())
        arrays = [a if a.flags.c_contiguous else np.ascontiguousarray(a) for a in inputs]
        try:
            with quiet():
                results: list[Array] = self._function(*arrays)
        except PellucidError as error:
            instruction = self._instruction_of(error)
            if instruction is not None and instruction.scope:
                error.add_layer(scope_text(instruction.scope))
            raise
        except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError) as problem:
            instruction = self._instruction_of(problem)
            if instruction is None:
                raise
            raise GraphError("graph.failed", line=instruction_text(instruction), problem=str(problem)) from problem
        self._binding.changed()
        return results

    def _take_up(self, arrays: dict[int, Array]) -> None:
        """Go on with the arrays that state has now."""
        names = self._writer.names
        if any(a.strides != names[self._names[i]].strides for i, a in arrays.items()):
            self._made()  # what was a view may have to be a copy now
            return
        names.update((self._names[i], a) for i, a in arrays.items())
        self._writer.look_anew()

    def _instruction_of(self, problem: Exception) -> Instruction | None:
        """The operation that an error came from."""
        at = problem.__traceback__
        while at is not None and at.tb_frame.f_code.co_filename != _FILE:
            at = at.tb_next
        return None if at is None else self._lines.get(at.tb_lineno)


_FILE = "<numpy plan>"


class _Text:
    """A graph written as Python.

    New state is written straight into its array where the old one has been read for the last time, else copied there
    at the end.
    """

    def __init__(self, graph: Graph, plan: Packed, state: dict[int, Array]) -> None:
        self.graph, self.plan = graph, plan
        self.write = write = Writer()
        self._reads = Reads(graph, plan)
        self._places: dict[int, Place] = {}
        self._packs = {m.id: pack for pack in plan.packs for m in pack.members}
        self.name = write.name(graph.name)
        inputs = [self._keep(v, write.local(v.name or f"v{v.id}", _like(v))) for v in graph.inputs]
        self.state = {v.id: self._keep(v, write.state(_name(v), state[v.id])) for v in self._roots() if v.id in state}
        for pack in plan.packs:
            if pack.whole.id in state:
                self._parts(pack)
        self._targets = self._written_in_place()
        for position, instruction in enumerate(plan.instructions):
            write.position, write.scope = position, scope_text(instruction.scope)
            self._place(position)
        write.position, write.scope = len(plan.instructions), ""
        results = self._returned([self._places[v.id] for v in leaves(graph.outputs) if isinstance(v, Value)])
        self.memory = write.laid_out()
        self.source = write.text(self.name, [p.name for p in inputs], results)
        # The lines of the text are numbered from 1; those of the function follow its head.
        first = self.source.split("\n").index(f"def {self.name}({', '.join(p.name for p in inputs)}):") + 2
        numbered = enumerate(write.positions, first)
        self.lines = {line: plan.instructions[n] for line, n in numbered if n < len(plan.instructions)}

    def _roots(self) -> list[Value]:
        return [*(c.value for c in self.graph.captured), *(pack.whole for pack in self.plan.packs)]

    def _returned(self, outputs: list[Place]) -> list[str]:
        """The last lines: copies of the outputs are returned, new state goes where it belongs."""
        given = ", ".join(f"{place.name}.copy()" for place in outputs)
        copies = self._copies_at_the_end()
        if not copies:
            return [f"    return [{given}]"]
        name = self.write.name("results")
        self.write.line(f"{name} = [{given}]")
        for target, source in copies:
            self.write.copy(target, source)
        return [f"    return {name}"]

    def _parts(self, pack: Pack) -> None:
        """The places of a pack's members, as parts of its own."""
        whole = self._places[pack.whole.id]
        for member, start, stop in pack.parts():
            shape = member.spec.shape
            text = f"{{}}[{start}:{stop}].reshape({shape})"
            cut = partial(_part, start=start, stop=stop, shape=shape)
            self._keep(member, self.write.view(whole, text, cut, _name(member)))

    def _keep(self, value: Value, place: Place) -> Place:
        self._places[value.id] = place
        return place

    def _written_in_place(self) -> dict[int, Value]:
        """The state whose array a result may be written to, by the result's id."""
        made = {i.output.id: n for n, i in enumerate(self.plan.instructions)}
        new = [value.id for _, value in self.plan.updates]
        return {
            value.id: target
            for target, value in self.plan.updates
            if new.count(value.id) == 1 and value.id in made and self._is_read_by_then(target, made[value.id])
            if value.id not in self._packs
        }

    def _is_read_by_then(self, target: Value, position: int) -> bool:
        """Whether the old value of state is no longer needed once an instruction has begun; this one may read it,
        element by element."""
        last = self._reads.last.get(target.id, -1)
        if last != position:
            return last < position
        instruction = self.plan.instructions[position]
        given = [x.id for x in instruction.inputs if isinstance(x, Value)]
        return instruction.op.family == "elementwise" and not any(
            i != target.id and target.id in self._reads.sources[i] for i in given
        )

    def _place(self, position: int) -> None:
        instruction = self.plan.instructions[position]
        value = instruction.output
        operands = [self._places[x.id] if isinstance(x, Value) else x for x in instruction.inputs]
        pack, state = self._packs.get(value.id), self._targets.get(value.id)
        last = self._reads.last[value.id if pack is None else pack.whole.id]
        if pack is not None and pack.whole.id not in self._places:
            self._keep(pack.whole, self.write.buffer(_name(pack.whole), _like(pack.whole), last))
            self._parts(pack)
        target = self._places.get(value.id) if state is None else self._places[state.id]
        task = Task(instruction, operands, self._dying(position, operands), _name(value), last, target)
        place = written(self.write, task)
        if pack is not None and place is not target and target is not None:
            self.write.copy(target, place)
            place = target
        elif place is not target:
            self._targets.pop(value.id, None)
        self._keep(value, place)
        for pack in self.plan.packs:
            if pack.whole is value:
                self._parts(pack)

    def _dying(self, position: int, operands: list[Any]) -> list[Place]:
        """Operands whose memory nothing but this one operand reads any more."""
        places = [p for p in operands if isinstance(p, Place) and p.room is not None and p.room.last == position]
        rooms = [id(p.room) for p in places]
        return [p for p in places if rooms.count(id(p.room)) == 1]

    def _copies_at_the_end(self) -> list[tuple[Place, Place]]:
        """New state that is not yet in its array; what shares memory with other state is set apart first."""
        changed = {target.id for target, _ in self.plan.updates}
        copies = []
        for target, value in self.plan.updates:
            if value.id in self._targets:
                continue
            source = self._places[value.id]
            if changed & self._reads.sources[value.id]:
                apart = self.write.buffer("t", np.zeros(source.sample.shape, source.sample.dtype), self.write.position)
                self.write.copy(apart, source)
                source = apart
            copies.append((self._places[target.id], source))
        return copies


def _like(value: Value) -> Array:
    return np.zeros(value.spec.shape, value.spec.dtype)


def _name(value: Value) -> str:
    return value.name or f"v{value.id}"


def _part(whole: Array, start: int, stop: int, shape: Shape) -> Array:
    return whole[start:stop].reshape(shape)


class Reads:
    """Until when the values of a graph are read.

    sources : for every value those whose memory it may look at, itself among them.
    last : for every value the last instruction that reads it or what may look at it; the number of instructions for
        what is read after them all.
    """

    def __init__(self, graph: Graph, plan: Packed) -> None:
        roots = (*graph.inputs, *(c.value for c in graph.captured))
        self.sources = {value.id: frozenset((value.id,)) for value in roots}
        for pack in plan.packs:
            self.sources[pack.whole.id] = frozenset((pack.whole.id,))
            for member in pack.members:
                self.sources[member.id] = frozenset((member.id, pack.whole.id))
        self.last: dict[int, int] = {}
        for position, instruction in enumerate(plan.instructions):
            given = [x.id for x in instruction.inputs if isinstance(x, Value)]
            seen = [self.sources[i] for i in given] if may_be_view(instruction) else []
            own = self.sources.get(instruction.output.id, frozenset((instruction.output.id,)))
            self.sources[instruction.output.id] = own.union(*seen)
            for i in (*given, instruction.output.id):
                self._read(i, position)
        for value in (*leaves(graph.outputs), *(value for _, value in plan.updates)):
            if isinstance(value, Value):
                self._read(value.id, len(plan.instructions))

    def _read(self, identity: int, position: int) -> None:
        for source in self.sources[identity]:
            self.last[source] = position
