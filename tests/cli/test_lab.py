"""`pellucid lab`."""

import re
from pathlib import Path

import pytest

from pellucid.cli import lab as command
from pellucid.lab import EXPERIMENTS, Experiment, bias
from tests.cli.shell import call


def test_the_list_has_every_claim(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "lab")
    assert (done.code, done.err) == (0, "")
    for experiment in EXPERIMENTS:
        assert f"\n  {experiment.name}  " in "\n" + done.out.replace(" " * 3, "  ")
    assert "pellucid lab NAME puts one of them to the test" in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("language", "words"), [("en", ("claim", "verdict   confirmed")), ("zh", ("说法", "结论      已证实"))]
)
def test_an_experiment(
    language: str, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "figures"
    done = call(capsys, "lab", "bias", "--seed", "1", "--out", str(folder), "--lang", language)
    assert (done.code, done.err) == (0, "")
    for word in words:
        assert word in done.out
    found = bias.run(1)
    for measured in found.measurements:
        assert re.search(rf"\s{re.escape(measured.number)}\n", done.out), measured.name
    picture = folder / "bias.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert list(folder.iterdir()) == [picture]
    assert str(picture) in done.out


def test_the_folder_is_runs_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(capsys, "lab", "bias").code == 0
    assert (tmp_path / "runs" / "lab" / "bias.png").is_file()


def test_all_ends_with_a_table_of_verdicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "EXPERIMENTS", (Experiment("bias", bias.run),))
    done = call(capsys, "lab", "all", "--out", str(tmp_path))
    assert done.code == 0
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "bias a bias frees the boundary from the origin confirmed" in lines[-1]
    assert lines[-3] == "experiment claim verdict"


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (["colapse"], "there is no experiment colapse", "did you mean collapse?"),
        (["bias", "--seed", "x"], "--seed cannot be read", None),
        (["bias", "--seed", "-1"], "--seed is out of range", None),
        (["bias", "--seed", "4294967296"], "--seed is out of range", None),
        (["bias", "--sed", "1"], "pellucid lab has no option --sed", "did you mean --seed?"),
    ],
)
def test_what_is_refused(words: list[str], what: str, fix: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "lab", *words)
    assert (done.code, done.out) == (2, "")
    assert what in done.err.splitlines()[0]
    if fix is not None:
        assert fix in done.err


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    done = call(capsys, "lab", "bias", "--out", str(tmp_path / "file" / "figures"))
    assert (done.code, done.out) == (2, "")
    assert "the folder of the figures cannot be made" in done.err
