"""The report: one self-contained page with the numbers of the run, whatever names the user chose."""

import base64
import html.parser
import re
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid.report import Report, class_probabilities, write_report
from pellucid.report.mistakes import picture, worst
from pellucid.report.page import page

pytest.importorskip("jinja2")

PNG = b"\x89PNG\r\n\x1a\n"
TABLES = {
    "run": {"started": "2026-01-02T03:04:05+00:00", "pellucid": "1.2.3"},
    "data": {"name": "pets", "x_shape": [4, 2]},
    "settings": {"lr": 0.1, "seed": 12345, "patience": "none"},
    "network": {"parameters": 13002, "checks": True},
    "results": {"test_loss": 0.25, "test_accuracy": 0.75, "stopped_by": "epochs", "restored_epoch": None},
}


def report(**changes: object) -> Report:
    facts = {
        "title": "pets",
        "tables": TABLES,
        "network": "Sequential(...)",
        "picture": PNG,
        "outputs": np.array([[4.0, 0.0], [0.0, 4.0], [1.0, 0.0], [0.0, 2.0]]),
        "targets": np.array([0, 1, 1, 1]),
        "num_classes": 2,
        "class_names": ["cat", "dog"],
    }
    return Report(**(facts | changes))


class Tags(html.parser.HTMLParser):
    """Open tags, to see that each is closed, and every attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.attributes += attrs
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(words: str) -> Tags:
    tags = Tags()
    tags.feed(words)
    assert tags.open == []
    return tags


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_holds_all_there_is(language: str, tmp_path: Path) -> None:
    try:
        pl.set_language(language)  # type: ignore[arg-type]
        write_report(tmp_path / "report.html", report(findings=["warning: labels"]))
    finally:
        pl.set_language(None)
    words = (tmp_path / "report.html").read_text("utf-8")
    parsed(words)
    for expected in ("13,002", "12345", "0.75", "Sequential(...)", "warning: labels", "cat", "dog", "1.2.3"):
        assert expected in words, expected
    assert "None" not in words
    assert ("混淆矩阵" in words) == (language == "zh")
    assert "data:image/png;base64," + base64.b64encode(PNG).decode() in words


def test_nothing_is_fetched() -> None:
    for name, value in parsed(page(report())).attributes:
        if name in ("src", "href"):
            assert value.startswith("data:"), value


def test_names_are_escaped() -> None:
    words = page(report(title="<script>alert(1)</script>", class_names=["<b>", '"&']))
    parsed(words)
    assert "<script>" not in words
    assert "&lt;b&gt;" in words


def test_the_matrix_counts() -> None:
    """One cat seen as a cat; of three dogs, one taken for a cat."""
    cells = re.findall(r"<td style=[^>]*rgba\(var\(--(blue|red)\), ([\d.]+)\)\">([^<]*)</td>", page(report()))
    assert [(colour, count) for colour, _, count in cells] == [("blue", "1"), ("red", "·"), ("red", "1"), ("blue", "2")]
    shades = [0.75, 0, 0.9 * (1 / 3) ** 0.5, 0.75 * 2 / 3]
    assert [float(shade) for _, shade, _ in cells] == pytest.approx(shades, abs=1e-3)


def test_a_regression_has_neither_matrix_nor_mistakes() -> None:
    words = page(report(num_classes=None, outputs=np.zeros((4, 1)), targets=np.zeros((4, 1)), class_names=None))
    parsed(words)
    assert "<figure>" not in words
    assert "Confusion" not in words


def test_worst_mistakes_come_first() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.99, 0.01]])
    found = worst(probabilities, np.array([0, 1, 0, 1]))
    assert [(m.row, m.true, m.predicted) for m in found] == [(3, 1, 0), (2, 0, 1), (1, 1, 0)]
    assert [m.true_probability for m in found] == [0.01, 0.2, 0.4]
    assert len(worst(probabilities, np.array([0, 1, 0, 1]), count=1)) == 1


def test_outputs_become_probabilities() -> None:
    np.testing.assert_allclose(class_probabilities(np.log([[1.0, 3.0]])), [[0.25, 0.75]])
    np.testing.assert_allclose(class_probabilities(np.array([[np.log(3.0)]])), [[0.25, 0.75]])
    np.testing.assert_allclose(class_probabilities(np.array([0.75]), probabilities=True), [[0.25, 0.75]])
    assert class_probabilities(np.array([1e4, -1e4])).tolist() == [[0.0, 1.0], [1.0, 0.0]]
    np.testing.assert_array_equal(class_probabilities(np.array([[1e4, -1e4]])), [[1.0, 0.0]])


def test_mistaken_images_are_shown() -> None:
    images = np.zeros((4, 2, 2), np.float32)
    images[2, 0, 1] = 1.0
    words = page(report(images=images))
    assert words.count("<figure>") == 1
    (shown,) = re.findall(r'<figure><img src="(data:image/png;base64,[^"]+)"', words)
    assert shown == picture(images[2])
