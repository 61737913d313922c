"""MNIST and Fashion-MNIST: where they are looked for, and what is in them. Downloads are in test_download.py."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from pellucid.core.paths import cache_folder
from pellucid.data import fashion_mnist, mnist, mnist_files, write_idx
from pellucid.data._files import digest
from pellucid.errors import DataError, FileFormatError, MissingFileError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture(autouse=True)
def no_other_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PELLUCID_DATA", raising=False)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))


def make(folder: Path, count: int = 2) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for prefix in ("train", "t10k"):
        write_idx(folder / f"{prefix}-images-idx3-ubyte", np.full((count, 28, 28), 51, dtype=np.uint8))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", np.arange(count, dtype=np.uint8))
    return folder


def test_the_order_of_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "cache" / "mnist", 1)
    assert len(mnist(download=False)) == 1
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path / "data"))
    make(tmp_path / "data" / "mnist", 2)
    assert len(mnist(download=False)) == 2
    make(tmp_path / "data", 3)
    assert len(mnist(download=False)) == 3
    make(tmp_path / "given" / "mnist", 4)
    assert len(mnist("test", tmp_path / "given", download=False)) == 4
    make(tmp_path / "given", 5)
    data = mnist("test", str(tmp_path / "given"), download=False)
    assert len(data) == 5
    assert data.x.tolist() == np.full((5, 784), np.float32(0.2)).tolist()
    assert data.images.shape == (5, 28, 28)
    assert data.name == "MNIST test"
    assert data.class_names == tuple("0123456789")


def test_nothing_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path / "d"))
    with pytest.raises(MissingFileError) as error:
        mnist("test", tmp_path / "g", download=False)
    places = ", ".join(str(tmp_path / p) for p in ("g", "g/mnist", "d", "d/mnist", "cache/mnist"))
    assert str(error.value).rpartition("\n  at:")[0] == (
        "MNIST is not on this machine\n"
        f"  given:    looked in: {places}\n"
        "  expected: t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz in one of these folders, or download=True"
    )


def test_a_damaged_file_is_refused_not_passed_over(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").rename(tmp_path / "train-labels-idx1-ubyte.gz")
    with pytest.raises(FileFormatError, match="is not a gzip file"):
        mnist(folder=tmp_path, download=False)


def test_labels_beyond_the_classes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="label 10 at row 10; there are 10 class names"):
        mnist(folder=make(tmp_path, 11), download=False)


def test_the_cache_folder_of_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PELLUCID_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert cache_folder() == tmp_path / ".cache" / "pellucid"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x" / "pellucid"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "pellucid"


def test_mnist_itself(data_folder: Path) -> None:
    data = mnist("test", data_folder, download=False)
    assert data.x.shape == (10_000, 784)
    assert data.y is not None
    # The first labels and the class counts that the set's authors and many others print.
    assert data.y[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(data.y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    # The published mean and deviation of the training pixels are .1307 and .3081; the test part is close to them.
    assert float(data.x.mean()) == pytest.approx(0.1325, abs=5e-4)


def test_the_published_checksums_are_those_of_the_files(data_folder: Path) -> None:
    for published in mnist_files.MNIST.files:
        if "train-images" not in published.file:  # ten times the others' size
            assert digest(data_folder / "mnist" / published.file, published.num_bytes) == published.sha256
    if DEBIAN.is_dir():
        for published in mnist_files.FASHION_MNIST.files:
            if "train-images" not in published.file:
                assert digest(DEBIAN / published.file, published.num_bytes) == published.sha256


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_fashion_mnist_where_debian_installs_it() -> None:
    data = fashion_mnist("test", download=False)
    assert data.x.shape == (10_000, 784)
    assert data.y is not None
    assert data.y[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    assert np.bincount(data.y).tolist() == [1000] * 10
    assert data.class_names is not None
    assert data.class_names[9] == "Ankle boot"


def test_one_set_is_not_taken_for_the_other(data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist_files, "FASHION_MNIST", mnist_files.replace(mnist_files.FASHION_MNIST, installed=()))
    monkeypatch.setenv("PELLUCID_DATA", str(data_folder / "mnist"))
    with pytest.raises(MissingFileError, match="Fashion-MNIST is not on this machine"):
        fashion_mnist("test", download=False)
    with pytest.raises(DataError) as error:
        fashion_mnist("test", data_folder / "mnist", download=False)
    assert str(error.value).rpartition("\n  at:")[0] == (
        f"{data_folder / 'mnist'} holds MNIST, not Fashion-MNIST\n"
        "  given:    t10k-labels-idx1-ubyte.gz\n"
        "  expected: the files of Fashion-MNIST; both sets use the same file names"
    )
    # Decompressed, it is known as well.
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        with gzip.open(data_folder / "mnist" / f"{name}.gz") as packed, open(tmp_path / name, "wb") as plain:
            shutil.copyfileobj(packed, plain)
    with pytest.raises(DataError, match="holds MNIST"):
        fashion_mnist("test", tmp_path, download=False)
