"""What is in force while operations run: whether gradients are tracked, the recorder if a graph is being recorded, the
default dtype. Each thread has its own. Operations read it on every call; users enter `no_grad()` and `enable_grad()`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid._typing import Array

if TYPE_CHECKING:
    from pellucid.core.op import Op
    from pellucid.core.tensor import Tensor


class Recorder:
    """What operations and Tensors tell whoever follows them; a recorder overrides what it listens to."""

    def computed(self, op: Op, inputs: list[Any], arrays: list[Any], attrs: dict[str, Any]) -> Any:
        """The value of an operation that is about to run; a recorder of shapes alone gives an array without data.

        Parameters
            inputs : Tensors and numbers
            arrays : the same, with the Tensors' arrays
        """
        return op.value(*arrays, **attrs)

    def operation(self, op: Op, inputs: list[Any], attrs: dict[str, Any], output: Tensor) -> None:
        """An operation has run."""

    def differentiates(self, tensor: Tensor | None) -> None:
        """The operations that follow are the gradients of the inputs from which `tensor` was computed; None where the
        backward pass ends."""

    def assignment(self, target: Tensor, value: Tensor) -> None:
        """State (a parameter, a running statistic, a random key) is about to take over the values of `value`, of its
        dtype."""

    def change(self, target: Tensor, new: Tensor) -> None:
        """`target` is about to become `new`, in place."""

    def created(self, tensor: Tensor) -> None:
        """A Tensor was made from data, not by an operation."""

    def alias(self, new: Tensor, old: Tensor, detached: bool) -> None:
        """`new` stands for the same value as `old`; detached if no gradient flows through it."""

    def value_read(self, tensor: Tensor) -> None:
        """Python is about to look at the values."""

    def expected(self, tensor: Tensor, check: Callable[[Array], Any]) -> None:
        """`check` has looked at the values of a tensor and would have raised if they were of no use: whoever computes
        the same with other values shall look at those."""

    def setting(self, owner: Any, read: Callable[[], Any]) -> Any:
        """The value of an option that may change from step to step, as the update rule shall see it."""
        return read()

    def lifted(self, setting: Any, dtype: Any) -> Tensor:
        """A Setting that meets values of a dtype, as a Tensor whose value is written before every run."""
        raise NotImplementedError

    def beside(self, action: str) -> None:
        """Python is about to do what no operation shows, such as to set an option."""

    def postponed(self, action: Callable[[], Any]) -> bool:
        """Python is about to do what belongs to a step and is no operation, such as to move a schedule on. Whether the
        recorder sees to it instead."""
        return False

    def at_each_run(self, action: Callable[[], Any]) -> None:
        """Python keeps something beside the operations, which a later run of the recording cannot do: whoever runs it
        shall call `action`, no matter in what order with others."""

    def uses(self, part: Any) -> None:
        """A module is called, or an optimizer makes a step: what they hold besides Tensors has a say in what runs."""

    def enter_scope(self, name: str) -> None:
        """A layer, a composite or a named part begins."""

    def leave_scope(self) -> None:
        """It ends."""


class _State(threading.local):
    grad: bool = True
    recorder: Recorder | None = None
    quiet: bool = False


state = _State()

_default_dtype = np.dtype(np.float32)


def default_dtype() -> np.dtype[Any]:
    """The dtype given to Python floats and to the results of float functions of whole numbers."""
    return _default_dtype


def set_default_dtype(dtype: Any) -> None:
    """Make float32 (as at the start) or float64 the default for new float tensors and parameters."""
    from pellucid.core.check import Options, check
    from pellucid.core.convert import as_dtype

    chosen = as_dtype(dtype)
    check("dtype", chosen.name, Options("float32", "float64"))
    global _default_dtype
    _default_dtype = chosen


class _GradMode(ContextDecorator):
    """Gradients on or off for a block, or, as a decorator, for a function; entered for every step, so kept light."""

    tracked: bool

    def __init__(self) -> None:
        self.before: list[bool] = []

    def _recreate_cm(self) -> _GradMode:
        # A decorated function may run in several threads at once: each call has an entry of its own.
        return type(self)()

    def __enter__(self) -> None:
        self.before.append(state.grad)
        state.grad = self.tracked

    def __exit__(self, *exc: object) -> None:
        state.grad = self.before.pop()


class no_grad(_GradMode):
    """Inside, results do not remember how they came to be: no gradient can flow through them."""

    tracked = False


class enable_grad(_GradMode):
    """Inside, gradients are tracked, even within `no_grad()`."""

    tracked = True


def is_grad_enabled() -> bool:
    """Whether results now remember how they came to be."""
    return state.grad


try:
    # What np.errstate does, without building the handling anew at each of the four entries of a training step.
    from numpy._core.umath import _extobj_contextvar, _make_extobj

    _IGNORE = _make_extobj(all="ignore")
    _restore: Callable[[Any], None] = _extobj_contextvar.reset

    def _silence() -> Any:
        return _extobj_contextvar.set(_IGNORE)

except ImportError:

    def _silence() -> Any:
        errstate = np.errstate(all="ignore")
        errstate.__enter__()
        return errstate

    def _restore(errstate: Any) -> None:
        errstate.__exit__()


class quiet:
    """Silence NumPy's floating-point warnings: inside a layer, a backward pass or an update, non-finite values are
    found and named by the loss's own check instead of printed from wherever they appear first."""

    __slots__ = ("before",)
    before: Any

    def __enter__(self) -> None:
        if state.quiet:
            self.before = None
        else:
            state.quiet = True
            self.before = _silence()

    def __exit__(self, *exc: Any) -> None:
        if self.before is not None:
            state.quiet = False
            _restore(self.before)


def expect(tensor: Tensor, check: Callable[[Array], Any]) -> Any:
    """Look at the values of an argument: `check` raises if they are of no use. A recorder hears of it, so that other
    values are looked at as well."""
    result = check(tensor.data)
    if state.recorder is not None:
        state.recorder.expected(tensor, check)
    return result


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Name a part of the computation in a graph that is being recorded; no effect otherwise."""
    recorder = state.recorder
    if recorder is None:
        yield
        return
    recorder.enter_scope(name)
    try:
        yield
    finally:
        recorder.leave_scope()
