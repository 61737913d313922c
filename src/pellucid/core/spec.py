"""Shape and dtype without data: what shape rules take and give, and what a graph knows of each of its values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pellucid._typing import DType, Shape


class Spec(NamedTuple):
    """Shape and dtype of a value. `weak` marks a Python number, which takes the dtype of what it meets."""

    shape: Shape
    dtype: DType
    weak: bool = False

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        size = 1
        for length in self.shape:
            size *= length
        return size

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype.name}[{','.join(map(str, self.shape))}]"


_WEAK: dict[type, DType] = {bool: np.dtype(bool), int: np.dtype(np.int64), float: np.dtype(np.float32)}


def spec_of(value: Any) -> Spec:
    """The Spec of a Tensor, an array or a Python number."""
    weak = _WEAK.get(type(value))
    if weak is not None:
        return Spec((), weak, weak=True)
    return Spec(tuple(value.shape), value.dtype)
