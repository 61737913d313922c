"""Public addresses and a checksum come in; a verified file in a folder leaves, or an error that says where to put it by
hand. Called by the readers of the published sets: MNIST, Fashion-MNIST, the spoken digits.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid._text import text
from pellucid.data._files import digest, is_gzip
from pellucid.errors import DownloadError, FileFormatError

_BLOCK_BYTES = 1 << 16


@dataclass(frozen=True)
class Published:
    """What is known of a packed file: its name, and size and SHA-256 of its content once unpacked, which stay the same
    when a mirror packs it anew.

    Parameters
        at_address : its name at the addresses, where it is another
        content : (path, most bytes) -> the content's SHA-256 in hexadecimal, or None if there is more; raises
            FileFormatError for what it cannot unpack
    """

    file: str
    num_bytes: int
    sha256: str
    at_address: str = ""
    content: Callable[[Path, int], str | None] = digest


class _FetchError(Exception):
    """One address did not give the file; the message says why."""


def download(published: Published, addresses: Sequence[str], folder: Path, *, timeout_s: float = 20.0) -> Path:
    """The file in `folder`, fetched from the first address that gives it whole.

    What arrived before a failure is kept as `<file>.part`, and the next call goes on from there (HTTP Range). The file
    takes its name only after its content was checked, so that a file of that name is always whole.

    Parameters
        addresses : folders on the web, each ending in "/"
        timeout_s : the longest silence of a server
    Raises
        DownloadError: no address gave the file, or the folder cannot be written.
    """
    import tempfile

    target, kept = folder / published.file, folder / f"{published.file}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=published.file + ".", suffix=".tmp", dir=folder)
        os.close(handle)
    except OSError as problem:
        raise DownloadError("data.cache-folder", folder=str(folder), problem=str(problem)) from None
    # Renaming hands the partial file to one process alone, however many start at once.
    private = Path(name)
    with suppress(OSError):
        os.replace(kept, private)
    problems = []
    try:
        for address in addresses:
            url = address + (published.at_address or published.file)
            try:
                _fetch_checked(url, private, published, timeout_s)
                os.replace(private, target)
                return target
            except _FetchError as problem:
                problems.append(text("data.download-problem", url=url, problem=problem))
    finally:
        if private.exists():
            if private.stat().st_size:
                os.replace(private, kept)
            else:
                private.unlink()
    raise DownloadError(
        "data.download",
        file=published.file,
        problems="; ".join(problems),
        url=addresses[0] + (published.at_address or published.file),
        folder=str(folder),
    )


def _fetch_checked(url: str, path: Path, published: Published, timeout_s: float) -> None:
    resumed = path.stat().st_size > 0
    _fetch(url, path, published, timeout_s)
    try:
        if published.file.endswith(".gz") and not is_gzip(path):
            with path.open("rb") as file:
                raise FileFormatError("data.not-gzip", path=url, start=file.read(4).hex(" "))
        given_sum = published.content(path, published.num_bytes)
        if given_sum is None:
            problem = text("data.download-long", limit_bytes=published.num_bytes)
        else:
            problem = text("data.download-checksum", given_sum=given_sum, expected_sum=published.sha256)
    except FileFormatError as damage:
        given_sum, problem = None, damage.what
    if given_sum == published.sha256:
        return
    os.truncate(path, 0)
    if not resumed:
        raise _FetchError(problem)
    # The kept beginning may have been of another file.
    _fetch_checked(url, path, published, timeout_s)


def _fetch(url: str, path: Path, published: Published, timeout_s: float) -> None:
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    start = path.stat().st_size
    request = Request(url, headers={"User-Agent": "pellucid", **({"Range": f"bytes={start}-"} if start else {})})
    try:
        with urlopen(request, timeout=timeout_s) as response:
            _receive(response, path, start, published)
    except HTTPError as problem:
        problem.close()
        if problem.code == 416 and start:
            os.truncate(path, 0)
            _fetch(url, path, published, timeout_s)
            return
        raise _FetchError(text("data.download-status", status=f"{problem.code} {problem.reason}")) from None
    except URLError as problem:
        raise _FetchError(str(problem.reason)) from None
    except (OSError, HTTPException) as problem:
        raise _FetchError(str(problem) or type(problem).__name__) from None


def _receive(response: Any, path: Path, start: int, published: Published) -> None:
    goes_on = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    done = start if goes_on else 0
    length = response.headers.get("Content-Length")
    total = done + int(length) if length and length.isdecimal() else None
    # Packing adds a little to what it cannot compress; more than this is not the file.
    limit = published.num_bytes + published.num_bytes // 100 + 1024
    shown_at = 0.0
    with path.open("r+b") as file:
        file.truncate(done)
        file.seek(done)
        while block := response.read(_BLOCK_BYTES):
            done += len(block)
            if done > limit:
                file.truncate(0)
                raise _FetchError(text("data.download-long", limit_bytes=limit))
            file.write(block)
            if total and sys.stderr.isatty() and time.monotonic() - shown_at > 0.1:
                shown_at = time.monotonic()
                _show(published.file, done, total)
        file.flush()
        os.fsync(file.fileno())
    if total and sys.stderr.isatty():
        _show(published.file, done, total, end="\n")
    if total is not None and done < total:
        raise _FetchError(text("data.download-short", done_bytes=done, total_bytes=total))


def _show(file: str, done: int, total: int, end: str = "") -> None:
    line = text("data.downloading", file=file, done_mb=done / 1e6, total_mb=total / 1e6)
    print(f"\r{line}", end=end, file=sys.stderr, flush=True)
