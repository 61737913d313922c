"""Average pooling and its generalisation by powers: the mean, or the p-norm, of each window."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.core.check import Flag, Integer, Real, check
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import ArgumentError, ShapeError
from pellucid.nn.pooling._arguments import Pooling, Windows, check_planes, is_given, plain, windows_of
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import equal, power, where
from pellucid.ops.shape import pad
from pellucid.ops.windows import count_windows, sum_windows

_FORMULA = "y[n,c,o] = Σ_p x[n,c,p] / count over the places p of window o"
_LP_FORMULA = "y[n,c,o] = (Σ_p x[n,c,p]^norm_type)^(1/norm_type) over the places p of window o"


def _window_sums(name: str, x: Tensor, windows: Windows, ceil_mode: bool) -> Tensor:
    """The sums of the windows, zeros standing in the border and beyond it."""
    count = len(windows.size)
    lengths = x.shape[-count:]
    widths = [(0, 0)] * (x.ndim - count)
    for axis, (n, j, s, p) in enumerate(zip(lengths, windows.size, windows.stride, windows.padding, strict=True)):
        windows_here = count_windows(n, j, s, p, 1, ceil_mode)
        if windows_here < 1:
            raise ShapeError("pool.none-fits", op=name, length=n, axis=axis - count, padding=p, extent=j)
        widths.append((p, max((windows_here - 1) * s + j - n - p, 0)))
    if any(map(any, widths)):
        x = pad(x, widths)
    return sum_windows(x, windows.size, windows.stride)


@lru_cache(maxsize=128)
def _divisors(lengths: Shape, windows: Windows, ceil_mode: bool, count_include_pad: bool) -> Array:
    """How many elements each window has: in the input and, with count_include_pad, in the border."""
    divisors = np.ones((1,) * len(lengths), np.int64)
    for axis, (n, j, s, p) in enumerate(zip(lengths, windows.size, windows.stride, windows.padding, strict=True)):
        first = np.arange(count_windows(n, j, s, p, 1, ceil_mode)) * s - p
        end = np.minimum(first + j, n + p)
        if not count_include_pad:
            first, end = np.maximum(first, 0), np.minimum(end, n)
        divisors = divisors * (end - first).reshape((-1,) + (1,) * (len(lengths) - 1 - axis))
    return divisors


def _avg_pool(
    name: str,
    count: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None = None,
) -> Tensor:
    x = as_tensor(input)
    windows = windows_of(name, count, kernel_size, stride, padding)
    for flag, value in (("ceil_mode", ceil_mode), ("count_include_pad", count_include_pad)):
        check(f"{name}: {flag}", value, Flag())
    _check_divisor(name, divisor_override)
    check_planes(name, x.shape, count)
    sums = _window_sums(name, x, windows, bool(ceil_mode))
    if divisor_override is not None:
        return sums / float(divisor_override)
    divisors = _divisors(x.shape[-count:], windows, bool(ceil_mode), bool(count_include_pad))
    if (divisors == divisors.flat[0]).all():
        return sums / float(divisors.flat[0])
    return sums / wrap(divisors.astype(sums.dtype if sums.dtype.kind == "f" else np.float64))


def _check_divisor(name: str, divisor: Any) -> None:
    check(f"{name}: divisor_override", divisor, Integer(none=True))
    if divisor == 0:
        raise ArgumentError("pool.divisor", op=name)


@composite(formula=_FORMULA, onnx="AveragePool")
def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """`nn.AvgPool1d` as a function.

    Raises
        ArgumentError: padding is wider than half a window.
        ShapeError: the input is not (N, C, L) or (C, L), or no window fits.
    """
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


@composite(formula=_FORMULA, onnx="AveragePool")
def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """`nn.AvgPool2d` as a function.

    Raises
        ArgumentError: padding is wider than half a window, or divisor_override is 0.
        ShapeError: the input is not (N, C, H, W) or (C, H, W), or no window fits.
    """
    return _avg_pool(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@composite(formula=_FORMULA, onnx="AveragePool")
def avg_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """`nn.AvgPool3d` as a function.

    Raises
        ArgumentError: padding is wider than half a window, or divisor_override is 0.
        ShapeError: the input is not (N, C, D, H, W) or (C, D, H, W), or no window fits.
    """
    return _avg_pool(
        "avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def _lp_pool(
    name: str, count: int, input: Any, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool
) -> Tensor:
    x = as_tensor(input)
    check(f"{name}: norm_type", norm_type, Real(0, left_open=True))
    check(f"{name}: ceil_mode", ceil_mode, Flag())
    windows = windows_of(name, count, kernel_size, stride)
    check_planes(name, x.shape, count)
    sums = _window_sums(name, power(x, norm_type), windows, bool(ceil_mode))
    if ceil_mode:
        # As PyTorch, which takes the mean of what lies inside times the size of a whole window.
        divisors = _divisors(x.shape[-count:], windows, True, True)
        sums = sums * wrap((math.prod(windows.size) / divisors).astype(sums.dtype))
    # At 0 the root has no finite gradient; like PyTorch we let it be 0.
    zero = equal(sums, 0.0)
    return where(zero, 0.0, power(where(zero, 1.0, sums), 1.0 / norm_type))


@composite(formula=_LP_FORMULA, onnx="LpPool")
def lp_pool1d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """`nn.LPPool1d` as a function.

    Raises
        ShapeError: the input is not (N, C, L) or (C, L), or no window fits.
    """
    return _lp_pool("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


@composite(formula=_LP_FORMULA, onnx="LpPool")
def lp_pool2d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """`nn.LPPool2d` as a function.

    Raises
        ShapeError: the input is not (N, C, H, W) or (C, H, W), or no window fits.
    """
    return _lp_pool("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


@composite(formula=_LP_FORMULA, onnx=NONE("LpPool has no third axis everywhere"))
def lp_pool3d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """`nn.LPPool3d` as a function.

    Raises
        ShapeError: the input is not (N, C, D, H, W) or (C, D, H, W), or no window fits.
    """
    return _lp_pool("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


class _AvgPool(Pooling):
    """What the average pooling layers share."""

    _function: ClassVar[Any]
    divisor_override: int | None = None

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        windows_of(type(self).__name__, self.num_axes, kernel_size, stride, padding)
        self._check_flags(ceil_mode=ceil_mode, count_include_pad=count_include_pad)
        _check_divisor(type(self).__name__, divisor_override)
        self.kernel_size, self.padding = plain(kernel_size), plain(padding)
        self.stride = plain(stride) if is_given(stride) else self.kernel_size
        self.ceil_mode, self.count_include_pad = bool(ceil_mode), bool(count_include_pad)
        if self.num_axes > 1:
            self.divisor_override = None if divisor_override is None else int(divisor_override)

    def forward(self, x: Any) -> Tensor:
        """x (N, C, ...) or (C, ...) -> the same with shorter last axes."""
        more = {"divisor_override": self.divisor_override} if self.num_axes > 1 else {}
        y: Tensor = type(self)._function(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, **more
        )
        return y

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """The mean of each window that slides over the last axis.

        y[n,c,o] = Σ_j x[n,c, o·stride + j - padding] / kernel_size

    Parameters
        kernel_size : elements of a window.
        stride : from one window to the next; None is kernel_size.
        padding : width of the border of zeros on both sides, at most half a window.
        ceil_mode : whether a last window may end beyond the border; what lies beyond does not count.
        count_include_pad : whether the zeros of the border count as elements.
    Raises
        ArgumentError: padding is wider than half a window.
        ShapeError: when called with another shape than (N, C, L) or (C, L), or where no window fits.
    """

    num_axes = 1
    _function = staticmethod(avg_pool1d)

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        windows = windows_of("AvgPool1d", 1, kernel_size, stride, padding)
        self.kernel_size, self.stride, self.padding = windows[:3]  # tuples, as PyTorch shows them


class AvgPool2d(_AvgPool):
    """The mean of each window that slides over the last two axes.

        y[n,c,o,p] = Σ_{i,j} x[n,c, o·stride + i - padding, p·stride + j - padding] / (elements of a window)

    Parameters
        kernel_size, stride, padding : whole numbers, or pairs (height, width); stride None is kernel_size. The border,
            of zeros, is at most half a window wide.
        ceil_mode : whether a last window may end beyond the border; what lies beyond does not count.
        count_include_pad : whether the zeros of the border count as elements.
        divisor_override : what every sum is divided by, instead of the number of elements.
    Raises
        ArgumentError: padding is wider than half a window, or divisor_override is 0.
        ShapeError: when called with another shape than (N, C, H, W) or (C, H, W), or where no window fits.
    Examples
        >>> from pellucid import nn
        >>> nn.AvgPool2d(2)([[[1.0, 2.0, 0.0, 0.0], [4.0, 3.0, 0.0, 5.0]]]).tolist()
        [[[2.5, 1.25]]]
    """

    num_axes = 2
    _function = staticmethod(avg_pool2d)


class AvgPool3d(_AvgPool):
    """The mean of each window that slides over the last three axes.

    Parameters
        kernel_size, stride, padding : whole numbers, or triples (depth, height, width); as for AvgPool2d.
        ceil_mode, count_include_pad, divisor_override : as for AvgPool2d.
    Raises
        ArgumentError: padding is wider than half a window, or divisor_override is 0.
        ShapeError: when called with another shape than (N, C, D, H, W) or (C, D, H, W), or where no window fits.
    """

    num_axes = 3
    _function = staticmethod(avg_pool3d)


class _LPPool(Pooling):
    """What the power-mean pooling layers share."""

    _function: ClassVar[Any]

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> None:
        name = type(self).__name__
        check(f"{name}: norm_type", norm_type, Real(0, left_open=True))
        windows_of(name, self.num_axes, kernel_size, stride)
        self._check_flags(ceil_mode=ceil_mode)
        self.norm_type, self.kernel_size, self.stride = norm_type, plain(kernel_size), plain(stride)
        self.ceil_mode = bool(ceil_mode)

    def forward(self, x: Any) -> Tensor:
        """x (N, C, ...) or (C, ...) -> the same with shorter last axes."""
        y: Tensor = type(self)._function(x, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)
        return y

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """The root of the sum of powers of each window that slides over the last axis: sum pooling with norm_type 1, and
    the nearer to max pooling the larger it is.

        y[n,c,o] = (Σ_j x[n,c, o·stride + j]^norm_type)^(1/norm_type)

    Where the sum is 0 the gradient is not defined and counts as 0.

    Parameters
        norm_type : the exponent, above 0; with one that is not even a negative sum has no root (NaN).
        kernel_size : elements of a window.
        stride : from one window to the next; None is kernel_size.
        ceil_mode : whether a last window may end beyond the input; its sum counts as that of a whole one.
    Raises
        ShapeError: when called with another shape than (N, C, L) or (C, L), or where no window fits.
    """

    num_axes = 1
    _function = staticmethod(lp_pool1d)


class LPPool2d(_LPPool):
    """The root of the sum of powers of each window that slides over the last two axes; as LPPool1d.

    Parameters
        norm_type, ceil_mode : as for LPPool1d.
        kernel_size, stride : whole numbers, or pairs (height, width); stride None is kernel_size.
    Raises
        ShapeError: when called with another shape than (N, C, H, W) or (C, H, W), or where no window fits.
    """

    num_axes = 2
    _function = staticmethod(lp_pool2d)


class LPPool3d(_LPPool):
    """The root of the sum of powers of each window that slides over the last three axes; as LPPool1d.

    Parameters
        norm_type, ceil_mode : as for LPPool1d.
        kernel_size, stride : whole numbers, or triples (depth, height, width); stride None is kernel_size.
    Raises
        ShapeError: when called with another shape than (N, C, D, H, W) or (C, D, H, W), or where no window fits.
    """

    num_axes = 3
    _function = staticmethod(lp_pool3d)
