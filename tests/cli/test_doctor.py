"""`pellucid doctor`."""

from pathlib import Path

import numpy as np
import pytest

from tests.cli.shell import call


def test_a_run_that_is_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(capsys, "doctor", "digits", "--layers", "16", "--epochs", "3")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("health of Sequential on 1,212 rows\nnothing was found\n")
    assert "update ratio" in done.out


def test_the_folder_of_a_run_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    trained = call(capsys, "train", "two-moons", "--layers", "8", "--lr", "1e-9", "--epochs", "3", "--quiet")
    assert trained.code == 0
    done = call(capsys, "doctor", "runs/two-moons", "--seeds", "2", "--lang", "zh")
    assert done.code == 1
    assert "警告：学习率过低 [learning-rate-too-low]" in done.out
    assert "已验证：学习率乘以" in done.out


def test_markdown_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(200, 4)) * [1, 1, 1, 900]
    np.savez("table.npz", x=x, y=(x[:, 0] > 0).astype(int))
    done = call(capsys, "doctor", "table.npz", "--no-training", "--no-proof", "--markdown", "--layers", "8")
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[2] == "diagnoses: 1"
    assert lines[4] == "### warning: the inputs are large, which slows training or breaks it [large-inputs]"
    assert any(line.startswith("| 0 | Linear | ") for line in lines)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["no-such-data"], "no-such-data"),
        (["digits", "--seeds", "0"], "--seeds is out of range"),
        (["digits", "--lr", "-1"], "--lr is out of range"),
    ],
)
def test_what_is_refused(words: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "doctor", *words)
    assert (done.code, done.out) == (2, "")
    assert what in done.err.splitlines()[0]


def test_a_record_without_data_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.toml").write_text("[settings]\n", encoding="utf-8")
    done = call(capsys, "doctor", str(tmp_path))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("FileFormatError: the record of the run does not say what data it had\n")
