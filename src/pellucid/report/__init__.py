"""A trained run comes in, as plain values and arrays; pictures, of its curves and of what it
got wrong, and one HTML page leave. Called by the command line.

The page is self-contained: pictures are embedded, and nothing is fetched when it is opened.
"""

from __future__ import annotations

from pellucid.report.attribution_figure import attribution_bars, attribution_figure, attribution_text
from pellucid.report.cost_figure import cost_figure
from pellucid.report.cost_table import CostTable, cost_markdown, cost_table
from pellucid.report.curves import curves
from pellucid.report.explanation_html import explanation_html, explanation_page
from pellucid.report.explanation_json import explanation_json
from pellucid.report.explanation_latex import explanation_latex
from pellucid.report.explanation_text import explanation_markdown, explanation_text
from pellucid.report.figures import MOST_CLASSES, confusion, kernels, mistakes, sheet
from pellucid.report.health_text import health_markdown, layer_rows
from pellucid.report.landscape_figures import curvature_figure, landscape_figure, learning_rate_figure, noise_figure
from pellucid.report.landscape_text import curvature_markdown, landscape_markdown, noise_markdown
from pellucid.report.mistakes import class_probabilities, worst
from pellucid.report.page import Report, write_report

__all__ = [
    "MOST_CLASSES",
    "CostTable",
    "Report",
    "attribution_bars",
    "attribution_figure",
    "attribution_text",
    "class_probabilities",
    "confusion",
    "cost_figure",
    "cost_markdown",
    "cost_table",
    "curvature_figure",
    "curvature_markdown",
    "curves",
    "explanation_html",
    "explanation_json",
    "explanation_latex",
    "explanation_markdown",
    "explanation_page",
    "explanation_text",
    "health_markdown",
    "kernels",
    "landscape_figure",
    "landscape_markdown",
    "layer_rows",
    "learning_rate_figure",
    "mistakes",
    "noise_figure",
    "noise_markdown",
    "sheet",
    "worst",
    "write_report",
]
