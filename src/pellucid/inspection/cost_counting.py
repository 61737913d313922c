"""A recorded run and the network come in; the work and the activations of each layer leave. Called by `cost`.

What an operation costs is read from its declaration at the shapes that it ran with; to which layer it belongs, from
the module that was being called. So a function of operations is counted as a layer is, a layer that is called twice
costs twice, and nothing is counted by guessing at classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from pellucid._typing import Shape
from pellucid.core.op import COMPOSITES
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor
from pellucid.graph import Graph, Instruction, Scope, Value
from pellucid.graph.dtype import float_dtype
from pellucid.graph.ir import input_spec, leaves
from pellucid.graph.names import is_module, is_optimizer
from pellucid.inspection.cost_memory import buffers, is_view, peak
from pellucid.inspection.cost_recording import Run
from pellucid.inspection.cost_records import CostReport, LayerCost, Work

Role = Literal["layer", "loss", "optimizer", "outside"]


class Owner(NamedTuple):
    """The layer that an operation belongs to."""

    path: str
    kind: str
    role: Role = "layer"


@dataclass
class _Tally:
    """What is gathered of one layer."""

    owner: Owner
    calls: set[int] = field(default_factory=set)
    output: Shape | None = None
    operations: list[str] = field(default_factory=list)
    parameters: list[Tensor] = field(default_factory=list)
    buffers: list[Tensor] = field(default_factory=list)
    work: dict[str, Work] = field(default_factory=dict)
    activations: int = 0
    activation_bytes: int = 0
    stored_bytes: int | None = None


def work_of(instruction: Instruction) -> Work:
    """The work of one operation, from its declaration."""
    specs = [input_spec(x) for x in instruction.inputs]
    out = instruction.output.spec
    cost = instruction.op.cost(specs, out, dict(instruction.attrs))
    read, written = _traffic(instruction, specs)
    if all(s.dtype.kind != "f" for s in (*specs, out)):
        return Work(0, 0, 0, 2 * cost.macs + cost.flops + cost.special, read, written, 1)
    return Work(cost.macs, cost.flops, cost.special, 0, read, written, 1)


def _traffic(instruction: Instruction, specs: list[Spec]) -> tuple[int, int]:
    """Bytes that are read and written."""
    out = instruction.output.spec
    if is_view(instruction):
        return 0, 0
    distinct = {x.id: x.spec.nbytes for x in instruction.inputs if isinstance(x, Value)}
    if instruction.op.name in ("index", "take_along", "max_pool_read"):
        # Of a table only the rows that are asked for are read.
        table = instruction.inputs[0].id
        distinct[table] = min(distinct[table], out.size * specs[0].dtype.itemsize)
    return sum(distinct.values()), out.nbytes


class Owners:
    """Finds the layer of each operation.

    Parameters
        model : the network, or a function
        loss : the module that computes the loss, or None
    """

    def __init__(self, model: Any, run: Run, loss: Any = None) -> None:
        self._run, self._model, self._loss = run, model, loss
        self._paths = {id(m): name for name, m in model.named_modules()} if is_module(model) else {}
        self._names = set(self._paths.values())
        if is_module(model):
            self._names |= {name.rpartition(".")[0] for name, _ in model.named_parameters()}
        # Scopes know nothing of the list that a layer stands in: "0.ln_1" is told from "h.0.ln_1" by its parameters.
        ends = [(name[i + 1 :], name) for name in self._names for i, c in enumerate(name) if c == "."]
        self._ends = {end: name for end, name in ends if sum(e == end for e, _ in ends) == 1}
        # A network from a file computes by its graph: its layers are the scopes of that graph.
        self._from_file = isinstance(getattr(model, "graph", None), Graph)

    def of(self, number: int) -> tuple[Owner, int]:
        """The layer of an operation, and the number of the call."""
        scope, phase = self._run.graph.instructions[number].scope, self._run.phases[number]
        for depth in range(len(scope) - 1, -1, -1):
            part = self._run.parts.get(scope[depth].call)
            if part is None:
                continue
            kind = type(part).__name__
            if is_optimizer(part):
                return Owner("", kind, "optimizer"), scope[depth].call
            path = self._paths.get(id(part))
            if part is self._model:
                return self._inside(scope[depth + 1 :], kind), scope[depth].call
            if path is not None:
                return Owner(path, kind), scope[depth].call
            if phase == "loss" or part is self._loss:
                return Owner("", type(self._loss or part).__name__, "loss"), scope[0].call
            return Owner(".".join(s.name for s in scope[: depth + 1]), kind), scope[depth].call
        role: Role = "loss" if phase == "loss" else "optimizer" if phase == "update" else "outside"
        return Owner("", "", role), 0

    def _inside(self, scope: tuple[Scope, ...], kind: str) -> Owner:
        if not self._from_file:
            return Owner("", kind, "outside")
        names = [s.name for s in scope[1:]]
        for length in range(len(names), 0, -1):
            path = ".".join(names[:length])
            path = path if path in self._names else self._ends.get(path, path)
            if path in self._names or (names[length - 1] not in COMPOSITES or length == 1):
                return Owner(path, "")
        return Owner("", kind, "outside")

    def unit(self, number: int) -> Any:
        """What a result must leave to be an activation: the call of a layer, or of a composite in it."""
        scope = self._run.graph.instructions[number].scope
        for depth, s in enumerate(scope):
            if s.name in COMPOSITES and s.call not in self._run.parts:
                return (self._run.phases[number], scope[: depth + 1])
        return (self._run.phases[number], scope)


def counted(
    name: str, model: Any, run: Run, num_inputs: int, training: bool, loss: Any = None, audit: Any = None
) -> CostReport:
    """The report of a recorded run, without measured times.

    Parameters
        name : of the network
        num_inputs : how many of the graph's inputs are the network's; the others are targets
        audit : what `verify` of the report calls
    """
    graph, phases = run.graph, run.phases
    owners = Owners(model, run, loss)
    tallies: dict[tuple[str, str], _Tally] = {}

    def tally(owner: Owner) -> _Tally:
        return tallies.setdefault((owner.path, owner.role), _Tally(owner))

    located = [owners.of(n) for n in range(len(graph.instructions))]
    for number, instruction in enumerate(graph.instructions):
        owner, call = located[number]
        part = tally(owner)
        phase = "forward" if phases[number] == "loss" else phases[number]
        with float_dtype(graph.float_dtype):
            part.work[phase] = part.work.get(phase, Work()) + work_of(instruction)
        if phase == "forward":
            part.calls.add(call)
            part.output = instruction.output.spec.shape
            word = _word(instruction)
            if word not in part.operations:
                part.operations.append(word)
    _add_parameters(model, tally)

    forward = _network(graph, phases, num_inputs)
    units = [owners.unit(n) for n in range(len(graph.instructions))]
    made = buffers(forward, units[: len(forward.instructions)])
    activations = [b for b in made if b.is_activation]
    for b in activations:
        if b.made_by >= 0:
            part = tally(located[b.made_by][0])
            part.activations += b.size
            part.activation_bytes += b.nbytes
    highest = peak(activations, len(forward.instructions))
    live = peak(buffers(graph, units, of_inputs=False), len(graph.instructions))
    stored = _stored(graph, phases) if training else None
    if stored is not None:
        for part in tallies.values():
            part.stored_bytes = 0
        for value, number in stored:
            if number >= 0:
                part = tally(located[number][0])
                part.stored_bytes = (part.stored_bytes or 0) + value.spec.nbytes
    return CostReport(
        name=name,
        inputs=tuple(v.spec for v in graph.inputs[:num_inputs]),
        training=training,
        layers=tuple(_layer(t) for t in _ordered(tallies.values())),
        peak_activations=highest.size,
        peak_activation_bytes=highest.nbytes,
        peak_layer=located[highest.at][0].path if located else "",
        total_activations=sum(b.size for b in activations),
        total_activation_bytes=sum(b.nbytes for b in activations),
        peak_live_bytes=live.nbytes,
        stored_activations=None if stored is None else sum(v.spec.size for v, _ in stored),
        stored_bytes=None if stored is None else sum(v.spec.nbytes for v, _ in stored),
        from_values=run.with_values,
        modules=_classes(model),
        _audit=audit,
    )


def _classes(model: Any) -> dict[str, str]:
    """The class of each module, without the sign of those that are private."""
    return {path: type(m).__name__.lstrip("_") for path, m in model.named_modules()} if is_module(model) else {}


def _word(instruction: Instruction) -> str:
    """The composite that an operation is part of, or its own name."""
    return next((s.name for s in instruction.scope if s.name in COMPOSITES), instruction.op.name)


def _network(graph: Graph, phases: tuple[str, ...], num_inputs: int) -> Graph:
    """The operations of the network itself, without loss, gradients and update. Its results are what the loss reads;
    without a loss they are what a step returns."""
    count = next((n for n, phase in enumerate(phases) if phase != "forward"), len(phases))
    own = {i.output.id for i in graph.instructions[:count]}
    losses = [i for i, phase in zip(graph.instructions, phases, strict=True) if phase == "loss"]
    read = [x for i in losses for x in i.inputs] if losses else list(leaves(graph.outputs))
    results = {x.id: x for x in read if isinstance(x, Value) and x.id in own}
    return replace(
        graph,
        inputs=graph.inputs[:num_inputs],
        instructions=graph.instructions[:count],
        outputs=tuple(results.values()),
        updates=(),
    )


def _stored(graph: Graph, phases: tuple[str, ...]) -> list[tuple[Value, int]]:
    """What the forward pass makes or was given and the backward pass reads: each value once, with the number of the
    operation that made it; -1 of an input. Parameters are there anyway."""
    roots: dict[int, tuple[Value, int]] = {v.id: (v, -1) for v in graph.inputs}
    for number, i in enumerate(graph.instructions):
        if phases[number] in ("backward", "update"):
            continue
        given = i.inputs[0] if i.inputs else None
        if is_view(i) and isinstance(given, Value):
            if given.id in roots:
                roots[i.output.id] = roots[given.id]
        elif any(isinstance(x, Value) for x in i.inputs):
            roots[i.output.id] = (i.output, number)
    found: dict[int, tuple[Value, int]] = {}
    for i, phase in zip(graph.instructions, phases, strict=True):
        if phase == "backward":
            for x in i.inputs:
                if isinstance(x, Value) and x.id in roots:
                    value, number = roots[x.id]
                    found[value.id] = (value, number)
    return list(found.values())


def _add_parameters(model: Any, tally: Any) -> None:
    if not is_module(model):
        return
    kinds = {name: type(m).__name__ for name, m in model.named_modules()}
    seen: set[int] = set()
    for attribute, named in (("parameters", model.named_parameters()), ("buffers", model.named_buffers())):
        for name, tensor in named:
            if id(tensor) not in seen:
                seen.add(id(tensor))
                path = name.rpartition(".")[0]
                role: Role = "layer" if path else "outside"
                getattr(tally(Owner(path, kinds.get(path, ""), role)), attribute).append(tensor)


def _ordered(tallies: Iterable[_Tally]) -> Iterator[_Tally]:
    """Layers, then what is in none, then loss and optimizer."""
    order = {"layer": 0, "outside": 1, "loss": 2, "optimizer": 3}
    return iter(sorted(tallies, key=lambda t: order[t.owner.role]))


def _layer(t: _Tally) -> LayerCost:
    return LayerCost(
        path=t.owner.path,
        kind=t.owner.kind if t.owner.kind not in ("", "Module") else ", ".join(t.operations),
        role=t.owner.role,
        calls=len(t.calls),
        output=t.output,
        parameters=sum(p.size for p in t.parameters),
        trainable=sum(p.size for p in t.parameters if p.requires_grad),
        parameter_bytes=_by_dtype(t.parameters),
        buffer_bytes=_by_dtype(t.buffers),
        forward=t.work.get("forward", Work()),
        backward=t.work.get("backward", Work()),
        update=t.work.get("update", Work()),
        activations=t.activations,
        activation_bytes=t.activation_bytes,
        stored_bytes=t.stored_bytes,
    )


def _by_dtype(tensors: Iterable[Tensor]) -> dict[str, int]:
    total: dict[str, int] = {}
    for t in tensors:
        total[t.dtype.name] = total.get(t.dtype.name, 0) + t.nbytes
    return total
