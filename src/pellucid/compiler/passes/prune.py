"""What no result needs: operations that reach neither an output nor an update leave the graph, and so do captured
tensors that nothing reads. Inputs stay, since callers give them.
"""

from __future__ import annotations

from dataclasses import replace

from pellucid.graph.ir import Graph, Value, leaves


def prune(graph: Graph) -> Graph:
    """The graph without what no result needs."""
    updates = tuple((target, value) for target, value in graph.updates if target is not value)
    needed = {leaf.id for leaf in leaves(graph.outputs) if isinstance(leaf, Value)}
    for target, value in updates:
        needed |= {target.id, value.id}
    kept = []
    for instruction in reversed(graph.instructions):
        if instruction.output.id in needed:
            kept.append(instruction)
            needed |= {x.id for x in instruction.inputs if isinstance(x, Value)}
    captured = tuple(c for c in graph.captured if c.value.id in needed)
    before = len(graph.instructions), len(graph.captured), len(graph.updates)
    if before == (len(kept), len(captured), len(updates)):
        return graph
    return replace(graph, instructions=tuple(reversed(kept)), captured=captured, updates=updates)
