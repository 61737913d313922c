"""Shape and dtype without data: what shape rules take and give, and what a graph knows of each of its values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pellucid._typing import DType, Shape
from pellucid.core.context import default_dtype


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


_WEAK: dict[type, DType] = {bool: np.dtype(bool), int: np.dtype(np.int64)}


def weak_dtype(number: Any) -> DType:
    """The dtype that a Python number has where it meets no other."""
    return _WEAK.get(type(number)) or default_dtype()


def spec_of(value: Any) -> Spec:
    """The Spec of a Tensor, an array or a Python number."""
    if type(value) in (float, int, bool):
        return Spec((), weak_dtype(value), weak=True)
    return Spec(tuple(value.shape), value.dtype)
