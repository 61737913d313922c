"""A recorded graph comes in; its machine code leaves, with what must be known to bind it to memory. A graph that says
the same as one that was compiled before, here or in another process, has the same code: then nothing is written anew.
Called by `native_plan` and `programs`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pellucid.compiler.collecting import uncollected
from pellucid.compiler.engine import available, compiled, problem
from pellucid.compiler.native import Native
from pellucid.compiler.table import Place, Table
from pellucid.compiler.target import host
from pellucid.compiler.tiers import Unsupported
from pellucid.core.op import REGISTRY
from pellucid.core.tensor import Tensor
from pellucid.graph.ir import Graph, Instruction, Value, mapped

if TYPE_CHECKING:
    from pellucid.compiler.buffers import Lowered
    from pellucid.compiler.nest import Program
    from pellucid.compiler.threads import Busy


Batched = Literal["rows", "whole"] | None


class Prepared:
    """A graph as machine code that is not bound to any state yet: one serves all graphs that are alike.

    Parameters
        batched : whether it does many steps at a call: on "rows" that it picks itself from a data set, or each time on
            the "whole" of it
        varying : captured numbers that are given for every step
        columns : captured values that lie column by column whatever the graph does with them, by number
    Attributes
        busy : what its latest run in several threads has found of how many of them pay
    Raises
        Unsupported: there is no machine code for it here.
    """

    def __init__(
        self,
        graph: Graph,
        batched: Batched = None,
        varying: Sequence[Tensor] = (),
        columns: frozenset[int] = frozenset(),
    ) -> None:
        if not available():
            raise Unsupported(str(problem()))
        target = host()

        @uncollected()
        def made() -> tuple[str, bytes]:
            from pellucid.compiler.emit_llvm import emit

            lowered, table = lowered_with_table(graph, batched, varying, columns)
            return emit(lowered.program, target), table.to_bytes()

        key = repr((likeness(graph, varying), batched, sorted(columns), _names(graph)))
        code = compiled(key, made, target)
        self.table = Table.from_bytes(code.notes)
        self.busy: Busy | None = None
        self.native = Native(code, self.table)


def likeness(graph: Graph, varying: Sequence[Tensor] = ()) -> Hashable:
    """What two graphs have in common whose code is the same: everything but names and the values of state."""
    place = {id(c.tensor): n for n, c in enumerate(graph.captured)}
    return (
        tuple([(v.id, v.spec) for v in graph.inputs]),
        tuple([(c.value.id, c.value.spec, c.tensor.data.tobytes() if c.constant else None) for c in graph.captured]),
        tuple(
            [
                (i.op.name, *map(_said, i.inputs), *map(_said, i.attrs.items()), i.output.id, i.output.spec)
                for i in graph.instructions
            ]
        ),
        repr(mapped(graph.outputs, _said)),
        tuple([(target.id, value.id) for target, value in graph.updates]),
        graph.float_dtype,
        tuple([place.get(id(t)) for t in varying]),
    )


def _said(x: Any) -> Hashable:
    """A value by its number; an array by its bytes; 1, 1.0 and True, which are equal in Python, by their words."""
    if isinstance(x, Value):
        return x.id
    if isinstance(x, np.ndarray):
        return x.dtype.str, x.shape, x.tobytes()
    if isinstance(x, tuple | list):
        return type(x).__name__, *map(_said, x)
    return repr(x)


def _names(graph: Graph) -> list[str]:
    return [v.name for v in (*graph.inputs, *(c.value for c in graph.captured))]


def lowered_with_table(
    graph: Graph, batched: Batched = None, varying: Sequence[Tensor] = (), columns: frozenset[int] = frozenset()
) -> tuple[Lowered, Table]:
    """The program of a graph, and what must be known to bind it; the parameters are those of `Prepared`."""
    from pellucid.compiler.layout import orders
    from pellucid.compiler.lower import lower
    from pellucid.compiler.passes.order import optimized
    from pellucid.compiler.pictures import with_pictures

    own, pictures = with_pictures(with_own_outputs(optimized(graph, native=True)))
    order = {**orders(own, columns), **pictures}
    place = {id(c.tensor): n for n, c in enumerate(own.captured)}
    given = [place.get(id(t)) for t in varying]
    picked = frozenset(range(len(own.inputs))) if batched == "rows" else frozenset()
    batches = None if batched is None else picked
    lowered = lower(own, order, batches, frozenset(n for n in given if n is not None))
    numbers, recorded = lowered.captured, {id(c.tensor) for c in graph.captured}
    left = {
        position: n
        for position, c in enumerate(graph.captured)
        if (n := place.get(id(c.tensor))) is not None and n not in given
    }
    return lowered, Table(
        places(lowered.program),
        lowered.program.notes["flops"],
        len(lowered.program.phases),
        lowered.inputs,
        lowered.outputs,
        [None if n is None else numbers[n] for n in given],
        {position: numbers[n] for position, n in left.items()},
        [position for position, n in left.items() if order.get(own.captured[n].value.id)],
        lowered.scratch,
        lowered.memory,
        lowered.order,
        [(numbers[n], c.tensor.data) for n, c in enumerate(own.captured) if id(c.tensor) not in recorded],
    )


def places(program: Program) -> dict[int, Place]:
    """What arrays the buffers of a program stand for, by number."""
    from pellucid.compiler.nest import Store, with_inner

    kernels = [call.kernel for phase in program.phases for call in phase]
    stores = [s for kernel in kernels for s in with_inner(kernel.body) if isinstance(s, Store)]
    written = {store.buffer.number for store in stores}
    return {
        b.number: Place(b.name, b.dtype, b.shape, tuple([s * b.dtype.itemsize for s in b.strides]), b.number in written)
        for b in program.buffers
    }


def with_own_outputs(graph: Graph) -> Graph:
    """The graph with a copy for each output and update that is no result of a computation of its own, and for outputs
    of few columns: what is computed of those is computed in one way, whether they are also returned or not."""
    from pellucid.compiler.layout import is_tall

    made = {i.output.id for i in graph.instructions if i.op.family != "movement"}
    updates = {value.id for _, value in graph.updates}
    taken: set[int] = set()

    def own(value: Value) -> bool:
        is_own = value.id in made and value.id not in taken
        taken.add(value.id)
        return is_own and (value.id in updates or not is_tall(value.spec.shape))

    return with_copies(graph, own)


def with_copies(graph: Graph, fits: Callable[[Value], bool]) -> Graph:
    """The graph with a copy for each output and update that does not fit as it is; `fits` is asked of each in turn."""
    following = graph.next_id
    copies: list[Instruction] = []

    def fitting(value: Any) -> Any:
        if not isinstance(value, Value) or fits(value):
            return value
        copy = Value(following + len(copies), value.spec)
        copies.append(Instruction(REGISTRY["positive"], (value,), {}, copy))
        return copy

    updates = tuple((target, fitting(value)) for target, value in graph.updates)
    outputs = mapped(graph.outputs, fitting)
    return replace(graph, updates=updates, outputs=outputs, instructions=(*graph.instructions, *copies))
