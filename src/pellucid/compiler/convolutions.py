"""A convolution as a product with loops around it: which axis of the result is a row, which a column, which counters
are summed, and between which bounds. Read by `lower`.

Columns, which become vectors, are the samples of the batch: it lies closest in memory (`pictures`), so that every
stride, border and dilation is a matter of loop bounds alone. Elements of the border are never read: the bounds leave
out what would multiply them. Of a single sample columns are the places of a row, and the border is put on before.
"""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.compiler.elements import Index
from pellucid.compiler.expressions import INT64, Expr, Variable, equal, number, variable, where
from pellucid.compiler.nest import Sum
from pellucid.graph.ir import Instruction
from pellucid.ops._families.convolution import NAMES, Geometry, Role, Shapes

ROLES: dict[str, Role] = {name: role for role, name in NAMES.items()}


def role_of(instruction: Instruction) -> Role:
    """Which tensor of the relation an operation sums."""
    return ROLES[instruction.op.name]


def shapes_of(instruction: Instruction) -> tuple[Shapes, Geometry]:
    """The shapes of all three tensors, and the geometry."""
    a, b = (x.spec.shape for x in instruction.inputs)
    shapes, geometry = instruction.op.kernel(a, b, instruction.attrs)
    return shapes, geometry


def has_rule(instruction: Instruction) -> bool:
    """Whether there is a native rule: for floats, all of one dtype; for the gradients of several samples."""
    out = instruction.output.spec.dtype
    same = out.kind == "f" and all(x.spec.dtype == out for x in instruction.inputs)
    return same and (samples_of(instruction) > 1 or role_of(instruction) == "y")


def samples_of(instruction: Instruction) -> int:
    """The number of samples."""
    return int(instruction.inputs[0].spec.shape[0])


@dataclass(frozen=True)
class Taps:
    """What is summed for one place of the result: the elements of the kernel that meet something there.

    sums : counters of the kernel's spatial axes, with their bounds.
    kernel : the kernel's spatial index.
    other : the spatial index of the other factor.
    """

    sums: tuple[Sum, ...]
    kernel: Index
    other: Index


def taps_of_output(shapes: Shapes, geometry: Geometry, at: Index) -> Taps:
    """For a place h of y: every i for which h·stride + i·dilation - padding lies in x."""
    sums, other = [], []
    for axis, h in enumerate(at):
        s, d, (p, _) = geometry.stride[axis], geometry.dilation[axis], geometry.padding[axis]
        n, k = shapes.x[2 + axis], shapes.k[2 + axis]
        counter = Variable(f"k{axis}")
        sums.append(_bounded(counter, h * s - p, d, n, k, never=not any(geometry.padding[axis])))
        other.append(h * s + variable(counter) * d - p)
    return Taps(tuple(sums), tuple(variable(s.counter) for s in sums), tuple(other))


def _bounded(counter: Variable, first: Expr, step: int, length: int, count: int, never: bool) -> Sum:
    """The values i in 0..count with first + i·step in 0..length; `never` says that none ever leaves."""
    if never:
        return Sum(counter, number(0, INT64), number(count, INT64))
    start = (number(step - 1, INT64) - first) // step
    stop = (number(length - 1, INT64) - first) // step + 1
    return Sum(counter, at_least(start, 0), at_most(stop, count))


def at_least(x: Expr, low: Expr | int) -> Expr:
    """The larger of two whole numbers."""
    low = number(low, INT64) if isinstance(low, int) else low
    return where(x > low, x, low)


def at_most(x: Expr, high: Expr | int) -> Expr:
    """The smaller of two whole numbers."""
    high = number(high, INT64) if isinstance(high, int) else high
    return where(x < high, x, high)


def taps_of_input(shapes: Shapes, geometry: Geometry, at: Index) -> Taps:
    """For a place a of x: every i and h with h·stride + i·dilation - padding = a. With a stride, i goes on by it and h
    back by one; with a dilation, h goes back by it; with both, every i is tried, and the h it has is one or none."""
    sums, kernel, other = [], [], []
    for axis, a in enumerate(at):
        s, d, (p, _) = geometry.stride[axis], geometry.dilation[axis], geometry.padding[axis]
        h, k = shapes.y[2 + axis], shapes.k[2 + axis]
        counter = Variable(f"k{axis}")
        t, place = variable(counter), a + p
        if s > 1 and d > 1:
            only = Variable(f"y{axis}")
            back = place - t * d
            exists = (back >= 0) & equal(back % s, 0) & (back // s < h)
            sums += [
                Sum(counter, number(0, INT64), number(k, INT64)),
                Sum(only, back // s, where(exists, back // s + 1, back // s)),
            ]
            kernel.append(t)
            other.append(variable(only))
            continue
        # The h of the first i, from which h goes back; the first i; and how many there are.
        begin, rest = (place // s, place % s) if s > 1 else (place, number(0, INT64))
        count = (number(k + s - 1, INT64) - rest) // s if s > 1 else number(k, INT64)
        start = at_least((begin - (h - 1) + (d - 1)) // d, 0)
        stop = begin // d + 1
        sums.append(Sum(counter, start, at_most(stop, count)))
        kernel.append(rest + t * s)
        other.append(begin - t * d)
    return Taps(tuple(sums), tuple(kernel), tuple(other))


def places_of_tap(shapes: Shapes, geometry: Geometry, axis: int, i: Expr, counter: Variable) -> Sum:
    """For an element i of the kernel along an axis: every place h of y for which it meets an element of x."""
    s, d, (p, _) = geometry.stride[axis], geometry.dilation[axis], geometry.padding[axis]
    first = i * d - p
    return _bounded(counter, first, s, shapes.x[2 + axis], shapes.y[2 + axis], never=not any(geometry.padding[axis]))
