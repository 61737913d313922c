"""Activations made of straight pieces: a Tensor of any shape enters, one of the same shape leaves. The mathematics is
in `ops.activation`.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Flag, Integer, Real, checked
from pellucid.core.context import default_dtype
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentError, ShapeError
from pellucid.nn._allocation import full
from pellucid.nn.activation.activation import Activation
from pellucid.nn.module import Parameter
from pellucid.ops import activation as ops
from pellucid.ops.shape import reshape

_ANY = Real()


class ReLU(Activation):
    """The input where it is positive, else 0.

        y = max(x, 0)

    Parameters
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
    Source
        Nair and Hinton, Rectified linear units improve restricted Boltzmann machines, ICML 2010.
    """

    bias_at_start = 0.01

    @checked(inplace=Flag())
    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Any) -> Tensor:
        return ops.relu(x)


class ReLU6(Activation):
    """The input held between 0 and 6.

        y = min(max(x, 0), 6)

    Parameters
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
    """

    bias_at_start = 0.01

    @checked(inplace=Flag())
    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Any) -> Tensor:
        return ops.relu6(x)


class LeakyReLU(Activation):
    """The input where it is positive, else a small multiple of it.

        y = x where x > 0, else negative_slope·x

    Parameters
        negative_slope : factor for negative inputs, unitless.
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
    Source
        Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models, ICML 2013, eq. 2.
    """

    shown = ("negative_slope",)

    @checked(negative_slope=_ANY, inplace=Flag())
    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = float(negative_slope)
        self.slope_below_zero = self.negative_slope

    def forward(self, x: Any) -> Tensor:
        return ops.leaky_relu(x, negative_slope=self.negative_slope)


def prelu(input: Any, weight: Any) -> Tensor:
    """`LeakyReLU` with slopes that are learned: one for all, or one for each channel (axis 1).

    Raises
        ShapeError: the number of slopes is neither 1 nor the number of channels.
    """
    x, slope = as_tensor(input), as_tensor(weight)
    if slope.size != 1:
        channels = x.shape[1] if x.ndim > 1 else 1
        if slope.ndim != 1 or slope.size != channels:
            raise ShapeError("nn.prelu", shape=x.shape, channels=channels, given=slope.shape)
        slope = reshape(slope, (channels,) + (1,) * (x.ndim - 2))
    return ops.prelu(x, slope)


class PReLU(Activation):
    """LeakyReLU with slopes that are learned.

        y = x where x > 0, else weight·x

    Parameters
        num_parameters : 1 for one slope, or the number of channels (axis 1) for a slope each.
        init : the slope at the start.
        dtype : dtype of the slopes; None is the default dtype.
    Attributes
        weight : Parameter, shape (num_parameters,).
    Raises
        ShapeError: when called with another number of channels.
    Source
        He et al., Delving deep into rectifiers, ICCV 2015, eq. 1.
    """

    weight: Parameter

    @checked(num_parameters=Integer(1), init=_ANY)
    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: Any = None) -> None:
        self.slope_below_zero = float(init)
        self.weight = Parameter(full(self, num_parameters, init), dtype=default_dtype() if dtype is None else dtype)

    def forward(self, x: Any) -> Tensor:
        return prelu(x, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.weight.size}"


class RReLU(Activation):
    """LeakyReLU whose slope is drawn anew for every element in training; in use it is the middle of the range.

        y = x where x > 0, else a·x; a uniform from lower to upper in training, else (lower + upper) / 2

    Parameters
        lower, upper : range of the slope, unitless.
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
    Raises
        ArgumentError: lower is above upper.
    Source
        Xu et al., Empirical evaluation of rectified activations in convolutional network, arXiv:1505.00853, section
        2.4.
    """

    shown = ("lower", "upper")

    @checked(lower=_ANY, upper=_ANY, inplace=Flag())
    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False) -> None:
        if lower > upper:
            raise ArgumentError("nn.bounds", layer="RReLU", low="lower", high="upper", a=lower, b=upper, sign="≤")
        self.lower, self.upper = float(lower), float(upper)
        self.slope_below_zero = (self.lower + self.upper) / 2

    def forward(self, x: Any) -> Tensor:
        return ops.rrelu(x, self.lower, self.upper, self.training)


class Hardtanh(Activation):
    """The input held between two bounds.

        y = min(max(x, min_val), max_val)

    Parameters
        min_val, max_val : the bounds.
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
    Raises
        ArgumentError: min_val is not below max_val.
    Source
        Collobert, Large scale machine learning, PhD thesis, Paris VI, 2004.
    """

    starts = "xavier uniform"
    shown = ("min_val", "max_val")

    @checked(min_val=_ANY, max_val=_ANY, inplace=Flag())
    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        if min_val >= max_val:
            raise ArgumentError(
                "nn.bounds", layer="Hardtanh", low="min_val", high="max_val", a=min_val, b=max_val, sign="<"
            )
        self.min_val, self.max_val = float(min_val), float(max_val)

    def forward(self, x: Any) -> Tensor:
        return ops.hardtanh(x, min_val=self.min_val, max_val=self.max_val)


class Hardsigmoid(Activation):
    """A sigmoid of three straight pieces.

        y = min(max(x + 3, 0), 6) / 6

    Parameters
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
    """

    starts = "xavier uniform"

    @checked(inplace=Flag())
    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Any) -> Tensor:
        return ops.hardsigmoid(x)


class Hardswish(Activation):
    """The input times `Hardsigmoid` of it.

        y = x·min(max(x + 3, 0), 6) / 6

    Parameters
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
    Source
        Howard et al., Searching for MobileNetV3, ICCV 2019, section 5.2.
    """

    @checked(inplace=Flag())
    def __init__(self, inplace: bool = False) -> None:
        pass

    def forward(self, x: Any) -> Tensor:
        return ops.hardswish(x)


class Hardshrink(Activation):
    """The input, but 0 where it is small.

        y = x where |x| > lambd, else 0

    Parameters
        lambd : what counts as small.
    """

    starts = "xavier uniform"
    shown = ("lambd",)

    @checked(lambd=_ANY)
    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = float(lambd)

    def forward(self, x: Any) -> Tensor:
        return ops.hardshrink(x, lambd=self.lambd)


class Softshrink(Activation):
    """The input moved towards 0, and 0 where it is small.

        y = max(x - lambd, 0) + min(x + lambd, 0)

    Parameters
        lambd : how far, at least 0.
    """

    starts = "xavier uniform"
    shown = ("lambd",)

    @checked(lambd=Real(0))
    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = float(lambd)

    def forward(self, x: Any) -> Tensor:
        return ops.softshrink(x, lambd=self.lambd)


class Threshold(Activation):
    """The input where it is above a threshold, else a fixed value.

        y = x where x > threshold, else value

    Parameters
        threshold, value : both are needed.
        inplace : taken for PyTorch's sake; the result is always a new Tensor.
    """

    shown = ("threshold", "value")

    @checked(threshold=_ANY, value=_ANY, inplace=Flag())
    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self.threshold, self.value = float(threshold), float(value)

    def forward(self, x: Any) -> Tensor:
        return ops.threshold(x, threshold=self.threshold, value=self.value)
