"""An explanation comes in; LaTeX leaves: a fragment for a document that loads amsmath."""

from __future__ import annotations

from pellucid.inspection.explain_expressions import Apply, Expression, Leaf, Total, is_exact, written
from pellucid.inspection.explain_records import Explanation
from pellucid.report.explanation_notation import Latex
from pellucid.report.explanation_outline import Equation, heading, legend, outline

_ESCAPED = {"\\": r"\textbackslash{}", **{c: "\\" + c for c in "&%$#_{}"}, "~": r"\textasciitilde{}", "^": r"\^{}"}
_WORDS = {"Σ": r"$\Sigma$", "·": r"$\cdot$", "∂": r"$\partial$", "²": r"$^2$", "≥": r"$\ge$", "≈": r"$\approx$"}

# Characters of plain text that fit beside each other, and what the terms that are not shown take.
_LINE, _OTHER = 54, 14


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
    symbols = _broken(equation.expression, notation, names=True)
    numbers = _broken(equation.expression, notation, names=False)
    result = notation.number(equation.value)
    sign = "=" if is_exact(equation.value, digits) else r"\approx"
    named = not isinstance(equation.expression, Leaf) or bool(equation.expression.name)
    rows = [rf"{notation.name(equation.name)} &= {symbols}"] if named else []
    if written(equation.expression, digits=digits) != written(equation.expression, names=True, digits=digits) and named:
        rows.append(f"&= {numbers}")
    if not named:
        rows = [f"{notation.name(equation.name)} &{sign} {result}"]
    elif len(rows) > 1 or (sign, symbols) != ("=", result):
        rows.append(f"&{sign} {result}")
    body = " \\\\\n".join(rows)
    return [r"\begin{align*}", body, r"\end{align*}"]


def _broken(expression: Expression, notation: Latex, names: bool) -> str:
    """An expression, a long sum over several lines."""
    total, last = expression, None
    if isinstance(total, Apply) and total.function == "+" and isinstance(total.arguments[0], Total):
        total, last = total.arguments
    if not isinstance(total, Total) or total.combine != "sum" or total.count < 2:
        return notation.expression(expression, names)
    pieces = [(notation.expression(t, names, 2, n == 0), written(t, names=names)) for n, t in enumerate(total.terms)]
    if total.rest is not None:
        pieces.append((notation.other(total.rest, names), " " * _OTHER))
    if last is not None:
        pieces.append((notation.expression(last, names, 2, first=False), written(last, names=names)))
    found, room = pieces[0][0], _LINE - len(pieces[0][1])
    for words, plain in pieces[1:]:
        room -= len(plain) + 3
        if room < 0:
            found, room = found + " \\\\\n&\\quad", _LINE - len(plain)
        found += f" + {words}"
    return found
