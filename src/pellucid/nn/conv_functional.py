"""Convolutions as functions, with PyTorch's names and arguments. Inputs of shape (N, C, ...) or (C, ...) and a weight
enter; the arguments are brought into the form in which the operation is declared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid._typing import Shape
from pellucid.core.check import Integer, Options, check
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ShapeError
from pellucid.nn._spatial import per_axis
from pellucid.ops._families.convolution import Geometry, check_shapes
from pellucid.ops.conv import convolution, convolution_input
from pellucid.ops.declare import composite
from pellucid.ops.shape import expand_dims, pad, reshape, squeeze

PADDINGS = Options("valid", "same", "same_upper", "same_lower")

Sides = tuple[tuple[int, int], ...]


def sides(op: str, padding: Any, x: Shape, k: Shape, stride: Shape, dilation: Shape) -> Sides:
    """`padding` as numbers (before, after) for each spatial axis.

    Parameters
        padding : one number, one for each axis, or a name: "valid" (none); "same" (PyTorch's, for stride 1: the output
            is as long as the input, an odd element goes behind); "same_upper" and "same_lower" (ONNX's, for any stride:
            the output has ceil(length / stride) elements, an odd element of padding goes behind or in front;
            TensorFlow's SAME is "same_upper").
        x, k : spatial lengths of input and kernel.
    """
    if not isinstance(padding, str):
        return tuple((p, p) for p in per_axis(f"{op}: padding", padding, len(k), 0))
    check(f"{op}: padding", padding, PADDINGS)
    if padding == "valid":
        return ((0, 0),) * len(k)
    if padding == "same" and any(s != 1 for s in stride):
        raise ShapeError("conv.same-stride", op=op, stride=stride)
    result = []
    for n, m, s, d in zip(x, k, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + d * (m - 1) + 1 - n, 0)
        small = total // 2
        result.append((total - small, small) if padding == "same_lower" else (small, total - small))
    return tuple(result)


def _batched(op: str, input: Any, weight: Any, count: int) -> tuple[Tensor, Tensor, bool]:
    """Input and weight as tensors, a single sample as a batch of one."""
    x, k = as_tensor(input), as_tensor(weight)
    single = x.ndim == count + 1
    if k.ndim != count + 2 or x.ndim not in (count + 1, count + 2):
        raise ShapeError("conv.axes", op=op, a=x.shape, b=k.shape, places=("L", "H, W", "D, H, W")[count - 1])
    return (expand_dims(x, 0) if single else x), k, single


def _finished(op: str, y: Tensor, bias: Any, single: bool) -> Tensor:
    if bias is not None:
        b = as_tensor(bias)
        if b.shape != (y.shape[1],):
            raise ShapeError("conv.bias", op=op, bias=b.shape, channels=y.shape[1])
        y = y + reshape(b, (y.shape[1],) + (1,) * (y.ndim - 2))
    return squeeze(y, 0) if single else y


def _forward(
    count: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: Any
) -> Tensor:
    op = f"conv{count}d"
    x, k, single = _batched(op, input, weight, count)
    check(f"{op}: groups", groups, Integer(1))
    strides, dilations = (per_axis(f"{op}: {n}", v, count, 1) for n, v in (("stride", stride), ("dilation", dilation)))
    padded = sides(op, padding, x.shape[2:], k.shape[2:], strides, dilations)
    y = convolution(x, k, stride=strides, dilation=dilations, padding=padded, groups=int(groups))
    return _finished(op, y, bias, single)


@composite(formula="y[n,o,h] = Σ_ci x[n,c,h·stride+i·dilation-padding]·weight[o,c,i] + bias[o]", onnx="Conv")
def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: Any = 1
) -> Tensor:
    """`nn.Conv1d` as a function.

    Parameters
        input : Tensor, shape (N, C, L) or (C, L).
        weight : Tensor, shape (O, C / groups, K).
        bias : Tensor, shape (O,), or None.
        padding : elements of zeros on both sides; or "valid", "same", "same_upper", "same_lower".
    Raises
        ShapeError: axes or channels do not fit, or the kernel reaches beyond the padded input.
    """
    return _forward(1, input, weight, bias, stride, padding, dilation, groups)


@composite(formula="y[n,o,h,w] = Σ_cij x[n,c,h·s+i·d-p,w·s+j·d-p]·weight[o,c,i,j] + bias[o]", onnx="Conv")
def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: Any = 1
) -> Tensor:
    """`nn.Conv2d` as a function.

    Parameters
        input : Tensor, shape (N, C, H, W) or (C, H, W).
        weight : Tensor, shape (O, C / groups, KH, KW).
        bias : Tensor, shape (O,), or None.
        padding : rows and columns of zeros on both sides; or "valid", "same", "same_upper", "same_lower".
    Raises
        ShapeError: axes or channels do not fit, or the kernel reaches beyond the padded input.
    """
    return _forward(2, input, weight, bias, stride, padding, dilation, groups)


@composite(
    formula="y[n,o,h,w,l] = Σ_cijm x[n,c,h·s+i·d-p,w·s+j·d-p,l·s+m·d-p]·weight[o,c,i,j,m] + bias[o]", onnx="Conv"
)
def conv3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: Any = 1
) -> Tensor:
    """`nn.Conv3d` as a function.

    Parameters
        input : Tensor, shape (N, C, D, H, W) or (C, D, H, W).
        weight : Tensor, shape (O, C / groups, KD, KH, KW).
        bias : Tensor, shape (O,), or None.
        padding : elements of zeros on both sides; or "valid", "same", "same_upper", "same_lower".
    Raises
        ShapeError: axes or channels do not fit, or the kernel reaches beyond the padded input.
    """
    return _forward(3, input, weight, bias, stride, padding, dilation, groups)


def _transposed(
    count: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: Any,
    dilation: Any,
) -> Tensor:
    op = f"conv_transpose{count}d"
    x, k, single = _batched(op, input, weight, count)
    check(f"{op}: groups", groups, Integer(1))
    strides, dilations = (per_axis(f"{op}: {n}", v, count, 1) for n, v in (("stride", stride), ("dilation", dilation)))
    paddings, extra = (
        per_axis(f"{op}: {n}", v, count, 0) for n, v in (("padding", padding), ("output_padding", output_padding))
    )
    if any(e >= max(s, d) for e, s, d in zip(extra, strides, dilations, strict=True)):
        raise ShapeError("conv.output-padding", op=op, given=extra, stride=strides, dilation=dilations)
    geometry = Geometry(strides, dilations, tuple((p, p) for p in paddings), int(groups))
    check_shapes("x", x.shape, k.shape, geometry)
    least = transposed_size(x.shape[2:], k.shape[2:], strides, paddings, dilations)
    size = tuple(n + e for n, e in zip(least, extra, strict=True))
    if min(size) < 1:
        raise ShapeError("conv.empty-output", op=op, x=x.shape, k=k.shape, size=size)
    # What output_padding adds beyond a stride uncovers what the padding took away; beyond that stand zeros.
    beyond = [max(e - s + 1, 0) for e, s in zip(extra, strides, strict=True)]
    uncovered = [min(n, p) for n, p in zip(beyond, paddings, strict=True)]
    zeros = [n - u for n, u in zip(beyond, uncovered, strict=True)]
    geometry = geometry._replace(padding=tuple((p, p - u) for p, u in zip(paddings, uncovered, strict=True)))
    y = convolution_input(x, k, **geometry._asdict(), size=tuple(n - z for n, z in zip(size, zeros, strict=True)))
    if any(zeros):
        y = pad(y, ((0, 0), (0, 0), *((0, z) for z in zeros)))
    return _finished(op, y, bias, single)


def transposed_size(x: Shape, k: Shape, stride: Shape, padding: Shape, dilation: Shape) -> Shape:
    """The spatial lengths of a transposed convolution, without output_padding."""
    return tuple(
        (n - 1) * s - 2 * p + d * (m - 1) + 1 for n, m, s, p, d in zip(x, k, stride, padding, dilation, strict=True)
    )


@composite(formula="y[n,o,h·stride+i·dilation-padding] += x[n,c,h]·weight[c,o,i], then + bias[o]", onnx="ConvTranspose")
def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: Any = 1,
    dilation: Any = 1,
) -> Tensor:
    """`nn.ConvTranspose1d` as a function.

    Parameters
        input : Tensor, shape (N, C, L) or (C, L).
        weight : Tensor, shape (C, O / groups, K).
        output_padding : elements added behind the output.
    Raises
        ShapeError: axes or channels do not fit, or output_padding is not below the stride or the dilation.
    """
    return _transposed(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@composite(formula="y[n,o,h·s+i·d-p,w·s+j·d-p] += x[n,c,h,w]·weight[c,o,i,j], then + bias[o]", onnx="ConvTranspose")
def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: Any = 1,
    dilation: Any = 1,
) -> Tensor:
    """`nn.ConvTranspose2d` as a function.

    Parameters
        input : Tensor, shape (N, C, H, W) or (C, H, W).
        weight : Tensor, shape (C, O / groups, KH, KW).
        output_padding : rows and columns added behind the output.
    Raises
        ShapeError: axes or channels do not fit, or output_padding is not below the stride or the dilation.
    """
    return _transposed(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


@composite(
    formula="y[n,o,h·s+i·d-p,w·s+j·d-p,l·s+m·d-p] += x[n,c,h,w,l]·weight[c,o,i,j,m], then + bias[o]",
    onnx="ConvTranspose",
)
def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: Any = 1,
    dilation: Any = 1,
) -> Tensor:
    """`nn.ConvTranspose3d` as a function.

    Parameters
        input : Tensor, shape (N, C, D, H, W) or (C, D, H, W).
        weight : Tensor, shape (C, O / groups, KD, KH, KW).
        output_padding : elements added behind the output.
    Raises
        ShapeError: axes or channels do not fit, or output_padding is not below the stride or the dilation.
    """
    return _transposed(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


FORWARD: tuple[Callable[..., Tensor], ...] = (conv1d, conv2d, conv3d)
TRANSPOSED: tuple[Callable[..., Tensor], ...] = (conv_transpose1d, conv_transpose2d, conv_transpose3d)
