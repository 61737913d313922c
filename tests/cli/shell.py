"""A command line as a test types it: the words come in; exit code, output and errors leave."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pellucid.cli.app import run

SOURCE = Path(__file__).parents[2] / "src"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


def call(capsys: pytest.CaptureFixture[str], *words: str) -> Outcome:
    """Run a command line in this process."""
    capsys.readouterr()
    code = run(list(words))
    captured = capsys.readouterr()
    return Outcome(code, captured.out, captured.err)


def environment(**more: str) -> dict[str, str]:
    """What a process of its own needs to find the package, and what the test adds."""
    return os.environ | {"PYTHONPATH": str(SOURCE), "PELLUCID_LANG": "en", "PYTHONUNBUFFERED": "1"} | more


def process(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command line in a process of its own, whose output is a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "pellucid", *words],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
