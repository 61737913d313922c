"""`pellucid explain`."""

import json
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from tests.cli.shell import call


@pytest.fixture
def umbrella(tmp_path: Path) -> Path:
    """A saved neuron with the weights -0.5 and 2 and the bias 1, and a table of two days."""
    model = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
    model.load_state_dict({"0.weight": np.array([[-0.5, 2]], np.float32), "0.bias": np.array([1], np.float32)})
    model(np.zeros((1, 2), np.float32))
    pl.save(model.eval(), tmp_path / "model.safetensors")
    (tmp_path / "days.csv").write_text("hot,rain,take\n0.5,1,1.5\n10,1,0.5\n")
    return tmp_path


def test_a_row(umbrella: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "explain", str(umbrella), str(umbrella / "days.csv"), "--row", "1", "--verify")
    assert (done.code, done.err) == (0, "")
    assert "= -0.5·10 + 2·1 + 1\n" in done.out
    assert "relu is flat at z1[0,0] = -2" in done.out
    assert "verified: " in done.out
    assert "∂L" not in done.out


def test_a_step_of_training_of_one_weight(umbrella: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["explain", str(umbrella), str(umbrella / "days.csv"), "--at", "0.weight[0,1]", "--optimizer", "sgd"]
    done = call(capsys, *words, "--lang", "zh", "--verify")
    assert done.code == 0
    # 2.75 was given for 1.5: the gradient of the squared difference is 2 · 1.25, and the input is 1.
    assert "前向传播" in done.out
    assert "W1[0,1]：2 → " in done.out
    assert "g = 2.5," in done.out
    assert "已验证" in done.out


@pytest.mark.parametrize(
    ("ending", "start"), [("html", "<!DOCTYPE html>"), ("md", "# "), ("tex", "\\section*{"), ("json", "{")]
)
def test_files(umbrella: Path, ending: str, start: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = umbrella / f"explanation.{ending}"
    done = call(capsys, "explain", str(umbrella), str(umbrella / "days.csv"), "--training", "--out", str(path))
    assert (done.code, done.out) == (0, f"explanation: {path}\n")
    words = path.read_text("utf-8")
    assert words.startswith(start)
    if ending == "json":
        assert json.loads(words)["layers"][0]["steps"][0]["value"] == 2.75


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (["--row", "2"], "days has no row 2"),
        (["--row", "x"], "--row cannot be read"),
        (["--digits", "3"], "--digits is out of range"),
        (["--format", "pdf"], "--format does not know pdf"),
        (["--out", "a.docx"], "the ending of a.docx says no form"),
        (["--at", "0.wight"], "the network has no layer or parameter 0.wight"),
        (["--optimizer", "adan"], "--optimizer does not know adan"),
    ],
)
def test_what_cannot_be_explained(
    umbrella: Path, more: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = call(capsys, "explain", str(umbrella), str(umbrella / "days.csv"), *more)
    assert done.code == 2
    assert what in done.err
