"""Fully connected layers. A Tensor whose last axis holds the features enters, one with other features leaves."""

from __future__ import annotations

import math
from typing import Any

from pellucid.core.check import Flag, Integer, checked
from pellucid.core.context import default_dtype
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ShapeError
from pellucid.nn._allocation import zeros
from pellucid.nn._initial import draw, wrong_features
from pellucid.nn.module import Module, Parameter
from pellucid.ops.declare import NONE, composite
from pellucid.ops.linalg import affine_map, contract, linear_map
from pellucid.ops.shape import reshape


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """Each row of features times the transposed weight, plus the bias.

        y[...,o] = Σ_k input[...,k]·weight[o,k] + bias[o]

    Parameters
        input : Tensor, shape (..., in).
        weight : Tensor, shape (out, in).
        bias : Tensor, shape (out,), or None.
    Raises
        ShapeError: the input has another number of features than the weight takes.
    """
    return linear_map(input, weight) if bias is None else affine_map(input, weight, bias)


class Linear(Module):
    """A fully connected layer: every output is a weighted sum of all inputs plus a bias.

        y[...,o] = Σ_k x[...,k]·weight[o,k] + bias[o]

    Unlike PyTorch's, the weights start by what comes after the layer: in a `Sequential` by the activation that follows
    (He for the ReLU family, Xavier for tanh, sigmoid and softmax, LeCun for SELU), alone by LeCun's rule, uniform with
    variance 1/in_features. The bias starts at 0; in front of ReLU and ReLU6 at 0.01, so that no unit is dead for an
    input of zeros. Its repr says which.

    Parameters
        in_features, out_features : lengths of the last axis that enters and leaves; at least 1.
        bias : whether there is a bias.
        init : how the weights start: a rule ("he normal", "xavier uniform", "lecun", "orthogonal", "torch" for
            PyTorch's own, ...), a function that fills a Tensor (`nn.init.orthogonal_`), or None for the choice above.
        dtype : dtype of the parameters; None is the default dtype.
    Attributes
        weight : Parameter, shape (out_features, in_features).
        bias : Parameter, shape (out_features,), or None.
    Raises
        ShapeError: when called with another number of features.
    Source
        Weights: LeCun et al., Efficient backprop, 1998, eq. 16; and the sources of `nn.init`. Bias: Goodfellow, Bengio
        and Courville, Deep learning, MIT Press 2016, section 6.3.
    Examples
        >>> from pellucid import nn
        >>> nn.Linear(20, 30)([[0.0] * 20]).shape
        (1, 30)
    """

    weight: Parameter
    bias: Parameter | None
    init: str
    _drawn: int | None

    @checked(in_features=Integer(1), out_features=Integer(1), bias=Flag())
    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, init: Any = None, dtype: Any = None
    ) -> None:
        self.in_features = int(in_features)
        self.out_features = int(out_features)
        kind = default_dtype() if dtype is None else dtype
        self.weight = Parameter(zeros(self, (out_features, in_features)), dtype=kind)
        self.register_parameter("bias", Parameter(zeros(self, out_features), dtype=kind) if bias else None)
        draw(self, init)

    def forward(self, x: Any) -> Tensor:
        """x (..., in_features) -> (..., out_features)."""
        try:
            return linear(x, self.weight, self.bias)
        except ShapeError:
            shape = as_tensor(x).shape
            self._features_after(shape[-1] if shape else None)
            raise

    def _features_after(self, given: int | None) -> int | None:
        if given is not None and given != self.in_features:
            raise wrong_features(self, given, self.in_features, f"Linear({given}, {self.out_features})")
        return self.out_features

    def _loaded(self) -> None:
        self.init, self._drawn = "", None

    def _label(self) -> str:
        return f"Linear({self.in_features}, {self.out_features})"

    def extra_repr(self) -> str:
        started = f', init="{self.init}"' if self.init else ""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}{started}"
        )


@composite(formula="y[...,o] = Σ_ij x1[...,i]·weight[o,i,j]·x2[...,j] + bias[o]", onnx=NONE("Einsum"))
def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Tensor:
    """For each output a sum over all pairs of a feature of the first input and one of the second.

    Parameters
        input1, input2 : Tensors, shapes (..., in1) and (..., in2) with equal axes in front.
        weight : Tensor, shape (out, in1, in2).
        bias : Tensor, shape (out,), or None.
    Raises
        ShapeError: the shapes do not fit each other.
    """
    x1, x2, w = as_tensor(input1), as_tensor(input2), as_tensor(weight)
    if w.ndim != 3 or x1.shape[-1:] != w.shape[1:2] or x2.shape[-1:] != w.shape[2:3] or x1.shape[:-1] != x2.shape[:-1]:
        raise ShapeError("nn.bilinear", x1=x1.shape, x2=x2.shape, weight=w.shape)
    lead = x1.shape[:-1]
    if len(lead) != 1:
        rows = math.prod(lead)
        x1, x2 = reshape(x1, (rows, w.shape[1])), reshape(x2, (rows, w.shape[2]))
    y = contract(contract(x1, w, formula="ni,oij->noj"), x2, formula="noj,nj->no")
    if len(lead) != 1:
        y = reshape(y, (*lead, w.shape[0]))
    return y if bias is None else y + bias


class Bilinear(Module):
    """A layer of two inputs: every output is a weighted sum of all products of a feature of the one and a feature of
    the other.

        y[...,o] = Σ_ij x1[...,i]·weight[o,i,j]·x2[...,j] + bias[o]

    Unlike PyTorch's, the bias starts at 0, and the weights so that the variance of the output is the product of the
    inputs' variances.

    Parameters
        in1_features, in2_features, out_features : lengths of the last axes that enter and of the one that leaves.
        bias : whether there is a bias.
        init : how the weights start; as for Linear.
        dtype : dtype of the parameters; None is the default dtype.
    Attributes
        weight : Parameter, shape (out_features, in1_features, in2_features).
        bias : Parameter, shape (out_features,), or None.
    Raises
        ShapeError: when called with inputs that do not fit.
    """

    weight: Parameter
    bias: Parameter | None
    init: str
    _drawn: int | None

    @checked(in1_features=Integer(1), in2_features=Integer(1), out_features=Integer(1), bias=Flag())
    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        *,
        init: Any = None,
        dtype: Any = None,
    ) -> None:
        self.in1_features, self.in2_features = int(in1_features), int(in2_features)
        self.out_features = int(out_features)
        kind = default_dtype() if dtype is None else dtype
        self.weight = Parameter(zeros(self, (out_features, in1_features, in2_features)), dtype=kind)
        self.register_parameter("bias", Parameter(zeros(self, out_features), dtype=kind) if bias else None)
        draw(self, init)

    def forward(self, x1: Any, x2: Any) -> Tensor:
        """x1 (..., in1_features), x2 (..., in2_features) -> (..., out_features)."""
        return bilinear(x1, x2, self.weight, self.bias)

    def _loaded(self) -> None:
        self.init, self._drawn = "", None

    def _label(self) -> str:
        return f"Bilinear({self.in1_features}, {self.in2_features}, {self.out_features})"

    def extra_repr(self) -> str:
        started = f', init="{self.init}"' if self.init else ""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}{started}"
        )
