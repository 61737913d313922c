"""What the operations say when they are called wrongly: the whole message, and the builtin that is expected."""

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.errors import PellucidError

X = pl.ones((2, 3))

CASES: list[tuple[str, type[Exception], Any, str]] = [
    ("broadcast", ValueError, lambda: X + pl.ones((2, 4)), """
add: the shapes do not broadcast
  given:    a (2, 3), b (2, 4)
  expected: equal lengths, or 1, on axis -1; here 3 ≠ 4"""),
    ("dtype", TypeError, lambda: ~X, """
bitwise_invert: does not take these dtypes
  given:    float32
  expected: dtypes for which bitwise_invert is defined; cast with astype"""),
    ("subtract booleans", TypeError, lambda: pl.tensor([True]) - pl.tensor([False]), """
subtract: does not take these dtypes
  given:    bool, bool
  expected: dtypes for which subtract is defined; cast with astype"""),
    ("no common dtype", TypeError, lambda: pl.ones(2, "uint64") + pl.ones(2, "int8"), """
these whole-number dtypes have no common dtype
  given:    uint64, int8
  expected: one dtype; cast with astype"""),
    ("negative power", ValueError, lambda: pl.tensor([2, 3]) ** -1, """
power: whole numbers have no negative powers
  given:    int64 to the power -1
  expected: floats, or exponents from 0 on"""),
    ("matmul", ValueError, lambda: pl.ones((32, 20)) @ pl.ones((16, 10)), """
matmul: inner axes differ
  given:    a (32, 20), b (16, 10)
  expected: a axis 1 = b axis 0; here 20 ≠ 16"""),
    ("matmul of a number", ValueError, lambda: pl.matmul(X, 2), """
matmul: an input has no axes
  given:    a (2, 3), b ()
  expected: at least one axis each; for numbers use *"""),
    ("batches of matmul", ValueError, lambda: pl.ones((2, 3, 4)) @ pl.ones((3, 4, 5)), """
matmul: the axes in front do not broadcast
  given:    a (2, 3, 4), b (3, 4, 5)
  expected: equal lengths, or 1, on every axis before the last two"""),
    ("axis", IndexError, lambda: pl.sum(X, 2), """
sum: there is no such axis
  given:    axis 2 of a tensor with 2 axes
  expected: -2 to 1"""),
    ("axis of a number", IndexError, lambda: pl.sum(1.0, 0), """
sum: there is no such axis
  given:    axis 0 of a tensor without axes
  expected: a tensor with at least one axis"""),
    ("axis twice", ValueError, lambda: pl.sum(X, (0, -2)), """
sum: an axis is named twice
  given:    axis (0, -2)
  expected: each axis at most once"""),
    ("type of an axis", TypeError, lambda: pl.mean(X, 1.5), """
mean: an axis is a whole number
  given:    axis 1.5
  expected: whole numbers, or None"""),
    ("empty max", ValueError, lambda: pl.max(pl.zeros((0, 3)), 0), """
max: there is nothing to reduce
  given:    shape (0, 3)
  expected: at least one element along the reduced axes"""),
    ("argmax of some axes", ValueError, lambda: pl.argmax(pl.ones((2, 2, 2)), (0, 1)), """
argmax: needs one axis
  given:    axis (0, 1)
  expected: one axis, or None for all"""),
    ("var of one", ValueError, lambda: pl.var([1.0], correction=1), """
var: too few elements
  given:    shape (1,): 1 elements, correction 1
  expected: more elements than the correction"""),
    ("reshape", ValueError, lambda: pl.reshape(X, (4, 2)), """
reshape: the sizes differ
  given:    (2, 3): 6 elements, to (4, 2): 8
  expected: as many elements as before"""),
    ("reshape with -1", ValueError, lambda: X.reshape(-1, 4), """
reshape: the length -1 cannot be worked out
  given:    (2, 3) (6 elements) to (-1, 4)
  expected: one -1, and the other lengths dividing the number of elements"""),
    ("shape", TypeError, lambda: pl.zeros((1.5,)), """
zeros: a shape is made of whole numbers
  given:    (1.5,)
  expected: a whole number or a sequence of them"""),
    ("concatenate", ValueError, lambda: pl.concatenate([X, pl.ones((3, 2))]), """
concatenate: the shapes do not fit
  given:    (2, 3), (3, 2)
  expected: equal lengths on every axis but 0; input 1 differs"""),
    ("nothing to stack", ValueError, lambda: pl.stack([]), """
stack: the list is empty
  given:    no tensor
  expected: at least one tensor"""),
    ("index", IndexError, lambda: X[5], """
index: an index lies outside its axis
  given:    index 5 on axis 0 of shape (2, 3)
  expected: -2 to 1"""),
    ("index array", IndexError, lambda: X[:, [0, -4]], """
index: an index lies outside its axis
  given:    index -4 on axis 1 of shape (2, 3)
  expected: -3 to 2"""),
    ("index into nothing", IndexError, lambda: pl.zeros((0, 2))[0], """
index: an index into an axis of length 0
  given:    index 0 on axis 0 of shape (0, 2)
  expected: an axis with elements"""),
    ("too many indices", IndexError, lambda: X[0, 0, 0], """
more indices than axes
  given:    3 indices for shape (2, 3)
  expected: at most one index an axis"""),
    ("float index", TypeError, lambda: X[1.0], """
index: indices are whole numbers
  given:    indices of dtype float
  expected: an integer dtype
  fix:      .astype(int)"""),
    ("index by name", TypeError, lambda: X["a"], """
an index of this type is not taken
  given:    'a'
  expected: whole numbers, slices, None, ..., index arrays or boolean masks"""),
    ("mask", ValueError, lambda: X[np.ones((2, 2), bool)], """
a mask does not fit what it selects from
  given:    a mask of shape (2, 2)
  expected: a mask of shape (2, 3)"""),
    ("index arrays", ValueError, lambda: X[[0, 1], [0, 1, 2]], """
the index arrays do not broadcast
  given:    (2,), (3,)
  expected: equal lengths, or 1, on every axis"""),
    ("assignment", ValueError, lambda: X.clone().__setitem__(0, [1.0, 2.0]), """
the value does not fit the selected part
  given:    value (2,)
  expected: a shape that broadcasts to (3,)"""),
    ("take_along_axis", ValueError, lambda: pl.take_along_axis(X, [0], 1), """
take_along_axis: x and indices differ in their number of axes
  given:    x (2, 3), indices (1,)
  expected: as many axes of the one as of the other"""),
    ("gather", ValueError, lambda: pl.gather(X, np.zeros((3, 1), int), 1), """
gather: the indices do not fit
  given:    x (2, 3), indices (3, 1)
  expected: as many axes, and no longer on the others than the given one"""),
    ("one_hot", IndexError, lambda: pl.one_hot([3], 2), """
one_hot: an index is out of range
  given:    index 3, num_classes 2
  expected: 0 to num_classes - 1"""),
    ("einsum", ValueError, lambda: pl.einsum("ij,jk->ik", X, X), """
einsum: an index has two lengths
  given:    ij,jk->ik, (2, 3), (2, 3)
  expected: one length for j; here 3 ≠ 2"""),
    ("einsum text", ValueError, lambda: pl.einsum("ij,jk", X), """
einsum: the subscripts cannot be read
  given:    ij,jk for 1 tensors
  expected: a term of letters for each tensor, such as "ik,kj->ij\""""),
    ("contract", ValueError, lambda: pl.contract(X, X, "ii,jk->i"), """
contract: the formula cannot be read
  given:    ii,jk->i
  expected: two terms and a result such as "ik,kj->ij", no letter twice in one of them"""),
    ("pad", ValueError, lambda: pl.pad(X, 5, "reflect"), """
pad: reflect asks for more than there is
  given:    width 5 on axis 0 of length 2
  expected: at most 1"""),
    ("keepdims", TypeError, lambda: pl.sum(X, keepdims="x"), """
keepdims has the wrong type
  given:    keepdims = 'x' (str)
  expected: True or False"""),
    ("name", AttributeError, lambda: pl.wher(X), """
pellucid has no wher
  given:    pellucid.wher
  expected: a public name of pellucid
  fix:      did you mean where?"""),
]  # fmt: skip


@pytest.mark.parametrize(("builtin", "call", "words"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_message(builtin: type[Exception], call: Any, words: str) -> None:
    with pytest.raises(PellucidError) as problem:
        call()
    *body, place = str(problem.value).splitlines()
    assert "\n".join(body) == words.strip("\n")
    assert place.startswith("  at:       test_error_messages.py:")
    assert isinstance(problem.value, builtin)


@pytest.mark.parametrize("call", [c[2] for c in CASES], ids=[c[0] for c in CASES])
def test_message_in_chinese(call: Any) -> None:
    with pytest.raises(PellucidError) as problem:
        call()
    try:
        pl.set_language("zh")
        lines = str(problem.value).splitlines()
    finally:
        pl.set_language(None)
    assert [line[:5] for line in lines[1:3]] == ["  给出：", "  应为："]
    assert any("\u4e00" <= c <= "\u9fff" for c in lines[0])
