"""A step of training or a function of Tensors comes in; its graph leaves, with all that a run needs besides: options to
be read anew, what Python does beside the operations, gradients that come from before and that stay. Called by `step`.

The function runs twice, for real, on the example arguments, and everything that it changed is put back after each run:
once so that state which is made by a first step, such as an optimizer's averages, is there, and once to be recorded.
Both runs must do the same; where they do not, two more are compared, since the first may have made a table for itself.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from pellucid._typing import DType
from pellucid.compiler.before import Before
from pellucid.compiler.collecting import uncollected
from pellucid.compiler.course import Course
from pellucid.compiler.guards import Guards, Place, outstanding
from pellucid.core.context import Recorder, state
from pellucid.core.op import Op
from pellucid.core.setting import Setting, computed
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import RecordingError
from pellucid.graph.ir import Graph, Value, leaves
from pellucid.graph.names import is_module, is_optimizer, reachable
from pellucid.graph.surroundings import Surroundings
from pellucid.graph.trace import Recording
from pellucid.graph.verify import verify


@dataclass
class Recorded:
    """A graph and what belongs to its runs.

    graph : its inputs are the arguments and the gradients from before; its outputs (what the function returned,
        [gradients that stay]).
    settings : captured numbers that are written before a run: each with the Setting that it is the value of.
    guards : what Python found and would have to find again.
    before, after : what Python does beside the operations before and after them.
    given : the tensors whose gradients from before are read.
    gradients : the tensors whose gradients stay in `.grad`.
    used : the tensors whose gradients are gone afterwards.
    stepped : the optimizers that made a step.
    tracked : for each Tensor that was returned, whether it had a history.
    """

    graph: Graph
    settings: list[tuple[Tensor, Setting]]
    guards: Guards
    before: list[Callable[[], Any]]
    after: list[Callable[[], Any]]
    given: list[Place]
    gradients: list[Place]
    used: list[Place]
    stepped: list[Any]
    tracked: list[bool]

    def ran(self, arguments: Sequence[Tensor]) -> None:
        """After a run: gradients that were used are gone, optimizers have made a step."""
        for place in self.used:
            tensor = arguments[place] if isinstance(place, int) else place
            tensor.grad = tensor._used_grad = None
        for optimizer in self.stepped:
            optimizer._step_taken = True


@uncollected()
def recorded(function: Callable[..., Any], arguments: Sequence[Tensor]) -> Recorded:
    """Record a function; nothing has changed afterwards but that state is there which a first call makes.

    Parameters
        arguments : as they were given to it
    Raises
        RecordingError: what the function does depends on a value that changes from run to run, or it changes something
            that is no Tensor's value.
        and whatever the function raises
    """
    if state.grad and any(x.requires_grad and x._source is not None for x in arguments):
        raise RecordingError("compiler.argument-history")
    first = Before(*reachable(function))
    around = Surroundings(function)
    second = None
    try:
        courses: list[Course] = []
        differences: list[RecordingError | None] = []
        for _ in range(2):
            first.course = course = Course()
            courses.append(course)
            with first:
                twins = _twins(arguments, course)
                with listening(first):
                    course.ended(function(*twins))
            # What the function made at its first call is there by now, and belongs to it.
            again = Surroundings(function, first.called)
            second = _Second(function, arguments, Before(first.tensors, first.optimizers), again, course)
            found = second.recorded()
            differences.append(second.difference)
            if second.difference is None:
                break
        assert second is not None
        changed = again.changed() or second.before.changed_attribute()
        if changed:
            raise RecordingError("compiler.rebinds", name=changed)
        # A table that the first call has made may be why the second one did something else, to the same result.
        if differences[0] and (differences[-1] or courses[0].values != courses[-1].values):
            raise differences[0]
        results = second.results
        second = None
        kept = _alive(results)
        if kept:
            raise RecordingError("compiler.kept", op=kept)
    except BaseException as problem:
        first.put_attributes_back()
        around.put_back()
        ours = isinstance(problem, RecordingError) or not isinstance(problem, Exception)
        if second is not None and second.options_read and not ours:
            # A Setting may have come where only a number will do: the function itself shall tell.
            raise RecordingError("compiler.setting", problem=f"{type(problem).__name__}: {problem}") from problem
        raise
    return found


def _alive(results: list[tuple[str, weakref.ref[Tensor]]]) -> str:
    """The operation whose result is kept somewhere after the function has ended, where it would not change from run to
    run; "" where there is none."""
    if any(reference() is not None for _, reference in results):
        gc.collect()  # what only a cycle holds is not kept
    return next((name for name, reference in results if reference() is not None), "")


def twin(x: Tensor) -> Tensor:
    """Another Tensor of the same array, so that what the function does to its argument stays with the twin."""
    twin = wrap(x.data)
    twin.requires_grad, twin._is_raw = x.requires_grad, x._is_raw
    if outstanding(x):
        twin.grad = wrap(x.grad.data.copy())  # type: ignore[union-attr]
    return twin


def _twins(arguments: Sequence[Tensor], course: Course) -> list[Tensor]:
    """Twins of the arguments; a course knows them and their gradients."""
    twins = [twin(x) for x in arguments]
    for n, x in enumerate(twins):
        course.given(x, n)
        if x.grad is not None:
            course.gradient(x, x.grad)
    return twins


class _Second:
    """The run that is recorded.

    Attributes
        difference : what it does that the run before it did not, as an error; None where there is nothing
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: Sequence[Tensor],
        before: Before,
        around: Surroundings,
        course: Course,
    ) -> None:
        self.function, self.arguments, self.before, self.around = function, arguments, before, around
        self._first = course
        self.difference: RecordingError | None = None
        self.stays: list[tuple[Place, Tensor]] = []
        self.used: list[Place] = []
        self.tracked: list[bool] = []
        self.results: list[tuple[str, weakref.ref[Tensor]]] = []
        self._recording: _StepRecording | None = None

    @property
    def options_read(self) -> bool:
        """Whether the function has read an optimizer's option."""
        return self._recording is not None and self._recording.settings_read

    def recorded(self) -> Recorded:
        twins = [twin(x) for x in self.arguments]
        with self.before:
            self.members: list[tuple[Place, Tensor]] = [*enumerate(twins), *((t, t) for t in self.before.tensors)]
            self.given = [(place, t) for place, t in self.members if outstanding(t)]
            gradients = [wrap(t.grad.data) for _, t in self.given]  # type: ignore[union-attr]
            course = Course(self._first)
            self._recording = recording = _StepRecording(self.function, (*twins, *gradients), self.before, course)
            for n, (x, y) in enumerate(zip(twins, recording.arguments[: len(twins)], strict=True)):
                course.given(x, n)
                course.given(y, n)
            for (_, t), g in zip(self.given, recording.arguments[len(twins) :], strict=True):
                course.gradient(t, g)
            with listening(recording):
                result = self._run(recording.arguments[: len(twins)], recording.arguments[len(twins) :])
                course.ended(result[0])
                outputs = recording.returned(result)
            self.difference = course.difference
            graph = recording.finished(outputs)
            recording.check_changes(self.before.changed())
            self.results = recording.results
            stepped = [o for o in self.before.optimizers if o._step_taken]
        if any(target in graph.inputs for target, _ in graph.updates):
            raise RecordingError("compiler.input-changed")
        graph, read = _without_unread(graph, len(twins))
        verify(graph)
        parts = {id(x): x for x in recording.used}.values()
        return Recorded(
            graph=graph,
            settings=list(recording.lifted_settings.values()),
            guards=Guards(
                self.around,
                [x for x in parts if is_module(x)],
                [x for x in parts if is_optimizer(x)],
                graph,
                [*recording.looks, *recording.looks_at_constants()],
                self._gradients_before(bool(read)),
            ),
            before=recording.before,
            after=recording.after,
            given=[self.given[n][0] for n in read],
            gradients=[place for place, _ in self.stays],
            used=self.used,
            stepped=stepped,
            tracked=self.tracked,
        )

    def _run(self, arguments: Sequence[Tensor], gradients: Sequence[Tensor]) -> Any:
        """Call the function with gradients from before in their places; see what has become of them."""
        started = {}
        for (_, t), g in zip(self.given, gradients, strict=True):
            t.grad = started[id(t)] = g
        result = self.function(*arguments)
        self.tracked = [leaf.requires_grad for leaf in leaves(result) if isinstance(leaf, Tensor)]
        for place, t in self.members:
            if t.grad is started.get(id(t)) and not (t.grad is not None and t.grad is t._used_grad):
                continue
            if outstanding(t):
                self.stays.append((place, t))
            else:
                self.used.append(place)
        return result, [t.grad for _, t in self.stays]

    def _gradients_before(self, read: bool) -> dict[Place, Spec | None]:
        """Which tensors' gradients must be there, or not be there, for the same to happen again."""
        if not (read or self.stays or self.used):
            return {}
        given = {id(t): Spec(t.data.shape, t.data.dtype) for _, t in self.given}
        return {place: given.get(id(t)) for place, t in self.members if t.requires_grad or id(t) in given}


def _without_unread(graph: Graph, count: int) -> tuple[Graph, list[int]]:
    """The graph without those inputs from number `count` on that nothing reads, and the numbers of the others among
    them."""
    read = {x.id for i in graph.instructions for x in i.inputs if isinstance(x, Value)}
    read |= {leaf.id for leaf in leaves(graph.outputs) if isinstance(leaf, Value)}
    read |= {value.id for _, value in graph.updates}
    kept = [n for n, value in enumerate(graph.inputs[count:]) if value.id in read]
    inputs = (*graph.inputs[:count], *(graph.inputs[count + n] for n in kept))
    return replace(graph, inputs=inputs), kept


@contextmanager
def listening(recorder: Recorder) -> Iterator[None]:
    """Let a recorder hear of all that happens inside."""
    state.recorder = recorder
    try:
        yield
    finally:
        state.recorder = None


class _StepRecording(Recording):
    """A recording of a step: options become Settings, what is changed is remembered."""

    def __init__(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], before: Before, course: Course
    ) -> None:
        super().__init__(function, arguments, strict=True)
        self._state_before, self._course = before, course
        self.used: list[Any] = []
        self.lifted_settings: dict[Any, tuple[Tensor, Setting]] = {}
        self.looks: list[tuple[partial[Any], Any]] = []
        # Not a method: a Setting outlives the recording, which has the arguments.
        self._decided = partial(_looked, self.looks)
        self.before: list[Callable[[], Any]] = []
        self.after: list[Callable[[], Any]] = []
        self.settings_read = False
        self.results: list[tuple[str, weakref.ref[Tensor]]] = []

    def uses(self, part: Any) -> None:
        self.used.append(part)
        self._course.uses(part)
        self._state_before.keep_attributes(part)

    def computed(self, op: Op, inputs: list[Any], arrays: list[Any], attrs: dict[str, Any]) -> Any:
        found = self._course.result_before(op, inputs, attrs)
        return super().computed(op, inputs, arrays, attrs) if found is None else found

    def operation(self, op: Op, inputs: list[Any], attrs: dict[str, Any], output: Tensor) -> None:
        self._course.operation(op, inputs, attrs, output)
        super().operation(op, inputs, attrs, output)
        if self.instructions[-1].output.id in self._varying:
            self.results.append((op.name, weakref.ref(output)))

    def assignment(self, target: Tensor, value: Tensor) -> None:
        self._state_before.keep(target)
        self._course.assignment(target, value)
        super().assignment(target, value)

    def change(self, target: Tensor, new: Tensor) -> None:
        if id(target) in self._roots:  # what was made here is nobody's state
            self._state_before.keep(target)
        self._course.change(target, new)
        super().change(target, new)

    def created(self, tensor: Tensor) -> None:
        self._course.created(tensor)
        super().created(tensor)

    def alias(self, new: Tensor, old: Tensor, detached: bool) -> None:
        self._course.alias(new, old, detached)
        super().alias(new, old, detached)

    def enter_scope(self, name: str) -> None:
        self._course.enter_scope(name)
        super().enter_scope(name)

    def leave_scope(self) -> None:
        self._course.leave_scope()
        super().leave_scope()

    def looks_at_constants(self) -> list[tuple[partial[Any], Any]]:
        """What Python found in tensors that are not expected to change, if it looked at any value."""
        if not self._looked_at:
            return []
        constant = [c.tensor for c in self.captured if not c.constant and c.value.id not in self._varying]
        return [(partial(_bytes, t), _bytes(t)) for t in constant]

    def check_changes(self, changed: list[Tensor]) -> None:
        """Raise if a tensor has changed by something that is no operation."""
        for tensor in changed:
            if id(tensor) not in self._updates:
                spec = Spec(tensor.data.shape, tensor.data.dtype)
                raise RecordingError("graph.replaced", value=tensor.name or "Tensor", spec=spec)

    def beside(self, action: str) -> None:
        self._state_before.beside(action)

    def setting(self, owner: Any, read: Callable[[], Any]) -> Any:
        if self.after:
            raise RecordingError("compiler.option-after", name=owner[1])
        self.settings_read = True
        value = read()
        if isinstance(value, tuple) and all(type(v) is float for v in value):
            return tuple(
                Setting((owner, n), lambda n=n: read()[n], self._decided)  # type: ignore[misc]
                for n in range(len(value))
            )
        option = Setting((owner,), read, self._decided)
        if type(value) is float:
            return option
        self._decided(partial(computed, _itself, option))
        return value

    def lifted(self, setting: Setting, dtype: DType) -> Tensor:
        key = (setting.key, dtype)
        if key not in self.lifted_settings:
            tensor = Tensor.__new__(Tensor)
            tensor.data = np.array(setting.read(), dtype)
            tensor.name = ".".join(dict.fromkeys(_options_in(setting.key)))
            self.lifted_settings[key] = (tensor, setting)
            self._course.option(tensor)
        return self.lifted_settings[key][0]

    def postponed(self, action: Callable[[], Any]) -> bool:
        (self.after if self.settings_read else self.before).append(action)
        return True

    def at_each_run(self, action: Callable[[], Any]) -> None:
        self.before.append(action)


def _looked(looks: list[tuple[partial[Any], Any]], find: partial[Any]) -> None:
    """Python has looked at a Setting."""
    looks.append((find, find()))


def _itself(value: Any) -> Any:
    """The look at an option that is no number with a fraction: what it is."""
    return value


def _options_in(key: Any) -> Iterator[str]:
    """The names of the options that a Setting comes from; an option itself is ((group, name), ...)."""
    if isinstance(key, tuple) and key and isinstance(key[0], tuple):
        yield key[0][1]
    elif isinstance(key, tuple):
        for part in key[1:]:
            yield from _options_in(part)


def _bytes(tensor: Tensor) -> bytes:
    return tensor.data.tobytes()
