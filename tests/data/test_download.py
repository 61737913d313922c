"""Downloads, from a server on this machine: whole, resumed, wrong, refused, and put in place by hand."""

import gzip
import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pellucid.data import mnist_files, write_idx
from pellucid.data._download import Published, download
from pellucid.errors import DownloadError

TIMEOUT_S = 2.0
CONTENT = np.random.default_rng(0).integers(0, 256, 200_000, dtype=np.uint8).tobytes()
PACKED = gzip.compress(CONTENT, mtime=0)
PUBLISHED = Published("data.gz", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Server(ThreadingHTTPServer):
    """Serves `files`; with `cut_at`, closes the connection after that many bytes of an answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cut_at: int | None = None
        self.ranges = True
        self.silent = False
        self.go_on = threading.Event()
        self.asked: list[str | None] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(BaseHTTPRequestHandler):
    """Ranges as RFC 9110 has them, for one open-ended range."""

    server: Server

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Range"))
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = 0
        wanted = self.headers.get("Range")
        if wanted and self.server.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if self.server.silent:
            self.server.go_on.wait(TIMEOUT_S)
            return
        end = len(content) if self.server.cut_at is None else start + self.server.cut_at
        self.wfile.write(content[start:end])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    server.files["/data.gz"] = PACKED
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.go_on.set()
    server.shutdown()
    server.server_close()
    thread.join(5)


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_whole_file(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = download(PUBLISHED, [server.address], tmp_path / "new" / "folder", timeout_s=TIMEOUT_S)
    assert path == tmp_path / "new" / "folder" / "data.gz"
    assert path.read_bytes() == PACKED
    assert names(path.parent) == ["data.gz"]
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    download(PUBLISHED, [server.address], tmp_path, timeout_s=TIMEOUT_S)
    assert capsys.readouterr().err.endswith("\rdata.gz: 0.2 of 0.2 MB\n")


def test_another_compression_of_the_same_content(server: Server, tmp_path: Path) -> None:
    server.files["/data.gz"] = gzip.compress(CONTENT, compresslevel=1, mtime=12345)
    assert download(PUBLISHED, [server.address], tmp_path, timeout_s=TIMEOUT_S).is_file()


def test_a_cut_connection_is_resumed_where_it_ended(server: Server, tmp_path: Path) -> None:
    server.cut_at = 70_000
    with pytest.raises(DownloadError) as error:
        download(PUBLISHED, [server.address], tmp_path, timeout_s=TIMEOUT_S)
    url = server.address + "data.gz"
    assert str(error.value).rpartition("\n  at:")[0] == (
        "data.gz could not be downloaded\n"
        f"  given:    {url}: the connection closed after 70000 of {len(PACKED)} bytes\n"
        "  expected: an address that answers\n"
        f"  fix:      fetch {url} by other means and put it into {tmp_path}"
    )
    assert names(tmp_path) == ["data.gz.part"]
    assert (tmp_path / "data.gz.part").read_bytes() == PACKED[:70_000]
    server.cut_at = None
    path = download(PUBLISHED, [server.address], tmp_path, timeout_s=TIMEOUT_S)
    assert path.read_bytes() == PACKED
    assert server.asked == [None, "bytes=70000-"]
    assert names(tmp_path) == ["data.gz"]


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.gz.part").write_bytes(PACKED[:1000])
    server.ranges = False
    assert download(PUBLISHED, [server.address], tmp_path, timeout_s=TIMEOUT_S).read_bytes() == PACKED
    assert server.asked == ["bytes=1000-"]


@pytest.mark.parametrize("kept", [b"x" * 1000, PACKED + b"more", PACKED[:500] + b"x" * 500])
def test_a_kept_beginning_of_another_file_is_given_up(server: Server, tmp_path: Path, kept: bytes) -> None:
    (tmp_path / "data.gz.part").write_bytes(kept)
    assert download(PUBLISHED, [server.address], tmp_path, timeout_s=TIMEOUT_S).read_bytes() == PACKED
    assert server.asked == [f"bytes={len(kept)}-", None]


def test_wrong_content_never_takes_the_name(server: Server, tmp_path: Path) -> None:
    other = bytes(1000)
    server.files["/data.gz"] = gzip.compress(other)
    with pytest.raises(DownloadError) as error:
        download(PUBLISHED, [server.address], tmp_path, timeout_s=TIMEOUT_S)
    found = hashlib.sha256(other).hexdigest()
    assert f"SHA-256 {found} is not the published {PUBLISHED.sha256}" in str(error.value)
    assert names(tmp_path) == []
    server.files["/data.gz"] = b"<html>log in to the network first</html>"
    with pytest.raises(DownloadError, match="is not a gzip file"):
        download(PUBLISHED, [server.address], tmp_path, timeout_s=TIMEOUT_S)
    # Right once unpacked, but not what its name promises.
    server.files["/data.gz"] = CONTENT
    with pytest.raises(DownloadError, match="is not a gzip file"):
        download(PUBLISHED, [server.address], tmp_path, timeout_s=TIMEOUT_S)
    assert names(tmp_path) == []


def test_too_much_is_cut_off(server: Server, tmp_path: Path) -> None:
    server.files["/data.gz"] = bytes(400_000)
    with pytest.raises(DownloadError, match="more than 203024 bytes arrived"):
        download(PUBLISHED, [server.address], tmp_path, timeout_s=TIMEOUT_S)
    # Few bytes that unpack to many are cut off as well.
    server.files["/data.gz"] = gzip.compress(bytes(10_000_000))
    with pytest.raises(DownloadError, match="more than 200000 bytes arrived"):
        download(PUBLISHED, [server.address], tmp_path, timeout_s=TIMEOUT_S)
    assert names(tmp_path) == []


def test_the_second_address_is_tried(server: Server, tmp_path: Path) -> None:
    addresses = [f"http://127.0.0.1:{closed_port()}/", server.address + "nowhere/", server.address]
    assert download(PUBLISHED, addresses, tmp_path, timeout_s=TIMEOUT_S).read_bytes() == PACKED


def test_every_address_is_named(server: Server, tmp_path: Path) -> None:
    port = closed_port()
    addresses = [f"http://127.0.0.1:{port}/", server.address + "nowhere/"]
    with pytest.raises(DownloadError) as error:
        download(PUBLISHED, addresses, tmp_path, timeout_s=TIMEOUT_S)
    given = error.value.given
    assert given.startswith(f"http://127.0.0.1:{port}/data.gz: ")
    assert "Connection refused" in given
    assert given.endswith(f"; {server.address}nowhere/data.gz: the server answered 404 Not Found")
    assert isinstance(error.value, OSError)
    assert names(tmp_path) == []


def test_a_silent_server_is_left(server: Server, tmp_path: Path) -> None:
    server.silent = True
    with pytest.raises(DownloadError, match="timed out"):
        download(PUBLISHED, [server.address], tmp_path, timeout_s=0.2)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match=r"file/sub cannot be written\n.*\n.*PELLUCID_CACHE names another"):
        download(PUBLISHED, ["http://127.0.0.1:1/"], tmp_path / "file" / "sub", timeout_s=TIMEOUT_S)


@pytest.fixture
def small_set(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> mnist_files.ImageSet:
    """Three images and labels on the server, published as a set in MNIST's four files."""
    monkeypatch.delenv("PELLUCID_DATA", raising=False)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    files = []
    for published in mnist_files.MNIST.files:
        shape = (3, 4, 4) if "images" in published.file else (3,)
        write_idx(tmp_path / published.file, np.arange(np.prod(shape), dtype=np.uint8).reshape(shape))
        packed = (tmp_path / published.file).read_bytes()
        content = gzip.decompress(packed)
        server.files["/" + published.file] = packed
        files.append(Published(published.file, len(content), hashlib.sha256(content).hexdigest()))
    return replace(mnist_files.MNIST, addresses=(server.address,), files=tuple(files))


def test_a_set_is_downloaded_once(server: Server, tmp_path: Path, small_set: mnist_files.ImageSet) -> None:
    data = mnist_files.load(small_set, "test", None, True, timeout_s=TIMEOUT_S)
    assert np.asarray(data.y).tolist() == [0, 1, 2]
    assert data.images.shape == (3, 4, 4)
    assert names(tmp_path / "cache" / "mnist") == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    assert len(server.asked) == 2
    assert mnist_files.load(small_set, "test", None, True).x.tobytes() == data.x.tobytes()
    assert len(server.asked) == 2
    assert len(mnist_files.load(small_set, "train", tmp_path / "mine", True, timeout_s=TIMEOUT_S)) == 3
    assert names(tmp_path / "mine") == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]


def test_offline_the_advice_works(tmp_path: Path, small_set: mnist_files.ImageSet) -> None:
    offline = replace(small_set, addresses=(f"http://127.0.0.1:{closed_port()}/",))
    for published in offline.files[2:]:
        with pytest.raises(DownloadError) as error:
            mnist_files.load(offline, "test", None, True, timeout_s=TIMEOUT_S)
        url, _, folder = error.value.fix.removeprefix("fetch ").partition(" by other means and put it into ")
        assert url == offline.addresses[0] + published.file
        (tmp_path / published.file).rename(Path(folder) / published.file)
    assert len(mnist_files.load(offline, "test", None, True)) == 3
