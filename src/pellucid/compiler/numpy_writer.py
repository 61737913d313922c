"""The text of a plan of NumPy calls while it is written: lines of Python come in, one by one, with the arrays that they
name; a function leaves that runs them, together with the arrays. Called by `numpy_plan` and the rules of `numpy_calls`.

A result has either memory of its own that is there before the function runs, so that a call writes into it, or it is
what a line returns, a variable of the function.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid._typing import Array, DType, Shape
from pellucid.compiler.memory import Memory, Piece, planned
from pellucid.core.spec import Spec

_SHORT_ROW = 64
_FEW_ELEMENTS = 16384


@dataclass
class Room:
    """Memory of one result after another: bytes, and the instructions between which it is in use."""

    name: str
    nbytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Place:
    """Where a value stands.

    name : of the array in the text.
    sample : an array of its shape, dtype and strides; not the one that is computed with.
    steady : whether it is the same array in every run.
    room : its memory, if that was made for the plan.
    """

    name: str
    sample: Array
    steady: bool
    room: Room | None = None

    @property
    def spec(self) -> Spec:
        return Spec(self.sample.shape, self.sample.dtype)

    @property
    def packed(self) -> bool:
        """Whether the elements stand one after the other in row-major order."""
        return self.sample.flags.c_contiguous


class Writer:
    """Lines and what they name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.positions: list[int] = []
        self.rooms: list[Room] = []
        self.position = 0
        self.scope = ""
        self.names: dict[str, Any] = {}
        self._taken = set(dir(builtins)) | set(keyword.kwlist)
        self._buffers: list[Place] = []
        self._views: list[tuple[Place, Place, Callable[[Array], Array], str]] = []
        self._made_views: dict[tuple[str, str], Place] = {}
        self._constants: dict[tuple[str, DType], Place] = {}

    # Names

    def name(self, wanted: str) -> str:
        """A name that nothing else has, as Python could have it."""
        plain = re.sub(r"\W", "_", wanted)
        plain = f"v{plain}" if not plain or plain[0].isdigit() else plain
        name, number = plain, 1
        while name in self._taken:
            number += 1
            name = f"{plain}_{number}"
        self._taken.add(name)
        return name

    def known(self, wanted: str, thing: Any) -> str:
        """The name of a function or another object that is always the same."""
        name = next((n for n, known in self.names.items() if known is thing), None)
        if name is None:
            name = self.name(wanted)
            self.names[name] = thing
        return name

    def constant(self, number: bool | int | float, dtype: DType) -> Place:
        """A number as an array without axes, which NumPy reads quicker than a Python number."""
        key = repr(number), dtype
        if key not in self._constants:
            text = re.sub(r"\W", "_", repr(number).replace("-", "minus_").replace(".", "_"))
            array = np.array(number, dtype)
            name = self.known(f"{dtype.kind}{8 * dtype.itemsize}_{text}", array)
            self._constants[key] = Place(name, array, steady=True)
        return self._constants[key]

    # Places

    def local(self, name: str, sample: Array) -> Place:
        """The place of what a line gives."""
        return Place(self.name(name), sample, steady=False)

    def state(self, name: str, array: Array) -> Place:
        """The place of an array that is there."""
        name = self.name(name)
        self.names[name] = array
        return Place(name, array, steady=True)

    def buffer(self, name: str, sample: Array, last: int) -> Place:
        """The place of a result in memory of its own until an instruction has read it."""
        name = self.name(name)
        room = Room(name, sample.nbytes, self.position, last)
        self.rooms.append(room)
        place = Place(name, sample, steady=True, room=room)
        self._buffers.append(place)
        return place

    def view(self, place: Place, text: str, function: Callable[[Array], Array], name: str = "") -> Place:
        """Another look at a place: made once where that is steady, else in a line. `text` has {} for the place."""
        key = place.name, text
        if key not in self._made_views:
            text = text.format(place.name)
            view = Place(self.name(name or f"{place.name}_view"), function(place.sample), place.steady, place.room)
            if place.steady:
                self._views.append((view, place, function, text))
            else:
                self.line(f"{view.name} = {text}")
            self._made_views[key] = view
        return self._made_views[key]

    def transposed(self, place: Place) -> Place:
        """The view of a matrix with rows and columns exchanged."""
        return self.view(place, "{}.T", lambda a: a.T, f"{place.name}_T")

    def reshaped(self, place: Place, shape: Shape) -> Place:
        """A packed place under another shape."""
        return self.view(place, f"{{}}.reshape({shape})", lambda a: a.reshape(shape))

    # Lines

    def line(self, text: str) -> None:
        """One line of the function."""
        self.lines.append(f"{text}  # {self.scope}" if self.scope else text)
        self.positions.append(self.position)

    def ufunc(self, function: Any, arguments: Sequence[Place], out: Place) -> None:
        """A call of a universal function."""
        words = [a.name for a in arguments]
        # np.maximum and np.minimum take no third argument by position.
        words.append(f"out={out.name}" if function in (np.maximum, np.minimum) else out.name)
        self.line(f"{self.known(function.__name__, function)}({', '.join(words)})")

    def copy(self, out: Place, source: Place, where: Place | None = None) -> None:
        """Write a value into a place, in its dtype; only where a condition holds if there is one."""
        rest = "" if where is None else f", {where.name}"
        self.line(f"{self.known('copyto', undispatched(np.copyto))}({out.name}, {source.name}, 'unsafe'{rest})")

    def spread(self, place: Place, out: Place) -> Place:
        """An operand as it is, or spread to the result's shape where rows are short: a universal function that spreads
        it along them starts anew at every row, and takes longer."""
        s, shape = place.sample, out.sample.shape
        if s.shape == shape or s.size == 1 or shape[-1] > _SHORT_ROW or out.sample.size > _FEW_ELEMENTS:
            return place
        if not out.packed or not place.packed:
            return place
        whole = self.buffer("t", np.zeros(shape, s.dtype), self.position)
        self.copy(whole, place)
        return whole

    # The end

    def laid_out(self) -> Memory:
        """Make the arrays of all results, in one block of memory."""
        memory = planned([Piece(r.name, r.nbytes, r.first, r.last) for r in self.rooms])
        offsets = {piece.name: piece.offset for piece in memory.pieces}
        block = np.zeros(memory.peak, np.uint8)
        for place in self._buffers:
            assert place.room is not None
            s = place.sample
            self.names[place.name] = np.ndarray(s.shape, s.dtype, block, offsets[place.room.name], s.strides)
        self.look_anew()
        return memory

    def look_anew(self) -> None:
        """Make all views of arrays that are steady."""
        for view, source, function, _ in self._views:
            self.names[view.name] = function(self.names[source.name])

    def text(self, name: str, parameters: list[str], results: list[str]) -> str:
        """The whole as Python: what is there beforehand as comments, then the function."""
        before = [f"{p.name} = {p.sample.dtype.name}({number})" for (number, _), p in self._constants.items()]
        before += [f"{p.name} = empty({p.sample.shape}, {p.sample.dtype.name})" for p in self._buffers]
        before += [f"{view.name} = {text}" for view, _, _, text in self._views]
        body = [f"    {line}" for line in self.lines]
        head = [f"# {line}" for line in before]
        return "\n".join([*head, f"def {name}({', '.join(parameters)}):", *body, *results])


def undispatched(function: Any) -> Any:
    """A NumPy function without the look at whether its arguments are arrays of another library, which for small
    arrays takes as long as the work; the function itself where NumPy does not offer that."""
    return getattr(function, "_implementation", function)
