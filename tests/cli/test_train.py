"""`pellucid train`: what it prints, what it leaves, and that what it leaves can be used."""

import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from tests.cli.shell import call

QUICK = ("--epochs", "3", "--layers", "8")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run_toml(folder: str) -> dict:
    return tomllib.loads(Path(folder, "run.toml").read_text("utf-8"))


def test_a_run_leaves_its_folder(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "train", "digits", *QUICK, "--seed", "3")
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^test accuracy 0\.\d{3}", done.out, re.M)
    assert "run folder runs/digits\n" in done.out
    assert "64-8-10, relu: 610 parameters, 2,440 bytes" in done.out  # 64·8 + 8 + 8·10 + 10
    files = sorted(p.name for p in Path("runs/digits").iterdir())
    assert files == ["curves.png", "metrics.jsonl", "model.safetensors", "report.html", "run.toml"]
    assert Path("runs/digits/curves.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_run_toml_says_what_was_in_force(capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "train", "digits", *QUICK, "--optimizer", "sgd", "--momentum", "0.9", "--seed", "3", "--out", "a b")
    tables = run_toml("a b")
    assert tables["settings"] == {
        "model": "dense",
        "layers": [8],
        "activation": "relu",
        "norm": "none",
        "dropout": 0.0,
        "init": "auto",
        "dtype": "float32",
        "loss": "cross_entropy",
        "optimizer": "sgd",
        "lr": 0.1,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "schedule": "one_cycle",
        "epochs": 3,
        "batch_size": 32,
        "clip_norm": "none",
        "patience": "none",
        "validation": 0.1,
        "test_size": 0.25,
        "scale": "none",
        "augment": [],
        "metrics": ["accuracy"],
        "seed": 3,
    }
    assert tables["run"]["pellucid"] == pl.__version__
    assert tables["run"]["numpy"] == np.__version__
    assert tables["run"]["command"].startswith("pellucid train digits --layers 8 ")
    data = tables["data"]
    assert (data["name"], data["x_shape"], data["num_classes"]) == ("digits", [1797, 64], 10)
    # A quarter of 1,797 rows, rounded up, is the test part; a tenth of the rest, rounded up, is for validation.
    assert (data["test_rows"], data["validation_rows"], data["train_rows"]) == (450, 135, 1212)
    results = tables["results"]
    assert (results["epochs"], results["stopped_by"]) == (3, "epochs")
    # 1,212 rows in batches of 32 are 38 updates an epoch.
    assert results["steps"] == 3 * 38


def test_metrics_have_a_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "train", "digits", *QUICK)
    lines = [json.loads(line) for line in Path("runs/digits/metrics.jsonl").read_text("utf-8").splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "lr"} <= set(lines[0])
    # One-cycle begins at a 25th of the rate.
    assert lines[0]["lr"] == pytest.approx(0.007 / 25)


def test_equal_seeds_give_equal_models(capsys: pytest.CaptureFixture[str]) -> None:
    for seed in ("5", "5", "6"):
        call(capsys, "train", "two-moons", *QUICK, "--dropout", "0.2", "--seed", seed)
    first, again, other = (
        pl.load(f"runs/{name}/model.safetensors").state_dict() for name in ("two-moons", "two-moons-2", "two-moons-3")
    )
    assert all(np.array_equal(first[name].numpy(), again[name].numpy()) for name in first)
    assert not all(np.array_equal(first[name].numpy(), other[name].numpy()) for name in first)


def test_a_run_is_repeated_from_its_own_record(capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "train", "circles", *QUICK, "--activation", "tanh", "--batch-size", "full", "--lr", "0.05")
    call(capsys, "train", "circles", "--config", "runs/circles/run.toml")
    first, again = run_toml("runs/circles"), run_toml("runs/circles-2")
    assert first["settings"] == again["settings"]
    assert first["data"] == again["data"]
    del first["results"]["time_s"], again["results"]["time_s"]
    assert first["results"] == again["results"]


def test_the_model_is_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "train", "digits", *QUICK, "--scale", "standardize", "--seed", "2")
    model = pl.load("runs/digits/model.safetensors")
    assert model.class_names == tuple("0123456789")
    data = pl.data.digits()
    _, test = pl.data.train_test_split(data, test_size=0.25, seed=2, stratify=True)
    accuracy = float((model.predict(test.x).argmax(axis=1) == test.y).mean())
    assert run_toml("runs/digits")["results"]["test_accuracy"] == accuracy


def test_a_folder_that_exists_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years of work", encoding="utf-8")
    assert "run folder mine-2\n" in call(capsys, "train", "xor", *QUICK, "--out", "mine").out
    assert [p.name for p in Path("mine").iterdir()] == ["thesis.txt"]
    assert "run folder mine-3\n" in call(capsys, "train", "xor", *QUICK, "--out", "mine").out


def test_quiet_prints_the_result_alone(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "train", "blobs", *QUICK, "--quiet")
    assert re.fullmatch(r"test accuracy \d\.\d{3}  \(loss [\d.e-]+\)\nrun folder runs/blobs\n", done.out)


def test_labels_that_do_not_depend_on_the_inputs_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(1)
    np.savez("noise.npz", x=rng.normal(size=(400, 5)), y=rng.integers(0, 2, 400))
    done = call(capsys, "train", "noise.npz", *QUICK)
    assert done.code == 0
    assert done.err.startswith("warning: ")
    assert "depend" in done.err
    assert "depend" in Path("runs/noise/report.html").read_text("utf-8")
    assert call(capsys, "train", "noise.npz", *QUICK, "--no-checks").err == ""


def test_patience_stops_and_keeps_the_best_weights(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "train", "digits", "--layers", "64", "--epochs", "300", "--patience", "2", "--lr", "0.02")
    results = run_toml("runs/digits")["results"]
    assert results["stopped_by"] == "early_stopping"
    assert results["restored_epoch"] == results["best_epoch"] < results["epochs"] < 300
    lines = [json.loads(line) for line in Path("runs/digits/metrics.jsonl").read_text("utf-8").splitlines()]
    best = min(lines, key=lambda line: line["val_loss"])
    assert (results["val_loss"], results["best_epoch"]) == (best["val_loss"], best["epoch"])
    assert done.code == 0


@pytest.mark.parametrize(
    ("loss", "outputs"),
    [
        ("cross_entropy", 2),
        ("nll", 2),
        ("multi_margin", 2),
        ("bce", 1),
        ("bce_with_logits", 1),
        ("mse", 2),
        ("mae", 2),
        ("smooth_l1", 2),
        ("huber", 2),
    ],
)
def test_every_loss_learns_two_classes(loss: str, outputs: int, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "train", "two-moons", "--layers", "16", "--epochs", "40", "--loss", loss)
    assert done.code == 0, done.err
    assert run_toml("runs/two-moons")["network"]["sizes"] == [2, 16, outputs]
    assert run_toml("runs/two-moons")["results"]["test_accuracy"] > 0.85
    evaluated = call(capsys, "evaluate", "runs/two-moons", "two-moons")
    accuracy = re.search(r"test accuracy ([\d.]+)", done.out)
    assert accuracy is not None
    assert f"test accuracy {accuracy[1]}" in evaluated.out
    predicted = call(capsys, "predict", "runs/two-moons", "two-moons", "--out", "answers.npz")
    assert predicted.code == 0
    with np.load("answers.npz") as answers:
        share = (answers["predictions"] == pl.data.two_moons(num_rows=1000, noise=0.15).y).mean()
        assert share > 0.85
        np.testing.assert_allclose(answers["probabilities"].sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("optimizer", sorted(pl.train.OPTIMIZERS))
def test_every_optimizer_has_a_rate_that_works(optimizer: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "train", "blobs", "--layers", "8", "--optimizer", optimizer)
    assert done.code == 0, done.err
    assert run_toml("runs/blobs")["results"]["test_accuracy"] > 0.9


@pytest.mark.parametrize(
    "words",
    [
        ("--norm", "batch", "--batch-size", "26"),
        ("--norm", "layer"),
        ("--norm", "rms"),
        ("--activation", "selu", "--init", "lecun_normal", "--dropout", "0.1"),
        ("--init", "xavier_uniform", "--schedule", "one_cycle"),
        ("--dtype", "float64", "--schedule", "constant"),
        ("--clip-norm", "1", "--weight-decay", "0.01", "--optimizer", "adamw"),
        ("--batch-size", "1", "--epochs", "1"),
        ("--batch-size", "full", "--validation", "0"),
        ("--layers", "none"),
        ("--metrics", "accuracy,f1,auc"),
    ],
    ids=" ".join,
)
def test_settings_work_together(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "train", "two-moons", *QUICK, *words)
    assert done.code == 0, done.err
    assert done.err == ""


def test_regression(capsys: pytest.CaptureFixture[str]) -> None:
    x = np.linspace(-1, 1, 300)
    np.savez("sine.npz", x=x[:, None], y=np.sin(3 * x))
    done = call(
        capsys, "train", "sine.npz", "--layers", "32", "--activation", "tanh", "--epochs", "200", "--lr", "0.01"
    )
    assert done.code == 0, done.err
    results = run_toml("runs/sine")["results"]
    assert results["test_r2"] > 0.99
    assert re.search(r"^test mae 0\.", done.out, re.M)
    assert call(capsys, "evaluate", "runs/sine", "sine.npz").out.startswith("sine: 75 rows, the test part that the run")
    call(capsys, "predict", "runs/sine", "sine.npz", "--out", "answers.csv")
    lines = Path("answers.csv").read_text("utf-8").splitlines()
    assert lines[0] == "row,value0"
    answers = [float(line.split(",")[1]) for line in lines[1:]]
    np.testing.assert_allclose(answers, pl.load("runs/sine/model.safetensors").predict(x[:, None])[:, 0], rtol=1e-6)


def test_a_set_with_its_own_test_part(capsys: pytest.CaptureFixture[str]) -> None:
    moons = pl.data.two_moons(300, seed=1)
    np.savez("m.npz", x_train=moons.x[:200], y_train=moons.y[:200], x_test=moons.x[200:], y_test=moons.y[200:])
    call(capsys, "train", "m.npz", *QUICK)
    data = run_toml("runs/m")["data"]
    assert (data["train_rows"], data["validation_rows"], data["test_rows"]) == (180, 20, 100)
    assert "m: 100 rows, the set's own test part\n" in call(capsys, "evaluate", "runs/m", "m.npz").out


def test_an_idx_folder(capsys: pytest.CaptureFixture[str]) -> None:
    digits = pl.data.digits()
    images = (digits.images * 255).astype(np.uint8)
    folder = Path("tiny-digits")
    folder.mkdir()
    for split, rows in (("train", slice(0, 1400)), ("t10k", slice(1400, None))):
        pl.data.write_idx(folder / f"{split}-images-idx3-ubyte.gz", images[rows])
        pl.data.write_idx(folder / f"{split}-labels-idx1-ubyte", digits.y[rows].astype(np.uint8))
    done = call(capsys, "train", str(folder), "--layers", "16", "--epochs", "10")
    assert done.code == 0, done.err
    assert "tiny-digits: rows of 8 × 8, 10 classes; 1,260 training, 140 validation, 397 test rows" in done.out
    done = call(capsys, "predict", "runs/tiny-digits", str(folder / "t10k-images-idx3-ubyte.gz"), "--out", "p.csv")
    assert done.out == "397 predictions in p.csv\n"
    said = [line.split(",")[1] for line in Path("p.csv").read_text("utf-8").splitlines()[1:]]
    assert np.mean([int(s) == y for s, y in zip(said, digits.y[1400:], strict=True)]) > 0.8


def test_a_csv_table(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    rows = ["length,width,kind"]
    for kind, centre in (("cat", 0), ("dog", 4)):
        rows += [f"{a:.3f},{b:.3f},{kind}" for a, b in rng.normal(centre, 1, size=(60, 2))]
    Path("pets.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert call(capsys, "train", "pets.csv", "--layers", "4", "--epochs", "30").code == 0
    assert run_toml("runs/pets")["results"]["test_accuracy"] > 0.9
    assert pl.load("runs/pets/model.safetensors").feature_names == ("length", "width")
    Path("new.csv").write_text("0,0\n4,4\n", encoding="utf-8")
    printed = call(capsys, "predict", "runs/pets", "new.csv").out
    assert re.search(r"0\s+cat\s+[01]\.\d{4}", printed)
    assert re.search(r"1\s+dog\s+[01]\.\d{4}", printed)


def test_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "train", "digits", *QUICK, "--lang", "zh")
    assert done.code == 0
    assert "网络" in done.out
    assert re.search(r"^测试 accuracy 0\.\d{3}（损失 ", done.out, re.M)
    assert '<html lang="zh-CN">' in Path("runs/digits/report.html").read_text("utf-8")
    assert pl.language() == "en"


def test_mnist_in_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str], data_folder: Path) -> None:
    """Full size, one epoch."""
    if not (data_folder / "mnist" / "train-images-idx3-ubyte.gz").exists():
        pytest.skip("the folder of public data sets has no MNIST")
    done = call(
        capsys, "train", str(data_folder / "mnist"), "--layers", "32", "--epochs", "1", "--out", str(tmp_path / "r")
    )
    assert done.code == 0, done.err
    assert run_toml(str(tmp_path / "r"))["results"]["test_accuracy"] > 0.9
