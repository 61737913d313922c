"""Convolution and the two operations that its gradients need. `nn.functional` calls them with PyTorch's arguments."""

from __future__ import annotations

from typing import Any

from pellucid.core.op import NONE
from pellucid.ops._families.convolution import convolution as declared

_NO_OPERATOR = NONE("a gradient has no operator of its own")


@declared("y", onnx="Conv")
def convolution(x: Any, k: Any, *, stride: Any, dilation: Any, padding: Any, groups: Any) -> Any:
    """Each window of the input times the kernel, summed: cross-correlation, without turning the kernel round.

    x is (N, C, ...) and k (O, C / groups, ...), both with the same number of spatial axes; the result is (N, O, ...).

    Raises
        ShapeError: the axes or channels do not fit, or the kernel reaches beyond the padded input.
    Source
        Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285, relation 14.
    """


@declared("x", onnx="ConvTranspose")
def convolution_input(y: Any, k: Any, *, stride: Any, dilation: Any, padding: Any, groups: Any, size: Any) -> Any:
    """Each element of y spread over a window by the kernel, summed: transposed convolution.

    It is the gradient of a convolution by its input; `size` is the spatial shape of the result.

    Raises
        ShapeError: the axes or channels do not fit, or a convolution of that size has another output.
    Source
        Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285, chapter 4.
    """


@declared("k", onnx=_NO_OPERATOR)
def convolution_kernel(x: Any, y: Any, *, stride: Any, dilation: Any, padding: Any, groups: Any, size: Any) -> Any:
    """For each element of the kernel, the products of what it meets in x and what it makes in y, summed.

    It is the gradient of a convolution by its kernel; `size` is the spatial shape of the kernel.

    Raises
        ShapeError: a convolution of x with that kernel has another output than y.
    """
