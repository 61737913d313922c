"""The losses that hold layers, without PyTorch: values by hand, refusals, and checks of a whole data set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, DTypeError, LabelError, PellucidError, ShapeError
from pellucid.nn import functional as F


def message(problem: pytest.ExceptionInfo[Any]) -> str:
    return "\n".join(line for line in str(problem.value).splitlines() if not line.startswith("  at:"))


def test_linear_cross_entropy_is_that_of_the_logits() -> None:
    # x = 2, weights 1 and -1: logits 2 and -2, so -log p(0) = log(1 + e^-4).
    y = F.linear_cross_entropy([[2.0]], [[1.0], [-1.0]], [0])
    assert y.item() == pytest.approx(0.01814992791780978, abs=1e-7)


def test_adaptive_softmax_by_hand() -> None:
    # All weights 0: the head chooses one of 2 + 1 evenly, the cluster one of 2.
    loss = nn.AdaptiveLogSoftmaxWithLoss(4, 4, [2])
    for p in loss.parameters():
        nn.init.zeros_(p)
    result = loss(np.ones((2, 4)), [1, 3])
    assert result.output.tolist() == pytest.approx([-np.log(3), -np.log(6)], abs=1e-6)
    assert result.loss.item() == pytest.approx((np.log(3) + np.log(6)) / 2, abs=1e-6)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: F.linear_cross_entropy(np.ones((2, 3)), np.ones((4, 2)), [0, 1]), ShapeError),
        (lambda: F.linear_cross_entropy(np.ones((2, 3)), np.ones((4, 3)), [0, 1], linear_bias=np.ones(3)), ShapeError),
        (lambda: F.linear_cross_entropy(np.ones(3), np.ones((4, 2, 3)), [0, 1]), ShapeError),
        (lambda: F.linear_cross_entropy(np.ones((2, 3)), np.ones((4, 3)), [0, 4]), LabelError),
        (lambda: nn.LinearCrossEntropyLoss(3, 1), ArgumentError),
        (lambda: nn.LinearCrossEntropyLoss(3, 4, weight=[1.0, 2.0]), ShapeError),
        (lambda: nn.LinearCrossEntropyLoss(3, 4, out_features=(0,)), ArgumentError),
        (lambda: nn.LinearCrossEntropyLoss(3, 4, options="chunks"), ArgumentError),
        (
            lambda: nn.LinearCrossEntropyLoss(3, 4, ignore_index=1)(np.ones((1, 3)), np.full((1, 4), 0.25)),
            ArgumentError,
        ),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 12, []), ArgumentError),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 12, 4), ArgumentError),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4, 4]), ArgumentError),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 12, [12]), ArgumentError),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 12, [0, 4]), ArgumentError),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(3, 12, [4]), ArgumentError),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4])(np.ones((2, 8)), [0, 12]), LabelError),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4])(np.ones((2, 8)), [0.0, 1.0]), DTypeError),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4])(np.ones((2, 8)), [0]), ShapeError),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4])(np.ones((2, 2, 8)), [[0]]), ShapeError),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4])(np.ones((0, 8)), np.zeros(0, int)), ShapeError),
    ],
)
def test_refusals(call: Any, kind: type[PellucidError]) -> None:
    with pytest.raises(kind):
        call()


def test_the_cluster_without_features_is_named() -> None:
    with pytest.raises(ArgumentError) as problem:
        nn.AdaptiveLogSoftmaxWithLoss(10, 12, [4, 8])
    assert message(problem) == (
        "AdaptiveLogSoftmaxWithLoss: cluster 2 would compute with no feature\n"
        "  given:    in_features = 10, div_value = 4.0\n"
        "  expected: in_features // div_value**2 of 1 at least: fewer cutoffs, more features or a smaller div_value"
    )


def test_a_data_sets_labels_are_checked_against_the_classes() -> None:
    loss = nn.LinearCrossEntropyLoss(3, 4)
    loss.check_targets([0, 3], 3)
    with pytest.raises(LabelError, match="label 4 at row 1"):
        loss.check_targets([0, 4], 3)


def test_their_repr_says_how_they_were_made() -> None:
    assert repr(nn.LinearCrossEntropyLoss(3, 4, bias=True, reduction="sum")).startswith(
        "LinearCrossEntropyLoss(\n  in_features=3, num_classes=4, bias=True, reduction='sum'\n"
    )
    assert "cutoffs=[4], div_value=4, head_bias=False" in repr(nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4]))


def test_float32_stays_float32() -> None:
    x = pl.Tensor(np.ones((2, 8), np.float32))
    assert nn.LinearCrossEntropyLoss(8, 3)(x, [0, 1]).dtype == pl.float32
    assert nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4])(x, [0, 11]).loss.dtype == pl.float32
