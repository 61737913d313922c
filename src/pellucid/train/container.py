"""Named arrays and a text go into a safetensors file and come out of one. `files.py` keeps models in it, and
`checkpoints.py` the state of a run.

Reading trusts nothing: every size is checked against the file's own before memory is taken, the arrays must fill the
file without gap or overlap, and a file of another kind is refused by its name. Writing puts the whole file in place at
once or not at all.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from pellucid._text import text
from pellucid._typing import Array, DType, Shape
from pellucid.core.check import shown
from pellucid.core.paths import accessing, existing_file, write_whole
from pellucid.errors import FileFormatError

HEADER_LIMIT_BYTES = 100_000_000
"""The longest header that is read: safetensors' own limit."""

_DTYPES = {
    "BOOL": np.dtype("?"),
    "I8": np.dtype("i1"),
    "I16": np.dtype("<i2"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
    "U8": np.dtype("u1"),
    "U16": np.dtype("<u2"),
    "U32": np.dtype("<u4"),
    "U64": np.dtype("<u8"),
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}
# Formats of numbers that safetensors files have and NumPy has not.
_FOREIGN_DTYPES = ("BF16", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3", "F6_E3M2", "C64")
_METADATA = "__metadata__"


# Writing


def write(path: Path, arrays: dict[str, Array], document: str) -> None:
    """Write arrays and a text to a file; equal contents give equal bytes.

    Raises
        MissingFileError, FileAccessError: it cannot be written there.
    """
    from safetensors.numpy import save

    # safetensors does not copy what is not laid out in rows, and keeps the order of metadata only where there is one
    # entry.
    rows = {name: np.array(array, order="C", copy=None) for name, array in arrays.items()}
    write_whole(path, save(rows, metadata={"pellucid": document}))


def digest(document: str, arrays: Mapping[str, Array]) -> str:
    """A checksum of everything in a file. It finds damage; it is no proof of where a file comes from."""
    total = hashlib.blake2b(document.encode(), digest_size=16)
    for name in sorted(arrays):
        array = np.array(arrays[name], order="C", copy=None)
        total.update(f"\n{name} {array.dtype.name} {array.shape}\n".encode())
        total.update(array.reshape(-1).view(np.uint8).data)
    return total.hexdigest()


# Reading


def read(path: Any) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays of a safetensors file by name, and its metadata.

    Raises
        MissingFileError, FileAccessError: no such file, or none that can be read.
        FileFormatError: another kind of file, or a truncated or damaged one; says what is wrong, and where.
    """
    path = existing_file("path", path)
    with accessing(path), path.open("rb") as file:
        size = path.stat().st_size
        header, start = _header(file, path.name, size)
        metadata = header.pop(_METADATA, {})
        if type(metadata) is not dict or not all(type(v) is str for v in metadata.values()):
            raise _damaged(path.name, _METADATA, shown(metadata), "{str: str}")
        places = _places(header, path.name, size - start)
        return {place.tensor: _array(file, path.name, place, start) for place in places}, metadata


def _damaged(name: str, where: str, given: str, expected: str) -> FileFormatError:
    return FileFormatError("files.damaged", path=name, where=where, given=given, expected=expected)


def _header(file: IO[bytes], name: str, size: int) -> tuple[dict[str, Any], int]:
    """The header's table, and where the arrays begin."""
    first = file.read(16)
    kind = foreign_kind(first, file)
    if kind is not None:
        raise FileFormatError("files.foreign", path=name, kind=text(f"files.kind-{kind}"))
    if size < 10:
        raise FileFormatError("files.too-short", path=name, given=size)
    length = int.from_bytes(first[:8], "little")
    if length > HEADER_LIMIT_BYTES:
        raise _damaged(name, "header length", str(length), f"<= {HEADER_LIMIT_BYTES}")
    if length + 8 > size:
        raise FileFormatError("files.truncated", path=name, given=size, expected=length + 8)
    if first[8:9] != b"{":
        raise _damaged(name, "byte 8", repr(first[8:9]), "'{'")
    file.seek(8)
    try:
        header = json.loads(
            file.read(length).decode("utf-8"), object_pairs_hook=_without_twins, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as problem:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise _damaged(name, "header", str(problem), "JSON") from None
    if type(header) is not dict:
        raise _damaged(name, "header", shown(header), "{...}")
    return header, 8 + length


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key stands twice")
    return table


def _no_constant(word: str) -> Any:
    raise ValueError(word)


class _Place(NamedTuple):
    """Where an array lies in the data of a file."""

    begin: int
    end: int
    tensor: str
    dtype: DType
    shape: Shape


def _places(header: dict[str, Any], name: str, size: int) -> list[_Place]:
    """The place of every array; together they fill `size` bytes without gap or overlap."""
    places: list[_Place] = []
    for key, entry in header.items():
        where = f"tensor {shown(key)}"
        if type(entry) is not dict or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise _damaged(name, where, shown(entry), "{dtype, shape, data_offsets}")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if dtype in _FOREIGN_DTYPES:
            raise FileFormatError("files.dtype", path=name, tensor=key, dtype=dtype, dtypes=", ".join(_DTYPES))
        if type(dtype) is not str or dtype not in _DTYPES:
            raise _damaged(name, f"{where}.dtype", shown(dtype), " | ".join(_DTYPES))
        if type(shape) is not list or len(shape) > 32 or not all(type(n) is int and 0 <= n < 2**62 for n in shape):
            raise _damaged(name, f"{where}.shape", shown(shape), "[int, ...] >= 0")
        if type(offsets) is not list or len(offsets) != 2 or not all(type(n) is int for n in offsets):
            raise _damaged(name, f"{where}.data_offsets", shown(offsets), "[begin, end]")
        begin, end = offsets
        if not 0 <= begin <= end:
            raise _damaged(name, f"{where}.data_offsets", shown(offsets), "0 <= begin <= end")
        if end > size:
            raise FileFormatError("files.truncated-tensor", path=name, tensor=key, given=size, expected=end)
        wanted = math.prod(shape) * _DTYPES[dtype].itemsize
        if end - begin != wanted:
            raise _damaged(name, f"{where}.data_offsets", f"{end - begin} bytes", f"{wanted} bytes, {dtype} {shape}")
        places.append(_Place(begin, end, key, _DTYPES[dtype], tuple(shape)))
    places.sort(key=lambda place: place[:2])
    done = 0
    for place in places:
        if place.begin != done:
            where = f"tensor {shown(place.tensor)}.data_offsets"
            raise _damaged(name, where, f"begin {place.begin}", f"begin {done}")
        done = place.end
    if done != size:
        raise _damaged(name, "data", f"{size} bytes", f"{done} bytes")
    return places


def _array(file: IO[bytes], name: str, place: _Place, start: int) -> Array:
    array: Array = np.empty(place.shape, place.dtype)
    file.seek(start + place.begin)
    if array.nbytes and file.readinto(array.reshape(-1).view(np.uint8)) != array.nbytes:  # type: ignore[attr-defined]
        raise FileFormatError(
            "files.truncated-tensor", path=name, tensor=place.tensor, given=place.begin, expected=place.end
        )
    if place.dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        raise _damaged(name, f"tensor {shown(place.tensor)}", "bool > 1", "0 | 1")
    return array.astype(place.dtype.newbyteorder("="), copy=False)


def foreign_kind(first: bytes, file: IO[bytes]) -> str | None:
    """Which well-known kind of file, other than safetensors, begins with these bytes: an entry `files.kind-...`."""
    if first.startswith(b"PK\x03\x04"):
        return _zip_kind(file)
    if first[:1] == b"\x80" and first[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and first[2:8] != bytes(6):
        return "pickle"
    if first[:1] == b"\x08" and first[1:2] < b"\x40" and first[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x3a", b"\x42"):
        return "onnx"
    for start, kind in (
        (b"\x89HDF\r\n\x1a\n", "hdf5"),
        (b"\x93NUMPY", "npy"),
        (b"GGUF", "gguf"),
        (b"\x1f\x8b", "gzip"),
        (b"{", "json"),
    ):
        if first.startswith(start) and (len(start) > 2 or first[2:8] != bytes(6)):
            return kind
    if first[4:8] == b"TFL3":
        return "tflite"
    return "text" if len(first) >= 8 and all(32 <= c < 127 or c in b"\t\n\r" for c in first) else None


def _zip_kind(file: IO[bytes]) -> str:
    import zipfile

    try:
        names = zipfile.ZipFile(file).namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "zip"
    if any(n.endswith("data.pkl") for n in names):
        return "torch"
    if "config.json" in names and "metadata.json" in names:
        return "keras"
    return "npz" if names and all(n.endswith(".npy") for n in names) else "zip"
