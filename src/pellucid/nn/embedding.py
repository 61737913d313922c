"""Embedding: whole numbers enter, each is replaced by a row of a table that is learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Flag, Integer, Real, check, checked
from pellucid.core.context import default_dtype, expect, no_grad
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import DTypeError, IndexRangeError, ShapeError
from pellucid.nn import init
from pellucid.nn._allocation import zeros
from pellucid.nn.module import Module, Parameter
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import greater, logical_and, not_equal, where
from pellucid.ops.index import scatter_add, take
from pellucid.ops.reduce import norm
from pellucid.ops.shape import cast, expand_dims, flatten

_NORM = Real(0, left_open=True)


@composite(formula="y[...,d] = weight[input[...],d]", onnx=NONE("Gather"))
def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
) -> Tensor:
    """The rows of a table at the given indices.

    Parameters
        input : indices from 0 on, whole numbers of any shape.
        weight : the table, Tensor, shape (num_embeddings, embedding_dim).
        padding_idx : index whose row gets no gradient; negative counts from the end.
        max_norm : rows in use that are longer are first shortened to this length, in the table itself.
        norm_type : p of the norm that measures the length.
        scale_grad_by_freq : divide the gradient of each row by how often it is used in this call.
    Returns
        Tensor, shape (*input.shape, embedding_dim)
    Raises
        IndexRangeError: an index is not a row of the table.
        DTypeError: the indices are not whole numbers.
    """
    table, indices = as_tensor(weight), as_tensor(input)
    if table.ndim != 2:
        raise ShapeError("nn.embedding-table", shape=table.shape)
    _check_indices(indices, table.shape[0])
    padding = None if padding_idx is None else _row(padding_idx, table.shape[0])
    if max_norm is not None:
        _shorten(table, indices, max_norm, norm_type)
    y = take(table, indices, 0)
    if padding is None and not scale_grad_by_freq:
        return y
    # y itself, but with only the wanted part of the gradient.
    fixed = y.detach()
    if scale_grad_by_freq:
        y = fixed + (y - fixed) / expand_dims(take(_counts(table, indices), indices, 0), -1)
    return y if padding is None else where(expand_dims(not_equal(indices, padding), -1), y, fixed)


def _check_indices(indices: Tensor, rows: int) -> None:
    if indices.dtype.kind not in "iu":
        raise DTypeError("nn.embedding-dtype", dtype=indices.dtype)
    expect(indices, lambda values: _check_rows(values, rows))


def _check_rows(values: Array, rows: int) -> None:
    if values.size and not (int(values.min()) >= 0 and int(values.max()) < rows):
        wrong = (values < 0) | (values >= rows)
        place = np.argwhere(wrong)[0]
        raise IndexRangeError(
            "nn.embedding-index",
            index=int(values[tuple(place)]),
            place=tuple(int(n) for n in place),
            rows=rows,
            last=rows - 1,
            count=int(wrong.sum()),
        )


def _row(index: int, rows: int) -> int:
    check("Embedding: padding_idx", index, Integer(-rows, rows - 1))
    return index % rows


def _counts(table: Tensor, indices: Tensor) -> Tensor:
    """How often each row is used, in the table's dtype."""
    flat = flatten(indices)
    zeros, ones = np.zeros(table.shape[0], table.dtype), np.ones(flat.shape, table.dtype)
    return scatter_add(wrap(zeros), cast(flat, np.int64), wrap(ones))


def _shorten(table: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> None:
    check("Embedding: max_norm", max_norm, _NORM)
    check("Embedding: norm_type", norm_type, _NORM)
    with no_grad():
        length = norm(table, norm_type, -1, keepdims=True)
        used = expand_dims(greater(_counts(table, indices), 0), -1)
        # The small number is PyTorch's: the result is never longer than max_norm, in spite of rounding.
        shorter = table * (max_norm / (length + 1e-7))
        table.assign(where(logical_and(used, length > max_norm), shorter, table))


class Embedding(Module):
    """A table of vectors that are learned, one for each of a closed set of things such as words; indices enter, their
    vectors leave.

        y[...,d] = weight[x[...],d]

    Parameters
        num_embeddings : rows of the table.
        embedding_dim : length of each vector.
        padding_idx : index whose vector starts at 0 and is not trained; negative counts from the end.
        max_norm : vectors in use that are longer are first shortened to this length, in the table itself; None for no
            limit.
        norm_type : p of the norm that measures the length.
        scale_grad_by_freq : divide the gradient of each vector by how often it is used in the batch.
        dtype : dtype of the table; None is the default dtype.
    Attributes
        weight : Parameter, shape (num_embeddings, embedding_dim), at first normal with mean 0 and variance 1.
    Raises
        IndexRangeError: when called with an index that is not a row of the table.
        DTypeError: when called with numbers that are not whole.
    Examples
        >>> from pellucid import nn
        >>> nn.Embedding(10, 3)([[1, 2, 4, 5], [4, 3, 2, 9]]).shape
        (2, 4, 3)
    """

    takes_indices = True
    weight: Parameter

    @checked(
        num_embeddings=Integer(1),
        embedding_dim=Integer(1),
        padding_idx=Integer(none=True),
        max_norm=Real(0, left_open=True, none=True),
        norm_type=_NORM,
        scale_grad_by_freq=Flag(),
    )
    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        *,
        dtype: Any = None,
    ) -> None:
        self.num_embeddings, self.embedding_dim = int(num_embeddings), int(embedding_dim)
        self.padding_idx = None if padding_idx is None else _row(padding_idx, num_embeddings)
        self.max_norm, self.norm_type = max_norm, float(norm_type)
        self.scale_grad_by_freq = bool(scale_grad_by_freq)
        kind = default_dtype() if dtype is None else dtype
        self.weight = Parameter(zeros(self, (num_embeddings, embedding_dim)), dtype=kind)
        self.reset_parameters()

    @classmethod
    def from_pretrained(cls, embeddings: Any, freeze: bool = True, padding_idx: int | None = None) -> Embedding:
        """An Embedding whose table is given, shape (num_embeddings, embedding_dim), and by default not trained."""
        table = as_tensor(embeddings)
        if table.ndim != 2:
            raise ShapeError("nn.embedding-table", shape=table.shape)
        rows, length = table.shape
        layer = cls(rows, length, padding_idx, dtype=table.dtype)
        layer.weight.assign(wrap(table.data.copy()))
        layer.weight.requires_grad_(not freeze)
        return layer

    def reset_parameters(self) -> None:
        """Draw the table anew: normal with mean 0 and variance 1, the padding row 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            value = self.weight.data.copy()
            value[self.padding_idx] = 0
            self.weight.assign(wrap(value))

    def forward(self, x: Any) -> Tensor:
        """x (...) whole numbers -> (..., embedding_dim)."""
        return embedding(x, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq)

    def _features_after(self, given: int | None) -> int | None:
        return self.embedding_dim

    def extra_repr(self) -> str:
        words = f"{self.num_embeddings}, {self.embedding_dim}"
        if self.padding_idx is not None:
            words += f", padding_idx={self.padding_idx}"
        if self.max_norm is not None:
            words += f", max_norm={self.max_norm}"
        if self.norm_type != 2:
            words += f", norm_type={self.norm_type}"
        return words + (", scale_grad_by_freq=True" if self.scale_grad_by_freq else "")
