"""An attribution comes in; pictures leave as PNG: scores laid over what they are for, or as bars; and text with a
colour for each token. Blue speaks for the explained output, orange against it.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from pellucid._text import language, text
from pellucid._typing import Array
from pellucid.core.check import Integer, Options, check
from pellucid.errors import ArgumentError, IndexRangeError, ShapeError
from pellucid.inspection import Attribution
from pellucid.report.canvas import canvas, finished
from pellucid.report.curves import TRAIN_COLOUR, VALIDATION_COLOUR, chinese_font
from pellucid.report.figures import _drawable

FOR_COLOUR, AGAINST_COLOUR = TRAIN_COLOUR, VALIDATION_COLOUR
_MOST_PICTURES = 24
_WHITE = (255, 255, 255)


def attribution_figure(
    attribution: Attribution,
    names: Sequence[str] | None = None,
    *,
    grid: tuple[int, int] | None = None,
    columns: int = 6,
) -> bytes:
    """Pictures with their scores over them: above what was given, below what speaks for the output (blue) and against
    it (orange), the scores of all channels together. The strongest colour is each picture's largest score.

    Parameters
        names : of the outputs, for the titles; None: their numbers.
        grid : height and width of pictures whose rows are flat, such as (8, 8) for 64 numbers.
        columns : pictures beside each other; at most 24 are drawn
    Returns
        the bytes of a PNG
    Raises
        ArgumentError: the scores are no pictures.
    """
    check("columns", columns, Integer(1))
    pictures, scores = _as_pictures(attribution, grid)
    shown = min(len(pictures), _MOST_PICTURES)
    wide = min(columns, shown)
    # What is wide, such as a spectrogram, is drawn wide.
    width = 1.3 * min(max(pictures.shape[-1] / pictures.shape[-2], 1.0), 2.5)
    wide = min(wide, max(1, int(8.0 / width)))
    down = -(-shown // wide)
    with canvas(width * wide, 3.1 * down + 0.3) as (figure, buffer):
        for n in range(shown):
            row, column = divmod(n, wide)
            above = figure.add_subplot(2 * down, wide, 2 * row * wide + column + 1)
            above.imshow(_drawable(pictures[n]), cmap="gray_r")
            above.set_title(_explained(attribution, n, names), fontsize=7, parse_math=False)
            below = figure.add_subplot(2 * down, wide, (2 * row + 1) * wide + column + 1)
            below.imshow(_pale(pictures[n]), cmap="gray_r", vmin=0, vmax=1)
            below.imshow(_coloured(scores[n]))
            for axes in (above, below):
                axes.set_axis_off()
        figure.suptitle(_title(attribution), fontsize=9)
        return finished(figure, buffer)


def attribution_bars(
    attribution: Attribution, row: int = 0, features: Sequence[str] | None = None, *, most: int = 20
) -> bytes:
    """The scores of one row as bars, the largest first: blue for the explained output, orange against it.

    Parameters
        features : a name for each number of the row; None: its place.
        most : how many are drawn
    Returns
        the bytes of a PNG
    Raises
        IndexRangeError: there is no such row.
        ShapeError: there is not one name for each number.
    """
    check("most", most, Integer(1))
    scores = _row(attribution, row)
    values = scores.ravel()
    if features is not None and len(features) != len(values):
        raise ShapeError("attribution.words", name="features", given=len(features), count=len(values))
    labels = list(features) if features is not None else _places(scores.shape)
    order = np.argsort(-np.abs(values), kind="stable")[:most]
    with canvas(4.6, 0.9 + 0.22 * len(order)) as (figure, buffer):
        axes = figure.add_subplot()
        colours = [FOR_COLOUR if values[n] >= 0 else AGAINST_COLOUR for n in order]
        axes.barh(range(len(order)), values[order], color=colours, height=0.7)
        axes.set_yticks(range(len(order)), [labels[n] for n in order], fontsize=8, parse_math=False)
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.axvline(0, color="0.4", linewidth=0.8)
        chinese = language() == "zh" and chinese_font() is not None
        score = text("attribution.axis-score") if chinese or language() == "en" else text("attribution.latin-score")
        axes.set_xlabel(score, fontsize=8)
        axes.tick_params(axis="x", labelsize=7)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.set_title(f"{_title(attribution)}: {_explained(attribution, row, None)}", fontsize=9, parse_math=False)
        return finished(figure, buffer)


def attribution_text(
    attribution: Attribution,
    tokens: Sequence[str],
    row: int = 0,
    *,
    markup: Literal["ansi", "html"] = "ansi",
) -> str:
    """The tokens of one row, each on the colour of its score: blue for the explained output, orange against it.

    Parameters
        tokens : a word or character for each position; scores of several numbers a position are added up.
        markup : "ansi" for a terminal with true colours, "html" for a page (escaped, with the score as its title).
    Raises
        IndexRangeError: there is no such row.
        ShapeError: there is not one token for each position.
    """
    check("markup", markup, Options("ansi", "html"))
    scores = _row(attribution, row)
    values = scores.reshape(len(scores), -1).sum(axis=1, dtype=np.float64) if scores.ndim else scores.reshape(1)
    if len(tokens) != len(values):
        raise ShapeError("attribution.words", name="tokens", given=len(tokens), count=len(values))
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    pieces = []
    for token, value in zip(tokens, values.tolist(), strict=True):
        red, green, blue = _mixed(value / largest)
        if markup == "html":
            style = f"background:#{red:02x}{green:02x}{blue:02x};color:#000"
            pieces.append(f'<span style="{style}" title="{value:.4g}">{html.escape(token)}</span>')
        else:
            # Of a token nothing may reach the terminal but what is printed.
            plain = "".join(c if c.isprintable() or c == "\n" else "·" for c in token)
            pieces.append(f"\x1b[48;2;{red};{green};{blue}m\x1b[38;2;0;0;0m{plain}\x1b[0m")
    return "".join(pieces)


def _as_pictures(attribution: Attribution, grid: tuple[int, int] | None) -> tuple[Array, Array]:
    """What was given, (N, H, W) or (N, 3, H, W), and its scores, (N, H, W)."""
    given, scores = attribution.inputs, attribution.scores
    if grid is not None and scores.ndim == 2 and scores.shape[1] == grid[0] * grid[1] and given.shape == scores.shape:
        return given.reshape(-1, *grid), scores.reshape(-1, *grid)
    if given.shape != scores.shape or scores.ndim not in (3, 4):
        raise ArgumentError("attribution.figure-shape", shape=scores.shape)
    if scores.ndim == 3:
        return given, scores
    return given if given.shape[1] == 3 else given.mean(axis=1), scores.sum(axis=1)


def _row(attribution: Attribution, row: int) -> Array:
    rows = len(attribution.scores)
    check("row", row, Integer())
    if not 0 <= row < rows:
        raise IndexRangeError("attribution.figure-row", row=row, rows=rows, last=rows - 1)
    found: Array = attribution.scores[row]
    return found


def _places(shape: tuple[int, ...]) -> list[str]:
    return [str(place[0]) if len(place) == 1 else str(place) for place in np.ndindex(*shape)]


def _title(attribution: Attribution) -> str:
    chinese = language() == "zh"
    return attribution.method if chinese and chinese_font() is None else attribution.title


def _explained(attribution: Attribution, row: int, names: Sequence[str] | None) -> str:
    if attribution.outputs is None:
        return ""
    target = attribution.targets[row]
    if names is not None and target.isdigit() and int(target) < len(names):
        target = names[int(target)]
    return f"{target} ({attribution.outputs[row]:.3g})"


def _pale(picture: Array) -> Array:
    """A picture in pale grey, which colours can be seen on."""
    plane = picture.mean(axis=0) if picture.ndim == 3 else picture
    low, high = float(plane.min()), float(plane.max())
    pale: Array = 0.35 * (plane - low) / ((high - low) or 1.0)
    return pale


def _coloured(scores: Array) -> Any:
    """Scores as colours, the more opaque the larger."""
    share = scores / (float(np.abs(scores).max(initial=0.0)) or 1.0)
    ends = np.array([_rgb(FOR_COLOUR), _rgb(AGAINST_COLOUR)]) / 255
    return np.concatenate([ends[(share < 0).astype(int)], 0.9 * np.abs(share)[..., None]], axis=-1)


def _mixed(share: float) -> tuple[int, int, int]:
    """White, as far from it to the colour of the sign as the share says; pale enough for black letters."""
    end = _rgb(FOR_COLOUR if share >= 0 else AGAINST_COLOUR)
    red, green, blue = (round(w + 0.6 * abs(share) * (e - w)) for w, e in zip(_WHITE, end, strict=True))
    return red, green, blue


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
