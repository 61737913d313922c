"""The error to raise when NumPy refuses an operation's inputs: what the shape rule says of them, or what the numbers
show; NumPy's own words are the last resort. Called by `apply`, and by the functions that make
new tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pellucid._typing import Shape
from pellucid.core.check import shown
from pellucid.core.op import Op
from pellucid.core.spec import spec_of
from pellucid.errors import ArgumentError, OutOfMemoryError, PellucidError

FAILURES = (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError, MemoryError)
"""What NumPy raises for inputs that it cannot compute."""


def explained(op: Op, inputs: list[Any], attrs: dict[str, Any], problem: Exception) -> PellucidError:
    """The error to raise for what went wrong inside an operation: clear where the shape rule or the numbers tell,
    else NumPy's words."""
    specs = [spec_of(x) for x in inputs]
    try:
        out = op.spec(*specs, **attrs)
    except PellucidError as clear:
        return clear
    except Exception:
        out = None
    given = ", ".join(map(str, specs))
    if isinstance(problem, MemoryError) or (out is not None and out.nbytes >= 2**46):
        return OutOfMemoryError("core.too-large", op=op.name, shape=out.shape if out is not None else "?")
    if isinstance(problem, OverflowError):
        numbers = [x for x in inputs if type(x) is int]
        if numbers:
            return ArgumentError("core.number-range", op=op.name, inputs=given, number=shown(max(numbers, key=abs)))
    return ArgumentError("core.op-failed", op=op.name, inputs=given, problem=str(problem))


@contextmanager
def room_for(op: str, shape: Shape) -> Iterator[None]:
    """Turn NumPy's refusals to make an array of `shape` into a clear error.

    Raises
        OutOfMemoryError: there is not enough memory, or no memory could hold so much.
    """
    try:
        yield
    except (MemoryError, ValueError, OverflowError):
        raise OutOfMemoryError("core.too-large", op=op, shape=shape) from None
