"""The word DATA of a command line comes in: the name of a built-in set, or the path of a folder or file. The data
set, or its training and test parts, leaves. Called by every command that reads data.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pellucid import data as sets
from pellucid._text import text
from pellucid._typing import Array
from pellucid.core.check import closest
from pellucid.data import Dataset
from pellucid.errors import DataError, FileFormatError, MissingFileError


@dataclass(frozen=True)
class Source:
    """A data set as it was named: its training part, its own test part where it has one, and the changes while training
    that leave its pictures what they are."""

    name: str
    train: Dataset
    test: Dataset | None = None
    augment: tuple[str, ...] = ()

    @property
    def to_answer(self) -> Dataset:
        """The rows to predict: the test part where there is one, else all."""
        return self.train if self.test is None else self.test


@dataclass(frozen=True)
class BuiltIn:
    """A set that needs no path: how it is made, its size, origin and licence; and as a `Source`."""

    load: Callable[[], tuple[Dataset, Dataset | None]]
    rows: str
    features: str
    classes: int
    licence: str
    augment: tuple[str, ...] = ()


def _made(function: Callable[..., Dataset], **arguments: Any) -> Callable[[], tuple[Dataset, None]]:
    return lambda: (function(**arguments), None)


BUILT_IN = {
    "digits": BuiltIn(lambda: (sets.digits(), None), "1,797", "8x8", 10, "CC BY 4.0"),
    "two-moons": BuiltIn(_made(sets.two_moons, num_rows=1000, noise=0.15), "1,000", "2", 2, "Apache-2.0"),
    "circles": BuiltIn(_made(sets.circles, num_rows=1000), "1,000", "2", 2, "Apache-2.0"),
    "spirals": BuiltIn(_made(sets.spirals, num_rows=1000), "1,000", "2", 2, "Apache-2.0"),
    "xor": BuiltIn(_made(sets.xor, num_rows=400), "400", "2", 2, "Apache-2.0"),
    "blobs": BuiltIn(_made(sets.blobs, num_rows=600), "600", "2", 3, "Apache-2.0"),
    "mnist": BuiltIn(
        lambda: (sets.mnist("train"), sets.mnist("test")), "60,000 + 10,000", "28x28", 10, "CC BY-SA 3.0", ("shift",)
    ),
    "fashion-mnist": BuiltIn(
        lambda: (sets.fashion_mnist("train"), sets.fashion_mnist("test")),
        "60,000 + 10,000",
        "28x28",
        10,
        "MIT",
        # A shoe that points to the other side is a shoe; a digit in the mirror is none.
        ("shift", "flip"),
    ),
}
"""The sets that a name stands for; computed ones have fixed seeds, so that a name means the same rows everywhere."""


def found(name: str) -> bool:
    """Whether a built-in set is at hand without a download."""
    if name not in ("mnist", "fashion-mnist"):
        return True
    reader = sets.mnist if name == "mnist" else sets.fashion_mnist
    try:
        reader("test", download=False)
    except (MissingFileError, FileFormatError):
        return False
    return True


def load(word: str) -> Source:
    """The data set that DATA names.

    Raises
        MissingFileError: neither a built-in set nor a path that is there.
        FileFormatError, DataError, ...: a file that cannot be read as data.
    """
    plain = word.lower().replace("_", "-")
    if plain in BUILT_IN:
        train, test = BUILT_IN[plain].load()
        return Source(plain, train, test, BUILT_IN[plain].augment)
    path = Path(word).expanduser()
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise MissingFileError("cli.no-data", word=word, names=", ".join(BUILT_IN), suggestion=closest(plain, BUILT_IN))
    if path.suffix == ".npz":
        splits = sets.npz_splits(path)
        if "train" in splits:
            return Source(path.stem, sets.npz(path, "train"), sets.npz(path, "test") if "test" in splits else None)
        return Source(path.stem, sets.npz(path, splits[0]))
    if path.suffix == ".csv":
        return Source(path.stem, read_csv(path))
    if path.suffix == ".npy":
        return Source(path.stem, Dataset(read_npy(path).astype(np.float32), name=path.stem))
    if "idx" in path.name:
        return Source(path.stem, _idx_rows(path))
    raise FileFormatError("cli.data-kind", path=word, suffix=path.suffix or text("cli.no-suffix"))


def _folder(path: Path) -> Source:
    train = sets.idx_folder(path, "train")
    try:
        test = sets.idx_folder(path, "test")
    except MissingFileError:
        return Source(path.resolve().name, train)
    return Source(path.resolve().name, train, test)


def _idx_rows(path: Path) -> Dataset:
    array = sets.read_idx(path)
    rows = array.reshape(len(array), -1)
    scaled = np.divide(rows, 255, dtype=np.float32) if array.dtype == np.uint8 else rows.astype(np.float32)
    return Dataset(scaled, name=path.stem, image_shape=array.shape[1:] if array.ndim == 3 else None)


def read_npy(path: Path) -> Array:
    """The array of a .npy file; Python objects in it are refused, and nothing is executed.

    Raises
        FileFormatError: not a .npy file, damaged, or with Python objects.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as problem:
        raise FileFormatError("cli.npy", path=str(path), problem=str(problem)) from None
    if not isinstance(array, np.ndarray):
        raise FileFormatError("cli.npy", path=str(path), problem=type(array).__name__)
    return array


def read_csv(path: Path, targets: bool = True) -> Dataset:
    """The rows of a CSV file: numbers with commas between them, a header or none; the last column is the target.

    A last column of whole numbers holds classes, as does one of text; one of other numbers is what a regression learns.

    Parameters
        targets : False takes every column as an input
    Raises
        FileFormatError: rows of unequal lengths, or text where a number belongs, with the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [(number, row) for number, row in enumerate(csv.reader(file), 1) if row]
    except (UnicodeDecodeError, csv.Error) as problem:
        raise FileFormatError("cli.csv", path=str(path), problem=str(problem)) from None
    if not lines:
        raise DataError("cli.csv-empty", path=str(path))
    width = len(lines[0][1])
    num_inputs = width - 1 if targets else width
    if num_inputs < 1:
        raise FileFormatError("cli.csv", path=str(path), problem=text("cli.csv-columns", width=width))
    header = None if all(map(_is_number, lines[0][1][:num_inputs])) else tuple(lines.pop(0)[1])
    if not lines:
        raise DataError("cli.csv-empty", path=str(path))
    for number, row in lines:
        if len(row) != width:
            why = text("cli.csv-width", line=number, given=len(row), expected=width)
            raise FileFormatError("cli.csv", path=str(path), problem=why)
        for column, entry in enumerate(row[:num_inputs]):
            if not _is_number(entry):
                why = text("cli.csv-text", line=number, column=column + 1, entry=repr(entry[:40]))
                raise FileFormatError("cli.csv", path=str(path), problem=why)
    x = np.array([[float(entry) for entry in row[:num_inputs]] for _, row in lines], dtype=np.float32)
    names = None if header is None else header[:num_inputs]
    if not targets:
        return Dataset(x, None, None, names, path.stem, str(path))
    y, class_names = _column([row[-1].strip() for _, row in lines])
    return Dataset(x, y, class_names, names, path.stem, str(path))


def rows_to_predict(word: str, row_shape: tuple[int, ...]) -> Dataset:
    """The rows that INPUT names, with targets or without: of a table, a last column too many is left out.

    Raises
        As `load`.
    """
    path = Path(word).expanduser()
    if word.lower().replace("_", "-") in BUILT_IN or path.suffix != ".csv" or not path.is_file():
        data = load(word).to_answer
    else:
        data = read_csv(path, targets=False)
        if row_shape == (data.x.shape[1] - 1,):
            data = Dataset(data.x[:, :-1], name=data.name)
    return fitted(data, row_shape)


def fitted(data: Dataset, row_shape: tuple[int, ...]) -> Dataset:
    """The rows in the shape that a model takes, where it is the same numbers in the same order: flat or as pictures,
    with or without an axis for one channel."""
    given = data.x.shape[1:]
    same = int(np.prod(given)) == int(np.prod(row_shape))
    plain = len(given) == 1 or len(row_shape) == 1 or (1, *given) == row_shape or given == (1, *row_shape)
    if given == row_shape or not same or not plain:
        return data
    return replace(data, x=data.x.reshape(len(data), *row_shape), feature_names=None)


def _column(entries: list[str]) -> tuple[Array, tuple[str, ...] | None]:
    if not all(map(_is_number, entries)):
        return sets.encode_labels(entries)
    values = np.array(entries, dtype=np.float64)
    if np.isfinite(values).all() and (values == np.floor(values)).all() and (values >= 0).all():
        return values.astype(np.int64), None
    return values.astype(np.float32), None


def _is_number(entry: str) -> bool:
    try:
        float(entry)
    except ValueError:
        return False
    return True


def checksum(source: Source) -> str:
    """SHA-256 over shapes, dtypes and bytes of all arrays of a source: tells two data sets of one name apart."""
    digest = hashlib.sha256()
    for part in (source.train, source.test):
        for array in () if part is None else (part.x, part.y):
            if array is not None:
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
