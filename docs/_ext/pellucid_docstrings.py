"""Turns pellucid's docstrings into reStructuredText for autodoc, and signs classes by their `__init__`.

A docstring enters line by line; headings such as `Parameters` with an indented body leave as field lists,
indented formulas as literal blocks, and everything else as paragraphs in which only `code` is markup.
Sphinx calls `process` for each object.
"""

import inspect
import re
import sys
from collections.abc import Callable
from typing import Any

ENTRIES = {"Parameters", "Attributes", "Other Parameters"}
TYPED = {"Raises", "Returns", "Yields", "Warns"}
PROSE = {
    "Source",
    "Sources",
    "Notes",
    "Note",
    "See also",
    "See Also",
    "References",
    "Shape",
    "Shapes",
    "Formula",
    "Default",
    "Units",
}
EXAMPLES = {"Examples", "Example"}
HEADINGS = ENTRIES | TYPED | PROSE | EXAMPLES

# The line that an operation prints of itself; a docstring of nothing else has lost its indentation.
FORMULA = re.compile(r"y(\[[^]]*\]|_\S+)? = \S")

Lines = list[str]


def indent_of(line: str) -> int:
    return len(line) - len(line.lstrip())


def escaped(words: str) -> str:
    """Words in which only `code` is markup: it becomes ``code``, every other character stands for itself."""
    parts = re.split(r"(``[^`]+``|`[^`]+`)", words)
    for i, part in enumerate(parts):
        if i % 2:
            parts[i] = f"``{part.strip('`')}``"
            if i + 1 < len(parts) and parts[i + 1][:1].isalnum():
                parts[i] += "\\ "
            if parts[i - 1][-1:].isalnum():
                parts[i] = "\\ " + parts[i]
        else:
            parts[i] = re.sub(r"([\\*|_`])", r"\\\1", part)
    return "".join(parts)


def dedented(body: Lines) -> Lines:
    depth = min((indent_of(line) for line in body if line.strip()), default=0)
    return [line[depth:] for line in body]


def paragraphs(body: Lines) -> Lines:
    """Prose at the left margin; anything indented below it is a literal block; `>>>` opens an example."""
    out: Lines = []
    i = 0
    while i < len(body):
        line = body[i]
        if not line.strip():
            out.append("")
            i += 1
        elif line.lstrip().startswith(">>>"):
            depth = indent_of(line)
            out.append("")
            while i < len(body) and body[i].strip():
                out.append(body[i][depth:])
                i += 1
            out.append("")
        elif indent_of(line) and not (out and out[-1].strip().startswith(("- ", "* ")) and i and body[i - 1].strip()):
            out += ["", "::", ""]
            while i < len(body) and (not body[i].strip() or indent_of(body[i])):
                out.append("    " + body[i] if body[i].strip() else "")
                i += 1
            out.append("")
        elif re.match(r"(- |\* |\d+\. )", line):
            if out and out[-1].strip() and not out[-1].startswith(("- ", "  ")):
                out.append("")
            marker, _, rest = line.partition(" ")
            item = [rest]
            i += 1
            while i < len(body) and body[i].strip() and indent_of(body[i]):
                item.append(body[i].strip())
                i += 1
            out.append(f"{'-' if marker in '-*' else marker} {escaped(' '.join(item))}")
            if i < len(body) and body[i].strip() and not re.match(r"(- |\* |\d+\. )", body[i]):
                out.append("")
        elif FORMULA.match(line):
            out += ["", "::", "", "    " + line.strip(), ""]
            i += 1
        else:
            out.append(escaped(line.strip()))
            i += 1
    return out


def entries(body: Lines) -> list[tuple[str, Lines]]:
    """Each line at the left margin opens an entry; what is indented below belongs to it."""
    found: list[tuple[str, Lines]] = []
    for line in dedented(body):
        if line.strip() and not indent_of(line):
            found.append((line.strip(), []))
        elif found:
            found[-1][1].append(line)
    return found


def described(head: str, rest: Lines) -> Lines:
    text = " ".join([head, *(line.strip() for line in rest if line.strip())])
    return [escaped(text)]


def section(heading: str, body: Lines) -> Lines:
    if heading in EXAMPLES:
        return [f".. rubric:: {heading}", "", *paragraphs(dedented(body)), ""]
    if heading in PROSE:
        return [f".. rubric:: {heading}", "", *paragraphs(dedented(body)), ""]
    out = [f".. rubric:: {heading}", ""]
    for head, rest in entries(body):
        name, colon, kind = head.partition(":")
        if heading in ENTRIES and colon:
            out.append(f"- **{escaped(name.strip())}** : {' '.join(described(kind.strip(), rest))}")
        elif heading == "Raises" and colon:
            out.append(f"- ``{name.strip()}`` : {' '.join(described(kind.strip(), rest))}")
        else:
            out.append(f"- {' '.join(described(head, rest))}")
    return [*out, ""]


def converted(lines: Lines) -> Lines:
    """The whole docstring as reStructuredText."""
    out: Lines = []
    prose: Lines = []
    i = 0
    while i < len(lines):
        heading = lines[i].rstrip().removesuffix(":")
        if heading in HEADINGS and i + 1 < len(lines):
            out += [*paragraphs(prose), ""]
            prose = []
            i += 1
            if re.fullmatch(r"-{3,}", lines[i].strip()):  # the underline of classical numpydoc
                i += 1
                body: Lines = []
                while i < len(lines) and not (lines[i].rstrip() in HEADINGS and not indent_of(lines[i])):
                    body.append(lines[i])
                    i += 1
            else:
                body = []
                while i < len(lines) and (not lines[i].strip() or indent_of(lines[i])):
                    body.append(lines[i])
                    i += 1
            out += section(heading, body)
        else:
            prose.append(lines[i])
            i += 1
    return [*out, *paragraphs(prose), ""]


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: Lines) -> None:
    """Sphinx's hook `autodoc-process-docstring`: changes the lines in place."""
    lines[:] = converted(list(lines))


def sign(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str, returned: str
) -> tuple[str, str] | None:
    """Sphinx's hook `autodoc-process-signature`: a class is called as its `__init__` says, whatever `__new__` says."""
    if what not in ("class", "exception") or signature != "(*args, **kwargs)":
        return None
    parameters = inspect.signature(obj).parameters.values()
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(plain)), returned


def declared(app: Any, module: str, attribute: str) -> str | None:
    """Viewcode's hook: the module in which a function was written that is offered by another."""
    found: Any = sys.modules.get(module)
    for name in attribute.split("."):
        found = getattr(found, name, None)
    written = getattr(found, "__wrapped__", None)
    return None if written is None else str(written.__module__)


def setup(app: Any) -> dict[str, bool]:
    """Registers the hooks."""
    connect: Callable[..., Any] = app.connect
    connect("autodoc-process-docstring", process)
    connect("autodoc-process-signature", sign)
    app.setup_extension("sphinx.ext.viewcode")
    connect("viewcode-follow-imported", declared)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
