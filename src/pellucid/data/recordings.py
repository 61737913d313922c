"""A folder or a zip of WAV files comes in; a data set of recordings leaves, all of one length, labelled by the names of
folders or files. Called by users, the command line and the reader of the spoken digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Integer, Options, checked
from pellucid.core.paths import accessing, as_path, short
from pellucid.data._files import DEFLATE_RATIO
from pellucid.data.dataset import Dataset
from pellucid.data.wav import decode_wav
from pellucid.errors import DataError, FileFormatError, MissingFileError

_SAMPLES = Integer(1, none=True)


@dataclass(frozen=True, eq=False, repr=False)
class Recordings(Dataset):
    """A data set whose rows are recordings, one channel each, cut or padded with zeros to one length.

    Parameters
        x : array, shape (recordings, samples), float
        lengths : array, shape (recordings,), how many samples of each row are of the recording, padding not counted
        sample_rate : samples a second, in Hz
        files : array, shape (recordings,), the name of each file
    """

    lengths: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    sample_rate: int = 0
    files: Array = field(default_factory=lambda: np.zeros(0, np.str_))

    def __repr__(self) -> str:
        facts = super().__repr__().partition("(")[2].removesuffix(")")
        return f"Recordings({facts}, sample_rate={self.sample_rate})"

    def __getitem__(self, rows: Any) -> Any:
        """As a Dataset's, the lengths and the files' names with it."""
        part = super().__getitem__(rows)
        if isinstance(part, Recordings):
            if not isinstance(rows, slice):
                rows = self._row_numbers(rows)
            part._set(lengths=self.lengths[rows], files=self.files[rows])
        return part


@checked(labels=Options("folder", "name", None), num_samples=_SAMPLES)
def audio_folder(path: Any, labels: str | None = "folder", num_samples: int | None = None) -> Recordings:
    """The WAV files of a folder or a zip, those of the folders in it too, in the order of their names.

    Several channels are averaged to one. All files must have the same sample rate: nothing is resampled.

    Parameters
        path : a folder, or a file that ends in .zip
        labels : where the class of a recording is read: "folder", the name of the folder in which its file lies;
            "name", the name of its file up to the first "_", as in `7_jackson_32.wav`; None, no labels
        num_samples : samples of each row: longer recordings lose their end, shorter ones are followed by zeros. None
            is the length of the longest
    Returns
        Recordings with x (recordings, num_samples) float32, y (recordings,) int64 or None, the class names sorted
        (numbers as numbers), lengths, sample rate and files
    Raises
        MissingFileError: no such folder or file, or no WAV file in it.
        FileFormatError: what `read_wav` refuses, with the file's name; no zip file, or a damaged one.
        DataError: two sample rates; a file without samples; labels by folder, and all files lie in one.
    """
    place = as_path("path", path)
    waves, names, sample_rate = read_folder(place)
    if not names:
        raise MissingFileError("audio.no-wav", path=short(place))
    classes = None if labels is None else [_class_of(name, labels) for name in names]
    if labels == "folder" and classes is not None and len(set(classes)) == 1:
        raise DataError("audio.one-folder", path=short(place), folder=classes[0] or ".", file=names[0])
    return recordings(waves, names, classes, sample_rate, num_samples, place.stem, str(place))


def recordings(
    waves: list[Array],
    names: list[str],
    classes: list[str] | None,
    sample_rate: int,
    num_samples: int | None,
    name: str,
    description: str,
) -> Recordings:
    """Waves of several lengths as one data set."""
    lengths = np.array([len(wave) for wave in waves])
    width = int(lengths.max()) if num_samples is None else num_samples
    x = np.zeros((len(waves), width), np.float32)
    for row, wave in zip(x, waves, strict=True):
        row[: len(wave)] = wave[:width]
    y, class_names = None, None
    if classes is not None:
        class_names = _in_order(set(classes))
        number = {label: n for n, label in enumerate(class_names)}
        y = np.array([number[label] for label in classes])
    return Recordings(
        x,
        y,
        class_names,
        name=name,
        description=description,
        lengths=np.minimum(lengths, width),
        sample_rate=sample_rate,
        files=np.array(names),
    )


def read_folder(place: Path, chosen: Any = None) -> tuple[list[Array], list[str], int]:
    """The waves of a folder or zip, one channel each; their names, in order; and their common sample rate.

    Parameters
        chosen : which names to read; None reads all
    """
    waves: list[Array] = []
    names: list[str] = []
    first: tuple[str, int] | None = None
    for name, content in contents(place, chosen):
        label = f"{short(place)}: {name}"
        wave, sample_rate = decode_wav(content, label)
        if not wave.shape[1]:
            raise DataError("audio.no-samples", path=label)
        if first is None:
            first = (name, sample_rate)
        elif sample_rate != first[1]:
            raise DataError("audio.rates", path=short(place), a=first[0], a_rate=first[1], b=name, b_rate=sample_rate)
        waves.append(wave[0] if len(wave) == 1 else wave.mean(axis=0))
        names.append(name)
    return waves, names, first[1] if first else 0


def contents(place: Path, chosen: Any = None, label: str | None = None) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each WAV file of a folder or zip, by name; what systems leave behind (names that start with "."
    or "__") is passed over. `label` stands for the place in messages."""
    with accessing(place):
        if place.is_dir():
            paths = {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
            for name in _wanted(paths, chosen):
                yield name, paths[name].read_bytes()
        elif not place.is_file():
            raise MissingFileError("audio.missing", path=short(place))
        else:
            yield from _zipped(place, chosen, label or short(place))


def _zipped(place: Path, chosen: Any, label: str) -> Iterator[tuple[str, bytes]]:
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(place) as archive:
            entries = {info.filename: info for info in archive.infolist() if not info.is_dir()}
            for name in _wanted(entries, chosen):
                info = entries[name]
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError(f"{name}: compress_type {info.compress_type}")
                if (
                    info.file_size > (info.compress_size + 1) * DEFLATE_RATIO
                    or info.compress_size > place.stat().st_size
                ):
                    raise ValueError(f"{name}: {info.compress_size} -> {info.file_size} bytes")
                yield name, archive.read(info)
    except (
        ValueError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,
        NotImplementedError,
    ) as problem:
        raise FileFormatError("audio.zip", path=label, problem=str(problem)) from None


def _wanted(names: Mapping[str, Any], chosen: Any) -> list[str]:
    found = []
    for name in sorted(names):
        parts = PurePosixPath(name).parts
        if name.lower().endswith(".wav") and not any(part.startswith((".", "__")) for part in parts):
            found.append(name)
    return [name for name in found if chosen is None or chosen(name)]


def _class_of(name: str, labels: str) -> str:
    path = PurePosixPath(name)
    return path.parent.name if labels == "folder" else path.stem.partition("_")[0]


def _in_order(names: set[str]) -> tuple[str, ...]:
    """Sorted: numbers by what they are worth, and before everything else."""

    def place(name: str) -> tuple[float, str]:
        return (int(name) if name.isascii() and name.isdigit() else math.inf, name)

    return tuple(sorted(names, key=place))
