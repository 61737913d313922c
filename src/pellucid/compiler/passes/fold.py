"""What does not depend on inputs or state is computed here, once: small results become captured constants. A value
whose elements are all one number becomes that number wherever an elementwise operation reads it, since it broadcasts
anyway.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.compiler.passes.rewriting import Rewriting, fits
from pellucid.graph.ir import Graph, Instruction, Value, input_spec
from pellucid.ops._families.elementwise import common_dtype

# Results of more elements are computed at every run rather than kept.
_MOST = 4096

_REPEATS = frozenset({"reshape", "transpose", "broadcast_to", "flip"})


def fold(graph: Graph) -> Graph:
    """The graph with what is always the same computed."""
    work = Rewriting(graph)
    return work.rewritten(_Fold(work))


class _Fold:
    """The rule, with the values whose elements are all one number: numbers[id] is an array of shape ()."""

    def __init__(self, work: Rewriting) -> None:
        self.numbers: dict[int, Array] = {}
        for identity, array in work.constants.items():
            self._know(identity, array)

    def __call__(self, work: Rewriting, instruction: Instruction) -> Value | Instruction | None:
        number = self._number(instruction)
        if number is not None:
            return self._kept_number(work, instruction, number)
        arrays = [self._array(work, x) for x in instruction.inputs]
        output = instruction.output.spec
        if all(a is not None for a in arrays) and output.size <= _MOST and instruction.op.name != "broadcast_to":
            array = np.array(instruction.op.value(*arrays, **instruction.attrs))
            value = work.constant(array)
            self._know(value.id, array)
            return value
        return self._with_numbers(instruction) if instruction.op.family == "elementwise" else None

    def _know(self, identity: int, array: Array) -> None:
        if array.size:
            first = array.reshape(-1)[:1]
            # Compared by their bytes: 0.0 and -0.0 are two numbers, and NaN is one.
            if array.size == 1 or array.tobytes() == first.tobytes() * array.size:
                self.numbers[identity] = first.reshape(())

    def _number(self, instruction: Instruction) -> Array | None:
        """The one number that all elements of a result are."""
        op = instruction.op
        given = [self.numbers.get(x.id) if isinstance(x, Value) else x for x in instruction.inputs]
        if any(x is None for x in given) or instruction.output.spec.size == 0:
            return None
        if op.name in _REPEATS:
            return given[0]
        if op.family == "elementwise" or op.name == "cast":
            return np.asarray(op.value(*given, **instruction.attrs))
        return None

    def _kept_number(self, work: Rewriting, instruction: Instruction, number: Array) -> Value | None:
        shape = instruction.output.spec.shape
        if instruction.output.spec.size == 1:
            value = work.constant(number.reshape(shape))
        elif instruction.op.name == "broadcast_to" and instruction.inputs[0].id in work.constants:
            self.numbers[instruction.output.id] = number
            return None
        else:
            value = work.add("broadcast_to", work.constant(number), like=instruction, shape=shape)
        self.numbers[value.id] = number
        return value

    def _array(self, work: Rewriting, x: Any) -> Any:
        """The elements of an input that is always the same; None if it is not."""
        if not isinstance(x, Value):
            return x
        if x.id in self.numbers and x.spec.size <= _MOST:
            return np.full(x.spec.shape, self.numbers[x.id])
        return work.constants.get(x.id)

    def _with_numbers(self, instruction: Instruction) -> Instruction | None:
        """The operation with Python numbers for constants, where they mean the same to it."""
        inputs = instruction.inputs
        # A condition decides no dtype, and is no number.
        first = 1 if instruction.op.name == "where" else 0
        for n, x in enumerate(inputs[first:], first):
            if isinstance(x, Value) and x.id in self.numbers:
                trial = (*inputs[:n], self.numbers[x.id].item(), *inputs[n + 1 :])
                if fits(instruction, trial) and _meeting(inputs[first:]) == _meeting(trial[first:]):
                    inputs = trial
        return replace(instruction, inputs=inputs) if inputs is not instruction.inputs else None


def _meeting(inputs: tuple[Any, ...]) -> Any:
    """The dtype at which inputs meet: a comparison's result does not show it."""
    return common_dtype([(s.dtype, s.weak) for s in map(input_spec, inputs)])
