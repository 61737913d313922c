"""What is computed twice: of operations that are equal in their inputs and attributes the first one stands for all, and
so does the first of small constants with the same elements. A draw of random bits is no exception: another draw has
another key.
"""

from __future__ import annotations

from typing import Any

from pellucid.compiler.passes.rewriting import Rewriting
from pellucid.graph.ir import Graph, Instruction, Value

# Larger constants are not compared.
_MOST_BYTES = 1 << 15


def merge(graph: Graph) -> Graph:
    """The graph with every value computed once."""
    work = Rewriting(graph)
    firsts: dict[Any, Value] = {}
    for captured in graph.captured:
        value = captured.value
        if value.id in work.constants and value.spec.nbytes <= _MOST_BYTES:
            first = firsts.setdefault((value.spec, captured.tensor.data.tobytes()), value)
            if first is not value:
                work.stand_in(value, first)

    def rule(work: Rewriting, instruction: Instruction) -> Value | None:
        first = firsts.setdefault(_key(instruction), instruction.output)
        return None if first is instruction.output else first

    return work.rewritten(rule)


def _key(instruction: Instruction) -> tuple[Any, ...]:
    # Python calls 1, 1.0 and True equal, and 0.0 and -0.0; slices have no hash. Their text tells all of them apart.
    inputs = tuple(x.id if isinstance(x, Value) else repr(x) for x in instruction.inputs)
    return instruction.op.name, inputs, repr(sorted(instruction.attrs.items()))
