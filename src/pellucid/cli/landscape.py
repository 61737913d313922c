"""A trained network and rows come in; how its loss curves, or how much its gradient varies, leaves on the terminal, as
Markdown, or as pictures. This is what `pellucid curvature` and `pellucid noise` do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pellucid._text import text
from pellucid.cli.output import say, table
from pellucid.cli.trained import trained
from pellucid.cli.values import whole
from pellucid.core.check import Integer
from pellucid.core.paths import write_whole
from pellucid.inspection import curvature, gradient_noise, landscape
from pellucid.report import (
    curvature_figure,
    curvature_markdown,
    landscape_figure,
    landscape_markdown,
    layer_curvature_rows,
    layer_noise_rows,
    noise_figure,
    noise_markdown,
)

ROWS, NOISE_ROWS = 256, 2048


def show_curvature(model_word: str, data_word: str, flags: dict[str, Any]) -> int:
    """Print how the loss of a trained network curves; returns the exit code.

    Raises
        PellucidError: no such model or data, rows without targets, or a loss that is not finite.
    """
    known, seed = trained(model_word, data_word, "train"), whole("seed", flags, Integer(0), 0)
    loss, rows = known.require_targets(), known.sample(whole("rows", flags, Integer(1), ROWS), seed)
    figure, slices = flags.get("figure"), flags.get("landscape")
    found = curvature(known.model, rows, loss, density=figure is not None, seed=seed)
    seen = None if slices is None else landscape(known.model, rows, loss, seed=seed)
    if flags["markdown"]:
        say(curvature_markdown(found))
    else:
        _say_with_layers(found, *layer_curvature_rows(found))
    if seen is not None:
        say()
        say(landscape_markdown(seen) if flags["markdown"] else str(seen))
    if figure is not None:
        write_figure(figure, curvature_figure(found))
    if seen is not None:
        write_figure(str(slices), landscape_figure(seen))
    return 0


def show_noise(model_word: str, data_word: str, flags: dict[str, Any]) -> int:
    """Print how much the gradient of a trained network varies; returns the exit code.

    Raises
        PellucidError: no such model or data, rows without targets, or too few of them.
    """
    known, seed = trained(model_word, data_word, "train"), whole("seed", flags, Integer(0), 0)
    loss, rows = known.require_targets(), known.sample(whole("rows", flags, Integer(1), NOISE_ROWS), seed)
    found = gradient_noise(known.model, rows, loss, seed=seed)
    if flags["markdown"]:
        say(noise_markdown(found))
    else:
        _say_with_layers(found, *layer_noise_rows(found))
    if flags.get("figure") is not None:
        write_figure(flags["figure"], noise_figure(found))
    return 0


def _say_with_layers(found: Any, headings: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """A report, and the table of its layers."""
    say(str(found))
    say()
    table(headings, lines, right=range(1, len(headings)))


def write_figure(word: str, picture: bytes) -> None:
    """A picture into a file, and a line that says so."""
    path = Path(word).expanduser()
    write_whole(path, picture)
    say(text("landscape.figure-written", path=str(path)))
