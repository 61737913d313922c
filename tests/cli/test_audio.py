"""`pellucid train audio`: what it reads, leaves and refuses, that the model takes WAV files, and, slowly, the accuracy
on the published test part of the spoken digits."""

from __future__ import annotations

import csv
import re
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid.cli.audio_settings import AUDIO_SETTINGS, gather_audio, pace
from pellucid.cli.audio_sources import load_sounds, usual_length
from pellucid.errors import ArgumentError, DataError, MissingFileError
from tests.cli.shell import call

RATE = 2000
QUICK = ("--bands", "16", "--epochs", "8", "--batch-size", "16")


def tone(kind: str, n: int) -> np.ndarray:
    """A rising or a falling tone of its own loudness, some 0.3 s long."""
    rng = np.random.default_rng(n)
    seconds = np.arange(int(RATE * rng.uniform(0.25, 0.35))) / RATE
    slope = 900 if kind == "up" else -900
    wave = rng.uniform(0.2, 0.8) * np.sin(2 * np.pi * ((500 if kind == "up" else 800) + slope * seconds) * seconds)
    return (wave + 0.01 * rng.normal(size=len(wave))).astype(np.float32)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tones() -> Path:
    """Recordings in a folder for each class."""
    for kind in ("down", "up"):
        Path("tones", kind).mkdir(parents=True)
        for n in range(40):
            pl.data.write_wav(f"tones/{kind}/{n:02}.wav", tone(kind, n), RATE)
    return Path("tones")


@pytest.mark.parametrize("model", ["cnn", "gru"])
def test_a_run_on_recordings(model: str, tones: Path, capsys: pytest.CaptureFixture[str]) -> None:
    width = ("--width", "12")
    done = call(capsys, "train", "audio", "tones", "--model", model, *QUICK, *width, "--seed", "1")
    assert (done.code, done.err) == (0, "")
    # 80 recordings: a quarter to test, and a tenth of the rest, rounded up, to validate.
    assert "tones: recordings of 0.4 s at 2000 Hz, 2 classes; 54 to train on, 6 to validate, 20 to test" in done.out
    count = {
        # 2·16; 12·16·5 + 12 + 24; twice 12·12·5 + 12 + 24; 24 + 2
        "cnn": 32 + 996 + 2 * 756 + 26,
        # 2·16; 3·12·(16 + 12 + 2); 24 + 2
        "gru": 32 + 1080 + 26,
    }[model]
    name = {"cnn": "SpokenWordCNN", "gru": "SpokenWordGRU"}[model]
    assert f"network   {name}: {count:,} parameters, {4 * count:,} bytes" in done.out
    run = Path("runs/tones")
    assert sorted(p.name for p in run.iterdir()) == [
        "confusion.png", "curves.png", "metrics.jsonl", "model.safetensors", "report.html", "run.toml",
        "spectrograms.png",
    ]  # fmt: skip
    tables = tomllib.loads((run / "run.toml").read_text("utf-8"))
    assert tables["data"]["class_names"] == ["down", "up"]
    assert (tables["data"]["sample_rate"], tables["data"]["num_samples"]) == (RATE, 800)
    assert tables["settings"]["seconds"] == 0.4
    assert tables["results"]["test_accuracy"] > 0.8

    # A file, a folder and a zip are answered alike, and as by the model in Python.
    saved = pl.load(run / "model.safetensors")
    waves = np.zeros((2, tables["data"]["num_samples"]), np.float32)
    for row, kind in zip(waves, ("down", "up"), strict=True):
        row[: len(tone(kind, 7))] = pl.data.read_wav(f"tones/{kind}/07.wav")[0][0]
    scores = saved.predict(waves).astype(np.float64)
    best = np.exp(scores).max(axis=1) / np.exp(scores).sum(axis=1)
    Path("new").mkdir()
    with zipfile.ZipFile("new.zip", "w") as archive:
        for kind in ("down", "up"):
            archive.write(f"tones/{kind}/07.wav", f"{kind}.wav")
            Path("new", f"{kind}.wav").write_bytes(Path(f"tones/{kind}/07.wav").read_bytes())
    for word in ("new", "new.zip"):
        told = call(capsys, "predict", "runs/tones", word).out
        rows = re.findall(r"^(\w+)\.wav\s+(down|up)\s+([01]\.\d{4})$", told, re.M)
        assert [row[0] for row in rows] == ["down", "up"]
        assert [["down", "up"].index(row[1]) for row in rows] == scores.argmax(axis=1).tolist()
        np.testing.assert_allclose([float(row[2]) for row in rows], best, atol=6e-5)
    single = call(capsys, "predict", "runs/tones", "tones/up/07.wav", "--out", "one.csv")
    assert single.out == "1 predictions in one.csv\n"
    with open("one.csv", encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    assert table[0] == ["file", "class", "p(down)", "p(up)"]
    assert table[1][:2] == ["07.wav", ["down", "up"][int(scores[1].argmax())]]

    # The part that was held out is measured again to the same value.
    told = call(capsys, "evaluate", "runs/tones", "tones").out
    assert told.startswith("tones: 20 rows, the test part that the run held out\n")
    assert f"test accuracy {tables['results']['test_accuracy']:.3f} " in told


def test_the_published_split_is_read_from_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    Path("digits").mkdir()
    for digit, kind in ((0, "down"), (3, "up")):
        for n in range(20):
            pl.data.write_wav(f"digits/{digit}_ann_{n}.wav", tone(kind, n), RATE)
    source = load_sounds("digits")
    assert source.test is not None
    assert sorted(source.test.files.tolist()) == sorted(f"{d}_ann_{n}.wav" for d in (0, 3) for n in range(5))
    assert len(source.train) == 30
    assert source.train.class_names == ("0", "3")
    assert source.test.y.tolist() == [0] * 5 + [1] * 5
    call(capsys, "train", "audio", "digits", "--width", "8", *QUICK)
    assert "digits: 10 rows, the set's own test part\n" in call(capsys, "evaluate", "runs/digits", "digits").out
    # Classes are told by their names: a folder of threes alone holds the model's second class.
    Path("threes").mkdir()
    for n in range(5, 9):
        Path(f"threes/3_ann_{n}.wav").write_bytes(Path(f"digits/3_ann_{n}.wav").read_bytes())
    answers = call(capsys, "predict", "runs/digits", "threes").out
    share = len(re.findall(r"^3_ann_\d\.wav\s+3 ", answers, re.M)) / 4
    assert f"test accuracy {share:.3f} " in call(capsys, "evaluate", "runs/digits", "threes").out
    Path("threes/3_ann_5.wav").rename("threes/9_ann_5.wav")
    refused = call(capsys, "evaluate", "runs/digits", "threes")
    assert refused.err == (
        "LabelError: the recordings have a class that the model does not know\n"
        "  given:    9, of 9_ann_5.wav\n"
        "  expected: one of 0, 3\n"
    )


def test_another_sample_rate_is_refused(tones: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "train", "audio", "tones", "--model", "cnn", "--width", "8", "--bands", "16", "--epochs", "1", "-q")
    pl.data.write_wav("fast.wav", tone("up", 0), 2 * RATE)
    refused = call(capsys, "predict", "runs/tones", "fast.wav")
    assert refused.code == 2
    assert refused.err == (
        "DataError: fast.wav has another sample rate than the model was trained on\n"
        "  given:    4000 Hz\n"
        "  expected: 2000 Hz; nothing is resampled\n"
    )
    assert call(capsys, "predict", "runs/tones", "none.wav").err.startswith("MissingFileError: there is no none.wav\n")


def test_what_is_refused_leaves_no_folder(tones: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    for words, what in [
        (("no-such-place",), "MissingFileError: there are no sounds no-such-place\n"),
        (("spoken-digit",), "  fix:      did you mean spoken-digits?\n"),
        (("empty",), "MissingFileError: "),
        (("tones", "--model", "gru", "--dropout", "0.2"), "ArgumentError: gru has no --dropout\n"),
        (("tones", "--momentum", "0.9"), "momentum"),
        (("tones/up", "--labels", "folder"), "DataError: "),
    ]:
        done = call(capsys, "train", "audio", *words)
        assert done.code == 2
        assert what in done.err
    assert not Path("runs").exists()


def test_lengths() -> None:
    # 99 of 100 recordings have 95 samples at most, which is 10 tenths of a second, begun, at 100 Hz; one is cut.
    assert usual_length([95] * 199 + [500], 100) == 100
    assert usual_length([100], 100) == 100
    assert usual_length([101], 100) == 110


def test_settings() -> None:
    cnn, gru = gather_audio({}, None), gather_audio({"model": "gru"}, None)
    assert (cnn["width"], cnn["dropout"], cnn["lr"]) == (48, 0.3, 0.01)
    assert (gru["width"], gru["dropout"]) == (64, None)
    assert gather_audio({"optimizer": "sgd"}, None)["lr"] == 0.1
    # 38 batches of 64 an epoch: 600 updates are 16 epochs. The GRU is given 20.
    assert pace(cnn, 2430) == {"batch_size": 64, "epochs": 16}
    assert pace(gru, 2430) == {"batch_size": 64, "epochs": 20}
    with pytest.raises(ArgumentError, match="gru has no --dropout"):
        gather_audio({"model": "gru", "dropout": "0.1"}, None)


def test_every_setting_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    page = call(capsys, "train", "audio", "--help").out
    for setting in AUDIO_SETTINGS:
        assert f"  --{setting.name} " in page
        assert setting.kind.read("x", setting.kind.show(setting.default)) == setting.default, setting.name


def test_places(tones: Path) -> None:
    with pytest.raises(DataError):
        load_sounds("tones/up", "folder")
    assert load_sounds("tones", "name").train.num_classes == 40
    with pytest.raises(MissingFileError):
        load_sounds("tones/sideways")
    assert load_sounds("tones", seconds=0.1).train.x.shape == (80, 200)


@pytest.mark.long
@pytest.mark.parametrize("model", ["cnn", "gru"])
def test_spoken_digits_are_learned(model: str, data_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "train", "audio", "spoken-digits", "--model", model, "--seed", "0")
    assert (done.code, done.err) == (0, "")
    accuracy = re.search(r"^test accuracy (\S+) ", done.out, re.M)
    assert accuracy is not None
    assert float(accuracy[1]) >= 0.95
