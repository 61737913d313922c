"""`pellucid cost`."""

import re
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.cli.cost import networks
from tests.cli.shell import call


def test_a_known_network(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "cost", "LeNet-5", "--verify")
    assert (done.code, done.err) == (0, "")
    lines = [re.sub(r"\s+", " ", line).strip() for line in done.out.splitlines()]
    # 25 weights for each of 6·28·28 results; a bias each.
    assert any(line.startswith("features.0 Conv2d (1, 6, 28, 28) 156 117,600 239,904 4,704") for line in lines)
    assert any(line.startswith("total 61,706 416,520") for line in lines)
    assert "parameters 61,706 (246,824 bytes)" in lines
    assert any(line.startswith("audit: ") and line.endswith("every count is right") for line in lines)


def test_a_saved_model_in_markdown_with_a_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)).eval()
    model(np.zeros((1, 6), np.float32))
    path = tmp_path / "model.safetensors"
    pl.save(model, path)
    picture = tmp_path / "cost.png"
    done = call(capsys, "cost", str(tmp_path), "--markdown", "--figure", str(picture), "--input", "3,6")
    assert done.code == 0
    # 5·6 weights and 5 biases; 30 multiply-accumulates for each of three rows.
    assert "| (3, 5) | 35 | 90 |" in done.out
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert done.out.endswith(f"figure: {picture}\n")
    alone = call(capsys, "cost", str(path), "--markdown")
    assert "| (1, 5) | 35 | 30 |" in alone.out


def test_a_step_of_training(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "cost", "lenet5", "--optimizer", "sgd", "--dtype", "float64", "--lang", "zh")
    assert done.code == 0
    assert "前向 MAC 数" in done.out
    assert "优化器" in done.out
    assert "float64[1,1,28,28]" in done.out
    assert pl.default_dtype() == np.float32


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["resnet19"], "resnet19 is neither a file nor a known network"),
        (["lenet5", "--optimizer", "adan"], "--optimizer does not know adan"),
        (["lenet5", "--depth", "0"], "--depth is out of range"),
        (["lenet5", "--input", "x"], "--input cannot be read"),
        (["lenet5", "--dtype", "int8"], "--dtype does not know int8"),
        (["lenet5", "--input", "1,3,28,28"], "LeNet5"),
    ],
)
def test_what_is_refused(words: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "cost", *words)
    assert (done.code, done.out) == (2, "")
    assert what in done.err.splitlines()[0]


def test_known_networks_are_those_that_need_no_argument() -> None:
    found = networks()
    assert {"resnet18", "vgg16", "lenet5", "vitb16"} <= set(found)
    assert not {"nexttokenloss", "vgg", "generate"} & set(found)
    assert found["alexnet"] is pl.models.alexnet


def test_an_input_that_is_not_known(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.cli import cost

    monkeypatch.delitem(cost._INPUTS, "spokenwordcnn")
    done = call(capsys, "cost", "spokenwordcnn")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("ArgumentError: the shape of what spokenwordcnn takes is not known\n")


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [("alexnet two groups", "60,965,224", "724,406,816"), ("lenet5", "61,706", "416,520")],
)
def test_a_network_by_its_name_alone(name: str, parameters: str, macs: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "cost", name, "--depth", "1")
    assert (done.code, done.err) == (0, "")
    assert re.search(rf"^parameters +{parameters} ", done.out, re.M)
    assert re.search(rf"^MACs +{macs}$", done.out, re.M)
