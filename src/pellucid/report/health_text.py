"""What `doctor` found comes in; Markdown leaves, its words in the language in force. Called by the command line and by
users; as plain text a report prints itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from pellucid._text import text
from pellucid.inspection import HealthReport, LayerHealth


def layer_rows(layers: Sequence[LayerHealth]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings, and a row for each layer: spread over rows of what enters and leaves, gradient, dead units, saturated
    values, and how far an update moves it."""
    names = ("layer", "kind", "input", "output", "gradient", "dead", "saturated", "update")
    rows: list[tuple[str, ...]] = [
        (
            layer.name,
            layer.kind,
            f"{layer.input_std:.3g}",
            f"{layer.output_std:.3g}",
            f"{layer.gradient:.3g}",
            _share(layer.dead),
            _share(layer.saturated),
            "" if layer.update_ratio is None else f"{layer.update_ratio:.2g}",
        )
        for layer in layers
    ]
    return tuple(text(f"health.column-{name}") for name in names), rows


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"


def health_markdown(report: HealthReport) -> str:
    """The report as Markdown: the verdict, each diagnosis with what its remedies did, and the layers before training.

    Examples
        >>> from pellucid import data, nn
        >>> _ = pl.manual_seed(0)
        >>> net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
        >>> print(health_markdown(pl.doctor(net, data.two_moons(200), loss="cross_entropy")).splitlines()[2])
        nothing was found
    """
    title, verdict, *_ = str(report).splitlines()
    lines = [f"## {title}", "", verdict]
    for diagnosis in report.diagnoses:
        head, *facts = str(diagnosis).splitlines()
        lines += ["", f"### {head}", "", *(f"- {' '.join(fact.split())}" for fact in facts)]
    if report.layers:
        headings, rows = layer_rows(report.layers)
        rule = [":---", ":---", *["---:"] * (len(headings) - 2)]
        lines += ["", *(f"| {' | '.join(cells)} |" for cells in (headings, rule, *rows))]
    return "\n".join(lines)
