"""`compile`: a function of Tensors comes in, an ordinary training step or a network; one that does the same leaves, by
machine code or by a plan of NumPy calls, with what it ran before as a graph. Users call it, and `fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, update_wrapper
from typing import Any, Protocol

import numpy as np

from pellucid._typing import Array
from pellucid.compiler.binding import Binding
from pellucid.compiler.memory import Memory
from pellucid.compiler.record import Recorded, recorded
from pellucid.compiler.tiers import native_wanted, tier_wanted
from pellucid.core.check import shown
from pellucid.core.context import default_dtype, no_grad, quiet, state
from pellucid.core.tensor import Tensor, to_array, wrap
from pellucid.errors import ArgumentTypeError, RecordingError, warn
from pellucid.graph.ir import Expectation, Graph, Value, mapped
from pellucid.graph.names import function_name, modules_of, reachable, surroundings
from pellucid.graph.run import run

OFTEN = 20
"""Calls with another batch size after which it is worth machine code of its own."""


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

    After a compiled optimizer step the gradients that it used are gone: return them to see them.

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
    """A compiled function; see `compile`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._runs: dict[Any, list[Run]] = {}
        self._first_rows: Any = None
        self._latest: Run | None = None
        self._around: Callable[[], tuple[Any, ...]] = surroundings(function)
        self._around_latest: tuple[Any, ...] | None = None
        self._kept: list[Any] = []
        self._modules: list[Any] = []
        if hasattr(function, "__name__"):
            update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if state.recorder is not None:
            return self._function(*args, **kwargs)
        arrays, run = self.run_for(args, kwargs)
        if run.recorded is None:
            return self._function(*args, **kwargs)
        run.calls += 1
        if run.rare and run.calls == OFTEN:
            run.promote()
        return run(arrays)

    def run_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Array], Run]:
        """The arrays among the arguments, and the recording that holds for such arguments, made if there is none."""
        arrays, key = self._key(args, kwargs)
        for known in self._runs.get(key, ()):
            if known.recorded is None or known.recorded.still_holds():
                break
        else:
            known = self._record(arrays, args, kwargs)
            self._runs.setdefault(key, []).append(known)
        self._latest = known
        return arrays, known

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

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Array], Any]:
        """The arrays among the arguments, and everything else that a recording depends on."""
        arrays: list[Array] = []
        parts: list[Any] = []
        for x in args:
            parts.append(_described(x, arrays))
        for name, x in kwargs.items():
            parts.append((name, _described(x, arrays)))
        around = self._around()
        if around != self._around_latest:
            # A name stands for something else. The objects are kept, so that no other can have their identity.
            self._around_latest, self._modules = around, modules_of(self._function)
            self._kept.append(reachable(self._function))
        for module in self._modules:
            parts.append(module.behaviour())
        return arrays, (tuple(parts), around, state.grad, default_dtype())

    def _record(self, arrays: list[Array], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Run:
        if tier_wanted() == "off":
            return Run(None)
        try:
            found = recorded(_of_arrays(self._function, args, kwargs), tuple(map(wrap, arrays)))
        except RecordingError as problem:
            warn("compiler.eager", name=function_name(self._function), problem=problem.what, place=problem.at)
            return Run(None)
        rows = [a.shape[:1] for a in arrays]
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
        del self.plan

    def __call__(self, arrays: list[Array]) -> Any:
        found = self.recorded
        assert found is not None
        for look in self.looks:
            look(arrays)
        for action in found.before:
            action()
        refresh(found)
        results = self.plan.run(arrays)
        found.ran()
        for action in found.after:
            action()
        if self._single:
            return wrap(results[0])
        tensors = iter([wrap(a) for a in results])
        outputs, gradients = mapped(found.graph.outputs, lambda x: next(tensors) if isinstance(x, Value) else x)
        for tensor, g in zip(found.gradients, gradients, strict=True):
            _leave_gradient(tensor, g)
        return outputs


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
    from dataclasses import replace

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


def _leave_gradient(tensor: Tensor, g: Tensor) -> None:
    """As backward does: add to what is there, start afresh after a step."""
    if tensor.grad is None or tensor.grad is tensor._used_grad:
        tensor.grad, tensor._used_grad = g, None
    else:
        with no_grad(), quiet():
            tensor.grad = tensor.grad + g


def _described(x: Any, arrays: list[Array]) -> Any:
    """An argument as part of a key: arrays and Tensors by shape and dtype, and collected; anything else by value."""
    if isinstance(x, Tensor):
        arrays.append(x.data)
        return (x.data.shape, x.data.dtype, x.requires_grad)
    if isinstance(x, np.ndarray):
        array = to_array(x)
        arrays.append(array)
        return (array.shape, array.dtype)
    if isinstance(x, list) and x and not isinstance(x[0], Tensor):
        return _described(to_array(x), arrays)
    if isinstance(x, list | tuple):
        return (type(x), *(_described(item, arrays) for item in x))
    if isinstance(x, dict):
        return (dict, *((name, _described(item, arrays)) for name, item in x.items()))
    try:
        hash(x)
    except TypeError:
        return id(x)
    return (type(x), x)


def _of_arrays(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[..., Any]:
    """The function of its array arguments alone, in the order in which `_described` finds them."""
    if not kwargs and all(isinstance(x, Tensor | np.ndarray) for x in args):
        return function

    def filled(x: Any, given: Any) -> Any:
        if isinstance(x, Tensor | np.ndarray) or (isinstance(x, list) and x and not isinstance(x[0], Tensor)):
            return next(given)
        if isinstance(x, list | tuple):
            return type(x)(filled(item, given) for item in x)
        return {name: filled(item, given) for name, item in x.items()} if isinstance(x, dict) else x

    def of_arrays(*tensors: Any) -> Any:
        given = iter(tensors)
        rest = [filled(x, given) for x in args]
        return function(*rest, **{name: filled(x, given) for name, x in kwargs.items()})

    of_arrays.__wrapped__ = function  # type: ignore[attr-defined]
    return of_arrays
