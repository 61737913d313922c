"""Text as numbers and as blocks: by hand, by Python's own text, and by a file of known content."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid import data
from pellucid.data import text as text_module
from pellucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    DownloadError,
    DTypeError,
    FileFormatError,
    IndexRangeError,
    MissingFileError,
    ShapeError,
)


def test_characters_are_numbered_in_the_order_of_their_code_points() -> None:
    tokenizer = data.CharTokenizer("banana, été 😀")
    assert tokenizer.characters == " ,abntéé😀".replace("éé", "é")
    assert tokenizer.vocab_size == 8
    assert tokenizer.encode("ban").tolist() == [3, 2, 4]
    assert tokenizer.encode("").tolist() == []
    assert tokenizer.encode("ban").dtype == np.int64


@given(st.text(min_size=1))
def test_a_text_comes_back_from_its_numbers(words: str) -> None:
    tokenizer = data.CharTokenizer(words)
    assert tokenizer.characters == "".join(sorted(set(words)))
    assert tokenizer.decode(tokenizer.encode(words)) == words
    again = data.tokenizer_from(tokenizer.state())
    assert again.encode(words).tolist() == tokenizer.encode(words).tolist()


def test_an_unknown_character_is_named_with_its_place() -> None:
    with pytest.raises(DataError) as caught:
        data.CharTokenizer("abc\n").encode("ab\nacé")
    assert str(caught.value).startswith(
        "the tokenizer does not know the character 'é'\n"
        "  given:    'é' (U+00E9) at line 2, column 3: character 5 of the text, counted from 0\n"
        "  expected: the 4 characters it was made of: '\\nabc'"
    )
    # Before the first character, between two, and after the last.
    for words in ("A", "bB", "z"):
        with pytest.raises(DataError):
            data.CharTokenizer("acy").encode(words)


def test_wrong_tokens_are_refused() -> None:
    tokenizer = data.CharTokenizer("abc")
    with pytest.raises(IndexRangeError, match=r"given:    3 at place 1, counted from 0\n  expected: 0 to 2"):
        tokenizer.decode([0, 3])
    with pytest.raises(IndexRangeError):
        tokenizer.decode([-1])
    with pytest.raises(DTypeError):
        tokenizer.decode([0.5])
    with pytest.raises(ShapeError):
        tokenizer.decode([[0]])
    with pytest.raises(ArgumentTypeError):
        tokenizer.encode(b"abc")  # type: ignore[arg-type]
    with pytest.raises(DataError):
        data.CharTokenizer("")


@pytest.mark.parametrize(
    "state", [None, {}, {"kind": "characters"}, {"kind": "characters", "characters": "ba"}, {"kind": "words"}, []]
)
def test_what_is_no_tokenizers_state_is_refused(state: object) -> None:
    with pytest.raises(FileFormatError):
        data.tokenizer_from(state)


def test_byte_pairs() -> None:
    pytest.importorskip("tokenizers")
    words = "low lower lowest, 世界 " * 20
    tokenizer = data.BytePairTokenizer.train(words, vocab_size=280)
    assert 256 < tokenizer.vocab_size <= 280
    # What comes often takes few numbers; what never came takes one a byte, and nothing is lost.
    assert len(tokenizer.encode(words)) < len(words) / 2
    assert len(tokenizer.encode("ö")) == 2
    for other in (words, "äöü 😀\n\t x", ""):
        assert tokenizer.decode(tokenizer.encode(other)) == other
    again = data.tokenizer_from(tokenizer.state())
    assert again.encode(words).tolist() == tokenizer.encode(words).tolist()
    assert data.BytePairTokenizer.train(words, vocab_size=280).state() == tokenizer.state()
    with pytest.raises(FileFormatError):
        data.BytePairTokenizer("{}")
    with pytest.raises(ArgumentError):
        data.BytePairTokenizer.train(words, vocab_size=255)
    with pytest.raises(DataError):
        data.BytePairTokenizer.train("")


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from pellucid.errors import MissingDependencyError

    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingDependencyError, match="fix:      pip install tokenizers"):
        data.BytePairTokenizer.train("abc")


def test_blocks_are_pieces_of_the_text_and_what_comes_next() -> None:
    tokens = np.random.default_rng(0).permutation(500)
    blocks = data.TextBlocks(tokens, block_size=7, batch_size=4, batches=5, seed=3)
    assert len(blocks) == 5
    place = {int(t): i for i, t in enumerate(tokens)}
    for x, y in blocks:
        assert x.shape == y.shape == (4, 7)
        assert x.dtype == y.dtype == np.int64
        for row, following in zip(x, y, strict=True):
            first = place[int(row[0])]
            assert row.tolist() == tokens[first : first + 7].tolist()
            assert following.tolist() == tokens[first + 1 : first + 8].tolist()


def test_blocks_begin_where_the_seed_and_the_epoch_say() -> None:
    tokens = np.arange(100)
    blocks = data.TextBlocks(tokens, block_size=10, batch_size=3, batches=2, seed=5)
    for epoch in (0, 1, 7):
        raw = np.random.Philox(key=np.array([5, epoch], np.uint64)).random_raw(6)
        expected = [int(word) % 90 for word in raw.tolist()]
        assert blocks.starts(epoch).tolist() == expected
        assert np.concatenate([x for x, _ in blocks.batches(epoch)])[:, 0].tolist() == expected
    # Every place is possible: the first, and the last that leaves room for what comes next.
    many = data.TextBlocks(np.arange(12), block_size=10, batch_size=50).starts(0)
    assert set(many.tolist()) == {0, 1}


def test_batches_that_were_given_stay_as_they_are() -> None:
    blocks = data.TextBlocks(np.arange(1000), block_size=5, batch_size=2, batches=2)
    first = [x for x, _ in blocks]
    kept = [x.copy() for x in first]
    second = [x for x, _ in blocks]
    assert all(np.array_equal(a, b) for a, b in zip(first, kept, strict=True))
    assert not np.array_equal(first[0], second[0])


def test_windows_by_hand() -> None:
    found = data.text_windows(np.arange(11), block_size=5)
    assert found.x.tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert found.y is not None
    assert found.y.tolist() == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]
    assert len(data.text_windows(np.arange(10), block_size=5)) == 1  # no token comes after the second block
    spread = data.text_windows(np.arange(101), block_size=10, limit=4)
    assert spread.x[:, 0].tolist() == [0, 20, 50, 70]


def test_the_end_of_a_text_is_held_out() -> None:
    first, last = data.split_tokens(np.arange(1000), 0.1)
    assert (len(first), last[0], last[-1]) == (900, 900, 999)
    with pytest.raises(DataError):
        data.split_tokens([1], 0.1)
    with pytest.raises(ArgumentError):
        data.split_tokens(np.arange(10), 0.0)


def test_too_short_a_text_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        data.TextBlocks(np.arange(8), block_size=8)
    assert str(caught.value).startswith(
        "TextBlocks: the text is too short for one block\n"
        "  given:    8 tokens, blocks of 8\n"
        "  expected: at least one token more than a block has"
    )
    with pytest.raises(DataError):
        data.text_windows([1, 2], block_size=2)


def test_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffeins\r\nzwei\rüber\n".encode())
    assert data.read_text(path) == "eins\nzwei\nüber\n"
    path.write_bytes(b"abc\xff")
    with pytest.raises(FileFormatError, match="byte ff at place 3"):
        data.read_text(path)
    path.write_bytes(b"")
    with pytest.raises(DataError):
        data.read_text(path)
    with pytest.raises(MissingFileError):
        data.read_text(tmp_path / "none.txt")


def test_tiny_shakespeare(data_folder: Path) -> None:
    words = data.tiny_shakespeare(download=False)
    published = text_module.SHAKESPEARE
    assert (len(words), len(set(words))) == (published.num_bytes, 65)
    assert hashlib.sha256(words.encode()).hexdigest() == published.sha256
    assert words.startswith("First Citizen:\nBefore we proceed any further, hear me speak.\n")


def test_tiny_shakespeare_is_looked_for_and_then_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PELLUCID_DATA", raising=False)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    with pytest.raises(MissingFileError, match=r"tiny-shakespeare\.txt in one of these folders"):
        data.tiny_shakespeare(download=False)
    monkeypatch.setattr(text_module, "_ADDRESSES", ("http://127.0.0.1:9/",))
    with pytest.raises(DownloadError, match=r"fetch http://127\.0\.0\.1:9/input\.txt by other means"):
        data.tiny_shakespeare()
    (tmp_path / "input.txt").write_text("to be", encoding="utf-8")
    assert data.tiny_shakespeare(tmp_path, download=False) == "to be"
