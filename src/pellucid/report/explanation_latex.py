"""An explanation comes in; LaTeX leaves: a fragment for a document that loads amsmath."""

from __future__ import annotations

from pellucid.inspection.explain_expressions import Leaf, is_exact, written
from pellucid.inspection.explain_records import Explanation
from pellucid.report.explanation_notation import Latex
from pellucid.report.explanation_outline import Equation, heading, legend, outline

_ESCAPED = {"\\": r"\textbackslash{}", **{c: "\\" + c for c in "&%$#_{}"}, "~": r"\textasciitilde{}", "^": r"\^{}"}
_WORDS = {"Σ": r"$\Sigma$", "·": r"$\cdot$", "∂": r"$\partial$", "²": r"$^2$", "≥": r"$\ge$", "≈": r"$\approx$"}


def escaped(words: str) -> str:
    """Plain text in LaTeX."""
    return "".join(_ESCAPED.get(c) or _WORDS.get(c, c) for c in words)


def explanation_latex(explanation: Explanation, digits: int = 6) -> str:
    """The explanation as LaTeX; Chinese words need a document class such as ctexart.

    Parameters
        digits : significant digits of each number, at least 4
    """
    lines = [rf"\section*{{{escaped(heading(explanation))}}}"]
    if explanation.legend:
        lines += [escaped(legend(explanation)), ""]
    for part in outline(explanation, digits):
        lines.append(rf"\subsection*{{{escaped(part.title)}}}")
        for section in part.sections:
            lines.append(rf"\subsubsection*{{{escaped(section.title)}}}")
            if section.general:
                lines += [rf"\texttt{{{escaped(section.general)}}}", ""]
            lines += [line for remark in section.remarks for line in (escaped(remark), "")]
            for equation in section.equations:
                lines += [*_equation(equation, digits), *(f"{escaped(remark)}\n" for remark in equation.remarks)]
    lines += [escaped(str(note)) for note in explanation.notes]
    return "\n".join(lines) + "\n"


def _equation(equation: Equation, digits: int) -> list[str]:
    notation = Latex(digits)
    symbols = notation.expression(equation.expression, names=True)
    numbers = notation.expression(equation.expression, names=False)
    result = notation.number(equation.value)
    sign = "=" if is_exact(equation.value, digits) else r"\approx"
    named = not isinstance(equation.expression, Leaf) or bool(equation.expression.name)
    rows = [rf"{notation.name(equation.name)} &= {symbols}"] if named else []
    if written(equation.expression, digits=digits) != written(equation.expression, names=True, digits=digits) and named:
        rows.append(f"&= {numbers}")
    rows.append(f"&{sign} {result}" if named else f"{notation.name(equation.name)} &{sign} {result}")
    body = " \\\\\n".join(rows)
    return [r"\begin{align*}", body, r"\end{align*}"]
