"""Names for the types that every room shares. Imports nothing from pellucid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
"""A NumPy array of any dtype."""

Shape: TypeAlias = tuple[int, ...]
"""The lengths of an array's axes."""

Axis: TypeAlias = int | Sequence[int] | None
"""One axis, several, or None for all of them; negative numbers count from the end."""

DType: TypeAlias = np.dtype[Any]

Scalar: TypeAlias = bool | int | float

ArrayLike: TypeAlias = Any
"""A Tensor, a NumPy array, a Python number, or nested lists of numbers."""

Reduction: TypeAlias = Literal["none", "mean", "sum"]
