"""A recorded graph comes in; a graph leaves that computes the same with less. Each pass is a function of a graph, in a
file of its own; called by the NumPy plan and by the native tier.

A graph that has been through here is for computing only: what it recorded of gradients and of looks at values stays
with the graph that the user sees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pellucid.compiler.passes.common import common
from pellucid.compiler.passes.constants import constants
from pellucid.compiler.passes.dead import dead
from pellucid.compiler.passes.expand import expand
from pellucid.compiler.passes.simplify import simplify
from pellucid.graph.ir import Graph
from pellucid.graph.verify import verify

__all__ = ["common", "constants", "dead", "expand", "optimized", "simplify"]

_SHRINKING: tuple[Callable[[Graph], Graph], ...] = (constants, common, simplify, dead)


def optimized(graph: Graph, native: bool) -> Graph:
    """The graph after every pass.

    Parameters
        graph : with known lengths, not `Batch`.
        native : whether operations that native code has no rule for are written as several that it knows. Without it
            the values keep eager's bits.
    """
    instructions = tuple(replace(i, stopped=()) if i.stopped else i for i in graph.instructions)
    graph = _until_nothing_changes(replace(graph, instructions=instructions, reads=(), expectations=()))
    if native:
        graph = _until_nothing_changes(_verified(expand, graph))
    return graph


def _until_nothing_changes(graph: Graph) -> Graph:
    before = None
    while before is not graph:
        before = graph
        for change in _SHRINKING:
            graph = _verified(change, graph)
    return graph


def _verified(change: Callable[[Graph], Graph], graph: Graph) -> Graph:
    changed = change(graph)
    if changed is not graph:
        verify(changed)
    return changed
