"""A trace comes in; short names leave, as a textbook gives them: x, W1, b1, z1, a1, L. Every part of an explanation
names its numbers by these.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pellucid.core.op import COMPOSITES
from pellucid.graph import Value
from pellucid.inspection.cost_counting import Owner
from pellucid.inspection.explain_trace import Place, Trace

_WEIGHTED = ("contraction", "convolution")


@dataclass
class Call:
    """One call of a layer.

    numbers : its operations, by number.
    outputs : the values that others take from it, or that the network returns.
    level : how many layers with weights there are up to it.
    letter : z for weighted sums, a for activations, h for others.
    """

    owner: Owner
    call: int
    numbers: list[int] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    level: int = 0
    letter: str = "h"


class Names:
    """The names of a trace's values.

    Attributes
        calls : the calls of layers in the order in which they ran, the loss last
    """

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._names: dict[int, str] = {}
        self._taken: set[str] = set()
        self.calls = _calls(trace)
        self._at = {n: call for call in self.calls for n in call.numbers}
        for n, value in enumerate(trace.graph.inputs):
            self._give(value, trace.input_names[n] if n < trace.num_inputs else "y")
        self._layers()
        if trace.loss is not None:
            self._give(trace.loss, "L")

    def _give(self, value: Value, name: str) -> None:
        if value.id in self._names:
            return
        number, plain = 1, name
        while name in self._taken:
            number += 1
            name = f"{plain}_{number}"
        self._taken.add(name)
        self._names[value.id] = name

    def _layers(self) -> None:
        trace, level = self._trace, 0
        for call in self.calls:
            if call.owner.role == "loss":
                continue
            parameters = _parameters(trace, call)
            weighted = any(_is_weighted(trace, n) for n in call.numbers)
            if weighted or (parameters and _reads_table(trace, call)):
                level += 1
            call.level, call.letter = level, _letter(trace, call, weighted, bool(parameters))
            table = weighted or _reads_table(trace, call)
            for value in parameters:
                own = trace.parameters[value.id][0].rpartition(".")[2]
                label = {"weight": "W" if table else "gamma", "bias": "b" if table else "beta"}.get(own, own)
                self._give(value, f"{label}{level}")
            for value in call.outputs:
                self._give(value, f"{call.letter}{level}")

    def of(self, value: Value) -> str:
        """The name of a value."""
        if value.id not in self._names:
            self._give(value, self._inner(value))
        return self._names[value.id]

    def _inner(self, value: Value) -> str:
        """A name for what is computed inside a layer: what the step is called, numbered."""
        trace = self._trace
        number = trace.makers.get(value.id)
        if number is None:
            captured = next((c for c in trace.graph.captured if c.value is value), None)
            own = str(value)[1:].rpartition(".")[2] if captured is not None and not captured.constant else "c"
            return own if own.isidentifier() else "c"
        instruction = trace.graph.instructions[number]
        word = instruction.op.name
        after = trace.graph.instructions[number + 1].scope if number + 1 < len(trace.graph.instructions) else ()
        ended = [s.name for depth, s in enumerate(instruction.scope) if after[depth : depth + 1] != (s,)]
        for name in ended[:1]:
            if name in COMPOSITES:
                word = name
        count = 1
        while f"{word}{count}" in self._taken:
            count += 1
        return f"{word}{count}"

    def element(self, value: Value, place: Place) -> str:
        """The name of one number: `z1[0,2]`."""
        name = self.of(value)
        return f"{name}[{','.join(map(str, place))}]" if place else name

    def call_of(self, number: int) -> Call:
        """The call of a layer that an operation belongs to."""
        return self._at[number]


def _calls(trace: Trace) -> list[Call]:
    found: dict[tuple[str, str, int], Call] = {}
    for number, (owner, call) in enumerate(trace.owners):
        key = (owner.path, owner.role, call)
        if key not in found:
            found[key] = Call(owner, call)
        found[key].numbers.append(number)
    returned = {v.id for v in trace.outputs} | ({trace.loss.id} if trace.loss is not None else set())
    for item in found.values():
        inside = set(item.numbers)
        for number in item.numbers:
            value = trace.graph.instructions[number].output
            users = [n for n, _ in trace._uses.get(value.id, [])]
            if value.id in returned or any(n not in inside for n in users):
                item.outputs.append(value)
    return list(found.values())


def _parameters(trace: Trace, call: Call) -> list[Value]:
    found: dict[int, Value] = {}
    for number in call.numbers:
        for x in trace.graph.instructions[number].inputs:
            if isinstance(x, Value) and x.id in trace.parameters:
                found.setdefault(x.id, x)
    return list(found.values())


def _is_weighted(trace: Trace, number: int) -> bool:
    instruction = trace.graph.instructions[number]
    return instruction.op.family in _WEIGHTED


def _reads_table(trace: Trace, call: Call) -> bool:
    """Whether rows of a weight are read, as an embedding does."""
    for number in call.numbers:
        instruction = trace.graph.instructions[number]
        if instruction.op.name == "index" and len(instruction.inputs) > 1:
            first = instruction.inputs[0]
            if isinstance(first, Value) and first.id in trace.parameters:
                return True
    return False


def _letter(trace: Trace, call: Call, weighted: bool, has_parameters: bool) -> str:
    if not call.outputs:
        return "h"
    instructions = [trace.graph.instructions[n] for n in call.numbers]
    if weighted:
        computed = [i for i in instructions if i.op.family != "movement" and i.op.name != "add"]
        return "z" if len(computed) == 1 else "h"
    # An activation turns one tensor into another of its shape.
    made = {i.output.id for i in instructions} | {c.value.id for c in trace.graph.captured}
    given = {
        x.id: x
        for i in instructions
        for x in i.inputs
        if isinstance(x, Value) and x.id not in made and x.spec.dtype.kind == "f"
    }
    smooth = all(i.op.family in ("elementwise", "reduction") for i in instructions)
    same = [x.spec.shape for x in given.values()] == [call.outputs[-1].spec.shape]
    return "a" if smooth and same and not has_parameters else "h"
