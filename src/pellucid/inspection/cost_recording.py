"""A function and examples of its inputs come in; the graph of what it runs leaves, each operation with the module and
the phase that it belongs to, and nothing has changed. `cost` counts from it.

Of what comes from inputs of floats or from the parameters only shapes and dtypes are worked out, by the rules of the
operations: arrays without data stand for the values, so that a network of a hundred million parameters is recorded at
once. What the function makes itself, such as a mask, is computed. Where Python has to look at values, the function is
recorded with them instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from pellucid._typing import Array, DType, Shape
from pellucid.core.context import state
from pellucid.core.op import Op
from pellucid.core.spec import spec_of
from pellucid.core.tensor import Tensor
from pellucid.errors import PellucidError
from pellucid.graph import Graph, verify
from pellucid.graph.contents import Contents
from pellucid.graph.names import is_module, is_optimizer
from pellucid.graph.trace import Recording

_MOST_BYTES = 2**31
"""Of an array of zeros: of larger ones a system may refuse even memory that is never touched."""

Phase = Literal["forward", "loss", "backward", "update"]


@dataclass(frozen=True)
class Run:
    """A recorded run.

    graph : its operations, those of a gradient in the scope of what it is the gradient of.
    phases : for each operation, the part of a step that it belongs to.
    parts : the module or optimizer that each scope is a call of, by the number of the call.
    with_values : whether the function ran on real values.
    """

    graph: Graph
    phases: tuple[Phase, ...]
    parts: dict[int, Any]
    with_values: bool


def without_data(shape: Shape, dtype: DType) -> Array:
    """An array of a shape and dtype that takes no memory: a single zero stands for every element."""
    return np.broadcast_to(np.zeros((), dtype), shape)


class Outline(Recording):
    """A recording by shapes.

    Parameters
        function, examples : as for `Recording`
        with_values : whether operations are computed after all

    Attributes
        phase : the part of a step that the function is in; it sets it on its way
    """

    def __init__(self, function: Callable[..., Any], examples: tuple[Any, ...], with_values: bool = False) -> None:
        super().__init__(function, examples, strict=not with_values)
        self.with_values = with_values
        self.phase: Phase = "forward"
        self.phases: list[Phase] = []
        self.parts: dict[int, Any] = {}
        self._entered: Any = None
        self._where: tuple[Any, ...] | None = None
        # Arrays that stand for values which are not known, held so that no other has the identity of one of them.
        # Whole numbers among the inputs, such as labels and tokens, are few, and losses look at them.
        self._unknown: dict[int, Array] = {id(x.data): x.data for x in self.arguments if x.data.dtype.kind == "f"}
        for _, tensor, is_state in self._outside.values():
            if is_state or tensor.requires_grad:
                self._unknown[id(tensor.data)] = tensor.data
        self._kept: dict[int, tuple[Tensor, Array, Tensor | None, Tensor | None]] = {}
        self._attributes = Contents()
        self._optimizers: list[tuple[Any, Any, bool]] = []
        for _, tensor, _ in list(self._outside.values()):
            self._keep(tensor)

    # What it hears

    def computed(self, op: Op, inputs: list[Any], arrays: list[Any], attrs: dict[str, Any]) -> Any:
        if self.with_values or not any(id(a) in self._unknown for a in arrays):
            return op.value(*arrays, **attrs)
        spec = op.spec(*map(spec_of, arrays), **attrs)
        # Zeros that nobody touches take no memory either, and they are no view: a gradient that is one is copied.
        array = np.zeros(spec.shape, spec.dtype) if spec.nbytes <= _MOST_BYTES else without_data(spec.shape, spec.dtype)
        self._unknown[id(array)] = array
        return array

    def operation(self, op: Op, inputs: list[Any], attrs: dict[str, Any], output: Tensor) -> None:
        super().operation(op, inputs, attrs, output)
        self.phases.append(self.phase)
        if self._where is not None:
            self.instructions[-1] = replace(self.instructions[-1], scope=self._where)

    def differentiates(self, tensor: Tensor | None) -> None:
        if tensor is None:
            self._where = None
            return
        value = self._look_up(tensor)[0]
        self._where = next((i.scope for i in reversed(self.instructions) if i.output is value), None)

    def uses(self, part: Any) -> None:
        self._entered = part
        if is_module(part):
            self._attributes.add(type(part).__name__, part)
        elif is_optimizer(part) and all(part is not o for o, _, _ in self._optimizers):
            self._optimizers.append((part, {k: dict(v) for k, v in part.state.items()}, part._step_taken))

    def enter_scope(self, name: str) -> None:
        super().enter_scope(name)
        if self._entered is not None:
            self.parts[self._scope_calls] = self._entered
            self._entered = None

    def assignment(self, target: Tensor, value: Tensor) -> None:
        self._keep(target)
        super().assignment(target, value)

    def change(self, target: Tensor, new: Tensor) -> None:
        self._keep(target)
        super().change(target, new)

    # The end

    def _keep(self, tensor: Tensor) -> None:
        if id(tensor) not in self._kept:
            self._kept[id(tensor)] = (tensor, tensor.data, tensor.grad, tensor._used_grad)

    def put_back(self) -> None:
        """Give all that the function has changed the arrays, gradients, attributes and states that it had."""
        for tensor, array, grad, used in self._kept.values():
            tensor.__dict__["data"] = array
            tensor.grad, tensor._used_grad = grad, used
        for optimizer, entries, taken in self._optimizers:
            optimizer.state.clear()
            optimizer.state.update(entries)
            optimizer._step_taken = taken
        self._attributes.put_back()


def recorded(
    function: Callable[..., Any],
    examples: Sequence[Any],
    prepared: Callable[[Outline], None] = lambda outline: None,
    settled: bool = True,
) -> Run:
    """Record a function by shapes, or, where Python looks at values, by a real run.

    Parameters
        prepared : called with each recording before the function runs
        settled : False runs it once before, so that state which a first call makes is there
    """
    try:
        return _recorded(function, examples, prepared, settled, with_values=False)
    except PellucidError:
        # A look at values that are not there is no fault of the function; a fault shows again.
        return recorded_with_values(function, examples, prepared, settled)


def recorded_with_values(
    function: Callable[..., Any],
    examples: Sequence[Any],
    prepared: Callable[[Outline], None] = lambda outline: None,
    settled: bool = True,
) -> Run:
    """Record a function by a real run, on zeros where only shapes were given; the parameters are those of
    `recorded`."""
    return _recorded(function, [_real(x) for x in examples], prepared, settled, with_values=True)


def _real(example: Tensor) -> Tensor:
    """An example with an array of its own memory, which operations may look at."""
    tensor = Tensor.__new__(Tensor)
    tensor.data, tensor.requires_grad = np.ascontiguousarray(example.data), example.requires_grad
    return tensor


def _recorded(
    function: Callable[..., Any],
    examples: Sequence[Any],
    prepared: Callable[[Outline], None],
    settled: bool,
    with_values: bool,
) -> Run:
    first = None
    try:
        if not settled:
            first = Outline(function, tuple(examples), with_values)
            prepared(first)
            _listen(first, function)
            _forget_gradients(first)
        outline = Outline(function, tuple(examples), with_values)
        prepared(outline)
        try:
            outputs = outline.returned(_listen(outline, function))
            graph = outline.finished(outputs)
        finally:
            outline.put_back()
    finally:
        if first is not None:
            first.put_back()
    verify(graph)
    return Run(graph, tuple(outline.phases), outline.parts, with_values)


def _listen(outline: Outline, function: Callable[..., Any]) -> Any:
    state.recorder = outline
    try:
        return function(*outline.arguments)
    finally:
        state.recorder = None


def _forget_gradients(outline: Outline) -> None:
    """Between two steps there are none."""
    for tensor, *_ in outline._kept.values():
        tensor.grad = tensor._used_grad = None
