"""A program of loop nests comes in, the text of one LLVM module leaves: each kernel as a function, a barrier, and the
driver that runs the phases. Called by native.

Vector loops become loops over whole vectors with a masked last one, never a scalar loop, so that an element is computed
by the same instructions wherever a thread's rows begin. Several vectors go side by side ("copies"): each statement is
written for every copy before the next.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from pellucid.compiler.expressions import INT64
from pellucid.compiler.llvm_copies import Assign, VectorLoop, shape_of
from pellucid.compiler.llvm_driver import Function, driver
from pellucid.compiler.llvm_expressions import Copy, Expressions
from pellucid.compiler.llvm_writer import NOTHING, Holder, Value, literal
from pellucid.compiler.nest import (
    WHOLE,
    Accumulator,
    Across,
    Combine,
    Comment,
    If,
    Kernel,
    Let,
    Loop,
    Product,
    Program,
    Statement,
    Store,
    identity,
    inside,
)
from pellucid.compiler.product import emit_product
from pellucid.compiler.product_panel import OWN
from pellucid.compiler.target import Target
from pellucid.compiler.tiers import Unsupported

_COMMENT = re.compile(r"^ *;.*\n", re.MULTILINE)

_FEW, _SHORT = 4, 32
"""Loops of so few rounds and so few operations are written one round after the other."""


def emit(program: Program, target: Target) -> str:
    """The program's LLVM module.

    Parameters
        target : the machine that it is for.
    Returns
        str, with `drive(ptr table, i64 thread, i64 threads, ptr barrier, i64 first, i64 last)` as its entry
    """
    rows: dict[Kernel, tuple[int, int]] = {}
    for phase in program.phases:
        for call in phase:
            unit, most = rows.get(call.kernel, (0, 0))
            unit = math.gcd(unit, call.extent, call.grain if call.shared else 0)
            rows[call.kernel] = unit, max(most, call.extent)
    intrinsics: set[str] = set()
    called: dict[str, str] = {}
    # Equal layers have equal kernels: one function serves them, each with a table of addresses of its own.
    sizes = {b.number: b.dtype.itemsize for b in program.buffers}
    functions: dict[str, Function] = {}
    used: dict[Kernel, Function] = {}
    for kernel, (unit, most) in rows.items():
        emitter = Emitter(target, kernel, unit, most)
        text = emitter.function()
        first = functions.setdefault(_COMMENT.sub("", text), Function(kernel.name, text, ()))
        addresses = tuple([(number, sizes[number] * into) for number, (_, into) in emitter.table.items()])
        used[kernel] = first._replace(addresses=addresses)
        intrinsics |= emitter.intrinsics
        called |= emitter.called
    main, declarations = driver(program, target, used)
    head = [f"; {program.name}", f'target triple = "{target.triple}"', *sorted(intrinsics | declarations)]
    texts = [*called.values(), *(f.text.replace("@kernel", f"@{f.name}", 1) for f in functions.values())]
    return "\n\n".join(["\n".join(head), *texts, main, _attributes(target)]) + "\n"


def _attributes(target: Target) -> str:
    bits = target.vector_bytes * 8
    # Some processors are tuned for vectors narrower than they have; the program's width is meant.
    width = f' "prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}"' if bits > 256 else ""
    return f"attributes #0 = {{ noinline nounwind{width} }}"


class Emitter(Expressions):
    """Writes one kernel.

    rows : a number that divides the number of rows whatever a thread's part of them is, and how many there can be.
    """

    def __init__(self, target: Target, kernel: Kernel, unit: int, most: int) -> None:
        super().__init__(target.has_fma)
        self.target, self.kernel, self.rows = target, kernel, (unit, most)
        for v, name in ((kernel.lo, "lo"), (kernel.hi, "hi"), (kernel.step, "step")):
            self.variables[v] = (Value(f"%{name}", INT64), 0)
        self.accumulators: dict[str, Accumulator] = {}
        self.copies = [self.copy]
        self._changed: dict[Statement, frozenset[Any]] = {}

    def function(self) -> str:
        """The kernel's definition, as a function called `kernel`."""
        self.statements(self.kernel.body)
        self.line("ret void")
        head = "define internal void @kernel(ptr %table, i64 %lo, i64 %hi, i64 %step) #0 {"
        return f"{head}\nentry:\n{self.text()}\n}}"

    # Statements

    def statements(self, body: Iterable[Statement]) -> None:
        """Each statement, for all copies."""
        for statement in body:
            match statement:
                case Loop():
                    (self._vector_loop if statement.vector else self._scalar_loop)(statement)
                case If():
                    self._if(statement)
                case Product():
                    emit_product(self, statement)
                case Comment():
                    for line in statement.text.splitlines():
                        self.line(f"; {line}")
                case _:
                    for copy in self.copies:
                        self.choose(copy)
                        self._simple(statement)

    def _if(self, statement: If) -> None:
        self.choose(self.copies[0])
        changed = self.changed(statement)
        condition = self.value(statement.condition)
        self.when(condition, changed, self.holders(changed), lambda: self.statements(statement.body))

    def _simple(self, statement: Statement) -> None:
        names = self.names if self.counter is None else self.copy.names
        match statement:
            case Let():
                names[statement.name] = self.value(statement.value)
            case Accumulator():
                self.accumulators[statement.name] = statement
                names[statement.name] = self.start_of(statement, self.lanes)
            case Across():
                names[statement.name] = self._across(statement)
            case Assign():
                self._assign(statement)
            case Combine():
                self._combine(statement)
            case Store():
                self._store(statement)

    def start_of(self, accumulator: Accumulator, lanes: int) -> Value:
        """What an accumulator starts from, as a value that depends on it."""
        x = literal(identity(accumulator.kind, accumulator.dtype), accumulator.dtype, lanes)
        return Value(x.text, x.dtype, lanes, 0, frozenset((accumulator.name,)), self.counter is not None)

    def _combine(self, statement: Combine) -> None:
        name = statement.name
        kind = self.accumulators[name].kind
        table = self.copy.names if name in self.copy.names else self.names
        value, old = self.value(statement.value), table[name]
        if name in self.copy.partial and self.mask is not None:
            nothing = literal(identity(kind, old.dtype), old.dtype, old.lanes)
            value = self.select(self.mask, self.splat(value, old.lanes), nothing)
        # What is first combined into an accumulator is its value.
        first = old.text == literal(identity(kind, old.dtype), old.dtype, old.lanes).text
        new = self.splat(value, old.lanes) if first else self.combined(kind, old, value)
        self._bind(table, name, new)

    def _across(self, statement: Across) -> Value:
        value = self.splat(self.value(statement.value), self.lanes)
        if self.mask is not None:
            nothing = literal(identity(statement.kind, value.dtype), value.dtype, value.lanes)
            value = self.select(self.mask, value, nothing)
        return self.across(statement.kind, value)

    def _assign(self, statement: Assign) -> None:
        name = statement.name
        table = self.copy.names if name in self.copy.names else self.names
        old = table[name]
        new = self.splat(self.value(statement.value), old.lanes)
        if name in self.copy.partial and self.mask is not None:
            new = self.select(self.mask, new, old)
        self._bind(table, name, new)

    def _bind(self, table: dict[str, Value], name: str, x: Value) -> None:
        table[name] = Value(x.text, x.dtype, x.lanes, x.level, frozenset((name,)), x.varies)
        self.forget(name)

    def _store(self, statement: Store) -> None:
        self.write(statement.buffer, statement.index, self.value(statement.value))

    # Loops

    def changed(self, statement: Statement) -> frozenset[Any]:
        """Numbers of buffers that a statement writes, and names of accumulators that it combines into."""
        known = self._changed.get(statement)
        if known is None:
            match statement:
                case Store():
                    known = frozenset((statement.buffer.number,))
                case Combine():
                    known = frozenset((statement.name,))
                case _:
                    own = OWN if isinstance(statement, Product) else NOTHING
                    known = own.union(*(self.changed(s) for s in inside(statement)))
            self._changed[statement] = known
        return known

    def holders(self, changed: frozenset[Any]) -> list[Holder]:
        """The accumulators that are declared already among what a loop changes."""
        tables = [self.names] if self.counter is None else [copy.names for copy in self.copies]
        return [(table, name) for table in tables for name in table if name in changed]

    def _scalar_loop(self, loop: Loop) -> None:
        self.choose(self.copies[0])
        changed = self.changed(loop)
        start, stop = self.value(loop.start), self.value(loop.stop)

        def body(counter: Value) -> None:
            self.variables[loop.counter] = (counter, 0)
            self.statements(loop.body)

        first, last = start.whole, stop.whole
        short = first is not None and last is not None and last - first <= _FEW
        if first is None or last is None or not short or shape_of(loop.body, 8)[1] > _SHORT:
            self.loop(start, stop, 1, changed, self.holders(changed), body)
            return
        for i in range(first, last):
            body(Value(str(i), INT64, reads=frozenset((loop.counter,))))
            self.forget(loop.counter)

    def _vector_loop(self, loop: Loop) -> None:
        if self.counter is not None:
            raise Unsupported("a vector loop inside another")
        start, stop = self.value(loop.start), self.value(loop.stop)
        self.lanes, weight = shape_of(loop.body, self.target.vector_bytes)
        if loop.whole:
            self.lanes = whole_lanes(stop)
        vectors = VectorLoop(self, loop, self.changed(loop), 4 if weight <= 12 else 2 if weight <= 40 else 1)
        self.counter = loop.counter
        if start.whole is not None and stop.whole is not None:
            vectors.of_length(start.whole, stop.whole)
        else:
            vectors.between(start, stop)
        self.counter, self.lanes = None, 1
        self.copies = [Copy({})]
        self.choose(self.copies[0])
        vectors.combine()

    def write_copies(self, copies: list[Copy], body: Sequence[Statement]) -> None:
        """A vector loop's body for some vectors side by side."""
        self.copies = copies
        self.statements(body)


def whole_lanes(stop: Value) -> int:
    """The lanes of a loop that is one vector, of whatever width the machine has: the code generator splits it."""
    if stop.whole is None or stop.whole > WHOLE:
        raise Unsupported("a whole loop of a length that is not known, or too long")
    return 1 << max(stop.whole - 1, 1).bit_length()
