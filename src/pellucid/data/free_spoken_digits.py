"""A split's name comes in; the spoken digits leave, from a zip or a folder at hand or by download. Called by users and
the command line.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from pellucid.core.check import Flag, Integer, Options, checked
from pellucid.core.paths import as_path, cache_folder, short
from pellucid.data._download import Published, download
from pellucid.data.recordings import Recordings, contents, read_folder, recordings
from pellucid.errors import DataError, MissingFileError

_SET = "Free Spoken Digit Dataset"
_DESCRIPTION = (
    "English digits spoken by six people, 50 times each, 8 kHz; Z. Jackson et al., Free Spoken Digit Dataset 1.0.10, "
    "2020; CC BY-SA 4.0"
)
_FILE = "free-spoken-digit-dataset-1.0.10.zip"
_ADDRESSES = ("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/",)
_NAME = re.compile(r"(\d)_([^_/]+)_(\d+)\.wav")
_NUM_RECORDINGS = 3000
# "The test set officially consists of the first 10% of the recordings": of fifty of a digit by a speaker, five.
_NUM_TEST = 5


def _is_recording(name: str) -> bool:
    return _NAME.fullmatch(PurePosixPath(name).name) is not None


def _digest(path: Path, limit_bytes: int) -> str | None:
    """SHA-256 of the recordings of a zip, each with its name and a zero byte before it, by name."""
    result, done = hashlib.sha256(), 0
    by_file = {PurePosixPath(entry).name: content for entry, content in contents(path, _is_recording, _FILE)}
    for file in sorted(by_file):
        done += len(by_file[file])
        if done > limit_bytes:
            return None
        result.update(file.encode() + b"\0" + by_file[file])
    return result.hexdigest()


PUBLISHED = Published(
    _FILE,
    21_128_848,
    "6b1a8e30f4df78a933fe25cf1ca0140c8c6f169c0a83649a15b70a5ae7407014",
    at_address="v1.0.10.zip",
    content=_digest,
)
_ZIPS = (_FILE, "free-spoken-digits.zip", "free-spoken-digit-dataset-master.zip")
_FOLDERS = ("recordings", *(f"free-spoken-digit-dataset{end}/recordings" for end in ("", "-1.0.10", "-master")))


@checked(split=Options("train", "test"), download=Flag(), num_samples=Integer(1, none=True))
def spoken_digits(
    split: str = "train", folder: Any = None, download: bool = True, num_samples: int | None = 8000
) -> Recordings:
    """The Free Spoken Digit Dataset: six people say the digits 0 to 9 in English; 2,700 recordings to train, 300 to
    test.

    The split is the published one: of the fifty recordings of a digit by a speaker, 0 to 4 are for the test. A zip of
    the set, or its folder `recordings/`, is looked for in `folder` and in the folder that `PELLUCID_DATA` names, in
    each also under `audio/`, and in the cache (`PELLUCID_CACHE`, else the platform's cache folder). Only then it is
    downloaded, into `folder` or else into the cache, its content checked by SHA-256.

    Parameters
        split : "train" or "test"
        folder : where the files are or shall be
        download : False never uses the network
        num_samples : samples of each row, 8,000 a second: longer recordings lose their end (1 in 160 is longer than a
            second), shorter ones are followed by zeros. None is the length of the split's longest
    Returns
        Recordings with x (rows, num_samples) float32 in [-1, 1), y (rows,) int64, class names "0" to "9", lengths,
        sample rate 8000, and files, such as "7_jackson_32.wav"
    Raises
        MissingFileError: not at hand, and `download` is False.
        DownloadError: no address gave the file; says where to put it by hand.
        FileFormatError: a damaged file.
        DataError: the recordings at hand are not all that the set has.
    Source
        Z. Jackson et al., Free Spoken Digit Dataset, version 1.0.10, 2020, https://github.com/Jakobovski/free-spoken-digit-dataset.
    """
    return load(split, folder, download, num_samples)


def load(
    split: str, folder: Any, may_download: bool, num_samples: int | None, *, timeout_s: float = 20.0
) -> Recordings:
    """One split, from the first place that has the set, else by download."""
    given = None if folder is None else as_path("folder", folder)
    cache = cache_folder() / "audio"
    named = os.environ.get("PELLUCID_DATA")
    roots = [given] if given else []
    roots += [Path(named).expanduser()] if named else []
    looked = [*(f for root in roots for f in (root, root / "audio")), cache]
    candidates = [f / name for f in looked for name in (*_ZIPS, *_FOLDERS)]
    place = next((p for p in candidates if (p.is_file() if p.suffix == ".zip" else p.is_dir())), None)
    if place is None:
        if not may_download:
            raise MissingFileError("data.missing-set", name=_SET, folders=", ".join(map(str, looked)), files=_FILE)
        place = download(PUBLISHED, _ADDRESSES, given or cache, timeout_s=timeout_s)
    waves, names, sample_rate = read_folder(place, lambda name: split_of(name) == split)
    expected = _NUM_RECORDINGS * _NUM_TEST // 50
    expected = expected if split == "test" else _NUM_RECORDINGS - expected
    if len(waves) != expected:
        raise DataError("audio.incomplete", name=_SET, path=short(place), count=len(waves), split=split, total=expected)
    files = [PurePosixPath(name).name for name in names]
    digits = [file[0] for file in files]
    return recordings(waves, files, digits, sample_rate, num_samples, f"{_SET} {split}", _DESCRIPTION)


def split_of(name: str) -> str | None:
    """The published split that a recording of the set belongs to, by the name of its file; None if it is not one."""
    match = _NAME.fullmatch(PurePosixPath(name).name)
    if match is None:
        return None
    return "test" if int(match[3]) < _NUM_TEST else "train"
