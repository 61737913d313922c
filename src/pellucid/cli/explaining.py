"""A model's file and rows come in; the worked arithmetic of one row leaves, on the terminal or in a file. This is what
`pellucid explain` does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pellucid._text import text
from pellucid.cli.output import say
from pellucid.cli.trained import trained
from pellucid.cli.values import Choice, whole
from pellucid.core.check import Integer
from pellucid.core.paths import write_whole
from pellucid.errors import ArgumentError
from pellucid.inspection import Explanation, explain
from pellucid.report.explanation_html import explanation_page
from pellucid.report.explanation_json import explanation_json
from pellucid.report.explanation_latex import explanation_latex
from pellucid.report.explanation_text import explanation_markdown, explanation_text
from pellucid.train.choose import OPTIMIZERS, make_optimizer

FORMATS: dict[str, Callable[[Explanation, int], str]] = {
    "text": explanation_text,
    "markdown": explanation_markdown,
    "latex": explanation_latex,
    "html": explanation_page,
    "json": lambda explanation, digits: explanation_json(explanation, indent=1),
}
ENDINGS = {".txt": "text", ".md": "markdown", ".tex": "latex", ".html": "html", ".json": "json"}


def explain_row(model_word: str, data_word: str, flags: dict[str, Any]) -> int:
    """Print the arithmetic of a row, or write it to a file; returns the exit code, 1 where a check found a difference.

    Raises
        IndexRangeError: no such row.
        ArgumentError: a file of another kind.
        DataError: a loss is asked for, and the rows have no targets.
        ShapeError: rows that the model does not take.
    """
    digits = whole("digits", flags, Integer(4, 17), 6)
    terms = whole("terms", flags, Integer(1), 6)
    row = whole("row", flags, Integer(0), 0)
    form = _form(flags)
    optimizer = flags.get("optimizer")
    if optimizer is not None:
        optimizer = Choice(tuple(OPTIMIZERS)).read("--optimizer", optimizer)
    known = trained(model_word, data_word)
    known.require_row(row)
    asked = known.rows[row : row + 1]
    given: dict[str, Any] = {}
    if flags["training"] or optimizer is not None:
        given = {"loss": known.require_targets(), "y": asked.y}
    if optimizer is not None:
        given["optimizer"] = make_optimizer(optimizer, known.model.parameters())
    found = explain(known.model, asked.x, at=flags.get("at"), terms=terms, **given)
    words = FORMATS[form](found, digits)
    if flags.get("out") is None:
        say(words.rstrip("\n"))
    else:
        path = Path(flags["out"]).expanduser()
        write_whole(path, words.encode())
        say(text("explain.written", path=str(path)))
    if not flags["verify"]:
        return 0
    verification = found.verify()
    say(str(verification))
    return 0 if verification.ok else 1


def _form(flags: dict[str, Any]) -> str:
    """The form that is asked for, or the one that the file's ending says."""
    given, out = flags.get("format"), flags.get("out")
    if given is not None:
        return Choice(tuple(FORMATS)).read("--format", given)
    if out is None:
        return "text"
    ending = Path(out).suffix.lower()
    if ending not in ENDINGS:
        raise ArgumentError("explain.out-ending", path=out, options=", ".join(ENDINGS))
    return ENDINGS[ending]
