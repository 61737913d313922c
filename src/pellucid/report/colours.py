"""The colours of signs and of classes, which colour-blind readers can tell apart: orange below zero, blue above."""

from __future__ import annotations

from typing import Any

from pellucid.report.curves import TRAIN_COLOUR, VALIDATION_COLOUR

POSITIVE, NEGATIVE = TRAIN_COLOUR, VALIDATION_COLOUR
CLASS_COLOURS = (
    "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A7400", "#5B5B5B", "#7B3F99", "#A0522D",
)  # fmt: skip
"""Okabe and Ito's palette, without its yellow and black, which stand out too little or too much, and four more."""


def signed_map() -> Any:
    """Colours for signed numbers: orange below 0, white at 0, blue above."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("signed", [NEGATIVE, "#FFFFFF", POSITIVE])
