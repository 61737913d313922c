"""Every Python example and every command in docs/ is executed, each page on its own, in an empty folder."""

from pathlib import Path

import pytest

from tests.markdown import blocks, run, run_console

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python", "pycon")], ids=lambda p: p.stem)
def test_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(page)


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "console")], ids=lambda p: p.stem)
def test_commands(page: Path, tmp_path: Path) -> None:
    run_console(page, tmp_path)


def test_a_wrong_example_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```pycon\n>>> 1 + 1\n3\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="Expected:\\n    3\\nGot:\\n    2"):
        run(page)
    page.write_text("```python\nassert 1 + 1 == 3\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError):
        run(page)
    page.write_text("```console\n$ pellucid no-such-command\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="no-such-command"):
        run_console(page, tmp_path)
