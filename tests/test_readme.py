"""Every example in both READMEs is executed, and both READMEs show the same ones."""

import re
from pathlib import Path

import pytest

from tests.markdown import blocks, run, run_console

ROOT = Path(__file__).parents[1]
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]
LANGUAGES = ("python", "pycon", "console")


@pytest.mark.parametrize("path", READMES, ids=lambda p: p.name)
def test_python_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(path) >= 3


@pytest.mark.slow
def test_commands_run(tmp_path: Path) -> None:
    assert run_console(READMES[0], tmp_path) >= 3


def test_both_show_the_same_examples() -> None:
    english, chinese = ([(b.language, without_comments(b.code)) for b in blocks(p, *LANGUAGES)] for p in READMES)
    assert english == chinese


def without_comments(code: str) -> str:
    """The code alone: comments are translated."""
    return re.sub(r"[ ]*# .*", "", code)


@pytest.mark.parametrize("path", READMES, ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", path.read_text("utf-8")):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
