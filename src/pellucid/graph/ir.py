"""What a recorded graph is made of: values that are inputs, captured tensors or results, and one instruction an
operation. `trace` makes graphs; `verify`, `run`, `text` and everything that compiles, exports or explains reads them.
Nothing here computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pellucid.core.op import Op
from pellucid.core.spec import Spec, spec_of
from pellucid.core.tensor import Tensor


@dataclass(frozen=True)
class Batch:
    """`multiplier` times the number of rows N of a batch: a length that is known when the graph is bound to a batch."""

    multiplier: int = 1

    def __str__(self) -> str:
        return "N" if self.multiplier == 1 else f"{self.multiplier}N"

    __repr__ = __str__


@dataclass(frozen=True, eq=False, slots=True)
class Value:
    """One array that a graph knows of.

    id : a number that no other value of the graph has.
    spec : its shape and dtype; lengths may be `Batch`.
    name : what the user calls it; "" for a result.
    """

    id: int
    spec: Spec
    name: str = ""

    def __str__(self) -> str:
        return f"%{self.name or self.id}"

    __repr__ = __str__


@dataclass(frozen=True, eq=False, slots=True)
class Captured:
    """A Tensor that the function used without being given it.

    tensor : the parameter, buffer, random state or plain tensor itself, or a copy of a constant.
    constant : whether it was made while recording, so that it is always the same.
    """

    value: Value
    tensor: Tensor
    constant: bool = False


class Scope(NamedTuple):
    """A module, composite or named part in which an operation ran; `call` tells two calls of one name apart."""

    name: str
    call: int


@dataclass(frozen=True, eq=False, slots=True)
class Instruction:
    """One operation of a graph.

    inputs : values, and Python numbers (or `Batch`), which take the dtype of what they meet.
    scope : where it ran, from outside in.
    stopped : positions of the inputs through which no gradient flows, by `detach` or `no_grad`.
    """

    op: Op
    inputs: tuple[Any, ...]
    attrs: Mapping[str, Any]
    output: Value
    scope: tuple[Scope, ...] = ()
    stopped: tuple[int, ...] = ()


class Expectation(NamedTuple):
    """A look that Python had at a value that came from inputs or captured tensors: `check(array)` raises where other
    values would be of no use, such as a label that is no class."""

    value: Value
    check: Callable[[Any], Any]


class Read(NamedTuple):
    """A value that Python looked at while the graph was recorded: the graph goes on as if it were always the same."""

    value: Value
    use: str
    place: str


@dataclass(frozen=True, eq=False)
class Graph:
    """A function of Tensors as a list of operations. `print` shows one line an operation.

    inputs : values of the arguments.
    captured : tensors that were used without being given.
    instructions : operations in the order in which they ran.
    outputs : what the function returned, each Tensor replaced by its Value.
    updates : (captured value, new value): what `Tensor.assign` and in-place changes did to state, the last change
        of each.
    reads : values that Python looked at, where recording was not strict.
    float_dtype : the default dtype while recording: what whole numbers become in functions of floats.
    expectations : looks that a run with other values repeats. Files do not keep them.
    """

    name: str
    inputs: tuple[Value, ...]
    captured: tuple[Captured, ...]
    instructions: tuple[Instruction, ...]
    outputs: Any
    updates: tuple[tuple[Value, Value], ...] = ()
    reads: tuple[Read, ...] = ()
    float_dtype: str = "float32"
    expectations: tuple[Expectation, ...] = ()

    @property
    def values(self) -> list[Value]:
        """All its values: inputs, captured ones and results."""
        return [*self.inputs, *(c.value for c in self.captured), *(i.output for i in self.instructions)]

    @property
    def next_id(self) -> int:
        """A number that none of its values has, nor any above it."""
        return 1 + max((v.id for v in self.values), default=0)

    def __str__(self) -> str:
        from pellucid.graph.text import written

        return written(self)

    def __repr__(self) -> str:
        return f"<graph {self.name}: {len(self.instructions)} operations>"


def input_spec(x: Any) -> Spec:
    """Shape and dtype of an operation's input."""
    return x.spec if isinstance(x, Value) else spec_of(x)


def leaves(tree: Any) -> Iterator[Any]:
    """Everything in a structure of tuples, lists and dicts that is none of them, in order."""
    if isinstance(tree, tuple | list):
        for item in tree:
            yield from leaves(item)
    elif isinstance(tree, dict):
        for item in tree.values():
            yield from leaves(item)
    else:
        yield tree


def mapped(tree: Any, function: Callable[[Any], Any]) -> Any:
    """The same structure with `function` applied to each leaf."""
    if isinstance(tree, tuple):
        return tuple(mapped(item, function) for item in tree)
    if isinstance(tree, list):
        return [mapped(item, function) for item in tree]
    if isinstance(tree, dict):
        return {key: mapped(item, function) for key, item in tree.items()}
    return function(tree)
