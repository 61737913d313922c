"""What a function may change comes in; it is put back when the function has run. Called by `record`, whose runs shall
leave no trace: it listens to the operations, so that it also finds what cannot be seen from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.compiler.course import Course
from pellucid.compiler.guards import outstanding
from pellucid.core.context import Recorder
from pellucid.core.op import Op
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import RecordingError
from pellucid.graph.contents import Contents
from pellucid.graph.names import is_module, is_optimizer


class Before(Recorder):
    """Arrays and gradients of tensors, and what optimizers remember of their steps, as they were: a `with` block puts
    them back at its end. Inside, used gradients are gone, and others are copies.

    Attributes
        tensors, optimizers : those that were given, and those that were met since
        called : the modules that were called
        course : what is done, operation by operation, for whoever has put one here
    """

    course: Course | None = None

    def __init__(self, tensors: Sequence[Tensor], optimizers: Sequence[Any]) -> None:
        self.tensors, self.optimizers = list(tensors), list(optimizers)
        self._met = {id(x) for x in (*tensors, *optimizers)}
        self._arrays: dict[int, tuple[Tensor, Array, Array]] = {}
        self._gradients: list[tuple[Tensor, Tensor | None, Tensor | None]] = []
        self._steps: list[tuple[Any, bool]] = []
        self.called: list[Any] = []
        self._attributes = Contents()
        # Held, so that no other tensor has the identity of one of them.
        self._made: list[Tensor] = []

    def __enter__(self) -> None:
        for t in self.tensors:
            self.keep(t)
            self._keep_gradient(t)
        for o in self.optimizers:
            self._keep_step(o)

    def __exit__(self, *exc: object) -> None:
        self._met.difference_update(map(id, self._made))
        self._made.clear()
        for t, array, copy in self._arrays.values():
            t.__dict__["data"] = array
            if not _equal(array, copy):
                array[...] = copy
        for t, grad, used in self._gradients:
            t.grad, t._used_grad = grad, used
        for o, taken in self._steps:
            o._step_taken = taken

    def keep(self, tensor: Tensor) -> None:
        """Remember a tensor's array before it changes."""
        if id(tensor) not in self._arrays:
            self._arrays[id(tensor)] = (tensor, tensor.data, tensor.data.copy(order="K"))

    def changed(self) -> list[Tensor]:
        """The tensors that have another array by now, or other values in it."""
        return [t for t, array, copy in self._arrays.values() if t.data is not array or not _equal(array, copy)]

    def keep_attributes(self, part: Any) -> None:
        """Remember what a module has, before it is called."""
        if is_module(part):
            self.called.append(part)
            self._attributes.add(type(part).__name__, part)

    def changed_attribute(self) -> str:
        """An attribute of a module that was called and is another by now, or has other contents; "" where there is
        none. Those that modules keep for themselves do not count."""
        return self._attributes.changed()

    def put_attributes_back(self) -> None:
        """Give modules the attributes that they had."""
        self._attributes.put_back()

    def _keep_gradient(self, tensor: Tensor) -> None:
        self._gradients.append((tensor, tensor.grad, tensor._used_grad))
        tensor.grad = wrap(tensor.grad.data.copy()) if outstanding(tensor) else None  # type: ignore[union-attr]
        tensor._used_grad = None
        if self.course is not None and tensor.grad is not None:
            self.course.gradient(tensor, tensor.grad)

    def _keep_step(self, optimizer: Any) -> None:
        self._steps.append((optimizer, optimizer._step_taken))
        optimizer._step_taken = False

    # What a recorder hears

    def operation(self, op: Op, inputs: list[Any], attrs: dict[str, Any], output: Tensor) -> None:
        for x in inputs:
            if isinstance(x, Tensor) and x.requires_grad and x._source is None and id(x) not in self._met:
                self._met.add(id(x))
                self.tensors.append(x)
                self.keep(x)
                self._keep_gradient(x)
        if self.course is not None:
            self.course.operation(op, inputs, attrs, output)

    def created(self, tensor: Tensor) -> None:
        self._met.add(id(tensor))
        self._made.append(tensor)
        if self.course is not None:
            self.course.created(tensor)

    def alias(self, new: Tensor, old: Tensor, detached: bool) -> None:
        if self.course is not None:
            self.course.alias(new, old, detached)

    def uses(self, part: Any) -> None:
        self.keep_attributes(part)
        if self.course is not None:
            self.course.uses(part)
        if is_optimizer(part) and id(part) not in self._met:
            self._met.add(id(part))
            self.optimizers.append(part)
            self._keep_step(part)

    def enter_scope(self, name: str) -> None:
        if self.course is not None:
            self.course.enter_scope(name)

    def leave_scope(self) -> None:
        if self.course is not None:
            self.course.leave_scope()

    def assignment(self, target: Tensor, value: Tensor) -> None:
        self.keep(target)
        if self.course is not None:
            self.course.assignment(target, value)

    def change(self, target: Tensor, new: Tensor) -> None:
        self.keep(target)
        if self.course is not None:
            self.course.change(target, new)

    def beside(self, action: str) -> None:
        raise RecordingError("compiler.beside", action=action)

    def postponed(self, action: Callable[[], Any]) -> bool:
        return True


def _equal(a: Array, b: Array) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
