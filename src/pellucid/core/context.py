"""What is in force while operations run: whether gradients are tracked, the recorder if a graph is being recorded, the
default dtype. Each thread has its own. Operations read it on every call; users enter `no_grad()` and `enable_grad()`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from pellucid.core.op import Op
    from pellucid.core.tensor import Tensor


class Recorder(Protocol):
    """What `apply`, `composite` and `Tensor.assign` tell whoever records a graph."""

    def operation(self, op: Op, inputs: list[Any], attrs: dict[str, Any], output: Tensor) -> None: ...

    def assignment(self, target: Tensor, value: Tensor) -> None: ...

    def value_read(self, tensor: Tensor) -> None: ...

    def enter_scope(self, name: str) -> None: ...

    def leave_scope(self) -> None: ...


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

    check("dtype", np.dtype(dtype).name, Options("float32", "float64"))
    global _default_dtype
    _default_dtype = np.dtype(dtype)


@contextmanager
def no_grad() -> Iterator[None]:
    """Inside, results do not remember how they came to be: no gradient can flow through them."""
    before, state.grad = state.grad, False
    try:
        yield
    finally:
        state.grad = before


@contextmanager
def enable_grad() -> Iterator[None]:
    """Inside, gradients are tracked, even within `no_grad()`."""
    before, state.grad = state.grad, True
    try:
        yield
    finally:
        state.grad = before


def is_grad_enabled() -> bool:
    """Whether results now remember how they came to be."""
    return state.grad


@contextmanager
def quiet() -> Iterator[None]:
    """Silence NumPy's floating-point warnings: inside a layer, a backward pass or an update, non-finite values are
    found and named by the loss's own check instead of printed from wherever they appear first."""
    if state.quiet:
        yield
        return
    state.quiet = True
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        state.quiet = False


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
