"""The two recipes at the end of CONTRIBUTING.md are executed as they stand, in an interpreter of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.markdown import blocks

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("recipe", ["Add an op in 15 minutes", "Add a layer in 15 minutes"])
def test_recipe(recipe: str, tmp_path: Path) -> None:
    code = [block.code for block in blocks(ROOT / "CONTRIBUTING.md", "python", section=recipe)]
    assert len(code) >= 2  # the declaration, and what checks it
    (tmp_path / "recipe.py").write_text("\n".join(code), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "recipe.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_recipes_come_last() -> None:
    headings = [line for line in (ROOT / "CONTRIBUTING.md").read_text("utf-8").splitlines() if line.startswith("## ")]
    assert headings[-2:] == ["## Add an op in 15 minutes", "## Add a layer in 15 minutes"]
