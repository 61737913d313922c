"""How a vector loop becomes loops over whole vectors, several side by side ("copies"), and a masked last one. Called
by emit_llvm and product.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from pellucid.compiler.expressions import BASIC, INT64, with_parts
from pellucid.compiler.llvm_expressions import Copy, first_lanes, varying
from pellucid.compiler.llvm_writer import Value, literal
from pellucid.compiler.nest import Combine, Loop, Product, Statement, expressions, with_inner

if TYPE_CHECKING:
    from pellucid.compiler.emit_llvm import Emitter

_STRAIGHT = 4
"""Loops of so many vectors are written without a loop."""


@dataclass(frozen=True, eq=False, slots=True)
class Assign(Combine):
    """An accumulator's new value, computed of its old one: how a sum is made by fma."""


class VectorLoop:
    """One vector loop as it is written: how many vectors go side by side, and their parts of outer accumulators."""

    def __init__(self, emitter: Emitter, loop: Loop, changed: frozenset[Any], side_by_side: int) -> None:
        self.emitter, self.loop, self.changed, self.side_by_side = emitter, loop, changed, side_by_side
        self.outer = [name for name in emitter.names if name in changed]
        self.slots: list[dict[str, Value]] = []

    def of_length(self, start: int, stop: int) -> None:
        """A loop whose length is a literal."""
        e = self.emitter
        whole, rest = divmod(max(stop - start, 0), e.lanes)
        short = whole + (rest > 0) <= (_STRAIGHT if self.side_by_side > 1 else 1)
        straight = whole if short else whole % self.side_by_side
        looped = whole - straight
        if looped:
            self._looped(literal(start, INT64), literal(start + looped * e.lanes, INT64))
        masks: list[Value | None] = [None] * straight
        if rest:
            masks.append(first_lanes(rest, e.lanes))
        if masks:
            base = Value(str(start + looped * e.lanes), INT64, varies=True)
            self._write([self._copy(i, base, i * e.lanes, mask) for i, mask in enumerate(masks)])

    def between(self, start: Value, stop: Value) -> None:
        """A loop whose length is known when it runs."""
        e = self.emitter
        length = e.whole("sub", stop, start)
        whole = e.pure(f"and {length}, {-e.lanes * self.side_by_side}", INT64, 1, length)
        middle = e.whole("add", start, whole)
        self._looped(start, middle)

        def masked(counter: Value) -> None:
            left = e.whole("sub", stop, counter)
            self._write([self._copy(0, varying(counter), 0, e.lanes_below(left, e.lanes))])

        self._loop(middle, stop, e.lanes, 1, masked)

    def _looped(self, start: Value, stop: Value) -> None:
        e, count = self.emitter, self.side_by_side

        def body(counter: Value) -> None:
            self._write([self._copy(i, varying(counter), i * e.lanes, None) for i in range(count)])

        self._loop(start, stop, count * e.lanes, count, body)

    def _loop(self, start: Value, stop: Value, step: int, count: int, body: Any) -> None:
        while len(self.slots) < count:
            self.slots.append(self._fresh_slot())
        holders = [(slot, name) for slot in self.slots[:count] for name in self.outer]
        self.emitter.loop(start, stop, step, self.changed, holders, body)

    def _fresh_slot(self) -> dict[str, Value]:
        e = self.emitter
        return {name: e.start_of(e.accumulators[name], e.lanes) for name in self.outer}

    def _copy(self, slot: int, base: Value, offset: int, mask: Value | None) -> Copy:
        while len(self.slots) <= slot:
            self.slots.append(self._fresh_slot())
        copy = Copy({self.loop.counter: (base, offset)}, mask)
        copy.names, copy.partial = dict(self.slots[slot]), set(self.outer)
        return copy

    def _write(self, copies: list[Copy]) -> None:
        self.emitter.write_copies(copies, self.loop.body)
        for slot, copy in zip(self.slots, copies, strict=False):
            for name in self.outer:
                slot[name] = copy.names[name]

    def combine(self) -> None:
        """The parts of outer accumulators as one value each."""
        e = self.emitter
        for name in self.outer:
            kind = e.accumulators[name].kind
            parts = [slot[name] for slot in self.slots]
            while len(parts) > 1:
                parts = [e.combined(kind, *pair) if len(pair) == 2 else pair[0] for pair in _pairs(parts)]
            if parts:
                new = e.combined(kind, e.names[name], e.across(kind, parts[0]))
                e.names[name] = Value(new.text, new.dtype, 1, new.level, frozenset((name,)))
            e.forget(name)


def _pairs(values: list[Value]) -> list[list[Value]]:
    return [values[i : i + 2] for i in range(0, len(values), 2)]


_WEIGHTS: dict[type, int] = {Product: 100, Loop: 8}
"""What statements count for that are more than their expressions."""


def shape_of(body: Iterable[Statement], vector_bytes: int) -> tuple[int, int]:
    """How many lanes a vector loop has, by the widest float in it (or if there is none the widest number), and how
    much its body computes."""
    statements = list(with_inner(body))
    floats, others = 0, 0
    weight = sum(_WEIGHTS.get(type(statement), 0) for statement in statements)
    for x in with_parts(chain.from_iterable(map(expressions, statements))):
        if x.dtype.kind == "f":
            floats = max(floats, x.dtype.itemsize)
        elif x.op == "load" or x.dtype != INT64:
            others = max(others, x.dtype.itemsize)
        weight += 0 if x.op in ("number", "name", "variable") else 1 if x.op in BASIC or x.op == "load" else 16
    return vector_bytes // (floats or others or 8), weight
