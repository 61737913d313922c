"""A value as text from the command line, or as TOML holds it, comes in; a checked Python value leaves. Every option
of the command line has one of these kinds, so flags and configuration files are read by the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pellucid._text import text
from pellucid.core.check import Integer, Real, check, closest, shown
from pellucid.errors import ArgumentError, ArgumentTypeError


def unreadable(name: str, value: Any, expected: str) -> ArgumentTypeError:
    """The error for a value that is not even of the right form."""
    return ArgumentTypeError("cli.unreadable", name=name, value=shown(value), expected=expected)


class _OrWord:
    """A number, or a word for None where the constraint allows it."""

    constraint: Real | Integer
    empty: str

    @property
    def expected(self) -> str:
        """The constraint in words."""
        words = str(replace(self.constraint, none=False))
        return text("cli.or-word", words=words, word=self.empty) if self.constraint.none else words


@dataclass(frozen=True)
class Number(_OrWord):
    """A number within an interval; "auto" or "none" is None where the constraint allows it."""

    constraint: Real
    empty: str = "auto"
    metavar: str = "X"

    def read(self, name: str, value: Any) -> float | None:
        """The number, or None for the empty word."""
        if self.constraint.none and value == self.empty:
            return None
        try:
            number = float(value) if isinstance(value, str) else value
        except ValueError:
            raise unreadable(name, value, self.expected) from None
        check(name, number, replace(self.constraint, none=False))
        return float(number)

    def show(self, value: float | None) -> str:
        """As it would be typed."""
        return self.empty if value is None else f"{value:g}"


@dataclass(frozen=True)
class Whole(_OrWord):
    """A whole number within bounds; the empty word is None where the constraint allows it."""

    constraint: Integer
    empty: str = "none"
    metavar: str = "N"

    def read(self, name: str, value: Any) -> int | None:
        """The whole number, or None for the empty word."""
        if self.constraint.none and value == self.empty:
            return None
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            raise unreadable(name, value, self.expected) from None
        check(name, number, replace(self.constraint, none=False))
        return int(number)

    def show(self, value: int | None) -> str:
        """As it would be typed."""
        return self.empty if value is None else str(value)


@dataclass(frozen=True)
class Choice:
    """One of a closed set of names; case, hyphens and spaces do not matter."""

    names: tuple[str, ...]
    metavar: str = "NAME"

    def read(self, name: str, value: Any) -> str:
        """The name as the set spells it."""
        if not isinstance(value, str):
            raise unreadable(name, value, ", ".join(self.names))
        plain = value.strip().lower().replace("-", "_").replace(" ", "_")
        if plain not in self.names:
            raise ArgumentError(
                "cli.choice",
                name=name,
                value=value,
                options=", ".join(self.names),
                suggestion=closest(plain, self.names),
            )
        return plain

    def show(self, value: str) -> str:
        """As it would be typed."""
        return value


@dataclass(frozen=True)
class Sizes:
    """Whole numbers with commas between them, or a TOML array of them; "none" or nothing is an empty list."""

    metavar: str = "N,N,..."

    def read(self, name: str, value: Any) -> list[int]:
        """The sizes, each at least 1."""
        if value in ("", "none"):
            return []
        parts = value.replace(" ", ",").split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise unreadable(name, value, text("cli.sizes"))
        sizes = []
        for part in parts:
            if isinstance(part, str):
                if not part.strip().isdecimal():
                    raise unreadable(name, value, text("cli.sizes"))
                part = int(part)
            check(name, part, Integer(1, 1_000_000))
            sizes.append(part)
        return sizes

    def show(self, value: list[int]) -> str:
        """As it would be typed."""
        return ",".join(map(str, value)) or "none"


@dataclass(frozen=True)
class Names:
    """Names of a closed set with commas between them, or a TOML array of them; "auto" is None, and "none", where that
    is allowed, an empty list."""

    names: tuple[str, ...]
    metavar: str = "NAME,..."
    none: bool = False

    def read(self, name: str, value: Any) -> list[str] | None:
        """The names as the set spells them."""
        if value == "auto" or value is None:
            return None
        if self.none and value == "none":
            return []
        parts = [p for p in value.split(",") if p.strip()] if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise unreadable(name, value, ", ".join(self.names))
        return [Choice(self.names).read(name, part) for part in parts]

    def show(self, value: list[str] | None) -> str:
        """As it would be typed."""
        return "auto" if value is None else ",".join(value) or "none"


@dataclass(frozen=True)
class BatchSize:
    """Rows a batch: a whole number, "full" for all rows, or "auto" (None)."""

    metavar: str = "N|full"

    def read(self, name: str, value: Any) -> int | str | None:
        """A number of rows, "full", or None."""
        if value in ("auto", None):
            return None
        if value == "full":
            return "full"
        if isinstance(value, str):
            if not value.strip().isdecimal():
                raise unreadable(name, value, text("cli.batch-size"))
            value = int(value)
        check(name, value, Integer(1))
        return int(value)

    def show(self, value: int | str | None) -> str:
        """As it would be typed."""
        return "auto" if value is None else str(value)


Kind = Number | Whole | Choice | Sizes | Names | BatchSize


def whole(name: str, flags: Mapping[str, Any], constraint: Integer, default: int) -> int:
    """A whole number that was typed as --name, or the default.

    Raises
        ArgumentTypeError, ArgumentError: it is no whole number, or out of range.
    """
    value = flags.get(name)
    found = None if value is None else Whole(constraint).read(f"--{name}", value)
    return default if found is None else found
