"""Losses are exact: at huge logits, of probabilities with or without a history, against differences, recorded."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pellucid as pl
from pellucid.autograd import grad
from pellucid.gradient_check import check_gradients
from pellucid.graph import record, run
from pellucid.nn import losses
from pellucid.nn.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    focal_loss,
    multilabel_soft_margin_loss,
    nll_loss,
    soft_margin_loss,
)
from tests.nn.differentiated import DTYPES, leaf, value_and_gradient


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [50.0, 1e4])
def test_gradients_are_exact_at_huge_logits(dtype: Any, size: float) -> None:
    wrong, right = [-size, size], [1.0, 0.0]
    for function, target in [
        (binary_cross_entropy_with_logits, right),
        (lambda x, t, **kw: binary_cross_entropy(pl.sigmoid(x), t, **kw), right),
        (lambda x, t, **kw: binary_cross_entropy_with_logits(x, t, pos_weight=[1.0, 1.0], **kw), right),
        (soft_margin_loss, [1.0, -1.0]),
    ]:
        y, g = value_and_gradient(function, leaf(wrong, dtype), target, reduction="none")
        assert y == [size, size]
        np.testing.assert_allclose(g, [-1, 1], rtol=0, atol=1e-15)
        y, g = value_and_gradient(function, leaf([size, -size], dtype), target, reduction="none")
        tail = math.exp(-size)
        np.testing.assert_allclose(y, [tail, tail], rtol=1e-5)
        np.testing.assert_allclose(g, [-tail, tail], rtol=1e-5)
    y, g = value_and_gradient(multilabel_soft_margin_loss, leaf([wrong], dtype), [right], reduction="none")
    assert y == [size]
    np.testing.assert_allclose(g, [[-0.5, 0.5]], rtol=0, atol=1e-15)
    for gamma in (0.0, 0.5, 2.0):
        y, g = value_and_gradient(focal_loss, leaf(wrong, dtype), right, gamma, reduction="none")
        assert y == [size, size]
        np.testing.assert_allclose(g, [-1, 1], rtol=1e-6)
        y, g = value_and_gradient(focal_loss, leaf([size, -size], dtype), right, gamma, reduction="none")
        np.testing.assert_allclose([*y, *g], 0, atol=1e-10)
        y, g = value_and_gradient(focal_loss, leaf([wrong, wrong], dtype), [0, 1], gamma, reduction="none")
        np.testing.assert_allclose(y, [2 * size, 0], rtol=1e-6, atol=1e-30)
        np.testing.assert_allclose(g, [[-1, 1], [0, 0]], rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0.0, 1e4, -1e4])
def test_cross_entropy_is_exact_however_large_the_logits_are(dtype: Any, offset: float) -> None:
    rows = [[0.0, 1.0, -1.0], [0.0, 1.0, -1.0], [2e4, 0.0, 0.0]]
    labels = [0, 2, 1]
    e = math.exp(1)
    p = [1 / (1 + e + 1 / e), e / (1 + e + 1 / e), 1 / e / (1 + e + 1 / e)]
    values = [-math.log(p[0]), -math.log(p[2]), 2e4]
    gradients = [[p[0] - 1, p[1], p[2]], [p[0], p[1], p[2] - 1], [1, -1, 0]]
    tolerance = 1e-6 if dtype is np.float32 else 1e-12
    for function in (cross_entropy, lambda x, t, **kw: nll_loss(pl.log_softmax(x, 1), t, **kw)):
        y, g = value_and_gradient(function, leaf(np.array(rows) + offset, dtype), labels, reduction="none")
        np.testing.assert_allclose(y, values, rtol=tolerance)
        np.testing.assert_allclose(g, gradients, rtol=tolerance, atol=tolerance)


def test_the_loss_of_probabilities_is_the_same_with_and_without_a_history() -> None:
    z = pl.Tensor([20.0, -200.0, 3.0])
    target = [0.0, 1.0, 1.0]
    expected = [20.0, 200.0, math.log1p(math.exp(-3))]
    assert binary_cross_entropy(pl.sigmoid(z), target, reduction="none").tolist() == pytest.approx(expected)
    with pl.no_grad():
        assert binary_cross_entropy(pl.sigmoid(z), target, reduction="none").tolist() == pytest.approx(expected)
    tracked = leaf([20.0, -200.0, 3.0])
    y = binary_cross_entropy(pl.sigmoid(tracked).reshape(3, 1), np.reshape(target, (3, 1)), reduction="none")
    assert y.reshape(-1).tolist() == pytest.approx(expected)


def test_probabilities_are_exact_however_sigmoid_was_moved() -> None:
    # -log sigmoid(-900) = 900 and its slope is -1, where sigmoid itself is 0.
    for move in (lambda p: p.T, lambda p: p[0, 1:], lambda p: p[np.array([0])], lambda p: p[:, None].squeeze(1)):
        z = leaf([[-900.0, -900.0]])
        p = move(pl.sigmoid(z))
        y = binary_cross_entropy(p, np.ones(p.shape), reduction="sum")
        assert y.item() == pytest.approx(900.0 * p.size)
        assert grad(y, z).sum().item() == -p.size


def test_probabilities_that_were_changed_are_taken_as_they_are() -> None:
    for tracked in (False, True):
        p = pl.sigmoid(pl.Tensor([0.0, 0.0], requires_grad=tracked))
        p *= 0.5
        assert binary_cross_entropy(p, [1.0, 1.0]).item() == pytest.approx(math.log(4))
    with pl.no_grad():
        z = pl.Tensor([0.0, 0.0])
        p = pl.sigmoid(z)
        z += 5.0
        assert binary_cross_entropy(p, [1.0, 1.0]).item() == pytest.approx(math.log(2))


def test_probabilities_without_logits_are_bounded() -> None:
    p = leaf([0.0, 1.0, 1e-30, 0.0, 1.0, 0.5])
    y, g = value_and_gradient(binary_cross_entropy, p, [1.0, 0.0, 1.0, 0.0, 1.0, 1.0], reduction="none")
    assert y == pytest.approx([100, 100, 30 * math.log(10), 0, 0, math.log(2)])
    np.testing.assert_allclose(g, [0, 0, -1e30, 1, -1, -2])


@given(st.floats(-3e4, 3e4), st.lists(st.floats(-20, 20), min_size=2, max_size=5))
def test_cross_entropy_does_not_depend_on_a_common_offset(offset: float, row: list[float]) -> None:
    shifted = np.array(row) + offset
    y = cross_entropy(shifted, 0).item()
    # The same differences without the offset.
    assert y == pytest.approx(cross_entropy(shifted - shifted.max(), 0).item(), rel=1e-12, abs=1e-12)


def smooth_cases() -> list[Any]:
    r = np.random.default_rng(0)
    x, t = r.normal(size=(4, 3)), r.normal(size=(4, 3))
    labels, sign, unit = np.array([0, 2, 1, 1]), r.choice([-1.0, 1.0], (4, 3)), r.uniform(0.1, 0.9, (4, 3))
    return [
        ("mse_loss", [x, t], {}),
        ("l1_loss", [x, t], {}),
        ("huber_loss", [x, t], {}),
        ("smooth_l1_loss", [x, t], {"beta": 0.7}),
        ("quantile_loss", [x, t], {"quantile": 0.3}),
        ("cross_entropy", [x, labels], {"weight": np.array([1.0, 2.0, 0.5]), "label_smoothing": 0.1}),
        ("cross_entropy", [x, unit / unit.sum(1, keepdims=True)], {}),
        ("focal_loss", [x, labels], {"gamma": 1.5}),
        ("focal_loss", [x, (unit > 0.5) * 1.0], {"alpha": 0.25}),
        ("poisson_nll_loss", [x, np.abs(np.round(t)) * 2], {"full": True}),
        ("gaussian_nll_loss", [x, t, unit], {}),
        ("binary_cross_entropy", [unit, unit[::-1].copy()], {}),
        ("binary_cross_entropy_with_logits", [x, unit], {"pos_weight": np.array([1.0, 3.0, 0.5])}),
        ("soft_margin_loss", [x, sign], {}),
        ("margin_ranking_loss", [x, t, sign], {"margin": 0.2}),
        ("hinge_embedding_loss", [x, sign], {}),
        ("multi_margin_loss", [x, labels], {"p": 2}),
        ("multilabel_margin_loss", [x, np.array([[0, -1, 0], [1, 2, -1], [2, 1, 0], [-1, 0, 0]])], {}),
        ("cosine_embedding_loss", [x, t, sign[:, 0]], {"margin": 0.1}),
        ("triplet_margin_loss", [x, t, unit], {"swap": True}),
    ]


@pytest.mark.parametrize("case", smooth_cases(), ids=lambda c: c[0])
def test_gradients_equal_differences(case: Any) -> None:
    name, (x, *rest), options = case
    check_gradients(lambda x: getattr(losses, name)(x, *rest, **options), [x])


@pytest.mark.parametrize("name", ["huber_loss", "smooth_l1_loss", "mse_loss"])
def test_curvature_at_the_minimum(name: str) -> None:
    x = leaf([0.0])
    (g,) = (grad(getattr(losses, name)(x, [0.0]), x, create_graph=True),)
    assert grad(g.sum(), x).item() == (2.0 if name == "mse_loss" else 1.0)


# Recorded graphs


def test_a_recorded_cross_entropy_looks_for_ignored_labels_in_every_batch() -> None:
    x = np.random.default_rng(4).normal(size=(4, 3))
    labels = np.array([0, 2, 1, 0])
    for option in ({}, {"weight": [1.0, 2.0, 3.0]}, {"label_smoothing": 0.1}):
        for function in (cross_entropy, nll_loss):
            if function is nll_loss and "label_smoothing" in option:
                continue
            graph = record(
                lambda x, y, f=function, o=option: f(pl.log_softmax(x), y, **o), pl.Tensor(x), pl.Tensor(labels)
            )
            for other in (labels, np.array([-100, 1, 2, -100])):
                eager = function(pl.log_softmax(pl.Tensor(x)), other, **option)
                assert run(graph, x, other).outputs == eager.numpy()


def test_recorded_losses_give_the_same_bits() -> None:
    for name, (x, *rest), options in smooth_cases():
        function = getattr(losses, name)
        graph = record(lambda x, f=function, r=rest, o=options: f(x, *r, **o), pl.Tensor(x))
        assert run(graph, x).outputs == function(x, *rest, **options).numpy(), name
