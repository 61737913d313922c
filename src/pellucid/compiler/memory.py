"""Where results live: sizes with the phases in which they are in use come in; places in one block of memory leave, so
that what is never in use at once shares memory. `step.memory` shows the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

ALIGNMENT = 64


@dataclass(frozen=True)
class Piece:
    """An intermediate result in memory: its name, bytes, and the first and last phase that use it."""

    name: str
    nbytes: int
    first: int
    last: int
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.offset:>10} + {self.nbytes:<10} phases {self.first}-{self.last}  {self.name}"


@dataclass(frozen=True)
class Memory:
    """The intermediate results of a step.

    peak : bytes of the whole block.
    separate : bytes that they would take without sharing.
    """

    pieces: tuple[Piece, ...]
    peak: int

    @property
    def separate(self) -> int:
        return sum(_rounded(p.nbytes) for p in self.pieces)

    def __str__(self) -> str:
        lines = [f"{self.peak} bytes for {len(self.pieces)} intermediate results ({self.separate} without sharing)"]
        return "\n".join([*lines, *map(str, self.pieces)])


def planned(pieces: list[Piece]) -> Memory:
    """Give every piece its offset: the largest first, each at the lowest place that is free while it is in use."""
    placed: list[Piece] = []
    for piece in sorted(pieces, key=lambda p: (-p.nbytes, p.first)):
        start = 0
        for other in sorted(placed, key=lambda p: p.offset):
            if other.last < piece.first or piece.last < other.first:
                continue
            if start + piece.nbytes <= other.offset:
                break
            start = max(start, _rounded(other.offset + other.nbytes))
        placed.append(Piece(piece.name, piece.nbytes, piece.first, piece.last, start))
    by_name = {p.name: p for p in placed}
    ordered = tuple(by_name[p.name] for p in pieces)
    return Memory(ordered, max((_rounded(p.offset + p.nbytes) for p in placed), default=0))


def joined(memories: Sequence[Memory], between: Sequence[tuple[str, int, int, int]]) -> Memory:
    """Blocks of memory of parts that run one after the other, each with blocks of its own.

    Parameters
        between : results that go from part to part, as name, bytes, and the first and the last part that use them
    """
    pieces: list[Piece] = []
    peak, phases = 0, [0]
    for memory in memories:
        shifted = [replace(p, first=p.first + phases[-1], last=p.last + phases[-1]) for p in memory.pieces]
        pieces += [replace(p, offset=p.offset + peak) for p in shifted]
        peak += memory.peak
        phases.append(1 + max((p.last for p in shifted), default=phases[-1]))
    for name, nbytes, first, last in between:
        pieces.append(Piece(name, nbytes, phases[first], phases[last + 1] - 1, peak))
        peak += _rounded(nbytes)
    return Memory(tuple(pieces), peak)


def _rounded(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
