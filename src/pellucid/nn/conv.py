"""Convolution layers. A Tensor (N, C, ...) or (C, ...) enters; each output channel is the sum of windows of the input
channels times a learned kernel.
"""

from __future__ import annotations

from typing import Any

from pellucid._typing import Shape
from pellucid.core.check import Flag, Integer, Options, check, checked
from pellucid.core.context import default_dtype
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentError, ShapeError
from pellucid.nn._allocation import zeros
from pellucid.nn._initial import draw
from pellucid.nn._spatial import per_axis
from pellucid.nn.conv_functional import FORWARD, PADDINGS, TRANSPOSED, sides, transposed_size
from pellucid.nn.module import Module, Parameter
from pellucid.ops.shape import pad

_POSITIVE = Integer(1)
# PyTorch's names of the ways to fill the border, and NumPy's.
_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


class _Conv(Module):
    """What all convolution layers share."""

    count = 0  # of spatial axes
    transposed = False
    weight: Parameter
    bias: Parameter | None
    init: str
    _drawn: int | None

    def _make(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        bias: bool,
        init: Any,
        dtype: Any,
    ) -> None:
        name = type(self).__name__
        self.in_channels, self.out_channels, self.groups = int(in_channels), int(out_channels), int(groups)
        for channels in (in_channels, out_channels):
            if channels % groups:
                raise ShapeError("conv.groups", op=name, groups=groups, channels=channels)
        self.kernel_size = per_axis(f"{name}: kernel_size", kernel_size, self.count, 1)
        self.stride = per_axis(f"{name}: stride", stride, self.count, 1)
        self.dilation = per_axis(f"{name}: dilation", dilation, self.count, 1)
        if isinstance(padding, str) and not self.transposed:
            check(f"{name}: padding", padding, PADDINGS)
            if padding == "same" and any(s != 1 for s in self.stride):
                raise ShapeError("conv.same-stride", op=name, stride=self.stride)
            self.padding: str | Shape = padding
        else:
            self.padding = per_axis(f"{name}: padding", padding, self.count, 0)
        kind = default_dtype() if dtype is None else dtype
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = Parameter(zeros(self, (first, second // groups, *self.kernel_size)), dtype=kind)
        self.register_parameter("bias", Parameter(zeros(self, out_channels), dtype=kind) if bias else None)
        draw(self, init)

    def _features_after(self, given: int | None) -> int | None:
        return None

    def _loaded(self) -> None:
        self.init, self._drawn = "", None

    def _label(self) -> str:
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels}, {self.kernel_size})"

    def _padding_repr(self) -> str:
        return f", padding={self.padding!r}" if self.padding != (0,) * self.count else ""

    def extra_repr(self) -> str:
        words = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        words += self._padding_repr()
        if self.dilation != (1,) * self.count:
            words += f", dilation={self.dilation}"
        if self.groups != 1:
            words += f", groups={self.groups}"
        if self.bias is None:
            words += ", bias=False"
        return words + (f', init="{self.init}"' if self.init else "")


class _Forward(_Conv):
    """Conv1d, Conv2d and Conv3d."""

    @checked(
        in_channels=_POSITIVE, out_channels=_POSITIVE, groups=_POSITIVE, bias=Flag(), padding_mode=Options(*_MODES)
    )
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        init: Any = None,
        dtype: Any = None,
    ) -> None:
        self.padding_mode = padding_mode
        self._make(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, init, dtype)

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, ...) or (in_channels, ...) -> the same with out_channels and the windows' number."""
        x = as_tensor(x)
        padding: Any = self.padding
        if self.padding_mode != "zeros" and x.ndim > self.count:
            name, places = type(self).__name__, x.shape[-self.count :]
            widths = sides(name, padding, places, self.kernel_size, self.stride, self.dilation)
            lead = ((0, 0),) * (x.ndim - self.count)
            x, padding = pad(x, (*lead, *widths), mode=_MODES[self.padding_mode]), 0
        return FORWARD[self.count - 1](x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        return super().extra_repr() + (f", padding_mode={self.padding_mode!r}" if self.padding_mode != "zeros" else "")


class Conv1d(_Forward):
    """Convolution along one axis: at each place a weighted sum over a window of all input channels.

        y[n,o,h] = Σ_ci x[n,c,h·stride + i·dilation - padding]·weight[o,c,i] + bias[o]

    The weights start as `Linear`'s do: by the activation that follows in a `Sequential`, alone by LeCun's rule.

    Parameters
        in_channels, out_channels : channels that enter and leave; groups divides both.
        kernel_size : length of the window.
        stride, dilation : steps between windows and between the elements of one.
        padding : elements added on both sides; or "valid" (none), "same" (as long as the input, stride 1),
            "same_upper", "same_lower" (ceil(length / stride) for any stride, an odd element behind or in front).
        groups : parts into which the channels fall; each output channel sees one. groups = in_channels is depthwise.
        bias : whether there is a bias.
        padding_mode : what is added: "zeros", "reflect", "replicate" or "circular".
        init, dtype : as for Linear.
    Attributes
        weight : Parameter, shape (out_channels, in_channels / groups, K).
        bias : Parameter, shape (out_channels,), or None.
    Raises
        ShapeError: groups does not divide the channels; when called, other channels or a kernel that does not fit.
    Source
        Waibel et al., Phoneme recognition using time-delay neural networks, IEEE Trans. ASSP 37, 1989.
    """

    count = 1


class Conv2d(_Forward):
    """Convolution over pictures: at each place a weighted sum over a window of all input channels.

        y[n,o,h,w] = Σ_cij x[n,c,h·s+i·d-p,w·s+j·d-p]·weight[o,c,i,j] + bias[o]

    with the stride s, the dilation d and the padding p of each axis. The weights start as `Linear`'s do: by the
    activation that follows in a `Sequential`, alone by LeCun's rule.

    Parameters
        in_channels, out_channels : channels that enter and leave; groups divides both.
        kernel_size : height and width of the window, or one number for both. So for stride, padding and dilation.
        stride, dilation : steps between windows and between the elements of one.
        padding : rows and columns added on both sides; or "valid" (none), "same" (as large as the input, stride 1),
            "same_upper", "same_lower" (ceil(length / stride) for any stride, an odd element behind or in front).
        groups : parts into which the channels fall; each output channel sees one. groups = in_channels is depthwise;
            depthwise and then 1x1 is `DepthwiseSeparableConv2d`.
        bias : whether there is a bias.
        padding_mode : what is added: "zeros", "reflect", "replicate" or "circular".
        init, dtype : as for Linear.
    Attributes
        weight : Parameter, shape (out_channels, in_channels / groups, KH, KW).
        bias : Parameter, shape (out_channels,), or None.
    Raises
        ShapeError: groups does not divide the channels; when called, other channels or a kernel that does not fit.
    Source
        LeCun et al., Backpropagation applied to handwritten zip code recognition, Neural Computation 1, 1989.
    Examples
        >>> import pellucid as pl
        >>> pl.nn.Conv2d(3, 8, 3, stride=2, padding=1)(pl.zeros((1, 3, 32, 32))).shape
        (1, 8, 16, 16)
    """

    count = 2


class Conv3d(_Forward):
    """Convolution over volumes: at each place a weighted sum over a window of all input channels.

        y[n,o,h,w,l] = Σ_cijm x[n,c,h·s+i·d-p,w·s+j·d-p,l·s+m·d-p]·weight[o,c,i,j,m] + bias[o]

    Parameters
        in_channels, out_channels : channels that enter and leave; groups divides both.
        kernel_size, stride, padding, dilation, groups, bias, padding_mode, init, dtype : as for Conv2d, on three axes.
    Attributes
        weight : Parameter, shape (out_channels, in_channels / groups, KD, KH, KW).
        bias : Parameter, shape (out_channels,), or None.
    Raises
        ShapeError: groups does not divide the channels; when called, other channels or a kernel that does not fit.
    Source
        Ji et al., 3D convolutional neural networks for human action recognition, ICML 2010.
    """

    count = 3


class _Transposed(_Conv):
    """ConvTranspose1d, 2d and 3d."""

    transposed = True

    @checked(
        in_channels=_POSITIVE, out_channels=_POSITIVE, groups=_POSITIVE, bias=Flag(), padding_mode=Options("zeros")
    )
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        *,
        init: Any = None,
        dtype: Any = None,
    ) -> None:
        self._make(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, init, dtype)
        self.output_padding = per_axis(f"{type(self).__name__}: output_padding", output_padding, self.count, 0)
        if any(e >= max(s, d) for e, s, d in zip(self.output_padding, self.stride, self.dilation, strict=True)):
            raise ShapeError(
                "conv.output-padding",
                op=type(self).__name__,
                given=self.output_padding,
                stride=self.stride,
                dilation=self.dilation,
            )

    def forward(self, x: Any, output_size: Any = None) -> Tensor:
        """x (N, in_channels, ...) or (in_channels, ...) -> the same with out_channels and longer axes.

        Parameters
            output_size : the spatial lengths wanted, where several have one convolution; None takes output_padding.
        Raises
            ArgumentError: no output of that size has x's as its convolution.
        """
        x = as_tensor(x)
        extra = self.output_padding if output_size is None else self._extra(x.shape, output_size)
        return TRANSPOSED[self.count - 1](
            x, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )

    def _extra(self, shape: Shape, output_size: Any) -> Shape:
        name = type(self).__name__
        sizes = tuple(output_size) if isinstance(output_size, list | tuple) else output_size
        wanted = per_axis(
            f"{name}: output_size", sizes[-self.count :] if isinstance(sizes, tuple) else sizes, self.count, 1
        )
        least = transposed_size(shape[-self.count :], self.kernel_size, self.stride, self.padding, self.dilation)  # type: ignore[arg-type]
        most = tuple(n + s - 1 for n, s in zip(least, self.stride, strict=True))
        if any(not a <= n <= b for n, a, b in zip(wanted, least, most, strict=True)):
            raise ArgumentError("conv.output-size", op=name, given=wanted, low=least, high=most)
        return tuple(n - a for n, a in zip(wanted, least, strict=True))

    def _padding_repr(self) -> str:
        words = super()._padding_repr()
        return words + (f", output_padding={self.output_padding}" if any(self.output_padding) else "")


class ConvTranspose1d(_Transposed):
    """Transposed convolution along one axis: each input element spread over a window, the gradient of `Conv1d`.

        y[n,o,h·stride + i·dilation - padding] += x[n,c,h]·weight[c,o,i], then + bias[o]

    Parameters
        in_channels, out_channels : channels that enter and leave; groups divides both.
        kernel_size, stride, dilation, groups, bias, init, dtype : as for Conv1d.
        padding : elements taken away on both sides: the padding of the convolution whose gradient this is.
        output_padding : elements added behind, below the stride or the dilation.
    Attributes
        weight : Parameter, shape (in_channels, out_channels / groups, K).
        bias : Parameter, shape (out_channels,), or None.
    Raises
        ShapeError: groups does not divide the channels, output_padding is too large, or an input does not fit.
    Source
        Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285, chapter 4.
    """

    count = 1


class ConvTranspose2d(_Transposed):
    """Transposed convolution over pictures: each input element spread over a window, the gradient of `Conv2d`.

        y[n,o,h·s+i·d-p,w·s+j·d-p] += x[n,c,h,w]·weight[c,o,i,j], then + bias[o]

    Parameters
        in_channels, out_channels : channels that enter and leave; groups divides both.
        kernel_size, stride, dilation, groups, bias, init, dtype : as for Conv2d.
        padding : rows and columns taken away on both sides: the padding of the convolution whose gradient this is.
        output_padding : rows and columns added behind, below the stride or the dilation.
    Attributes
        weight : Parameter, shape (in_channels, out_channels / groups, KH, KW).
        bias : Parameter, shape (out_channels,), or None.
    Raises
        ShapeError: groups does not divide the channels, output_padding is too large, or an input does not fit.
    Source
        Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285, chapter 4.
    """

    count = 2


class ConvTranspose3d(_Transposed):
    """Transposed convolution over volumes: each input element spread over a window, the gradient of `Conv3d`.

        y[n,o,h·s+i·d-p,w·s+j·d-p,l·s+m·d-p] += x[n,c,h,w,l]·weight[c,o,i,j,m], then + bias[o]

    Parameters
        in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation, init, dtype :
            as for ConvTranspose2d, with three axes.
    Attributes
        weight : Parameter, shape (in_channels, out_channels / groups, KD, KH, KW).
        bias : Parameter, shape (out_channels,), or None.
    Raises
        ShapeError: groups does not divide the channels, output_padding is too large, or an input does not fit.
    Source
        Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285, chapter 4.
    """

    count = 3


class DepthwiseSeparableConv2d(Module):
    """A depthwise convolution (each channel by its own kernel) and then a pointwise one (1x1, across channels).

    Not to be confused with the depthwise convolution alone, which is `Conv2d(c, c, k, groups=c)` and never mixes
    channels. Of k·k·in·out weights remain k·k·in + in·out.

    Parameters
        in_channels, out_channels : channels that enter and leave.
        kernel_size, stride, padding, dilation, padding_mode : of the depthwise part, as for Conv2d.
        bias : whether both parts have a bias.
        init, dtype : as for Linear.
    Attributes
        depthwise : Conv2d, weight (in_channels, 1, KH, KW).
        pointwise : Conv2d, weight (out_channels, in_channels, 1, 1).
    Source
        Howard et al., MobileNets, arXiv:1704.04861, section 3.1; Chollet, Xception, arXiv:1610.02357.
    """

    @checked(in_channels=_POSITIVE, out_channels=_POSITIVE, bias=Flag())
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        init: Any = None,
        dtype: Any = None,
    ) -> None:
        own = {"bias": bias, "init": init, "dtype": dtype}
        self.depthwise = Conv2d(
            in_channels,
            in_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            in_channels,
            padding_mode=padding_mode,
            **own,
        )
        self.pointwise = Conv2d(in_channels, out_channels, 1, **own)

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, H, W) or (in_channels, H, W) -> the same with out_channels and the windows' number."""
        y: Tensor = self.pointwise(self.depthwise(x))
        return y
