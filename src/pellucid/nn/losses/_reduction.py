"""From the losses of single elements to the number that is minimised: "mean", "sum" or "none", with or without a weight
for each row. The end of every loss function. A result that is NaN is traced to its cause here, which costs nothing
while all is well.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Options, check
from pellucid.core.tensor import Tensor
from pellucid.errors import DataError, ShapeError
from pellucid.nn.losses._checks import no_nan, row_weight
from pellucid.ops.elementwise import divide
from pellucid.ops.reduce import sum_

REDUCTION = Options("mean", "sum", "none")


def reduced(loss: str, losses: Tensor, reduction: str, target: Tensor, sample_weight: Any = None) -> Tensor:
    """The losses of single elements under a reduction.

    Parameters
        losses : one for each element, or for each row.
        reduction : "mean" over all elements, "sum", or "none".
        target : what a NaN is looked for in.
        sample_weight : a factor for each row, shape (rows,); the mean is divided by the sum of the factors, so that the
            factor 2 equals having the row twice.
    Raises
        ShapeError: the mean of no elements.
        DataError: all weights are 0.
        LabelError: a target is NaN.
    """
    factor = None
    if sample_weight is not None:
        factor = row_weight(loss, sample_weight, losses.dtype, losses.shape, losses.ndim)
        losses = losses * factor
    if reduction == "mean":
        n = losses.data.size
        if n == 0:
            raise ShapeError("losses.empty", loss=loss, shape=losses.shape)
        if factor is None:
            y = divide(sum_(losses), n)
        else:
            total = sum_(factor)
            if total.data == 0:
                raise DataError("losses.zero-weight", loss=loss, rows=losses.shape[0])
            y = divide(sum_(losses), total * (n / factor.size))
    elif reduction == "sum":
        y = sum_(losses)
    else:
        check(f"{loss}: reduction", reduction, REDUCTION)
        no_nan(loss, target.data)
        return losses
    if y.data != y.data:
        no_nan(loss, target.data)
    return y
