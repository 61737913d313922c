"""Max pooling: the largest element of each window; gradients go back to where it lies."""

from __future__ import annotations

from typing import Any, ClassVar

from pellucid.core.check import Flag, check
from pellucid.core.tensor import as_tensor
from pellucid.nn.pooling._arguments import Pooling, check_planes, is_given, plain, windows_of
from pellucid.ops.declare import composite
from pellucid.ops.pool import max_pool, max_pool_positions

_FORMULA = "y[n,c,o] = max_p x[n,c,p] over the places p of window o"


def _max_pool(
    name: str,
    count: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    x = as_tensor(input)
    windows = windows_of(name, count, kernel_size, stride, padding, dilation)
    for flag, value in (("ceil_mode", ceil_mode), ("return_indices", return_indices)):
        check(f"{name}: {flag}", value, Flag())
    check_planes(name, x.shape, count)
    y = max_pool(x, *windows, ceil_mode=bool(ceil_mode))
    return (y, max_pool_positions(x, *windows, ceil_mode=bool(ceil_mode))) if return_indices else y


@composite(formula=_FORMULA, onnx="MaxPool")
def max_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`nn.MaxPool1d` as a function.

    Raises
        ArgumentError: padding is wider than half of what a window reaches over.
        ShapeError: the input is not (N, C, L) or (C, L), or no window fits.
    """
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@composite(formula=_FORMULA, onnx="MaxPool")
def max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`nn.MaxPool2d` as a function.

    Raises
        ArgumentError: padding is wider than half of what a window reaches over.
        ShapeError: the input is not (N, C, H, W) or (C, H, W), or no window fits.
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@composite(formula=_FORMULA, onnx="MaxPool")
def max_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`nn.MaxPool3d` as a function.

    Raises
        ArgumentError: padding is wider than half of what a window reaches over.
        ShapeError: the input is not (N, C, D, H, W) or (C, D, H, W), or no window fits.
    """
    return _max_pool("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


class _MaxPool(Pooling):
    """What the max pooling layers share."""

    _function: ClassVar[Any]

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        windows_of(type(self).__name__, self.num_axes, kernel_size, stride, padding, dilation)
        self._check_flags(return_indices=return_indices, ceil_mode=ceil_mode)
        self.kernel_size, self.padding, self.dilation = plain(kernel_size), plain(padding), plain(dilation)
        self.stride = plain(stride) if is_given(stride) else self.kernel_size
        self.return_indices, self.ceil_mode = bool(return_indices), bool(ceil_mode)

    def forward(self, x: Any) -> Any:
        """x (N, C, ...) or (C, ...) -> the same with shorter last axes; with return_indices, a pair of it and the
        indices."""
        return type(self)._function(
            x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest element of each window that slides over the last axis.

        y[n,c,o] = max_j x[n,c, o·stride + j·dilation - padding]

    Of equal elements the first is taken, and NaN before everything. The border counts as -∞.

    Parameters
        kernel_size : elements of a window.
        stride : from one window to the next; None is kernel_size.
        padding : width of the border on both sides, at most half of what a window reaches over.
        dilation : from one element of a window to the next.
        return_indices : whether to return the place of each largest element too, as MaxUnpool1d takes it.
        ceil_mode : whether a last window may end beyond the border; each begins in the input or the border before it.
    Returns
        Tensor, shape (N, C, (L + 2·padding - dilation·(kernel_size - 1) - 1) // stride + 1), with ceil_mode rounded up
    Raises
        ArgumentError: padding is wider than half of what a window reaches over.
        ShapeError: when called with another shape than (N, C, L) or (C, L), or where no window fits.
    """

    num_axes = 1
    _function = staticmethod(max_pool1d)


class MaxPool2d(_MaxPool):
    """The largest element of each window that slides over the last two axes.

        y[n,c,o,p] = max_{i,j} x[n,c, o·stride + i·dilation - padding, p·stride + j·dilation - padding]

    Of equal elements the first is taken, and NaN before everything. The border counts as -∞.

    Parameters
        kernel_size, stride, padding, dilation : whole numbers, or pairs (height, width); stride None is kernel_size.
            The border is at most half as wide as what a window reaches over.
        return_indices : whether to return the place of each largest element too, counted row after row in its plane,
            as MaxUnpool2d takes it.
        ceil_mode : whether a last window may end beyond the border; each begins in the input or the border before it.
    Raises
        ArgumentError: padding is wider than half of what a window reaches over.
        ShapeError: when called with another shape than (N, C, H, W) or (C, H, W), or where no window fits.
    Examples
        >>> from pellucid import nn
        >>> nn.MaxPool2d(2)([[[1.0, 2.0, 0.0, 0.0], [4.0, 3.0, 0.0, 5.0]]]).tolist()
        [[[4.0, 5.0]]]
    """

    num_axes = 2
    _function = staticmethod(max_pool2d)


class MaxPool3d(_MaxPool):
    """The largest element of each window that slides over the last three axes.

    Parameters
        kernel_size, stride, padding, dilation : whole numbers, or triples (depth, height, width); as for MaxPool2d.
        return_indices, ceil_mode : as for MaxPool2d.
    Raises
        ArgumentError: padding is wider than half of what a window reaches over.
        ShapeError: when called with another shape than (N, C, D, H, W) or (C, D, H, W), or where no window fits.
    """

    num_axes = 3
    _function = staticmethod(max_pool3d)
