"""Windows as columns, and back: unfold takes the blocks of a plane out, fold adds them where they lie."""

from __future__ import annotations

import math
from typing import Any

from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ShapeError
from pellucid.nn._spatial import per_axis
from pellucid.nn.module import Module
from pellucid.nn.pooling._arguments import check_planes, plain
from pellucid.ops.declare import composite
from pellucid.ops.shape import pad, permute, reshape
from pellucid.ops.windows import count_windows, overlap_add, windows


def _arguments(name: str, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> list[tuple[int, ...]]:
    """Sizes, dilations, paddings and strides as pairs (height, width)."""
    given = (
        ("kernel_size", kernel_size, 1), ("dilation", dilation, 1), ("padding", padding, 0), ("stride", stride, 1)
    )  # fmt: skip
    return [per_axis(f"{name}: {argument}", value, 2, low) for argument, value, low in given]


def _counts(name: str, lengths: tuple[int, ...], arguments: list[tuple[int, ...]]) -> tuple[int, ...]:
    counts = []
    for axis, (n, k, d, p, s) in enumerate(zip(lengths, *arguments, strict=True), -2):
        count = count_windows(n, k, s, p, d)
        if count < 1:
            raise ShapeError("pool.none-fits", op=name, length=n, axis=axis, padding=p, extent=d * (k - 1) + 1)
        counts.append(count)
    return tuple(counts)


@composite(
    formula="y[n, (c,i,j), (o,p)] = x[n,c, o·stride + i·dilation - padding, p·stride + j·dilation - padding]",
    onnx=NONE("Gather of the places of each window"),
)
def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """`nn.Unfold` as a function.

    Raises
        ShapeError: the input is not (N, C, H, W) or (C, H, W), or no window fits.
    """
    x = as_tensor(input)
    arguments = _arguments("unfold", kernel_size, dilation, padding, stride)
    check_planes("unfold", x.shape, 2)
    size, apart, border, step = arguments
    counts = _counts("unfold", x.shape[-2:], arguments)
    *lead, channels = x.shape[:-2]
    k = len(lead)
    if any(border):
        x = pad(x, [(0, 0)] * (k + 1) + [(p, p) for p in border])
    y = permute(windows(x, size, step, apart), (*range(k), k, k + 3, k + 4, k + 1, k + 2))
    return reshape(y, (*lead, channels * math.prod(size), math.prod(counts)))


@composite(
    formula="y = 0, with y[n,c, o·stride + i·dilation - padding, ...] += x[n, (c,i,j), (o,p)], p and j likewise",
    onnx="Col2Im",
)
def fold(
    input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """`nn.Fold` as a function.

    Raises
        ShapeError: the input does not hold the blocks of such an output.
    """
    x = as_tensor(input)
    lengths = per_axis("fold: output_size", output_size, 2, 1)
    arguments = _arguments("fold", kernel_size, dilation, padding, stride)
    size, apart, border, step = arguments
    counts = _counts("fold", lengths, arguments)
    elements, blocks = math.prod(size), math.prod(counts)
    if x.ndim not in (2, 3) or x.shape[-2] % elements or x.shape[-1] != blocks:
        raise ShapeError(
            "pool.fold-shape",
            op="fold",
            shape=x.shape,
            output_size=lengths,
            size=size,
            elements=elements,
            blocks=blocks,
        )
    *lead, channels = x.shape[:-1]
    k = len(lead)
    y = reshape(x, (*lead, channels // elements, *size, *counts))
    y = permute(y, (*range(k), k, k + 3, k + 4, k + 1, k + 2))
    y = overlap_add(y, tuple(n + 2 * p for n, p in zip(lengths, border, strict=True)), step, apart)
    if any(border):
        y = y[(..., *(slice(p, p + n) for n, p in zip(lengths, border, strict=True)))]
    return y


class _Blocks(Module):
    """What Unfold and Fold share."""

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> None:
        _arguments(type(self).__name__, kernel_size, dilation, padding, stride)
        self.kernel_size, self.dilation = plain(kernel_size), plain(dilation)
        self.padding, self.stride = plain(padding), plain(stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Unfold(_Blocks):
    """The windows of a plane as columns.

        y[n, (c,i,j), (o,p)] = x[n,c, o·stride + i·dilation - padding, p·stride + j·dilation - padding]

    Parameters
        kernel_size, dilation, padding, stride : whole numbers, or pairs (height, width).
    Raises
        ShapeError: when called with another shape than (N, C, H, W) or (C, H, W), or where no window fits.
    Examples
        >>> from pellucid import nn
        >>> nn.Unfold(2)([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]).tolist()
        [[1.0, 2.0], [2.0, 3.0], [4.0, 5.0], [5.0, 6.0]]
    """

    def forward(self, x: Any) -> Tensor:
        """x (N, C, H, W) -> (N, C·(elements of a window), windows); (C, H, W) likewise without N."""
        return unfold(x, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(_Blocks):
    """Columns added where they lie as windows of a plane: the transpose of Unfold. Where windows overlap their elements
    add up.

        y = 0, with y[n,c, o·stride + i·dilation - padding, p·stride + j·dilation - padding] += x[n, (c,i,j), (o,p)]

    Parameters
        output_size : height and width of the plane.
        kernel_size, dilation, padding, stride : whole numbers, or pairs (height, width).
    Raises
        ShapeError: when called with an input that does not hold the blocks of such an output.
    """

    def __init__(
        self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        per_axis("Fold: output_size", output_size, 2, 1)
        super().__init__(kernel_size, dilation, padding, stride)
        self.output_size = plain(output_size)

    def forward(self, x: Any) -> Tensor:
        """x (N, C·(elements of a window), windows) -> (N, C, H, W); without N likewise."""
        return fold(x, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, {super().extra_repr()}"
