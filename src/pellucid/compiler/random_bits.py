"""Random words in native code: the statements that write the stream of `core.rng.bits` into a buffer. Called by
`lower`.

Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011 (Philox-4x64-10).
"""

from __future__ import annotations

import numpy as np

from pellucid.compiler.expressions import Buffer, Expr, Variable, cast, function, named, number, variable
from pellucid.compiler.nest import Comment, If, Let, Loop, Statement, Store

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
    block = Variable("block")
    names = [f"key{n}" for n in range(2)]
    words, results = _rounds([named(name, _UINT64) for name in names], variable(block))
    if rest:
        at_end = variable(block) >= whole
        stores: list[Statement] = [
            If(function("not", at_end), _stores(results, variable(block), out, WORDS)),
            If(at_end, _stores(results, variable(block), out, rest)),
        ]
    else:
        stores = list(_stores(results, variable(block), out, WORDS))
    return (
        Comment("the Philox-4x64-10 stream of the key"),
        *(Let(name, word) for name, word in zip(names, key, strict=True)),
        Loop(block, lo, hi, (*words, *stores)),
    )


def _rounds(key: list[Expr], block: Expr) -> tuple[list[Statement], list[Expr]]:
    """The four words of a block, round after round. The counter of the first block is 1: NumPy counts before it
    draws."""
    first, second = (number(f, _UINT64) for f in _FACTORS)
    lets: list[Statement] = []

    def let(name: str, value: Expr) -> Expr:
        lets.append(Let(name, value))
        return named(name, _UINT64)

    # After the first round, since the counter's upper words are 0.
    count = let("count", cast(block + 1, _UINT64))
    zero = number(0, _UINT64)
    a, b, c, d = key[0], zero, let("c0", function("mulhi", count, first) ^ key[1]), let("d0", count * first)
    for n in range(1, _ROUNDS):
        k = [word + number(n * step % 2**64, _UINT64) for word, step in zip(key, _KEY_STEPS, strict=True)]
        a, b, c, d = (
            let(f"a{n}", function("mulhi", c, second) ^ (k[0] if b is zero else b ^ k[0])),
            let(f"b{n}", c * second),
            let(f"c{n}", function("mulhi", a, first) ^ (d ^ k[1])),
            let(f"d{n}", a * first),
        )
    return lets, [a, b, c, d]


def _stores(words: list[Expr], block: Expr, out: Buffer, count: int) -> tuple[Statement, ...]:
    """The first `count` numbers of a block: the halves of its words, the lower first."""
    return tuple(
        Store(out, block * WORDS + n, cast(words[n // 2] >> 32 if n % 2 else words[n // 2], _UINT32))
        for n in range(count)
    )
