"""One element of a graph's value as an expression: read from a buffer, known by name in the nest that is being built,
or computed where it is needed. `groups` decides which; `lower` asks here for everything that a nest computes with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from pellucid._typing import DType
from pellucid.compiler import pooling
from pellucid.compiler.expressions import (
    BASIC,
    BOOL,
    INT64,
    Buffer,
    Expr,
    affine,
    as_expr,
    cast,
    differs,
    load,
    number,
    where,
    with_parts,
)
from pellucid.compiler.mathematics import EXPRESSIONS, supported
from pellucid.compiler.tiers import Unsupported
from pellucid.graph.ir import Graph, Instruction, Value, input_spec
from pellucid.ops._families.elementwise import common_dtype

Index: TypeAlias = tuple[Expr, ...]

ARRAY = "array"
_LEAVES = frozenset({"number", "variable", "name", "load"})


class Elements:
    """How an element of each value is had.

    buffers : of values that are in memory.
    inline : results that are computed where they are used.
    names : values of the nest that is being built, with the index at which each name stands for them.
    rows : for an input that is read through an order of rows, the row that a number of a row means.
    shift : for an output that is kept for every step, where this step's begins.
    """

    def __init__(self, graph: Graph) -> None:
        self.made_by = {i.output.id: i for i in graph.instructions}
        self.buffers: dict[int, Buffer] = {}
        self.inline: set[int] = set()
        self.names: dict[int, tuple[Expr, Index]] = {}
        self.rows: dict[int, Callable[[Expr], Expr]] = {}
        self.shift: dict[int, Expr] = {}

    def at(self, value: Value, index: Index) -> Expr:
        """The element of a value at an index, one whole number an axis."""
        known = self.names.get(value.id)
        if known is not None and same(known[1], index):
            return known[0]
        buffer = self.buffers.get(value.id)
        if buffer is not None:
            if value.id in self.rows:
                index = (self.rows[value.id](index[0]), *index[1:])
            place = offset(index, buffer.strides)
            return load(buffer, place + self.shift[value.id] if value.id in self.shift else place)
        if value.id not in self.inline:
            raise Unsupported(f"{value} is needed in another place than where it is computed")
        return self.computed(self.made_by[value.id], index)

    def computed(self, instruction: Instruction, index: Index) -> Expr:
        """The element of a result from the elements of the operation's inputs."""
        if instruction.op.family == "elementwise":
            return elementwise(instruction, elements_of(instruction, self.at, index))
        if instruction.op.family == "pooling":
            return pooling.element(instruction, index, self.at)
        if instruction.op.name == "reshape":
            flat = self._flat(instruction, index)
            if flat is not None:
                return flat
        reads = list(inputs_at(instruction, index, self.at))
        if instruction.op.name == "cast":
            return converted(self.at(*reads[0]), instruction.output.spec.dtype)
        if instruction.op.name == "concatenate":
            return self._joined(instruction, index)
        if instruction.op.name == "pad":
            return self._padded(instruction, index)
        return self.at(*reads[-1])

    def _flat(self, instruction: Instruction, index: Index) -> Expr | None:
        """An element of a reshaped value that lies in memory without gaps: its place is a sum of products."""
        source = instruction.inputs[0]
        buffer = self.buffers.get(source.id)
        if buffer is None or source.id in self.rows or buffer.strides != row_major(source.spec.shape):
            return None
        return load(buffer, offset(index, row_major(instruction.output.spec.shape)))

    def _joined(self, instruction: Instruction, index: Index) -> Expr:
        axis = instruction.attrs["axis"]
        end = sum(x.spec.shape[axis] for x in instruction.inputs)
        result: Expr | None = None
        for x in reversed(instruction.inputs):
            start = end - x.spec.shape[axis]
            place = clamped(index[axis] - start, x.spec.shape[axis])
            element = self.at(x, (*index[:axis], place, *index[axis + 1 :]))
            part = converted(element, instruction.output.spec.dtype)
            result = part if result is None else where(index[axis] < end, part, result)
            end = start
        if result is None:
            raise Unsupported("concatenate of nothing")
        return result

    def _padded(self, instruction: Instruction, index: Index) -> Expr:
        (source, *_), attrs = instruction.inputs, instruction.attrs
        inside: Expr | None = None
        places = []
        for i, (before, _), length in zip(index, attrs["widths"], source.spec.shape, strict=True):
            place = i - before
            places.append(clamped(place, length))
            if length != instruction.output.spec.shape[len(places) - 1]:
                here = (place >= 0) & (place < length)
                inside = here if inside is None else inside & here
        element = self.at(source, tuple(places))
        return element if inside is None else where(inside, element, number(attrs["value"], element.dtype))


def inputs_at(
    instruction: Instruction, index: Index, at: Callable[[Value, Index], Expr] | None = None
) -> Iterator[tuple[Any, Index]]:
    """What an operation reads for the element of its result at an index: inputs, each with its index. `at` reads whole
    numbers that an index depends on; without it such an index is left open as 0."""
    op, name = instruction.op, instruction.op.name
    shape = instruction.output.spec.shape
    if op.family == "elementwise":
        for x in instruction.inputs:
            yield x, broadcast(index, x.spec.shape) if isinstance(x, Value) else ()
    elif name == "cast":
        yield instruction.inputs[0], index
    elif name == "reshape":
        yield instruction.inputs[0], reshaped(index, shape, instruction.inputs[0].spec.shape)
    elif name == "broadcast_to":
        yield instruction.inputs[0], broadcast(index, instruction.inputs[0].spec.shape)
    elif name == "transpose":
        axes = instruction.attrs["axes"]
        yield instruction.inputs[0], tuple(index[axes.index(a)] for a in range(len(axes)))
    elif name == "flip":
        lengths = instruction.inputs[0].spec.shape
        axes = instruction.attrs["axis"]
        yield (
            instruction.inputs[0],
            tuple(number(lengths[a] - 1, INT64) - i if a in axes else i for a, i in enumerate(index)),
        )
    elif name in ("concatenate", "pad") or op.family == "pooling":
        for x in instruction.inputs:
            yield x, tuple([number(0, INT64) if _moves(instruction, axis) else i for axis, i in enumerate(index)])
    elif name == "index":
        yield from _picked(instruction, index, at)
    elif name == "windows":
        yield instruction.inputs[0], op.kernel(index, [x.spec for x in instruction.inputs], **instruction.attrs)
    else:
        raise Unsupported(name)


def _moves(instruction: Instruction, axis: int) -> bool:
    """Whether a joined, padded or pooled value is read at another place along an axis than where it is needed."""
    if instruction.op.name == "concatenate":
        return bool(axis == instruction.attrs["axis"])
    return instruction.op.name != "pad" or any(instruction.attrs["widths"][axis])


def _picked(
    instruction: Instruction, index: Index, at: Callable[[Value, Index], Expr] | None
) -> Iterator[tuple[Any, Index]]:
    """Indexing by slices, whole numbers and at most one array of whole numbers."""
    source, *arrays = instruction.inputs
    template = instruction.attrs["template"]
    if len(arrays) > 1 or len(template) > source.spec.ndim or any(t is None or t is Ellipsis for t in template):
        raise Unsupported("index")
    if arrays and (arrays[0].spec.dtype.kind not in "iu" or any(isinstance(t, int) for t in template)):
        raise Unsupported("index")
    rest = list(index)
    places: list[Expr] = []
    for item, length in zip(
        (*template, *(slice(None),) * (source.spec.ndim - len(template))), source.spec.shape, strict=True
    ):
        if isinstance(item, str) and item == ARRAY:
            own, rest = tuple(rest[: arrays[0].spec.ndim]), rest[arrays[0].spec.ndim :]
            yield arrays[0], own
            if at is None:
                places.append(number(0, INT64))
            else:
                place = cast(at(arrays[0], own), INT64)
                places.append(clamped(where(place < 0, place + length, place), length))
        elif isinstance(item, slice):
            start, _, stride = item.indices(length)
            places.append(rest.pop(0) * stride + start)
        else:
            places.append(number(item % length, INT64))
    if rest:
        raise Unsupported("index")
    yield source, tuple(places)


def elementwise(instruction: Instruction, elements: list[Any]) -> Expr:
    """The scalar body of an operation, its inputs brought to the dtype at which they meet."""
    specs = [input_spec(x) for x in instruction.inputs]
    out = instruction.output.spec.dtype
    conditions = 1 if instruction.op.name == "where" else 0
    common = common_dtype([(s.dtype, s.weak) for s in specs[conditions:]])
    if out != BOOL:
        common = out
    arguments = [
        as_condition(x) if n < conditions else converted(as_expr(x, common), common) for n, x in enumerate(elements)
    ]
    result: Expr = instruction.op.kernel(EXPRESSIONS, *arguments, **instruction.attrs)
    return converted(result, out)


def elements_of(instruction: Instruction, read: Callable[[Any, Index], Any], index: Index) -> list[Any]:
    """The inputs' elements for one element of an elementwise result; Python numbers stay as they are."""
    return [read(x, i) if isinstance(x, Value) else x for x, i in inputs_at(instruction, index)]


def converted(x: Expr, dtype: DType) -> Expr:
    """In another dtype, as NumPy converts: whatever is not 0 is true."""
    if dtype == BOOL:
        return as_condition(x)
    return number(x.args[0], dtype) if x.op == "number" else cast(x, dtype)


def as_condition(x: Any) -> Expr:
    """As a truth."""
    if not isinstance(x, Expr):
        return number(bool(x), BOOL)
    return x if x.dtype == BOOL else differs(x, number(0, x.dtype))


def has_native_rule(instruction: Instruction) -> str:
    """The name of what stands in the way of native code for an operation; "" where nothing does."""
    name = instruction.op.name
    if instruction.op.family == "elementwise":
        probe = [
            Expr("name", (f"x{n}",), x.spec.dtype) if isinstance(x, Value) else x
            for n, x in enumerate(instruction.inputs)
        ]
        return next((f for f, dtype in functions(elementwise(instruction, probe)) if not supported(f, dtype)), "")
    if instruction.op.family == "contraction":
        return "" if instruction.output.spec.dtype.kind == "f" else name
    if instruction.op.family == "pooling":
        return "" if pooling.has_rule(instruction) else name
    if instruction.op.family == "convolution":
        from pellucid.compiler.convolutions import has_rule

        return "" if has_rule(instruction) else name
    if instruction.op.family == "reduction":
        known = name in ("sum", "max", "min", "any", "all")
        return "" if known else name
    if name in ("random_bits", "index_add"):
        return ""
    try:
        list(inputs_at(instruction, tuple(number(0, INT64) for _ in instruction.output.spec.shape)))
    except Unsupported:
        return name
    return ""


def functions(expression: Expr) -> Iterator[tuple[str, DType]]:
    """The functions in an expression that are not basic operations, with their dtypes."""
    for e in with_parts([expression]):
        if e.op not in _LEAVES and e.op not in BASIC:
            yield e.op, e.args[0].dtype


# Indices


def same(a: Index, b: Index) -> bool:
    """Whether two indices are the same wherever they stand."""
    return len(a) == len(b) and all(x is y or affine(x) == affine(y) for x, y in zip(a, b, strict=True))


def broadcast(index: Index, shape: tuple[int, ...]) -> Index:
    """The index of an input that was broadcast: 0 along its axes of length 1."""
    own = index[len(index) - len(shape) :]
    if 1 not in shape:
        return own
    return tuple(number(0, INT64) if n == 1 else i for i, n in zip(own, shape, strict=True))


def reshaped(index: Index, shape: tuple[int, ...], source: tuple[int, ...]) -> Index:
    """The index before a reshape. Axes whose lengths multiply to the same are taken together, first to last, so that
    one that neither split nor joined keeps its own index."""
    result: list[Expr] = [number(0, INT64)] * len(source)
    old, new = ([a for a, n in enumerate(s) if n != 1] for s in (source, shape))
    while old:
        before, after = [old.pop(0)], [new.pop(0)]
        while (sizes := tuple(math.prod(s[a] for a in axes) for s, axes in ((source, before), (shape, after)))) and (
            sizes[0] != sizes[1]
        ):
            (before if sizes[0] < sizes[1] else after).append((old if sizes[0] < sizes[1] else new).pop(0))
        flat = offset(tuple(index[a] for a in after), row_major(tuple(shape[a] for a in after)))
        for axis in reversed(before):
            outermost = axis == before[0]
            result[axis] = flat if outermost else flat % source[axis]
            flat = flat if outermost else flat // source[axis]
    return tuple(result)


def clamped(i: Expr, length: int) -> Expr:
    """A place that surely lies on an axis, also where it will not be used or is refused later."""
    i = where(i < 0, number(0, INT64), i)
    return where(i < length, i, number(max(length - 1, 0), INT64))


def offset(index: Index, strides: tuple[int, ...]) -> Expr:
    """The place of an element in its buffer."""
    place = number(0, INT64)
    for i, stride in zip(index, strides, strict=True):
        place = place + i * stride
    return place


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides without gaps, in elements, the last axis closest."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def strides_of(shape: tuple[int, ...], order: tuple[int, ...]) -> tuple[int, ...]:
    """Strides without gaps for axes in an order, the last of it closest."""
    own = row_major(tuple(shape[a] for a in order))
    return tuple(own[order.index(a)] for a in range(len(shape)))
