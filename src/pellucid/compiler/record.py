"""A step of training or a function of Tensors comes in; its graph leaves, with all that a run needs besides: options to
be read anew, what Python does beside the operations, gradients that stay. Called by `step`.

The function runs twice, for real, on the example arguments, and everything that it changed is put back after each run:
once so that state which is made by a first step, such as an optimizer's averages, is there, and once to be recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid._typing import Array, DType
from pellucid.core.context import Recorder, state
from pellucid.core.setting import Setting
from pellucid.core.tensor import Tensor
from pellucid.graph.ir import Graph
from pellucid.graph.names import reachable
from pellucid.graph.trace import Recording
from pellucid.graph.verify import verify


@dataclass
class Recorded:
    """A graph and what belongs to its runs.

    graph : its outputs are (what the function returned, [gradients that stay]).
    settings : captured numbers that are written before a run: each with the Setting that it is the value of.
    looks : what Python found when it looked at a Setting: with other findings it is another step.
    before, after : what Python does beside the operations before and after them.
    gradients : the tensors whose gradients stay in `.grad`.
    used : the tensors whose gradients a step used.
    stepped : the optimizers that made a step.
    """

    graph: Graph
    settings: list[tuple[Tensor, Setting]]
    looks: list[tuple[Callable[[], Any], Any]]
    before: list[Callable[[], Any]]
    after: list[Callable[[], Any]]
    gradients: list[Tensor]
    used: list[Tensor]
    stepped: list[Any]

    def ran(self) -> None:
        """After a run: gradients that were used are gone, optimizers have made a step."""
        for tensor in self.used:
            tensor.grad = tensor._used_grad = None
        for optimizer in self.stepped:
            optimizer._step_taken = True

    def still_holds(self) -> bool:
        """Whether Python would find the same again."""
        return all(find() == found for find, found in self.looks)


def recorded(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Recorded:
    """Record a function; nothing has changed afterwards but that state is there which a first call makes.

    Parameters
        arguments : Tensors
    Raises
        RecordingError: Python looked at a value that changes from run to run.
        and whatever the function raises
    """
    with _put_back(function):
        watch = _Watch()
        try:
            with _listening(watch):
                function(*arguments)
        finally:
            watch.put_back()
    with _put_back(function) as (tensors, optimizers):
        recording = _StepRecording(function, arguments)
        stays: list[Tensor] = []
        used: list[Tensor] = []

        def with_gradients(*args: Any) -> Any:
            result = function(*args)
            for t in tensors:
                if t.grad is not None:
                    (used if t.grad is t._used_grad else stays).append(t)
            return result, [t.grad for t in stays]

        try:
            with _listening(recording):
                outputs = recording.returned(with_gradients(*recording.arguments))
            graph = recording.finished(outputs)
            stepped = [o for o in optimizers if o._step_taken]
        finally:
            recording.watch.put_back()
    verify(graph)
    return Recorded(
        graph,
        list(recording.lifted_settings.values()),
        recording.looks,
        recording.before,
        recording.after,
        stays,
        used,
        stepped,
    )


@contextmanager
def _listening(recorder: Recorder) -> Iterator[None]:
    state.recorder = recorder
    try:
        yield
    finally:
        state.recorder = None


@contextmanager
def _put_back(function: Callable[..., Any]) -> Iterator[tuple[list[Tensor], list[Any]]]:
    """Take the gradients away from all tensors that the function can reach, and give them back afterwards; the same for
    what optimizers remember of their steps."""
    tensors, optimizers = reachable(function)
    kept = [(t, t.grad, t._used_grad) for t in tensors]
    taken = [(o, o._step_taken) for o in optimizers]
    for t in tensors:
        t.grad = t._used_grad = None
    for o in optimizers:
        o._step_taken = False
    try:
        yield tensors, optimizers
    finally:
        for t, grad, used in kept:
            t.grad, t._used_grad = grad, used
        for o, step_taken in taken:
            o._step_taken = step_taken


class _Watch(Recorder):
    """Remembers what is changed in place, as it was before."""

    def __init__(self) -> None:
        self.arrays: dict[int, tuple[Tensor, Array]] = {}
        self.made: dict[int, Tensor] = {}

    def assignment(self, target: Tensor, value: Tensor) -> None:
        self.arrays.setdefault(id(target), (target, target.data))

    def change(self, target: Tensor, new: Tensor) -> None:
        self.arrays.setdefault(id(target), (target, target.data))

    def postponed(self, action: Callable[[], Any]) -> bool:
        return True

    def put_back(self) -> None:
        """Give every tensor the array that it had."""
        for tensor, array in self.arrays.values():
            tensor.__dict__["data"] = array


class _StepRecording(Recording):
    """A recording of a step: options become Settings, what is changed is remembered."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        super().__init__(function, arguments, strict=True)
        self.watch = _Watch()
        self.lifted_settings: dict[Any, tuple[Tensor, Setting]] = {}
        self.looks: list[tuple[Callable[[], Any], Any]] = []
        self.before: list[Callable[[], Any]] = []
        self.after: list[Callable[[], Any]] = []
        self._settings_read = False

    def assignment(self, target: Tensor, value: Tensor) -> None:
        self.watch.assignment(target, value)
        super().assignment(target, value)

    def change(self, target: Tensor, new: Tensor) -> None:
        self.watch.change(target, new)
        super().change(target, new)

    def setting(self, owner: Any, read: Callable[[], Any]) -> Any:
        self._settings_read = True
        value = read()
        if isinstance(value, tuple) and all(type(v) is float for v in value):
            return tuple(
                Setting((owner, n), lambda n=n: read()[n], self._decided)  # type: ignore[misc]
                for n in range(len(value))
            )
        if type(value) is float:
            return Setting((owner,), read, self._decided)
        self._decided(read)
        return value

    def _decided(self, find: Callable[[], Any]) -> None:
        self.looks.append((find, find()))

    def lifted(self, setting: Setting, dtype: DType) -> Tensor:
        key = (setting.key, dtype)
        if key not in self.lifted_settings:
            tensor = Tensor.__new__(Tensor)
            tensor.data = np.array(setting.read(), dtype)
            tensor.name = ".".join(dict.fromkeys(_options_in(setting.key)))
            self.lifted_settings[key] = (tensor, setting)
        return self.lifted_settings[key][0]

    def postponed(self, action: Callable[[], Any]) -> bool:
        (self.after if self._settings_read else self.before).append(action)
        return True


def _options_in(key: Any) -> Iterator[str]:
    """The names of the options that a Setting comes from; an option itself is ((group, name), ...)."""
    if isinstance(key, tuple) and key and isinstance(key[0], tuple):
        yield key[0][1]
    elif isinstance(key, tuple):
        for part in key[1:]:
            yield from _options_in(part)
