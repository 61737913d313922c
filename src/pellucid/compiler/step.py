"""`compile`: a function of Tensors comes in, an ordinary training step or a network; one that does the same leaves, by
machine code or by a plan of NumPy calls, with what it ran before as a graph. Users call it, and `fit`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, update_wrapper
from types import MethodType
from typing import Any, Protocol

from pellucid._typing import Array, Shape
from pellucid.compiler.arguments import Arguments, with_tensors
from pellucid.compiler.binding import Binding
from pellucid.compiler.guards import Place
from pellucid.compiler.memory import Memory
from pellucid.compiler.options import Lifted
from pellucid.compiler.ready import Ready, is_ready, ready_for
from pellucid.compiler.record import Recorded, recorded
from pellucid.compiler.results import result
from pellucid.compiler.threads import get_num_threads, renew_after_fork
from pellucid.compiler.tiers import Unsupported, native_demanded, native_wanted, tier_wanted
from pellucid.core.check import shown
from pellucid.core.context import default_dtype, state
from pellucid.core.tensor import Tensor
from pellucid.errors import ArgumentTypeError, RecordingError, warn
from pellucid.graph.ir import Expectation, Graph, Value, leaves, mapped
from pellucid.graph.names import function_name
from pellucid.graph.run import run

OFTEN = 20
"""Calls after which any batch size is worth machine code of its own."""

MOST = 64
"""Recordings of one function: where every call needs another, it is faster as it is."""


class Plan(Protocol):
    """A graph in a form that runs."""

    tier: str

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Outputs for inputs; new state is written in place."""
        ...

    @property
    def memory(self) -> Memory:
        """The intermediate results."""
        ...

    @property
    def source(self) -> str:
        """What runs, as Python."""
        ...


def compile(function: Callable[..., Any]) -> Compiled:
    """A function that does what `function` does, faster: its operations, those of `backward` and of an optimizer's step
    are recorded at the first call with arguments of a shape and replayed from then on.

    Parameters, buffers, optimizer state and random keys are used and changed as the function would, and can be read and
    written from Python between calls. Learning rates and other options of optimizers may change; a `schedule.step()`
    inside is done at every call. Python that is no operation, such as print, runs at recordings only; a function that
    looks at a value to decide what to do, or does something else at each call because it counts or draws random numbers
    of NumPy, runs as it is, with a warning.

    After a compiled optimizer step the gradients that it used are gone: return them to see them. Results have no
    history: call backward inside. State is written to in place: an earlier `p.data` or `p.detach()` of it changes too,
    a copy does not. What names, attributes and lists around the function hold is looked at before each call; a NumPy
    array that it uses without being given is kept as it was when recorded.

    Parameters
        function : takes Tensors or arrays, and other arguments, each value of which is recorded by itself; returns
            Tensors, alone or in tuples, lists and dicts. A Module is a function.
    Returns
        Compiled, with `graph`, `source`, `memory` and `tier` of its latest call
    Raises
        ArgumentTypeError: not a function.
    Examples
        >>> import pellucid as pl
        >>> double = pl.compile(lambda x: x * 2.0)
        >>> double(pl.ones((3,))).tolist()
        [2.0, 2.0, 2.0]
    """
    if not callable(function):
        raise ArgumentTypeError("compiler.not-a-function", value=shown(function), type=type(function).__name__)
    return Compiled(function)


class Compiled:
    """A compiled function; see `compile`.

    Parameters
        record : what records it
    """

    def __init__(self, function: Callable[..., Any], record: Callable[..., Recorded] = recorded) -> None:
        self._function, self._recorder = function, record
        self._runs: dict[Any, list[Run]] = {}
        self._recordings = 0
        self._sizes: dict[tuple[Shape, ...], Size] = {}
        self._told: set[tuple[str, ...]] = set()
        self._latest: Run | None = None
        self._ready: Ready | None = None
        # A plan works in memory of its own, so one call at a time; calls in calls are the same thread's.
        self._one_at_a_time = threading.RLock()
        renew_after_fork(self)
        if hasattr(function, "__name__"):
            update_wrapper(self, function)

    def renew(self) -> None:
        """In a forked process: no thread is inside."""
        self._one_at_a_time = threading.RLock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if state.recorder is not None:
            return self._function(*args, **kwargs)
        with self._one_at_a_time:
            ready = self._ready
            if ready is not None and len(args) == 1 and not kwargs and (found := ready(args[0])) is not None:
                self._latest = ready.run
                return found
            tensors, run = self.run_for(args, kwargs)
            if run.recorded is not None:
                self.called(run)
                results = run(tensors)
                if run.is_ready and not kwargs:
                    self._ready = ready_for(run, args, tensors)
                return results
        return self._function(*args, **kwargs)

    def run_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Tensor], Run]:
        """The Tensors among the arguments, and the recording that holds for such arguments, made if there is none."""
        arguments = Arguments(args, kwargs)
        key = (arguments.key, state.grad, default_dtype())
        for known in self._runs.get(key, ()):
            if known.recorded is None or known.recorded.guards.hold(arguments.tensors):
                break
        else:
            known = self._record(arguments.tensors, args, kwargs)
            if self._recordings <= MOST:
                self._runs.setdefault(key, []).append(known)
        self._latest = known
        return arguments.tensors, known

    def size_of(self, tensors: Sequence[Tensor]) -> Size:
        """The batch size of a call, by the rows of its Tensors."""
        return self._sizes.setdefault(tuple([x.data.shape[:1] for x in tensors]), Size())

    def called(self, run: Run, times: int = 1) -> None:
        """Count calls that are about to be made: a batch size that has come more often than all others, or often, gets
        machine code."""
        size = run.size
        size.calls += times
        if run.rare:
            most = max([s.calls for s in self._sizes.values() if s is not size], default=0)
            if size.calls > most or size.calls >= OFTEN:
                run.promote()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """As a method: a compiled function for each object, which keeps it."""
        if instance is None:
            return self
        if isinstance(instance, type) or not isinstance(getattr(instance, "__dict__", None), dict):
            return MethodType(self, instance)  # a class, or an object that keeps nothing: it is an argument
        kept = vars(instance).get("_compiled")
        if not isinstance(kept, _Methods) or kept.owner is not instance:
            kept = vars(instance)["_compiled"] = _Methods(instance)
        if self not in kept:
            kept[self] = type(self)(self._function.__get__(instance, owner), self._recorder)
        return kept[self]

    def __reduce__(self) -> tuple[Any, ...] | str:
        name = getattr(self, "__qualname__", "")
        found: Any = sys.modules.get(getattr(self, "__module__", None) or "")
        for part in name.split("."):
            found = getattr(found, part, None)
        # As of a function, its name is kept, where that leads to it; what it wraps has no other.
        return name if found is self else (Compiled, (self._function, self._recorder))

    @property
    def tier(self) -> str:
        """What ran last: "llvm", "mixed", "numpy" or "eager"; "none" before the first call."""
        return "none" if self._latest is None else self._latest.tier

    @property
    def graph(self) -> Graph:
        """The recorded graph of the latest call.

        Raises
            RecordingError: there is none: not called yet, or it runs as it is.
        """
        found = self._recorded_latest().recorded
        assert found is not None
        return found.graph

    @property
    def source(self) -> str:
        """What runs, as Python that a person can read: loops with the names of layers."""
        return self._recorded_latest().plan.source

    @property
    def memory(self) -> Memory:
        """The memory of intermediate results, and its peak."""
        return self._recorded_latest().plan.memory

    def _recorded_latest(self) -> Run:
        if self._latest is None or self._latest.recorded is None:
            raise RecordingError("compiler.no-plan", name=function_name(self._function), tier=self.tier)
        return self._latest

    def _record(self, tensors: list[Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Run:
        if tier_wanted() == "off":
            return Run(None)
        get_num_threads()  # what it must not be is refused here, also where one thread will do
        name = function_name(self._function)
        self._recordings += 1
        if self._recordings > MOST:
            self._tell_once(("recordings",), "compiler.recordings", name=name, count=MOST)
            return Run(None)
        try:
            found = self._recorder(with_tensors(self._function, args, kwargs), tensors)
        except RecordingError as problem:
            self._tell_why(name, problem.what, problem.at)
            return Run(None)
        except (AttributeError, TypeError) as problem:
            # NumPy's arrays can do what Tensors cannot.
            if any(x._is_raw for x in tensors):
                self._tell_why(name, str(problem).partition("\n")[0], type(problem).__name__)
                return Run(None)
            raise
        return Run(found, self.size_of(tensors), rare=not native_demanded())

    def _tell_why(self, name: str, problem: str, place: str) -> None:
        self._tell_once((problem, place), "compiler.eager", name=name, problem=problem, place=place)

    def _tell_once(self, reason: tuple[str, ...], key: str, **facts: Any) -> None:
        """Warn, unless this function has given the same reason before, for other arguments."""
        if reason not in self._told:
            warn(key, **facts)
            self._told.add(reason)


class _Methods(dict[Compiled, Compiled]):
    """The compiled methods of an object, which a copy of it does not take over."""

    def __init__(self, owner: Any = None) -> None:
        self.owner = owner

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Methods, ())


class Size:
    """A batch size, and how many calls had it."""

    def __init__(self) -> None:
        self.calls = 0


class Run:
    """One recording with its plan, which is made when it is first needed; a function that could not be recorded has
    neither."""

    def __init__(self, found: Recorded | None, size: Size | None = None, rare: bool = False) -> None:
        self.recorded, self.size, self.rare = found, Size() if size is None else size, rare
        if found is not None:
            self.looks = [Look(found.graph, e) for e in found.graph.expectations]
            self._lifted = Lifted(found.settings) if found.settings else None
            self._single = isinstance(found.graph.outputs[0], Value) and not found.gradients
            self.is_ready = is_ready(found)
            stays = sum(isinstance(leaf, Value) for leaf in leaves(found.graph.outputs)) - len(found.tracked)
            self._tracked = [*found.tracked, *[False] * stays]

    @cached_property
    def plan(self) -> Plan:
        """The recording as machine code or NumPy calls."""
        assert self.recorded is not None
        return planned(self.recorded.graph, self.rare)

    @property
    def tier(self) -> str:
        """How it runs."""
        return "eager" if self.recorded is None else self.plan.tier

    def promote(self) -> None:
        """What was rare has become usual."""
        self.rare = False
        self.__dict__.pop("plan", None)

    def __call__(self, tensors: list[Tensor]) -> Any:
        found = self.recorded
        assert found is not None
        arrays = [x.data for x in tensors]
        for place in found.given:
            arrays.append(_at(place, tensors).grad.data)  # type: ignore[union-attr]
        for look in self.looks:
            look(arrays)
        for action in found.before:
            action()
        if self._lifted is not None:
            self._lifted.refresh()
        results = self.plan.run(arrays)
        found.ran(tensors)
        for action in found.after:
            action()
        if self._single:
            return result(results[0], self._tracked[0])
        given = iter([result(a, tracked) for a, tracked in zip(results, self._tracked, strict=True)])
        returned, gradients = mapped(found.graph.outputs, lambda x: next(given) if isinstance(x, Value) else x)
        for place, g in zip(found.gradients, gradients, strict=True):
            tensor = _at(place, tensors)
            tensor.grad, tensor._used_grad = g, None
        return returned


def _at(place: Place, tensors: Sequence[Tensor]) -> Tensor:
    return tensors[place] if isinstance(place, int) else place


class Look:
    """A look that a recorded function had at values that come from its inputs or from captured tensors, for the values
    that these have now.

    Attributes
        captures : whether captured tensors have a say
        inputs : whether inputs have one
        moves : whether it depends on state that the function changes, so that it can be had only right before each run
    """

    def __init__(self, graph: Graph, expectation: Expectation) -> None:
        self.check = expectation.check
        value = expectation.value
        self._position = next((n for n, v in enumerate(graph.inputs) if v is value), None)
        self._tensor = next((c.tensor for c in graph.captured if c.value is value), None)
        part = leading_to(graph, value)
        read = {x.id for i in part.instructions for x in i.inputs if isinstance(x, Value)} | {value.id}
        self._needed = [n for n, v in enumerate(graph.inputs) if v.id in read]
        self._part = replace(part, inputs=tuple([graph.inputs[n] for n in self._needed]), expectations=())
        moving = {target.id for target, _ in graph.updates}
        self.inputs = bool(self._needed)
        self.captures = any(not c.constant for c in part.captured)
        self.moves = any(c.value.id in moving for c in part.captured)

    def __call__(self, arrays: Sequence[Array]) -> None:
        if self._position is not None:
            self.check(arrays[self._position])
        elif self._tensor is not None:
            self.check(self._tensor.data)
        else:
            self.check(run(self._part, *[arrays[n] for n in self._needed]).outputs)


def leading_to(graph: Graph, value: Value) -> Graph:
    """The part of a graph that computes one value."""
    from pellucid.compiler.passes.prune import prune

    return prune(replace(graph, outputs=value, updates=()))


def planned(graph: Graph, rare: bool) -> Plan:
    """A graph as machine code where that is worth it and can be had, whole or in parts, else as NumPy calls."""
    binding = Binding(graph)
    if not rare and native_wanted():
        from pellucid.compiler.native_plan import NativePlan

        try:
            return NativePlan(graph, binding)
        except Unsupported:
            pass
        from pellucid.compiler.mixed_plan import MixedPlan

        try:
            return MixedPlan(graph)
        except Unsupported:
            pass
    from pellucid.compiler.numpy_plan import NumpyPlan

    return NumpyPlan(graph, binding)
