"""The .npz files of users: names, parts, and every way to be refused."""

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pellucid.data import npz, npz_splits
from pellucid.errors import ArgumentError, DataError, DTypeError, FileFormatError, MissingFileError, MissingKeyError

X = np.arange(6.0).reshape(3, 2)
Y = np.array([0, 1, 2], dtype=np.int32)


@pytest.mark.parametrize(("x_name", "y_name"), [("x", "y"), ("X", "y"), ("data", "target")])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_x_and_y(tmp_path: Path, x_name: str, y_name: str, save: object) -> None:
    path = tmp_path / "mine.npz"
    save(path, **{x_name: X, y_name: Y})  # type: ignore[operator]
    data = npz(path)
    assert (data.x.dtype, data.x.tolist()) == (np.float32, X.tolist())
    assert data.y is not None
    assert (data.y.dtype, data.y.tolist()) == (np.int64, [0, 1, 2])
    assert data.name == "mine"
    assert npz(str(path), dtype=None).x.dtype == np.float64
    assert npz_splits(path) == ("all",)


def test_train_and_test(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, x_train=X, y_train=Y, x_test=X[:1], y_test=Y[:1], class_names=np.array(["a", "b", "c"]))
    assert npz_splits(path) == ("train", "test")
    assert len(npz(path, "train")) == 3
    test = npz(path, "test")
    assert (len(test), test.class_names, test.name) == (1, ("a", "b", "c"), "mine test")
    with pytest.raises(MissingKeyError) as error:
        npz(path)
    assert str(error.value).rpartition("\n  at:")[0] == (
        f"{path} has no part 'all'\n"
        "  given:    split = 'all', arrays x_train, y_train, x_test, y_test, class_names\n"
        "  expected: split = 'train' | 'test'"
    )
    with pytest.raises(ArgumentError):
        npz(path, "validation")


def test_fortran_order_and_no_targets(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.asfortranarray(X), feature_names=np.array(["u", "v"]))
    data = npz(tmp_path / "a.npz")
    assert data.x.tolist() == X.tolist()
    assert data.y is None
    assert data.feature_names == ("u", "v")


def test_unknown_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=X, labels=Y)
    with pytest.raises(FileFormatError) as error:
        npz(tmp_path / "a.npz")
    assert str(error.value).rpartition("\n  at:")[0] == (
        f"{tmp_path / 'a.npz'} holds no data set\n"
        "  given:    arrays images, labels\n"
        "  expected: x (or X) and y; or x_train, y_train, x_test, y_test"
    )


class Trap:
    """Unpickling this would leave a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def test_objects_are_never_loaded(tmp_path: Path) -> None:
    path, mark = tmp_path / "a.npz", tmp_path / "mark"
    np.savez(path, x=np.array([Trap(mark)], dtype=object), y=Y[:1])
    with pytest.raises(FileFormatError, match=r"the array x is damaged or oversized\n.*Python objects"):
        npz(path)
    assert not mark.exists()
    path.write_bytes(pickle.dumps(Trap(mark)))
    with pytest.raises(FileFormatError, match=r"is not a \.npz file"):
        npz(path)
    assert not mark.exists()


def entry(shape: tuple[int, ...], data: bytes) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return file.getvalue() + data


def test_a_header_that_claims_too_much(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", entry((10**9, 10**9), b"\0" * 16))
    with pytest.raises(FileFormatError) as error:
        npz(path)
    assert str(error.value).rpartition("\n  at:")[0] == (
        f"{path}: the array x is damaged or oversized\n"
        f"  given:    header: (1000000000, 1000000000) of float64, {8 * 10**18 + 128} bytes; entry: 144 bytes\n"
        "  expected: an array of numbers as large as its header says"
    )


def test_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=(40, 3)))
    good = path.read_bytes()
    for broken in (good[: len(good) // 2], b"", b"PK", good[:200] + bytes(100) + good[300:]):
        path.write_bytes(broken)
        with pytest.raises(FileFormatError):
            npz(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"no array")
    with pytest.raises(FileFormatError, match="damaged or oversized"):
        npz(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("x.npy", entry((2,), b"\0" * 16))
    with pytest.raises(FileFormatError, match="compress_type 12"):
        npz(path)
    np.save(tmp_path / "b.npy", X)
    with pytest.raises(FileFormatError, match=r"is not a \.npz file"):
        npz(tmp_path / "b.npy")
    with pytest.raises(MissingFileError):
        npz(tmp_path / "none.npz")


def test_contents_are_checked_under_their_own_names(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x_train=np.array([[1.0, np.nan]]), y_train=Y[:1])
    with pytest.raises(DataError, match="x_train holds NaN or infinity"):
        npz(path, "train")
    np.savez(path, x=X, y=np.array(["a", "b", "c"]))
    with pytest.raises(DTypeError, match="y holds text"):
        npz(path)
