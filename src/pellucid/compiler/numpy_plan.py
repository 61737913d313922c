"""The NumPy tier: a recorded graph comes in; Python text of NumPy calls into memory that is made once leaves, and runs
to the bits of `graph.run`. Called by `step` where there is no machine code. `numpy_calls` says how an operation is
called; here results get their memory and state its new values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.compiler.binding import Binding
from pellucid.compiler.numpy_calls import Task, may_be_view, written
from pellucid.compiler.numpy_writer import Place, Writer
from pellucid.compiler.passes import optimized
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
        self._made()

    def _made(self) -> None:
        """Write the text for the arrays that state has now."""
        text = _Text(self._lean, self._state())
        self.source, self.memory = text.source, text.memory
        self._writer, self._names = text.write, [place.name for place in text.captured]
        scope: dict[str, Any] = self._writer.names
        exec(compile(self.source, _FILE, "exec"), scope)  # noqa: S102 - the text is ours
        self._function = scope[text.name]
        self._lines = text.lines

    def _state(self) -> list[Array]:
        return [
            c.tensor.data if n is None else self._binding.arrays[n]
            for n, c in zip(self._positions, self._lean.captured, strict=True)
        ]

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

    def _take_up(self, arrays: list[Array]) -> None:
        """Go on with the arrays that state has now."""
        names = self._writer.names
        if any(a.strides != names[name].strides for a, name in zip(arrays, self._names, strict=True)):
            self._made()  # what was a view may have to be a copy now
            return
        names.update(zip(self._names, arrays, strict=True))
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

    def __init__(self, graph: Graph, state: list[Array]) -> None:
        self.graph = graph
        self.write = write = Writer()
        self._reads = Reads(graph)
        self._places: dict[int, Place] = {}
        self.name = write.name(graph.name)
        inputs = [self._keep(v, write.local(v.name or f"v{v.id}", _like(v))) for v in graph.inputs]
        self.captured = [
            self._keep(c.value, write.state(c.value.name or f"v{c.value.id}", a))
            for c, a in zip(graph.captured, state, strict=True)
        ]
        known = {c.value.id for c in graph.captured}
        self._updates = [(target, value) for target, value in graph.updates if target.id in known]
        self._targets = self._written_in_place()
        for position, instruction in enumerate(graph.instructions):
            write.position, write.scope = position, scope_text(instruction.scope)
            self._place(position)
        write.position, write.scope = len(graph.instructions), ""
        outputs = [self._places[v.id] for v in leaves(graph.outputs) if isinstance(v, Value)]
        copies = self._copies_at_the_end()
        given = ", ".join(f"{place.name}.copy()" for place in outputs)
        results = [f"    return [{given}]"]
        if copies:
            name = write.name("results")
            write.line(f"{name} = [{given}]")
            for target, source in copies:
                write.copy(target, source)
            results = [f"    return {name}"]
        self.memory = write.laid_out()
        self.source = write.text(self.name, [p.name for p in inputs], results)
        first = self.source[: self.source.index("\ndef ")].count("\n") + 3 if "\ndef " in self.source else 2
        self.lines = {
            first + n: graph.instructions[position]
            for n, position in enumerate(write.positions)
            if position < len(graph.instructions)
        }

    def _keep(self, value: Value, place: Place) -> Place:
        self._places[value.id] = place
        return place

    def _written_in_place(self) -> dict[int, Value]:
        """The state whose array a result may be written to, by the result's id."""
        made = {i.output.id: n for n, i in enumerate(self.graph.instructions)}
        new = [value.id for _, value in self._updates]
        return {
            value.id: target
            for target, value in self._updates
            if new.count(value.id) == 1 and value.id in made and self._is_read_by_then(target, made[value.id])
        }

    def _is_read_by_then(self, target: Value, position: int) -> bool:
        """Whether the old value of state is no longer needed once an instruction has begun; this one may read it,
        element by element."""
        last = self._reads.last.get(target.id, -1)
        if last != position:
            return last < position
        instruction = self.graph.instructions[position]
        given = [x.id for x in instruction.inputs if isinstance(x, Value)]
        return instruction.op.family == "elementwise" and not any(
            i != target.id and target.id in self._reads.sources[i] for i in given
        )

    def _place(self, position: int) -> None:
        instruction = self.graph.instructions[position]
        value = instruction.output
        operands = [self._places[x.id] if isinstance(x, Value) else x for x in instruction.inputs]
        target = self._targets.get(value.id)
        task = Task(
            instruction,
            operands,
            self._dying(position, operands),
            f"v{value.id}",
            self._reads.last[value.id],
            None if target is None else self._places[target.id],
        )
        self._places[value.id] = place = written(self.write, task)
        if task.target is not None and place is not task.target:
            del self._targets[value.id]

    def _dying(self, position: int, operands: list[Any]) -> list[Place]:
        """Operands whose memory nothing but this one operand reads any more."""
        places = [p for p in operands if isinstance(p, Place) and p.room is not None and p.room.last == position]
        rooms = [id(p.room) for p in places]
        return [p for p in places if rooms.count(id(p.room)) == 1]

    def _copies_at_the_end(self) -> list[tuple[Place, Place]]:
        """New state that is not yet in its array; what shares memory with other state is set apart first."""
        changed = {target.id for target, _ in self._updates}
        copies = []
        for target, value in self._updates:
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


class Reads:
    """Until when the values of a graph are read.

    sources : for every value those whose memory it may look at, itself among them.
    last : for every value the last instruction that reads it or what may look at it; the number of instructions for
        what is read after them all.
    """

    def __init__(self, graph: Graph) -> None:
        roots = (*graph.inputs, *(c.value for c in graph.captured))
        self.sources = {value.id: frozenset((value.id,)) for value in roots}
        self.last: dict[int, int] = {}
        for position, instruction in enumerate(graph.instructions):
            given = [x.id for x in instruction.inputs if isinstance(x, Value)]
            seen = [self.sources[i] for i in given] if may_be_view(instruction) else []
            self.sources[instruction.output.id] = frozenset((instruction.output.id,)).union(*seen)
            for i in (*given, instruction.output.id):
                self._read(i, position)
        for value in (*leaves(graph.outputs), *(value for _, value in graph.updates)):
            if isinstance(value, Value):
                self._read(value.id, len(graph.instructions))

    def _read(self, identity: int, position: int) -> None:
        for source in self.sources[identity]:
            self.last[source] = position
