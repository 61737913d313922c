"""Text comes in; whole numbers leave, one for each character, and the other way round. Called by users, by the language
models' command line, and, to build a tokenizer from what a model file keeps of it, by whoever reads such a file.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import shown
from pellucid.data._arrays import plain
from pellucid.errors import ArgumentTypeError, DataError, DTypeError, FileFormatError, IndexRangeError, ShapeError


class CharTokenizer:
    """A number for each character: its place among the distinct characters of a text, sorted by code point.

    Parameters
        text : every character that shall have a number; repetitions do not matter
    Attributes
        characters : str, the distinct characters, sorted: character i has the number i
        vocab_size : int, how many there are
    Raises
        DataError: an empty text.
    Examples
        >>> tokenizer = CharTokenizer("hello")
        >>> tokenizer.characters, tokenizer.encode("hole").tolist()
        ('ehlo', [1, 3, 2, 0])
        >>> tokenizer.decode([1, 0, 2, 2, 3])
        'hello'
    """

    def __init__(self, text: str) -> None:
        _require_text("CharTokenizer: text", text)
        if not text:
            raise DataError("text.no-text", argument="CharTokenizer: text")
        self._points = np.unique(_code_points(text))
        self.characters = "".join(map(chr, self._points.tolist()))

    @property
    def vocab_size(self) -> int:
        """How many numbers there are: 0 up to, not including, this."""
        return len(self.characters)

    def encode(self, text: str) -> Array:
        """The number of each character, shape (characters,), int64.

        Raises
            DataError: a character that has no number; names it and its place.
        """
        _require_text("encode: text", text)
        points = _code_points(text)
        tokens = np.searchsorted(self._points, points)
        unknown = self._points[np.minimum(tokens, self.vocab_size - 1)] != points
        if unknown.any():
            place = int(unknown.argmax())
            before = text[:place]
            raise DataError(
                "text.unknown-character",
                character=repr(text[place]),
                code=f"U+{ord(text[place]):04X}",
                place=place,
                line=before.count("\n") + 1,
                column=place - (before.rfind("\n") + 1) + 1,
                count=self.vocab_size,
                characters=shown(self.characters),
            )
        return tokens.astype(np.int64, copy=False)

    def decode(self, tokens: Any) -> str:
        """The text of numbers that `encode` gives.

        Raises
            IndexRangeError: a number that no character has.
            DTypeError, ShapeError: no list of whole numbers.
        """
        numbers = as_tokens("decode: tokens", tokens, self.vocab_size)
        return "".join(map(chr, self._points[numbers].tolist()))

    def state(self) -> dict[str, Any]:
        """What a file keeps of it; `tokenizer_from` reads it back."""
        return {"kind": "characters", "characters": self.characters}

    def __repr__(self) -> str:
        return f"CharTokenizer({self.vocab_size} characters)"


def tokenizer_from(state: Any) -> Any:
    """The tokenizer whose `state()` this is: a `CharTokenizer` or a `BytePairTokenizer`.

    Raises
        FileFormatError: it is no tokenizer's state.
        MissingDependencyError: byte pairs, and the package `tokenizers` is not installed.
    """
    kind = state.get("kind") if isinstance(state, dict) else None
    if kind == "characters" and set(state) == {"kind", "characters"}:
        characters = state["characters"]
        if isinstance(characters, str) and characters and sorted(set(characters)) == list(characters):
            return CharTokenizer(characters)
    if kind == "byte pairs" and set(state) == {"kind", "rules"} and isinstance(state["rules"], str):
        from pellucid.data.byte_pairs import BytePairTokenizer

        return BytePairTokenizer(state["rules"])
    raise FileFormatError("text.tokenizer-state", given=shown(state))


def as_tokens(name: str, value: Any, vocab_size: int | None = None) -> Array:
    """A list of whole numbers from 0 on, below `vocab_size` where there is one, shape (tokens,), int64.

    Raises
        DTypeError, ShapeError, IndexRangeError: it is not that.
    """
    array = np.asarray(plain(name, value))
    if array.ndim != 1:
        raise ShapeError("text.token-axes", name=name, shape=array.shape)
    if array.dtype.kind not in "iu" and array.size:
        raise DTypeError("text.token-dtype", name=name, dtype=array.dtype)
    array = array.astype(np.int64, copy=False)
    outside = array < 0 if vocab_size is None else (array < 0) | (array >= vocab_size)
    if outside.any():
        place = int(outside.argmax())
        last = "..." if vocab_size is None else vocab_size - 1
        raise IndexRangeError("text.token-range", name=name, token=int(array[place]), place=place, last=last)
    return array


def _require_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise ArgumentTypeError("core.type", name=name, value=shown(value), type=type(value).__name__, expected="str")


def _code_points(text: str) -> Array:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
