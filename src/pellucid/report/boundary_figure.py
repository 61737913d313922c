"""What a network gives over a plane, and the rows in it, come in; a picture leaves as PNG: the regions of the classes
with the boundary between them, or the surface of a regression.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Integer, check
from pellucid.errors import ArgumentError, ModelError, ShapeError
from pellucid.inspection import DecisionSurface
from pellucid.report.canvas import canvas, finished, word
from pellucid.report.colours import CLASS_COLOURS
from pellucid.report.figures import MOST_CLASSES, _shortened
from pellucid.report.mistakes import class_probabilities

_MOST_POINTS = 2000


def boundary_figure(
    surface: DecisionSurface,
    x: Array | None = None,
    targets: Array | None = None,
    *,
    num_classes: int | None = None,
    probabilities: bool = False,
    class_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    title: str | None = None,
) -> bytes:
    """The plane in the colours of the likeliest class, the stronger the surer the network is, with the boundary as a
    line; or, of a regression, its value as colour and contours. Rows lie over it in the colour of what they are.

    Parameters
        surface : of `inspection.decision_surface`
        x, targets : rows (N, 2), and the class or the number of each; at most 2,000 are drawn
        num_classes : of a classifier; one output of two classes is the score of class 1. None is a regression
        probabilities : whether outputs are probabilities or their logarithms already
        class_names, feature_names : for the legend and the axes
    Returns
        the bytes of a PNG
    Raises
        ShapeError: there is not one target for each row.
        ArgumentError: a regression of several outputs, too many classes, another number of classes than of outputs, or
            of names.
        ModelError: a classifier's outputs are not finite.
    """
    check("num_classes", num_classes, Integer(2, MOST_CLASSES, none=True))
    if num_classes is None and surface.num_outputs != 1:
        raise ArgumentError("picture.boundary-outputs", outputs=surface.num_outputs)
    if num_classes is not None and surface.num_outputs != num_classes and (num_classes, surface.num_outputs) != (2, 1):
        raise ArgumentError("picture.boundary-classes", classes=num_classes, outputs=surface.num_outputs)
    for name, given, count in (("class_names", class_names, num_classes), ("feature_names", feature_names, 2)):
        if given is not None and len(given) != count:
            raise ArgumentError("picture.boundary-names", name=name, given=len(given), count=count)
    if num_classes is not None and not np.isfinite(surface.outputs).all():
        raise ModelError("picture.not-finite", what=surface.model)
    rows = None if x is None else np.asarray(x)
    labels = None if targets is None or rows is None else np.asarray(targets).reshape(-1)
    if rows is not None and (rows.ndim != 2 or rows.shape[1] != 2 or (labels is not None and len(labels) != len(rows))):
        raise ShapeError("picture.boundary-targets", x=rows.shape, y="-" if labels is None else labels.shape)
    if rows is not None and len(rows) > _MOST_POINTS:
        # At random: every second of rows whose classes take turns would be of one class.
        drawn = np.sort(np.random.default_rng(0).permutation(len(rows))[:_MOST_POINTS])
        rows, labels = rows[drawn], None if labels is None else labels[drawn]
    with canvas(5.6, 4.4) as (figure, buffer):
        axes = figure.add_subplot()
        if num_classes is None:
            draw_surface(axes, surface, rows, labels)
        else:
            names = list(class_names) if class_names is not None else [str(n) for n in range(num_classes)]
            draw_regions(axes, surface, rows, labels, names, probabilities)
        axes.set_xlim(surface.first[0], surface.first[-1])
        axes.set_ylim(surface.second[0], surface.second[-1])
        features = list(feature_names) if feature_names is not None else [word("first"), word("second")]
        axes.set_xlabel(features[0], fontsize=9, parse_math=False)
        axes.set_ylabel(features[1], fontsize=9, parse_math=False)
        axes.tick_params(labelsize=8)
        axes.set_title(title or surface.model, fontsize=10, parse_math=False)
        return finished(figure, buffer)


def draw_regions(
    axes: Any, surface: DecisionSurface, rows: Array | None, labels: Array | None, names: Sequence[str], given: bool
) -> None:
    """The regions of the classes, the boundary and the rows on axes."""
    from matplotlib.colors import to_rgb
    from matplotlib.lines import Line2D

    side = surface.outputs.shape[:2]
    shares = class_probabilities(surface.outputs.reshape(-1, surface.num_outputs), given)
    best = shares.argmax(axis=1)
    palette = np.array([to_rgb(_colour(n)) for n in range(shares.shape[1])])
    # At chance level the plane is nearly white, where the network is sure it has most of the colour.
    chance = 1 / shares.shape[1]
    sure = np.clip((shares.max(axis=1) - chance) / (1 - chance), 0, 1)[:, None]
    strength = 0.12 + 0.45 * sure
    colours = (1 - strength) + strength * palette[best]
    extent = _extent(surface)
    axes.imshow(colours.reshape(*side, 3), extent=extent, origin="lower", aspect="auto", interpolation="bilinear")
    for n in range(shares.shape[1]):
        others = np.delete(shares, n, axis=1).max(axis=1)
        margin = (shares[:, n] - others).reshape(side)
        if margin.min() < 0 < margin.max():
            axes.contour(surface.first, surface.second, margin, levels=[0], colors="0.15", linewidths=1.3)
    handles = [Line2D([], [], color="0.15", linewidth=1.3, label=word("boundary"))]
    for n, name in enumerate(_shortened(names, 18)):
        style: dict[str, Any] = {
            "marker": _marker(n),
            "color": _colour(n),
            "markeredgecolor": "white",
            "markeredgewidth": 0.6,
        }
        if rows is not None and labels is not None:
            own = rows[labels == n]
            axes.plot(own[:, 0], own[:, 1], linestyle="", markersize=4.5, **style)
        handles.append(Line2D([], [], linestyle="", markersize=6, label=name.replace("$", r"\$"), **style))
    if rows is not None and labels is None:
        axes.plot(rows[:, 0], rows[:, 1], linestyle="", marker="o", markersize=3, color="0.3")
    axes.legend(
        handles=handles,
        fontsize=8,
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        ncols=1 + len(names) // 16,
    )


def draw_surface(axes: Any, surface: DecisionSurface, rows: Array | None, values: Array | None) -> None:
    """The value of a regression and the rows on axes; both in the same colours."""
    heights = surface.outputs[..., 0].astype(np.float64)
    finite = heights[np.isfinite(heights)]
    every = np.concatenate([finite, values.astype(np.float64)]) if values is not None else finite
    low, high = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    high = high if high > low else low + 1.0
    drawn = axes.imshow(
        heights, extent=_extent(surface), origin="lower", aspect="auto", cmap="cividis", vmin=low, vmax=high
    )
    if finite.size and finite.max() > finite.min():
        lines = axes.contour(
            surface.first, surface.second, np.ma.masked_invalid(heights), levels=8, colors="white", linewidths=0.6
        )
        axes.clabel(lines, fontsize=6, fmt=lambda v: f"{v:.3g}")
    if rows is not None:
        colours: Any = "0.3" if values is None else values
        axes.scatter(
            rows[:, 0],
            rows[:, 1],
            c=colours,
            cmap="cividis",
            vmin=low,
            vmax=high,
            s=18,
            edgecolors="white",
            linewidths=0.5,
        )
    bar = axes.figure.colorbar(drawn, ax=axes)
    bar.set_label(word("output"), fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _extent(surface: DecisionSurface) -> tuple[float, float, float, float]:
    """The edges of the plane, so that each value lies in the middle of its pixel."""
    first, second = surface.first, surface.second
    x, y = (first[1] - first[0]) / 2, (second[1] - second[0]) / 2
    return float(first[0] - x), float(first[-1] + x), float(second[0] - y), float(second[-1] + y)


def _colour(number: int) -> str:
    return CLASS_COLOURS[number % len(CLASS_COLOURS)]


def _marker(number: int) -> str:
    return "os^Dv<>Pp*"[(number + number // 10) % 10]
