"""How an operation is called in NumPy so that its result lands in memory that is already there. An instruction and the
places of its inputs come in; lines leave that compute the very bits of the operation's own value, and the place of the
result. Called by `numpy_plan`.

What has no rule here is called by its own value, and its result is a new array in every run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from pellucid._typing import Array
from pellucid.compiler.numpy_elements import Body, Calls
from pellucid.compiler.numpy_writer import Place, Writer, undispatched
from pellucid.core.context import quiet
from pellucid.errors import PellucidError
from pellucid.graph.ir import Instruction
from pellucid.ops._families.contraction import parse
from pellucid.ops._families.elementwise import FLOATS
from pellucid.ops._families.reduction import ones_vector
from pellucid.ops.index.along import _along
from pellucid.ops.log_softmax import _FEW
from pellucid.ops.reduce.combine import _spread_axes


class Task(NamedTuple):
    """One instruction to be written.

    operands : places, and numbers as they are.
    dying : operands whose memory nothing reads afterwards.
    name : of the result.
    last : the instruction that reads the result last.
    target : where the result is to be, if it may be written there at once: the state that it is a new value of, or a
        part of a larger array.
    """

    instruction: Instruction
    operands: list[Any]
    dying: list[Place]
    name: str
    last: int
    target: Place | None

    @property
    def attrs(self) -> Any:
        return self.instruction.attrs

    def empty(self) -> Array:
        """An array like the result, row after row."""
        spec = self.instruction.output.spec
        return np.zeros(spec.shape, spec.dtype)


Rule: TypeAlias = Callable[[Writer, Task], Place | None]
"""Writes the lines of an instruction and gives the place of its result, or gives None and writes nothing."""


def written(write: Writer, task: Task) -> Place:
    """Write an instruction; the place of its result."""
    name, family = task.instruction.op.name, task.instruction.op.family
    rule = _RULES.get(name) or _FAMILIES.get(family)
    place = rule(write, task) if rule is not None else None
    return place or _own_value(write, task)


def _out(write: Writer, task: Task) -> Place:
    """Where a result goes that stands row after row."""
    empty = task.empty()
    if task.target is not None and task.target.packed:
        return task.target
    return write.buffer(task.name, empty, task.last)


def _own_value(write: Writer, task: Task) -> Place:
    """The operation by its own value."""
    op, attrs = task.instruction.op, task.attrs
    words = [x.name if isinstance(x, Place) else _number(write, x) for x in task.operands]
    words += [f"{key}={_literal(write, value)}" for key, value in attrs.items()]
    call = f"{write.known(op.name, op.value)}({', '.join(words)})"
    if not task.instruction.output.spec.shape:  # which NumPy may give as a number
        call = f"{write.known('asarray', np.asarray)}({call})"
    place = write.local(task.name, _example(task))
    write.line(f"{place.name} = {call}")
    return place


def _number(write: Writer, x: Any) -> str:
    return repr(x) if isinstance(x, bool | int) else write.known("number", x)


def _literal(write: Writer, value: Any) -> str:
    text = repr(value)
    return text if "inf" not in text and "nan" not in text and not isinstance(value, float) else _kept(write, value)


def _kept(write: Writer, value: Any) -> str:
    name = write.name("given")
    write.names[name] = value
    return name


def _example(task: Task) -> Array:
    """A result in the memory order that the operation gives it, which NumPy's sums depend on."""
    spec = task.instruction.output.spec
    samples = [x.sample if isinstance(x, Place) else x for x in task.operands]
    try:
        with quiet():
            made = np.asarray(task.instruction.op.value(*samples, **task.attrs))
    except (PellucidError, ValueError, TypeError, IndexError, ArithmeticError):
        return task.empty()
    return made if (made.shape, made.dtype) == (spec.shape, spec.dtype) else task.empty()


def may_be_view(instruction: Instruction) -> bool:
    """Whether the result may look at the memory of an input."""
    name = instruction.op.name
    if name == "index":
        return len(instruction.inputs) == 1
    return (instruction.op.family == "movement" and name not in _FRESH) or name == "sum_to"


_FRESH = frozenset("concatenate pad take_along place_along index_add put scatter_add argsort".split())


# Elementwise


def _elementwise(write: Writer, task: Task) -> Place | None:
    body = Body(task.instruction)
    if not body.possible:
        return None
    return Calls(write, body, task.operands, task.dying, task.last).result(task.name, task.target)


# Movements


def _view(write: Writer, task: Task) -> Place | None:
    """What shows the same memory under other indices; a copy where NumPy makes one."""
    x = task.operands[0]
    function = partial(task.instruction.op.value, **task.attrs)
    shown = function(x.sample)
    if x.sample.size and not np.may_share_memory(shown, x.sample):
        if task.instruction.op.name != "reshape" or not x.steady:
            return None
        out = _out(write, task)
        write.copy(write.reshaped(out, x.sample.shape), x)
        return out
    if task.instruction.op.name == "transpose" and x.sample.ndim == 2:
        return write.transposed(x)
    return write.view(x, _view_text(write, task), function, task.name)


def _view_text(write: Writer, task: Task) -> str:
    """A view as Python, with {} for what is looked at."""
    name, attrs = task.instruction.op.name, task.attrs
    if name == "reshape":
        return f"{{}}.reshape({task.instruction.output.spec.shape})"
    if name == "transpose":
        return f"{{}}.transpose({tuple(attrs['axes'])})"
    if name == "broadcast_to":
        return f"{write.known(name, np.broadcast_to)}({{}}, {task.instruction.output.spec.shape})"
    if name == "flip":
        return f"{write.known(name, np.flip)}({{}}, {tuple(attrs['axis'])})"
    return f"{{}}[{', '.join(map(_place_text, attrs['template'])) or '...'}]"


def _place_text(item: Any) -> str:
    """One part of an index: a slice, a number, None or an ellipsis."""
    if isinstance(item, slice):
        start, stop, step = ("" if n is None else str(n) for n in (item.start, item.stop, item.step))
        return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"
    return "..." if item is Ellipsis else str(item)


def _index(write: Writer, task: Task) -> Place | None:
    return _view(write, task) if len(task.operands) == 1 else None


def _cast(write: Writer, task: Task) -> Place | None:
    x = task.operands[0]
    out = task.target or write.buffer(task.name, np.empty_like(x.sample, task.instruction.output.spec.dtype), task.last)
    write.copy(out, x)
    return out


def _take_along(write: Writer, task: Task) -> Place | None:
    x, indices = task.operands
    place = write.local(task.name, task.empty())
    write.line(f"{place.name} = {x.name}[{_index_text(write, indices, task.attrs['axis'])}]")
    return place


def _place_along(write: Writer, task: Task) -> Place | None:
    g, indices = task.operands
    axis = task.attrs["axis"]
    if indices.sample.shape[axis] != 1:  # several may land on one place
        return None
    out = _out(write, task)
    write.line(f"{out.name}.fill(0)")
    write.line(f"{out.name}[{_index_text(write, indices, axis)}] = {g.name}")
    return out


def _index_text(write: Writer, indices: Place, axis: int) -> str:
    """The full index of take_along_axis: the indices on one axis, every position on the others."""
    whole = _along(indices.sample, axis)
    return ", ".join(indices.name if n == axis else write.known("positions", a) for n, a in enumerate(whole))


# Products


def _contraction(write: Writer, task: Task) -> Place | None:
    a, b, *bias = task.operands
    if {p.sample.dtype for p in task.operands} - {task.instruction.output.spec.dtype}:
        return None
    if task.instruction.output.spec.dtype not in FLOATS:
        return None
    out = _product(write, task, a, b)
    if out is not None:
        for c in bias:
            write.ufunc(np.add, [out, write.spread(c, out)], out)
    return out


def _product(write: Writer, task: Task, a: Place, b: Place) -> Place | None:
    name, shapes = task.instruction.op.name, (a.sample.shape, b.sample.shape)
    matmul = write.known("matmul", np.matmul)
    if name == "matmul" or (name in ("linear_map", "affine_map") and a.sample.ndim > 2):
        if min(a.sample.ndim, b.sample.ndim) < 2:
            return None
        out = _out(write, task)
        right = b if name == "matmul" else write.transposed(b)
        write.line(f"{matmul}({a.name}, {right.name}, {out.name})")
        return out
    formula = parse(task.instruction.op.kernel(*shapes, **task.attrs))
    letters = set(formula.a + formula.b)
    if (a.sample.ndim, b.sample.ndim, len(formula.out), len(letters)) != (2, 2, 2, 3) or "1" in letters:
        return None
    (inner,) = letters - set(formula.out)
    if inner not in formula.a or inner not in formula.b:
        return None
    rows = next(i for i in formula.out if i in formula.a)
    left = write.transposed(a) if formula.a != rows + inner else a
    right = write.transposed(b) if formula.b[0] != inner else b
    if formula.out[0] == rows:
        out = _out(write, task)
        write.line(f"{left.name}.dot({right.name}, {out.name})")
        return out
    turned = write.buffer(task.name, np.zeros(task.empty().shape[::-1], task.empty().dtype), task.last)
    write.line(f"{matmul}({left.name}, {right.name}, {turned.name})")
    return write.transposed(turned)


# Reductions


def _reduction(function: Any) -> Rule:
    """Along axes of what stands row after row: NumPy's order of additions does not depend on where they go."""

    def rule(write: Writer, task: Task) -> Place | None:
        x, axes = task.operands[0], task.attrs["axis"]
        spec = task.instruction.output.spec
        if not x.packed or x.sample.size == 0 or not axes:
            return None
        if x.sample.dtype == np.bool_ and function is np.add and len(axes) == x.sample.ndim:
            out = _out(write, task)
            count = write.known("count_nonzero", undispatched(np.count_nonzero))
            write.line(f"{out.name}.fill({count}({x.name}))")
            return out
        if x.sample.dtype != spec.dtype:
            return None
        out = _out(write, task)
        reduce = write.known(f"{function.__name__}_reduce", function.reduce)
        write.line(f"{reduce}({x.name}, {axes}, None, {out.name}, {task.attrs['keepdims']})")
        return out

    return rule


def _sum_to(write: Writer, task: Task) -> Place | None:
    x, shape = task.operands[0], task.attrs["shape"]
    axes = _spread_axes(x.sample.shape, shape)
    if axes != (0,) or x.sample.ndim != 2 or x.sample.dtype not in FLOATS or len(x.sample) > 1024:
        return None
    ones = _constant_array(write, f"ones_{len(x.sample)}", ones_vector(len(x.sample), x.sample.dtype))
    out = _out(write, task)
    flat = out if out.sample.ndim == 1 else write.reshaped(out, (x.sample.shape[1],))
    write.line(f"{ones.name}.dot({x.name}, {flat.name})")
    return out


def _constant_array(write: Writer, name: str, array: Array) -> Place:
    return Place(write.known(name, array), array, steady=True)


def _log_softmax(write: Writer, task: Task) -> Place | None:
    x, axis = task.operands[0], task.attrs["axis"]
    shape, dtype = x.sample.shape, x.sample.dtype
    if dtype not in FLOATS or not x.packed or x.sample.size == 0:
        return None

    def array(*lengths: int) -> Place:
        return write.buffer("t", np.zeros(lengths, dtype), write.position)

    out = _out(write, task)
    exponentials = array(*shape)
    if len(shape) == 2 and axis == 1 and shape[1] <= _FEW:
        rows, columns = shape
        turned, line = array(columns, rows), array(rows)
        column = write.reshaped(line, (rows, 1))
        write.copy(turned, write.transposed(x))
        write.line(f"{write.known('maximum_reduce', np.maximum.reduce)}({turned.name}, 0, None, {line.name})")
        write.copy(out, column)
        write.ufunc(np.subtract, [x, out], out)
        write.ufunc(np.exp, [out], exponentials)
        ones = _constant_array(write, f"ones_{columns}", ones_vector(columns, dtype))
        write.line(f"{exponentials.name}.dot({ones.name}, {line.name})")
        write.ufunc(np.log, [line], line)
        write.copy(exponentials, column)
        write.ufunc(np.subtract, [out, exponentials], out)
        return out
    line = array(*(1 if n == axis else length for n, length in enumerate(shape)))
    write.line(f"{write.known('maximum_reduce', np.maximum.reduce)}({x.name}, {axis}, None, {line.name}, True)")
    write.ufunc(np.subtract, [x, line], out)
    write.ufunc(np.exp, [out], exponentials)
    write.line(f"{write.known('add_reduce', np.add.reduce)}({exponentials.name}, {axis}, None, {line.name}, True)")
    write.ufunc(np.log, [line], line)
    write.ufunc(np.subtract, [out, line], out)
    return out


_FAMILIES: dict[str, Rule] = {"elementwise": _elementwise, "contraction": _contraction}
_RULES: dict[str, Rule] = {
    "reshape": _view,
    "transpose": _view,
    "flip": _view,
    "broadcast_to": _view,
    "index": _index,
    "cast": _cast,
    "take_along": _take_along,
    "place_along": _place_along,
    "sum": _reduction(np.add),
    "max": _reduction(np.maximum),
    "min": _reduction(np.minimum),
    "any": _reduction(np.logical_or),
    "all": _reduction(np.logical_and),
    "sum_to": _sum_to,
    "log_softmax": _log_softmax,
}
