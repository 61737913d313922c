"""A recorded graph comes in; through which inputs of each operation relevance flows leaves: a signal is what depends on
the graph's input otherwise than as a gate, an attention weight or the scale of a normalisation. `relevance.py` asks.
"""

from __future__ import annotations

import numpy as np

from pellucid._typing import Array
from pellucid.core.op import NONE
from pellucid.graph import Graph, Instruction, Value
from pellucid.graph.ir import leaves

NORMALISATIONS = frozenset(
    ("layer_norm", "rms_norm", "batch_norm", "group_norm", "instance_norm", "local_response_norm")
)
# Inside a normalisation these lead to its scale.
_SCALES = frozenset(("square", "power", "sqrt", "reciprocal", "abs"))
_GATES = frozenset(("sigmoid", "hardsigmoid"))


class Flow:
    """Where relevance goes.

    Attributes
        carrying : ids of the values that are signals
        positions : for each instruction, the inputs that relevance is shared among
        blocked : whether a softmax was met, which no relevance passes
    """

    def __init__(self, graph: Graph) -> None:
        self.carrying = {graph.inputs[0].id}
        self.positions: list[tuple[int, ...]] = []
        self.blocked = False
        self._made_by = {i.output.id: i.op.name for i in graph.instructions}
        self._readers: dict[int, list[Instruction]] = {}
        self._returned = {v.id for v in leaves(graph.outputs) if isinstance(v, Value)}
        for instruction in graph.instructions:
            for x in instruction.inputs:
                if isinstance(x, Value):
                    self._readers.setdefault(x.id, []).append(instruction)
            positions = self._through(instruction)
            self.positions.append(positions)
            if positions:
                self.carrying.add(instruction.output.id)

    def _through(self, instruction: Instruction) -> tuple[int, ...]:
        op = instruction.op
        found = tuple(n for n, x in enumerate(instruction.inputs) if isinstance(x, Value) and x.id in self.carrying)
        if not found or instruction.output.spec.dtype.kind != "f" or isinstance(op.vjp, NONE):
            return ()
        scopes = {scope.name for scope in instruction.scope}
        if op.name == "log_softmax" or (op.name == "exp" and scopes & {"softmax", "softmin"}):
            self.blocked = True
            return ()
        if op.name in _SCALES and scopes & NORMALISATIONS:
            return ()
        if op.name == "divide" and 0 in found:
            return (0,)
        if op.name == "multiply" and len(found) == 2:
            signals = tuple(n for n in found if self._made_by.get(instruction.inputs[n].id) not in _GATES)
            return signals if len(signals) == 1 else found
        return found

    def later_sign(self, value: Value, values: dict[int, Array]) -> Array | None:
        """The sign of the constants that a value is multiplied by before anything else is done to it but adding
        constants, as the scale of a batch normalisation after a convolution; None where there is none.

        What a negative factor follows speaks for the output where it is negative itself.
        """
        sign: Array | None = None
        current = value
        while current.id not in self._returned and len(self._readers.get(current.id, ())) == 1:
            reader = self._readers[current.id][0]
            place = next(n for n, x in enumerate(reader.inputs) if x is current)
            others = [x for n, x in enumerate(reader.inputs) if n != place]
            if reader.output.spec.shape != value.spec.shape or len(others) > 1:
                break
            if any(isinstance(x, Value) and x.id in self.carrying for x in others):
                break
            factor: Array | float
            if reader.op.name == "multiply" or (reader.op.name == "divide" and place == 0):
                factor = np.sign(values[others[0].id] if isinstance(others[0], Value) else others[0])
            elif reader.op.name == "negative" or (reader.op.name == "subtract" and place == 1):
                factor = -1.0
            elif reader.op.name in ("add", "subtract", "positive"):
                factor = 1.0
            else:
                break
            sign = np.broadcast_to(factor, value.spec.shape) * (1.0 if sign is None else sign)
            current = reader.output
        return sign
