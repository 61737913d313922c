"""Paths of data files come in; their bytes and checksums leave. Called by the readers of data files and downloads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pellucid.errors import FileFormatError

GZIP_MAGIC = b"\x1f\x8b"

DEFLATE_RATIO = 1032
"""Deflate cannot expand data by more than this factor, so that a compressed file bounds what it may hold."""


def is_gzip(path: Path) -> bool:
    """Whether a file begins as gzip does."""
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


def open_plain(path: Path) -> IO[bytes]:
    """The file's bytes, decompressed where it is gzip; a `.gz` name on other bytes is refused."""
    import gzip

    if is_gzip(path):
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if path.suffix == ".gz":
        with path.open("rb") as file:
            raise FileFormatError("data.not-gzip", path=str(path), start=file.read(4).hex(" "))
    return path.open("rb")


def digest(path: Path, limit_bytes: int) -> str | None:
    """SHA-256 of the decompressed bytes, in hexadecimal; None if there are more than `limit_bytes`.

    Raises
        FileFormatError: damaged gzip.
    """
    import gzip
    import hashlib
    import zlib

    result, done = hashlib.sha256(), 0
    try:
        with open_plain(path) as file:
            for block in _blocks(file):
                done += len(block)
                if done > limit_bytes:
                    return None
                result.update(block)
    except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
        raise FileFormatError("data.gzip-damaged", path=str(path), problem=str(problem)) from None
    return result.hexdigest()


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(1 << 18):
        yield block
