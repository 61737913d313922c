"""The losses by hand: worked values, exact gradients at huge logits, weights, reductions, edge sizes."""

import math
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import DataError, LabelError, PellucidWarning, ShapeError
from pellucid.nn import losses
from pellucid.nn.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    focal_loss,
    mse_loss,
    multilabel_soft_margin_loss,
    nll_loss,
    quantile_loss,
)
from tests.nn.differentiated import leaf, value_and_gradient

# Worked examples


def test_squared_error_and_its_gradient_come_from_the_same_reduction() -> None:
    target = [[0.0, 1.0], [1.0, 0.0]]
    p = leaf([[0.1, 0.9], [0.8, 0.2]])
    y, g = value_and_gradient(mse_loss, p, target)
    assert y == pytest.approx(0.025)
    np.testing.assert_allclose(g, [[0.05, -0.05], [-0.1, 0.1]])
    p = leaf([[0.1, 0.9], [0.8, 0.2]])
    y = mse_loss(p, target, reduction="none").sum(1).mean()
    y.backward()
    assert y.item() == pytest.approx(0.05)
    np.testing.assert_allclose(p.grad.numpy(), [[0.1, -0.1], [-0.2, 0.2]])


@pytest.mark.parametrize("from_logits", [True, False])
def test_the_coat_network_loses_what_was_worked_out_by_hand(from_logits: bool) -> None:
    w1, b1 = leaf([[-0.5, 1, 0.5], [-1, 0.5, 0.5]]), leaf([0, 1])
    w2, b2 = leaf([[0.8, -0.5]]), leaf([0.2])
    x = pl.Tensor(np.array([[10.0, 1.0, 1.0]]))
    z = pl.relu(x @ w1.T + b1) @ w2.T + b2
    y = binary_cross_entropy_with_logits(z, [[1.0]]) if from_logits else binary_cross_entropy(pl.sigmoid(z), [[1.0]])
    y.backward()
    assert y.item() == pytest.approx(0.5981388694, abs=1e-10)
    assert b2.grad.item() == pytest.approx(-0.4501660027, abs=1e-10)
    for p in (w1, b1, w2):
        assert not p.grad.numpy().any()


def test_values_by_hand() -> None:
    def value(name: str, *args: Any, **kwargs: Any) -> Any:
        arrays = [np.asarray(a, np.float64) if not isinstance(a, np.ndarray) else a for a in args]
        return getattr(losses, name)(*arrays, **kwargs).tolist()

    none = {"reduction": "none"}
    assert value("l1_loss", [1, -2], [3, -2], **none) == [2, 0]
    assert value("huber_loss", [0.5, 3], [0, 0], **none) == [0.125, 2.5]
    assert value("huber_loss", [0.5, 3], [0, 0], delta=2.0, **none) == [0.125, 4]
    assert value("smooth_l1_loss", [0.5, 3], [0, 0], beta=2.0, **none) == [0.0625, 2]
    assert value("poisson_nll_loss", [0, math.log(3)], [2, 1], **none) == pytest.approx([1, 3 - math.log(3)])
    stirling = 4 * math.log(4) - 4 + 0.5 * math.log(8 * math.pi)
    assert value("poisson_nll_loss", [0, 0], [4, 1], full=True, **none) == pytest.approx([1 + stirling, 1])
    assert value("gaussian_nll_loss", [1.0], [3.0], 4.0, **none) == pytest.approx([0.5 * (math.log(4) + 1)])
    assert value("kl_div", np.log([[0.5, 0.5]]), [[1.0, 0.0]]) == pytest.approx(math.log(2))
    assert value("margin_ranking_loss", [1, 1], [2, 2], [1, -1], margin=0.5, **none) == [1.5, 0]
    assert value("hinge_embedding_loss", [2.0, 0.25], [1, -1], **none) == [2, 0.75]
    assert value("multi_margin_loss", [[1, 0.5, -3]], np.array([0])) == pytest.approx(0.5 / 3)
    assert value("multi_margin_loss", [[1, 0.5, -3]], np.array([1]), p=2) == pytest.approx(2.25 / 3)
    # PyTorch's documented example: the right classes are 3 and 0.
    assert value("multilabel_margin_loss", [[0.1, 0.2, 0.4, 0.8]], np.array([[3, 0, -1, 1]])) == pytest.approx(0.85)
    assert value("cosine_embedding_loss", [[1, 0], [1, 1]], [[0, 2], [2, 2]], [1, -1], **none) == pytest.approx([1, 1])
    triplet = [[0, 0]], [[3, 4]], [[0, 1]]
    assert value("triplet_margin_loss", *triplet, eps=0.0) == pytest.approx(5)
    assert value("triplet_margin_loss", *triplet, eps=0.0, p=1) == pytest.approx(7)
    assert value("pairwise_distance", [[0, 0]], [[3, 4]], eps=0.0) == [5]
    assert value("soft_margin_loss", [0.0], [1.0]) == pytest.approx(math.log(2))
    assert value("multilabel_soft_margin_loss", [[0.0, 0.0]], [[1, 0]]) == pytest.approx(math.log(2))
    assert value("nll_loss", np.log([[0.25, 0.75]]), np.array([0])) == pytest.approx(math.log(4))


def test_class_weights_divide_the_mean() -> None:
    x = np.zeros((2, 2))
    y = cross_entropy(x, [0, 1], [1.0, 3.0], reduction="none")
    np.testing.assert_allclose(y.numpy(), [math.log(2), 3 * math.log(2)])
    assert cross_entropy(x, [0, 1], [1.0, 3.0]).item() == pytest.approx(math.log(2))
    assert nll_loss(np.log([[0.5, 0.5], [0.25, 0.75]]), [0, 1], [1.0, 3.0]).item() == pytest.approx(
        (math.log(2) - 3 * math.log(0.75)) / 4
    )


def test_ignored_labels_count_nowhere() -> None:
    x = leaf([[0.0, 0.0], [5.0, -5.0]])
    y = cross_entropy(x, [0, -100])
    y.backward()
    assert y.item() == pytest.approx(math.log(2))
    assert x.grad.tolist() == [[-0.5, 0.5], [0, 0]]
    assert cross_entropy(x, [0, -100], reduction="none").tolist() == pytest.approx([math.log(2), 0])
    assert cross_entropy(x, [0, 1], ignore_index=1).item() == pytest.approx(math.log(2))


def test_probabilities_as_targets_equal_labels_where_they_are_certain() -> None:
    x = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]])
    hard = cross_entropy(x, [2, 0], reduction="none")
    soft = cross_entropy(x, np.eye(3)[[2, 0]], reduction="none")
    np.testing.assert_allclose(soft.numpy(), hard.numpy(), rtol=1e-14)


def test_quantiles() -> None:
    x = leaf([0.0, 0.0, 0.0])
    y, g = value_and_gradient(quantile_loss, x, [2.0, -2.0, 0.0], 0.9, reduction="none")
    assert y == pytest.approx([1.8, 0.2, 0])
    np.testing.assert_allclose(g, [-0.9, 0.1, -0.4])
    # On its last axis one output for each quantile.
    several = quantile_loss([[0.0, 0.0]], [2.0], (0.25, 0.9), reduction="none")
    np.testing.assert_allclose(several.numpy(), [[0.5, 1.8]], rtol=1e-6)
    assert nn.QuantileLoss([0.25, 0.9])([[0.0, 0.0]], [2.0]).item() == pytest.approx(1.15)


def test_the_pinball_loss_is_least_at_the_quantile() -> None:
    data = np.arange(1.0, 100.0)
    candidates = [quantile_loss(np.full(99, c), data, 0.8).item() for c in data]
    assert data[int(np.argmin(candidates))] == 80


def test_focal_loss_by_hand() -> None:
    p = 1 / (1 + math.exp(-1.5))
    assert focal_loss([1.5], [1.0]).item() == pytest.approx(-((1 - p) ** 2) * math.log(p), rel=1e-6)
    assert focal_loss([1.5], [0.0], alpha=0.25).item() == pytest.approx(-0.75 * p**2 * math.log(1 - p), rel=1e-6)
    x = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]])
    np.testing.assert_allclose(focal_loss(x, [2, 1], 0.0).item(), cross_entropy(x, [2, 1]).item(), rtol=1e-14)
    q = np.exp(x[0]) / np.exp(x[0]).sum()
    y = focal_loss(x[0], 2, 2.0, [1.0, 1.0, 0.5]).item()
    assert y == pytest.approx(-0.5 * (1 - q[2]) ** 2 * math.log(q[2]))


# Reductions, weights, edges


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("mse_loss", None),
        ("l1_loss", None),
        ("huber_loss", None),
        ("smooth_l1_loss", None),
        ("quantile_loss", None),
        ("poisson_nll_loss", None),
        ("binary_cross_entropy", None),
        ("binary_cross_entropy_with_logits", None),
        ("focal_loss", "hard"),
        ("focal_loss", "labels"),
        ("cross_entropy", "labels"),
        ("cross_entropy", None),
        ("nll_loss", "labels"),
    ],
)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_sample_weight_of_two_equals_having_the_row_twice(name: str, target: str | None, reduction: str) -> None:
    r = np.random.default_rng(1)
    x = r.uniform(0.1, 0.9, (3, 4))
    x = np.log(x / x.sum(1, keepdims=True)) if name == "nll_loss" else x
    t: Any = r.dirichlet(np.ones(4), 3)
    t = {"labels": np.array([3, 0, 2]), "hard": (t > 0.2) * 1.0}.get(target or "", t)
    function = getattr(losses, name)
    weighted, repeated = leaf(x), leaf(x[[0, 1, 1, 2]])
    y = function(weighted, t, reduction=reduction, sample_weight=[1.0, 2.0, 1.0])
    z = function(repeated, t[[0, 1, 1, 2]], reduction=reduction)
    y.backward()
    z.backward()
    assert y.item() == pytest.approx(z.item(), rel=1e-12)
    g = repeated.grad.numpy()
    np.testing.assert_allclose(weighted.grad.numpy(), [g[0], g[1] + g[2], g[3]], rtol=1e-12)
    single = function(leaf(x), t, reduction="none", sample_weight=[1.0, 2.0, 0.0]).numpy()
    np.testing.assert_allclose(single, (function(leaf(x), t, reduction="none").numpy().T * [1, 2, 0]).T)


def test_sample_weights_meet_class_weights_places_and_ignored_labels() -> None:
    r = np.random.default_rng(2)
    x = r.normal(size=(3, 2, 4))
    labels = np.array([[0, 1, -100, 1], [1, 1, 0, 0], [-100, 0, 1, 0]])
    again = [0, 1, 1, 2]
    weight = [1.0, 3.0]
    for w in (None, weight):
        y = cross_entropy(x, labels, w, sample_weight=[1.0, 2.0, 1.0])
        assert y.item() == pytest.approx(cross_entropy(x[again], labels[again], w).item(), rel=1e-12)
    kept = np.where(labels < 0, 0, labels)
    y = cross_entropy(x, kept, sample_weight=[1.0, 2.0, 1.0])
    assert y.item() == pytest.approx(cross_entropy(x[again], kept[again]).item(), rel=1e-12)


def test_weights_that_leave_nothing_are_refused() -> None:
    for call in (
        lambda: mse_loss([1.0, 2.0], [0.0, 0.0], sample_weight=[0.0, 0.0]),
        lambda: cross_entropy([[1.0, 2.0]], [0], sample_weight=[0.0]),
        lambda: cross_entropy([[1.0, 2.0]], [0], [0.0, 1.0]),
    ):
        with pytest.raises(DataError, match="all weights are 0"):
            call()
    for bad in ([-1.0, 1.0], [math.nan, 1.0], [math.inf, 1.0]):
        with pytest.raises(DataError, match="negative or not finite"):
            mse_loss([1.0, 2.0], [0.0, 0.0], sample_weight=bad)


def test_the_mean_of_ignored_labels_is_refused() -> None:
    for function in (cross_entropy, nll_loss):
        x = [[-0.5, -1.0], [-1.0, -0.5]]
        with pytest.raises(LabelError, match="every label is ignored"):
            function(x, [-100, -100])
        assert function(x, [-100, -100], reduction="sum").item() == 0
        assert function(x, [-100, -100], reduction="none").tolist() == [0, 0]


def test_empty_batches() -> None:
    empty, rows = np.zeros((0, 3)), np.zeros(0)
    calls: list[Any] = [
        lambda **kw: mse_loss(empty, empty, **kw),
        lambda **kw: cross_entropy(empty, rows.astype(int), **kw),
        lambda **kw: nll_loss(empty, rows.astype(int), **kw),
        lambda **kw: binary_cross_entropy(empty, empty, **kw),
        lambda **kw: binary_cross_entropy_with_logits(empty, empty, **kw),
        lambda **kw: multilabel_soft_margin_loss(empty, empty, **kw),
        lambda **kw: focal_loss(empty, rows.astype(int), **kw),
        lambda **kw: losses.multi_margin_loss(empty, rows.astype(int), **kw),
        lambda **kw: losses.multilabel_margin_loss(empty, empty.astype(int), **kw),
        lambda **kw: losses.kl_div(empty, empty, **{"reduction": "batchmean", **kw}),
        lambda **kw: losses.triplet_margin_loss(empty, empty, empty, **kw),
        lambda **kw: losses.cosine_embedding_loss(empty, empty, rows, **kw),
    ]
    for call in calls:
        assert call(reduction="sum").item() == 0
        assert call(reduction="none").size == 0
        with pytest.raises(ShapeError, match="there is nothing to average"):
            call()


def test_the_loss_keeps_the_dtype_of_the_network() -> None:
    x = leaf([[0.5, 1.0]], np.float32)
    wide = np.array([[0.25, 1.0]])
    for y in (mse_loss(x, wide), binary_cross_entropy_with_logits(x, wide), mse_loss(x, [[0, 1]])):
        assert y.dtype == np.float32
    assert mse_loss([1, 2], [3, 2]).item() == 2
    for kind in (np.int8, np.uint8, np.int32, np.uint64):
        assert cross_entropy(x, np.array([1], kind)).item() == pytest.approx(math.log(1 + math.exp(-0.5)))
    assert binary_cross_entropy_with_logits(x, [[True, False]]).dtype == np.float32


def test_negative_log_likelihood_of_something_else_is_reported() -> None:
    with pytest.warns(PellucidWarning, match="nll_loss takes log-probabilities, but the loss is negative"):
        nll_loss([[3.0, 1.0]], [0])


# Modules


def test_modules_call_the_functions() -> None:
    r = np.random.default_rng(3)
    x, t = r.normal(size=(3, 4)), r.normal(size=(3, 4))
    assert nn.MSELoss()(x, t).item() == mse_loss(x, t).item()
    labels = [0, 3, 1]
    loss = nn.CrossEntropyLoss([1.0, 2.0, 3.0, 4.0], label_smoothing=0.1)
    assert loss(x, labels).item() == cross_entropy(x, labels, [1.0, 2.0, 3.0, 4.0], label_smoothing=0.1).item()
    assert nn.FocalLoss(alpha=[1.0, 2.0, 3.0, 4.0])(x, labels).item() == focal_loss(x, labels, 2.0, [1, 2, 3, 4]).item()
    assert nn.FocalLoss(1.0, 0.3)(x, t > 0).item() == focal_loss(x, t > 0, 1.0, 0.3).item()


def test_modules_show_what_they_were_given() -> None:
    assert repr(nn.MSELoss()) == "MSELoss()"
    assert repr(nn.HuberLoss(delta=2.0, reduction="sum")) == "HuberLoss(delta=2.0, reduction='sum')"
    assert repr(nn.KLDivLoss(log_target=True)) == "KLDivLoss(log_target=True)"
    assert repr(nn.QuantileLoss([0.1, 0.9])) == "QuantileLoss(quantile=(0.1, 0.9))"


def test_class_weights_are_part_of_the_state() -> None:
    loss = nn.CrossEntropyLoss(weight=[1.0, 2.0])
    assert {k: v.tolist() for k, v in loss.state_dict().items()} == {"weight": [1, 2]}
    assert not list(loss.parameters())


def test_the_distance_of_triplets_is_of_the_callers_choice() -> None:
    loss = nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: pl.abs(a - b).max(-1), margin=0.5)
    assert loss([[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 1.0]]).item() == 3.5


def test_kullback_leibler_divergence_is_one_by_default() -> None:
    q, p = np.array([[0.5, 0.5], [0.1, 0.9]]), np.array([[0.9, 0.1], [0.5, 0.5]])
    by_hand = (p * np.log(p / q)).sum(1).mean()
    assert nn.KLDivLoss()(np.log(q), p).item() == pytest.approx(by_hand)
    assert nn.KLDivLoss(reduction="mean")(np.log(q), p).item() == pytest.approx(by_hand / 2)
