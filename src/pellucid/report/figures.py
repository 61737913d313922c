"""What a trained network was given, and what it made of it, comes in; pictures leave as PNG: the confusion matrix, the
worst mistakes, learned kernels, sounds as log-mel spectrograms. The command line lays them beside the curves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid._text import language
from pellucid._typing import Array
from pellucid.errors import ShapeError
from pellucid.report.canvas import canvas, finished
from pellucid.report.colours import signed_map
from pellucid.report.curves import _word, chinese_font
from pellucid.report.mistakes import Mistake

MOST_CLASSES = 30
"""Classes beyond which a confusion matrix is too fine to be read."""

_MOST_KERNELS = 64


def confusion(counts: Array, names: Sequence[str]) -> bytes:
    """A confusion matrix as a PNG: the true class by row, what it was taken for by column.

    Parameters
        counts : (classes, classes), whole numbers
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 1.6 + 0.42 * len(names)
    with canvas(size, size) as (figure, buffer):
        axes = figure.add_subplot()
        # Mistakes are few: the root lets a single one be seen.
        axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1.3)
        for i, j in np.argwhere(counts).tolist():
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=7)
        places = range(len(names))
        upright = 90 if max(map(len, names)) > 2 else 0
        axes.set_xticks(places, _shortened(names), rotation=upright, fontsize=8, parse_math=False)
        axes.set_yticks(places, _shortened(names), fontsize=8, parse_math=False)
        chinese = language() == "zh" and chinese_font() is not None
        axes.set_xlabel(_word("predicted", chinese))
        axes.set_ylabel(_word("true", chinese))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        return finished(figure, buffer)


def mistakes(images: Array, found: Sequence[Mistake], names: Sequence[str], columns: int = 6) -> bytes:
    """The rows that a network got most wrong, as a sheet of pictures with the true class and what it was taken for.

    Parameters
        images : (rows, height, width), or (rows, channels, height, width) with 1 or 3 channels
        found : at least one
    """
    shown = [(images[m.row], f"{names[m.true]} → {names[m.predicted]}\n{m.predicted_probability:.0%}") for m in found]
    return sheet(shown, columns)


def sheet(pictures: Sequence[tuple[Array, str]], columns: int, cmap: str = "gray_r", *, width: float = 1.25) -> bytes:
    """Pictures with a title each, `columns` beside each other; a spectrogram's first row is at the bottom.

    Parameters
        pictures : (height, width), or (channels, height, width) with 1 or 3 channels, and titles
        width : of each, in inches
    """
    rows = -(-len(pictures) // columns)
    wide = min(columns, len(pictures))
    with canvas(width * wide, (width + 0.45) * rows) as (figure, buffer):
        for n, (picture, title) in enumerate(pictures):
            axes = figure.add_subplot(rows, wide, n + 1)
            axes.imshow(
                _drawable(picture),
                cmap=cmap,
                interpolation="nearest",
                origin="lower" if cmap != "gray_r" else "upper",
                aspect="auto" if cmap != "gray_r" else "equal",
            )
            axes.set_title(title, fontsize=7, parse_math=False)
            axes.set_axis_off()
        return finished(figure, buffer)


def kernels(weight: Array, columns: int = 8, *, grid: tuple[int, int] | None = None) -> bytes:
    """What a first layer looks for, one small picture each: orange below 0, white at 0, blue above.

    Parameters
        weight : of a convolution, (out_channels, in_channels, height, width); of several in_channels, each one's
            kernel is drawn. Or of a dense layer, (out_features, in_features)
        grid : height and width of the pictures that a dense layer is given flat; None takes a square
    Returns
        the bytes of a PNG
    Raises
        ShapeError: weights of another shape, or a grid that they do not fill.
    """
    planes = _planes(weight, grid)[:_MOST_KERNELS]
    rows, wide = -(-len(planes) // columns), min(columns, len(planes))
    largest = float(np.abs(planes).max()) or 1.0
    with canvas(0.7 * wide, 0.7 * rows) as (figure, buffer):
        for n, plane in enumerate(planes):
            axes = figure.add_subplot(rows, wide, n + 1)
            axes.imshow(plane, cmap=signed_map(), vmin=-largest, vmax=largest)
            axes.set_axis_off()
        return finished(figure, buffer)


def _planes(weight: Array, grid: tuple[int, int] | None) -> Array:
    """Weights as pictures, (count, height, width)."""
    if weight.ndim == 4 and weight.size:
        return weight.reshape(-1, *weight.shape[2:])
    if weight.ndim == 2 and weight.size:
        side = round(weight.shape[1] ** 0.5)
        height, width = (side, side) if grid is None else grid
        if height * width == weight.shape[1]:
            return weight.reshape(-1, height, width)
    raise ShapeError("picture.kernels", shape=weight.shape, grid="-" if grid is None else grid)


def _shortened(names: Sequence[str], limit: int = 14) -> list[str]:
    return [name if len(name) <= limit else name[: limit - 1] + "…" for name in names]


def _drawable(picture: Array) -> Array:
    if picture.ndim == 2:
        return picture
    if len(picture) == 3:
        low, high = picture.min(), picture.max()
        scaled: Array = np.moveaxis((picture - low) / (high - low or 1.0), 0, -1)
        return scaled
    plane: Array = picture[0]
    return plane
