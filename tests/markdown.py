"""Reads the code blocks of Markdown pages and runs them, so that every example in the documentation is executed.

A page goes in; its ```python and ```pycon blocks run top to bottom in one namespace, as a reader would type them.
The tests of the READMEs, of CONTRIBUTING.md and of docs/ call it.
"""

import contextlib
import doctest
import io
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[^\n]*)\n(?P<code>.*?)^ *(?P=fence)[ ]*$", re.S | re.M)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its code, and the line of the page on which the code starts."""

    language: str
    code: str
    line: int


def blocks(path: Path, *languages: str, section: str | None = None) -> list[Block]:
    """The page's fenced blocks of these languages; with `section`, only those below the heading of that name."""
    page = path.read_text("utf-8")
    found = []
    for match in FENCE.finditer(page):
        language = match["language"].strip().strip("{}")
        code = "\n".join(line.removeprefix(match["indent"]) for line in match["code"].split("\n"))
        heading = re.findall(r"^#+ +(.+)$", FENCE.sub("", page[: match.start()]), re.M)
        if language in languages and (section is None or (heading and heading[-1].strip() == section)):
            found.append(Block(language, code, page.count("\n", 0, match.start("code")) + 1))
    return found


def run(path: Path) -> int:
    """Run the page's Python blocks in order in one namespace; returns how many there were."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    page = blocks(path, "python", "pycon")
    for block in page:
        if block.language == "python":
            # Padded, so that a traceback names the line of the page.
            exec(compile("\n" * (block.line - 1) + block.code, str(path), "exec"), namespace)
        else:
            test = doctest.DocTestParser().get_doctest(block.code, namespace, path.name, str(path), block.line - 1)
            test.globs = namespace
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
            report: list[str] = []
            runner.run(test, out=report.append, clear_globs=False)
            assert runner.failures == 0, "".join(report)
    return len(page)


def run_console(path: Path, folder: Path) -> int:
    """Run each `$ pellucid ...` line of the page's ```console blocks in the folder; returns how many there were.

    Other commands, such as `make` and `pip`, are for the reader: CI runs them by themselves.
    """
    commands = [
        line.removeprefix("$ ").replace("\\\n", " ")
        for block in blocks(path, "console")
        for line in re.findall(r"^\$ (?:.*\\\n)*.*$", block.code, re.M)
        if line.startswith("$ pellucid ")
    ]
    from pellucid.cli import main

    for command in commands:
        said = io.StringIO()
        with contextlib.chdir(folder), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                main(shlex.split(command, comments=True)[1:])
            except SystemExit as end:
                assert not end.code, f"{command}\n{said.getvalue()}"
    return len(commands)
