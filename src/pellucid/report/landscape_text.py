"""How a loss curves, its slices, the noise of its gradient or a learning-rate test come in; Markdown leaves: what their
words say, and a table of the layers where there are any. Called by users and notebooks.
"""

from __future__ import annotations

from collections.abc import Sequence

from pellucid._text import text
from pellucid.inspection import Curvature, GradientNoise, Landscape, LearningRateTest
from pellucid.inspection.noise import rows_text


def curvature_markdown(report: Curvature) -> str:
    """What `curvature` found, and a table of the layers' parts of the traces.

    Examples
        >>> import pellucid as pl
        >>> model = pl.nn.Linear(2, 2)
        >>> report = pl.curvature(model, pl.data.two_moons(20, seed=0), pl.nn.CrossEntropyLoss(), num_probes=4)
        >>> print(curvature_markdown(report).splitlines()[0])
        | layer | parameters | trace | ± | relative trace | ± |
    """
    return _table(*layer_curvature_rows(report)) + _facts(report)


def layer_curvature_rows(report: Curvature) -> tuple[list[str], list[list[str]]]:
    """What each layer has of the traces, as a table: headings and rows."""
    rows = []
    for layer in report.layers:
        numbers = [t for trace in (layer.trace, layer.relative_trace) for t in (trace.value, trace.standard_error)]
        rows.append([_name(layer.path), f"{layer.parameters:,}", *(f"{number:.4g}" for number in numbers)])
    names = ("layer", "parameters", "trace", "error", "relative-trace", "error")
    return [text(f"landscape.column-{name}") for name in names], rows


def noise_markdown(report: GradientNoise) -> str:
    """What `gradient_noise` found, and a table of the layers."""
    return _table(*layer_noise_rows(report)) + _facts(report)


def layer_noise_rows(report: GradientNoise) -> tuple[list[str], list[list[str]]]:
    """The noise in the gradient of each layer, as a table: headings and rows."""
    rows = []
    for layer in report.layers:
        n = layer.noise
        scales = [rows_text(number) for number in (n.scale, n.low, n.high)]
        numbers = [f"{n.gradient_norm_squared:.4g}", f"{n.variance:.4g}", *scales]
        rows.append([_name(layer.path), f"{layer.parameters:,}", *numbers])
    names = ("layer", "parameters", "gradient", "variance", "noise-scale", "low", "high")
    return [text(f"landscape.column-{name}") for name in names], rows


def landscape_markdown(report: Landscape | LearningRateTest) -> str:
    """What `landscape` or `learning_rate_test` found, a point each."""
    return _facts(report)


def _name(path: str) -> str:
    return path or text("landscape.whole")


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = [":---", *["---:"] * (len(headings) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, rule, *rows)) + "\n\n"


def _facts(report: object) -> str:
    return "\n".join(f"- {' '.join(line.split())}" for line in str(report).splitlines())
