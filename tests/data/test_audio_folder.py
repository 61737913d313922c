"""Folders and zips of recordings: labels, lengths, order, and what is refused."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from pellucid.data import Recordings, audio_folder, train_test_split, write_wav
from pellucid.errors import DataError, FileFormatError, MissingFileError


def make(folder: Path, files: dict[str, list[float]], rate: int = 8000) -> Path:
    for name, samples in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_wav(path, samples, rate)
    return folder


def packed(folder: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", method) as archive:
        for path in sorted(folder.rglob("*"), reverse=True):
            archive.write(path, path.relative_to(folder))
    return target


FILES = {"yes/b.wav": [0.5, 0.25], "yes/a.wav": [0.125], "no/c.WAV": [-0.5, 0.5, -0.25]}


def said(error: pytest.ExceptionInfo) -> str:
    return str(error.value).rpartition("\n  at:")[0]


@pytest.mark.parametrize("kind", ["folder", "zip", "stored"])
def test_a_folder_for_each_class(tmp_path: Path, kind: str) -> None:
    folder = make(tmp_path / "words", FILES)
    (folder / "no" / "readme.txt").write_text("not a sound")
    make(folder, {"__MACOSX/yes/a.wav": [0.0], "yes/._a.wav": [0.0]})
    place = (
        folder if kind == "folder" else packed(folder, zipfile.ZIP_STORED if kind == "stored" else zipfile.ZIP_DEFLATED)
    )
    data = audio_folder(place)
    assert isinstance(data, Recordings)
    assert data.class_names == ("no", "yes")
    assert data.files.tolist() == ["no/c.WAV", "yes/a.wav", "yes/b.wav"]
    assert data.x.tolist() == [[-0.5, 0.5, -0.25], [0.125, 0, 0], [0.5, 0.25, 0]]
    assert data.x.dtype == np.float32
    assert data.y.tolist() == [0, 1, 1]
    assert data.lengths.tolist() == [3, 1, 2]
    assert (data.sample_rate, data.name, data.description) == (8000, "words", str(place))


def test_labels_by_name_cut_and_padded(tmp_path: Path) -> None:
    make(tmp_path, {"10_ann_0.wav": [0.5, 0.5, 0.5], "9_bob_1.wav": [0.25], "x_eve.wav": [0.125]})
    data = audio_folder(tmp_path, "name", num_samples=2)
    assert data.class_names == ("9", "10", "x")  # numbers by what they are worth
    assert data.y.tolist() == [1, 0, 2]
    assert data.x.tolist() == [[0.5, 0.5], [0.25, 0], [0.125, 0]]
    assert data.lengths.tolist() == [2, 1, 1]
    bare = audio_folder(tmp_path, None, 4)
    assert bare.y is None
    assert bare.class_names is None
    assert bare.x.shape == (3, 4)


def test_channels_are_averaged(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", [[0.5, -0.5], [0.25, 0.5]], 8000)
    assert audio_folder(tmp_path, None).x.tolist() == [[0.375, 0.0]]


def test_parts_keep_what_belongs_to_their_rows(tmp_path: Path) -> None:
    data = audio_folder(make(tmp_path / "w", FILES))
    for rows, expected in (
        ([2, 0], [2, 0]),
        (slice(1, None), [1, 2]),
        (np.array([True, False, True]), [0, 2]),
        ([-1], [2]),
    ):
        part = data[rows]
        assert part.files.tolist() == [data.files[i] for i in expected]
        assert part.lengths.tolist() == [data.lengths[i] for i in expected]
        assert part.sample_rate == 8000
    x, y = data[1]
    assert (x.tolist(), int(y)) == ([0.125, 0, 0], 1)
    train, test = train_test_split(data, test_size=1, stratify=False, seed=0)
    assert sorted([*train.files, *test.files]) == data.files.tolist()
    assert data.as_floats(np.float64).lengths.tolist() == [3, 1, 2]
    assert repr(data) == (
        "Recordings('w', x=float32(3, 3), y=int64(3,), num_classes=2, class_names=['no', 'yes'], sample_rate=8000)"
    )


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="there is no"):
        audio_folder(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingFileError, match="holds no WAV file"):
        audio_folder(tmp_path / "empty")
    one = make(tmp_path / "one", {"d/1_a_0.wav": [0.0], "d/2_a_0.wav": [0.0]})
    with pytest.raises(DataError) as same:
        audio_folder(one)
    assert said(same) == (
        f"{one}: every recording would have the same label\n"
        '  given:    labels="folder", and all files lie in d, such as d/1_a_0.wav\n'
        '  expected: a folder for each class, or labels="name" for names such as 7_jackson_32.wav'
    )
    assert len(audio_folder(one, "name")) == 2
    make(one, {"d/3_a_0.wav": [0.0]}, rate=16000)
    with pytest.raises(DataError) as rates:
        audio_folder(one, "name")
    assert said(rates) == (
        f"{one}: two recordings differ in their sample rate\n"
        "  given:    d/1_a_0.wav 8000 Hz, d/3_a_0.wav 16000 Hz\n"
        "  expected: one sample rate; resample the files first"
    )
    silent = make(tmp_path / "silent", {"a.wav": [0.0]})
    write_wav(silent / "a.wav", np.zeros(0), 8000)
    with pytest.raises(DataError, match=r"silent: a.wav holds no samples"):
        audio_folder(silent, None)
    (silent / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(FileFormatError, match=r"silent: a.wav is not a WAV file"):
        audio_folder(silent, None)


def test_zips_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(b"PK\3\4 nothing")
    with pytest.raises(FileFormatError, match="damaged or foreign zip file"):
        audio_folder(path)
    whole = packed(make(tmp_path / "w", FILES))
    content = bytearray(whole.read_bytes())
    content[60:70] = bytes(10)
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="damaged or foreign zip file"):
        audio_folder(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a/a.wav", b"x" * 100)
    with pytest.raises(FileFormatError, match="compress_type 12"):
        audio_folder(path)


def test_a_zip_that_claims_more_than_it_can_hold(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.wav", b"RIFF")
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\1\2") + 24  # the size once unpacked, in the directory at the end
    content[place : place + 4] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="2147483648 bytes"):
        audio_folder(path)
