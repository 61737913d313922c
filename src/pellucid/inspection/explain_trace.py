"""A network with its inputs comes in; its recorded graph leaves, with the value and the error of everything in it: what
explanations are read from. The network runs once, and nothing in it has changed afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pellucid._typing import Array, Shape
from pellucid.autograd import grad
from pellucid.core.context import enable_grad, quiet
from pellucid.core.tensor import Tensor, apply, wrap
from pellucid.errors import ArgumentError, ShapeError
from pellucid.graph import Graph, Instruction, Value
from pellucid.graph.dtype import float_dtype
from pellucid.graph.ir import leaves
from pellucid.graph.names import input_names, is_module
from pellucid.inspection.cost_counting import Owner, Owners
from pellucid.inspection.cost_recording import Outline, Run, recorded_with_values

Place = tuple[int, ...]


class _Forward:
    """A pass through a network and its loss as one function; it says on its way what is going on."""

    def __init__(self, model: Any, num_inputs: int, loss: Callable[..., Any] | None) -> None:
        self.model, self.num_inputs, self.loss = model, num_inputs, loss
        self._outline: Outline | None = None

    def told(self, outline: Outline) -> None:
        """Whom to tell."""
        self._outline = outline

    def _begin(self, phase: Any) -> None:
        if self._outline is not None:
            self._outline.phase = phase

    def __call__(self, *given: Tensor) -> Any:
        self._begin("forward")
        outputs = self.model(*given[: self.num_inputs])
        if self.loss is None:
            return outputs, None
        self._begin("loss")
        return outputs, self.loss(outputs, *given[self.num_inputs :])


class Trace:
    """A recorded pass with all its values.

    Parameters
        inputs, targets : Tensors
        loss : of outputs and targets; None for a forward pass alone
    Attributes
        graph : the operations, forward and loss
        input_names : x, or what the network calls its inputs
        outputs : the values that the network returned
        loss : the value of the loss, or None
        tensors : each value of the graph as a Tensor, by its number
        makers : the number of the operation that made a value
        owners : the layer of each operation, and the number of its call
    """

    def __init__(self, model: Any, inputs: Sequence[Tensor], targets: Sequence[Tensor], loss: Any) -> None:
        self.num_inputs = len(inputs)
        self.input_names = ["x"] if len(inputs) == 1 else input_names(model, len(inputs))
        step = _Forward(model, self.num_inputs, loss)
        with enable_grad():
            run: Run = recorded_with_values(step, [*inputs, *targets], step.told)
        self.graph: Graph = run.graph
        self.phases = run.phases
        outputs, end = self.graph.outputs
        self.outputs = [v for v in leaves(outputs) if isinstance(v, Value)]
        self.loss: Value | None = end
        if loss is not None and (not isinstance(end, Value) or end.spec.size != 1):
            raise ShapeError("explain.loss", shape=() if not isinstance(end, Value) else end.spec.shape)
        if not self.outputs:
            raise ArgumentError("explain.no-output")
        self.parameters: dict[int, tuple[str, Tensor]] = {}
        self._name_parameters(model)
        self.tensors: dict[int, Tensor] = {}
        self._compute(list(inputs) + list(targets))
        self.makers = {i.output.id: n for n, i in enumerate(self.graph.instructions)}
        owners = Owners(model, run, loss if is_module(loss) else None)
        self.owners: list[tuple[Owner, int]] = [owners.of(n) for n in range(len(self.graph.instructions))]
        self.values: dict[int, Value] = {v.id: v for v in self.graph.inputs}
        self.values.update((c.value.id, c.value) for c in self.graph.captured)
        self.values.update((i.output.id, i.output) for i in self.graph.instructions)
        self._uses: dict[int, list[tuple[int, int]]] = {}
        for n, instruction in enumerate(self.graph.instructions):
            for position, x in enumerate(instruction.inputs):
                if isinstance(x, Value):
                    self._uses.setdefault(x.id, []).append((n, position))
        self.errors: dict[int, Array] = {}
        self._differentiate()

    def _name_parameters(self, model: Any) -> None:
        named = {id(t): (name, t) for name, t in model.named_parameters()} if is_module(model) else {}
        for captured in self.graph.captured:
            if id(captured.tensor) in named:
                self.parameters[captured.value.id] = named[id(captured.tensor)]
            elif captured.tensor.requires_grad and not captured.constant:
                self.parameters[captured.value.id] = (str(captured.value)[1:], captured.tensor)

    def _compute(self, given: list[Tensor]) -> None:
        """Every value, to the bits of the network's own, each with its history."""
        tensors = self.tensors
        for value, tensor in zip(self.graph.inputs, given, strict=True):
            tensors[value.id] = wrap(tensor.data)
        for captured in self.graph.captured:
            twin = tensors[captured.value.id] = wrap(captured.tensor.data)
            if captured.tensor.requires_grad:
                twin.requires_grad_()
        for value in self.graph.inputs[: self.num_inputs]:
            if value.spec.dtype.kind == "f":
                tensors[value.id].requires_grad_()
        with enable_grad(), quiet(), float_dtype(self.graph.float_dtype):
            for instruction in self.graph.instructions:
                arguments: list[Any] = [tensors[x.id] if isinstance(x, Value) else x for x in instruction.inputs]
                for position in instruction.stopped:
                    if arguments[position].requires_grad:
                        arguments[position] = arguments[position].detach()
                tensors[instruction.output.id] = apply(instruction.op, arguments, dict(instruction.attrs))

    def _differentiate(self) -> None:
        """The derivative of the loss by every value: its error."""
        if self.loss is None:
            return
        end = self.tensors[self.loss.id]
        if not end.requires_grad:
            raise ArgumentError("explain.nothing-to-train")
        asked = [(key, t) for key, t in self.tensors.items() if t.requires_grad]
        for (key, _), g in zip(asked, grad(end, [t for _, t in asked], allow_unused=True), strict=True):
            if g is not None:
                self.errors[key] = g.data

    # Reading

    def array(self, value: Value) -> Array:
        return self.tensors[value.id].data

    def number(self, value: Value, place: Place) -> Any:
        """One number of the network, as Python's."""
        return self.tensors[value.id].data[place].item()

    def error(self, value: Value, place: Place) -> float:
        """The derivative of the loss by one number."""
        found = self.errors.get(value.id)
        return 0.0 if found is None else float(found[place])

    def maker(self, value: Value) -> Instruction | None:
        number = self.makers.get(value.id)
        return None if number is None else self.graph.instructions[number]

    def uses(self, value: Value) -> list[tuple[int, int]]:
        """The operations that take a value, and as which of their inputs; those without a gradient are left out."""
        found = self._uses.get(value.id, [])
        return [(n, i) for n, i in found if i not in self.graph.instructions[n].stopped]

    def shape(self, value: Value) -> Shape:
        return value.spec.shape
