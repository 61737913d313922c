"""What a network costs comes in; a picture of its layers leaves as PNG: a box each, in the order in which they run,
with the shape of what it gives, its parameters and its multiply-accumulates. `network_figure` draws large networks by
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pellucid._text import text
from pellucid.inspection import CostReport
from pellucid.report.canvas import canvas, finished, shortened, word
from pellucid.report.colours import NEGATIVE, POSITIVE
from pellucid.report.cost_table import Line, cost_lines, quantity

MOST_BOXES, LEAST_BOXES, FINEST = 24, 6, 48
"""Boxes beyond which layers below one name become one; unless too few would be left, and not too many are there."""

_COLUMN, _BOX = 12, 0.52
_KINDS = {
    "conv": "#D6E9F5", "linear": "#FBE3D3", "affine": "#FBE3D3", "norm": "#E4E4E4", "pool": "#D9F0E6",
    "attention": "#F3DDEB", "embedding": "#FFF3C9", "relu": "#F6F6F6", "gelu": "#F6F6F6",
}  # fmt: skip


@dataclass
class Box:
    """A layer, or several equal ones after each other; `placed` where it has its place in their order, as what runs
    outside the layers has not."""

    name: str
    kind: str
    output: str
    parameters: int
    macs: int
    times: int = 1
    placed: bool = True


def boxes(report: CostReport) -> list[Box]:
    """The boxes of a network: what neither computes nor holds anything is left out, equal neighbours are one, and names
    are cut until there are few enough."""
    deepest = max((layer.path.count(".") + 1 for layer in report.layers), default=1)
    found = finer = _joined(_worth_a_box(report, None))
    for depth in range(deepest - 1, 0, -1):
        if len(found) <= MOST_BOXES:
            break
        finer, found = found, _joined(_worth_a_box(report, depth))
    return finer if len(found) < LEAST_BOXES and len(finer) <= FINEST else found


def _worth_a_box(report: CostReport, depth: int | None) -> list[Line]:
    """The lines that compute or hold something; not the little that a block does itself between its layers."""
    lines = cost_lines(report, depth)
    kinds = {layer.path: layer.kind for layer in report.layers}
    found = []
    for line in lines:
        around = line.name not in kinds or any(other.name.startswith(f"{line.name}.") for other in lines)
        if line.parameters or line.work.macs or (line.work.flops and not around):
            line.kind = line.kind or kinds.get(line.name, "")
            found.append(line)
    return found


def _joined(lines: list[Line]) -> list[Box]:
    found: list[Box] = []
    for line in lines:
        placed = line.name != text("cost.role-outside")
        box = Box(line.name, line.kind, line.output, line.parameters, line.work.macs, placed=placed)
        before = found[-1] if found else None
        same = before is not None and (before.kind, before.output, before.parameters, before.macs) == (
            box.kind, box.output, box.parameters, box.macs,
        )  # fmt: skip
        if before is not None and same and box.parameters:
            before.times += 1
            before.name = _range(before.name.partition(" … ")[0], box.name)
        else:
            found.append(box)
    return found


def _range(first: str, last: str) -> str:
    """From one name to another, whose common beginning is not said twice: h.0 … 11."""
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return f"{first} … {last[len(last[:same].rstrip('0123456789')) :]}"


def layers_figure(report: CostReport, title: str | None = None) -> bytes:
    """The layers as boxes, in columns read from top to bottom.

    Parameters
        title : what the network is called; None takes the report's name
    Returns
        the bytes of a PNG
    """
    drawn = boxes(report)
    columns = -(-(len(drawn) + 1) // _COLUMN)
    rows = -(-(len(drawn) + 1) // columns)
    with canvas(0.3 + 3.5 * columns, 1.3 + (_BOX + 0.2) * rows) as (figure, buffer):
        draw_boxes(figure.add_subplot(), report, drawn, rows, title)
        return finished(figure, buffer)


def draw_boxes(axes: Any, report: CostReport, drawn: Sequence[Box], rows: int, title: str | None = None) -> None:
    """Boxes, their words and the arrows between them on axes."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import FancyBboxPatch, Rectangle

    parameters, macs = max(report.parameters, 1), max(report.macs, 1)
    places = [divmod(n, rows) for n in range(len(drawn) + 1)]
    for n, (column, row) in enumerate(places):
        left, top = column * 3.5, row * (_BOX + 0.2)
        if n and drawn[n - 1].placed:
            _arrow(axes, places[n - 1], (column, row))
        box = drawn[n - 1] if n else None
        colour = "white" if box is None else _colour(box.kind)
        axes.add_patch(
            FancyBboxPatch(
                (left, top), 3.1, _BOX, boxstyle="round,pad=0.02", facecolor=colour, edgecolor="0.4", linewidth=0.8
            )
        )
        if box is None:
            given = ", ".join(map(str, report.inputs))
            axes.text(left + 1.55, top + _BOX / 2, f"{word('input')}  {given}", fontsize=7.5, ha="center", va="center")
            continue
        times = f"   × {box.times}" if box.times > 1 else ""
        name = shortened(box.name, 27)
        kind = shortened(box.kind.lstrip("_"), 48 - len(name) - len(times)) if box.kind else ""
        axes.text(left + 0.08, top + 0.16, name, fontsize=7.5, weight="bold", va="center", parse_math=False)
        axes.text(left + 3.02, top + 0.16, f"{kind}{times}", fontsize=7, va="center", ha="right", parse_math=False)
        each = f" × {box.times}" if box.times > 1 else ""
        facts = word("box", parameters=quantity(box.parameters, ""), macs=quantity(box.macs, "")) + each
        axes.text(left + 0.08, top + 0.33, box.output, fontsize=6.5, va="center", color="0.25")
        if box.parameters or box.macs:
            axes.text(left + 3.02, top + 0.33, facts, fontsize=6.5, va="center", ha="right", color="0.25")
        for share, colour, height in (
            (box.times * box.parameters / parameters, POSITIVE, _BOX - 0.085),
            (box.times * box.macs / macs, NEGATIVE, _BOX - 0.04),
        ):
            axes.add_patch(
                Rectangle((left + 0.02, top + height), 3.06 * min(share, 1.0), 0.035, facecolor=colour, linewidth=0)
            )
    columns = places[-1][0] + 1
    axes.set_xlim(-0.1, 3.5 * columns - 0.25)
    axes.set_ylim(rows * (_BOX + 0.2) - 0.05, -0.12)
    axes.set_axis_off()
    total = word("box", parameters=quantity(report.parameters, ""), macs=quantity(report.macs, ""))
    axes.set_title(f"{title or report.name}: {total}", fontsize=10, parse_math=False)
    bars = [
        Line2D([], [], color=POSITIVE, linewidth=3, label=word("share-parameters")),
        Line2D([], [], color=NEGATIVE, linewidth=3, label=word("share-macs")),
    ]
    axes.figure.legend(handles=bars, loc="outside lower center", ncols=2, fontsize=7, frameon=False)


def _arrow(axes: Any, before: tuple[int, int], after: tuple[int, int]) -> None:
    """From a box to the next: down, or up to the head of the next column."""
    style = {"arrowstyle": "-|>", "color": "0.4", "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
    if before[0] == after[0]:
        x = before[0] * 3.5 + 1.55
        start, end = before[1] * (_BOX + 0.2) + _BOX + 0.03, after[1] * (_BOX + 0.2) - 0.03
        axes.annotate("", (x, end), xytext=(x, start), arrowprops=style)
        return
    left, middle = before[0] * 3.5 + 3.13, before[0] * 3.5 + 3.31
    start, end = before[1] * (_BOX + 0.2) + _BOX / 2, after[1] * (_BOX + 0.2) + _BOX / 2
    axes.plot([left, middle, middle], [start, start, end], color="0.4", linewidth=0.8)
    axes.annotate("", (after[0] * 3.5 - 0.03, end), xytext=(middle, end), arrowprops=style)


def _colour(kind: str) -> str:
    plain = kind.lower()
    return next((colour for part, colour in _KINDS.items() if part in plain), "#FFFFFF")
