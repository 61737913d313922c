"""The mixed tier: a recorded graph comes in of which some operations have no native rule; a step leaves that runs in
parts, machine code and NumPy calls by turns. Called by `step` where the whole cannot be machine code; it falls back on
the NumPy plan where this raises Unsupported.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from pellucid._typing import Array
from pellucid.compiler.binding import Binding
from pellucid.compiler.layout import orders
from pellucid.compiler.memory import Memory, joined
from pellucid.compiler.native_plan import NativePlan
from pellucid.compiler.numpy_plan import NumpyPlan
from pellucid.compiler.parts import MOST, Part, parts, with_made_ends
from pellucid.compiler.passes.order import optimized
from pellucid.compiler.tiers import Unsupported
from pellucid.graph.ir import Graph, Value, leaves


class Running(NamedTuple):
    """A part in the form in which it runs, and by number the values that it reads and gives."""

    plan: NativePlan | NumpyPlan
    reads: list[int]
    gives: list[int]


class MixedPlan:
    """A graph as parts, each bound to the arrays of its state: one step at a call.

    parts : in their order.

    Raises
        Unsupported: no part of it is worth machine code.
    """

    tier = "mixed"

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        lean = with_made_ends(optimized(graph, native=True))
        state = {c.value.id for c in lean.captured}
        # Parts that share a weight have it in one order of memory.
        columns = frozenset(i for i in orders(lean) if i in state)
        apart: set[int] = set()
        running = None
        while running is None:
            cut = parts(lean, apart)
            if len(cut) > MOST or not any(part.native for part in cut):
                raise Unsupported("few operations that belong together have a native rule")
            running = _running(cut, columns, apart)
        self.parts = running
        self._inputs = [v.id for v in graph.inputs]
        self._outputs = [v.id for v in leaves(lean.outputs) if isinstance(v, Value)]
        self._between = {v.id: v for part in cut for v in part.graph.outputs}

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One step on a batch; new state is written in place.

        Raises
            GraphError: NumPy refuses the values of an operation's inputs.
        """
        whole = [a if a.flags.c_contiguous else np.ascontiguousarray(a) for a in inputs]
        known = dict(zip(self._inputs, whole, strict=True))
        for part in self.parts:
            given = [known[i] for i in part.reads]
            plan = part.plan
            results = plan.step(given) if isinstance(plan, NativePlan) else plan.run(given)
            known.update(zip(part.gives, results, strict=True))
        return [known[i].copy() for i in self._outputs]

    @cached_property
    def memory(self) -> Memory:
        """Each part has a block of its own, and so has each result that goes from one to another."""
        last = dict.fromkeys(self._outputs, len(self.parts) - 1)
        last |= {i: n for n, part in enumerate(self.parts) for i in part.reads}
        first = {i: n for n, part in enumerate(self.parts) for i in part.gives}
        between = [(f"v{i}", v.spec.nbytes, first[i], last[i]) for i, v in self._between.items()]
        return joined([part.plan.memory for part in self.parts], between)

    @cached_property
    def source(self) -> str:
        """The parts one after the other, each as its tier prints it."""
        texts = []
        for number, part in enumerate(self.parts, 1):
            kind = "machine code" if isinstance(part.plan, NativePlan) else "NumPy"
            head = f"# part {number} of {len(self.parts)}, {kind}"
            texts.append("\n".join([head, "#", *_listed(part), "#", part.plan.source.rstrip()]))
        return "\n\n\n".join(texts) + "\n"


def _listed(part: Running) -> list[str]:
    """What a part reads and gives, as comments."""
    graph = part.plan.graph
    named = (("reads", graph.inputs), ("gives", graph.outputs))
    return [f"# {word}: {', '.join(v.name or f'v{v.id}' for v in values) or 'nothing'}" for word, values in named]


def _running(cut: list[Part], columns: frozenset[int], apart: set[int]) -> list[Running] | None:
    """Plans for the parts. None if one cannot be machine code after all, and its results are set apart now."""
    plans: dict[int, NativePlan | NumpyPlan] = {}
    # Machine code first: it says in which order of memory the others find the state.
    for part in sorted(cut, key=lambda part: not part.native):
        binding = Binding(part.graph)
        try:
            plans[id(part)] = (
                NativePlan(part.graph, binding, columns) if part.native else NumpyPlan(part.graph, binding)
            )
        except Unsupported:
            apart |= {i.output.id for i in part.graph.instructions}
            return None
    return [Running(plans[id(p)], [v.id for v in p.graph.inputs], [v.id for v in p.graph.outputs]) for p in cut]
