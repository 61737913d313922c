"""Paths that a user gave come in; checked paths leave, files that are there whole or not at all, and errors in words
where the system refuses. Called by everything that reads or writes files.
"""

from __future__ import annotations

import errno
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pellucid.core.check import shown
from pellucid.errors import ArgumentError, ArgumentTypeError, FileAccessError, MissingFileError, PellucidError

_LONGEST = 200


def as_path(name: str, value: Any) -> Path:
    """`value` as a path, "~" filled in.

    Raises
        ArgumentTypeError: neither text nor a path.
        ArgumentError: no name at all, or one that no file can have.
    """
    words = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(words, str):
        raise ArgumentTypeError(
            "core.type", name=name, value=shown(value), type=type(value).__name__, expected="str | os.PathLike"
        )
    if not words or "\0" in words:
        raise ArgumentError("files.path", name=name, value=shown(words))
    path = Path(words)
    return path.expanduser() if words.startswith("~") else path


def existing_file(name: str, value: Any) -> Path:
    """`value` as the path of a file that is there.

    Raises
        MissingFileError: there is none.
        FileAccessError: it is a folder, or the system does not say.
    """
    path = as_path(name, value)
    with accessing(path):
        if path.is_dir():
            models = sorted(path.glob("*.safetensors"))
            raise FileAccessError(
                "files.is-folder", path=short(path), suggestion=str(models[0]) if len(models) == 1 else None
            )
        if not path.is_file():
            raise MissingFileError("files.missing", path=short(path))
    return path


@contextmanager
def accessing(path: Path) -> Iterator[None]:
    """What the operating system refuses inside the block, as an error in words.

    Raises
        MissingFileError: no such file or folder.
        FileAccessError: no permission, no space, a folder in a file's place, a name too long, ...
    """
    try:
        yield
    except PellucidError:
        raise
    except FileNotFoundError:
        raise MissingFileError("files.missing", path=short(path)) from None
    except OSError as problem:
        raise _refused(path, problem) from None


def made_folder(path: Path) -> Path:
    """The folder, made with those above it if it is not there, and open to writing.

    Raises
        FileAccessError: it cannot be made or written, or something else stands in its place.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as problem:
        raise _refused(path, problem) from None
    return path


def cache_folder() -> Path:
    """Where downloads and compiled code are kept: `PELLUCID_CACHE`, else the platform's cache folder for pellucid."""
    chosen = os.environ.get("PELLUCID_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return (Path(base) if base else Path.home() / "AppData" / "Local") / "pellucid" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "pellucid"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pellucid"


def write_whole(path: Path, content: bytes, lasting: bool = True) -> None:
    """Write a file so that at every moment either the old one or the new one is there, whole.

    Parameters
        lasting : whether that also holds where the machine loses its power, which takes longer by some milliseconds;
            not worth it for what is checked when it is read, and can be made again
    Raises
        MissingFileError: the folder does not exist.
        FileAccessError: no permission, no space, or a folder stands in its place.
    """
    with accessing(path):
        target = Path(os.path.realpath(path))  # through a link, not over it
        if not target.parent.is_dir():
            raise MissingFileError("files.missing-folder", path=short(target.parent))
        temporary = target.parent / f".{secrets.token_hex(8)}.tmp"
        try:
            with open(temporary, "xb") as file:
                file.write(content)
                if lasting:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if lasting and os.name == "posix":
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _refused(path: Path, problem: OSError) -> FileAccessError:
    return FileAccessError("files.access", path=short(path), problem=problem.strerror or str(problem))


def short(path: Path) -> str:
    """A path in a message: of one that would fill the screen, the end."""
    words = str(path)
    return words if len(words) <= _LONGEST else "..." + words[-_LONGEST:]
