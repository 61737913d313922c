"""The history of a run comes in; a PNG of its curves leaves: the loss, and the metric to go by, for training and
validation."""

from __future__ import annotations

import io
import logging
from typing import Any

from pellucid._text import language, text
from pellucid.train import History

TRAIN_COLOUR, VALIDATION_COLOUR = "#0072B2", "#D55E00"
"""Blue and vermilion of Okabe and Ito's palette, which colour-blind readers can tell apart."""

CJK_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "SimHei",
    "Arial Unicode MS",
)


def curves(history: History, metric: str | None = None) -> bytes:
    """The curves as a PNG.

    Labels are Chinese where that is the language and a font for it is installed; otherwise English, since boxes say
    nothing.

    Parameters
        history : at least one epoch
        metric : the metric drawn beside the loss; None draws the loss alone
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    font = chinese_font() if language() == "zh" else None
    names = ["loss", *([metric] if metric is not None and metric in history else [])]
    # Chinese fonts often come in one weight, which matplotlib would report on the terminal.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    # The figure is made without pyplot, so that no window system is looked for and no state is left behind.
    with rc_context({"font.family": [font, "DejaVu Sans"] if font else ["DejaVu Sans"], "axes.unicode_minus": False}):
        figure = Figure(figsize=(4.6 * len(names), 3.4), dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        for i, name in enumerate(names):
            axes = figure.add_subplot(1, len(names), i + 1)
            _draw(axes, history, name, chinese=font is not None)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw(axes: Any, history: History, name: str, *, chinese: bool) -> None:
    epochs = range(1, len(history) + 1)
    marker = "o" if len(history) == 1 else None
    axes.plot(epochs, _numbers(history[name]), color=TRAIN_COLOUR, marker=marker, label=_word("train", chinese))
    held_out = f"val_{name}"
    if held_out in history:
        label = _word("validation", chinese)
        # Dashed as well, for print in black and white.
        axes.plot(
            epochs, _numbers(history[held_out]), color=VALIDATION_COLOUR, marker=marker, linestyle="--", label=label
        )
    if history.restored_epoch is not None:
        axes.axvline(history.restored_epoch + 1, color="0.6", linewidth=0.8, label=_word("restored", chinese))
    if name == "loss" and _spans_decades(history, name):
        axes.set_yscale("log")
    axes.set_xlabel(_word("epoch", chinese))
    axes.set_title(_word(name, chinese) if name in ("loss", "accuracy") else name, fontsize=11)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)


def _numbers(curve: list[Any]) -> list[float]:
    return [float("nan") if value is None else float(value) for value in curve]


def _spans_decades(history: History, name: str) -> bool:
    """Whether a logarithmic axis shows more: positive values over more than two decades."""
    values = [v for key in (name, f"val_{name}") if key in history for v in history[key] if v is not None and v == v]
    return bool(values) and min(values) > 0 and max(values) / min(values) > 100


def _word(name: str, chinese: bool) -> str:
    return text(f"report.axis-{name}") if chinese or language() == "en" else text(f"report.latin-{name}")


def chinese_font() -> str | None:
    """The first installed font that has Chinese characters."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in CJK_FONTS if name in installed), None)
