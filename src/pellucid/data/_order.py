"""A seed and a counter come in; a permutation of rows or a generator leaves. Called by the loader, the splits and the
synthetic sets.
"""

from __future__ import annotations

import numpy as np

from pellucid._typing import Array

SEED_LIMIT = 2**64 - 1

# Second words of the key; epochs count up from 0 and never reach them, so that no draw repeats an epoch's shuffle.
SPLIT = 2**63
FOLDS = 2**63 + 1
SYNTHETIC = 2**63 + 2


def _philox(seed: int, stream: int) -> np.random.Philox:
    return np.random.Philox(key=np.array([seed, stream], dtype=np.uint64))


def permutation(num_rows: int, seed: int, stream: int) -> Array:
    """The order of `num_rows` rows that belongs to the Philox key (seed, stream), shape (num_rows,), int64.

    The rows are sorted by one raw 64-bit word each. Raw words are fixed by the Philox algorithm, whereas
    `Generator.permutation` may change between versions of NumPy, and a resumed run must not.
    """
    words = _philox(seed, stream).random_raw(num_rows)
    # Numbers are sorted three times as fast as their places are found: the lowest bits give way to the number of the
    # row, and where two words differ in these bits alone, which hardly ever happens, they are sorted as they are.
    low = np.uint64((1 << num_rows.bit_length()) - 1)
    numbered = (words & ~low) | np.arange(num_rows, dtype=np.uint64)
    numbered.sort()
    high = numbered & ~low
    if (high[1:] == high[:-1]).any():
        return np.argsort(words, kind="stable").astype(np.int64, copy=False)
    return (numbered & low).astype(np.int64)


def words(seed: int, stream: int, count: int) -> Array:
    """The first raw 64-bit words of the Philox key (seed, stream), shape (count,), uint64."""
    return _philox(seed, stream).random_raw(count)


def generator(seed: int, stream: int) -> np.random.Generator:
    """NumPy's Generator on the Philox key (seed, stream)."""
    return np.random.Generator(_philox(seed, stream))
