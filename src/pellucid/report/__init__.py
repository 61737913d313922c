"""A trained run comes in, as plain values and arrays; pictures, of its curves and of what it
got wrong, and one HTML page leave. Called by the command line.

The page is self-contained: pictures are embedded, and nothing is fetched when it is opened.
"""

from __future__ import annotations

from pellucid.report.cost_figure import cost_figure
from pellucid.report.cost_table import CostTable, cost_markdown, cost_table
from pellucid.report.curves import curves
from pellucid.report.figures import MOST_CLASSES, confusion, kernels, mistakes, sheet
from pellucid.report.mistakes import class_probabilities, worst
from pellucid.report.page import Report, write_report

__all__ = [
    "MOST_CLASSES",
    "CostTable",
    "Report",
    "class_probabilities",
    "confusion",
    "cost_figure",
    "cost_markdown",
    "cost_table",
    "curves",
    "kernels",
    "mistakes",
    "sheet",
    "worst",
    "write_report",
]
