"""`pellucid picture`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.cli.picture_kinds import KINDS
from pellucid.inspection import signals, wiring
from pellucid.report import gradient_flow_figure, network_figure
from tests.cli.shell import Outcome, call


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of a small classifier of two inputs, of pictures, and of a text."""
    from pellucid.cli.app import run

    folder = tmp_path_factory.mktemp("runs")
    text = folder / "text.txt"
    text.write_text("the cat sat on the mat. the dog sat on the log. " * 12, "utf-8")
    flags = ("-q", "--no-checks", "--out")
    assert run(["train", "two-moons", "--layers", "4", "--epochs", "3", *flags, str(folder / "moons")]) == 0
    assert run(["train", "digits", "--model", "cnn", "--epochs", "1", *flags, str(folder / "cnn")]) == 0
    sizes = ("--layers", "1", "--heads", "2", "--width", "8", "--block", "8", "--steps", "2", "--batch", "2")
    assert run(["train", "text", str(text), "--model", "gpt", *sizes, *flags, str(folder / "gpt")]) == 0
    return folder


def drawn(done: Outcome, path: Path) -> bytes:
    assert (done.code, done.err) == (0, "")
    assert done.out == f"picture: {path}\n"
    made = path.read_bytes()
    assert made.startswith(b"\x89PNG")
    return made


def test_a_network_is_the_one_in_the_file(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.png"
    made = drawn(call(capsys, "picture", "network", str(runs / "moons"), "--out", str(out)), out)
    loaded = pl.load(runs / "moons" / "model.safetensors")
    found = wiring(loaded, (1, 2))
    expected = network_figure(found, input_names=loaded.feature_names, output_names=["0", "1"], title="moons")
    assert made == expected
    drawn(call(capsys, "picture", "network", str(runs / "moons"), "--style", "layers", "--out", str(out)), out)


def test_gradient_flow_is_of_the_run_s_own_rows(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "flow.png"
    made = drawn(
        call(capsys, "picture", "gradient_flow", str(runs / "moons"), "--out", str(out), "--rows", "1000"), out
    )
    loaded, data = pl.load(runs / "moons" / "model.safetensors"), pl.data.two_moons(1000, noise=0.15)
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
    model.load_state_dict(loaded.state_dict())
    x = data.x if loaded.preprocessing is None else loaded.preprocessing.transform(data.x)
    expected = replace(signals(model, x, data.y, nn.CrossEntropyLoss()), model="moons")
    assert made == gradient_flow_figure(expected)


@pytest.mark.parametrize(
    ("run", "kinds"),
    [
        ("moons", ["activations", "curves", "histograms", "boundary", "confusion", "cost"]),
        ("cnn", ["weights", "receptive-field", "mistakes"]),
        ("gpt", ["attention", "gradient-flow", "activations"]),
    ],
)
def test_pictures_of_runs(
    run: str, kinds: list[str], runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in kinds:
        out = tmp_path / f"{kind}.png"
        drawn(call(capsys, "picture", kind, str(runs / run), "--out", str(out), "--rows", "8"), out)


def test_a_prompt_and_chinese(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(capsys, "picture", "attention", str(runs / "gpt"), "--prompt", "the cat", "--lang", "zh")
    assert (done.code, done.out) == (0, "图：attention.png\n")
    assert (tmp_path / "attention.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_model_and_by_a_known_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.PNG"
    drawn(call(capsys, "picture", "activations", "--out", str(out)), out)
    drawn(call(capsys, "picture", "receptive-field", "LeNet-5", "--layer", "features.3", "--out", str(out)), out)
    drawn(call(capsys, "picture", "weights", "lenet5", "--layer", "features.0", "--out", str(out)), out)


def test_a_network_that_makes_no_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    model.load_state_dict({"1.weight": np.array([[1.0, 0, 0, 0], [0, 0, 0, 1.0]]), "1.bias": np.zeros(2)})
    x = np.eye(4, dtype=np.float32)[[0, 3]].reshape(2, 2, 2)
    np.savez(tmp_path / "two.npz", x=x, y=np.array([0, 1]))
    model(x)
    pl.save(model.eval(), tmp_path / "m.safetensors", metadata={"num_classes": 2, "loss": "cross_entropy"})
    out = tmp_path / "m.png"
    words = ("picture", "mistakes", str(tmp_path / "m.safetensors"), "--data", str(tmp_path / "two.npz"))
    done = call(capsys, *words, "--out", str(out))
    assert (done.code, done.err) == (0, "")
    assert "took no row for another class" in done.out
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["netwerk", "lenet5"], "KIND does not know netwerk"),
        (["boundary"], "MODEL is missing"),
        (["boundary", "{cnn}"], "a decision boundary is drawn over two inputs, and cnn takes others"),
        (["attention", "{moons}"], "moons has no attention layer"),
        (["receptive-field", "{moons}"], "these are no pictures"),
        (["mistakes", "{moons}"], "the rows of moons are no pictures"),
        (["weights", "{moons}"], "these weights are no pictures"),
        (["weights", "{moons}", "--layer", "9"], "moons has no such weights to draw"),
        (["confusion", "{gpt}"], "gpt tells no classes apart"),
        (["network", "{cnn}", "--style", "neurons"], "is no chain of dense layers"),
        (["network", "{moons}", "--style", "tree"], "--style does not know tree"),
        (["network", "{moons}", "--out", "a.jpg"], "pictures are written as PNG"),
        (["network", "{moons}", "--out", ""], "--out is no name that a file can have"),
        (["histograms", "lenet5"], "lenet5 is the name of a network that has learnt nothing yet"),
        (["histograms", "{moons}", "--data", "digits"], "64"),
        (["histograms", "{moons}", "--rows", "0"], "--rows is out of range"),
        (["attention", "{gpt}", "--prompt", ""], "the prompt is empty"),
        (["curves", "{file}"], "there is no log of a run beside"),
        (["histograms", "{file}"], "it is not known what"),
        (["network", "nothing"], "nothing is neither a file nor a known network"),
    ],
)
def test_what_does_not_fit_is_refused(
    words: list[str], what: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = nn.Linear(2, 2)
    model(np.zeros((1, 2), np.float32))
    pl.save(model.eval(), tmp_path / "alone.safetensors")
    places = {name: runs / name for name in ("moons", "cnn", "gpt")} | {"file": tmp_path / "alone.safetensors"}
    out = () if "--out" in words else ("--out", str(tmp_path / "x.png"))
    done = call(capsys, "picture", *(word.format(**places) for word in words), *out)
    assert (done.code, done.out) == (2, "")
    assert what in done.err
    assert not (tmp_path / "x.png").exists()


def test_every_kind_is_on_the_help_page(capsys: pytest.CaptureFixture[str]) -> None:
    page = call(capsys, "picture", "--help").out
    assert all(kind in page for kind in KINDS)
