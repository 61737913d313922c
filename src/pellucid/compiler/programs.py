"""Functions and their graphs come in; recordings and machine code leave, made once for all that are alike but for the
tensors they work on, such as the steps of several networks of one structure. Called by `epochs` and by `fit`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from pellucid.compiler.rebound import Original, original, rebound
from pellucid.compiler.record import Recorded, recorded
from pellucid.core.context import default_dtype
from pellucid.core.same import Same
from pellucid.core.tensor import Tensor
from pellucid.graph.ir import Graph, Value, mapped

if TYPE_CHECKING:
    from pellucid.compiler.native_plan import Prepared


class Programs:
    """Recordings and machine code of what has been seen here. Threads that ask for the same wait for the first of them.

    Attributes
        looked_at : data that have been looked at whole, each set with the looks
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, Prepared] = {}
        self._originals: dict[Hashable, Original | None] = {}
        self._lock = threading.Lock()
        self.looked_at: set[tuple[Same, ...]] = set()

    def recorded(self, key: Hashable, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Recorded:
        """The recording of a function, made from an earlier one where one can be.

        Parameters
            key : what the function does; those with equal keys differ in their tensors and in options of optimizers
                that are read anew for every step
            arguments : Tensors
        Raises
            what `record.recorded` raises
        """
        key = (key, tuple([(x.data.shape, x.data.dtype) for x in arguments]), default_dtype())
        with self._lock:
            if key not in self._originals:
                found = recorded(function, arguments)
                self._originals[key] = original(found, function)
                return found
            first = self._originals[key]
        found_again = None if first is None else rebound(first, function, arguments)
        return recorded(function, arguments) if found_again is None else found_again

    def of(self, graph: Graph, varying: Sequence[Tensor]) -> Prepared:
        """Machine code of a graph that picks its batches itself.

        Parameters
            varying : captured numbers that are given for every step
        Raises
            Unsupported: there is none.
        """
        from pellucid.compiler.native_plan import Prepared

        key = likeness(graph, varying)
        with self._lock:
            if key not in self._known:
                self._known[key] = Prepared(graph, batched=True, varying=varying)
            return self._known[key]


def likeness(graph: Graph, varying: Sequence[Tensor]) -> Hashable:
    """What two graphs have in common whose code is the same: everything but names and the values of state."""
    place = {id(c.tensor): n for n, c in enumerate(graph.captured)}
    return (
        tuple([(v.id, v.spec) for v in graph.inputs]),
        tuple([(c.value.id, c.value.spec, c.tensor.data.tobytes() if c.constant else None) for c in graph.captured]),
        tuple(
            [(i.op, *map(_told_apart, i.inputs), repr(i.attrs), i.output.id, i.output.spec) for i in graph.instructions]
        ),
        repr(mapped(graph.outputs, _told_apart)),
        tuple([(target.id, value.id) for target, value in graph.updates]),
        graph.float_dtype,
        tuple([place.get(id(t)) for t in varying]),
    )


def _told_apart(x: Any) -> Hashable:
    """A value by its number; 1, 1.0 and True, which are equal in Python, by their words."""
    return x.id if isinstance(x, Value) else repr(x)
