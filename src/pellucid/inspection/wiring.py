"""A network and the shape of its input come in; what a picture of it needs leaves: its layers with shapes and costs,
and, of a chain of dense layers, every weight, so that it can be drawn neuron by neuron.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.context import no_grad
from pellucid.core.op import COMPOSITES
from pellucid.graph import Graph, Instruction, Value
from pellucid.graph.ir import leaves
from pellucid.inspection.cost import _examples, _mode, cost
from pellucid.inspection.cost_recording import recorded
from pellucid.inspection.cost_records import CostReport

_PRODUCTS = ("affine_map", "linear_map", "matmul")
_FAMILIES = ("elementwise", "reduction", "movement")


@dataclass(frozen=True, eq=False)
class DenseLayer:
    """A layer of neurons each of which is connected with all of the layer before.

    name : of its module; "" where it has none.
    weight : (out, in), what a neuron gives to each of its inputs.
    bias : (out,), or None.
    functions : what is done to the sums, in order, such as ("relu",).
    """

    name: str
    weight: Array = field(repr=False)
    bias: Array | None = field(repr=False)
    functions: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Wiring:
    """How a network is put together; see `wiring`.

    cost : its layers with output shapes, parameters and multiply-accumulates, for the batch that was given.
    dense : its layers of neurons, if it is a chain of such; otherwise empty.
    """

    cost: CostReport
    dense: tuple[DenseLayer, ...] = ()

    @property
    def widths(self) -> tuple[int, ...]:
        """Neurons of each layer, the inputs first; empty where it is no chain of dense layers."""
        return (self.dense[0].weight.shape[1], *(len(d.weight) for d in self.dense)) if self.dense else ()

    @property
    def num_connections(self) -> int:
        """Weights between neurons."""
        return sum(d.weight.size for d in self.dense)


def wiring(model: Any, example_or_shape: Any) -> Wiring:
    """How a network is put together: its layers and their costs, and the weights of a chain of dense layers.

    The network is recorded in eval mode by shapes alone, so that one from a file and a function of Tensors can be
    drawn as well; nothing in it changes.

    Parameters
        model : a Module, a network from a file, or a function of Tensors.
        example_or_shape : what it is called with, or its shape, the batch in front: as for `cost`.
    Returns
        Wiring
    Raises
        as `cost`
    Examples
        >>> import pellucid as pl
        >>> model = pl.nn.Sequential(pl.nn.Linear(4, 3), pl.nn.Tanh(), pl.nn.Linear(3, 2))
        >>> w = pl.inspection.wiring(model, (1, 4))
        >>> w.widths, [layer.functions for layer in w.dense], w.cost.parameters
        ((4, 3, 2), [('tanh',), ()], 23)
    """
    report = cost(model, example_or_shape)
    examples = _examples("example_or_shape", example_or_shape, model)
    with _mode(model, False), no_grad():
        graph = recorded(model, examples).graph
    return Wiring(report, tuple(_chain(graph)))


def _chain(graph: Graph) -> list[DenseLayer]:
    """The dense layers, if the graph is a chain of them and of functions of their results; otherwise none."""
    outputs = [leaf for leaf in leaves(graph.outputs) if isinstance(leaf, Value)]
    if len(graph.inputs) != 1 or len(outputs) != 1 or graph.inputs[0].spec.dtype.kind != "f":
        return []
    held = {c.value.id: c for c in graph.captured}
    layers: list[DenseLayer] = []
    current = graph.inputs[0]
    width = int(np.prod(current.spec.shape[1:]))
    # What comes from the input; of that, what may be taken: the last result, and within a composite all that it made.
    derived, open_values, composite = {current.id}, {current.id}, ""
    for instruction in graph.instructions:
        taken = [x.id for x in instruction.inputs if isinstance(x, Value) and x.id in derived]
        if not taken:
            continue
        inside = _composite(instruction)
        if not inside or inside != composite:
            open_values, composite = {current.id}, inside
        if not open_values.issuperset(taken):
            return []
        size = int(np.prod(instruction.output.spec.shape[1:]))
        if not inside and instruction.op.name in _PRODUCTS:
            layer = _dense(instruction, held, width)
            if layer is None:
                return []
            layers.append(layer)
            width = len(layer.weight)
        elif not inside and instruction.op.name == "reshape":
            if size != width:
                return []
        elif instruction.op.family not in _FAMILIES or not (inside or instruction.op.family == "elementwise"):
            return []
        else:
            word = inside.rpartition("/")[2] if inside else instruction.op.name
            if not layers or (not inside and size != width):
                return []
            last = layers[-1]
            if not inside or not last.functions or last.functions[-1] != word:
                layers[-1] = DenseLayer(last.name, last.weight, last.bias, (*last.functions, word))
        derived.add(instruction.output.id)
        open_values.add(instruction.output.id)
        current = instruction.output
    return layers if current is outputs[0] and layers and width == int(np.prod(current.spec.shape[1:])) else []


def _composite(instruction: Instruction) -> str:
    """The call of a composite that an operation is part of, by name; "" for none."""
    for depth, scope in enumerate(instruction.scope):
        if scope.name in COMPOSITES:
            return "/".join(f"{s.name}.{s.call}" for s in instruction.scope[:depth]) + "/" + scope.name
    return ""


def _dense(instruction: Instruction, held: dict[int, Any], width: int) -> DenseLayer | None:
    x, given, *rest = instruction.inputs
    if not isinstance(given, Value) or given.id not in held or len(x.spec.shape) != 2:
        return None
    name = str(given)[1:].rpartition(".")[0]
    weight = held[given.id].tensor.data
    if weight.ndim != 2:
        return None
    if instruction.op.name == "matmul":
        weight = weight.T
    bias = held[rest[0].id].tensor.data if rest and isinstance(rest[0], Value) and rest[0].id in held else None
    if weight.shape[1] != width or (rest and bias is None):
        return None
    return DenseLayer(name, weight.copy(), None if bias is None else bias.copy())
