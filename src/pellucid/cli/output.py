"""Lines and tables for a person come in; they leave on the standard output, warnings and errors on the standard
error. Every command prints through here.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pellucid._text import text
from pellucid.errors import PellucidError, PellucidWarning


def say(words: str = "") -> None:
    """A line on the standard output, at once, so that a pipe shows it when it happens."""
    print(words, flush=True)


def fact(label: str, words: str) -> None:
    """A labelled line, the labels in one column whatever the language."""
    from pellucid.train.progress import width

    say(f"{label}{' ' * max(1, 10 - width(label))}{words}")


def refuse(error: PellucidError) -> None:
    """The lines of an error, without a place: the place is the command line itself."""
    error.frame = None
    print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)


def warned(warning: PellucidWarning) -> str:
    """The lines of a warning."""
    warning.frame = None
    return text("cli.warning", words=str(warning))


@contextmanager
def findings() -> Iterator[list[str]]:
    """Inside, pellucid's warnings are printed as they come, each text once, and gathered; others stay as they are."""
    gathered: list[str] = []
    before = warnings.showwarning

    def show(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
        if not isinstance(message, PellucidWarning):
            before(message, category, filename, lineno, file, line)
            return
        words = warned(message)
        if words not in gathered:
            gathered.append(words)
            print(words, file=sys.stderr, flush=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", PellucidWarning)
        warnings.showwarning = show
        yield gathered


def note(message: PellucidWarning, gathered: list[str]) -> None:
    """Print something worth knowing that is no warning yet, and gather it."""
    message.frame = None
    line = text("cli.note", words=str(message))
    gathered.append(line)
    print(line, file=sys.stderr, flush=True)


def table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = (), footer: bool = False
) -> None:
    """Rows under headings; the columns numbered in `right` are set to the right, and a footer is the last row."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for i, name in enumerate(columns):
        grid.add_column(name, justify="right" if i in right else "left", overflow="fold")
    for i, row in enumerate(rows):
        grid.add_row(*map(str, row), end_section=footer and i == len(rows) - 2)
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        # A pipe has no width of its own; a table that is cut to 80 columns would be of no use to a script.
        console = Console(highlight=False, markup=False, emoji=False, width=200)
    console.print(grid)


def measure(name: str, value: float) -> str:
    """A metric's value: shares with three decimals, other numbers with four figures."""
    return f"{value:.3f}" if name in ("accuracy", "top_k_accuracy", "precision", "recall", "f1") else f"{value:.4g}"
