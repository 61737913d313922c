"""Random words in native code: the statements that write the stream of `core.rng.bits` into a buffer. Called by `lower`.

Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011 (Philox-4x64-10).
"""

from __future__ import annotations

import numpy as np

from pellucid.compiler.nest import (
    INT64,
    Buffer,
    Comment,
    Expr,
    If,
    Let,
    Loop,
    Statement,
    Store,
    Variable,
    cast,
    function,
    named,
    number,
    variable,
)

WORDS = 8
"""How many numbers one block of the stream has."""
_ROUNDS = 10
_UINT32, _UINT64 = np.dtype(np.uint32), np.dtype(np.uint64)
_FACTORS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
_KEY_STEPS = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B


def statements(key: tuple[Expr, Expr], out: Buffer, size: int, lo: Expr, hi: Expr) -> tuple[Statement, ...]:
    """Blocks lo up to hi of a key's stream, written to their places in a buffer.

    Parameters
        key : its two words, uint64
        out : uint32, without gaps
        size : how many numbers it has; of the last block only those are written
        lo, hi : int64, at most ceil(size / 8)
    """
    whole, rest = divmod(size, WORDS)
    end = number(whole, INT64)
    block = Variable("block")
    names = [f"key{n}" for n in range(2)]
    body: list[Statement] = [Comment("the Philox-4x64-10 stream of the key")]
    body += [Let(name, word) for name, word in zip(names, key, strict=True)]
    words = [named(name, _UINT64) for name in names]
    full = _block(words, variable(block), out, WORDS, "word")
    body.append(Loop(block, lo, function("minimum", hi, end), full))
    if rest:
        body.append(If(hi > end, _block(words, end, out, rest, "last")))
    return tuple(body)


def _block(key: list[Expr], block: Expr, out: Buffer, count: int, name: str) -> tuple[Statement, ...]:
    """The first `count` numbers of a block. The counter of the first block is 1: NumPy counts before it draws."""
    zero = number(0, _UINT64)
    c = [cast(block + 1, _UINT64), zero, zero, zero]
    k = key
    for n in range(_ROUNDS):
        if n:
            k = [a + number(n * step % 2**64, _UINT64) for a, step in zip(key, _KEY_STEPS, strict=True)]
        first, second = (number(f, _UINT64) for f in _FACTORS)
        c = [
            function("mulhi", c[2], second) ^ c[1] ^ k[0],
            c[2] * second,
            function("mulhi", c[0], first) ^ c[3] ^ k[1],
            c[0] * first,
        ]
    result: list[Statement] = [Let(f"{name}{n}", word) for n, word in enumerate(c[: (count + 1) // 2])]
    for n in range(count):
        word = named(f"{name}{n // 2}", _UINT64)
        half = cast(word >> 32 if n % 2 else word, _UINT32)
        result.append(Store(out, block * WORDS + n, half))
    return tuple(result)
