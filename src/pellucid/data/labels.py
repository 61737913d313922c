"""Class labels of any kind come in; int64 labels from 0 up and the class names leave. Called by users and splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import closest, shown
from pellucid.data._arrays import names_of, plain
from pellucid.errors import ArgumentError, DataError, LabelError, ShapeError


def encode_labels(y: Any, class_names: Sequence[str] | None = None) -> tuple[Array, tuple[str, ...]]:
    """Labels as whole numbers, and the name of each.

    Parameters
        y : rows of text, whole numbers or booleans, shape (rows,)
        class_names : the names that label 0, 1, ... stand for, as the training labels gave them; None takes the
            distinct labels in sorted order (text by code point, numbers by value)
    Returns
        int64 labels, shape (rows,), and the class names
    Raises
        LabelError: a label that is not one of `class_names`.
        DataError: an entry that is no label, such as None or NaN.
    Examples
        >>> labels, names = encode_labels(["cat", "dog", "cat"])
        >>> labels.tolist(), names
        ([0, 1, 0], ('cat', 'dog'))
        >>> encode_labels(["dog"], class_names=names)[0].tolist()
        [1]
    """
    values = label_values("y", y)
    if class_names is None:
        distinct, labels = np.unique(values, return_inverse=True)
        return labels.astype(np.int64).reshape(values.shape), tuple(str(v) for v in distinct.tolist())
    names = names_of("class_names", class_names)
    if len(set(names)) < len(names):
        raise ArgumentError("data.label-repeated", names=shown(list(names)))
    distinct, labels = np.unique(values, return_inverse=True)
    number = {name: label for label, name in enumerate(names)}
    table = np.empty(len(distinct), dtype=np.int64)
    for i, value in enumerate(map(str, distinct.tolist())):
        if value not in number:
            raise LabelError(
                "data.unknown-label",
                label=repr(value),
                row=int(np.argmax(labels == i)),
                names=shown(list(names)),
                suggestion=closest(value, names),
            )
        table[i] = number[value]
    return table[labels].reshape(values.shape), names


def label_values(name: str, y: Any) -> Array:
    """One label a row, as an array of text, integers or booleans."""
    y = plain(name, y)
    if not isinstance(y, np.ndarray) and isinstance(y, list | tuple) and any(isinstance(v, str) for v in y):
        # NumPy would turn None and numbers among the texts into text.
        values = np.empty(len(y), dtype=object)
        values[:] = y
    else:
        try:
            values = np.asarray(y)
        except ValueError:
            values = np.empty((0, 0))
    if values.ndim != 1:
        raise ShapeError("data.label-axis", shape=values.shape)
    if len(values) == 0:
        raise DataError("data.empty", name=name, shape=values.shape)
    if values.dtype.kind == "S":
        values = np.array([_decoded(value) for value in values.tolist()], dtype=object)
    if values.dtype.kind in "OT":
        kind = str if isinstance(values[0], str) else int
        for row, value in enumerate(values):
            if not isinstance(value, str if kind is str else int | np.integer | np.bool_):
                raise DataError("data.label-dtype", row=row, value=shown(value), type=type(value).__name__)
        return np.array(values.tolist())
    if values.dtype.kind == "f":
        whole = np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < 2**53)
        if not whole.all():
            row = int(np.argmin(whole))
            raise DataError("data.label-dtype", row=row, value=str(values[row]), type=values.dtype.name)
        return values.astype(np.int64)
    if values.dtype.kind not in "biuU":
        raise DataError("data.label-dtype", row=0, value=str(values[0]), type=values.dtype.name)
    return values


def _decoded(value: bytes) -> str | bytes:
    """Text of UTF-8 bytes; other bytes as they are, to be refused with their row."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value
