"""Functions and their graphs come in; recordings and machine code leave, made once for all that are alike but for the
tensors they work on, such as the steps of several networks of one structure. Called by `epochs` and by `fit`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from pellucid.compiler.prepared import Prepared, likeness
from pellucid.compiler.rebound import Original, Parts, original, rebound
from pellucid.compiler.record import Recorded, recorded
from pellucid.compiler.threads import renew_after_fork
from pellucid.core.context import default_dtype
from pellucid.core.same import Same
from pellucid.core.tensor import Tensor
from pellucid.graph.ir import Graph

_LITTLE_BYTES = 4 << 20
"""State that may stay in memory after its run."""
_MOST_CHUNKS = 256


class Programs:
    """Recordings and machine code of what has been seen here. Threads that ask for the same wait for the first of them.

    Parameters
        most : so many recordings are kept, of little state each, the latest; all and of any where it is None
    Attributes
        looked_at : data that have been looked at whole, each set with the looks; None where no data may stay
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._known: dict[Hashable, Prepared] = {}
        self._originals: dict[Hashable, Original | None] = {}
        self._lock = threading.Lock()
        self.looked_at: set[tuple[Same, ...]] | None = set() if most is None else None
        self._chunks: dict[Hashable, int] = {}
        renew_after_fork(self)

    def renew(self) -> None:
        """In a forked process: no thread holds the lock."""
        self._lock = threading.Lock()

    def recorded(
        self, key: Hashable, function: Callable[..., Any], arguments: tuple[Any, ...], parts: Parts | None = None
    ) -> Recorded:
        """The recording of a function, made from an earlier one where one can be.

        Parameters
            key : what the function does; those with equal keys differ in their tensors and in options of optimizers
                that are read anew for every step
            arguments : Tensors
            parts : what it consists of, where that is known; it then is of all with that key
        Raises
            what `record.recorded` raises
        """
        key = (key, tuple([(x.data.shape, x.data.dtype) for x in arguments]), default_dtype())
        with self._lock:
            if key not in self._originals:
                found = recorded(function, arguments)
                self._keep(key, original(found, function, parts))
                return found
            first = self._originals[key] = self._originals.pop(key)
        found_again = None if first is None else rebound(first, function, arguments, parts)
        return recorded(function, arguments) if found_again is None else found_again

    def _keep(self, key: Hashable, first: Original | None) -> None:
        """Keep a recording, and let the one go that was not used for longest."""
        if self._most is not None:
            if first is not None and sum(t.data.nbytes for _, t in first.tensors) > _LITTLE_BYTES:
                return
            if len(self._originals) >= self._most:
                self._originals.pop(next(iter(self._originals)))
        self._originals[key] = first

    def chunk(self, key: Hashable) -> int:
        """Of steps that are alike, how many there were last between looks at anything else; 1 of what is new."""
        return self._chunks.get(key, 1)

    def note_chunk(self, key: Hashable, steps: int) -> None:
        """Remember it."""
        if len(self._chunks) >= _MOST_CHUNKS and key not in self._chunks:
            self._chunks.clear()
        self._chunks[key] = steps

    def of(self, graph: Graph, varying: Sequence[Tensor], whole: bool = False) -> Prepared:
        """Machine code of many steps of a graph, which picks its batches itself.

        Parameters
            varying : captured numbers that are given for every step
            whole : whether each batch is the whole of the data, in its order
        Raises
            Unsupported: there is none.
        """
        place = {id(c.tensor): n for n, c in enumerate(graph.captured)}
        way = tuple([place.get(id(t)) for t in varying]), whole
        with self._lock:
            # Recordings that were made from one have its operations.
            firsts = [f for f in self._originals.values() if f is not None]
            first = next((f for f in firsts if f.recorded.graph.instructions is graph.instructions), None)
            if first is None:
                return self._prepared(graph, varying, whole)
            if way not in first.prepared:
                first.prepared[way] = self._prepared(graph, varying, whole)
            return first.prepared[way]

    def _prepared(self, graph: Graph, varying: Sequence[Tensor], whole: bool) -> Prepared:
        if self._most is not None:
            return Prepared(graph, "whole" if whole else "rows", varying)
        key = likeness(graph, varying), whole
        if key not in self._known:
            self._known[key] = Prepared(graph, "whole" if whole else "rows", varying)
        return self._known[key]
