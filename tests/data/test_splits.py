"""Splits: sizes, proportions, every row once, refusals."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data import Dataset, digits, k_fold, train_test_split
from pellucid.errors import ArgumentError, ArgumentTypeError, DataError, DTypeError, ShapeError


def numbered(labels: list[int]) -> Dataset:
    return Dataset(np.arange(len(labels))[:, None], labels)


def test_a_dataset_gives_two_and_arrays_give_pairs() -> None:
    data = digits()
    train, test = train_test_split(data, test_size=0.25, seed=0, stratify=True)
    # 1797 · 0.25 = 449.25, rounded up as scikit-learn does.
    assert (len(train), len(test)) == (1347, 450)
    assert train.class_names == data.class_names
    assert train.images.shape == (1347, 8, 8)
    x_train, x_test, y_train, y_test = train_test_split(data.x, data.y, test_size=450, seed=0, stratify=data.y)
    assert np.array_equal(x_train, train.x)
    assert np.array_equal(y_test, test.y)
    assert (len(x_test), len(y_train)) == (450, 1347)
    assert len(train_test_split((data.x, data.y), stratify=True)) == 4


@pytest.mark.parametrize(("rows", "test_size", "number"), [(100, 0.07, 7), (10, 0.25, 3), (10, 4, 4), (2, 0.5, 1)])
def test_sizes(rows: int, test_size: float, number: int) -> None:
    train, test = train_test_split(np.arange(rows), test_size=test_size)
    assert (len(train), len(test)) == (rows - number, number)


def test_without_shuffling_the_last_rows_are_the_test() -> None:
    train, test = train_test_split([0, 1, 2, 3, 4], test_size=2, shuffle=False)
    assert (train.tolist(), test.tolist()) == ([0, 1, 2], [3, 4])


def test_a_seed_repeats_and_another_differs() -> None:
    rows = np.arange(200)
    a, b, c = (train_test_split(rows, seed=seed)[1].tolist() for seed in (1, 1, 2))
    assert a == b
    assert a != c


def test_text_labels_can_be_split_and_stratified() -> None:
    names = ["cat"] * 8 + ["dog"] * 4
    _, _, train, test = train_test_split(np.arange(12), names, test_size=0.25, stratify=True)
    assert Counter(test.tolist()) == {"cat": 2, "dog": 1}
    assert Counter(train.tolist()) == {"cat": 6, "dog": 3}


@given(
    labels=st.lists(st.integers(0, 3), min_size=8, max_size=80),
    test_size=st.floats(0.1, 0.9),
    seed=st.integers(0, 50),
)
def test_stratified_parts_keep_each_share_to_within_a_row(labels: list[int], test_size: float, seed: int) -> None:
    labels = labels + list(range(4)) * 2
    data = numbered(labels)
    num_test = max(4, min(len(labels) - 4, round(test_size * len(labels))))
    train, test = train_test_split(data, test_size=num_test, seed=seed, stratify=True)
    assert sorted([*train.x.ravel(), *test.x.ravel()]) == list(range(len(labels)))
    assert len(test) == num_test
    for label, count in Counter(labels).items():
        assert abs((test.y == label).sum() - count * num_test / len(labels)) < 1
    assert (np.asarray(labels)[test.x.ravel()] == test.y).all()


def test_stratified_rows_are_not_sorted_by_class() -> None:
    train, _ = train_test_split(numbered([0] * 50 + [1] * 50), stratify=True)
    assert 0 < (np.diff(train.y) != 0).sum() > 10


def test_split_refusals() -> None:
    for wrong in (0, 10, -1, 0.0, 1.0, "x", True, None, float("nan")):
        with pytest.raises(ArgumentError, match="test_size leaves one part without rows"):
            train_test_split(np.arange(10), test_size=wrong)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError) as error:
        train_test_split(np.arange(10), test_size=10)
    assert str(error.value).rpartition("\n  at:")[0] == (
        "test_size leaves one part without rows\n"
        "  given:    test_size = 10 of 10 rows\n"
        "  expected: a fraction in (0, 1), or a number of rows from 1 to 9"
    )
    with pytest.raises(ShapeError, match=r"data\[0\] and data\[1\] differ in their number of rows"):
        train_test_split(np.arange(4), np.arange(5))
    with pytest.raises(DataError, match=r"class 2 is too rare to be in every part\n  given:    1 row"):
        train_test_split(numbered([0, 0, 0, 1, 1, 2]), stratify=True)
    with pytest.raises(DataError, match="5 training rows, 1 test rows, 2 classes"):
        train_test_split(numbered([0, 0, 0, 1, 1, 1]), test_size=1, stratify=True)
    with pytest.raises(DataError, match="too few rows"):
        train_test_split([1])
    with pytest.raises(ArgumentTypeError, match="nothing to split"):
        train_test_split()
    with pytest.raises(ArgumentError, match="which array holds the labels"):
        train_test_split(np.arange(9), stratify=True)
    with pytest.raises(ArgumentError, match="stratify needs class labels"):
        train_test_split(np.arange(4), stratify=[0.5, 1, 2, 3])
    with pytest.raises(ArgumentError, match="stratify needs class labels"):
        train_test_split(np.arange(4), stratify=[0, 1])
    with pytest.raises(DTypeError):
        train_test_split([[1, "a"], [2, "b"]])


@given(rows=st.integers(2, 60), k=st.integers(2, 8), seed=st.integers(0, 20))
def test_folds_hold_every_row_once_and_are_even(rows: int, k: int, seed: int) -> None:
    rows = max(rows, k)
    folds = k_fold(rows, k, seed=seed)
    assert len(folds) == k
    assert sorted(row for _, test in folds for row in test) == list(range(rows))
    for train, test in folds:
        assert sorted([*train, *test]) == list(range(rows))
    sizes = [len(test) for _, test in folds]
    assert max(sizes) - min(sizes) <= 1


@given(counts=st.lists(st.integers(4, 15), min_size=1, max_size=5), k=st.integers(2, 4), seed=st.integers(0, 20))
def test_stratified_folds_are_even_in_every_class(counts: list[int], k: int, seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    folds = k_fold(numbered(labels.tolist()), k, seed=seed, stratify=True)
    sizes = [len(test) for _, test in folds]
    assert max(sizes) - min(sizes) <= 1
    for label in range(len(counts)):
        in_fold = [(labels[test] == label).sum() for _, test in folds]
        assert max(in_fold) - min(in_fold) <= 1


def test_fold_refusals() -> None:
    with pytest.raises(DataError, match="too few rows to split"):
        k_fold(4, 5)
    with pytest.raises(DataError, match="class 1 is too rare"):
        k_fold(numbered([0] * 10 + [1] * 2), 3, stratify=True)
    with pytest.raises(ArgumentError):
        k_fold(10, 1)
    assert [len(test) for _, test in k_fold(numbered([0] * 9), 3)] == [3, 3, 3]


def test_folds_of_a_pair_and_of_masked_classes() -> None:
    folds = k_fold((np.zeros((6, 2)), [0, 1, 0, 1, 0, 1]), 3, stratify=True)
    assert [test.size for _, test in folds] == [2, 2, 2]
    with pytest.raises(ArgumentError, match="stratify needs class labels"):
        train_test_split(np.zeros((6, 2)), stratify=np.ma.masked_equal([0, 1, 0, 1, 0, 1], 1))
