"""How a loss curves, its slices, the noise of its gradient or a learning-rate test come in; a PNG of each leaves.
Called by users and notebooks.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pellucid._text import language, text
from pellucid._typing import Array
from pellucid.inspection import Curvature, GradientNoise, Landscape, LearningRateTest
from pellucid.inspection.noise import rows_text
from pellucid.report.curves import TRAIN_COLOUR, VALIDATION_COLOUR, chinese_font


def landscape_figure(report: Landscape) -> bytes:
    """A curve, or contours beside a surface, with the weights in the middle; logarithmic over two decades or more.

    Returns
        the bytes of a PNG
    """
    if report.losses.ndim == 1:
        with _figure(5.2, 3.6) as (figure, word, buffer):
            axes = figure.add_subplot()
            axes.plot(report.offsets, _finite(report.losses), color=TRAIN_COLOUR)
            axes.plot([0], [report.loss], "o", color=VALIDATION_COLOUR, label=word("weights"))
            if _decades(report.losses):
                axes.set_yscale("log")
            _labelled(axes, word("direction"), word("loss"))
            axes.legend(frameon=False, fontsize=8)
            figure.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()
    with _figure(9.4, 4.2) as (figure, word, buffer):
        heights = _finite(report.losses)
        logarithmic = _decades(report.losses)
        if logarithmic:
            heights = np.log10(heights)
        first, second = np.meshgrid(report.offsets, report.offsets, indexing="ij")
        axes = figure.add_subplot(1, 2, 1)
        drawn = axes.contourf(first, second, np.ma.masked_invalid(heights), levels=24, cmap="cividis")
        axes.contour(first, second, np.ma.masked_invalid(heights), levels=12, colors="white", linewidths=0.4)
        axes.plot([0], [0], "o", color=VALIDATION_COLOUR, label=word("weights"))
        axes.set_aspect("equal")
        axes.set_xlabel(word("direction-one"), fontsize=9)
        axes.set_ylabel(word("direction-two"), fontsize=9)
        axes.legend(fontsize=8, loc="upper right")
        bar = figure.colorbar(drawn, ax=axes, shrink=0.85, format=lambda x, _: f"{10**x if logarithmic else x:.3g}")
        bar.set_label(word("loss"), fontsize=9)
        surface = figure.add_subplot(1, 2, 2, projection="3d")
        surface.plot_surface(first, second, heights, cmap="cividis", linewidth=0, rcount=60, ccount=60)
        surface.set_xlabel(word("direction-one"), fontsize=8, labelpad=2)
        surface.set_ylabel(word("direction-two"), fontsize=8, labelpad=5)
        surface.locator_params(axis="x", nbins=4)
        surface.locator_params(axis="y", nbins=4)
        surface.zaxis.set_major_formatter(lambda x, _: f"{10**x if logarithmic else x:.3g}")
        surface.tick_params(labelsize=7, pad=0)
        axes.tick_params(labelsize=8)
        bar.ax.tick_params(labelsize=8)
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def curvature_figure(report: Curvature) -> bytes:
    """The layers' parts of the trace with their standard errors; and the density of the eigenvalues on a logarithmic
    scale, with the largest and the smallest marked, where `density=True` asked for it.

    Returns
        the bytes of a PNG
    """
    parts = 1 if report.density is None else 2
    with _figure(4.8 * parts, max(3.2, 1.4 + 0.22 * len(report.layers))) as (figure, word, buffer):
        axes = figure.add_subplot(1, parts, 1)
        names = [layer.path or report.model for layer in report.layers]
        values = [layer.trace.value for layer in report.layers]
        errors = [layer.trace.standard_error for layer in report.layers]
        colours = [TRAIN_COLOUR if value >= 0 else VALIDATION_COLOUR for value in values]
        axes.barh(range(len(names)), values, xerr=errors, color=colours, ecolor="0.3", height=0.7)
        axes.set_yticks(range(len(names)), names, fontsize=7)
        axes.invert_yaxis()
        _labelled(axes, word("trace"), "")
        if report.density is not None:
            axes = figure.add_subplot(1, parts, 2)
            found = report.density
            # The few large eigenvalues lie thousands of times lower than the many near 0.
            axes.semilogy(found.grid, np.maximum(found.density, 1e-12), color=TRAIN_COLOUR)
            axes.set_ylim(found.density.max() * 1e-5, found.density.max() * 2)
            ends = [*report.eigenvalues.largest, report.eigenvalues.smallest]
            for n, value in enumerate(ends):
                label = word("eigenvalues") if n == 0 else None
                axes.axvline(value, color=VALIDATION_COLOUR, linewidth=0.8, linestyle="--", label=label)
            _labelled(axes, word("eigenvalue"), word("density"))
            axes.legend(frameon=False, fontsize=8)
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def noise_figure(report: GradientNoise) -> bytes:
    """What a step gains at each size of the batch, with the noise scale and its interval; and the scales of the layers.

    Returns
        the bytes of a PNG
    """
    n = report.noise
    with _figure(9.4, max(3.4, 1.4 + 0.22 * len(report.layers))) as (figure, word, buffer):
        axes = figure.add_subplot(1, 2, 1)
        open_ended = not np.isfinite(n.scale)
        middle = max(n.low if open_ended else n.scale, 1.0)
        sizes = np.logspace(0, np.log10(middle) + 2.5, 200)
        # Without an upper end the curve is the highest that there can be.
        label = word("at-least") if open_ended else word("noise-scale")
        axes.semilogx(sizes, 1 / (1 + middle / sizes), color=TRAIN_COLOUR, linestyle=":" if open_ended else "-")
        axes.axvline(middle, color=VALIDATION_COLOUR, linestyle="--", label=f"{label}: {rows_text(middle)}")
        high = n.high if np.isfinite(n.high) else sizes[-1]
        interval = f"{100 * report.confidence:g}%"
        axes.axvspan(max(n.low, 1e-3), high, color=VALIDATION_COLOUR, alpha=0.15, linewidth=0, label=interval)
        axes.set_xlim(sizes[0], sizes[-1])
        axes.set_ylim(0, 1)
        _labelled(axes, word("batch"), word("progress"))
        axes.legend(frameon=False, fontsize=8, loc="lower right")
        axes = figure.add_subplot(1, 2, 2)
        axes.set_xscale("log")
        for place, layer in enumerate(report.layers):
            f = layer.noise
            low = max(f.low, 0.5)
            if np.isfinite(f.scale):
                axes.plot([f.scale], [place], "o", color=TRAIN_COLOUR, markersize=4)
                axes.plot([low, min(f.high, 1e3 * f.scale)], [place, place], color=TRAIN_COLOUR, linewidth=1)
            else:
                # An arrow: from here up, as far as one can tell.
                axes.plot([low, 10 * low], [place, place], color=TRAIN_COLOUR, linewidth=1)
                axes.plot([10 * low], [place], ">", color=TRAIN_COLOUR, markersize=5)
        axes.set_yticks(range(len(report.layers)), [layer.path or report.model for layer in report.layers], fontsize=7)
        axes.set_ylim(len(report.layers) - 0.5, -0.5)
        _labelled(axes, word("noise-scale"), "")
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def learning_rate_figure(report: LearningRateTest) -> bytes:
    """The loss over the learning rate, with the rate that is suggested and the one from which on it diverges.

    Returns
        the bytes of a PNG
    """
    with _figure(5.6, 3.6) as (figure, word, buffer):
        axes = figure.add_subplot()
        axes.plot(report.rates, _finite(report.losses), ".", color="0.7", markersize=4, label=word("batches"))
        axes.plot(report.rates, report.smoothed, color=TRAIN_COLOUR, label=word("smoothed"))
        axes.set_xscale("log")
        if report.suggested is not None:
            label = f"{word('suggested')}: {report.suggested:.2g}"
            axes.axvline(report.suggested, color=VALIDATION_COLOUR, linestyle="--", label=label)
        if report.diverged is not None:
            axes.axvspan(report.diverged, report.rates[-1] * 1.2, color="0.9", label=word("diverged"), linewidth=0)
        # What runs away would leave the rest no room.
        low, high = float(report.smoothed.min()), float(report.smoothed.max())
        room = 0.25 * (high - low) or 0.1
        axes.set_ylim(low - room, high + 2 * room)
        axes.set_xlim(report.rates[0], report.rates[-1] * 1.2)
        _labelled(axes, word("rate"), word("loss"))
        axes.legend(frameon=False, fontsize=8)
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


@contextmanager
def _figure(width: float, height: float) -> Iterator[tuple[Any, Any, io.BytesIO]]:
    """A figure without a window, what says a label's words, and where the PNG goes. Labels are Chinese where that is
    the language and a font for it is installed; otherwise English."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    font = chinese_font() if language() == "zh" else None

    def word(name: str) -> str:
        return text(f"landscape.axis-{name}") if font or language() == "en" else text(f"landscape.latin-{name}")

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    fonts = {"font.family": [font, "DejaVu Sans"] if font else ["DejaVu Sans"], "axes.unicode_minus": False}
    with rc_context(fonts):
        figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, word, io.BytesIO()


def _labelled(axes: Any, x: str, y: str) -> None:
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _finite(values: Array) -> Array:
    """Values without infinities, which no axis can show."""
    result: Array = np.where(np.isfinite(values), values, np.nan)
    return result


def _decades(values: Array) -> bool:
    """Whether positive values span more than two decades."""
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() > 0 and finite.max() > 100 * finite.min())
