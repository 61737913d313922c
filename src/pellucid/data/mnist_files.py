"""A split's name comes in; MNIST or Fashion-MNIST leaves, from a folder at hand or by download. Called by users and the
command line.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pellucid.core.check import Flag, Options, checked
from pellucid.core.paths import as_path, cache_folder
from pellucid.data._download import Published, download
from pellucid.data._files import digest
from pellucid.data.dataset import Dataset
from pellucid.data.idx import SPLITS, find, idx_folder
from pellucid.errors import DataError, FileFormatError, MissingFileError


@dataclass(frozen=True)
class ImageSet:
    """A published set in MNIST's four files: its names, where it may be found, and what its files hold."""

    name: str
    folder: str
    addresses: tuple[str, ...]
    files: tuple[Published, ...]
    class_names: tuple[str, ...]
    description: str
    installed: tuple[Path, ...] = ()


def _four(train_images: str, train_labels: str, test_images: str, test_labels: str) -> tuple[Published, ...]:
    return (
        Published("train-images-idx3-ubyte.gz", 47_040_016, train_images),
        Published("train-labels-idx1-ubyte.gz", 60_008, train_labels),
        Published("t10k-images-idx3-ubyte.gz", 7_840_016, test_images),
        Published("t10k-labels-idx1-ubyte.gz", 10_008, test_labels),
    )


MNIST = ImageSet(
    name="MNIST",
    folder="mnist",
    addresses=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    files=_four(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    class_names=tuple("0123456789"),
    description="28x28 handwritten digits; Y. LeCun, C. Cortes, C. J. C. Burges; CC BY-SA 3.0",
)

FASHION_MNIST = ImageSet(
    name="Fashion-MNIST",
    folder="fashion-mnist",
    addresses=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    files=_four(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    description="28x28 images of clothing; H. Xiao, K. Rasul, R. Vollgraf, arXiv:1708.07747, Zalando SE; MIT licence",
    # Debian's and Ubuntu's package dataset-fashion-mnist.
    installed=(Path("/usr/share/datasets/fashion-mnist"),),
)


@checked(split=Options("train", "test"), download=Flag())
def mnist(split: str = "train", folder: Any = None, download: bool = True) -> Dataset:
    """MNIST: 60,000 training and 10,000 test images of handwritten digits, 28x28 pixels.

    The files are looked for in `folder`, in the folder that `PELLUCID_DATA` names (each with its subfolder `mnist/`),
    and in the cache (`PELLUCID_CACHE`, else the platform's cache folder). Only then are they downloaded, into `folder`
    or else into the cache, checked by SHA-256. Files of your own need not be the published ones.

    Parameters
        split : "train" or "test"
        folder : where the IDX files are or shall be
        download : False never uses the network
    Returns
        Dataset with x (rows, 784) float32 in [0, 1], y (rows,) int64, class names, `images` (rows, 28, 28)
    Raises
        MissingFileError: not at hand, and `download` is False.
        DownloadError: no address gave the file; says where to put it by hand.
        FileFormatError: a damaged file.
        DataError: `folder` holds Fashion-MNIST, whose files have the same names.
    Source
        Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition, 1998.
    """
    return load(MNIST, split, folder, download)


@checked(split=Options("train", "test"), download=Flag())
def fashion_mnist(split: str = "train", folder: Any = None, download: bool = True) -> Dataset:
    """Fashion-MNIST: 60,000 training and 10,000 test images of clothing in ten classes, 28x28 pixels.

    Looked for as `mnist` is, with the subfolder `fashion-mnist/`, and also where Debian's package
    `dataset-fashion-mnist` installs it.

    Parameters
        split : "train" or "test"
        folder : where the IDX files are or shall be
        download : False never uses the network
    Returns
        Dataset with x (rows, 784) float32 in [0, 1], y (rows,) int64, class names, `images` (rows, 28, 28)
    Raises
        MissingFileError, DownloadError, FileFormatError, DataError: as `mnist`.
    Source
        H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017.
    """
    return load(FASHION_MNIST, split, folder, download)


def load(image_set: ImageSet, split: str, folder: Any, may_download: bool, *, timeout_s: float = 20.0) -> Dataset:
    """One split of a published set, from the first folder that has it, else by download."""
    given = None if folder is None else as_path("folder", folder)
    cache = cache_folder() / image_set.folder
    looked = _folders(image_set, given, cache)
    place = next((f for f in looked if _holds(f, image_set, split, refuse_other=f == given)), None)
    if place is None:
        wanted = [p for p in image_set.files if p.file.startswith(SPLITS[split])]
        if not may_download:
            raise MissingFileError(
                "data.missing-set",
                name=image_set.name,
                folders=", ".join(map(str, looked)),
                files=", ".join(p.file for p in wanted),
            )
        place = given or cache
        for published in wanted:
            if not (place / published.file).is_file():
                download(published, image_set.addresses, place, timeout_s=timeout_s)
    return replace(
        idx_folder(place, split),
        class_names=image_set.class_names,
        name=f"{image_set.name} {split}",
        description=image_set.description,
    )


def _folders(image_set: ImageSet, given: Path | None, cache: Path) -> list[Path]:
    named = os.environ.get("PELLUCID_DATA")
    roots = [given] if given else []
    roots += [Path(named).expanduser()] if named else []
    return [f for root in roots for f in (root, root / image_set.folder)] + [*image_set.installed, cache]


def _holds(folder: Path, image_set: ImageSet, split: str, *, refuse_other: bool) -> bool:
    """Whether a folder has both files of a split, and they are not known to be those of another set."""
    labels = find(folder, split, "labels")
    if labels is None or find(folder, split, "images") is None:
        return False
    try:
        content = digest(labels, 1 << 20)
    except FileFormatError:
        return True
    for other in (MNIST, FASHION_MNIST):
        if other.name != image_set.name and any(p.sha256 == content for p in other.files):
            if refuse_other:
                raise DataError(
                    "data.other-set", folder=str(folder), other=other.name, name=image_set.name, file=labels.name
                )
            return False
    return True
