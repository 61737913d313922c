"""A trained run comes in, as plain values and arrays; a picture of its curves and one HTML page leave. Called by the
command line.

The page is self-contained: pictures are embedded, and nothing is fetched when it is opened.
"""

from __future__ import annotations

from pellucid.report.curves import curves
from pellucid.report.mistakes import class_probabilities
from pellucid.report.page import Report, write_report

__all__ = ["Report", "class_probabilities", "curves", "write_report"]
