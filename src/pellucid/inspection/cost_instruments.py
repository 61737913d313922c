"""An operation of a graph comes in; how much it does leaves, found by running it with instruments at its shapes.
`cost_audit` compares that with what its declaration says.

- Contractions and convolutions run on ones: the sum of the result is the number of products that went into it. A
  border is put on as ones, so that products with a padding count, as they are declared.
- A scalar body runs on a number that counts what is done to it, once; every element of a result is such a run.
- A sum runs on ones as well: the sum of its result is the number of elements that it combined. Other reductions are
  done by the textbook, a line at a time, on numbers that count.
- Scatters add ones into zeros.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.core.spec import Spec
from pellucid.graph import Instruction
from pellucid.graph.ir import input_spec
from pellucid.ops._families.convolution import Geometry

Counts = tuple[int, int, int]

_PLAIN = frozenset(
    "abs maximum minimum where sign copysign signbit floor ceil round trunc remainder floor_divide logical_and "
    "logical_or logical_xor logical_not isnan isinf isfinite bitwise_and bitwise_or bitwise_xor invert left_shift "
    "right_shift".split()
)
_LONGEST = 4096
"""Elements of a line that are combined one by one; of a longer line each further one costs what the last one did."""


class _Tally:
    """The maths handler of a scalar body that counts: what a processor has as one instruction, and all else."""

    def __init__(self) -> None:
        self.plain = self.special = 0

    def number(self) -> _Number:
        return _Number(self)

    def positive(self, x: Any) -> Any:
        return x

    def __getattr__(self, name: str) -> Callable[..., _Number]:
        def call(*args: Any) -> _Number:
            if name in _PLAIN:
                self.plain += 1
            else:
                self.special += 1
            return _Number(self)

        return call


class _Number:
    """A number of which only what is done to it matters."""

    def __init__(self, tally: _Tally) -> None:
        self.tally = tally

    def _done(self, *other: Any) -> _Number:
        self.tally.plain += 1
        return _Number(self.tally)

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = _done
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _done  # type: ignore[assignment]
    __hash__ = object.__hash__


def counted_run(instruction: Instruction) -> tuple[str, Counts] | None:
    """The name of the instrument, and (multiply-accumulates, plain operations, special functions); None where there is
    no instrument for the operation."""
    op, attrs, out = instruction.op, dict(instruction.attrs), instruction.output.spec
    specs = [input_spec(x) for x in instruction.inputs]
    if op.family == "contraction":
        return "ones", _products(op.value, specs, attrs)
    if op.family == "convolution":
        return "ones", _convolution(op.name, op.value, specs, attrs)
    if op.family == "elementwise":
        tally = _Tally()
        op.kernel(tally, *(tally.number() for _ in specs), **attrs)
        return "numbers", (0, tally.plain * out.size, tally.special * out.size)
    if op.family == "random":
        return "size", (0, 0, int(np.size(op.value(np.zeros(specs[0].shape, specs[0].dtype), **attrs))))
    if op.name in _SUMS:
        total = int(op.value(np.ones(specs[0].shape), **attrs).sum())
        return "ones", (0, max(total - out.size, 0), 0)
    if op.name in ("sum_windows", "spread_windows"):
        return "ones", (0, _along_axes(op.name, op.value, specs[0].shape, attrs), 0)
    if op.name in _OF_WINDOWS:
        return "textbook", (0, _elements_in_windows(specs[0], out, attrs) - out.size, 0)
    if op.family == "reduction":
        found = _textbook(op.name, specs[0], out, attrs)
        return None if found is None else ("textbook", found)
    if op.name == "argsort":
        return "textbook", (0, _sorting(out, attrs["axis"]), 0)
    if op.family == "movement" or op.name in _MOVEMENTS:
        return "ones", (0, _added(op.name, op.value, specs, attrs), 0)
    return None


_OF_WINDOWS = frozenset(("max_pool", "max_pool_positions"))
_SUMS = frozenset(("sum", "sum_to"))
# Movements that add, and the input whose elements they add.
_ADDING = {"index_add": 0, "place_along": 0, "scatter_add": 2, "overlap_add": 0, "max_pool_write": 0}
_MOVEMENTS = frozenset(("max_pool_read", "max_pool_write"))


def _products(value: Callable[..., Any], specs: list[Spec], attrs: dict[str, Any]) -> Counts:
    a, b = _ones(specs[0]), _ones(specs[1])
    if len(specs) == 2:
        return round(value(a, b, **attrs).sum(dtype=np.float64)), 0, 0
    bias, nothing = _ones(specs[2]), np.zeros(specs[2].shape, np.float32)
    products = value(a, b, nothing, **attrs).sum(dtype=np.float64)
    return round(products), round(value(np.zeros_like(a), b, bias, **attrs).sum(dtype=np.float64)), 0


def _ones(spec: Spec) -> Array:
    # A sum of fewer than 2^24 ones is exact in float32, and no layer adds up more.
    return np.ones(spec.shape, np.float32)


def _convolution(name: str, value: Callable[..., Any], specs: list[Spec], attrs: dict[str, Any]) -> Counts:
    geometry = Geometry(*(attrs[n] for n in Geometry._fields))
    plain = {**attrs, "padding": tuple((0, 0) for _ in geometry.padding)}
    shapes = [s.shape for s in specs]
    if name == "convolution_input":
        plain["size"] = geometry.padded(attrs["size"])
    else:
        shapes[0] = (*shapes[0][:2], *geometry.padded(shapes[0][2:]))
    arrays = [np.ones(shape, np.float32) for shape in shapes]
    return round(value(*arrays, **plain).sum(dtype=np.float64)), 0, 0


def _elements_in_windows(x: Spec, out: Spec, attrs: dict[str, Any]) -> int:
    """How many elements of the input the windows see, those of a border left out."""
    k = len(attrs["size"])
    lengths, counts = x.shape[x.ndim - k :], out.shape[out.ndim - k :]

    def seen(axis: int, window: int) -> int:
        start = window * attrs["stride"][axis] - attrs["padding"][axis]
        places = (start + j * attrs["dilation"][axis] for j in range(attrs["size"][axis]))
        return sum(0 <= p < lengths[axis] for p in places)

    in_plane = sum(
        math.prod(seen(axis, window) for axis, window in enumerate(windows))
        for windows in itertools.product(*map(range, counts))
    )
    return in_plane * math.prod(out.shape[: out.ndim - k])


def _along_axes(name: str, value: Callable[..., Any], shape: Shape, attrs: dict[str, Any]) -> int:
    """The additions of sums over windows, or of their transpose, which are made one axis after the other: each is run
    on ones. Windows that do not overlap are written, and not added, by the transpose."""
    k, total = len(attrs["size"]), 0
    for axis, (size, stride) in enumerate(zip(attrs["size"], attrs["stride"], strict=True)):
        alone: dict[str, Any] = {
            "size": tuple(size if a == axis else 1 for a in range(k)),
            "stride": tuple(stride if a == axis else 1 for a in range(k)),
        }
        if name == "spread_windows":
            length = attrs["lengths"][axis]
            last = shape[len(shape) - k :]
            alone["lengths"] = tuple(length if a == axis else last[a] for a in range(k))
        y = value(np.ones(shape), **alone)
        if name == "sum_windows":
            total += round(float(y.sum())) - y.size
        elif size > stride:
            total += round(float(y.sum()))
        shape = y.shape
    return total


def _textbook(name: str, x: Spec, out: Spec, attrs: dict[str, Any]) -> Counts | None:
    """A reduction by hand: the work on one line, times the lines."""
    if name in ("log_softmax", "cumsum"):
        length = x.shape[attrs["axis"]]
        lines = x.size // max(length, 1)
    else:
        lines = out.size
        length = x.size // max(lines, 1)
    run = _LINES.get(name, _fold)
    if not length or not lines:
        return (0, 0, lines if name == "logsumexp" else 0)
    if length <= _LONGEST:
        plain, special = _work(run, length)
    else:
        (p1, s1), (p2, s2) = _work(run, _LONGEST - 1), _work(run, _LONGEST)
        more = length - _LONGEST
        plain, special = p2 + more * (p2 - p1), s2 + more * (s2 - s1)
    return 0, plain * lines, special * lines


def _work(run: Callable[[_Tally, list[_Number]], Any], length: int) -> tuple[int, int]:
    tally = _Tally()
    run(tally, [tally.number() for _ in range(length)])
    return tally.plain, tally.special


def _fold(m: _Tally, line: list[_Number]) -> _Number:
    """Each element is combined with what came before: a comparison, an addition or a logical operation."""
    result = line[0]
    for x in line[1:]:
        result = m.maximum(result, x)
    return result


def _running(m: _Tally, line: list[_Number]) -> None:
    for a, b in itertools.pairwise(line):
        _ = a + b


def _log_sum(m: _Tally, line: list[_Number]) -> tuple[list[Any], Any]:
    """Shifted by the largest, so that no exponential overflows."""
    top = _fold(m, line)
    shifted = [x - top for x in line]
    return [*shifted], (m.log(_added_up([m.exp(x) for x in shifted])), top)


def _logsumexp(m: _Tally, line: list[_Number]) -> None:
    _, (total, top) = _log_sum(m, line)
    _ = total + top


def _log_softmax(m: _Tally, line: list[_Number]) -> None:
    shifted, (total, _) = _log_sum(m, line)
    for x in shifted:
        _ = x - total


def _added_up(line: list[Any]) -> Any:
    result = line[0]
    for x in line[1:]:
        result = result + x
    return result


_LINES: dict[str, Callable[[_Tally, list[_Number]], Any]] = {
    "cumsum": _running,
    "logsumexp": _logsumexp,
    "log_softmax": _log_softmax,
}


def _sorting(out: Spec, axis: int) -> int:
    """Comparisons of sorting by binary insertion at worst, which finds a place among 2^k with k of them, each line
    rounded up to a power of two."""
    length = out.shape[axis]
    steps, reach = 0, 1
    while reach < length:
        steps, reach = steps + 1, reach * 2
    return out.size * steps


def _added(name: str, value: Callable[..., Any], specs: list[Spec], attrs: dict[str, Any]) -> int:
    """Ones that are added into zeros, where the movement adds at all."""
    if name not in _ADDING:
        return 0
    position = _ADDING[name]
    arrays = [
        np.ones(s.shape) if n == position else np.zeros(s.shape, np.int64 if s.dtype.kind in "iu" else s.dtype)
        for n, s in enumerate(specs)
    ]
    return round(float(value(*arrays, **attrs).sum()))
