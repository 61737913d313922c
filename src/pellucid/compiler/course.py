"""A run of a function comes in, operation by operation; what it did leaves, in terms that are the same for every run
that does the same. `record` runs a function twice and compares: one that does something else each time, because it
counts, draws from a generator of NumPy or looks at a clock, cannot be replayed.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import numpy as np

from pellucid._typing import Array
from pellucid.core.op import Op
from pellucid.core.setting import Setting
from pellucid.core.tensor import Tensor
from pellucid.errors import RecordingError
from pellucid.graph.ir import leaves
from pellucid.graph.names import is_optimizer

Token = tuple[Any, ...]

# So much of the results of the first run is kept for the second one.
_KEPT_BYTES = 1 << 28
# The families of operations that take long to compute for the size of their results.
_LONG = {"contraction", "convolution"}
_SETTING: Token = ("an option",)
_OF_OPTIMIZER: Token = ("a result of an optimizer's step",)


class Line(NamedTuple):
    """One operation: its name, what stands for its inputs, its attributes."""

    name: str
    inputs: tuple[Token, ...]
    attrs: Any = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(_shown, self.inputs))})"


class Course:
    """What a run does. Operations of an optimizer's step are left out, since its first step makes state.

    Parameters
        before : what another run did, to be compared with
    Attributes
        lines : what it did
        values : what it returned and what state took over, as checksums
        difference : the first operation that is another than in the other run, as an error; None where there is none
    """

    def __init__(self, before: Course | None = None) -> None:
        self.lines: list[Line] = []
        self.values: list[Token] = []
        self.difference: RecordingError | None = None
        self._before = before
        self._open = True
        # Tensors by identity, each with what stands for it; held, so that no other has the identity of one of them.
        self._known: dict[int, tuple[Tensor, Token]] = {}
        self._made: dict[int, Tensor] = {}
        self._outside: list[Tensor] = [] if before is None else before._outside
        self._results = 0
        self._results_kept: dict[int, Array] = {}
        self._bytes_left = _KEPT_BYTES if before is None else 0
        self._scope: list[str] = []
        self._optimizers: list[int] = []
        self._optimizer_next = False

    def given(self, tensor: Tensor, token: Any) -> None:
        """A tensor that has the same part in every run, such as an argument."""
        self._known[id(tensor)] = (tensor, ("given", token))

    def gradient(self, of: Tensor, gradient: Tensor) -> None:
        """The gradient from before of a tensor."""
        self._known[id(gradient)] = (gradient, ("gradient", self._token(of)))

    def option(self, tensor: Tensor) -> None:
        """A tensor that stands for an option, which in other runs is a number."""
        self._known[id(tensor)] = (tensor, _SETTING)

    def ended(self, result: Any) -> None:
        """The run is over; what it returned."""
        found = [self._token(x) if isinstance(x, Tensor) else _plainly(x) for x in leaves(result)]
        self._note(Line("return", tuple(found)))
        self.values += [_of_data(x.data) for x in leaves(result) if isinstance(x, Tensor)]
        self._open = False
        self._known.clear()
        self._made.clear()

    # What a recorder hears

    def operation(self, op: Op, inputs: list[Any], attrs: dict[str, Any], output: Tensor) -> None:
        """An operation has run."""
        if not self._open:
            return
        if self._optimizers:
            self._known[id(output)] = (output, _OF_OPTIMIZER)
            return
        self._note(self._line(op, inputs, attrs))
        self._known[id(output)] = (output, ("result", self._results))
        if op.family in _LONG and output.data.nbytes <= self._bytes_left:
            self._results_kept[self._results] = output.data
            self._bytes_left -= output.data.nbytes
        self._results += 1

    def result_before(self, op: Op, inputs: list[Any], attrs: dict[str, Any]) -> Array | None:
        """What the other run had from the operation that is about to run; None where it did something else, or its
        result was not kept."""
        before = self._before
        if (
            before is None
            or not self._open
            or self._optimizers
            or op.family not in _LONG
            or self.difference is not None
        ):
            return None
        found = before._results_kept.get(self._results)
        number = len(self.lines)
        same = found is not None and before.lines[number] == self._line(op, inputs, attrs)
        return found if same else None

    def assignment(self, target: Tensor, value: Tensor) -> None:
        """State takes over a value."""
        if self._open and not self._optimizers:
            self._note(Line("assign", (self._token(target), self._token(value))))
            self.values.append(_of_data(value.data))

    def change(self, target: Tensor, new: Tensor) -> None:
        """A tensor becomes another, in place."""
        if self._open:
            self._known[id(target)] = (target, self._token(new))

    def created(self, tensor: Tensor) -> None:
        """A tensor was made from data."""
        if self._open:
            self._made[id(tensor)] = tensor

    def alias(self, new: Tensor, old: Tensor, detached: bool) -> None:
        """A tensor stands for the same as another."""
        if not self._open:
            return
        token = self._token(old)
        self._known[id(new)] = (new, ("detached", token) if detached and token[0] != "detached" else token)

    def uses(self, part: Any) -> None:
        """A module is called, or an optimizer makes a step."""
        self._optimizer_next = is_optimizer(part)

    def enter_scope(self, name: str) -> None:
        """A layer, a composite or an optimizer's step begins."""
        self._scope.append(name)
        if self._optimizer_next:
            self._optimizers.append(len(self._scope))
        self._optimizer_next = False

    def leave_scope(self) -> None:
        """It ends."""
        if self._optimizers and self._optimizers[-1] == len(self._scope):
            self._optimizers.pop()
        self._scope.pop()

    def _line(self, op: Op, inputs: list[Any], attrs: dict[str, Any]) -> Line:
        found = tuple([self._token(x) if isinstance(x, Tensor) else _plainly(x) for x in inputs])
        return Line(op.name, found, _plainly(attrs) if attrs else ())

    def _token(self, tensor: Tensor) -> Token:
        known = self._known.get(id(tensor))
        if known is not None:
            return known[1]
        if id(tensor) in self._made:
            token = _OF_OPTIMIZER if self._optimizers else _of_data(tensor.data)
        else:
            token = ("outside", id(tensor))
            self._outside.append(tensor)
        self._known[id(tensor)] = (tensor, token)
        return token

    def _note(self, line: Line) -> None:
        number = len(self.lines)
        self.lines.append(line)
        if self._before is None or self.difference is not None:
            return
        other = self._before.lines[number]
        if other != line and not _alike(other, line):
            where = " / ".join(self._scope)
            self.difference = RecordingError(
                "compiler.differs", one=str(other), two=str(line), where=f" ({where})" if where else ""
            )


def _alike(one: Any, two: Any) -> bool:
    """Whether two lines, or parts of them, say the same: an option was a number in the other run."""
    if two == _SETTING:
        return one == _SETTING or one[0] in ("number", "data")
    if type(one) is not type(two) or not isinstance(one, tuple):
        return bool(one == two)
    return len(one) == len(two) and all(map(_alike, one, two))


def _of_data(array: Any) -> Token:
    checksum = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data) if array.size else 0
    first = array.reshape(-1)[0].item() if array.size else None
    return "data", str(array.dtype), array.shape, checksum, repr(first)


def _plainly(x: Any) -> Any:
    """Something that is no Tensor, so that equal things are of one type too."""
    if isinstance(x, Setting):
        return _SETTING
    if isinstance(x, tuple | list):
        return type(x).__name__, *map(_plainly, x)
    if isinstance(x, dict):
        return "dict", *[(repr(key), _plainly(value)) for key, value in x.items()]
    if isinstance(x, slice):
        return "slice", *map(_plainly, (x.start, x.stop, x.step))
    if isinstance(x, np.ndarray):
        return _of_data(x) if not x.dtype.hasobject else ("object", "array")
    if isinstance(x, int | float | str | bytes | complex | np.generic | np.dtype | type(None)):
        return "number", repr(x)
    return "object", type(x).__name__


def _shown(token: Any) -> str:
    kind, *rest = token
    if kind in ("number", "object"):
        return str(rest[0])
    if kind == "data":
        dtype, shape, _, first = rest
        return first if shape == () else f"{dtype}{list(shape)} from {first} on"
    return f"%{rest[0]}" if kind == "result" else "..."
