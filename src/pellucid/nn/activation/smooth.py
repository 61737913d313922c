"""Smooth activations: a Tensor of any shape enters, one of that shape leaves. Their mathematics: `ops.activation`."""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Flag, Options, Real, checked
from pellucid.core.tensor import Tensor
from pellucid.nn.activation.activation import Activation
from pellucid.ops import activation as ops
from pellucid.ops.elementwise import tanh


class Sigmoid(Activation):
    """The logistic function, between 0 and 1.

    y = 1 / (1 + exp(-x))
    """

    starts = "xavier uniform"

    def forward(self, x: Any) -> Tensor:
        return ops.sigmoid(x)


class Tanh(Activation):
    """Hyperbolic tangent, between -1 and 1.

    y = (exp(x) - exp(-x)) / (exp(x) + exp(-x))
    """

    starts = "xavier uniform"

    def forward(self, x: Any) -> Tensor:
        return tanh(x)


class LogSigmoid(Activation):
    """The logarithm of sigmoid, exact where sigmoid itself would be 0.

    y = log(1 / (1 + exp(-x)))
    """

    starts = "xavier uniform"

    def forward(self, x: Any) -> Tensor:
        return ops.log_sigmoid(x)


class ELU(Activation):
    """The input where it is positive, else an exponential that levels off at -alpha.

        y = x where x > 0, else alpha·(exp(x) - 1)

    Parameters
        alpha : minus the value that it levels off at.
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
    Source
        Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by exponential linear units, ICLR
        2016, eq. 15.
    """

    shown = ("alpha",)

    @checked(alpha=Real(), inplace=Flag())
    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = float(alpha)

    def forward(self, x: Any) -> Tensor:
        return ops.elu(x, alpha=self.alpha)


class SELU(Activation):
    """ELU with the two constants that keep mean 0 and variance 1 from layer to layer, if the weights start by LeCun's
    rule.

        y = 1.0507009873554805·(x where x > 0, else 1.6732632423543772·(exp(x) - 1))

    Parameters
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
    Source
        Klambauer et al., Self-normalizing neural networks, NIPS 2017, eq. 2 and 14.
    """

    starts = "lecun normal"

    @checked(inplace=Flag())
    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Any) -> Tensor:
        return ops.selu(x)


class CELU(Activation):
    """ELU whose slope has no jump at 0, whatever alpha is.

        y = x where x > 0, else alpha·(exp(x / alpha) - 1)

    Parameters
        alpha : minus the value that it levels off at, above 0.
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
    Source
        Barron, Continuously differentiable exponential linear units, arXiv:1704.07483, eq. 2.
    """

    shown = ("alpha",)

    @checked(alpha=Real(0, left_open=True), inplace=Flag())
    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = float(alpha)

    def forward(self, x: Any) -> Tensor:
        return ops.celu(x, alpha=self.alpha)


class GELU(Activation):
    """The input times the probability that a standard normal number lies below it.

        y = x/2·(1 + erf(x / sqrt(2)))
        y ≈ x/2·(1 + tanh(sqrt(2/π)·(x + 0.044715·x³)))    with approximate="tanh"

    Parameters
        approximate : "none" or "tanh".
    Source
        Hendrycks and Gimpel, Gaussian error linear units, arXiv:1606.08415, section 2.
    """

    shown = ("approximate",)

    @checked(approximate=Options("none", "tanh"))
    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, x: Any) -> Tensor:
        return ops.gelu(x, approximate=self.approximate)


class SiLU(Activation):
    """The input times sigmoid of it; also called swish.

        y = x / (1 + exp(-x))

    Parameters
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
    Source
        Elfwing, Uchibe and Doya, Sigmoid-weighted linear units for neural network function approximation, Neural
        Networks 107 (2018), eq. 6.
    """

    @checked(inplace=Flag())
    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Any) -> Tensor:
        return ops.silu(x)


class Mish(Activation):
    """The input times tanh(softplus(x)).

        y = x·tanh(log(1 + exp(x)))

    Parameters
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
    Source
        Misra, Mish: a self regularized non-monotonic activation function, BMVC 2020, eq. 1.
    """

    @checked(inplace=Flag())
    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Any) -> Tensor:
        return ops.mish(x)


class Softplus(Activation):
    """A smooth ReLU.

        y = log(1 + exp(beta·x)) / beta, and x itself where beta·x > threshold

    Parameters
        beta : how sharp the bend is, above 0.
        threshold : where it becomes the identity; at 20 the two differ by 2e-9.
    """

    shown = ("beta", "threshold")

    @checked(beta=Real(0, left_open=True), threshold=Real())
    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = float(beta), float(threshold)

    def forward(self, x: Any) -> Tensor:
        return ops.softplus(x, beta=self.beta, threshold=self.threshold)


class Softsign(Activation):
    """x over 1 + |x|, between -1 and 1.

    y = x / (1 + |x|)
    """

    starts = "xavier uniform"

    def forward(self, x: Any) -> Tensor:
        return ops.softsign(x)


class Tanhshrink(Activation):
    """The input minus its hyperbolic tangent.

    y = x - tanh(x)
    """

    starts = "xavier uniform"

    def forward(self, x: Any) -> Tensor:
        return ops.tanhshrink(x)
