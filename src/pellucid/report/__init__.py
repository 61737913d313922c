"""A trained run comes in, as plain values and arrays; pictures, of its curves and of what it
got wrong, and one HTML page leave. Called by the command line.

The page is self-contained: pictures are embedded, and nothing is fetched when it is opened.
"""

from __future__ import annotations

from pellucid.report.activation_figure import activation_figure
from pellucid.report.attention_figure import attention_figure
from pellucid.report.attribution_figure import attribution_bars, attribution_figure, attribution_text
from pellucid.report.boundary_figure import boundary_figure
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
from pellucid.report.landscape_text import (
    curvature_markdown,
    landscape_markdown,
    layer_curvature_rows,
    layer_noise_rows,
    noise_markdown,
)
from pellucid.report.layers_figure import layers_figure
from pellucid.report.mistakes import class_probabilities, worst
from pellucid.report.network_figure import network_figure
from pellucid.report.page import Report, write_report
from pellucid.report.receptive_field_figure import receptive_field_figure
from pellucid.report.signal_figures import gradient_flow_figure, histogram_figure

__all__ = [
    "MOST_CLASSES",
    "CostTable",
    "Report",
    "activation_figure",
    "attention_figure",
    "attribution_bars",
    "attribution_figure",
    "attribution_text",
    "boundary_figure",
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
    "gradient_flow_figure",
    "health_markdown",
    "histogram_figure",
    "kernels",
    "landscape_figure",
    "landscape_markdown",
    "layer_curvature_rows",
    "layer_noise_rows",
    "layer_rows",
    "layers_figure",
    "learning_rate_figure",
    "mistakes",
    "network_figure",
    "noise_figure",
    "noise_markdown",
    "receptive_field_figure",
    "sheet",
    "worst",
    "write_report",
]
