"""Data sets, the ways to get them, split them and scale them, and the loader that makes mini-batches of them.

Everything here is NumPy in, NumPy out: `Loader` yields arrays that any model takes.
"""

from pellucid.data.archive import npz, npz_splits
from pellucid.data.builtin import digits
from pellucid.data.dataset import Dataset, as_dataset
from pellucid.data.idx import idx_folder, read_idx, write_idx
from pellucid.data.labels import encode_labels
from pellucid.data.loader import Loader
from pellucid.data.mnist_files import fashion_mnist, mnist
from pellucid.data.scaling import MinMax, Scaler, Standardize
from pellucid.data.splits import k_fold, train_test_split
from pellucid.data.synthetic import blobs, circles, curve, spirals, two_moons, xor

__all__ = [
    "Dataset",
    "Loader",
    "MinMax",
    "Scaler",
    "Standardize",
    "as_dataset",
    "blobs",
    "circles",
    "curve",
    "digits",
    "encode_labels",
    "fashion_mnist",
    "idx_folder",
    "k_fold",
    "mnist",
    "npz",
    "npz_splits",
    "read_idx",
    "spirals",
    "train_test_split",
    "two_moons",
    "write_idx",
    "xor",
]
