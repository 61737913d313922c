"""The order of axes in memory: a graph comes in; for each value that shall not lie row by row the order of its axes
leaves. Called by `native_plan`.

A weight (out, in) lies column by column, since the forward product x Wᵀ reads it along its outputs. So do its gradient
and what the optimizer keeps for it, which meet it element by element. Tall results, of many rows and few columns, lie
so too: a vector then holds one column of several rows, where a row of its own would leave most of it empty.
"""

from __future__ import annotations

from pellucid._typing import Shape
from pellucid.graph.ir import Graph, Value, leaves
from pellucid.ops._families.contraction import parse

_COLUMNS_FIRST = (1, 0)
_FEW, _MANY = 4, 16
"""The most columns, and the least rows, of what is tall."""
_KEPT_BY_ROWS = frozenset({"elementwise", "contraction"})
"""The families of operations whose results may be tall."""


def orders(graph: Graph, columns: frozenset[int] = frozenset()) -> dict[int, tuple[int, ...]]:
    """The order of axes, outermost first, of the values that lie in another than their own.

    Parameters
        columns : captured values that shall lie column by column whatever this graph does with them
    """
    families = _families(graph)
    state = {c.value.id for c in graph.captured}
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
    below = tall(graph)
    return {v.id: _COLUMNS_FIRST for v in values if families.of(v.id) in turned or v.id in below}


def is_tall(shape: Shape) -> bool:
    """Whether there are many rows of few columns."""
    return len(shape) == 2 and 1 < shape[1] <= _FEW and shape[0] >= _MANY


def tall(graph: Graph) -> frozenset[int]:
    """The results that lie column by column because they are tall, and whose loops run over rows nevertheless: rows
    are what threads share. State and what meets it is not among them."""
    families = _families(graph)
    found = [i.output for i in graph.instructions if i.op.family in _KEPT_BY_ROWS and is_tall(i.output.spec.shape)]
    if not found:
        return frozenset()
    other = {leaf.id for leaf in leaves(graph.outputs) if isinstance(leaf, Value)}
    # A reshape that joins the columns of a row reads them side by side.
    other |= {
        i.inputs[0].id
        for i in graph.instructions
        if i.op.name == "reshape" and i.output.spec.shape[-1:] != i.inputs[0].spec.shape[-1:]
    }
    state = {families.of(c.value.id) for c in graph.captured}
    return frozenset(v.id for v in found if v.id not in other and families.of(v.id) not in state)


def _families(graph: Graph) -> Families:
    """Values that meet element by element, and state with its new value."""
    families = Families()
    for instruction in graph.instructions:
        if instruction.op.family == "elementwise":
            for x in instruction.inputs:
                if isinstance(x, Value) and _meet(x, instruction.output):
                    families.join(x.id, instruction.output.id)
    for target, value in graph.updates:
        if _meet(target, value):
            families.join(target.id, value.id)
    return families


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
