"""One exception tree. Each class is also the builtin that a caller would expect, and prints four lines:

    ShapeError: matmul: inner axes differ
      given:    a (32, 20), b (16, 10)
      expected: a axis 1 = b axis 0; here 20 ≠ 16
      fix:      ...
      at:       train.py:41

The words come from the catalogue (`_text.py`); the raising code names the entry and the facts:
`raise ShapeError("ops.matmul-inner", a=a.shape, b=b.shape, ...)`.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pellucid._text import text

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_LIBRARY = ("contextlib", "functools", "dataclasses", f"{os.sep}threading.py")


def user_frame() -> tuple[str, int] | None:
    """File and line of the innermost frame outside pellucid and Python's own library: the line the user wrote."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        # A method that dataclasses generate has no file of its own, but its module's globals.
        ours = name.startswith(_HERE) or str(frame.f_globals.get("__name__")).startswith("pellucid.")
        library = name.startswith("<frozen") or any(m in name for m in _LIBRARY)
        if not (ours or library):
            return name, frame.f_lineno
        frame = frame.f_back  # type: ignore[assignment]
    return _here.asked_from


class _Here(threading.local):
    asked_from: tuple[str, int] | None = None


_here = _Here()


@contextmanager
def _asked_from(frame: tuple[str, int] | None) -> Iterator[None]:
    """Inside, this thread works for a line of another thread: errors name that one."""
    before, _here.asked_from = _here.asked_from, frame
    try:
        yield
    finally:
        _here.asked_from = before


class _Message:
    """What, given, expected, fix and at: the body that errors and warnings share."""

    def __init__(self, key: str, /, **facts: Any) -> None:
        super().__init__(key)  # type: ignore[call-arg]  # the other base is an exception
        self.key = key
        self.facts = facts
        self.frame = user_frame()
        self.layers: list[str] = []

    def add_layer(self, layer: str) -> None:
        """Say in which layer it happened; called on the way out, innermost first."""
        self.layers.append(layer)

    @property
    def what(self) -> str:
        return text(self.key, "what", **self.facts)

    @property
    def given(self) -> str:
        return text(self.key, "given", **self.facts)

    @property
    def expected(self) -> str:
        return text(self.key, "expected", **self.facts)

    @property
    def fix(self) -> str:
        return text(self.key, "fix", **self.facts)

    @property
    def at(self) -> str:
        place = f"{os.path.basename(self.frame[0])}:{self.frame[1]}" if self.frame else ""
        return ", ".join([p for p in (place, " ‹ ".join(self.layers)) if p])

    def __str__(self) -> str:
        lines = [self.what]
        for name in ("given", "expected", "fix", "at"):
            words = getattr(self, name)
            if words:
                label = text(f"core.label-{name}")
                lines.append(f"  {label}{words}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.key, self.facts, self.frame, self.layers))


def _rebuild(cls: Any, key: str, facts: dict[str, Any], frame: Any, layers: list[str]) -> Any:
    error = cls(key, **facts)
    error.frame, error.layers = frame, layers
    return error


class PellucidError(_Message, Exception):
    """Base of every error that pellucid raises."""


class ShapeError(PellucidError, ValueError):
    """Shapes that do not fit together."""


class DTypeError(PellucidError, TypeError):
    """A dtype that the operation cannot take."""


class ArgumentError(PellucidError, ValueError):
    """An argument outside its range or set of options."""


class ArgumentTypeError(PellucidError, TypeError):
    """An argument of the wrong type, or one that does not exist."""


class IndexRangeError(PellucidError, IndexError):
    """An index outside its axis."""


class MissingKeyError(PellucidError, KeyError):
    """A name that is not there."""


class NoAttributeError(PellucidError, AttributeError):
    """A name that a module does not have."""


class LabelError(PellucidError, ValueError):
    """Targets that do not fit the network or the loss."""


class DataError(PellucidError, ValueError):
    """Data that cannot be trained on as it is."""


class GradientError(PellucidError, RuntimeError):
    """A gradient that does not exist, or that would be wrong."""


class RecordingError(PellucidError, RuntimeError):
    """A function that cannot be recorded as a graph."""


class GraphError(PellucidError, ValueError):
    """A graph that breaks its own rules."""


class ModelError(PellucidError, ValueError):
    """A network that cannot learn or compute as it is built."""


class NonFiniteError(PellucidError, ArithmeticError):
    """A loss that became NaN or infinite.

    What `fit` raises at a batch can be replayed, with the model in training mode:
    `model.load_state_dict(error.state["model"])`,
    `pellucid.core.rng.default_generator.set_state(error.state["random_state"])`, then `x, y = error.batch` and
    `loss(model(x), y)`.

    Attributes
        batch : (x, y), the Tensors of the batch at fault; None where an update broke a weight though the loss was
            finite
        state : "model": parameters and buffers by name, as they were before the step; "random_state": the state of the
            default generator then; None where there is no batch
        sample_weight : the weights of the batch's rows, or None
    """

    batch: tuple[Any, Any] | None = None
    state: dict[str, Any] | None = None
    sample_weight: Any = None


class FileFormatError(PellucidError, ValueError):
    """A file that is truncated, corrupted or foreign."""


class MissingFileError(PellucidError, FileNotFoundError):
    """A file or folder that is not there."""


class FileAccessError(PellucidError, OSError):
    """A file or folder that cannot be read or written."""


class OutOfMemoryError(PellucidError, MemoryError):
    """A result larger than the memory that there is."""


class DownloadError(PellucidError, OSError):
    """A data set that could not be fetched."""


class MissingDependencyError(PellucidError, ImportError):
    """An optional package that this call needs."""


class PellucidWarning(_Message, UserWarning):
    """Something that is probably a mistake, reported in the same four lines."""


def warn(key: str, /, **facts: Any) -> None:
    """Report the entry `key` as a warning at the user's own line, once a place."""
    message = PellucidWarning(key, **facts)
    file, line = message.frame or ("pellucid", 0)
    warnings.warn_explicit(message, PellucidWarning, file, line, registry=_REPORTED)


_REPORTED: dict[Any, Any] = {}
