"""An explanation comes in; HTML leaves, its mathematics in MathML: a fragment for a notebook, or a page of its own that
fetches nothing.
"""

from __future__ import annotations

from html import escape

from pellucid._text import language
from pellucid.inspection.explain_expressions import Leaf, is_exact
from pellucid.inspection.explain_records import Explanation
from pellucid.report.explanation_notation import MathML
from pellucid.report.explanation_outline import Equation, heading, outline

_STYLE = """
.pellucid-explanation {font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; color: inherit}
.pellucid-explanation h2 {font-size: 1.3em} .pellucid-explanation h3 {font-size: 1.1em; margin: 1.4em 0 .3em}
.pellucid-explanation h4 {font-size: 1em; margin: 1em 0 .2em}
.pellucid-explanation .equation {overflow: auto hidden; margin: .3em 0 .1em 1.5em; padding: .25em 0}
.pellucid-explanation .general {font-family: ui-monospace, monospace; font-size: .9em; opacity: .8}
.pellucid-explanation ul {margin: .1em 0 .6em 1.5em; font-size: .92em; opacity: .85}
.pellucid-explanation mtable {text-align: left} .pellucid-explanation mtd {text-align: left; padding: .15em .2em}
.pellucid-explanation dl {display: flex; flex-wrap: wrap; gap: .2em 1.2em} .pellucid-explanation dd {margin: 0 0 0 .4em}
.pellucid-explanation dl div {display: flex}
"""


def explanation_html(explanation: Explanation, digits: int = 6) -> str:
    """The explanation as a fragment of HTML.

    Parameters
        digits : significant digits of each number, at least 4
    """
    notation = MathML(digits)
    found = [f"<style>{_STYLE}</style>", f"<h2>{escape(heading(explanation))}</h2>"]
    if explanation.legend:
        items = "".join(
            f"<div><dt><math>{notation.name(name)}</math></dt><dd>= {escape(path)}</dd></div>"
            for name, path in explanation.legend.items()
        )
        found.append(f"<dl>{items}</dl>")
    for part in outline(explanation, digits):
        found.append(f"<h3>{escape(part.title)}</h3>")
        for section in part.sections:
            found.append(f"<h4>{escape(section.title)}</h4>")
            if section.general:
                found.append(f'<div class="general">{escape(section.general)}</div>')
            found.append(_list(section.remarks))
            for equation in section.equations:
                found += [_equation(equation, notation, digits), _list(equation.remarks)]
    found.append(_list(tuple(map(str, explanation.notes))))
    return f'<div class="pellucid-explanation">{"".join(found)}</div>'


def explanation_page(explanation: Explanation, digits: int = 6) -> str:
    """The explanation as a page of its own; the parameters are those of `explanation_html`."""
    lang = "zh-CN" if language() == "zh" else "en"
    title = escape(heading(explanation))
    return (
        f'<!DOCTYPE html>\n<html lang="{lang}"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>:root {color-scheme: light dark} body {max-width: 72rem; margin: 2rem auto; padding: 0 1.5rem}</style>"
        "</head>\n"
        f"<body>{explanation_html(explanation, digits)}</body></html>\n"
    )


def _list(remarks: tuple[str, ...]) -> str:
    return f"<ul>{''.join(f'<li>{escape(r)}</li>' for r in remarks)}</ul>" if remarks else ""


def _equation(equation: Equation, notation: MathML, digits: int) -> str:
    name = notation.name(equation.name)
    named = not isinstance(equation.expression, Leaf) or bool(equation.expression.name)
    rows = []
    if named:
        rows.append(("=", notation.expression(equation.expression, names=True)))
        numbers = notation.expression(equation.expression, names=False)
        if numbers not in (rows[0][1], notation.number(equation.value)):
            rows.append(("=", numbers))
    result = ("=" if is_exact(equation.value, digits) else "≈", notation.number(equation.value))
    if rows != [result]:
        rows.append(result)
    cells = "".join(
        f"<mtr><mtd>{name if n == 0 else ''}</mtd><mtd><mo>{sign}</mo></mtd><mtd>{body}</mtd></mtr>"
        for n, (sign, body) in enumerate(rows)
    )
    return f'<div class="equation"><math><mtable displaystyle="true">{cells}</mtable></math></div>'
