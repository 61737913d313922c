"""All that a run was and came to comes in as a `Report`; one HTML page leaves, in the language in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pellucid._text import language, text
from pellucid._typing import Array
from pellucid.core.paths import write_whole
from pellucid.report.mistakes import class_probabilities, data_uri, picture, worst
from pellucid.train.classification import confusion_matrix, true_labels

_LARGEST_MATRIX = 30


@dataclass(frozen=True)
class Report:
    """What the page shows.

    Attributes
        title : the data set's name
        tables : the tables of `run.toml`: run, data, settings, network, results
        network : the network as it prints itself
        picture : PNG of the curves
        outputs, targets : of the test part
        num_classes : None for a regression, which has no confusion matrix
        class_names : of each class, or None
        images : the test rows as images (rows, height, width), or None
        probabilities : whether the outputs are probabilities or their logarithms, rather than scores
        findings : what the checks said before training
        sample : what a language model wrote of its own
    """

    title: str
    tables: dict[str, dict[str, Any]]
    network: str
    picture: bytes
    outputs: Array
    targets: Array
    num_classes: int | None = None
    class_names: Sequence[str] | None = None
    images: Array | None = None
    probabilities: bool = False
    findings: Sequence[str] = field(default_factory=tuple)
    sample: str = ""


def write_report(path: Path, report: Report) -> None:
    """Write the page.

    Raises
        MissingFileError, FileAccessError: it cannot be written there.
    """
    write_whole(path, page(report).encode())


def page(report: Report) -> str:
    """The page as text."""
    from importlib.resources import files

    from jinja2 import Environment, StrictUndefined

    # Names of classes and files are the user's: everything is escaped.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("pellucid.report").joinpath("page.html.jinja").read_text("utf-8"))
    return template.render(
        language="zh-CN" if language() == "zh" else "en",
        words=lambda entry, **facts: text(f"report.{entry}", **facts),
        report=report,
        curves=data_uri(report.picture),
        headline=_headline(report.tables["results"], "val" if report.sample else "test"),
        part="validation" if report.sample else "test",
        tables={name: _shown(report.tables[name]) for name in ("results", "settings", "network", "data", "run")},
        **_classes(report),
    )


def _headline(results: dict[str, Any], part: str) -> list[tuple[str, str]]:
    """The numbers of the part that counts, the metrics before the loss."""
    tests = [(n.removeprefix(f"{part}_"), value) for n, value in results.items() if n.startswith(f"{part}_")]
    ordered = [t for t in tests if t[0] != "loss"] + [t for t in tests if t[0] == "loss"]
    return [(name, f"{value:.4g}") for name, value in ordered]


def _shown(table: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for name, value in table.items():
        if value is None:
            continue
        if isinstance(value, float):
            words = f"{value:.6g}"
        elif isinstance(value, bool):
            words = text("report.yes") if value else text("report.no")
        elif isinstance(value, int) and name != "seed":
            words = f"{value:,}"
        else:
            words = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        rows.append((name, words))
    return rows


def _classes(report: Report) -> dict[str, Any]:
    """The confusion matrix and the worst mistakes; neither for a regression."""
    if report.num_classes is None or not len(report.targets):
        return {"matrix": None, "mistakes": [], "names": []}
    labels = true_labels(report.targets, len(report.targets))
    probabilities = class_probabilities(report.outputs, report.probabilities)
    names = list(report.class_names or map(str, range(report.num_classes)))
    matrix = None
    if report.num_classes <= _LARGEST_MATRIX:
        counts = confusion_matrix(probabilities, labels, num_classes=report.num_classes)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        # Mistakes are few: the root lets a single one be seen.
        shades = np.where(np.eye(len(counts), dtype=bool), 0.75 * shares, 0.9 * np.sqrt(shares)).round(3)
        matrix = [list(zip(*row, strict=True)) for row in zip(counts.tolist(), shades.tolist(), strict=True)]
    mistakes = []
    for mistake in worst(probabilities, labels):
        image = None
        if report.images is not None and report.images[mistake.row].ndim == 2:
            image = picture(report.images[mistake.row])
        mistakes.append(
            {
                "row": mistake.row,
                "true": names[mistake.true],
                "predicted": names[mistake.predicted],
                "true_probability": f"{mistake.true_probability:.1%}",
                "predicted_probability": f"{mistake.predicted_probability:.1%}",
                "image": image,
            }
        )
    return {"matrix": matrix, "mistakes": mistakes, "names": names}
