"""Composite operations: functions of other operations that keep their name as a scope in recorded graphs. Value,
gradient, cost and kernels all come from the parts; export and explanation see one named step.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from pellucid.core.context import state
from pellucid.core.op import NONE, Composite, register_composite
from pellucid.core.other_names import call_error
from pellucid.core.tensor import Tensor
from pellucid.errors import PellucidError
from pellucid.ops._families.calls import documented

F = TypeVar("F", bound=Callable[..., Any])


def composite(*, formula: str, onnx: str | Callable[..., Any] | NONE, name: str | None = None) -> Callable[[F], F]:
    """Declare a composite.

    Parameters
        formula : the mathematics in one line.
        onnx : the ONNX operator's name, a function that builds it, or NONE(why).
        name : the scope's name where it is not the function's.
    """

    def declare(function: F) -> F:
        users = function.__name__.rstrip("_")
        label = name.rstrip("_") if name else users
        doc = inspect.getdoc(function) or ""

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                recorder = state.recorder
                if recorder is None:
                    y = function(*args, **kwargs)
                else:
                    recorder.enter_scope(label)
                    try:
                        y = function(*args, **kwargs)
                    finally:
                        recorder.leave_scope()
            except TypeError as problem:
                if isinstance(problem, PellucidError) or (clear := call_error(users, function, args, kwargs)) is None:
                    raise
                raise clear from None
            # The innermost composite names its result, but not what it was given and handed through.
            new = isinstance(y, Tensor) and (
                y._source is not None or not any(y is x for x in (*args, *kwargs.values()))
            )
            if new and y._scope is None:
                y._scope = label
            return y

        call.__name__ = call.__qualname__ = function.__name__
        call.__module__ = function.__module__
        call.__doc__ = documented(doc, formula)
        call.__wrapped__ = function  # type: ignore[attr-defined]
        call.composite = register_composite(Composite(label, call, formula, onnx, doc))  # type: ignore[attr-defined]
        return call  # type: ignore[return-value]

    return declare
