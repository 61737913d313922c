"""Text comes in; whole numbers leave, one for each of the byte sequences that were found to be frequent, and the other
way round. The work is done by the package `tokenizers` (the extra `text`), imported when a tokenizer is made.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Integer, checked, shown
from pellucid.data.characters import _require_text, as_tokens
from pellucid.errors import DataError, FileFormatError, MissingDependencyError

_BYTES = 256


class BytePairTokenizer:
    """A number for each of a set of byte sequences: the 256 single bytes, and the pairs of numbers that were, one after
    the other, the most frequent in a text. No text is without numbers, since every byte has one.

    Parameters
        rules : str, the JSON of a byte-level tokenizer, as `tokenizers` writes it; `BytePairTokenizer.train` makes one
            from a text
    Attributes
        vocab_size : int, how many numbers there are
    Raises
        MissingDependencyError: the package `tokenizers` is not installed.
        FileFormatError: `rules` is no tokenizer.
    Source
        R. Sennrich, B. Haddow, A. Birch, Neural machine translation of rare words with subword units, ACL 2016; on
        bytes: A. Radford et al., Language models are unsupervised multitask learners, 2019, section 2.2.
    """

    def __init__(self, rules: str) -> None:
        package = _package()
        _require_text("BytePairTokenizer: rules", rules)
        try:
            self._inner = package.Tokenizer.from_str(rules)
        except Exception as problem:  # the package raises Exception itself
            raise FileFormatError("text.rules", given=shown(rules), problem=str(problem)) from None

    @staticmethod
    @checked(vocab_size=Integer(_BYTES))
    def train(text: str, vocab_size: int = 512) -> BytePairTokenizer:
        """The tokenizer that a text asks for: pairs are joined until there are `vocab_size` numbers, or no pair comes
        twice.

        Raises
            DataError: an empty text.
            MissingDependencyError: the package `tokenizers` is not installed.
        """
        package = _package()
        _require_text("train: text", text)
        if not text:
            raise DataError("text.no-text", argument="train: text")
        from tokenizers import decoders, models, pre_tokenizers, trainers

        inner = package.Tokenizer(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=int(vocab_size),
            min_frequency=2,
            show_progress=False,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        )
        inner.train_from_iterator([text], trainer)
        return BytePairTokenizer(inner.to_str())

    @property
    def vocab_size(self) -> int:
        """How many numbers there are: 0 up to, not including, this."""
        return int(self._inner.get_vocab_size())

    def encode(self, text: str) -> Array:
        """The numbers of a text, shape (tokens,), int64."""
        _require_text("encode: text", text)
        return np.array(self._inner.encode(text, add_special_tokens=False).ids, np.int64)

    def decode(self, tokens: Any) -> str:
        """The text of numbers; bytes that are no whole character become U+FFFD.

        Raises
            IndexRangeError: a number that there is not.
            DTypeError, ShapeError: no list of whole numbers.
        """
        numbers = as_tokens("decode: tokens", tokens, self.vocab_size)
        return str(self._inner.decode(numbers.tolist(), skip_special_tokens=False))

    def state(self) -> dict[str, Any]:
        """What a file keeps of it; `tokenizer_from` reads it back."""
        return {"kind": "byte pairs", "rules": self._inner.to_str()}

    def __repr__(self) -> str:
        return f"BytePairTokenizer({self.vocab_size} byte sequences)"


def _package() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise MissingDependencyError("text.missing-extra") from None
    return tokenizers
