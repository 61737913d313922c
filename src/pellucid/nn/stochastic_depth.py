"""Stochastic depth: in training a branch of a residual network is left out at random, for single rows or for the whole
batch; in use it passes unchanged. Residual blocks call it on what they are about to add to their input.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Options, Real, check, checked
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ShapeError
from pellucid.nn.module import Module
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import where
from pellucid.ops.sampling import bernoulli

_P, _MODE = Real(0, 1), Options("batch", "row")


@composite(
    formula="y[n,...] = x[n,...] / (1 - p) with probability 1 - p, else 0", onnx=NONE("Where of a draw, and Mul")
)
def stochastic_depth(input: Any, p: float, mode: str, training: bool = True, key: Any = None) -> Tensor:
    """Each row, or the whole batch, is 0 with probability p, and else enlarged so that the mean stays.

    Parameters
        input : Tensor, shape (N, ...).
        p : probability in [0, 1].
        mode : "row" decides for each row of the batch, "batch" for all of them together.
        training : without it the input passes unchanged.
        key : as for `pellucid.uniform`; None for the default generator.
    Raises
        ArgumentError: p is outside [0, 1], or there is no such mode.
        ShapeError: the input has no axis.
    Source
        Huang et al., Deep networks with stochastic depth, ECCV 2016; enlarged as torchvision does it.
    """
    check("stochastic_depth: p", p, _P)
    check("stochastic_depth: mode", mode, _MODE)
    x = as_tensor(input)
    if x.ndim < 1:
        raise ShapeError("models.rows", shape=x.shape)
    if not training or p == 0:
        return x
    if p == 1:
        return x * 0.0
    shape = (x.shape[0] if mode == "row" else 1, *(1,) * (x.ndim - 1))
    return where(bernoulli(1.0 - p, shape, key), x * (1.0 / (1.0 - p)), 0.0)


class StochasticDepth(Module):
    """In training a branch is left out with probability p, row by row or for the whole batch; in use nothing happens.

        y[n,...] = x[n,...] / (1 - p) with probability 1 - p, else 0

    Parameters
        p : probability in [0, 1].
        mode : "row" decides for each row of the batch, "batch" for all of them together.
    Raises
        ArgumentError: p is outside [0, 1], or there is no such mode.
    Source
        Huang et al., Deep networks with stochastic depth, ECCV 2016; arguments as in torchvision.
    Examples
        >>> from pellucid import nn
        >>> nn.StochasticDepth(0.2, "row").eval()([[1.0, 2.0]]).tolist()
        [[1.0, 2.0]]
    """

    p: float
    mode: str

    @checked(p=_P, mode=_MODE)
    def __init__(self, p: float, mode: str) -> None:
        self.p, self.mode = float(p), mode

    def forward(self, x: Any) -> Tensor:
        """x (N, ...) -> the same shape."""
        return stochastic_depth(x, self.p, self.mode, self.training)

    def _features_after(self, given: int | None) -> int | None:
        return given

    def extra_repr(self) -> str:
        return f"p={self.p}, mode={self.mode}"
