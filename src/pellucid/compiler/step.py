"""`compile`: a function of Tensors comes in, an ordinary training step or a network; one that does the same leaves, by
machine code or by a plan of NumPy calls, with what it ran before as a graph. Users call it, and `fit`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, update_wrapper
from typing import Any, Protocol

import numpy as np

from pellucid._typing import Array
from pellucid.compiler.arguments import Arguments, with_tensors
from pellucid.compiler.binding import Binding
from pellucid.compiler.guards import Place
from pellucid.compiler.memory import Memory
from pellucid.compiler.record import Recorded, recorded
from pellucid.compiler.tiers import native_wanted, tier_wanted
from pellucid.core.check import shown
from pellucid.core.context import default_dtype, state
from pellucid.core.op import REGISTRY
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import ArgumentTypeError, GradientError, RecordingError, warn
from pellucid.graph.ir import Expectation, Graph, Value, mapped
from pellucid.graph.names import function_name
from pellucid.graph.run import run

OFTEN = 20
"""Calls with another batch size after which it is worth machine code of its own."""

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
    looks at a value to decide what to do runs as it is, with a warning.

    After a compiled optimizer step the gradients that it used are gone: return them to see them. Results have no
    history: call backward inside. State is written to in place: an earlier `p.data` or `p.detach()` of it changes too,
    a copy does not. A NumPy array that the function uses without being given is kept as it was when recorded.

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
        self._first_rows: Any = None
        self._latest: Run | None = None
        # A plan works in memory of its own, so one call at a time; calls in calls are the same thread's.
        self._one_at_a_time = threading.RLock()
        if hasattr(function, "__name__"):
            update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if state.recorder is not None:
            return self._function(*args, **kwargs)
        with self._one_at_a_time:
            tensors, run = self.run_for(args, kwargs)
            if run.recorded is not None:
                run.calls += 1
                if run.rare and run.calls == OFTEN:
                    run.promote()
                return run(tensors)
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

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """As a method: a compiled function for each object, which keeps it."""
        if instance is None:
            return self
        kept = vars(instance).setdefault("_compiled", {})
        if self not in kept:
            kept[self] = Compiled(self._function.__get__(instance, owner), self._recorder)
        return kept[self]

    def __reduce__(self) -> tuple[Any, ...]:
        return (Compiled, (self._function, self._recorder))

    @property
    def tier(self) -> str:
        """What ran last: "llvm", "numpy" or "eager"; "none" before the first call."""
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
        name = function_name(self._function)
        self._recordings += 1
        if self._recordings > MOST:
            warn("compiler.recordings", name=name, count=MOST)
            return Run(None)
        try:
            found = self._recorder(with_tensors(self._function, args, kwargs), tensors)
        except RecordingError as problem:
            warn("compiler.eager", name=name, problem=problem.what, place=problem.at)
            return Run(None)
        except (AttributeError, TypeError) as problem:
            # NumPy's arrays can do what Tensors cannot.
            if any(x._is_raw for x in tensors):
                warn("compiler.eager", name=name, problem=str(problem).partition("\n")[0], place=type(problem).__name__)
                return Run(None)
            raise
        rows = [x.data.shape[:1] for x in tensors]
        if self._first_rows is None:
            self._first_rows = rows
        return Run(found, rare=rows != self._first_rows)


class Run:
    """One recording with its plan, which is made when it is first needed; a function that could not be recorded has
    neither."""

    def __init__(self, found: Recorded | None, rare: bool = False) -> None:
        self.recorded, self.rare, self.calls = found, rare, 0
        if found is not None:
            self.looks = [Look(found.graph, e) for e in found.graph.expectations]
            self._single = isinstance(found.graph.outputs[0], Value) and not found.gradients

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
        for look in self.looks:
            look(arrays)
        for action in found.before:
            action()
        refresh(found)
        for place in found.given:
            arrays.append(_at(place, tensors).grad.data)  # type: ignore[union-attr]
        results = self.plan.run(arrays)
        found.ran(tensors)
        for action in found.after:
            action()
        outputs = [wrap(a) for a in results]
        for tensor, tracked in zip(outputs, found.tracked, strict=False):
            if tracked:
                tensor.requires_grad, tensor._source = True, _NO_HISTORY
        if self._single:
            return outputs[0]
        given = iter(outputs)
        result, gradients = mapped(found.graph.outputs, lambda x: next(given) if isinstance(x, Value) else x)
        for place, g in zip(found.gradients, gradients, strict=True):
            tensor = _at(place, tensors)
            tensor.grad, tensor._used_grad = g, None
        return result


def _at(place: Place, tensors: Sequence[Tensor]) -> Tensor:
    return tensors[place] if isinstance(place, int) else place


def _refuse(*_: Any) -> Any:
    raise GradientError("compiler.no-history")


# What a result says of how it came to be where the function's own result had a history: whoever differentiates it is
# told, instead of getting no gradient.
_asked = wrap(np.zeros(())).requires_grad_()
_NO_HISTORY: Any = (replace(REGISTRY["positive"], name="compiled", vjp=_refuse), [_asked], {})


class Look:
    """A look that a recorded function had at values that come from its inputs alone, for other inputs."""

    def __init__(self, graph: Graph, expectation: Expectation) -> None:
        self.check = expectation.check
        self.position = next((n for n, v in enumerate(graph.inputs) if v is expectation.value), None)
        self._graph, self._value = graph, expectation.value

    def __call__(self, arrays: Sequence[Array]) -> None:
        if self.position is not None:
            self.check(arrays[self.position])
        else:
            self.check(run(leading_to(self._graph, self._value), *arrays).outputs)


def leading_to(graph: Graph, value: Value) -> Graph:
    """The part of a graph that computes one value."""
    from pellucid.compiler.passes.dead import dead

    return dead(replace(graph, outputs=value, updates=()))


def planned(graph: Graph, rare: bool) -> Plan:
    """A graph as machine code where that is worth it and can be had, else as NumPy calls."""
    binding = Binding(graph)
    if not rare and native_wanted():
        from pellucid.compiler.native_plan import NativePlan, Unsupported

        try:
            return NativePlan(graph, binding)
        except Unsupported:
            pass
    from pellucid.compiler.numpy_plan import NumpyPlan

    return NumpyPlan(graph, binding)


def refresh(found: Recorded) -> None:
    """Write the values that the settings have now."""
    for tensor, setting in found.settings:
        tensor.data[...] = setting.read()
