"""Places of intermediate results in one block of memory."""

from itertools import combinations

from pellucid.compiler.memory import ALIGNMENT, Memory, Piece, joined, planned


def in_use_together(a, b):
    return a.first <= b.last and b.first <= a.last


def test_results_in_use_at_once_do_not_overlap():
    pieces = [Piece(f"p{n}", 100 + 37 * n % 300, n % 5, n % 5 + n % 3) for n in range(40)]
    placed = planned(pieces).pieces
    assert [p.name for p in placed] == [p.name for p in pieces]
    for a, b in combinations(placed, 2):
        if in_use_together(a, b):
            assert a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= a.offset
    assert all(p.offset % ALIGNMENT == 0 for p in placed)


def test_results_of_different_phases_share_memory():
    memory = planned([Piece("early", 1000, 0, 1), Piece("late", 900, 2, 3)])
    assert [p.offset for p in memory.pieces] == [0, 0]
    assert memory.peak == 1024
    assert memory.separate == 1024 + 960


def test_a_gap_is_used():
    memory = planned([Piece("a", 640, 0, 0), Piece("b", 640, 0, 3), Piece("c", 64, 2, 2)])
    assert memory.pieces[2].offset == 0
    assert memory.peak == 1280


def test_nothing_takes_nothing():
    assert planned([]).peak == 0


def test_parts_have_blocks_behind_each_other():
    first = planned([Piece("a", 100, 0, 1), Piece("b", 100, 1, 2)])
    memory = joined([first, Memory((), 0), planned([Piece("c", 10, 0, 0)])], [("v", 8, 0, 2), ("w", 70, 1, 1)])
    assert [(p.name, p.first, p.last, p.offset) for p in memory.pieces] == [
        ("a", 0, 1, 0),
        ("b", 1, 2, 128),
        ("c", 4, 4, 256),
        ("v", 0, 4, 320),
        ("w", 3, 3, 384),
    ]
    assert memory.peak == memory.separate == 512
