"""A .npz file of the user comes in; a data set leaves. Called by users and the command line.

Nothing in the file is executed: arrays of Python objects are refused, and the size that an array's header claims is
checked against the archive before memory is taken.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pellucid._text import text
from pellucid._typing import Array
from pellucid.core.check import Options, checked
from pellucid.core.paths import existing_file
from pellucid.data._arrays import cast, numbers, require_finite, targets
from pellucid.data._files import DEFLATE_RATIO
from pellucid.data.dataset import Dataset
from pellucid.errors import FileFormatError, MissingKeyError

if TYPE_CHECKING:
    import zipfile

_PAIRS = {
    "all": (("x", "y"), ("X", "y"), ("x", "Y"), ("X", "Y"), ("data", "target")),
    "train": (("x_train", "y_train"), ("X_train", "y_train")),
    "test": (("x_test", "y_test"), ("X_test", "y_test")),
}


def npz_splits(path: Any) -> tuple[str, ...]:
    """The parts that `npz` finds in a file: ("all",), or ("train", "test"), or one of the two.

    Raises
        FileFormatError: not a .npz file, or none of the known names in it.
    """
    with _open(existing_file("path", path)) as archive:
        return tuple(_parts(archive, Path(path)))


@checked(split=Options("all", "train", "test"))
def npz(path: Any, split: str = "all", *, dtype: npt.DTypeLike | None = np.float32) -> Dataset:
    """The data set of a .npz file, as `numpy.savez(path, x=x, y=y)` writes it.

    Parameters
        path : the file
        split : "all" reads x (or X, or data) and y (or target); "train" and "test" read x_train and y_train, x_test and
            y_test. Arrays `class_names` and `feature_names` are used if they are there
        dtype : the dtype of x and of float targets; None keeps theirs
    Returns
        Dataset; its y is None if the file holds x alone
    Raises
        MissingFileError: no such file.
        FileFormatError: not a .npz file, damaged or oversized arrays, Python objects, no data set under known names.
        MissingKeyError: the file has no such part.
    """
    file_path = existing_file("path", path)
    with _open(file_path) as archive:
        parts = _parts(archive, file_path)
        if split not in parts:
            raise MissingKeyError(
                "data.npz-split",
                path=str(file_path),
                split=repr(split),
                names=", ".join(_arrays(archive)),
                options=" | ".join(map(repr, parts)),
            )
        x_name, y_name = parts[split]
        x = numbers(x_name, _entry(archive, file_path, x_name))
        require_finite(x_name, x)
        y = None
        if y_name is not None:
            y = targets(numbers(y_name, _entry(archive, file_path, y_name)))
            require_finite(y_name, y)
        if dtype is not None:
            x = cast(x_name, x, dtype)
            if y is not None and y.dtype.kind == "f":
                y = cast(y_name or "y", y, dtype)
        names = {
            name: tuple(map(str, _entry(archive, file_path, name).ravel().tolist()))
            for name in ("class_names", "feature_names")
            if name in _arrays(archive)
        }
    label = file_path.stem if split == "all" else f"{file_path.stem} {split}"
    return Dataset(x, y, names.get("class_names"), names.get("feature_names"), label, str(file_path))


def _open(path: Path) -> zipfile.ZipFile:
    import zipfile

    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as problem:
        raise FileFormatError("data.npz-format", path=str(path), problem=str(problem)) from None


def _arrays(archive: zipfile.ZipFile) -> list[str]:
    return [name[:-4] for name in archive.namelist() if name.endswith(".npy")]


def _parts(archive: zipfile.ZipFile, path: Path) -> dict[str, tuple[str, str | None]]:
    names = set(_arrays(archive))
    parts: dict[str, tuple[str, str | None]] = {}
    for split, pairs in _PAIRS.items():
        full = [pair for pair in pairs if set(pair) <= names]
        alone = [(x, None) for x, _ in pairs if x in names]
        if full or alone:
            parts[split] = (full or alone)[0]
    if not parts:
        raise FileFormatError("data.npz-names", path=str(path), names=", ".join(sorted(names)) or text("data.none"))
    return parts


def _entry(archive: zipfile.ZipFile, path: Path, name: str) -> Array:
    import zipfile
    import zlib

    info = archive.getinfo(name + ".npy")
    try:
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"compress_type {info.compress_type}")
        if info.file_size > (info.compress_size + 1) * DEFLATE_RATIO or info.compress_size > path.stat().st_size:
            raise ValueError(f"{info.compress_size} -> {info.file_size} bytes")
        with archive.open(info) as file:
            shape, dtype, header_bytes = _header(file)
            if dtype.hasobject:
                raise ValueError(text("data.npz-entry-object"))
            claimed_bytes = header_bytes + math.prod(shape) * dtype.itemsize
            if claimed_bytes != info.file_size:
                facts = {"shape": shape, "dtype": dtype, "claimed_bytes": claimed_bytes, "entry_bytes": info.file_size}
                raise ValueError(text("data.npz-entry-size", **facts))
        with archive.open(info) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    except (
        ValueError,
        OSError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        RuntimeError,
        NotImplementedError,
    ) as problem:
        if isinstance(problem, FileFormatError):
            raise
        raise FileFormatError("data.npz-entry", path=str(path), name=name, problem=str(problem)) from None


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    return shape, dtype, file.tell()
