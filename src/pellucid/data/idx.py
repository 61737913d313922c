"""IDX files come in, MNIST's format, plain or gzip; arrays and data sets leave. Called by users, the command line and
the readers of MNIST and Fashion-MNIST.

The format (LeCun, Cortes, Burges, "The MNIST database"): two zero bytes, one byte for the type, one for the number of
axes; the length of each axis as a big-endian 32-bit unsigned number; the entries, big-endian, last axis fastest.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any, cast

import numpy as np

from pellucid._text import text
from pellucid._typing import Array, Shape
from pellucid.core.check import Options, checked
from pellucid.core.paths import accessing, as_path, existing_file, write_whole
from pellucid.data._arrays import numbers
from pellucid.data._files import DEFLATE_RATIO, is_gzip, open_plain
from pellucid.data.dataset import Dataset
from pellucid.errors import DTypeError, FileFormatError, MissingFileError

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_AXES = 32

SPLITS = {"train": "train", "test": "t10k"}


def read_idx(path: Any) -> Array:
    """The array of an IDX file, plain or gzip, in the machine's own byte order.

    Raises
        MissingFileError: no such file.
        FileFormatError: not IDX, not gzip in spite of its name, damaged, truncated, longer than its header says, or
            with a header that claims more than the file can hold (checked before any memory is taken).
    Examples
        >>> write_idx("example-idx2-short", np.array([[1, -2], [3, 4]], dtype=np.int16))
        >>> read_idx("example-idx2-short").tolist()
        [[1, -2], [3, 4]]
    """
    import gzip
    import zlib

    file_path = existing_file("path", path)
    with accessing(file_path):
        try:
            return _read(file_path)
        except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
            raise FileFormatError("data.gzip-damaged", path=str(file_path), problem=str(problem)) from None


def _read(path: Path) -> Array:
    file_bytes = path.stat().st_size
    with open_plain(path) as file:
        magic = file.read(4)
        known = len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _TYPES and 1 <= magic[3] <= _MOST_AXES
        if not known:
            raise FileFormatError("data.idx-magic", path=str(path), start=magic.hex(" "))
        lengths = file.read(4 * magic[3])
        header_bytes = 4 + 4 * magic[3]
        if len(lengths) < 4 * magic[3]:
            raise FileFormatError(
                "data.idx-truncated", path=str(path), given_bytes=4 + len(lengths), expected_bytes=header_bytes
            )
        shape: Shape = struct.unpack(f">{magic[3]}I", lengths)
        dtype = np.dtype(_TYPES[magic[2]])
        expected_bytes = header_bytes + math.prod(shape) * dtype.itemsize
        packed = is_gzip(path)
        limit_bytes = file_bytes * DEFLATE_RATIO if packed else file_bytes
        if packed and expected_bytes > limit_bytes:
            raise FileFormatError(
                "data.idx-oversized",
                path=str(path),
                shape=shape,
                dtype=dtype.newbyteorder("="),
                claimed_bytes=expected_bytes,
                limit_bytes=limit_bytes,
                file_bytes=file_bytes,
            )
        if not packed and expected_bytes > limit_bytes:
            raise FileFormatError(
                "data.idx-truncated", path=str(path), given_bytes=file_bytes, expected_bytes=expected_bytes
            )
        array = np.empty(shape, dtype=dtype)
        done = header_bytes
        if array.size:
            view = memoryview(cast(Any, array.reshape(-1).view(np.uint8)))
            while done < expected_bytes:
                got = file.readinto(view[done - header_bytes :])  # type: ignore[attr-defined]
                if not got:
                    raise FileFormatError(
                        "data.idx-truncated", path=str(path), given_bytes=done, expected_bytes=expected_bytes
                    )
                done += got
        if file.read(1):
            raise FileFormatError("data.idx-trailing", path=str(path), expected_bytes=expected_bytes)
    return array.astype(dtype.newbyteorder("="), copy=False)


def write_idx(path: Any, array: Any) -> None:
    """Write an array as an IDX file, gzip if the name ends in `.gz`; the file appears whole or not at all.

    Raises
        DTypeError: a dtype other than uint8, int8, int16, int32, float32, float64, or no axis.
        MissingFileError, FileAccessError: it cannot be written there.
    """
    import gzip

    values = numbers("array", array)
    codes = {np.dtype(name).newbyteorder("="): code for code, name in _TYPES.items()}
    code = codes.get(values.dtype.newbyteorder("="))
    if code is None or values.ndim > _MOST_AXES:
        raise DTypeError("data.idx-write", shape=values.shape, dtype=values.dtype)
    header = bytes([0, 0, code, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    content = header + values.astype(_TYPES[code]).tobytes()
    file_path = as_path("path", path)
    if file_path.suffix == ".gz":
        # No time inside, so that equal data are equal files.
        content = gzip.compress(content, compresslevel=6, mtime=0)
    write_whole(file_path, content)


@checked(split=Options("train", "test"))
def idx_folder(folder: Any, split: str = "train") -> Dataset:
    """The images and labels of a folder that names its files as MNIST does.

    `train-images-idx3-ubyte` and `train-labels-idx1-ubyte` hold the training part, `t10k-...` the test part; each may
    end in `.gz`, and may have "." instead of "-" before "idx".

    Parameters
        folder : path
        split : "train" or "test"
    Returns
        Dataset with x (images, pixels) float32, bytes divided by 255; y (images,) int64; `images` (images, height,
        width)
    Raises
        MissingFileError: no such folder, or a file that is not in it, with the names looked for.
        FileFormatError: what `read_idx` refuses; labels that are not whole numbers, one an image.
    """
    place = as_path("folder", folder)
    if not place.is_dir():
        raise MissingFileError("data.missing-folder", path=str(place))
    images_path, labels_path = (_require(place, split, part) for part in ("images", "labels"))
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim < 2 or images.dtype != np.uint8:
        raise _wrong_part("images", images_path, images)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise _wrong_part("labels", labels_path, labels)
    if len(images) != len(labels):
        raise FileFormatError(
            "data.idx-counts",
            images=len(images),
            labels=len(labels),
            images_path=images_path.name,
            labels_path=labels_path.name,
        )
    rows = images.reshape(len(images), math.prod(images.shape[1:]))
    return Dataset(
        np.divide(rows, 255, dtype=np.float32),
        labels.astype(np.int64),
        name=f"{place.name} {split}",
        description=str(place),
        image_shape=images.shape[1:],
    )


def _wrong_part(part: str, path: Path, array: Array) -> FileFormatError:
    return FileFormatError(
        "data.idx-axes",
        path=str(path),
        part=text(f"data.idx-{part}"),
        shape=array.shape,
        dtype=array.dtype,
        wanted=text(f"data.idx-{part}-wanted"),
    )


def _names(split: str, part: str) -> list[str]:
    axes = 3 if part == "images" else 1
    return [f"{SPLITS[split]}-{part}{dot}idx{axes}-ubyte{gz}" for dot in "-." for gz in ("", ".gz")]


def find(folder: Path, split: str, part: str) -> Path | None:
    """The file of the "images" or "labels" of a split, under whichever of its names it has."""
    return next((folder / name for name in _names(split, part) if (folder / name).is_file()), None)


def _require(folder: Path, split: str, part: str) -> Path:
    path = find(folder, split, part)
    if path is None:
        found = sorted(p.name for p in folder.iterdir() if "idx" in p.name)[:8]
        raise MissingFileError(
            "data.missing-idx",
            folder=str(folder),
            part=text(f"data.idx-{part}"),
            split=split,
            found=", ".join(found) or text("data.none"),
            names=", ".join(_names(split, part)),
        )
    return path
