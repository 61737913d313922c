"""Graphs for batches of any number of rows. One function recorded with two batch sizes comes in as two graphs; one
leaves in which every length that grew with the batch is `Batch`. `bind` puts a number of rows in its place. Model files
are written from such graphs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.context import no_grad, quiet
from pellucid.core.op import REGISTRY
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, to_array, wrap
from pellucid.errors import PellucidError, RecordingError, ShapeError
from pellucid.graph.ir import Batch, Captured, Graph, Instruction, Value, leaves, mapped
from pellucid.graph.text import scope_text

_SIZES = (2, 3)
_CONFIRMED_ROWS = 17


def is_symbolic(graph: Graph) -> bool:
    """Whether the graph's inputs leave the number of rows open."""
    return any(isinstance(n, Batch) for v in graph.inputs for n in v.spec.shape)


def bind(graph: Graph, rows: int) -> Graph:
    """The graph for a batch of `rows` rows: every `Batch` replaced by a number."""
    values: dict[int, Value] = {}

    def number(x: Any) -> Any:
        if isinstance(x, Batch):
            return x.multiplier * rows
        if isinstance(x, tuple | list):
            return tuple(number(item) for item in x)
        return slice(number(x.start), number(x.stop), number(x.step)) if isinstance(x, slice) else x

    def value(v: Any) -> Any:
        if not isinstance(v, Value):
            return number(v)
        if v.id not in values:
            values[v.id] = Value(v.id, Spec(number(v.spec.shape), v.spec.dtype), v.name)
        return values[v.id]

    return replace(
        graph,
        inputs=tuple(map(value, graph.inputs)),
        captured=tuple(Captured(value(c.value), c.tensor, c.constant) for c in graph.captured),
        instructions=tuple(
            replace(
                i,
                inputs=tuple(map(value, i.inputs)),
                attrs={name: number(a) for name, a in i.attrs.items()},
                output=value(i.output),
            )
            for i in graph.instructions
        ),
        outputs=mapped(graph.outputs, value),
        updates=tuple((value(a), value(b)) for a, b in graph.updates),
    )


def rows_of(graph: Graph, inputs: list[Array]) -> int:
    """The number of rows of given inputs, as the graph's first open length says.

    Raises
        ShapeError: the inputs have not the axes, or no whole number of rows.
    """
    for value, array in zip(graph.inputs, inputs, strict=True):
        for axis, length in enumerate(value.spec.shape):
            if isinstance(length, Batch):
                if array.ndim != len(value.spec.shape) or array.shape[axis] % length.multiplier:
                    break
                return int(array.shape[axis] // length.multiplier)
        else:
            continue
        wanted = f"({', '.join(map(str, value.spec.shape))})"
        raise ShapeError("graph.input-shape", value=str(value), given=array.shape, expected=wanted)
    return 0


def record_batched(function: Callable[..., Any], *examples: Any) -> Graph:
    """The graph of a function for any number of rows: recorded for two and for three rows, taken from the examples
    again and again.

    Parameters
        function : a function or a Module whose arguments all have the rows of the batch on axis 0; it runs a few times.
        examples : arrays, Tensors or lists, of at least one row; without any, zeros stand in.
    Returns
        Graph, with `Batch` for the lengths that grow with the batch
    Raises
        RecordingError: the function does something else for other batch sizes, changes state, or computes with values
            in a way that cannot be recorded.
    """
    from pellucid.graph.trace import record

    graphs = []
    for size in _SIZES:
        resized = [_with_rows(position, to_array(x), size) for position, x in enumerate(examples)]
        graphs.append(record(function, *resized))
    graph = generalize(*graphs)
    _confirm(function, graph, [to_array(x) for x in examples])
    return graph


def _confirm(function: Callable[..., Any], graph: Graph, examples: list[Array]) -> None:
    """Raise unless the graph gives what the function gives for more rows of other numbers: what Python and NumPy did
    with the values or lengths of the examples, no recorder hears of."""
    from pellucid.graph.run import run

    rows = [_with_rows(n, x, _CONFIRMED_ROWS).data[::-1] for n, x in enumerate(examples)]
    with no_grad(), quiet():
        try:
            given = [_varied(x) for x in rows]
            expected = function(*map(wrap, given))
        except PellucidError:  # such numbers are not for this function
            given = rows
            expected = function(*map(wrap, given))
    for found, tensor in zip(leaves(run(graph, *given).outputs), leaves(expected), strict=True):
        if isinstance(tensor, Tensor) and not _agree(found, tensor.data):
            specs = {"found": Spec(found.shape, found.dtype), "expected": Spec(tensor.shape, tensor.dtype)}
            raise RecordingError("graph.batch-other", rows=_CONFIRMED_ROWS, **specs)


def _varied(array: Array) -> Array:
    """Floats with noise of their own size; anything else as it is."""
    if array.dtype.kind != "f":
        return array
    noise = np.random.Generator(np.random.Philox(key=0)).standard_normal(array.shape)
    return (array + noise * (float(np.std(array, dtype=np.float64)) or 1.0)).astype(array.dtype)


def _agree(a: Array, b: Array) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    size = float(np.abs(b[np.isfinite(b)]).max(initial=0.0))
    return bool(np.allclose(a, b, rtol=1e-3, atol=1e-3 * size, equal_nan=True))


def _with_rows(position: int, array: Array, size: int) -> Tensor:
    if array.ndim == 0:
        raise RecordingError("graph.no-rows", position=position)
    if len(array) == 0:
        return wrap(np.zeros((size, *array.shape[1:]), array.dtype))
    return wrap(np.take(array, np.arange(size) % len(array), axis=0))


def generalize(one: Graph, two: Graph) -> Graph:
    """One graph from the recordings of a function with two batch sizes: lengths in the proportion of the sizes become
    `Batch`.

    Raises
        RecordingError: the two differ in another way, named with the operation and its layer.
    """
    return _Unification(one, two).graph()


class _Unification:
    def __init__(self, one: Graph, two: Graph) -> None:
        self.one, self.two = one, two
        lengths = {
            (v.spec.shape[0], w.spec.shape[0])
            for v, w in zip(one.inputs, two.inputs, strict=False)
            if v.spec.shape and w.spec.shape and v.spec.shape[0] != w.spec.shape[0]
        }
        if len(one.inputs) != len(two.inputs) or len(lengths) != 1:
            raise RecordingError("graph.batch-sizes", one=_shapes(one), two=_shapes(two))
        ((self.rows_one, self.rows_two),) = lengths
        self.values: dict[int, Value] = {}
        self.partners: dict[int, int] = {}
        self.fills: list[Instruction] = []

    def graph(self) -> Graph:
        one, two = self.one, self.two
        if one.updates or two.updates:
            names = ", ".join(dict.fromkeys(str(target) for target, _ in (*one.updates, *two.updates)))
            raise RecordingError("graph.batch-updates", names=names)
        inputs = tuple(self.value(v, w, str(v)) for v, w in zip(one.inputs, two.inputs, strict=True))
        if len(one.captured) != len(two.captured) or len(one.instructions) != len(two.instructions):
            self.first_difference()
        captured = [self.captured(c, d) for c, d in zip(one.captured, two.captured, strict=True)]
        instructions = [self.instruction(i, j) for i, j in zip(one.instructions, two.instructions, strict=True)]
        outputs = self.tree(one.outputs, two.outputs)
        return replace(
            one,
            inputs=inputs,
            captured=tuple(c for c in captured if c is not None),
            instructions=(*self.fills, *instructions),
            outputs=outputs,
        )

    def length(self, a: Any, b: Any, where: str) -> Any:
        """A length or other attribute of both graphs as one."""
        if type(a) is type(b):
            if isinstance(a, tuple | list) and len(a) == len(b):
                return tuple(self.length(x, y, where) for x, y in zip(a, b, strict=True))
            if isinstance(a, slice):
                parts = [(a.start, b.start), (a.stop, b.stop), (a.step, b.step)]
                return slice(*(self.length(x, y, where) for x, y in parts))
            if a == b or (isinstance(a, float) and a != a and b != b):
                return a
            if type(a) is int:
                multiplier, rest = divmod(a, self.rows_one)
                if multiplier > 0 and rest == 0 and b == multiplier * self.rows_two:
                    return Batch(multiplier)
        return self.differ(where, str(a), str(b))

    def value(self, v: Value, w: Value, where: str) -> Value:
        """The values of both graphs as one."""
        if v.id not in self.values:
            if v.spec.dtype != w.spec.dtype or v.name != w.name:
                self.differ(where, f"{v}: {v.spec}", f"{w}: {w.spec}")
            shape = self.length(v.spec.shape, w.spec.shape, where)
            self.values[v.id] = Value(v.id, Spec(shape, v.spec.dtype), v.name)
            self.partners[v.id] = w.id
        elif self.partners[v.id] != w.id:
            self.differ(where, str(v), str(w))
        return self.values[v.id]

    def captured(self, c: Captured, d: Captured) -> Captured | None:
        value = self.value(c.value, d.value, f"{c.value}")
        if c.constant != d.constant or (not c.constant and c.tensor is not d.tensor):
            self.differ(str(c.value), str(c.value), str(d.value))
        if not c.constant:
            return Captured(value, c.tensor)
        a, b = c.tensor.data, d.tensor.data
        if a.shape == b.shape:
            if a.tobytes() != b.tobytes():
                self.differ(str(c.value), "constant", "another constant")
            return Captured(value, c.tensor, constant=True)
        # A constant that grows with the batch is one number repeated, or it would be a table for one size.
        if not a.size or (a != a.flat[0]).any() or (b != a.flat[0]).any():
            self.differ(str(c.value), f"{c.value.spec}", f"{d.value.spec}")
        number = Tensor.__new__(Tensor)
        number.data = a.reshape(-1)[:1].reshape(()).copy()
        taken = (*self.values, *(i.output.id for i in self.one.instructions))
        identity = max(taken) + 1 + len(self.fills)
        source = Value(identity, Spec((), a.dtype))
        self.fills.append(Instruction(REGISTRY["broadcast_to"], (source,), {"shape": value.spec.shape}, value))
        return Captured(source, number, constant=True)

    def instruction(self, i: Instruction, j: Instruction) -> Instruction:
        where = _where(i)
        if (
            i.op is not j.op
            or len(i.inputs) != len(j.inputs)
            or list(i.attrs) != list(j.attrs)
            or i.stopped != j.stopped
        ):
            self.differ(where, i.op.name, j.op.name)
        inputs = tuple(self.input(x, y, where) for x, y in zip(i.inputs, j.inputs, strict=True))
        attrs = {name: self.length(a, j.attrs[name], where) for name, a in i.attrs.items()}
        return replace(i, inputs=inputs, attrs=attrs, output=self.value(i.output, j.output, where))

    def input(self, x: Any, y: Any, where: str) -> Any:
        if isinstance(x, Value) and isinstance(y, Value):
            return self.value(x, y, where)
        return self.length(x, y, where)

    def tree(self, a: Any, b: Any) -> Any:
        shape_a, shape_b = (mapped(t, lambda leaf: None if isinstance(leaf, Value) else repr(leaf)) for t in (a, b))
        if shape_a != shape_b:
            self.differ("return", str(shape_a), str(shape_b))
        merged = iter([self.input(x, y, "return") for x, y in zip(leaves(a), leaves(b), strict=True)])
        return mapped(a, lambda leaf: next(merged))

    def first_difference(self) -> None:
        for i, j in zip(self.one.instructions, self.two.instructions, strict=False):
            if i.op is not j.op:
                self.differ(_where(i), i.op.name, j.op.name)
        longer = max(self.one.instructions, self.two.instructions, key=len)
        shorter = min(len(self.one.instructions), len(self.two.instructions))
        where = _where(longer[shorter]) if len(longer) > shorter else "captured"
        counts = [f"{len(g.instructions)} operations, {len(g.captured)} captured" for g in (self.one, self.two)]
        self.differ(where, *counts)

    def differ(self, where: str, a: str, b: str) -> Any:
        raise RecordingError(
            "graph.batch-differs", where=where, rows_one=self.rows_one, one=a, rows_two=self.rows_two, two=b
        )


def _where(instruction: Instruction) -> str:
    scope = scope_text(instruction.scope)
    return f"{instruction.op.name} ({scope})" if scope else instruction.op.name


def _shapes(graph: Graph) -> str:
    return ", ".join(f"{v}: {v.spec}" for v in graph.inputs)
