"""The help pages: complete, in both languages, and never wider than the terminal."""

import re
import tomllib
from pathlib import Path

import pytest

import pellucid as pl
from pellucid.cli.app import application
from pellucid.cli.help import wrap
from pellucid.cli.settings import SETTINGS
from pellucid.cli.text_settings import TEXT_SETTINGS
from pellucid.train.progress import width
from tests.cli.shell import call

COMMANDS = [
    "train",
    "evaluate",
    "predict",
    "generate",
    "summary",
    "cost",
    "explain",
    "doctor",
    "curvature",
    "noise",
    "rate",
    "attribute",
    "picture",
    "lab",
    "data",
]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("command", ["", *COMMANDS, "train text", "train audio"])
def test_help(command: str, language: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = call(capsys, *command.split(), "--help", "--lang", language)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith({"en": "Usage: pellucid", "zh": "用法：pellucid"}[language])
    prose = [line for line in done.out.splitlines() if not line.startswith("  pellucid ")]
    assert max(map(width, prose)) <= 80
    assert bool(re.search("[\u3400-\u9fff]", done.out)) == (language == "zh")


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    bare, asked = call(capsys), call(capsys, "--help")
    assert (bare.code, bare.out) == (0, asked.out)
    for command in COMMANDS:
        assert f"\n  {command} " in bare.out


def test_every_hyper_parameter_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    page = call(capsys, "train", "--help").out
    for setting in SETTINGS:
        assert f"  --{setting.name} " in page
        assert setting.kind.read("x", setting.kind.show(setting.default)) == setting.default, setting.name


def test_every_setting_of_a_language_model_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    page = call(capsys, "train", "text", "--help").out
    for setting in TEXT_SETTINGS:
        assert f"  --{setting.name} " in page
        assert setting.kind.read("x", setting.kind.show(setting.default)) == setting.default, setting.name


def test_examples_on_the_pages_are_understood() -> None:
    """Each names an option or a command that there is."""
    group = application()
    commands = {**group.commands, **group.further}
    for line in [*group.examples, *(line for command in commands.values() for line in command.examples)]:
        words = line.split()[1:]
        name = next(n for n in (" ".join(words[:2]), words[0]) if n in commands)
        known = {flag for parameter in commands[name].params for flag in parameter.opts}
        assert {w for w in words if w.startswith("--")} <= known, line


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "--version").out == f"pellucid {pl.__version__}\n"
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    assert pyproject["project"]["version"] == pl.__version__
    assert pyproject["project"]["scripts"]["pellucid"] == "pellucid.cli:main"


def test_wrapping() -> None:
    assert wrap("one two three four five", 20) == ["one two three four", "five"]
    # Each Chinese character takes two columns; punctuation does not begin a line.
    assert wrap("一二三四五六七八九十，十一", 20) == ["一二三四五六七八九", "十，十一"]
    assert wrap("", 20) == []
