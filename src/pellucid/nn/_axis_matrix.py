"""A fixed matrix times a tensor along one axis: how resampling and uneven averages are computed, one axis after the
other. A tensor and a constant matrix come in; the tensor with that axis of a new length leaves.
"""

from __future__ import annotations

import math

import numpy as np

from pellucid._typing import Array
from pellucid.core.context import default_dtype
from pellucid.core.tensor import Tensor, wrap
from pellucid.ops.linalg import matmul
from pellucid.ops.shape import reshape, swapaxes


def along(x: Tensor, matrix: Array, axis: int) -> Tensor:
    """Σ_l matrix[o,l]·x[.., l, ..] on the axis `axis`, counted from the end (-1 is the last)."""
    matrix = matrix.astype(x.dtype if x.dtype.kind == "f" else default_dtype())
    if axis == -1:
        flat = reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))
        return reshape(matmul(flat, wrap(np.ascontiguousarray(matrix.T))), (*x.shape[:-1], len(matrix)))
    factor = wrap(matrix)
    if axis == -2:
        return matmul(factor, x)
    return swapaxes(matmul(factor, swapaxes(x, axis, -2)), axis, -2)
