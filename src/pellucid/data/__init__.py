"""Data sets, the ways to get them, split them and scale them, and the loader that makes mini-batches of them.

Everything here is NumPy in, NumPy out: `Loader` yields arrays that any model takes.
"""

from pellucid.data import augment as augment
from pellucid.data.archive import npz, npz_splits
from pellucid.data.audio_folder import Recordings, audio_folder
from pellucid.data.builtin import digits
from pellucid.data.byte_pairs import BytePairTokenizer
from pellucid.data.characters import CharTokenizer, tokenizer_from
from pellucid.data.dataset import Dataset, as_dataset
from pellucid.data.idx import idx_folder, read_idx, write_idx
from pellucid.data.labels import encode_labels
from pellucid.data.loader import Loader
from pellucid.data.mnist_files import fashion_mnist, mnist
from pellucid.data.scaling import MinMax, Scaler, Standardize
from pellucid.data.splits import k_fold, train_test_split
from pellucid.data.spoken_digits import spoken_digits
from pellucid.data.synthetic import blobs, circles, curve, spirals, two_moons, xor
from pellucid.data.text import TextBlocks, read_text, split_tokens, text_windows, tiny_shakespeare
from pellucid.data.wav import read_wav, write_wav

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
