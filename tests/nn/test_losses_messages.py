"""The options that losses refuse, and the words of their messages, in full and in both languages."""

import re
from typing import Any

import numpy as np
import pytest

import pellucid
from pellucid import nn, set_language
from pellucid.core.check import Constraint
from pellucid.errors import ArgumentError, ArgumentTypeError, PellucidError, ShapeError
from pellucid.nn import losses
from pellucid.nn.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    focal_loss,
    mse_loss,
    quantile_loss,
)

R = np.random.default_rng(0)
X = R.uniform(0.1, 0.9, (4, 3))
SIGN = R.choice([-1.0, 1.0], (4, 3))
LABELS = np.array([0, 2, 1, 0])


def constructors() -> list[tuple[type[nn.Module], str, Constraint]]:
    found = []
    for name in losses.__all__:
        cls = getattr(losses, name)
        if isinstance(cls, type):
            found += [(cls, k, v) for k, v in getattr(cls.__init__, "constraints", {}).items()]
    return found


@pytest.mark.parametrize(("cls", "name", "constraint"), constructors(), ids=lambda v: getattr(v, "__name__", str(v)))
def test_options_outside_their_range_are_refused(cls: type[nn.Module], name: str, constraint: Constraint) -> None:
    for bad in constraint.invalid():
        with pytest.raises((ArgumentError, ArgumentTypeError)):
            cls(**{name: bad})


def test_options_of_functions_are_checked_too() -> None:
    for call in (
        lambda: losses.huber_loss(X, X, delta=0.0),
        lambda: losses.smooth_l1_loss(X, X, beta=-1.0),
        lambda: losses.multi_margin_loss(X, LABELS, p=3),
        lambda: losses.triplet_margin_loss(X, X, X, margin=0.0),
        lambda: cross_entropy(X, LABELS, label_smoothing=1.5),
        lambda: focal_loss(X, LABELS, -1.0),
        lambda: focal_loss(X, X > 0.5, alpha=1.5),
        lambda: quantile_loss(X, X, 1.0),
        lambda: quantile_loss(X, X, (0.5, 0.0)),
        lambda: quantile_loss(X, X, ()),
        lambda: nn.QuantileLoss(2.0),
        lambda: nn.FocalLoss(alpha=2.0),
        lambda: mse_loss(X, X, reduction="avg"),
        lambda: cross_entropy(X, LABELS, reduction="avg"),
        lambda: losses.kl_div(np.log(X), X, reduction="avg"),
        lambda: losses.soft_margin_loss(X, SIGN, reduction="avg"),
        lambda: losses.triplet_margin_loss(X, X, X, reduction="batchmean"),
    ):
        with pytest.raises((ArgumentError, ArgumentTypeError)):
            call()


# Words


def message(call: Any) -> str:
    with pytest.raises(PellucidError) as caught:
        call()
    return re.sub(r"\n  (at:|位置：).*", "", str(caught.value))


def test_messages_in_full() -> None:
    z = pellucid.Tensor(X, requires_grad=True)
    assert message(lambda: mse_loss(np.zeros((32, 1)), np.zeros(32))) == (
        "mse_loss: the shapes differ, and a loss never broadcasts\n"
        "  given:    input (32, 1), target (32,)\n"
        "  expected: target (32, 1)\n"
        "  fix:      target.reshape(-1, 1)"
    )
    assert message(lambda: mse_loss(np.zeros((32, 1)), np.zeros((31, 1)))) == (
        "mse_loss: the shapes differ, and a loss never broadcasts\n"
        "  given:    input (32, 1), target (31, 1)\n"
        "  expected: target (32, 1)"
    )
    assert message(lambda: losses.triplet_margin_loss(X, X, X[:1])) == (
        "triplet_margin_loss: the shapes differ, and a loss never broadcasts\n"
        "  given:    anchor (4, 3), positive (4, 3), negative (1, 3)\n"
        "  expected: negative (4, 3)"
    )
    assert message(lambda: cross_entropy(np.zeros((3, 3)), [1, 3, 2])) == (
        "cross_entropy: label 3 at row 1; the net has 3 outputs\n"
        "  given:    labels from 1 to 3\n"
        "  expected: labels from 0 to 2\n"
        "  fix:      target - 1"
    )
    assert message(lambda: cross_entropy(np.zeros((2, 3)), [0.5, 1.0])) == (
        "cross_entropy: class labels are whole numbers\n"
        "  given:    target (2,), dtype float32\n"
        "  expected: whole numbers, one a row; or, for cross_entropy, probabilities as floats of the input's shape"
    )
    assert message(lambda: cross_entropy(np.zeros((32, 1)), np.zeros(32, int))) == (
        "cross_entropy: one output cannot tell classes apart\n"
        "  given:    input (32, 1): 1 class on axis 1\n"
        "  expected: one output for each class, 2 at least\n"
        "  fix:      did you mean BCEWithLogitsLoss? It takes one output, with float targets of its shape"
    )
    assert message(lambda: cross_entropy(pellucid.softmax(z), LABELS)) == (
        "cross_entropy takes logits, but its input is the output of softmax\n"
        "  given:    softmax output (4, 3)\n"
        "  expected: what comes before softmax; the loss applies it itself\n"
        "  fix:      leave out Softmax at the end of the network"
    )
    assert message(lambda: binary_cross_entropy_with_logits(pellucid.sigmoid(z), X)) == (
        "binary_cross_entropy_with_logits takes logits, but its input is the output of sigmoid\n"
        "  given:    sigmoid output (4, 3)\n"
        "  expected: what comes before sigmoid; the loss applies it itself\n"
        "  fix:      leave out Sigmoid at the end of the network"
    )
    assert message(lambda: binary_cross_entropy([2.0], [1.0])) == (
        "binary_cross_entropy takes probabilities, but the input leaves [0, 1]\n"
        "  given:    2.0 at row 0\n"
        "  expected: values in [0, 1], such as the output of sigmoid\n"
        "  fix:      BCEWithLogitsLoss, if these are logits"
    )
    assert message(lambda: cross_entropy(X, np.full(4, -100))) == (
        "cross_entropy: every label is ignored, so there is nothing to average\n"
        "  given:    4 label(s), all equal to ignore_index\n"
        "  expected: at least one label that counts"
    )
    assert message(lambda: cross_entropy(X, LABELS, [1.0, 2.0])) == (
        "cross_entropy: weight does not fit the input\n  given:    weight (2,)\n  expected: shape (3,)"
    )
    assert message(lambda: quantile_loss(X, X[:, 0], (0.1, 0.9))) == (
        "quantile_loss: several quantiles need one output each\n"
        "  given:    input (4, 3), target (4,), 2 quantiles\n"
        "  expected: input (4, 2)"
    )


def test_messages_in_chinese() -> None:
    set_language("zh")
    try:
        assert message(lambda: mse_loss(np.zeros((32, 1)), np.zeros(32))) == (
            "mse_loss：形状不同，而损失函数绝不广播\n"
            "  给出：input (32, 1), target (32,)\n"
            "  应为：target (32, 1)\n"
            "  改法：target.reshape(-1, 1)"
        )
        assert message(lambda: cross_entropy(np.zeros((1, 3)), [7])) == (
            "cross_entropy：第 0 行的标签为 7，而网络有 3 个输出\n  给出：标签从 7 到 7\n  应为：标签从 0 到 2"
        )
    finally:
        set_language(None)


def test_the_error_names_the_loss_module() -> None:
    with pytest.raises(ShapeError) as caught:
        nn.HuberLoss(delta=2.0)(np.zeros((3, 1)), np.zeros(3))
    assert caught.value.at.endswith("HuberLoss(delta=2.0)")
