"""Places in memory as subscripts: what they stand for is the same place, on every axis."""

import numpy as np
import pytest

from pellucid.compiler.expressions import INT64, Buffer, Variable, affine, as_expr, load, number, variable
from pellucid.compiler.subscripts import subscripts

I, J, K = Variable("i"), Variable("j"), Variable("k")
RANGES = {I: (0, 3), J: (0, 5), K: (0, 2)}
F32 = np.dtype(np.float32)


def buffer(shape, strides):
    return Buffer("x", 0, F32, shape, strides, "input")


def found(shape, strides, index, ranges=RANGES):
    """Each subscript as a constant and its factors of counters."""
    places = subscripts(buffer(shape, strides), as_expr(index, INT64), ranges)
    return None if places is None else [affine(p) for p in places]


i, j, k = map(variable, (I, J, K))


@pytest.mark.parametrize(
    ("shape", "strides", "index", "expected"),
    [
        ((4, 6), (6, 1), i * 6 + j, [(0, {I: 1}), (0, {J: 1})]),
        ((4, 6), (1, 4), i + j * 4, [(0, {I: 1}), (0, {J: 1})]),
        ((4, 6), (6, 1), number(2, INT64) * 6 + 5, [(2, {}), (5, {})]),
        ((4, 6), (6, 1), (3 - i) * 6 + (5 - j), [(3, {I: -1}), (5, {J: -1})]),
        ((6, 6), (6, 1), (i + k) * 6 + 3, [(0, {I: 1, K: 1}), (3, {})]),
        ((8, 6), (6, 1), i * 12 + j, [(0, {I: 2}), (0, {J: 1})]),
        ((3, 1, 6), (6, 6, 1), k * 6 + j, [(0, {K: 1}), (0, {}), (0, {J: 1})]),
        ((3, 6), (0, 1), j, [(0, {}), (0, {J: 1})]),
        ((), (), number(0, INT64), []),
        ((9,), (1,), i + j, [(0, {I: 1, J: 1})]),
    ],
)
def test_each_axis_has_its_part(shape, strides, index, expected):
    assert found(shape, strides, index) == expected


@pytest.mark.parametrize(
    ("shape", "strides", "index"),
    [
        ((4, 6), (6, 1), i * 6 + j + 1),  # j + 1 leaves the row
        ((4, 6), (6, 1), i * 6 + j - 6),  # i - 1 is before the first row
        ((4, 6), (6, 2), i * 6 + j),  # j falls between the elements
        ((4, 6), (6, 1), i * 6 + k * 4),
        ((), (), i),
    ],
)
def test_what_may_leave_its_axis_is_not_divided(shape, strides, index):
    assert found(shape, strides, index) is None


def test_unknown_rows_stand_alone():
    row = load(Buffer("order", 1, INT64, (4,), (1,), "order"), I)
    assert found((4, 6), (6, 1), row * 6 + j) == [(0, {row: 1}), (0, {J: 1})]
    assert found((4, 6), (6, 1), row * 6 + j + 6) is None
    assert found((4, 6), (6, 1), i * 6 + j, {}) == [(0, {I: 1}), (0, {J: 1})]


def test_the_subscripts_are_the_same_place_in_memory():
    index = (5 - j) * 4 + i
    places = subscripts(buffer((4, 6), (1, 4)), index, RANGES)
    constant, terms = affine(places[0] * 1 + places[1] * 4)
    assert (constant, terms) == affine(index)
