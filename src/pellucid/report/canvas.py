"""A width and a height come in; a figure to draw on and where its PNG goes leave. And what its labels say. The figures
of networks, of runs and of attributions are drawn on it.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pellucid._text import catalogue, language, text
from pellucid.report.curves import chinese_font


@contextmanager
def canvas(width: float, height: float) -> Iterator[tuple[Any, io.BytesIO]]:
    """A figure of width x height inches without a window, and where its PNG goes."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    # Names of classes are the user's, in whatever script; a character that no font has is drawn as a box. Only a list
    # of families is looked through for a character: of a generic family the first font is all there is.
    font = chinese_font()
    fonts = {"font.family": ["DejaVu Sans", *([font] if font else [])]}
    with rc_context(fonts), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure = Figure(figsize=(width, height), dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, io.BytesIO()


def word(name: str, /, **facts: Any) -> str:
    """The words of a label: Chinese where that is the language and a font for it is installed; otherwise English, since
    boxes say nothing."""
    if language() == "en" or chinese_font() is not None:
        return text(f"picture.axis-{name}", **facts)
    entry = catalogue("picture")[f"axis-{name}"]["text"]
    english: str = entry if isinstance(entry, str) else entry["en"]
    return english.format(**facts)


def finished(figure: Any, buffer: io.BytesIO) -> bytes:
    """The bytes of the PNG."""
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def plain(axes: Any) -> None:
    """Axes with a faint grid and no frame at the top and the right."""
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def shortened(name: str, limit: int) -> str:
    """A name that is not longer than `limit` characters: of a long one its end, which tells layers apart."""
    return name if len(name) <= limit else "…" + name[1 - limit :]
