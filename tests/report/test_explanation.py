"""Renderings of an explanation: the same arithmetic in each, well formed, in both languages."""

import json
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.inspection.explain_expressions import Apply, Leaf, Rest, Total
from pellucid.report.explanation_html import explanation_html, explanation_page
from pellucid.report.explanation_json import explanation_json
from pellucid.report.explanation_latex import explanation_latex
from pellucid.report.explanation_notation import Latex, MathML
from pellucid.report.explanation_text import explanation_markdown, explanation_text


@pytest.fixture(scope="module")
def explanation() -> Any:
    pl.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 5), nn.LayerNorm(5), nn.Sigmoid(), nn.Linear(5, 3)).double()
    x = np.random.default_rng(0).normal(size=(2, 12))
    return pl.explain(model, x, np.array([2, 0]), nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.1))


def test_text(explanation: Any) -> None:
    words = explanation_text(explanation)
    assert str(explanation) == words
    assert words.startswith("Sequential, explained for x (2, 12), y (2,)\n  W1 = 0.weight, b1 = 0.bias, ")
    for title in (
        "Forward: from the input",
        "Backward: from the loss",
        "Update: one step of Adam",
        "Local derivatives",
    ):
        assert title in words
    for step in explanation.steps:
        assert f"{step.name} " in words
    for number in re.findall(r"\d+\.\d+", words):
        assert len(number.replace(".", "").lstrip("0")) <= 6
    longer = explanation_text(explanation, digits=17)
    assert repr(float(explanation.layers[0].steps[0].value))[:12] in longer


def test_markdown(explanation: Any) -> None:
    words = explanation_markdown(explanation)
    assert words.count("```") % 2 == 0
    assert "\n## Forward: from the input to the output\n" in words
    step = explanation.layers[0].steps[0]
    assert f"= {step.numbers()}\n" in words


def test_latex(explanation: Any) -> None:
    words = explanation_latex(explanation)
    assert words.count(r"\begin{align*}") == words.count(r"\end{align*}") >= len(explanation.layers)
    assert words.count("{") == words.count("}")
    assert words.count(r"\left") == words.count(r"\right")
    assert r"\frac{\partial L}{\partial W^{(1)}_{" in words
    # Nothing that LaTeX would stumble over: signs outside of its alphabet, names with bare underscores.
    assert not re.search("[Σ·∂²≥≤≈]", words)
    assert not re.search(r"(?<!\\)_(?!\{)", words)


class Balanced(HTMLParser):
    """Tags that are still open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("language", ["en", "zh"])
def test_html(explanation: Any, language: Any) -> None:
    pl.set_language(language)
    try:
        page, fragment = explanation_page(explanation), explanation_html(explanation)
        words = explanation_text(explanation)
    finally:
        pl.set_language(None)
    assert ("前向传播" in page) == ("前向传播" in words) == (language == "zh")
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    # It fetches nothing.
    assert not re.search(r"https?://|<script|<link|src=", page)
    for formula in re.findall(r"<math.*?</math>", fragment):
        ElementTree.fromstring(formula)
    assert explanation._repr_html_() == explanation_html(explanation)


def test_json(explanation: Any) -> None:
    found = json.loads(explanation_json(explanation))
    assert found["network"] == "Sequential"
    steps = [s for layer in found["layers"] for s in layer["steps"]]
    assert [s["value"] for s in steps] == [s.value for layer in explanation.layers for s in layer.steps]
    total = steps[0]["expression"]["arguments"][0]
    own = explanation.layers[0].steps[0].expression.arguments[0]
    assert total["rest"]["value"] == own.rest.value
    assert [u["new"] for u in found["updates"]] == [u.new for u in explanation.updates]


def test_notations() -> None:
    z, w, x = Leaf("z1[0,2]", -2.5), Leaf("W1[0,2]", 1e-7), Leaf("x[2]", 3.0)
    cases = {
        Apply("*", (w, x)): (r"W^{(1)}_{0,2} \cdot x_{2}", r"1 \cdot 10^{-7} \cdot 3"),
        Apply("/", (z, Apply("+", (x, z)))): (
            r"\frac{z^{(1)}_{0,2}}{x_{2} + z^{(1)}_{0,2}}",
            r"\frac{-2.5}{3 + \left(-2.5\right)}",
        ),
        Apply("sqrt", (x,)): (r"\sqrt{x_{2}}", r"\sqrt{3}"),
        Apply("abs", (z,)): (r"\left|z^{(1)}_{0,2}\right|", r"\left|-2.5\right|"),
        Apply("**", (z, Leaf("", 2))): (r"{z^{(1)}_{0,2}}^{2}", r"{\left(-2.5\right)}^{2}"),
        Apply("*", (Total("sum", (z, x)), x)): (
            r"\left(z^{(1)}_{0,2} + x_{2}\right) \cdot x_{2}",
            r"\left(-2.5 + 3\right) \cdot 3",
        ),
        Total("max", (z, x), Rest(3, 1.0, 1.0)): (
            r"\mathrm{max}\left(z^{(1)}_{0,2}, x_{2}, \underbrace{\cdots}_{\text{other 3}}\right)",
            r"\mathrm{max}\left(-2.5, 3, \underbrace{1}_{\text{other 3}}\right)",
        ),
    }
    for expression, (names, numbers) in cases.items():
        assert Latex().expression(expression, names=True) == names
        assert Latex().expression(expression, names=False) == numbers
    assert Latex().name("∂L/∂z1[0,2]") == r"\frac{\partial L}{\partial z^{(1)}_{0,2}}"
    assert Latex().name("relu'(z1[0])") == r"\mathrm{relu}'\left(z^{(1)}_{0}\right)"
    assert Latex().name("gamma2[1]") == r"\gamma^{(2)}_{1}"
    assert Latex().name("log_softmax1[1]") == r"\mathrm{log\_softmax}^{(1)}_{1}"
    assert (
        MathML().name("b1[0]") == "<msubsup><mi>b</mi><mn>0</mn><mrow><mo>(</mo><mn>1</mn><mo>)</mo></mrow></msubsup>"
    )
    assert MathML().expression(Apply("<", (z, x)), names=False) == "<mrow><mn>−2.5</mn><mo>&lt;</mo><mn>3</mn></mrow>"


def test_weights_that_stay_are_told_of_once() -> None:
    model = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
    model.load_state_dict({"0.weight": np.array([[-0.5, 2]], np.float32), "0.bias": np.array([1], np.float32)})
    e = pl.explain(model, (10, 1), y=[1.0], loss=nn.MSELoss(), optimizer=pl.optim.SGD(model.parameters(), lr=0.1))
    text = explanation_text(e)
    assert len(e.updates) == 3
    assert text.count("p = p - lr * g") == 1
    assert "so it is for W1[0,1], b1[0]: their gradient is 0 as well, and they stay what they are" in text


def test_long_sums_are_broken_in_latex() -> None:
    model = nn.Linear(12, 1)
    e = pl.explain(model, np.linspace(0.123456, 1, 12), terms=12)
    words = explanation_latex(e)
    body = words[words.index(r"\begin{align*}") : words.index(r"\end{align*}")]
    assert body.count("&= ") == 2
    assert body.count(r"&\quad + ") >= 4
    # Every term is there, with its names and with its numbers.
    assert all(body.count(f"_{{{n}}}") == 1 for n in range(1, 12))


def test_a_legend_and_a_long_page_stay_in_their_lines() -> None:
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(12)))
    text = explanation_text(pl.explain(model, (1, 2)))
    legend = text.split("\n\n")[0].splitlines()
    assert len(legend) > 3
    assert max(map(len, legend)) <= 110
    page = explanation_page(pl.explain(model, (1, 2)))
    assert "overflow: auto hidden" in page
    assert 'displaystyle="true"' in page
