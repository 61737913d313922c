"""Data sets, the ways to get them, split them and scale them, and the loader that makes mini-batches of them.

Everything here is NumPy in, NumPy out: `Loader` yields arrays that any model takes.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pellucid.data.dataset import Dataset, as_dataset
from pellucid.data.loader import Loader

if TYPE_CHECKING:
    from pellucid.data import augment as augment
    from pellucid.data.archive import npz as npz
    from pellucid.data.archive import npz_splits as npz_splits
    from pellucid.data.builtin import digits as digits
    from pellucid.data.byte_pairs import BytePairTokenizer as BytePairTokenizer
    from pellucid.data.characters import CharTokenizer as CharTokenizer
    from pellucid.data.characters import tokenizer_from as tokenizer_from
    from pellucid.data.free_spoken_digits import spoken_digits as spoken_digits
    from pellucid.data.idx import idx_folder as idx_folder
    from pellucid.data.idx import read_idx as read_idx
    from pellucid.data.idx import write_idx as write_idx
    from pellucid.data.labels import encode_labels as encode_labels
    from pellucid.data.mnist_files import fashion_mnist as fashion_mnist
    from pellucid.data.mnist_files import mnist as mnist
    from pellucid.data.recordings import Recordings as Recordings
    from pellucid.data.recordings import audio_folder as audio_folder
    from pellucid.data.scaling import MinMax as MinMax
    from pellucid.data.scaling import Scaler as Scaler
    from pellucid.data.scaling import Standardize as Standardize
    from pellucid.data.splits import k_fold as k_fold
    from pellucid.data.splits import train_test_split as train_test_split
    from pellucid.data.synthetic import blobs as blobs
    from pellucid.data.synthetic import circles as circles
    from pellucid.data.synthetic import curve as curve
    from pellucid.data.synthetic import spirals as spirals
    from pellucid.data.synthetic import two_moons as two_moons
    from pellucid.data.synthetic import xor as xor
    from pellucid.data.text import TextBlocks as TextBlocks
    from pellucid.data.text import read_text as read_text
    from pellucid.data.text import split_tokens as split_tokens
    from pellucid.data.text import text_windows as text_windows
    from pellucid.data.text import tiny_shakespeare as tiny_shakespeare
    from pellucid.data.wav import read_wav as read_wav
    from pellucid.data.wav import write_wav as write_wav

__all__ = [
    "BytePairTokenizer",
    "CharTokenizer",
    "Dataset",
    "Loader",
    "MinMax",
    "Recordings",
    "Scaler",
    "Standardize",
    "TextBlocks",
    "as_dataset",
    "audio_folder",
    "augment",
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
    "read_text",
    "read_wav",
    "spirals",
    "split_tokens",
    "spoken_digits",
    "text_windows",
    "tiny_shakespeare",
    "tokenizer_from",
    "train_test_split",
    "two_moons",
    "write_idx",
    "write_wav",
    "xor",
]

# Where the others are. Training needs a data set and a loader alone; each of these is imported when it is first used.
_HOMES = {
    "archive": "npz npz_splits",
    "builtin": "digits",
    "byte_pairs": "BytePairTokenizer",
    "characters": "CharTokenizer tokenizer_from",
    "free_spoken_digits": "spoken_digits",
    "idx": "idx_folder read_idx write_idx",
    "labels": "encode_labels",
    "mnist_files": "fashion_mnist mnist",
    "recordings": "Recordings audio_folder",
    "scaling": "MinMax Scaler Standardize",
    "splits": "k_fold train_test_split",
    "synthetic": "blobs circles curve spirals two_moons xor",
    "text": "TextBlocks read_text split_tokens text_windows tiny_shakespeare",
    "wav": "read_wav write_wav",
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"pellucid.data.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"annotations", "importlib", "Any", "TYPE_CHECKING"})
