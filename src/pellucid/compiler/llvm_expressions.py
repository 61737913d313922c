"""The value of an expression as LLVM instructions: for scalars, and for a vector of neighbouring elements. Called by
emit_llvm and product.

A load whose address moves by one element from lane to lane is a load of a vector, one whose does not move a scalar in
all lanes; lanes a few elements apart are picked from several vectors; any other is made lane by lane. What an
expression has given is remembered until something it read changes.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from pellucid._typing import DType
from pellucid.compiler.expressions import BASIC, BOOL, INT64, Buffer, Expr, Variable, affine, named
from pellucid.compiler.llvm_operations import Operations, mangled
from pellucid.compiler.llvm_writer import POINTER, Value, literal, memory_type, type_of
from pellucid.compiler.tiers import Unsupported

Place: TypeAlias = tuple[Value, int]
"""Where a counter stands: a value and a literal distance."""


CALLED = frozenset(("power",))
"""Functions that take hundreds of instructions: where one is computed of scalars, as in the rule of Adam twice a step,
it is called, so that it is translated once."""
_INT32 = np.dtype(np.int32)
_FEW_APART = 4
"""Lanes at most so far apart are picked from vectors in which they lie."""


class Copy:
    """One of several vectors (or the one scalar) that a loop's body is written for.

    variables : where this copy's counters begin, and a literal distance from there.
    names : the values of Lets and accumulators declared in the loop, and this copy's part of those declared outside.
    partial : the names of the latter.
    mask : the lanes that exist, or None for all.
    """

    __slots__ = ("known", "mask", "names", "partial", "variables")

    def __init__(self, variables: dict[Variable, Place], mask: Value | None = None) -> None:
        self.variables, self.mask = variables, mask
        self.names: dict[str, Value] = {}
        self.partial: set[str] = set()
        self.known: dict[Any, Value] = {}


class Expressions(Operations):
    """A writer that knows expressions.

    counter, lanes : the counter that vectors lie along, and how many lanes they have; None and 1 for scalars.
    variables, names : the counters and named values of the kernel.
    copy : the vector that is being written for.
    called : the definitions of the functions that are called, by name.
    table : for the numbers of the buffers that the kernel uses, the place in its table of addresses, and how many
        elements into the buffer that address lies: so the same is written for each part of a buffer.
    """

    def __init__(self, has_fma: bool) -> None:
        super().__init__(has_fma)
        self.counter: Variable | None = None
        self.lanes = 1
        self.variables: dict[Variable, Place] = {}
        self.names: dict[str, Value] = {}
        self.copy = Copy({})
        self.table: dict[int, tuple[int, int]] = {}
        self._shared: dict[Any, Value] = {}
        self._affine: dict[Expr, tuple[int, dict[Any, int]]] = {}
        self._expanded: dict[Expr, Expr] = {}
        self.called: dict[str, str] = {}

    def choose(self, copy: Copy) -> None:
        """Write for a copy from here on."""
        self.copy, self.mask = copy, copy.mask

    def value(self, expr: Expr) -> Value:
        """An expression's value for the chosen copy."""
        known = self._known_value(expr)
        if known is not None:
            return known
        chain, first = [], expr
        while first.op in BASIC and self._known_value(onward := first.args[-1 if first.op == "fma" else 0]) is None:
            first = onward
            chain.append(first)
        # Long sums lean to the left, and those by fma to the right: from their end on they need no deep recursion.
        for x in reversed(chain):
            self._computed(x)
        return self._computed(expr)

    def _known_value(self, expr: Expr) -> Value | None:
        return self._shared.get(expr) or self.copy.known.get(expr)

    def _computed(self, expr: Expr) -> Value:
        match expr.op:
            case "number":
                return literal(expr.args[0], expr.dtype)
            case "name":
                return self.named(expr.args[0])
            case "variable":
                value = self._counted(expr.args[0])
            case "load":
                value = self._load(expr)
            case op if op in BASIC:
                value = self.operation(op, [self.value(x) for x in expr.args], expr.dtype)
            case _:
                value = self._called(expr) or self.value(self._expansion(expr))
        self.remember(self.copy.known if value.varies else self._shared, expr, value)
        return value

    def named(self, name: str) -> Value:
        """The value of a Let or an accumulator."""
        known = self.copy.names.get(name)
        return self.names[name] if known is None else known

    def _called(self, expr: Expr) -> Value | None:
        """The value of a scalar function by a call; None where it is written in place, as most are."""
        if expr.op not in CALLED or any(x.op == "number" for x in expr.args):
            return None
        arguments = [self.value(x) for x in expr.args]
        if any(x.lanes > 1 for x in arguments):
            return None
        name = f"{expr.op}_{mangled(expr.dtype)}"
        if name not in self.called:
            self.called[name], intrinsics = scalar_function(name, expr, self.has_fma)
            self.intrinsics |= intrinsics
        given = ", ".join(map(str, arguments))
        return self.pure(f"call {type_of(expr.dtype)} @{name}({given})", expr.dtype, 1, *arguments)

    def _expansion(self, expr: Expr) -> Expr:
        known = self._expanded.get(expr)
        if known is None:
            from pellucid.compiler.mathematics import expand

            known = self._expanded[expr] = expand(expr.op, expr.args)
        return known

    def place_of(self, variable: Variable) -> Place:
        """Where a counter stands: a value and a literal distance; in a vector, that of its first lane."""
        return self.copy.variables.get(variable) or self.variables[variable]

    def _counted(self, variable: Variable) -> Value:
        base, offset = self.place_of(variable)
        first = self.whole("add", base, literal(offset, INT64)).changing_with(base)
        if variable is not self.counter:
            return first
        steps = varying(numbered(INT64, self.lanes))
        value = self.operation("+", [self.splat(first, self.lanes), steps], INT64)
        if self.mask is None:
            return value
        # Lanes that do not exist count as the first, so that what is looked up by them exists.
        return self.select(self.mask, value, self.splat(first, self.lanes))

    def _load(self, expr: Expr) -> Value:
        buffer: Buffer = expr.args[0]
        pointer, stride, offsets = self.address(buffer, expr.args[1])
        if offsets is None and stride == 0:
            x = self._read(pointer, buffer)
        elif offsets is None and stride == 1:
            x = self.read_vector(pointer, buffer)
        elif offsets is None and (phase := self._phase(expr, stride)) is not None:
            x = self._read_apart(expr, stride, phase)
        else:
            places = self._lanes_of(pointer, stride, offsets, buffer.dtype)
            x = self.joined([self._read(place, buffer) for place in places])
        if buffer.dtype == BOOL:
            x = self.compared("!=", x, literal(0, x.dtype, x.lanes))
        return x

    def _read(self, pointer: Value, buffer: Buffer) -> Value:
        dtype = np.dtype(np.uint8) if buffer.dtype == BOOL else buffer.dtype
        text = f"load {type_of(dtype)}, {pointer}, align {dtype.itemsize}"
        return self.read(text, dtype, 1, buffer.number, pointer)

    def _phase(self, expr: Expr, stride: int) -> int | None:
        """Of lanes a few elements apart, where the first stands in a row of so many: if all lanes exist, and the buffer
        consists of such rows alone. Then what lies between them may be read too."""
        buffer: Buffer = expr.args[0]
        if self.mask is not None or not 1 < stride <= _FEW_APART or not _has_rows_of(buffer, stride):
            return None
        constant, terms = affine(expr.args[1])
        for key, factor in terms.items():
            if isinstance(key, Variable):
                base, offset = self.place_of(key)
                constant += factor * (offset + (base.whole or 0))
                if base.whole is not None:
                    continue
            if factor % stride:
                return None
        return constant % stride

    def _read_apart(self, expr: Expr, stride: int, phase: int) -> Value:
        """Lanes a few elements apart, picked from whole rows."""
        buffer, index = expr.args
        pointer = self.address(buffer, index - phase)[0]
        dtype = np.dtype(np.uint8) if buffer.dtype == BOOL else buffer.dtype
        text = f"load {type_of(dtype, stride * self.lanes)}, {pointer}, align {dtype.itemsize}"
        rows = self.read(text, dtype, stride * self.lanes, buffer.number, pointer)
        return self.shuffled(rows, rows, [phase + stride * i for i in range(self.lanes)])

    def read_vector(self, pointer: Value, buffer: Buffer) -> Value:
        """As many elements as there are lanes, of those that exist."""
        dtype = np.dtype(np.uint8) if buffer.dtype == BOOL else buffer.dtype
        kind, mask = type_of(dtype, self.lanes), self.mask
        if mask is None:
            text = f"load {kind}, {pointer}, align {dtype.itemsize}"
            return self.read(text, dtype, self.lanes, buffer.number, pointer)
        name = f"@llvm.masked.load.{mangled(dtype, self.lanes)}.p0"
        self.intrinsics.add(f"declare {kind} {name}(ptr, i32, {mask.type}, {kind})")
        text = f"call {kind} {name}({pointer}, i32 {dtype.itemsize}, {mask}, {kind} zeroinitializer)"
        return self.read(text, dtype, self.lanes, buffer.number, pointer, mask)

    def lanes_below(self, count: Value, lanes: int) -> Value:
        """A mask of the first so many lanes."""
        few = self.pure(f"trunc {count} to i32", _INT32, 1, count)
        return self.compared("<", numbered(_INT32, lanes), self.splat(few, lanes))

    # Addresses

    def address(self, buffer: Buffer, index: Expr) -> tuple[Value, int, Value | list[Value] | None]:
        """Where an element lies: an address, how many elements further on each next lane's lies, and if that is not
        the same for all lanes, each lane's distance from the address: in a vector, or each by itself."""
        known = self._affine.get(index)
        if known is None:
            known = self._affine[index] = affine(index)
        constant, terms = known
        stride, counters = 0, []
        parts: list[Place] = []
        apart: list[Place] = []
        singly: list[Value] | None = None
        for key, factor in terms.items():
            if isinstance(key, Variable):
                base, offset = self.place_of(key)
                constant += factor * offset
                counters.append(base)
                if key is self.counter:
                    stride = factor
                if base.whole is not None:
                    constant += factor * base.whole
                else:
                    parts.append((base, factor))
            elif self.counter not in terms and (numbers := self._looked_up(key)) is not None and singly is None:
                singly = [self.scaled(x, factor) for x in numbers]
            else:
                value = self.value(key)
                (parts if value.lanes == 1 else apart).append((value, factor))
        # What changes least comes first, so that sums of it are computed outside the loops.
        parts.sort(key=lambda part: part[0].level)
        place, begin = self.table.setdefault(buffer.number, (len(self.table), constant))
        constant -= begin
        pointer = self._base(place)
        for value, factor in parts:
            pointer = self.moved(pointer, self.scaled(value, factor), buffer.dtype)
        pointer = self.moved(pointer, literal(constant, INT64), buffer.dtype)
        pointer = pointer.changing_with(*counters)
        distances = self._distances(apart, stride)
        if singly is not None and distances is not None:
            distances = self.operation("+", [self.joined(singly), distances], INT64)
        return pointer, stride, distances or singly

    def _looked_up(self, key: Expr) -> list[Value] | None:
        """Whole numbers that lie side by side in memory, each lane's by itself: addresses are made of them, and to take
        them out of a vector costs more than to read them. None for what is no such number."""
        if self.counter is None or key.op != "load" or key.args[0].dtype != INT64:
            return None
        terms = affine(key.args[1])[1]
        if terms.get(self.counter) != 1 or not all(isinstance(t, Variable) for t in terms):
            return None
        pointer = self.address(key.args[0], key.args[1])[0]
        places = self._lanes_of(pointer, 1, None, INT64)
        return [self._read(place, key.args[0]) for place in places]

    def _base(self, number: int) -> Value:
        place = Value("%table", POINTER)
        if number:
            place = self.moved(place, literal(8 * number, INT64), np.dtype(np.uint8))
        return self.pure(f"load ptr, {place}, align 8", POINTER, 1, place)

    def _distances(self, apart: list[Place], stride: int) -> Value | None:
        if not apart:
            return None
        total = literal(0, INT64, self.lanes)
        if stride:
            apart = [(numbered(INT64, self.lanes), stride), *apart]
        for value, factor in apart:
            scaled = self.operation("*", [value, literal(factor, INT64)], INT64) if factor != 1 else value
            total = scaled if total.text == "splat (i64 0)" else self.operation("+", [total, scaled], INT64)
        if self.mask is not None:
            total = self.select(self.mask, total, self.splat(self.lane(total, 0), self.lanes))
        return total

    def _lanes_of(self, pointer: Value, stride: int, offsets: Value | list[Value] | None, dtype: DType) -> list[Value]:
        """Each lane's address; of lanes that do not exist the first one's."""
        if isinstance(offsets, list):
            return [self.moved(pointer, x, dtype) for x in offsets]
        if offsets is not None:
            return [self.moved(pointer, self.lane(offsets, i), dtype) for i in range(self.lanes)]
        if self.mask is None:
            return [self.moved(pointer, literal(i * stride, INT64), dtype) for i in range(self.lanes)]
        places = [pointer]
        for i in range(1, self.lanes):
            there = self.lane(self.mask, i)
            offset = self.pure(f"select {there}, i64 {i * stride}, i64 0", INT64, 1, there)
            places.append(self.moved(pointer, offset, dtype))
        return places

    # Stores

    def write(self, buffer: Buffer, index: Expr, value: Value) -> None:
        """Store an element, or a vector of them."""
        dtype = buffer.dtype
        if dtype == BOOL:
            value = self.pure(
                f"zext {value} to {memory_type(BOOL, value.lanes)}", np.dtype(np.uint8), value.lanes, value
            )
        pointer, stride, offsets = self.address(buffer, index)
        align = f"align {dtype.itemsize}"
        if offsets is None and stride == 0:
            if value.lanes > 1:
                raise Unsupported(f"a vector loop stores different values to one element of {buffer.name}")
            self.line(f"store {value}, {pointer}, {align}")
        elif offsets is None and stride == 1:
            self._store_vector(pointer, self.splat(value, self.lanes), dtype)
        else:
            value = self.splat(value, self.lanes)
            if self.mask is not None:
                # Lanes that do not exist write the first lane's value to its place once more.
                value = self.select(self.mask, value, self.splat(self.lane(value, 0), self.lanes))
            for number, place in enumerate(self._lanes_of(pointer, stride, offsets, dtype)):
                self.line(f"store {self.lane(value, number)}, {place}, {align}")
        self.forget(buffer.number)

    def _store_vector(self, pointer: Value, value: Value, dtype: DType) -> None:
        if self.mask is None:
            self.line(f"store {value}, {pointer}, align {dtype.itemsize}")
            return
        name = f"@llvm.masked.store.{mangled(value.dtype, value.lanes)}.p0"
        self.intrinsics.add(f"declare void {name}({value.type}, ptr, i32, {self.mask.type})")
        self.line(f"call void {name}({value}, {pointer}, i32 {dtype.itemsize}, {self.mask})")


def _has_rows_of(buffer: Buffer, length: int) -> bool:
    """Whether a buffer lies in memory without gaps, in rows of so many elements that begin where it begins."""
    size = math.prod(buffer.shape)
    last = sum((n - 1) * stride for n, stride in zip(buffer.shape, buffer.strides, strict=True))
    return last == size - 1 and size % length == 0


def numbered(dtype: DType, lanes: int) -> Value:
    """The numbers of the lanes."""
    return Value(f"<{', '.join(f'{type_of(dtype)} {i}' for i in range(lanes))}>", dtype, lanes)


def first_lanes(count: int, lanes: int) -> Value:
    """A mask of the first lanes."""
    return Value(f"<{', '.join(f'i1 {str(i < count).lower()}' for i in range(lanes))}>", BOOL, lanes)


def varying(x: Value) -> Value:
    """The same value as one copy's own."""
    return Value(x.text, x.dtype, x.lanes, x.level, x.reads, True)


def scalar_function(name: str, expr: Expr, has_fma: bool) -> tuple[str, set[str]]:
    """The definition of a function of scalars, and the intrinsic functions that it calls.

    Parameters
        expr : a call of it with arguments of its dtypes
    """
    from pellucid.compiler.mathematics import expand

    inside = Expressions(has_fma)
    inside.names = {f"x{n}": Value(f"%x{n}", x.dtype) for n, x in enumerate(expr.args)}
    result = inside.value(expand(expr.op, tuple([named(f"x{n}", x.dtype) for n, x in enumerate(expr.args)])))
    inside.line(f"ret {result}")
    kind, given = type_of(expr.dtype), ", ".join(map(str, inside.names.values()))
    return f"define internal {kind} @{name}({given}) #0 {{\nentry:\n{inside.text()}\n}}", inside.intrinsics
