"""Constraints on arguments, as data beside the signature.

`@checked(lr=Real(0), momentum=Real(0, 1, right_open=True))` validates a call's arguments before the body runs, with
one message form. The constraints stay readable at `function.constraints`: tests generate invalid inputs from them,
and a search takes its space from them.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from types import CodeType
from typing import Any, TypeVar

import numpy as np

from pellucid._text import text
from pellucid.core.setting import Setting
from pellucid.errors import ArgumentError, ArgumentTypeError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Real:
    """A finite number between `low` and `high` (None: unbounded); an open end excludes its bound."""

    low: float | None = None
    high: float | None = None
    left_open: bool = False
    right_open: bool = False
    none: bool = False

    def __str__(self) -> str:
        left = "(-∞" if self.low is None else f"{'(' if self.left_open else '['}{self.low:g}"
        right = "∞)" if self.high is None else f"{self.high:g}{')' if self.right_open else ']'}"
        return text("core.real-or-none" if self.none else "core.real", interval=f"{left}, {right}")

    def type_ok(self, value: Any) -> bool:
        return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool | np.bool_)

    def value_ok(self, value: Any) -> bool:
        try:
            if not math.isfinite(value):
                return False
        except OverflowError:  # a whole number beyond every float
            return False
        if self.low is not None and (value < self.low or (self.left_open and value == self.low)):
            return False
        return self.high is None or value < self.high or (value == self.high and not self.right_open)

    def invalid(self) -> list[Any]:
        """Values that must be refused, for tests."""
        bad: list[Any] = ["x", float("nan")]
        if self.low is not None:
            bad.append(self.low - 1)
        if self.high is not None:
            bad.append(self.high + 1)
        return bad if self.none else [*bad, None]


@dataclass(frozen=True)
class Integer:
    """A whole number from `low` to `high`, both included (None: unbounded)."""

    low: int | None = None
    high: int | None = None
    none: bool = False

    def __str__(self) -> str:
        left = "(-∞" if self.low is None else f"[{self.low}"
        right = "∞)" if self.high is None else f"{self.high}]"
        return text("core.integer-or-none" if self.none else "core.integer", interval=f"{left}, {right}")

    def type_ok(self, value: Any) -> bool:
        return isinstance(value, int | np.integer) and not isinstance(value, bool | np.bool_)

    def value_ok(self, value: Any) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def invalid(self) -> list[Any]:
        """Values that must be refused, for tests."""
        bad: list[Any] = ["x", 1.5]
        if self.low is not None:
            bad.append(self.low - 1)
        if self.high is not None:
            bad.append(self.high + 1)
        return bad if self.none else [*bad, None]


@dataclass(frozen=True)
class Options:
    """One of a closed set of values."""

    options: tuple[Any, ...]

    def __init__(self, *options: Any) -> None:
        object.__setattr__(self, "options", options)

    none = False

    def __str__(self) -> str:
        return ", ".join(repr(o) for o in self.options)

    def type_ok(self, value: Any) -> bool:
        return True

    def value_ok(self, value: Any) -> bool:
        try:
            return any(value is o or value == o for o in self.options)
        except ValueError:  # an array compares to an array
            return False

    def invalid(self) -> list[Any]:
        """Values that must be refused, for tests."""
        return ["no such option"]


@dataclass(frozen=True)
class Flag:
    """True or False."""

    none = False

    def __str__(self) -> str:
        return text("core.flag")

    def type_ok(self, value: Any) -> bool:
        return isinstance(value, bool | np.bool_)

    def value_ok(self, value: Any) -> bool:
        return True

    def invalid(self) -> list[Any]:
        """Values that must be refused, for tests."""
        return ["x", 2]


@dataclass(frozen=True)
class Pair:
    """A sequence of numbers of a fixed length, each obeying `each`."""

    each: Real | Integer
    length: int = 2
    none = False

    def __str__(self) -> str:
        return text("core.values", length=self.length, each=self.each)

    def type_ok(self, value: Any) -> bool:
        return isinstance(value, tuple | list) and len(value) == self.length and all(map(self.each.type_ok, value))

    def value_ok(self, value: Any) -> bool:
        return all(map(self.each.value_ok, value))

    def invalid(self) -> list[Any]:
        """Values that must be refused, for tests."""
        return ["x", 1, tuple(self.each.invalid()[0] for _ in range(self.length))]


Constraint = Real | Integer | Options | Flag | Pair


def check(name: str, value: Any, constraint: Constraint) -> None:
    """Raise unless `value` obeys `constraint`.

    Raises
        ArgumentTypeError: the value is of another type.
        ArgumentError: it is of the type, but out of range.
    """
    if value is None and constraint.none:
        return
    if isinstance(constraint, Options):
        if not constraint.value_ok(value):
            raise ArgumentError("core.option", name=name, value=shown(value), options=str(constraint))
    elif isinstance(value, Setting):
        check(name, float(value), constraint)
    elif not constraint.type_ok(value):
        raise ArgumentTypeError(
            "core.type", name=name, value=shown(value), type=type(value).__name__, expected=str(constraint)
        )
    elif not constraint.value_ok(value):
        raise ArgumentError("core.range", name=name, value=shown(value), range=str(constraint))


def shown(value: Any) -> str:
    """A value in a message: arrays and Tensors by shape and dtype, everything else cut to 80 characters."""
    if hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, type):
        return f"{type(value).__name__}{tuple(value.shape)} {value.dtype}"
    if type(value) is int and value.bit_length() > 256:
        return text("core.long-number", bits=value.bit_length())
    words = repr(value)
    return words if len(words) <= 80 else words[:77] + "..."


def closest(name: str, names: Iterable[str]) -> str | None:
    """The name most like `name`, or None if none is near: the "did you mean" of every message."""
    import difflib  # for messages alone

    matches = difflib.get_close_matches(name, list(names), n=1)
    return matches[0] if matches else None


def checked(**constraints: Constraint) -> Callable[[F], F]:
    """Check arguments by name before each call; a call that does not fit the signature is refused in the same form."""

    def decorate(function: F) -> F:
        unknown = set(constraints).difference(parameter_names(function))
        if unknown:
            raise TypeError(f"{function.__qualname__} has no parameters {unknown}")
        signature: inspect.Signature | None = None  # until it is called: to read it takes longer than all else here
        name_of_function, builds = called(function), function.__name__ == "__init__"

        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal signature
            # A constructor that several classes share is called by the name of the class that is built.
            label = type(args[0]).__name__ if builds and args else name_of_function
            if signature is None:
                signature = inspect.signature(function)
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:
                raise bad_call(label, signature, args, kwargs) from None
            for name, value in bound.arguments.items():
                constraint = constraints.get(name)
                if constraint is not None:
                    check(f"{label}: {name}", value, constraint)
            return function(*args, **kwargs)

        wrapper.constraints = constraints  # type: ignore[attr-defined]
        return wrapper  # type: ignore[return-value]

    return decorate


def parameter_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a function's parameters, without those of `*args` and `**kwargs`."""
    code: CodeType = inspect.unwrap(function).__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def called(function: Callable[..., Any]) -> str:
    """What users write to call it: `Linear.__init__` is called as "Linear(...)"."""
    return function.__qualname__.removesuffix(".__init__").rpartition(".")[2]


# What PyTorch calls arguments that go by NumPy's names here.
_OTHER_ARGUMENTS = {
    "dim": "axis",
    "dims": "axis",
    "keepdim": "keepdims",
    "unbiased": "correction",
    "learning_rate": "lr",
    "size_average": "reduction",
    "reduce": "reduction",
}


def unknown_argument(function: str, name: str, options: list[str]) -> ArgumentTypeError:
    """The error for an argument that `function` does not have, with the one that is probably meant."""
    other = _OTHER_ARGUMENTS.get(name)
    suggestion = other if other in options else closest(name, options)
    return ArgumentTypeError(
        "core.unknown-argument", function=function, name=name, options=", ".join(options), suggestion=suggestion
    )


def bad_call(label: str, signature: inspect.Signature, args: Any, kwargs: dict[str, Any]) -> ArgumentTypeError:
    """The error for arguments that do not fit a signature."""
    plain = [p.replace(annotation=p.empty) for n, p in signature.parameters.items() if n != "self"]
    names = [p.name for p in plain if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if names and not any(p.kind is p.VAR_KEYWORD for p in plain):
        for name in kwargs:
            if name not in names:
                return unknown_argument(label, name, names)
    words = f"{label}{signature.replace(parameters=plain, return_annotation=signature.empty)}"
    problem = _misfit(signature, args, kwargs)
    return ArgumentTypeError("core.bad-call", function=label, problem=problem, signature=words)


def _misfit(signature: inspect.Signature, args: Any, kwargs: dict[str, Any]) -> str:
    """Why a call with known names does not fit: too many values, one given twice or by a name it has not, or none."""
    parameters = signature.parameters.values()
    places = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    own = places[:1] == ["self"]
    if len(args) > len(places) and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return text("core.too-many-arguments", given=len(args) - own, most=len(places) - own)
    if kwargs and places[own:] == [] and not any(p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) for p in parameters):
        return text("core.argument-unknown", names=", ".join(kwargs))
    nameless = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY and p.name in kwargs]
    if nameless:
        return text("core.argument-by-name", names=", ".join(nameless))
    twice = [name for name in places[: len(args)] if name in kwargs]
    if twice:
        return text("core.argument-twice", names=", ".join(twice))
    free = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.default is p.empty]
    missing = [p.name for p in free if p.name not in kwargs and p.name not in places[: len(args)]]
    return text("core.argument-missing", names=", ".join(missing))
