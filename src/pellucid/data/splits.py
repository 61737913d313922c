"""A data set or arrays come in; their training and test parts, or the row numbers of k folds, leave. Called by users,
`fit` and the command line before training.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Flag, Integer, check, checked, shown
from pellucid.data._arrays import numbers
from pellucid.data._order import FOLDS, SEED_LIMIT, SPLIT, permutation
from pellucid.data.dataset import Dataset, as_dataset
from pellucid.data.labels import label_values
from pellucid.errors import ArgumentError, ArgumentTypeError, DataError, ShapeError


@checked(seed=Integer(0, SEED_LIMIT), shuffle=Flag())
def train_test_split(
    *data: Any, test_size: float | int = 0.25, seed: int = 0, stratify: Any = False, shuffle: bool = True
) -> Any:
    """Two parts of the rows, for training and for testing.

    Parameters
        *data : one Dataset, or arrays with the same number of rows
        test_size : a fraction in (0, 1), rounded up to whole rows, or a number of rows
        seed : fixes which rows go where
        stratify : True keeps the share of each class of y in both parts, to within one row; an array gives the classes
        shuffle : False takes the last rows as the test part, as time series need; only without `stratify`
    Returns
        (train, test) for a Dataset; for arrays a, b, ...: (a_train, a_test, b_train, b_test, ...), always copies
    Raises
        ArgumentError: `test_size` leaves a part without rows.
        DataError: a class too rare for both parts.
        ShapeError: arrays that differ in their number of rows.
    Examples
        >>> x_train, x_test = train_test_split([[0.0], [1.0], [2.0], [3.0]], test_size=1)
        >>> len(x_train), len(x_test)
        (3, 1)
    """
    if not data:
        raise ArgumentTypeError("data.nothing-to-split")
    if len(data) == 1 and isinstance(data[0], tuple):
        data = data[0]
    parts: list[Any] = [d if isinstance(d, Dataset) else _rows_of(d) for d in data]
    rows = len(parts[0])
    for part in parts[1:]:
        if len(part) != rows:
            shapes = [p.x.shape if isinstance(p, Dataset) else p.shape for p in (parts[0], part)]
            raise ShapeError(
                "data.lengths-differ",
                a="data[0]",
                b=f"data[{next(i for i, p in enumerate(parts) if p is part)}]",
                a_shape=shapes[0],
                b_shape=shapes[1],
                a_rows=rows,
                b_rows=len(part),
            )
    num_test = _test_rows(test_size, rows)
    classes = _classes(parts, stratify, rows)
    if classes is not None:
        train, test = _stratified(classes, num_test, seed)
    else:
        order = permutation(rows, seed, SPLIT) if shuffle else np.arange(rows)
        train, test = order[: rows - num_test], order[rows - num_test :]
    result = [piece for part in parts for piece in (part[train], part[test])]
    return tuple(result)


@checked(k=Integer(2), seed=Integer(0, SEED_LIMIT))
def k_fold(data: Any, k: int = 5, *, seed: int = 0, stratify: Any = False) -> list[tuple[Array, Array]]:
    """Row numbers of k splits; every row is in the test part of exactly one of them.

    Parameters
        data : a Dataset, (x, y), an array, or the number of rows
        k : the number of folds
        seed : fixes which rows go where
        stratify : True spreads each class of y evenly over the folds; an array gives the classes
    Returns
        k pairs (train, test) of increasing row numbers, int64; test parts differ by at most one row in size, and with
        `stratify` in the rows of each class
    Raises
        DataError: fewer rows, or fewer rows of a class, than folds.
    Examples
        >>> [test.size for train, test in k_fold(10, 3)]
        [4, 3, 3]
    """
    if isinstance(data, int | np.integer) and not isinstance(data, bool):
        check("k_fold: data", data, Integer(0))
        rows, parts = int(data), []
    else:
        if isinstance(data, tuple):
            data = as_dataset(data, dtype=None)
        parts = [data if isinstance(data, Dataset) else _rows_of(data)]
        rows = len(parts[0])
    if rows < k:
        raise DataError("data.two-rows", rows=rows, least=k)
    order = permutation(rows, seed, FOLDS)
    classes = _classes(parts, stratify, rows)
    if classes is not None:
        names, labels, counts = np.unique(classes, return_inverse=True, return_counts=True)
        if counts.min() < k:
            rare = int(counts.argmin())
            raise DataError("data.rare-class", label=str(names[rare]), count=int(counts[rare]), least=k)
        # Dealt out like cards, class after class, so that folds are even within each class and in total.
        order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(rows, dtype=np.int64)
    fold[order] = np.arange(rows) % k
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(k)]


def _rows_of(value: Any) -> Array:
    """An array to be split: numbers, or one column of text labels."""
    array = value if isinstance(value, np.ndarray) else None
    if array is None and isinstance(value, list | tuple) and value and all(isinstance(v, str) for v in value):
        array = np.array(value)
    if array is not None and array.dtype.kind in "OU" and array.ndim == 1:
        return array
    return numbers("data", value)


def _test_rows(test_size: Any, rows: int) -> int:
    if rows < 2:
        raise DataError("data.two-rows", rows=rows, least=2)
    number = 0
    if isinstance(test_size, int | np.integer) and not isinstance(test_size, bool):
        number = int(test_size)
    elif isinstance(test_size, float | np.floating) and 0 < test_size < 1:
        # A hair below, so that 0.07 · 100 = 7.000000000000001 is 7 rows.
        number = math.ceil(float(test_size) * rows - 1e-9)
    if not 1 <= number <= rows - 1:
        raise ArgumentError("data.test-size", test_size=shown(test_size), rows=rows, most=rows - 1)
    return number


def _classes(parts: list[Any], stratify: Any, rows: int) -> Array | None:
    if stratify is False or stratify is None:
        return None
    labels = stratify
    if stratify is True:
        if len(parts) == 1 and isinstance(parts[0], Dataset) and parts[0].y is not None:
            labels = parts[0].y
        elif len(parts) == 2 and not isinstance(parts[0], Dataset):
            labels = parts[1]
        else:
            raise ArgumentError("data.stratify-which", count=len(parts))
    try:
        classes = label_values("stratify", labels)
    except (DataError, ShapeError):
        raise ArgumentError("data.stratify-labels", value=shown(labels), rows=rows) from None
    if len(classes) != rows:
        raise ArgumentError("data.stratify-labels", value=shown(classes), rows=rows)
    return classes


def _stratified(classes: Array, num_test: int, seed: int) -> tuple[Array, Array]:
    names, labels, counts = np.unique(classes, return_inverse=True, return_counts=True)
    rows = len(labels)
    if counts.min() < 2:
        rare = int(counts.argmin())
        raise DataError("data.rare-class", label=str(names[rare]), count=int(counts[rare]), least=2)
    if min(num_test, rows - num_test) < len(names):
        raise DataError("data.part-classes", train=rows - num_test, test=num_test, classes=len(names))
    # Largest remainder: whole rows first, then one more where the share was cut most. In whole numbers, so exact.
    whole, rest = np.divmod(counts * num_test, rows)
    extra = np.argsort(-rest, kind="stable")[: num_test - int(whole.sum())]
    whole[extra] += 1
    order = permutation(rows, seed, SPLIT)
    by_class = order[np.argsort(labels[order], kind="stable")]
    # The first rows of each class in the shuffled order are its test rows.
    first = np.repeat(np.cumsum(counts) - counts, counts)
    rank = np.empty(rows, dtype=np.int64)
    rank[by_class] = np.arange(rows) - first
    is_test = rank < whole[labels]
    return order[~is_test[order]], order[is_test[order]]
