"""`pellucid summary`, `evaluate`, `predict` and `data`."""

import re
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from tests.cli.shell import call


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a quick run on the digits."""
    from pellucid.cli.app import run

    folder = tmp_path_factory.mktemp("digits") / "run"
    assert run(["train", "digits", "--layers", "16,16", "--epochs", "5", "--quiet", "--out", str(folder)]) == 0
    return folder


def test_summary_of_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "summary", "--layers", "784,16,16,10")
    assert done.code == 0
    lines = [re.sub(r"\s+", " ", line).strip() for line in done.out.splitlines()]
    # 784·16 + 16, 16·16 + 16, 16·10 + 10; four bytes each; a multiply-accumulate for each weight.
    assert "0 Linear (N, 16) 12,560 50,240 12,544" in lines
    assert "2 Linear (N, 16) 272 1,088 256" in lines
    assert "4 Linear (N, 10) 170 680 160" in lines
    assert "total 13,002 52,008 12,960" in lines
    assert lines[-1] == "13,002 parameters, 52,008 bytes (float32), 12,960 multiply-accumulates a row"


def test_summary_takes_the_settings_of_a_network(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "summary", "--layers", "4,3,2", "--norm", "batch", "--dtype", "float64", "--activation", "tanh")
    # 4·3 + 3, a scale and a shift for each of 3, 3·2 + 2; eight bytes each.
    assert "29 parameters, 232 bytes (float64), 18 multiply-accumulates a row\n" in done.out
    assert "BatchNorm1d" in done.out
    assert "Tanh" in done.out


def test_summary_of_a_model(digits_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    by_folder, by_file = (call(capsys, "summary", str(p)) for p in (digits_run, digits_run / "model.safetensors"))
    assert by_folder.out == by_file.out
    # 64·16 + 16 + 16·16 + 16 + 16·10 + 10
    assert "1,482 parameters, 5,928 bytes (float32), 1,440 multiply-accumulates a row\n" in by_folder.out


def test_evaluate_takes_the_rows_that_were_held_out(digits_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "evaluate", str(digits_run), "digits")
    assert done.out.startswith("digits: 450 rows, the test part that the run held out\ntest accuracy ")
    recorded = re.search(r"test_accuracy = ([\d.]+)", (digits_run / "run.toml").read_text("utf-8"))
    assert recorded is not None
    assert f"test accuracy {float(recorded[1]):.3f} " in done.out


def test_evaluate_says_when_it_takes_all_rows(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = pl.data.digits()
    np.savez(tmp_path / "some.npz", x=data.x[:100], y=data.y[:100])
    model = str(digits_run / "model.safetensors")
    done = call(capsys, "evaluate", model, str(tmp_path / "some.npz"), "--metrics", "accuracy,f1")
    loaded = pl.load(model)
    expected = (loaded.predict(data.x[:100]).argmax(axis=1) == data.y[:100]).mean()
    assert done.out.startswith("some: 100 rows, all of them\n")
    assert f"test accuracy {expected:.3f} " in done.out
    assert "test f1 " in done.out


def test_evaluate_on_fewer_classes_than_the_model_has(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = pl.data.digits()
    rows = np.flatnonzero(data.y == 3)
    np.savez(tmp_path / "threes.npz", x=data.x[rows], y=data.y[rows])
    done = call(capsys, "evaluate", str(digits_run), str(tmp_path / "threes.npz"))
    assert (done.code, done.err) == (0, "")


def test_predict_prints_classes(digits_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "predict", str(digits_run), "digits")
    rows = re.findall(r"^(\d+)\s+(\d)\s+([01]\.\d{4})$", done.out, re.M)
    assert [int(row[0]) for row in rows] == list(range(20))
    assert "... and 1,777 more; --out FILE writes them all\n" in done.out
    model = pl.load(digits_run / "model.safetensors")
    scores = model.predict(pl.data.digits().x[:20]).astype(np.float64)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert [int(row[1]) for row in rows] == probabilities.argmax(axis=1).tolist()
    np.testing.assert_allclose([float(row[2]) for row in rows], probabilities.max(axis=1), atol=6e-5)


@pytest.mark.parametrize("form", ["npz", "npy", "csv", "csv with targets", "npz of images"])
def test_predict_reads_rows_in_every_form(
    form: str, digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = pl.data.digits().x[:30], pl.data.digits().y[:30]
    path = tmp_path / f"rows.{form[:3]}"
    if form == "npz":
        np.savez(path, x=x)
    elif form == "npz of images":
        np.savez(path, x=x.reshape(-1, 8, 8), y=y)
    elif form == "npy":
        np.save(path, x)
    else:
        table = np.concatenate([x, y[:, None]], axis=1) if form.endswith("targets") else x
        np.savetxt(path, table, delimiter=",")
    out = tmp_path / "answers.npz"
    done = call(capsys, "predict", str(digits_run), str(path), "--out", str(out))
    assert done.out == f"30 predictions in {out}\n", done.err
    expected = pl.load(digits_run / "model.safetensors").predict(x).argmax(axis=1)
    with np.load(out) as answers:
        assert answers["predictions"].tolist() == expected.tolist()
        assert answers["class_names"].tolist() == list("0123456789")


def test_predictions_as_csv(digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "answers.csv"
    call(capsys, "predict", str(digits_run), "digits", "--out", str(out), "--lang", "zh")
    lines = out.read_text("utf-8").splitlines()
    assert lines[0] == "row,class,p(0),p(1),p(2),p(3),p(4),p(5),p(6),p(7),p(8),p(9)"
    assert len(lines) == 1 + 1797
    assert sum(float(p) for p in lines[1].split(",")[2:]) == pytest.approx(1, abs=1e-4)


def test_python_objects_are_not_read(digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "objects.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    done = call(capsys, "predict", str(digits_run), str(path))
    assert done.code == 2
    assert done.err.startswith(f"FileFormatError: {path} is no array of numbers in NumPy's format\n")


def test_data_lists_what_there_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    done = call(capsys, "data")
    for name in ("digits", "two-moons", "circles", "spirals", "xor", "blobs", "mnist", "fashion-mnist"):
        assert re.search(rf"^{name} ", done.out, re.M), name
    assert re.search(r"^digits\s+1,797\s+8x8\s+10 .*CC BY 4\.0\s+yes +train *$", done.out, re.M)
    assert re.search(r"^spoken-digits\s+2,700 \+ 300 .*CC BY-SA 4\.0 .* train audio *$", done.out, re.M)
    assert re.search(r"^tiny-shakespeare\s+1,115,394 .* 65 .*public domain .* train text *$", done.out, re.M)


@pytest.mark.parametrize("name", ["digits", "two-moons", "circles", "spirals", "xor", "blobs"])
def test_the_list_is_right_about_the_sets(name: str) -> None:
    from pellucid.cli.sources import BUILT_IN, load

    known, source = BUILT_IN[name], load(name)
    assert int(known.rows.replace(",", "")) == len(source.train)
    assert known.classes == source.train.num_classes
    assert np.prod([int(n) for n in known.features.split("x")]) == source.train.x.shape[1]
