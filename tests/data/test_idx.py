"""IDX files: every dtype, every damage, and folders of MNIST's four files."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data import idx_folder, read_idx, write_idx
from pellucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    FileAccessError,
    FileFormatError,
    MissingFileError,
)

# The bytes of a 2x3 int16 array, by the format's definition.
SHORTS = bytes([0, 0, 0x0B, 2, 0, 0, 0, 2, 0, 0, 0, 3]) + struct.pack(">6h", 1, -2, 300, 4, 5, -32768)


def whole(error: pytest.ExceptionInfo[FileFormatError]) -> str:
    return str(error.value).rpartition("\n  at:")[0]


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_bytes_by_hand(tmp_path: Path, packed: bool) -> None:
    path = put(tmp_path, "a.gz" if packed else "a", gzip.compress(SHORTS) if packed else SHORTS)
    array = read_idx(path)
    assert array.tolist() == [[1, -2, 300], [4, 5, -32768]]
    assert array.dtype == np.int16
    assert array.dtype.isnative
    assert array.flags.writeable
    write_idx(tmp_path / "b", array)
    assert (tmp_path / "b").read_bytes() == SHORTS


def test_gzip_without_the_name_is_read(tmp_path: Path) -> None:
    assert read_idx(str(put(tmp_path, "a", gzip.compress(SHORTS)))).shape == (2, 3)


@pytest.mark.parametrize(
    ("code", "dtype", "packed_values"),
    [
        (0x08, "u1", struct.pack(">2B", 0, 255)),
        (0x09, "i1", struct.pack(">2b", -128, 127)),
        (0x0B, "i2", struct.pack(">2h", -300, 7)),
        (0x0C, "i4", struct.pack(">2i", -70_000, 7)),
        (0x0D, "f4", struct.pack(">2f", -0.5, 1e30)),
        (0x0E, "f8", struct.pack(">2d", -0.1, 1e300)),
    ],
)
def test_every_type(tmp_path: Path, code: int, dtype: str, packed_values: bytes) -> None:
    content = bytes([0, 0, code, 1, 0, 0, 0, 2]) + packed_values
    array = read_idx(put(tmp_path, "a", content))
    assert array.dtype == np.dtype(dtype)
    assert array.astype(">" + dtype).tobytes() == packed_values
    write_idx(tmp_path / "b", array)
    assert (tmp_path / "b").read_bytes() == content


@given(
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=5),
    dtype=st.sampled_from(["u1", "i1", "i2", "i4", "f4", "f8", ">f4"]),
    packed=st.booleans(),
)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, shape: list[int], dtype: str, packed: bool) -> None:
    path = tmp_path_factory.mktemp("idx") / ("a.gz" if packed else "a")
    array = (np.arange(np.prod(shape)) - 3).astype(dtype).reshape(shape)
    write_idx(path, array)
    back = read_idx(path)
    assert back.shape == array.shape
    assert back.dtype == array.dtype.newbyteorder("=")
    assert np.array_equal(back, array)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_truncated(tmp_path: Path) -> None:
    for length in range(4, len(SHORTS)):
        for name, content in (("a", SHORTS[:length]), ("a.gz", gzip.compress(SHORTS[:length]))):
            with pytest.raises(FileFormatError, match="is truncated"):
                read_idx(put(tmp_path, name, content))
    path = put(tmp_path, "a", SHORTS[:20])
    with pytest.raises(FileFormatError) as error:
        read_idx(path)
    assert whole(error) == f"{path} is truncated\n  given:    20 bytes\n  expected: 24 bytes, as its header says"


def test_damaged_gzip(tmp_path: Path) -> None:
    packed = gzip.compress(SHORTS)
    for content in (packed[:-9], packed[:12], packed[:-5] + b"\0\0\0\0\0", packed[:10] + b"\xff" * 20):
        with pytest.raises(FileFormatError, match="is a damaged gzip file"):
            read_idx(put(tmp_path, "a.gz", content))


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\x08", b"PNG.....", b"\0\0\x07\x01....", b"\0\0\x08\0....", b"\0\0\x08\x40" + b"\0" * 400]
)
def test_bad_magic(tmp_path: Path, content: bytes) -> None:
    path = put(tmp_path, "a", content)
    with pytest.raises(FileFormatError) as error:
        read_idx(path)
    assert whole(error) == (
        f"{path} is not an IDX file\n"
        f"  given:    first bytes {content[:4].hex(' ')}\n"
        "  expected: 00 00, a type (08 09 0b 0c 0d 0e), and the number of axes (01 to 20)"
    )


def test_trailing_bytes(tmp_path: Path) -> None:
    for name, content in (("a", SHORTS + b"\0"), ("a.gz", gzip.compress(SHORTS + b"\0"))):
        path = put(tmp_path, name, content)
        with pytest.raises(FileFormatError) as error:
            read_idx(path)
        assert whole(error) == (
            f"{path} goes on after its data\n  given:    more than 24 bytes\n  expected: 24 bytes, as its header says"
        )


def test_a_huge_header_takes_no_memory(tmp_path: Path) -> None:
    huge = b"\0\0\x0e\x03" + b"\xff" * 12 + b"abc"
    with pytest.raises(FileFormatError, match="is truncated"):
        read_idx(put(tmp_path, "a", huge))
    content = gzip.compress(huge)
    path = put(tmp_path, "a.gz", content)
    with pytest.raises(FileFormatError) as error:
        read_idx(path)
    side = 2**32 - 1
    assert whole(error) == (
        f"{path}: the header claims more data than the file can hold\n"
        f"  given:    shape ({side}, {side}, {side}) of float64: {side**3 * 8 + 16} bytes\n"
        f"  expected: at most {len(content) * 1032} bytes from a file of {len(content)}"
    )


def test_not_gzip_in_spite_of_the_name(tmp_path: Path) -> None:
    path = put(tmp_path, "a.gz", SHORTS)
    with pytest.raises(FileFormatError) as error:
        read_idx(path)
    assert whole(error) == (
        f"{path} is not a gzip file\n  given:    first bytes 00 00 0b 02\n  expected: first bytes 1f 8b"
    )


def test_paths(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such file"):
        read_idx(tmp_path / "none")
    with pytest.raises(FileAccessError, match="is a folder, not a file"):
        read_idx(tmp_path)
    with pytest.raises(MissingFileError, match="the folder to write to does not exist"):
        write_idx(tmp_path / "none" / "a", np.zeros(3, np.uint8))
    with pytest.raises(FileAccessError):
        write_idx(tmp_path, np.zeros(3, np.uint8))
    with pytest.raises(ArgumentTypeError):
        read_idx(3)


def test_what_idx_cannot_hold(tmp_path: Path) -> None:
    for array in (np.zeros(3, dtype=np.int64), np.zeros(3, dtype=bool)):
        with pytest.raises(DTypeError, match="IDX files cannot hold this array"):
            write_idx(tmp_path / "a", array)
    assert list(tmp_path.iterdir()) == []


def make_folder(folder: Path, dot: str = "-", gz: str = "", train: int = 5, labels: int = 5) -> Path:
    folder.mkdir(exist_ok=True)
    for prefix, count in (("train", train), ("t10k", 3)):
        images = (np.arange(count * 6) % 256).astype(np.uint8).reshape(count, 2, 3)
        write_idx(folder / f"{prefix}-images{dot}idx3-ubyte{gz}", images)
        number = labels if prefix == "train" else count
        write_idx(folder / f"{prefix}-labels{dot}idx1-ubyte{gz}", (np.arange(number) % 3).astype(np.uint8))
    return folder


@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize("gz", ["", ".gz"])
def test_a_folder_under_each_of_its_names(tmp_path: Path, dot: str, gz: str) -> None:
    data = idx_folder(make_folder(tmp_path / "mine", dot, gz))
    assert data.x.shape == (5, 6)
    assert data.x.dtype == np.float32
    assert data.x[1].tolist() == [np.float32(v) / np.float32(255) for v in range(6, 12)]
    assert data.images.shape == (5, 2, 3)
    assert np.asarray(data.y).tolist() == [0, 1, 2, 0, 1]
    assert data.name == "mine train"
    assert len(idx_folder(str(tmp_path / "mine"), "test")) == 3


def test_a_missing_file_says_what_was_looked_for(tmp_path: Path) -> None:
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((1, 2, 2), dtype=np.uint8))
    with pytest.raises(MissingFileError) as error:
        idx_folder(tmp_path)
    assert str(error.value).rpartition("\n  at:")[0] == (
        f"{tmp_path} holds no labels of the train part\n"
        "  given:    files there: train-images-idx3-ubyte\n"
        "  expected: one of train-labels-idx1-ubyte, train-labels-idx1-ubyte.gz, train-labels.idx1-ubyte, "
        "train-labels.idx1-ubyte.gz"
    )
    with pytest.raises(MissingFileError, match="is not a folder"):
        idx_folder(tmp_path / "none")
    with pytest.raises(ArgumentError):
        idx_folder(tmp_path, "validation")


def test_counts_that_differ(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError) as error:
        idx_folder(make_folder(tmp_path, labels=4))
    assert whole(error) == (
        "images and labels differ in number\n"
        "  given:    5 images in train-images-idx3-ubyte, 4 labels in train-labels-idx1-ubyte\n"
        "  expected: one label for each image"
    )


def test_files_that_were_exchanged(tmp_path: Path) -> None:
    make_folder(tmp_path)
    images, labels = tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"
    kept = images.read_bytes()
    images.write_bytes(labels.read_bytes())
    with pytest.raises(FileFormatError, match="this is not a file of images"):
        idx_folder(tmp_path)
    images.write_bytes(kept)
    labels.write_bytes(kept)
    with pytest.raises(FileFormatError, match="this is not a file of labels"):
        idx_folder(tmp_path)
