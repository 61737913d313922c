"""What places of layers see of a picture comes in; a picture of it leaves as PNG, a map for each layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.core.check import Integer, check
from pellucid.errors import ArgumentError
from pellucid.inspection import ReceptiveField
from pellucid.report.canvas import canvas, finished, shortened, word
from pellucid.report.colours import NEGATIVE, POSITIVE

_MOST_FIELDS = 24


def receptive_field_figure(fields: Sequence[ReceptiveField], *, columns: int = 6) -> bytes:
    """A map for each layer: how strongly its place looks at each place of the picture (blue), within the border of what
    it can depend on (orange).

    Parameters
        fields : of `inspection.receptive_field`; at most 24 are drawn
        columns : maps beside each other
    Returns
        the bytes of a PNG
    Raises
        ArgumentError: there is none.
    """
    check("columns", columns, Integer(1))
    if not fields:
        raise ArgumentError("picture.no-layers", name="fields")
    shown = list(fields)[:_MOST_FIELDS]
    rows = -(-len(shown) // columns)
    wide = -(-len(shown) // rows)
    with canvas(max(1.75 * wide + 0.7, 3.4), 2.25 * rows + 0.4) as (figure, buffer):
        drawn = None
        for n, field in enumerate(shown):
            drawn = draw_field(figure.add_subplot(rows, wide, n + 1), field)
        bar = figure.colorbar(drawn, ax=figure.axes, shrink=0.8, fraction=0.03, pad=0.02)
        bar.set_label(word("field-effect"), fontsize=7)
        bar.ax.tick_params(labelsize=6)
        _legend(figure)
        return finished(figure, buffer)


def draw_field(axes: Any, field: ReceptiveField) -> Any:
    """One field on axes; the picture with its colours is returned."""
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    largest = float(field.effective.max(initial=0.0)) or 1.0
    # By its root, so that the faint rim can be seen beside the strong middle.
    blues = LinearSegmentedColormap.from_list("effect", ["#FFFFFF", POSITIVE, "#00263B"])
    drawn = axes.imshow(field.effective / largest, cmap=blues, norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    _border(axes, field.theoretical)
    height, width = field.extent
    layer = shortened(field.layer or field.kind, 22)
    if field.unit is not None:
        layer = f"{layer} [{field.unit}]"
    facts = {"height": height, "width": width, "seen": field.seen, "places": field.effective.size}
    axes.set_title(word("field", layer=layer, **facts), fontsize=7, parse_math=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("0.7")
    return drawn


def _border(axes: Any, mask: Any) -> None:
    """A line around all that is in the mask, hugging each of its places."""
    from matplotlib.collections import LineCollection

    padded = np.pad(mask, 1)
    lines = []
    for i, j in np.argwhere(padded[1:, :] != padded[:-1, :]).tolist():
        lines.append(((j - 1.5, i - 0.5), (j - 0.5, i - 0.5)))
    for i, j in np.argwhere(padded[:, 1:] != padded[:, :-1]).tolist():
        lines.append(((j - 0.5, i - 1.5), (j - 0.5, i - 0.5)))
    axes.add_collection(
        LineCollection(lines, colors=NEGATIVE, linewidths=1.4, clip_on=False, capstyle="round", zorder=5)
    )


def _legend(figure: Any) -> None:
    from matplotlib.lines import Line2D

    line = Line2D([], [], color=NEGATIVE, linewidth=1.4, label=word("field-bound"))
    figure.legend(handles=[line], loc="outside lower center", fontsize=7, frameon=False)
