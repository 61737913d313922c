"""What a network costs comes in; a PNG leaves: where its parameters, its work and its activations lie, and, of one that
was measured, how near each layer comes to what the machine can do.
"""

from __future__ import annotations

import io
import logging
from typing import Any

from pellucid._text import language, text
from pellucid.inspection import CostReport
from pellucid.report.cost_table import Line, cost_lines, quantity
from pellucid.report.curves import TRAIN_COLOUR, VALIDATION_COLOUR, chinese_font

_GREEN = "#009E73"
_MOST_LINES = 60


def cost_figure(report: CostReport, depth: int | None = None) -> bytes:
    """Bars of parameters, multiply-accumulates and activations, a line for each layer; of a measured network also its
    roofline: FLOPs a second over FLOPs for each byte, below what the machine reaches.

    Labels are Chinese where that is the language and a font for it is installed; otherwise English.

    Parameters
        depth : how many parts of a layer's name tell lines apart, from 1 up; None for as many as fit
    Returns
        the bytes of a PNG
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    font = chinese_font() if language() == "zh" else None
    lines = _fitting(report, depth)
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with rc_context({"font.family": [font, "DejaVu Sans"] if font else ["DejaVu Sans"], "axes.unicode_minus": False}):
        measured = report.measured is not None
        height = 1.3 + 0.24 * len(lines)
        figure = Figure(figsize=(10, height + (4.2 if measured else 0)), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(2 if measured else 1, 3, height_ratios=[height, 4.2] if measured else [1])
        _bars(figure, grid, lines, font is not None)
        if measured:
            _roofline(figure.add_subplot(grid[1, :]), report, lines, font is not None)
        figure.suptitle(f"{report.name}  {', '.join(map(str, report.inputs))}", fontsize=11)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _fitting(report: CostReport, depth: int | None) -> list[Line]:
    """The lines that have something to show, merged until they fit."""
    lines = cost_lines(report, depth)
    deepest = max((layer.path.count(".") + 1 for layer in report.layers), default=1)
    while depth is None and len(lines) > _MOST_LINES and deepest > 1:
        deepest -= 1
        lines = cost_lines(report, deepest)
    return [line for line in lines if line.parameters or line.work.flops or line.activations]


def _bars(figure: Any, grid: Any, lines: list[Line], chinese: bool) -> None:
    labels = [f"{line.name}  {line.kind}".strip() for line in lines]
    columns = (
        ("parameters", [line.parameters for line in lines], TRAIN_COLOUR),
        ("macs", [line.work.macs for line in lines], VALIDATION_COLOUR),
        ("activations", [line.activations for line in lines], _GREEN),
    )
    first = None
    for n, (name, values, colour) in enumerate(columns):
        axes = figure.add_subplot(grid[0, n], sharey=first)
        first = first or axes
        axes.barh(range(len(lines)), values, color=colour, height=0.7)
        axes.set_title(f"{_word(name, chinese)}: {quantity(sum(values), '')}", fontsize=9)
        axes.xaxis.set_major_formatter(lambda x, _: quantity(x, ""))
        axes.tick_params(labelsize=7, labelleft=n == 0)
        axes.locator_params(axis="x", nbins=4)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
    if first is not None:
        first.set_yticks(range(len(lines)), labels)
        first.set_ylim(len(lines) - 0.4, -0.6)


def _roofline(axes: Any, report: CostReport, lines: list[Line], chinese: bool) -> None:
    machine = report.measured.machine  # type: ignore[union-attr]
    points = [(line.work.intensity, line.work.flops / line.seconds, line.name) for line in lines if line.seconds]
    points = [p for p in points if p[0] > 0]
    low = min([p[0] for p in points] + [machine.ridge / 100]) / 2
    high = max([p[0] for p in points] + [machine.ridge]) * 4
    axes.plot(
        [low, machine.ridge, high],
        [low * machine.bandwidth, machine.peak_flops, machine.peak_flops],
        color="0.3",
        label=_word("roof", chinese),
    )
    axes.scatter([p[0] for p in points], [p[1] for p in points], color=VALIDATION_COLOUR, s=18, zorder=3)
    for x, y, name in points:
        axes.annotate(name, (x, y), fontsize=6, xytext=(3, 3), textcoords="offset points")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(_word("intensity", chinese), fontsize=9)
    axes.set_ylabel("FLOP/s", fontsize=9)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def _word(name: str, chinese: bool) -> str:
    return text(f"cost.axis-{name}") if chinese or language() == "en" else text(f"cost.latin-{name}")
