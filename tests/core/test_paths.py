"""Files are written whole or not at all, and what the system refuses is said in words."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

import pellucid as pl
from pellucid.core.paths import as_path, existing_file, made_folder, write_whole
from pellucid.errors import ArgumentError, ArgumentTypeError, FileAccessError, MissingFileError


def test_a_path_is_text_or_a_path_and_the_home_folder_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert as_path("p", "~/模型") == Path("/home/somebody/模型")
    assert as_path("p", Path("a/b")) == Path("a/b")
    for value in (3, None, b"bytes", ["a"]):
        with pytest.raises(ArgumentTypeError):
            as_path("p", value)
    for value in ("", "a\0b"):
        with pytest.raises(ArgumentError) as caught:
            as_path("p", value)
        assert str(caught.value).startswith(f"p is no name that a file can have\n  given:    {value!r}")


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    write_whole(path, b"old")
    for step in ("fsync", "replace"):

        def fail(*args: Any) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(os, step, fail)
            with pytest.raises(KeyboardInterrupt):
                write_whole(path, b"new")
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["model.safetensors"]
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m"
    write_whole(path, b"old")

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileAccessError) as caught:
        write_whole(path, b"new")
    assert str(caught.value).split("\n")[:2] == [
        f"{path} cannot be read or written",
        "  given:    the system says: No space left on device",
    ]
    pl.set_language("zh")
    try:
        assert caught.value.what == f"无法读写 {path}"
    finally:
        pl.set_language(None)
    assert isinstance(caught.value, OSError)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["m"]


@pytest.mark.skipif(os.name != "posix", reason="links and modes are POSIX's")
def test_a_link_is_written_through_and_the_file_is_as_readable_as_any(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "m")
    write_whole(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "m").read_bytes() == b"x"
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "real" / "m").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(FileAccessError, match="cannot be read or written"):
        write_whole(tmp_path, b"")
    with pytest.raises(FileAccessError) as caught:
        existing_file("path", tmp_path)
    assert caught.value.what == f"{tmp_path} is a folder, not a file"
    assert caught.value.fix == ""
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(FileAccessError) as caught:
        existing_file("path", tmp_path)
    assert caught.value.fix == str(tmp_path / "model.safetensors")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError) as missing:
        existing_file("path", tmp_path / "nothing")
    assert str(missing.value).startswith("no such file")
    with pytest.raises(MissingFileError) as missing:
        write_whole(tmp_path / "no" / "folder" / "m", b"")
    assert str(missing.value).startswith("the folder to write to does not exist")
    with pytest.raises(FileAccessError) as caught:
        existing_file("path", "x" * 5000)
    assert len(str(caught.value)) < 1000
    with pytest.raises(FileAccessError):
        write_whole(tmp_path / ("x" * 300), b"")


def test_a_folder_is_made_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert made_folder(tmp_path / "一" / "二").is_dir()
    assert made_folder(tmp_path / "一" / "二").is_dir()
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FileAccessError):
            made_folder(place)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(FileAccessError, match="Permission denied"):
        made_folder(tmp_path)
