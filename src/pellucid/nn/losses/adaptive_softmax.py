"""Cross-entropy over very many classes, of which few are frequent. Features (N, D) and labels come in; the
log-probability of each label and their mean leave. Rare classes are grouped in clusters, which are computed only for
the rows that need them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pellucid.core.check import Flag, Integer, Real, checked
from pellucid.core.context import expect
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import ArgumentError, ShapeError
from pellucid.nn.containers import ModuleList, Sequential
from pellucid.nn.linear import Linear
from pellucid.nn.losses._checks import as_input
from pellucid.nn.losses._classes import check_labels
from pellucid.nn.module import Module
from pellucid.ops.elementwise import negative
from pellucid.ops.index import scatter_add, take, take_along_axis
from pellucid.ops.log_softmax import log_softmax
from pellucid.ops.reduce import argmax, mean
from pellucid.ops.shape import concatenate, expand_dims, reshape

_NAME = "AdaptiveLogSoftmaxWithLoss"


class AdaptiveLogSoftmaxResult(NamedTuple):
    """What AdaptiveLogSoftmaxWithLoss gives: the log-probability of each label, and minus their mean."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """A linear layer, softmax over very many classes and its cross-entropy, at the cost of the frequent ones.

        log p(c) = log softmax(head(x))_c                                   for c below cutoffs[0]
        log p(c) = log softmax(head(x))_k + log softmax(tail_k(x))_c        for c in cluster k

    Classes are to be numbered by how frequent they are, 0 the most frequent. It has parameters: hand them to the
    optimizer too.

    Parameters
        in_features : length of the features that come in.
        n_classes : number of classes.
        cutoffs : rising whole numbers from 1 to n_classes - 1: the first class of each cluster.
        div_value : cluster k (from 1) computes with in_features // div_value**k features.
        head_bias : whether the layer for the frequent classes has a bias.
        dtype : dtype of the parameters; None is the default dtype.
    Attributes
        head : Linear, from the features to the frequent classes and one output for each cluster.
        tail : ModuleList of two Linear layers for each cluster.
    Raises
        ArgumentError: the cutoffs do not rise within the classes, or a cluster would have no features.
        ShapeError, DTypeError, LabelError: when called with labels that do not fit.
    Source
        E. Grave et al., Efficient softmax approximation for GPUs, arXiv:1609.04309.
    """

    head: Linear
    tail: ModuleList

    @checked(in_features=Integer(1), n_classes=Integer(2), div_value=Real(0, left_open=True), head_bias=Flag())
    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        *,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        ends = list(cutoffs) if isinstance(cutoffs, list | tuple) else []
        whole = all(isinstance(c, int | np.integer) for c in ends)
        if not ends or not whole or any(a >= b for a, b in zip([0, *ends], [*ends, n_classes], strict=True)):
            raise ArgumentError("losses.cutoffs", given=repr(cutoffs), last=n_classes - 1)
        self.in_features, self.n_classes = int(in_features), int(n_classes)
        self.cutoffs = [*map(int, ends), self.n_classes]
        self.div_value, self.head_bias = float(div_value), bool(head_bias)
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head = Linear(in_features, self.shortlist_size + self.n_clusters, head_bias, dtype=dtype)
        self.tail = ModuleList()
        for k in range(self.n_clusters):
            features = int(in_features // div_value ** (k + 1))
            if features < 1:
                raise ArgumentError("losses.cluster-features", cluster=k + 1, features=in_features, div=div_value)
            classes = self.cutoffs[k + 1] - self.cutoffs[k]
            self.tail.append(
                Sequential(
                    Linear(in_features, features, bias=False, dtype=dtype),
                    Linear(features, classes, bias=False, dtype=dtype),
                )
            )

    def forward(self, input: Any, target: Any) -> AdaptiveLogSoftmaxResult:
        """Features (N, D) and labels (N,), or (D,) and (): the labels' log-probabilities, and minus their mean."""
        x, t = as_input(input), as_tensor(target)
        if x.ndim not in (1, 2):
            raise ShapeError("losses.no-features", loss=_NAME, shape=x.shape)
        shape = (*x.shape[:-1], self.n_classes)
        expect(t, lambda labels: check_labels(_NAME, shape, len(shape) - 1, labels, None))
        if t.size == 0:
            raise ShapeError("losses.empty", loss=_NAME, shape=t.shape)
        t._read()  # which clusters are computed depends on the labels
        rows, labels = reshape(x, (-1, x.shape[-1])), t.data.reshape(-1)
        cluster = np.searchsorted(self.cutoffs, labels, side="right")
        place = np.where(cluster == 0, labels, self.shortlist_size + cluster - 1)
        log_p = reshape(take_along_axis(log_softmax(self.head(rows), 1), wrap(place[:, None]), axis=1), -1)
        for k, layers in enumerate(self.tail):
            mine = np.flatnonzero(cluster == k + 1)
            if mine.size:
                within = wrap((labels[mine] - self.cutoffs[k])[:, None])
                inner = take_along_axis(log_softmax(layers(take(rows, wrap(mine), axis=0)), 1), within, axis=1)
                log_p = scatter_add(log_p, wrap(mine), reshape(inner, -1))
        return AdaptiveLogSoftmaxResult(reshape(log_p, t.shape), negative(mean(log_p)))

    def log_prob(self, input: Any) -> Tensor:
        """The log-probabilities of all classes: (N, in_features) -> (N, n_classes)."""
        x = as_input(input)
        head = log_softmax(self.head(x), -1)
        parts = [head[..., : self.shortlist_size]]
        for k, layers in enumerate(self.tail):
            parts.append(log_softmax(layers(x), -1) + expand_dims(head[..., self.shortlist_size + k], -1))
        return concatenate(parts, -1)

    def predict(self, input: Any) -> Tensor:
        """The most probable class of each row: (N, in_features) -> (N,)."""
        return argmax(self.log_prob(input), -1)

    def extra_repr(self) -> str:
        """The arguments."""
        return (
            f"in_features={self.in_features}, n_classes={self.n_classes}, cutoffs={self.cutoffs[:-1]}, "
            f"div_value={self.div_value:g}, head_bias={self.head_bias}"
        )


__all__ = ["AdaptiveLogSoftmaxResult", "AdaptiveLogSoftmaxWithLoss"]
