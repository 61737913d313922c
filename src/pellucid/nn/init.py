"""Initial values of weights. Each function fills a Tensor and returns it; layers call them when they are made, users
to choose their own. The draws come from the default generator (`manual_seed`) or from `generator`.

In all of them `generator` is a Generator, a key from `seed` or `fold`, a seed, or None for the default generator.
fan_in is the number of inputs that one output sums over, fan_out the number of outputs that one input reaches.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from pellucid.core.check import Constraint, Integer, Options, Real, check, checked
from pellucid.core.other_names import no_attribute
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import ArgumentError, ArgumentTypeError, ShapeError
from pellucid.nn._normal_quantile import normal_cdf, normal_quantile
from pellucid.ops.sampling import normal, uniform

F = TypeVar("F", bound=Callable[..., Any])

_POSITIVE = Real(0)
_MODE = Options("fan_in", "fan_out")
NONLINEARITIES = (
    "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "sigmoid", "tanh", "relu", "leaky_relu", "selu",
)  # fmt: skip


def _initializer(**constraints: Constraint) -> Callable[[F], F]:
    """Check the arguments of a function that fills a Tensor, and that it is given one."""

    def decorate(function: F) -> F:
        inner = checked(**constraints)(function)

        @wraps(function)
        def fill(*args: Any, **kwargs: Any) -> Any:
            tensor = args[0] if args else kwargs.get("tensor")
            if not isinstance(tensor, Tensor) and (args or "tensor" in kwargs):
                layer = isinstance(getattr(tensor, "weight", None), Tensor)
                suggestion = f"{function.__name__}(layer.weight)" if layer else None
                raise ArgumentTypeError(
                    "nn.init-type", name=function.__name__, given=type(tensor).__name__, suggestion=suggestion
                )
            return inner(*args, **kwargs)

        fill.constraints = constraints  # type: ignore[attr-defined]
        return fill  # type: ignore[return-value]

    return decorate


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights are enlarged to make up for what an activation takes away.

    1 for linear maps and sigmoid, 5/3 for tanh, sqrt(2) for relu, sqrt(2/(1 + slope²)) for leaky_relu (`param` is the
    slope, 0.01), 3/4 for selu.

    Raises
        ArgumentError: the name is not one of these.
    """
    check("calculate_gain: nonlinearity", nonlinearity, Options(*NONLINEARITIES))
    if nonlinearity == "tanh":
        return 5.0 / 3.0
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "selu":
        return 0.75
    if nonlinearity == "leaky_relu":
        check("calculate_gain: param", param, Real(none=True))
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1.0 + slope**2))
    return 1.0


def calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """fan_in and fan_out of a weight of shape (out, in, *kernel).

    Raises
        ShapeError: fewer than two axes.
    """
    if tensor.ndim < 2:
        raise ShapeError("nn.fan", shape=tensor.shape)
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


_calculate_fan_in_and_fan_out = calculate_fan_in_and_fan_out


@_initializer(a=Real(), b=Real())
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform numbers between a and b."""
    return tensor.assign(uniform(a, b, tensor.shape, generator, tensor.dtype))


@_initializer(mean=Real(), std=_POSITIVE)
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Normal numbers of a mean and standard deviation."""
    return tensor.assign(normal(mean, std, tensor.shape, generator, tensor.dtype))


@_initializer(mean=Real(), std=_POSITIVE, a=Real(), b=Real())
def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """Normal numbers of which those outside [a, b] are as if drawn again.

    One uniform number between the bounds' probabilities is turned into each result by the inverse of the normal
    distribution, so that bounds far in a tail cost no more.

    Raises
        ArgumentError: a is not below b, or std is 0.
    """
    if a >= b or std == 0:
        raise ArgumentError("nn.trunc-normal", a=a, b=b, std=std)
    low, high = (a - mean) / std, (b - mean) / std
    # In the upper tail probabilities are too close to 1 to be told apart; the mirror image is exact.
    side = -1.0 if low > 0 else 1.0
    if side < 0:
        low, high = -high, -low
    p_low, p_high = normal_cdf(low), normal_cdf(high)
    u = uniform(0.0, 1.0, tensor.shape, generator, np.float64).data
    z = side * np.clip(normal_quantile(p_low + u * (p_high - p_low)), low, high)
    return tensor.assign(wrap(np.clip(mean + std * z, a, b)))


@_initializer(val=Real())
def constant_(tensor: Tensor, val: float) -> Tensor:
    """The same number everywhere."""
    return tensor.assign(wrap(np.full(tensor.shape, val, tensor.dtype)))


@_initializer()
def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere."""
    return constant_(tensor, 1.0)


@_initializer()
def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere."""
    return constant_(tensor, 0.0)


@_initializer()
def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix.

    Raises
        ShapeError: not a matrix.
    """
    _check_matrix("eye_", tensor)
    return tensor.assign(wrap(np.eye(*tensor.shape, dtype=tensor.dtype)))


@_initializer(groups=Integer(1))
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """A convolution's weight (out, in, *kernel) that passes its input through: 1 in the middle of the kernel of its
    own channel.

    Raises
        ShapeError: not 3 to 5 axes, or the outputs are not divisible by groups.
    """
    if not 3 <= tensor.ndim <= 5 or tensor.shape[0] % groups:
        raise ShapeError("nn.dirac", shape=tensor.shape, groups=groups)
    value = np.zeros(tensor.shape, tensor.dtype)
    per_group = tensor.shape[0] // groups
    centre = tuple(n // 2 for n in tensor.shape[2:])
    for group in range(groups):
        for channel in range(min(per_group, tensor.shape[1])):
            value[(group * per_group + channel, channel, *centre)] = 1
    return tensor.assign(wrap(value))


@_initializer(gain=_POSITIVE)
def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform in ±gain·sqrt(6 / (fan_in + fan_out)).

    Source
        Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010, eq.
        16.
    """
    fan_in, fan_out = calculate_fan_in_and_fan_out(tensor)
    return _uniform_of_std(tensor, gain * math.sqrt(2.0 / max(fan_in + fan_out, 1)), generator)


@_initializer(gain=_POSITIVE)
def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with standard deviation gain·sqrt(2 / (fan_in + fan_out)). Source: as `xavier_uniform_`."""
    fan_in, fan_out = calculate_fan_in_and_fan_out(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / max(fan_in + fan_out, 1)), generator)


@_initializer(a=Real(), mode=_MODE)
def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Uniform in ±gain·sqrt(3 / fan), with the gain of the nonlinearity (`a` is the slope of leaky_relu).

    Source
        He et al., Delving deep into rectifiers, ICCV 2015, eq. 10 and 14.
    """
    return _uniform_of_std(tensor, _kaiming_std(tensor, a, mode, nonlinearity), generator)


@_initializer(a=Real(), mode=_MODE)
def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Normal with standard deviation gain / sqrt(fan). Source: as `kaiming_uniform_`."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


@_initializer(gain=_POSITIVE)
def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """A (semi-)orthogonal matrix times gain, from the QR factorisation of a normal one; axes after the first are taken
    together.

    Source
        Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear networks,
        ICLR 2014.
    """
    if tensor.ndim < 2:
        raise ShapeError("nn.fan", shape=tensor.shape)
    if tensor.size == 0:
        return tensor
    rows, cols = tensor.shape[0], tensor.size // tensor.shape[0]
    draw = normal(0.0, 1.0, (max(rows, cols), min(rows, cols)), generator, np.float64).data
    q, r = np.linalg.qr(draw)
    # QR is unique only up to signs; this choice makes the result uniform over the orthogonal matrices.
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return tensor.assign(wrap((gain * (q if rows >= cols else q.T)).reshape(tensor.shape)))


@_initializer(sparsity=Real(0, 1), std=_POSITIVE)
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """A matrix of normal numbers in which each column has the fraction `sparsity`, rounded up, of zeros.

    Source
        Martens, Deep learning via Hessian-free optimization, ICML 2010, section 5.
    """
    _check_matrix("sparse_", tensor)
    rows, cols = tensor.shape
    # Uniform numbers beside the normal ones decide which rows of a column are zero.
    draw = normal(0.0, std, (rows, cols), generator, tensor.dtype).data
    order = np.argsort(uniform(0.0, 1.0, (rows, cols), _next(generator), np.float64).data, axis=0)
    value = draw.copy()
    np.put_along_axis(value, order[: math.ceil(sparsity * rows)], 0, axis=0)
    return tensor.assign(wrap(value))


def _next(generator: Any) -> Any:
    """A second, independent stream for a draw of two parts: a generator moves on by itself, a key or seed is folded."""
    from pellucid.core.rng import Generator, fold, seed

    if generator is None or isinstance(generator, Generator):
        return generator
    return fold(seed(generator) if isinstance(generator, int) else generator, 1)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fan_in, fan_out = calculate_fan_in_and_fan_out(tensor)
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan_in if mode == "fan_in" else fan_out, 1))


def _uniform_of_std(tensor: Tensor, std: float, generator: Any) -> Tensor:
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def _check_matrix(name: str, tensor: Tensor) -> None:
    if tensor.ndim != 2:
        raise ShapeError("nn.matrix", name=name, shape=tensor.shape)


__all__ = [
    "calculate_fan_in_and_fan_out", "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_",
    "kaiming_uniform_", "normal_", "ones_", "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_",
    "xavier_uniform_", "zeros_",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    raise no_attribute("pellucid.nn.init", name, __all__)
