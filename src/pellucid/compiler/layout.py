"""The order of axes in memory: a graph comes in; for each value that shall not lie row by row the order of its axes
leaves. Called by `native_plan`.

A weight (out, in) lies column by column, since the forward product x Wᵀ reads it along its outputs. So do its gradient
and what the optimizer keeps for it, which meet it element by element.
"""

from __future__ import annotations

from pellucid.graph.ir import Graph, Value, leaves
from pellucid.ops._families.contraction import parse

_COLUMNS_FIRST = (1, 0)


def orders(graph: Graph, columns: frozenset[int] = frozenset()) -> dict[int, tuple[int, ...]]:
    """The order of axes, outermost first, of the values that lie in another than their own.

    Parameters
        columns : captured values that shall lie column by column whatever this graph does with them
    """
    families = Families()
    state = {c.value.id for c in graph.captured}
    for instruction in graph.instructions:
        if instruction.op.family == "elementwise":
            for x in instruction.inputs:
                if isinstance(x, Value) and _meet(x, instruction.output):
                    families.join(x.id, instruction.output.id)
    for target, value in graph.updates:
        if _meet(target, value):
            families.join(target.id, value.id)
    turned = {families.of(i) for i in columns}
    for instruction in graph.instructions:
        if instruction.op.family != "contraction":
            continue
        x, weight = instruction.inputs[:2]
        formula = parse(instruction.op.kernel(x.spec.shape, weight.spec.shape, **instruction.attrs))
        is_weight = weight.id in state and len(formula.b) == 2 and min(weight.spec.shape) > 1
        if is_weight and formula.b[0] == formula.out[-1:] and formula.b[1] == formula.a[-1:]:
            turned.add(families.of(weight.id))
    returned = {leaf.id for leaf in leaves(graph.outputs) if isinstance(leaf, Value)}
    values = [v for v in _values(graph) if v.spec.ndim == 2 and v.id not in returned]
    return {v.id: _COLUMNS_FIRST for v in values if families.of(v.id) in turned}


def _meet(a: Value, b: Value) -> bool:
    return a.spec.shape == b.spec.shape and a.spec.ndim == 2 and min(a.spec.shape) > 1


def _values(graph: Graph) -> list[Value]:
    return [*(c.value for c in graph.captured), *(i.output for i in graph.instructions)]


class Families:
    """Sets of values that lie alike."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}

    def of(self, identity: int) -> int:
        while identity in self._above:
            identity = self._above[identity]
        return identity

    def join(self, a: int, b: int) -> None:
        a, b = self.of(a), self.of(b)
        if a != b:
            self._above[a] = b
