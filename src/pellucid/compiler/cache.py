"""Object code comes in under a key and is there again in the next process: one file each in the cache folder. Called by
engine.

Nothing here fails: what cannot be read is as if it were not there, what cannot be written is not kept. A file is put in
place whole and checked when it is read, so that a process that dies while it writes, or two that write the same file,
do no harm.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from pellucid.core.paths import cache_folder, made_folder, write_whole
from pellucid.errors import PellucidError

LIMIT_BYTES = 256 << 20
"""What the files may take together; those not used for longest go first."""

_MAGIC = b"pellucid object\n"
_VERSION = 1
_HEADER = struct.Struct("<16sIQ32s")  # magic, version of this format, length and SHA-256 of what follows
_SUFFIX = ".object"
_ROOMS = ("core", "ops", "graph", "compiler")
"""What a graph's code depends on."""
_ABANDONED_S = 3600.0
"""A temporary file so old belongs to no process that still writes."""


def key_of(*parts: str) -> str:
    """A name for what these texts say, made by this version of the compiler."""
    digest = hashlib.sha256(_compiler_version())
    for part in parts:
        content = part.encode()
        digest.update(struct.pack("<Q", len(content)))  # so that no two lists of parts read alike
        digest.update(content)
    return digest.hexdigest()


@cache
def _compiler_version() -> bytes:
    """A digest of what the compiler's own source is known by, its files with their sizes and times (reading them all
    would take longer than the rest): another compiler's code is never taken for this one's."""
    digest = hashlib.sha256()
    rooms = Path(__file__).parents[1]
    folders = [str(rooms / room) for room in _ROOMS]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.is_dir() and entry.name != "__pycache__":
                    folders.append(entry.path)
                elif entry.name.endswith(".py"):
                    found = entry.stat()
                    digest.update(f"{entry.path[len(str(rooms)) :]} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.digest()


def load(key: str) -> bytes | None:
    """The object code kept under a key; None if there is none that is whole and ours."""
    try:
        path = _path(key)
        with path.open("rb") as file:
            payload = _payload(file.read()) if _trusted(os.fstat(file.fileno())) else None
    except (OSError, RuntimeError):  # none there, or no home
        return None
    if payload is not None:
        with suppress(OSError):  # it may go earlier than it should
            os.utime(path)
    return payload


def store(key: str, payload: bytes) -> None:
    """Keep object code under a key, and let go what is used least where the files grow too large."""
    header = _HEADER.pack(_MAGIC, _VERSION, len(payload), hashlib.sha256(payload).digest())
    try:
        path = _path(key)
        made_folder(path.parent)
        write_whole(path, header + payload, lasting=False)
    except (PellucidError, OSError, RuntimeError):
        return
    _prune(path.parent)


def clear_cache() -> None:
    """Remove the object code that compiled functions left in the cache folder; code in use stays in memory."""
    with suppress(RuntimeError):  # no home, no cache
        for _, _, entry in _tidied(_path("").parent):
            _remove(entry)


def _path(key: str) -> Path:
    return cache_folder() / "compiled" / (key + _SUFFIX)


def _trusted(found: os.stat_result) -> bool:
    """Whether a file is such that only this user, or the system's administrator, can have written it: what it holds
    will be run."""
    if os.name != "posix":
        return True
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & stat.S_IWOTH


def _payload(content: bytes) -> bytes | None:
    if len(content) < _HEADER.size:
        return None
    magic, version, length, digest = _HEADER.unpack_from(content)
    payload = content[_HEADER.size :]
    whole = magic == _MAGIC and version == _VERSION and length == len(payload)
    return payload if whole and hashlib.sha256(payload).digest() == digest else None


def _tidied(folder: Path) -> list[tuple[float, int, os.DirEntry[str]]]:
    """The object files with the time of their last use and their size, when what processes that died have left half
    written is removed."""
    found = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # gone already
                stat_result = entry.stat()
                if entry.name.endswith(_SUFFIX):
                    found.append((stat_result.st_mtime, stat_result.st_size, entry))
                elif entry.name.endswith(".tmp") and stat_result.st_mtime < time.time() - _ABANDONED_S:
                    _remove(entry)
    return found


def _prune(folder: Path) -> None:
    """Remove the least used files over the limit. Another process may do the same at this moment: a file that is gone
    already is fine, and one removed too early is made anew."""
    kept = _tidied(folder)
    total = sum(size for _, size, _ in kept)
    for _, size, entry in sorted(kept, key=lambda item: item[0]):
        if total <= LIMIT_BYTES:
            return
        _remove(entry)
        total -= size


def _remove(entry: os.DirEntry[str]) -> None:
    with suppress(OSError):  # gone already, or open in another process where that forbids it
        os.unlink(entry.path)
