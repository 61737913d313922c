"""Looks at the values of arguments, which a recorded graph keeps for other values."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import IndexRangeError, LabelError


def expectations(function, *examples):
    return pl.graph.record(function, *examples).expectations


def test_labels_are_looked_at_again():
    (label,) = expectations(lambda x, y: nn.functional.cross_entropy(x, y), np.zeros((2, 3)), np.array([0, 2]))
    assert str(label.value) == "%y"
    label.check(np.array([1, -100]))
    with pytest.raises(LabelError, match="3"):
        label.check(np.array([1, 3]))


def test_indices_are_looked_at_again():
    (look,) = expectations(lambda i: pl.take(pl.ones((4, 2)), i, axis=0), np.array([1, 3]))
    look.check(np.array([-4, 0]))
    with pytest.raises(IndexRangeError):
        look.check(np.array([4, 0]))


def test_binary_targets_are_looked_at_again():
    (look,) = expectations(
        lambda x, y: nn.functional.binary_cross_entropy_with_logits(x, y), np.zeros(2, "f4"), np.array([0, 1], "f4")
    )
    with pytest.raises(LabelError):
        look.check(np.array([0.0, 2.0], "f4"))


def test_what_comes_from_captured_tensors_is_looked_at_again():
    weight = pl.Tensor([[1.0, 3.0, 2.0]], requires_grad=True)
    (look,) = expectations(lambda x: pl.take(weight[0], pl.argmax(weight, axis=1) + 0, axis=0) * x, np.ones(1))
    with pytest.raises(IndexRangeError):
        look.check(np.array([3]))


def test_what_lies_in_range_by_itself_or_never_changes_is_not():
    weight, constant = pl.Tensor([[1.0, 3.0, 2.0]], requires_grad=True), np.array([0, 2])
    assert not expectations(lambda x: pl.take(weight[0], pl.argmax(weight, axis=1), axis=0) * x, np.ones(1))
    assert not expectations(lambda x: x[constant], np.ones(3))


def test_indices_of_a_longer_axis_are_looked_at_again():
    (look,) = expectations(lambda x: pl.take(pl.ones((2,)), pl.argmax(x, axis=1), axis=0), np.eye(2, 3))
    with pytest.raises(IndexRangeError):
        look.check(np.array([2]))
