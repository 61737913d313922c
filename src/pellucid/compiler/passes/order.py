"""Which passes run, in which order. Called by the NumPy plan and by the native tier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pellucid.compiler.passes.expand import expand
from pellucid.compiler.passes.fold import fold
from pellucid.compiler.passes.merge import merge
from pellucid.compiler.passes.prune import prune
from pellucid.compiler.passes.simplify import simplify
from pellucid.graph.ir import Graph
from pellucid.graph.verify import verify

_SHRINKING: tuple[Callable[[Graph], Graph], ...] = (fold, merge, simplify, prune)


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
        graph = _until_nothing_changes(expand(graph))
    verify(graph)
    return graph


def _until_nothing_changes(graph: Graph) -> Graph:
    before = None
    while before is not graph:
        before = graph
        for change in _SHRINKING:
            graph = change(graph)
    return graph
