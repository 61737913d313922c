"""A size comes in; a figure without a window leaves, with a function that says labels in the language in force and the
place where its PNG goes. Every experiment draws through here.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pellucid._text import catalogue, language, text
from pellucid.report.canvas import plain
from pellucid.report.curves import TRAIN_COLOUR, VALIDATION_COLOUR, chinese_font

BLUE, ORANGE, GREEN, PURPLE, GREY = TRAIN_COLOUR, VALIDATION_COLOUR, "#009E73", "#CC79A7", "#777777"
"""Okabe and Ito's palette, which colour-blind readers can tell apart."""


@contextmanager
def drawing(width: float, height: float) -> Iterator[tuple[Any, Callable[[str], str], io.BytesIO]]:
    """A figure of width x height inches, the words of its labels (`lab.axis-NAME`), and a buffer that holds its PNG
    afterwards. Labels are Chinese where that is the language and a font for it is installed; otherwise English, since
    boxes say nothing.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    font = chinese_font() if language() == "zh" else None

    def word(name: str) -> str:
        if font is None and language() == "zh":
            words = catalogue("lab")[f"axis-{name}"]["text"]
            return str(words if isinstance(words, str) else words["en"])
        return text(f"lab.axis-{name}")

    # Chinese fonts often come in one weight, which matplotlib would report on the terminal.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    # As families, and not as the list of one family: so a character that the first font lacks is taken from the second.
    fonts = {"font.family": [font, "DejaVu Sans"] if font else ["DejaVu Sans"], "axes.unicode_minus": False}
    buffer = io.BytesIO()
    with rc_context(fonts):
        figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, word, buffer
        figure.savefig(buffer, format="png", metadata={"Software": None})


def label(axes: Any, x: str = "", y: str = "", title: str = "") -> None:
    """Names of the axes and a title, a light grid, and no frame above and to the right."""
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    if title:
        axes.set_title(title, fontsize=10)
    axes.tick_params(which="both", labelsize=8)
    plain(axes)
