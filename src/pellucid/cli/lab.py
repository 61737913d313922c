"""The name of an experiment comes in, or none; the list of the claims leaves on the terminal, or what the experiment
measured, its verdict, and its figure in a file. This is what `pellucid lab` does.
"""

from __future__ import annotations

from pathlib import Path

from pellucid._text import text
from pellucid.cli.help import columns, entries, wrap
from pellucid.cli.output import say, table
from pellucid.cli.values import whole
from pellucid.core.check import Integer
from pellucid.core.paths import as_path, write_whole
from pellucid.errors import MissingFileError
from pellucid.lab import EXPERIMENTS, SEED_LIMIT, Experiment, Finding, find, run
from pellucid.train.progress import width

FOLDER = "runs/lab"
_ALL = "all"
_LABEL = 10


def try_claims(name: str | None, seed: str | None, out: str | None) -> int:
    """List the claims, or put one or all of them to the test; returns the exit code.

    Parameters
        name : of an experiment, "all", or None for the list
        seed : a whole number as it was typed; None is 0
        out : the folder of the figures; None is `FOLDER`
    Raises
        ArgumentError: no such experiment, or no such seed.
        FileAccessError: the figure cannot be written.
    """
    number = whole("seed", {"seed": seed}, Integer(0, SEED_LIMIT), 0)
    folder = as_path("--out", out if out is not None else FOLDER)
    if name is None:
        for line in entries([(e.name, e.claim) for e in EXPERIMENTS]):
            say(line)
        say()
        for line in wrap(text("lab.how-to-run"), columns()):
            say(line)
        return 0
    if name.lower() != _ALL:
        item = find(name)
        _make(folder)
        _try(item, number, folder)
        return 0
    _make(folder)
    verdicts = []
    for item in EXPERIMENTS:
        verdicts.append((item, _try(item, number, folder)))
        say()
    table(
        [text("lab.heading-experiment"), text("lab.heading-claim"), text("lab.heading-verdict")],
        [[item.name, item.title, text(f"lab.verdict-{found.verdict}")] for item, found in verdicts],
    )
    return 0


def _make(folder: Path) -> None:
    """The folder, where it is not there yet.

    Raises
        MissingFileError: it cannot be made there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise MissingFileError("lab.folder", path=str(folder), problem=problem.strerror or str(problem)) from None


def _try(item: Experiment, seed: int, folder: Path) -> Finding:
    """Run one experiment and print it."""
    say(f"{item.name}: {item.title}")
    _fact(text("lab.label-claim"), item.claim)
    _fact(text("lab.label-test"), item.how)
    say()
    found = run(item.name, seed)
    table(
        [text("lab.heading-measured"), text("lab.heading-value")],
        [[m.label, m.number] for m in found.measurements],
        right=[1],
    )
    say()
    _fact(text("lab.label-seen"), found.words)
    _fact(text("lab.label-verdict"), text(f"lab.verdict-{found.verdict}"))
    path = folder / f"{item.name}.png"
    write_whole(path, found.figure)
    _fact(text("lab.label-figure"), str(path))
    return found


def _fact(label: str, words: str) -> None:
    """A labelled paragraph, wrapped beside its label."""
    for n, line in enumerate(wrap(words, columns() - _LABEL)):
        head = label if n == 0 else ""
        say(f"{head}{' ' * max(1, _LABEL - width(head))}{line}")
