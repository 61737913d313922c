"""The Free Spoken Digit Dataset: where it is looked for, what is in it, how it is fetched. Of a small set in its form,
and of the set itself where it is at hand."""

import importlib
import struct
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pellucid.data import spoken_digits, write_wav
from pellucid.errors import ArgumentError, DataError, DownloadError, MissingFileError
from tests.data.test_download import Server

module = importlib.import_module("pellucid.data.free_spoken_digits")


@pytest.fixture(autouse=True)
def no_other_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PELLUCID_DATA", raising=False)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(module, "_ADDRESSES", (server.address,))
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A zip in the form of the published one, with 2·2·50 recordings; each holds its number and its digit."""
    folder = tmp_path / "made" / "free-spoken-digit-dataset-1.0.10" / "recordings"
    folder.mkdir(parents=True)
    write_wav(tmp_path / "one.wav", [0.0, 0.0], 8000)
    header = (tmp_path / "one.wav").read_bytes()[:-4]
    for digit in (3, 7):
        for speaker in ("ann", "bob"):
            for number in range(50):
                samples = struct.pack("<2h", number * 512, digit * 2048)
                (folder / f"{digit}_{speaker}_{number}.wav").write_bytes(header + samples)
    (folder.parent / "README.md").write_text("a text")
    monkeypatch.setattr(module, "_NUM_RECORDINGS", 200)
    path = tmp_path / "made" / "v1.0.10.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.parent.rglob("*"):
            archive.write(file, file.relative_to(tmp_path / "made"))
    known = module._digest(path, 10**9)
    monkeypatch.setattr(module, "PUBLISHED", replace(module.PUBLISHED, sha256=known))
    return path


def said(error: pytest.ExceptionInfo) -> str:
    return str(error.value).rpartition("\n  at:")[0]


def test_the_split_and_the_labels(recordings: Path) -> None:
    train = spoken_digits("train", recordings.parent, download=False, num_samples=3)
    test = spoken_digits("test", recordings.parent, download=False, num_samples=None)
    assert (len(train), len(test)) == (180, 20)
    assert test.x.shape == (20, 2)
    for data in (train, test):
        assert data.files[0].startswith("3_ann_")
        for x, y, file, length in zip(data.x, data.y, data.files, data.lengths, strict=True):
            digit, _, number = file.removesuffix(".wav").split("_")
            assert x[:2].tolist() == [int(number) / 64, int(digit) / 16]
            assert data.class_names[y] == digit
            assert (int(number) < 5) == (data is test)
            assert length == 2


def test_the_places(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingFileError) as error:
        spoken_digits("test", tmp_path / "g", download=False)
    looked = ", ".join(str(tmp_path / p) for p in ("g", "g/audio", "cache/audio"))
    assert said(error) == (
        "Free Spoken Digit Dataset is not on this machine\n"
        f"  given:    looked in: {looked}\n"
        "  expected: free-spoken-digit-dataset-1.0.10.zip in one of these folders, or download=True"
    )
    content = recordings.read_bytes()
    for name in (
        "cache/audio/free-spoken-digit-dataset-1.0.10.zip",
        "d/audio/free-spoken-digits.zip",
        "d/recordings.zip",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert len(spoken_digits("test", download=False)) == 20
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path / "d"))
    (tmp_path / "cache").rename(tmp_path / "gone")
    assert len(spoken_digits("test", download=False)) == 20


def test_a_part_of_the_set_is_refused(recordings: Path) -> None:
    folder = recordings.parent / "free-spoken-digit-dataset-1.0.10" / "recordings"
    (folder / "7_bob_4.wav").unlink()
    with pytest.raises(DataError) as error:
        spoken_digits("test", recordings.parent, download=False)
    assert said(error) == (
        f"{folder} does not hold the whole Free Spoken Digit Dataset\n"
        "  given:    19 recordings of the test part\n"
        "  expected: 20, as version 1.0.10 has"
    )


def test_download(recordings: Path, server: Server, tmp_path: Path) -> None:
    server.files["/v1.0.10.zip"] = recordings.read_bytes()
    server.cut_at = 3000
    with pytest.raises(DownloadError, match="the connection closed after 3000 of"):
        spoken_digits("test", tmp_path / "new")
    server.cut_at = None
    assert len(spoken_digits("test", tmp_path / "new")) == 20
    assert server.asked == [None, "bytes=3000-"]
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["free-spoken-digit-dataset-1.0.10.zip"]
    assert len(spoken_digits("train", tmp_path / "new")) == 180
    assert len(server.asked) == 2


def test_a_download_that_holds_something_else(recordings: Path, server: Server, tmp_path: Path) -> None:
    server.files["/v1.0.10.zip"] = b"<html>"
    with pytest.raises(DownloadError, match="damaged or foreign zip file"):
        spoken_digits("test", tmp_path / "new")
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(recordings) as source, zipfile.ZipFile(other, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content[:-1] + b"\1" if name.endswith("3_ann_0.wav") else content)
    server.files["/v1.0.10.zip"] = other.read_bytes()
    with pytest.raises(DownloadError, match="is not the published") as error:
        spoken_digits("test", tmp_path / "new")
    assert error.value.fix == (f"fetch {server.address}v1.0.10.zip by other means and put it into {tmp_path / 'new'}")
    assert list((tmp_path / "new").iterdir()) == []


def test_wrong_arguments() -> None:
    with pytest.raises(ArgumentError):
        spoken_digits("valid")
    with pytest.raises(ArgumentError):
        spoken_digits(num_samples=0)


def test_the_set_itself(data_folder: Path) -> None:
    train, test = (spoken_digits(split, data_folder, download=False) for split in ("train", "test"))
    assert (train.x.shape, test.x.shape) == ((2700, 8000), (300, 8000))
    assert np.bincount(train.y).tolist() == [270] * 10
    assert np.bincount(test.y).tolist() == [30] * 10
    speakers = {file.split("_")[1] for file in train.files}
    assert speakers == {"george", "jackson", "lucas", "nicolas", "theo", "yweweler"}
    assert train.sample_rate == 8000
    assert train.class_names == tuple("0123456789")
    # The shortest and the longest recording, which others count too: 1,148 and 18,262 samples.
    assert spoken_digits("train", data_folder, num_samples=None).x.shape[1] == 18262
    assert min(train.lengths.min(), test.lengths.min()) == 1148


def test_the_published_checksum_is_that_of_the_recordings(data_folder: Path) -> None:
    published = module.PUBLISHED
    path = data_folder / "audio" / "free-spoken-digits.zip"
    assert published.content(path, published.num_bytes) == published.sha256
    assert published.content(path, published.num_bytes - 1) is None
