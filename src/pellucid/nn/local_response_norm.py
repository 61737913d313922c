"""Local response normalisation: each value is divided by what its neighbours among the channels amount to."""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Integer, Real, check, checked
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ShapeError
from pellucid.nn.module import Module
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import square
from pellucid.ops.shape import pad

_SIZE, _NUMBER = Integer(1), Real()


@composite(
    formula="y[n,c] = x[n,c] / (k + alpha/size·Σ_j x[n,j]²)^beta, j from c - size//2 to c + (size - 1)//2",
    onnx=NONE("LRN puts the longer half of a window of even size on the other side"),
)
def local_response_norm(input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Each value divided by a power of the mean square of the channels (axis 1) around it.

    Parameters
        input : Tensor, shape (N, C, ...) with at least three axes.
        size : channels in a window; beyond the first and the last channel there are zeros.
        alpha, beta, k : see the formula.
    Raises
        ShapeError: fewer than three axes.
    Source
        Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, NeurIPS 2012,
        section 3.3; alpha is divided by size, as in PyTorch.
    """
    x = as_tensor(input)
    check("local_response_norm: size", size, _SIZE)
    for name, value in (("alpha", alpha), ("beta", beta), ("k", k)):
        check(f"local_response_norm: {name}", value, _NUMBER)
    if x.ndim < 3:
        raise ShapeError("nn.norm-axes", layer="LocalResponseNorm", shape=x.shape, expected="(N, C, ...)")
    return x / (_window_sums(square(x), size) * (alpha / size) + k) ** beta


def _window_sums(x: Tensor, size: int) -> Tensor:
    """The sums over windows of channels, added up one neighbour after the other: a difference of running sums would
    lose the small values beside large ones."""
    channels = x.shape[1]
    # Neighbours that lie outside for every channel are left out.
    before, after = min(size // 2, max(channels - 1, 0)), min((size - 1) // 2, max(channels - 1, 0))
    if before == after == 0:
        return x
    wide = pad(x, ((0, 0), (before, after), *((0, 0),) * (x.ndim - 2)))
    total = wide[:, :channels]
    for first in range(1, before + after + 1):
        total = total + wide[:, first : first + channels]
    return total


class LocalResponseNorm(Module):
    """Each value divided by a power of the mean square of the channels around it at the same place.

        y[n,c] = x[n,c] / (k + alpha/size·Σ_j x[n,j]²)^beta, j from c - size//2 to c + (size - 1)//2

    Parameters
        size : channels in a window; beyond the first and the last channel there are zeros.
        alpha, beta, k : see above.
    Raises
        ShapeError: when called with fewer than three axes.
    Source
        Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, NeurIPS 2012,
        section 3.3; alpha is divided by size, as in PyTorch.
    """

    between_layers = True

    @checked(size=_SIZE, alpha=_NUMBER, beta=_NUMBER, k=_NUMBER)
    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size, self.alpha, self.beta, self.k = int(size), alpha, beta, k

    def forward(self, x: Any) -> Tensor:
        """x (N, C, ...) -> the same shape."""
        return local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
