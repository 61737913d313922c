"""An explanation comes in; text for a terminal or Markdown leaves."""

from __future__ import annotations

from textwrap import wrap

from pellucid._text import text
from pellucid.inspection.explain_expressions import Leaf, is_exact, shown, written
from pellucid.inspection.explain_records import Explanation
from pellucid.report.explanation_outline import Equation, heading, outline

_WIDTH = 110


def lines_of(equation: Equation, digits: int) -> list[str]:
    """An equation line by line: with names, with numbers, the result; a line that says nothing new is left out."""
    name, other = equation.name, text("explain.other")
    symbols = equation.general or written(equation.expression, names=True, digits=digits, other=other)
    numbers = written(equation.expression, digits=digits, other=other)
    result = shown(equation.value, digits)
    sign = "=" if is_exact(equation.value, digits) else "≈"
    plain = isinstance(equation.expression, Leaf) and not equation.expression.name
    found = [] if plain and not equation.general else [f"= {symbols}"]
    if numbers not in (result, symbols):
        found.append(f"= {numbers}")
    if found != [f"{sign} {result}"]:
        found.append(f"{sign} {result}")
    return [f"{name} {found[0]}", *(f"{' ' * len(name)} {line}" for line in found[1:])]


def explanation_text(explanation: Explanation, digits: int = 6) -> str:
    """The explanation for a terminal.

    Parameters
        digits : significant digits of each number, at least 4; 17 show every float exactly
    """
    lines = [heading(explanation)]
    if explanation.legend:
        # What belongs together stays in a line.
        whole = ", ".join(f"{name} = {path}".replace(" ", "\0") for name, path in explanation.legend.items())
        broken = wrap(whole, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False)
        lines += [line.replace("\0", " ") for line in broken]
    for part in outline(explanation, digits):
        lines += ["", part.title]
        for section in part.sections:
            lines += ["", f"  {section.title}"]
            if section.general:
                lines.append(f"    {section.general}")
            lines += [f"    {remark}" for remark in section.remarks]
            for equation in section.equations:
                lines += [f"      {line}" for line in lines_of(equation, digits)]
                lines += [f"        {remark}" for remark in equation.remarks]
    lines += [f"\n{note}" for note in explanation.notes]
    return "\n".join(lines)


def explanation_markdown(explanation: Explanation, digits: int = 6) -> str:
    """The explanation as Markdown; arithmetic stands in code blocks, so that it reads the same everywhere.

    Parameters
        digits : as for `explanation_text`
    """
    lines = [f"# {heading(explanation)}"]
    if explanation.legend:
        lines += ["", ", ".join(f"`{name}` = `{path}`" for name, path in explanation.legend.items())]
    for part in outline(explanation, digits):
        lines += ["", f"## {part.title}"]
        for section in part.sections:
            lines += ["", f"### {section.title}"]
            if section.general:
                lines += ["", f"`{section.general}`"]
            if section.remarks:
                lines += ["", *(f"- {remark}" for remark in section.remarks)]
            for equation in section.equations:
                lines += ["", "```text", *lines_of(equation, digits), "```"]
                if equation.remarks:
                    lines += ["", *(f"- {remark}" for remark in equation.remarks)]
    for note in explanation.notes:
        lines += ["", str(note)]
    return "\n".join(lines) + "\n"
