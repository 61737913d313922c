"""A graph that is written anew, operation by operation: what the passes that replace operations have in common. A
graph and a rule come in; the new graph leaves, or the same one if the rule changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import is_
from typing import Any, TypeAlias

from pellucid._typing import Array, DType, Shape
from pellucid.core.context import quiet
from pellucid.core.op import REGISTRY
from pellucid.core.spec import Spec
from pellucid.core.tensor import wrap
from pellucid.graph.dtype import float_dtype
from pellucid.graph.ir import Captured, Graph, Instruction, Value, input_spec, leaves, mapped

Rule: TypeAlias = Callable[["Rewriting", Instruction], Value | Instruction | None]
"""Told of an operation with its new inputs, a rule gives the value that stands for the result, or another operation
with the same result, or None to keep it."""


class Rewriting:
    """A graph while it is written anew.

    made_by : the operation of each result, in the new graph.
    constants : arrays that are always the same, by the number of their value.
    """

    def __init__(self, graph: Graph) -> None:
        self.made_by: dict[int, Instruction] = {}
        self.constants: dict[int, Array] = {c.value.id: c.tensor.data for c in graph.captured if c.constant}
        self._graph = graph
        self._captured = list(graph.captured)
        self._instructions: list[Instruction] = []
        self._now: dict[int, Value] = {}
        self._next_id = graph.next_id

    def rewritten(self, rule: Rule) -> Graph:
        """The graph after the rule had a look at every operation."""
        with float_dtype(self._graph.float_dtype), quiet():
            for old in self._graph.instructions:
                # Until something stands in for something else, all inputs are what they were.
                inputs = tuple([self._current(x) for x in old.inputs]) if self._now else old.inputs
                instruction = old if _same(inputs, old.inputs) else replace(old, inputs=inputs)
                result = rule(self, instruction)
                if isinstance(result, Value):
                    self.stand_in(old.output, result)
                else:
                    self._write(instruction if result is None else result)
        graph = self._graph
        outputs = mapped(graph.outputs, self._current)
        updates = tuple([(target, self._current(value)) for target, value in graph.updates])
        before = [*graph.instructions, *leaves(graph.outputs), *(value for _, value in graph.updates)]
        after = [*self._instructions, *leaves(outputs), *(value for _, value in updates)]
        if _same(before, after):
            return graph
        captured, instructions = tuple(self._captured), tuple(self._instructions)
        return replace(graph, captured=captured, instructions=instructions, outputs=outputs, updates=updates)

    def add(self, op: str, *inputs: Any, like: Instruction, **attrs: Any) -> Value:
        """The result of a new operation, which runs where `like` did."""
        operation = REGISTRY[op]
        spec = operation.spec(*map(input_spec, inputs), **attrs)
        output = self._new_value(Spec(spec.shape, spec.dtype))
        self._write(Instruction(operation, inputs, attrs, output, like.scope))
        return output

    def reshaped(self, x: Value, shape: Shape, like: Instruction) -> Value:
        """A value in another shape."""
        return x if x.spec.shape == shape else self.add("reshape", x, like=like, shape=shape)

    def transposed(self, x: Value, axes: tuple[int, ...], like: Instruction) -> Value:
        """A value with its axes in another order."""
        return x if axes == tuple(range(len(axes))) else self.add("transpose", x, like=like, axes=axes)

    def converted(self, x: Value, dtype: DType, like: Instruction) -> Value:
        """A value in another dtype."""
        return x if x.spec.dtype == dtype else self.add("cast", x, like=like, dtype=dtype.name)

    def constant(self, array: Array) -> Value:
        """A captured array that is always the same."""
        value = self._new_value(Spec(array.shape, array.dtype))
        self._captured.append(Captured(value, wrap(array), constant=True))
        self.constants[value.id] = array
        return value

    def stand_in(self, old: Value, new: Value) -> None:
        """From here on a value is read in another's place."""
        self._now[old.id] = new

    def maker(self, x: Any, *ops: str) -> Instruction | None:
        """The operation that an input comes from, if it is one of these."""
        made = self.made_by.get(x.id) if isinstance(x, Value) else None
        return made if made is not None and made.op.name in ops else None

    def _current(self, x: Any) -> Any:
        return self._now.get(x.id, x) if isinstance(x, Value) else x

    def _write(self, instruction: Instruction) -> None:
        self._instructions.append(instruction)
        self.made_by[instruction.output.id] = instruction

    def _new_value(self, spec: Spec) -> Value:
        value = Value(self._next_id, spec)
        self._next_id += 1
        return value


def _same(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether they have the same objects."""
    return a is b or (len(a) == len(b) and all(map(is_, a, b)))


def indices_a_line(instruction: Instruction) -> int:
    """How many indices each line has of the array that take_along, place_along and scatter_add work on; 0 where some
    lines have none."""
    lines = instruction.inputs[0] if instruction.op.name == "take_along" else instruction.output
    axis = instruction.attrs["axis"]
    shape = list(instruction.inputs[1].spec.shape)
    count, shape[axis] = shape[axis], lines.spec.shape[axis]
    return count if tuple(shape) == lines.spec.shape else 0


def fits(instruction: Instruction, inputs: tuple[Any, ...]) -> bool:
    """Whether an operation has a result of the same shape and dtype from other inputs."""
    spec = instruction.op.spec(*map(input_spec, inputs), **instruction.attrs)
    return spec.shape == instruction.output.spec.shape and spec.dtype == instruction.output.spec.dtype
