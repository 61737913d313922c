"""How the results and gradients of each layer are distributed comes in; pictures leave as PNG: their histograms, and
how long the gradient is from the first layer to the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.errors import ArgumentError
from pellucid.inspection import Histogram, LayerSignals, Signals
from pellucid.report.canvas import canvas, finished, plain, shortened, word
from pellucid.report.colours import NEGATIVE, POSITIVE

MOST_LAYERS = 16
"""Layers beyond which histograms are drawn of those with parameters, and of these evenly from first to last."""
_MOST_FLOW = 60


def histogram_figure(signals: Signals) -> bytes:
    """Histograms of each layer's results and, where there was a loss, of the loss's gradients by them.

    Zeros have no bar, since a ReLU's would dwarf all others; their share is written beside it.

    Parameters
        signals : of `inspection.signals`
    Returns
        the bytes of a PNG
    Raises
        ArgumentError: the network has no layer that computes.
    """
    if not signals.layers:
        raise ArgumentError("picture.no-layers", name="signals")
    shown = _chosen(signals.layers)
    logarithmic = any(_is_needle(layer.gradients) for layer in shown)
    columns = 1 if all(layer.gradients is None for layer in shown) else 2
    with canvas(1.7 + 3.1 * columns, 0.95 + 0.72 * len(shown)) as (figure, buffer):
        grid = figure.subplots(len(shown), columns, squeeze=False)
        for row, layer in zip(grid, shown, strict=True):
            draw_histogram(row[0], layer.results, POSITIVE)
            if columns == 2 and layer.gradients is not None:
                draw_histogram(row[1], layer.gradients, NEGATIVE, logarithmic)
            elif columns == 2:
                row[1].text(0.5, 0.5, word("no-gradient"), transform=row[1].transAxes, ha="center", fontsize=7)
                row[1].set_yticks([])
            row[0].set_ylabel(
                _label(layer, 20), rotation=0, ha="right", va="center", fontsize=7, labelpad=6, parse_math=False
            )
        grid[0][0].set_title(word("results"), fontsize=9)
        if columns == 2:
            grid[0][1].set_title(word("gradients-log" if logarithmic else "gradients"), fontsize=9)
        few = len(shown) < len(signals.layers)
        facts = {"name": signals.model, "rows": f"{signals.rows:,}"}
        title = (
            word("signals-some", shown=len(shown), count=len(signals), **facts)
            if few
            else word("signals-title", **facts)
        )
        figure.suptitle(title, fontsize=10, parse_math=False)
        return finished(figure, buffer)


def draw_histogram(axes: Any, found: Histogram, colour: str, logarithmic: bool = False) -> None:
    """One distribution on axes, with what it does not show beside it; the height of bars may be logarithmic."""
    widths = np.diff(found.edges)
    total = int(found.counts.sum())
    if total:
        axes.bar(found.edges[:-1], found.counts / total, width=widths, align="edge", color=colour, linewidth=0)
        axes.set_xlim(found.edges[0], found.edges[-1])
        axes.axvline(0, color="0.4", linewidth=0.7)
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter(lambda x, _: f"{x:.6g}".replace("-", "−"))
        if logarithmic:
            axes.set_yscale("log")
            axes.minorticks_off()
            axes.set_ylim(0.5 / total, 1.5)
    else:
        axes.set_xticks([])
    notes = [] if total else [word("all-zero")] if found.zeros else []
    if total and found.zeros:
        notes.append(word("zeros", share=_percent(found.zeros / found.size)))
    if found.not_finite:
        notes.append(word("not-finite", count=f"{found.not_finite:,}"))
    if notes:
        axes.text(
            0.985, 0.93, "\n".join(notes), transform=axes.transAxes, ha="right", va="top", fontsize=6.5,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )  # fmt: skip
    axes.set_yticks([])
    axes.tick_params(axis="x", labelsize=6.5, pad=1.5, length=2)
    axes.xaxis.get_offset_text().set_fontsize(6)
    axes.spines[["top", "right", "left"]].set_visible(False)


def gradient_flow_figure(signals: Signals) -> bytes:
    """How long the loss's gradient is in each layer, from the first to the last: by the layer's results, and by its
    parameters where it has any; on a logarithmic scale. Lengths of 0 stand at the lower edge as crosses, those that are
    not finite at the upper one as triangles.

    Parameters
        signals : of `inspection.signals` with a loss
    Returns
        the bytes of a PNG
    Raises
        ArgumentError: there was no loss, or no layer.
    """
    if signals.loss is None:
        raise ArgumentError("picture.no-signals")
    if not signals.layers:
        raise ArgumentError("picture.no-layers", name="signals")
    shown = signals.layers if len(signals) <= _MOST_FLOW else _chosen(signals.layers, _MOST_FLOW)
    longest = max(len(_label(layer, 24, joint=" ")) for layer in shown)
    with canvas(min(14.0, max(4.6, 1.2 + 0.3 * len(shown))), 2.7 + 0.065 * longest) as (figure, buffer):
        draw_gradient_flow(figure.add_subplot(), signals, shown)
        return finished(figure, buffer)


def draw_gradient_flow(axes: Any, signals: Signals, shown: Sequence[LayerSignals]) -> None:
    """The lengths of the gradients on axes."""
    lines = (
        ("by-results", [layer.gradient_norm for layer in shown], POSITIVE, "o", "-"),
        ("by-weights", [layer.weight_gradient_norm for layer in shown], NEGATIVE, "s", "--"),
    )
    lengths = [v for _, values, *_ in lines for v in values if v is not None and 0 < v < np.inf]
    floor, ceiling = min(lengths, default=1e-3) / 3, max(lengths, default=1.0) * 1.6
    for name, values, colour, marker, style in lines:
        places = [n for n, v in enumerate(values) if v is not None]
        heights = [float(v) for v in values if v is not None]
        if not places:
            continue
        drawn = [h if 0 < h < np.inf else np.nan for h in heights]
        axes.plot(
            places, drawn, color=colour, marker=marker, markersize=4, linestyle=style, linewidth=1.2, label=word(name)
        )
        gone = [n for n, h in zip(places, heights, strict=True) if h == 0]
        axes.plot(gone, [floor] * len(gone), "x", color=colour, markersize=6)
        lost = [n for n, h in zip(places, heights, strict=True) if not np.isfinite(h)]
        if lost:
            axes.plot(lost, [ceiling] * len(lost), "^", color=colour, markersize=6, label=word("lost"))
    axes.set_yscale("log")
    if lengths:
        axes.set_ylim(floor * 0.7, max(lengths) * 3)
    plain(axes)
    axes.set_xticks(
        range(len(shown)), [_label(layer, 24, joint=" ") for layer in shown], rotation=90, fontsize=7, parse_math=False
    )
    axes.set_xlim(-0.6, len(shown) - 0.4)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_ylabel(word("gradient-norm"), fontsize=8)
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper left")
    title = word("signals-title", name=signals.model, rows=f"{signals.rows:,}")
    axes.set_title(title, fontsize=9, parse_math=False)


def _is_needle(found: Histogram | None) -> bool:
    """Whether most numbers lie in one bin, so that the others cannot be seen beside it."""
    return found is not None and found.counts.sum() > 100 and found.counts.max() > 0.6 * found.counts.sum()


def _chosen(layers: Sequence[LayerSignals], most: int = MOST_LAYERS) -> list[LayerSignals]:
    """All layers, or those with parameters, or of these some, evenly with the first and the last."""
    if len(layers) <= most:
        return list(layers)
    own = [layer for layer in layers if layer.parameters or layer is layers[-1]]
    if len(own) <= most:
        return own
    return [own[n] for n in np.linspace(0, len(own) - 1, most).round().astype(int)]


def _label(layer: LayerSignals, limit: int, joint: str = "\n") -> str:
    kind = layer.kind if len(layer.kind) <= limit else layer.kind[: limit - 1] + "…"
    return joint.join(part for part in (shortened(layer.path, limit), kind) if part)


def _percent(share: float) -> str:
    """A share in percent, never rounded to none or to all."""
    if 0 < share < 0.001:
        return "<0.1 %"
    return ">99.9 %" if 0.999 < share < 1 else f"{100 * share:.3g} %"
