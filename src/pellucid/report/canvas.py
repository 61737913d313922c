"""A width and a height come in; a figure to draw on, the words of its labels and where its PNG goes leave. The figures
of networks are drawn on it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from pellucid._text import catalogue, language, text
from pellucid.report.curves import chinese_font
from pellucid.report.figures import _figure


class Words(Protocol):
    """What says a label's words."""

    def __call__(self, name: str, /, **facts: Any) -> str:
        """The words of a label, filled in."""
        ...


@contextmanager
def canvas(width: float, height: float) -> Iterator[tuple[Any, Words, io.BytesIO]]:
    """A figure without a window, what says a label's words, and where the PNG goes."""
    with _figure(width, height) as (figure, buffer):
        yield figure, word, buffer


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
