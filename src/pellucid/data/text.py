"""The numbers of a text come in, as a tokenizer gives them; the two parts of it, and the blocks that a language model
learns from and is measured on, leave. And text itself: from a file, or tiny Shakespeare. Called by users and the
command line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Flag, Integer, Real, check, checked
from pellucid.core.paths import accessing, as_path, cache_folder, existing_file
from pellucid.data._download import Published
from pellucid.data._download import download as fetch
from pellucid.data._files import digest
from pellucid.data._order import SEED_LIMIT, words
from pellucid.data.characters import as_tokens
from pellucid.data.dataset import Dataset
from pellucid.data.loader import Batch, Loader
from pellucid.errors import DataError, FileFormatError, MissingFileError

SHAKESPEARE = Published(
    "tiny-shakespeare.txt",
    1_115_394,
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    at_address="input.txt",
    content=digest,
)
_ADDRESSES = ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",)
_FOLDER, _NAMES = "text", (SHAKESPEARE.file, SHAKESPEARE.at_address)


class TextBlocks(Loader):
    """Batches of blocks that begin at random places of a text, and of the same blocks one token later: what comes next
    after each token is what a language model learns.

        x = tokens[i : i + block_size],  y = tokens[i + 1 : i + block_size + 1]

    One epoch is `batches` of them; every epoch has blocks of its own, which depend on (seed, epoch) alone. `fit` takes
    it as it takes any Loader.

    Parameters
        tokens : whole numbers, shape (length,), one more than block_size of them at least
        block_size : tokens a block
        batch_size : blocks a batch
        batches : batches an epoch
        seed : int in [0, 2^64)
    Raises
        DataError: fewer than block_size + 1 tokens.
        DTypeError, ShapeError, IndexRangeError: `tokens` is no list of whole numbers from 0 on.
    Examples
        >>> blocks = TextBlocks(np.arange(1000), block_size=4, batch_size=2, batches=3)
        >>> len(blocks)
        3
        >>> x, y = next(iter(blocks))
        >>> x.shape, bool((y == x + 1).all())
        ((2, 4), True)
    """

    changes = True

    @checked(block_size=Integer(1), batch_size=Integer(1), batches=Integer(1), seed=Integer(0, SEED_LIMIT))
    def __init__(
        self, tokens: Any, block_size: int = 64, batch_size: int = 12, *, batches: int = 250, seed: int = 0
    ) -> None:
        self._tokens = _long_enough("TextBlocks", tokens, block_size)
        self.block_size, self.seed = int(block_size), int(seed)
        # The epoch whose blocks `data` holds.
        self._held, self._rows = 0, int(batches) * int(batch_size)
        super().__init__(Dataset(*self._blocks(self.starts(0))), batch_size, seed=seed)

    def starts(self, epoch: int) -> Array:
        """Where the blocks of an epoch begin, shape (batches · batch_size,), int64."""
        check("TextBlocks: epoch", epoch, Integer(0, 2**63 - 1))
        places = len(self._tokens) - self.block_size
        # 64-bit words are so much longer than a text that no place is favoured.
        return (words(self.seed, epoch, self._rows) % np.uint64(places)).astype(np.int64)

    def order(self, epoch: int) -> Array:
        """The rows of an epoch; those of `data` are its blocks from now on."""
        order = super().order(epoch)
        if epoch != self._held:
            self.data.x[...], y = self._blocks(self.starts(epoch))
            if self.data.y is not None:
                self.data.y[...] = y
            self._held = epoch
        return order

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch from number `start` on; changes nothing in the loader."""
        check("TextBlocks: start", start, Integer(0))
        starts = self.starts(epoch)
        for first in range(start * self.batch_size, len(starts), self.batch_size):
            yield self._blocks(starts[first : first + self.batch_size])

    def _blocks(self, starts: Array) -> tuple[Array, Array]:
        places = starts[:, None] + np.arange(self.block_size)
        return self._tokens[places], self._tokens[places + 1]


@checked(block_size=Integer(1), limit=Integer(1, none=True))
def text_windows(tokens: Any, block_size: int = 64, limit: int | None = None) -> Dataset:
    """A text cut into blocks that do not overlap, each with the same block one token later: what a language model is
    measured on. Tokens at the end that fill no block are left out.

    Parameters
        tokens : whole numbers, shape (length,)
        block_size : tokens a block
        limit : at most so many blocks, spread evenly over the text; None for all
    Returns
        Dataset with x and y (blocks, block_size), int64
    Raises
        DataError: fewer than block_size + 1 tokens.
    Examples
        >>> data = text_windows(np.arange(10), block_size=3)
        >>> data.x.tolist(), data.y.tolist()
        ([[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    """
    given = _long_enough("text_windows", tokens, block_size)
    count = (len(given) - 1) // block_size
    kept = np.arange(count) if limit is None or limit >= count else np.arange(limit) * count // limit
    places = kept[:, None] * block_size + np.arange(block_size)
    return Dataset(given[places], given[places + 1])


@checked(validation=Real(0, 1, left_open=True, right_open=True))
def split_tokens(tokens: Any, validation: float = 0.1) -> tuple[Array, Array]:
    """A text in two: the beginning to learn from, and the end, which is held out.

    Parameters
        tokens : whole numbers, shape (length,)
        validation : the share of the end, rounded up to whole tokens
    Raises
        DataError: a part would be empty.
    Examples
        >>> [len(part) for part in split_tokens(np.arange(25), 0.1)]
        [22, 3]
    """
    given = as_tokens("split_tokens: tokens", tokens)
    first = int(len(given) * (1.0 - validation))
    if not 0 < first < len(given):
        raise DataError("text.split", length=len(given), validation=f"{validation:g}")
    return given[:first], given[first:]


def read_text(path: Any) -> str:
    """The text of a file in UTF-8; ends of lines become single line feeds.

    Raises
        MissingFileError, FileAccessError: no such file, or none that can be read.
        FileFormatError: it is not UTF-8; says at which byte.
        DataError: it is empty.
    """
    place = existing_file("path", path)
    with accessing(place):
        content = place.read_bytes()
    try:
        found = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        byte = f"{content[problem.start]:02x}"
        raise FileFormatError("text.not-utf8", path=str(place), byte=byte, place=problem.start) from None
    if not found:
        raise DataError("text.empty-file", path=str(place))
    return found.replace("\r\n", "\n").replace("\r", "\n")


@checked(download=Flag())
def tiny_shakespeare(folder: Any = None, download: bool = True) -> str:
    """Tiny Shakespeare: 1,115,394 characters of his plays, 65 of them distinct.

    It is looked for in `folder`, in the folder that `PELLUCID_DATA` names (each with its subfolder `text/`), under the
    names `tiny-shakespeare.txt` and `input.txt`, and in the cache (`PELLUCID_CACHE`, else the platform's cache folder).
    Only then is it downloaded, into `folder` or else into the cache, and checked by SHA-256.

    Parameters
        folder : where the file is or shall be
        download : False never uses the network
    Raises
        MissingFileError: not at hand, and `download` is False.
        DownloadError: no address gave the file; says where to put it by hand.
        FileFormatError: a damaged file.
    Source
        Text in the public domain, selected by A. Karpathy, The unreasonable effectiveness of recurrent neural networks,
        2015; github.com/karpathy/char-rnn.
    """
    given = None if folder is None else as_path("folder", folder)
    cache = cache_folder() / "tiny-shakespeare"
    named = os.environ.get("PELLUCID_DATA")
    roots = [*([given] if given else []), *([Path(named).expanduser()] if named else [])]
    looked = [place for root in roots for place in (root, root / _FOLDER)] + [cache]
    found = next((place / name for place in looked for name in _NAMES if (place / name).is_file()), None)
    if found is None:
        if not download:
            raise MissingFileError(
                "data.missing-set",
                name="tiny Shakespeare",
                folders=", ".join(map(str, looked)),
                files=_NAMES[0],
            )
        found = fetch(SHAKESPEARE, _ADDRESSES, given or cache)
    return read_text(found)


def _long_enough(function: str, tokens: Any, block_size: int) -> Array:
    given = as_tokens(f"{function}: tokens", tokens)
    if len(given) < block_size + 1:
        raise DataError("text.too-short", function=function, length=len(given), block_size=block_size)
    return np.ascontiguousarray(given)
