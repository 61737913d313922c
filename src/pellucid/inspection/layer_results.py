"""A recorded pass comes in; what each layer gave leaves: one value a layer, with the operations that made it and the
parameters that they took. `signals` and `receptive_field` read it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.core.check import closest
from pellucid.core.op import COMPOSITES
from pellucid.errors import MissingKeyError
from pellucid.graph import Instruction, Value
from pellucid.inspection.cost_memory import is_view
from pellucid.inspection.explain_trace import Trace


@dataclass(frozen=True)
class LayerResult:
    """The last result of a layer.

    path : its full name; "" for what the network itself computes, outside its layers
    kind : its class, or its operations where that is not known
    value : the result
    parameters : what it is the first to take, by name
    """

    path: str
    kind: str
    value: Value
    parameters: tuple[tuple[str, Value], ...]


def layer_results(trace: Trace) -> list[LayerResult]:
    """The layers in the order in which their results are made. Layers that only arrange numbers anew, such as a
    flattening, are left out, and so are those that make no floats."""
    last: dict[str, int] = {}
    kinds: dict[str, str] = {}
    words: dict[str, list[str]] = {}
    works: set[str] = set()
    parameters: dict[str, dict[str, Value]] = {}
    taken: set[int] = set()
    for number, instruction in enumerate(trace.graph.instructions):
        owner = trace.owners[number][0]
        if owner.role not in ("layer", "outside") or trace.phases[number] != "forward":
            continue
        last[owner.path] = number
        kinds[owner.path] = owner.kind
        word = _word(instruction)
        if word not in words.setdefault(owner.path, []):
            words[owner.path].append(word)
        if not is_view(instruction):
            works.add(owner.path)
        for x in instruction.inputs:
            if isinstance(x, Value) and x.id in trace.parameters and x.id not in taken:
                taken.add(x.id)
                parameters.setdefault(owner.path, {})[trace.parameters[x.id][0]] = x
    found = []
    for path, number in sorted(last.items(), key=lambda item: item[1]):
        value = trace.graph.instructions[number].output
        if path in works and value.spec.dtype.kind == "f":
            own = tuple(parameters.get(path, {}).items())
            found.append(LayerResult(path, kinds[path] or ", ".join(words[path]), value, own))
    return found


def result_of(trace: Trace, layer: str | None, network: str) -> LayerResult:
    """The result of a layer by its name, or, for None, what the network gives.

    Raises
        MissingKeyError: no layer of that name computes anything.
    """
    if layer is None:
        return LayerResult("", network, trace.outputs[0], ())
    found = {result.path: result for result in layer_results(trace)}
    if layer not in found:
        near = closest(str(layer), [path for path in found if path])
        raise MissingKeyError(
            "attribution.layer", name=repr(layer), network=network, suggestion=None if near is None else repr(near)
        )
    return found[layer]


def _word(instruction: Instruction) -> str:
    return next((s.name for s in instruction.scope if s.name in COMPOSITES), instruction.op.name)
