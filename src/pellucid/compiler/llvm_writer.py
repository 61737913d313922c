"""Instructions come in one at a time; the text of one LLVM function leaves, every instruction at the outermost place
where its operands are known and written once. Called by emit_llvm and product.

A function is a tree of scopes: itself, its loops, and its conditional parts. A value's level is the depth of the scope
that it belongs to. An instruction whose operands all belong further out than the current scope is written in front of
the loop below the innermost of them, so what does not change in a loop is computed before it. Values are assigned
once: what a loop changes is a phi at its head.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from pellucid._typing import DType
from pellucid.compiler.expressions import BOOL, INT64
from pellucid.compiler.tiers import Unsupported

_TYPES = {
    np.dtype(name): text
    for name, text in (
        ("float32", "float"),
        ("float64", "double"),
        ("int64", "i64"),
        ("uint64", "i64"),
        ("int32", "i32"),
        ("uint32", "i32"),
        ("int16", "i16"),
        ("uint16", "i16"),
        ("int8", "i8"),
        ("uint8", "i8"),
        ("bool", "i1"),
    )
}
POINTER = np.dtype("V8")
"""The dtype of addresses: raw bytes, no number."""
_TYPES[POINTER] = "ptr"
NOTHING: frozenset[Any] = frozenset()


@lru_cache(1024)
def type_of(dtype: DType, lanes: int = 1) -> str:
    """LLVM's type of a dtype in registers.

    Raises
        Unsupported: it has none here, such as float16.
    """
    if dtype not in _TYPES:
        raise Unsupported(f"values of {dtype}")
    return _TYPES[dtype] if lanes == 1 else f"<{lanes} x {_TYPES[dtype]}>"


def memory_type(dtype: DType, lanes: int = 1) -> str:
    """LLVM's type of a dtype in memory, where truth values are bytes."""
    return type_of(np.dtype(np.uint8) if dtype == BOOL else dtype, lanes)


class Value:
    """An SSA value or a literal.

    level : the depth of the scope it belongs to.
    reads : what it depends on that may change: numbers of buffers, names of accumulators.
    varies : whether it belongs to one of several copies of a vector loop's body.
    """

    __slots__ = ("dtype", "lanes", "level", "reads", "text", "type", "varies")

    def __init__(
        self,
        text: str,
        dtype: DType,
        lanes: int = 1,
        level: int = 0,
        reads: frozenset[Any] = NOTHING,
        varies: bool = False,
    ) -> None:
        self.text, self.dtype, self.lanes, self.level = text, dtype, lanes, level
        self.type = type_of(dtype, lanes)
        self.reads, self.varies = reads, varies

    def __str__(self) -> str:
        return f"{self.type} {self.text}"

    def seen_as(self, dtype: DType) -> Value:
        """The same bits as another dtype of the same type in LLVM."""
        return Value(self.text, dtype, self.lanes, self.level, self.reads, self.varies)

    @property
    def whole(self) -> int | None:
        """The number that a whole literal is."""
        return int(self.text) if self.text[0] != "%" and self.dtype.kind in "iu" and self.lanes == 1 else None

    def changing_with(self, *others: Value) -> Value:
        """The same value, as depending on all that others do: literals that a counter stands for leave no trace in
        the text of what is computed of them."""
        reads, varies = self.reads, self.varies
        for x in others:
            varies = varies or x.varies
            if x.reads and not x.reads <= reads:
                reads = reads | x.reads
        if varies == self.varies and reads is self.reads:
            return self
        return Value(self.text, self.dtype, self.lanes, self.level, reads, varies)


def literal(value: Any, dtype: DType, lanes: int = 1) -> Value:
    """A number, in all lanes."""
    if dtype == BOOL:
        text = "true" if value else "false"
    elif dtype.kind == "f":
        text = "0x" + struct.pack(">d", float(dtype.type(value))).hex().upper()
    else:
        text = str(int(value))
    return Value(text if lanes == 1 else f"splat ({type_of(dtype)} {text})", dtype, lanes)


@dataclass(slots=True)
class Scope:
    """A part of a function.

    text : its lines, and the lists of lines of the parts inside.
    head : the lines in front of it, where what does not change in it is computed.
    remembered : the tables' entries that end with it.
    changed : the buffers and accumulators that it changes; they are not read before it in its stead.
    sure : whether it runs at least once, so that what is computed in front of it is known after it.
    """

    text: list[Any]
    head: list[Any]
    changed: frozenset[Any]
    sure: bool = True
    remembered: list[tuple[dict[Any, Value], Any]] = field(default_factory=list)


Holder = tuple[dict[str, Value], str]
"""A table of names, and a name in it whose value a loop changes."""


class Writer:
    """The text of one function."""

    def __init__(self) -> None:
        self.scopes = [Scope([], [], NOTHING)]
        self.block = "entry"
        self.floor = 0
        self._count = 0
        self._known: dict[str, Value] = {}
        self._readers: dict[Any, list[tuple[dict[Any, Value], Any]]] = {}

    # Instructions

    def fresh(self) -> str:
        """A name that no value or block has yet."""
        self._count += 1
        return f"v{self._count}"

    def line(self, text: str) -> None:
        """An instruction without a value, here."""
        self.scopes[-1].text.append(text)

    def pure(self, text: str, dtype: DType, lanes: int, *operands: Value) -> Value:
        """An instruction whose value depends on its operands alone: written once, as far out as they allow."""
        known = self._known.get(text)
        if known is not None:
            # LLVM's types have no sign: the same bits may be wanted as another dtype.
            known = known if known.dtype == dtype else known.seen_as(dtype)
            return known.changing_with(*operands)
        level, reads, varies = self.floor, NOTHING, False
        for x in operands:
            if x.level > level:
                level = x.level
            if x.reads and x.reads is not reads:
                reads = reads | x.reads
            varies = varies or x.varies
        return self._placed(text, Value("", dtype, lanes, level, reads, varies))

    def read(self, text: str, dtype: DType, lanes: int, buffer: Any, *operands: Value) -> Value:
        """A load: as `pure`, but not out of a loop that writes the buffer, and forgotten when it is written."""
        known = self._known.get(text)
        if known is not None:
            return known.changing_with(*operands)
        level = max([self.floor, *(x.level for x in operands)])
        for depth in range(len(self.scopes) - 1, level, -1):
            if buffer in self.scopes[depth].changed:
                level = depth
                break
        reads = frozenset((buffer,)).union(*(x.reads for x in operands))
        value = self._placed(text, Value("", dtype, lanes, level, reads, any(x.varies for x in operands)))
        self._depends(self._known, text, reads)
        return value

    def _placed(self, text: str, value: Value) -> Value:
        value.text = "%" + self.fresh()
        line = f"{value.text} = {text}"
        if value.level >= len(self.scopes) - 1:
            self.scopes[-1].text.append(line)
        else:
            self.scopes[value.level + 1].head.append(line)
        self._keep(self._known, text, value)
        return value

    # Memory of what is computed

    def _keep(self, table: dict[Any, Value], key: Any, value: Value) -> None:
        table[key] = value
        depth, deepest = value.level + 1, len(self.scopes) - 1
        if depth > deepest:
            depth = deepest
        elif self.scopes[depth].sure:
            depth -= 1
        self.scopes[depth].remembered.append((table, key))

    def _depends(self, table: dict[Any, Value], key: Any, reads: Iterable[Any]) -> None:
        for what in reads:
            self._readers.setdefault(what, []).append((table, key))

    def remember(self, table: dict[Any, Value], key: Any, value: Value) -> None:
        """Keep a value in a table of expressions until its scope ends or what it read changes."""
        self._keep(table, key, value)
        if value.reads:
            self._depends(table, key, value.reads)

    def forget(self, what: Any) -> None:
        """A buffer or an accumulator has changed: drop the values that were computed of it."""
        for table, key in self._readers.pop(what, ()):
            table.pop(key, None)

    # Vectors

    def splat(self, x: Value, lanes: int) -> Value:
        """A scalar in all lanes."""
        if x.lanes == lanes:
            return x
        kind = type_of(x.dtype, lanes)
        if x.text[0] != "%":
            return Value(f"splat ({x})", x.dtype, lanes, x.level, x.reads, x.varies)
        one = self.pure(f"insertelement {kind} poison, {x}, i64 0", x.dtype, lanes, x)
        return self.pure(
            f"shufflevector {kind} {one.text}, {kind} poison, <{lanes} x i32> zeroinitializer", x.dtype, lanes, one
        )

    def lane(self, x: Value, number: int) -> Value:
        """One lane of a vector."""
        return self.pure(f"extractelement {x}, i64 {number}", x.dtype, 1, x)

    def joined(self, lanes: list[Value]) -> Value:
        """Scalars as the lanes of a vector."""
        dtype, count = lanes[0].dtype, len(lanes)
        vector = Value("poison", dtype, count)
        for number, x in enumerate(lanes):
            vector = self.pure(f"insertelement {vector}, {x}, i64 {number}", dtype, count, vector, x)
        return vector

    def shuffled(self, a: Value, b: Value, order: list[int]) -> Value:
        """Lanes of two vectors by their numbers in both together."""
        indices = ", ".join(f"i32 {i}" for i in order)
        return self.pure(f"shufflevector {a}, {b}, <{len(order)} x i32> <{indices}>", a.dtype, len(order), a, b)

    def moved(self, pointer: Value, index: Value, dtype: DType) -> Value:
        """An address so many elements further on."""
        if index.text == "0":
            return pointer
        return self.pure(f"getelementptr {memory_type(dtype)}, {pointer}, {index}", POINTER, 1, pointer, index)

    def scaled(self, x: Value, factor: int) -> Value:
        """A whole number times a literal."""
        if x.whole is not None:
            return literal(x.whole * factor, x.dtype)
        return x if factor == 1 else self.pure(f"mul {x}, {factor}", x.dtype, 1, x)

    def whole(self, op: str, a: Value, b: Value) -> Value:
        """add or sub of two int64, of literals at once."""
        if a.whole is not None and b.whole is not None:
            return literal(a.whole + b.whole if op == "add" else a.whole - b.whole, INT64)
        return a if b.text == "0" else self.pure(f"{op} {a}, {b.text}", INT64, 1, a, b)

    # Control

    def label(self, name: str) -> None:
        """Begin a block."""
        self.scopes[-1].text.append(f"{name}:")
        self.block = name

    def loop(
        self,
        start: Value,
        stop: Value,
        step: int,
        changed: frozenset[Any],
        holders: list[Holder],
        body: Callable[[Value], None],
    ) -> None:
        """`body` with the counter from start to stop; the loop's accumulators are the holders' values."""
        first, last = start.whole, stop.whole
        known = first is not None and last is not None
        if first is not None and last is not None and last - first <= step:
            if first < last:
                body(start)
            return
        before, name = self.block, self.fresh()
        old = [table[key] for table, key in holders]
        if not known:
            test = self.pure(f"icmp slt {start}, {stop.text}", BOOL, 1, start, stop)
            self.line(f"br {test}, label %head_{name}, label %exit_{name}")
            self.label(f"head_{name}")
        head: list[Any] = []
        self.line(f"br label %loop_{name}")
        outer = self.scopes[-1].text
        outer.insert(len(outer) - 1, head)
        entered = self.block
        scope = Scope([], head, changed, known)
        outer.append(scope.text)
        self.scopes.append(scope)
        for what in changed:
            self.forget(what)
        self.label(f"loop_{name}")
        depth = len(self.scopes) - 1
        counter = Value(f"%i_{name}", INT64, 1, depth)
        phis = [Value(f"%{self.fresh()}", x.dtype, x.lanes, depth, x.reads, x.varies) for x in old]
        slot = len(scope.text)
        scope.text.append([])
        for (table, key), phi in zip(holders, phis, strict=True):
            table[key] = phi
        body(counter)
        final = [table[key] for table, key in holders]
        self.line(f"%n_{name} = add i64 {counter.text}, {step}")
        self.line(f"%c_{name} = icmp slt i64 %n_{name}, {stop.text}")
        self.line(f"br i1 %c_{name}, label %loop_{name}, label %exit_{name}")
        latch = self.block
        scope.text[slot] = [f"{counter.text} = phi i64 [ {start.text}, %{entered} ], [ %n_{name}, %{latch} ]"] + [
            f"{phi.text} = phi {phi.type} [ {a.text}, %{entered} ], [ {b.text}, %{latch} ]"
            for phi, a, b in zip(phis, old, final, strict=True)
        ]
        self._leave(changed)
        self.label(f"exit_{name}")
        self._merge(holders, [final] if known else [old, final], [latch] if known else [before, latch])

    def when(self, condition: Value, changed: frozenset[Any], holders: list[Holder], body: Callable[[], None]) -> None:
        """`body` where a condition holds; nothing of it is computed before."""
        before, name, floor = self.block, self.fresh(), self.floor
        old = [table[key] for table, key in holders]
        self.line(f"br {condition}, label %then_{name}, label %exit_{name}")
        scope = Scope([], [], changed, False)
        self.scopes[-1].text.append(scope.text)
        self.scopes.append(scope)
        self.floor = len(self.scopes) - 1
        self.label(f"then_{name}")
        body()
        self.line(f"br label %exit_{name}")
        final, after = [table[key] for table, key in holders], self.block
        self.floor = floor
        self._leave(changed)
        self.label(f"exit_{name}")
        self._merge(holders, [old, final], [before, after])

    def _leave(self, changed: frozenset[Any]) -> None:
        for table, key in self.scopes.pop().remembered:
            table.pop(key, None)
        for what in changed:
            self.forget(what)

    def _merge(self, holders: list[Holder], values: list[list[Value]], blocks: list[str]) -> None:
        depth = len(self.scopes) - 1
        for (table, key), *choices in zip(holders, *values, strict=True):
            x = choices[-1]
            merged = Value(f"%{self.fresh()}", x.dtype, x.lanes, depth, x.reads, x.varies)
            pairs = ", ".join(f"[ {c.text}, %{b} ]" for c, b in zip(choices, blocks, strict=True))
            self.line(f"{merged.text} = phi {x.type} {pairs}")
            table[key] = merged

    def scratch(self, dtype: DType, size: int) -> Value:
        """Memory of the function's own, on its stack: the address of so many elements, at a line of the cache."""
        name = f"%{self.fresh()}"
        self.scopes[0].head.append(f"{name} = alloca [{size} x {type_of(dtype)}], align 64")
        return Value(name, POINTER)

    def text(self) -> str:
        """The lines of the function's body."""
        return "\n".join(_flat([self.scopes[0].head, self.scopes[0].text]))


def _flat(lines: list[Any]) -> Iterator[str]:
    for line in lines:
        if isinstance(line, str):
            yield line if line.endswith(":") else "  " + line
        else:
            yield from _flat(line)
