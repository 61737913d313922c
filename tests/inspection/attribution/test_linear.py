"""Every method on functions that are linear, whose attribution is known by hand: w_i x_i, or w_i."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn

W = np.array([[2.0, -3.0, 0.5], [1.0, 1.0, -4.0]])
X = np.array([[1.0, 4.0, 2.0], [0.5, -1.0, 3.0], [-2.0, 0.25, 1.0]])


def model() -> nn.Linear:
    layer = nn.Linear(3, 2, bias=False).double()
    layer.load_state_dict({"weight": W})
    return layer


SHARES: list[Callable[..., Any]] = [
    pl.gradient_times_input,
    pl.integrated_gradients,
    pl.occlusion,
    pl.shapley_values,
    lambda *args, **kwargs: pl.layerwise_relevance(*args, epsilon=0.0, **kwargs),
]


@pytest.mark.parametrize("method", SHARES)
def test_shares_are_weights_times_inputs(method: Callable[..., Any]) -> None:
    for target in (0, 1):
        found = method(model(), X, target)
        np.testing.assert_allclose(found.scores, W[target] * X, rtol=1e-12)
        np.testing.assert_allclose(found.outputs, X @ W[target], rtol=1e-12)
        np.testing.assert_allclose(found.totals, X @ W[target], rtol=1e-12)
        if found.completeness_error is not None:
            assert found.relative_error < 1e-12


@pytest.mark.parametrize("method", [pl.integrated_gradients, pl.occlusion, pl.shapley_values])
def test_shares_of_the_difference_from_a_baseline(method: Callable[..., Any]) -> None:
    baseline = np.array([0.5, -1.0, 2.0])
    found = method(model(), X, 1, baseline=baseline)
    np.testing.assert_allclose(found.scores, W[1] * (X - baseline), rtol=1e-12)
    rows = np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 0.0], [0.0, 0.0, 3.0]])
    np.testing.assert_allclose(method(model(), X, 1, baseline=rows).scores, W[1] * (X - rows), rtol=1e-12)


@pytest.mark.parametrize("method", [pl.smooth_grad, lambda *args: pl.saliency(*args, absolute=False)])
def test_slopes_are_weights(method: Callable[..., Any]) -> None:
    np.testing.assert_allclose(method(model(), X, 1).scores, np.tile(W[1], (3, 1)), rtol=1e-12)


def test_saliency_is_the_size_of_the_gradient() -> None:
    found = pl.saliency(model(), X, 0)
    np.testing.assert_allclose(found.scores, np.tile([2.0, 3.0, 0.5], (3, 1)), rtol=1e-12)
    assert found.completeness_error is None
    assert found.relative_error is None


def test_a_target_for_each_row_the_largest_a_place_or_a_function() -> None:
    each = pl.gradient_times_input(model(), X, [1, 0, 1])
    np.testing.assert_allclose(each.scores, W[[1, 0, 1]] * X)
    assert each.targets == ("1", "0", "1")
    largest = pl.gradient_times_input(model(), X)
    chosen = np.argmax(X @ W.T, axis=1)
    np.testing.assert_allclose(largest.scores, W[chosen] * X)
    assert largest.targets == tuple(map(str, chosen.tolist()))
    np.testing.assert_allclose(pl.gradient_times_input(model(), X, (1,)).scores, W[1] * X)
    margin = pl.gradient_times_input(model(), X, lambda y: y[:, 0] - y[:, 1])
    np.testing.assert_allclose(margin.scores, (W[0] - W[1]) * X)


@pytest.mark.parametrize("method", [*SHARES, pl.saliency, pl.smooth_grad])
def test_nothing_in_the_network_changes(method: Callable[..., Any]) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.ReLU(), nn.Linear(4, 2))
    network[1].eval()
    before = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    first = method(network, X, 0).scores
    np.testing.assert_array_equal(method(network, X, 0).scores, first)  # eval mode: no dropout
    assert [m.training for m in network.modules()] == [True, True, False, True, True]
    assert all(p.grad is None for p in network.parameters())
    assert not any(m._hooks for m in network.modules())
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


@pytest.mark.parametrize("method", [*SHARES, pl.saliency])
def test_a_layer_in_place_of_the_input(method: Callable[..., Any]) -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2, bias=False)).double()
    inner = network[1](network[0](X)).numpy()
    found = method(network, X, 1, layer="1")
    weight = network[2].weight.numpy()[1]
    expected = np.abs(np.tile(weight, (3, 1))) if found.method == "saliency" else weight * inner
    np.testing.assert_allclose(found.inputs, inner)
    np.testing.assert_allclose(found.scores, expected, rtol=1e-12)
    assert found.layer == "1"


def test_token_numbers_by_their_embedding() -> None:
    pl.manual_seed(0)
    network = nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(12, 2, bias=False))
    tokens = np.array([[1, 2, 3, 4], [6, 0, 0, 5]])
    found = pl.gradient_times_input(network, tokens, 1, layer="0")
    table, weight = network[0].weight.numpy(), network[2].weight.numpy()[1].reshape(4, 3)
    np.testing.assert_allclose(found.scores, table[tokens] * weight, rtol=1e-5)
    # A token covered by token 0: the embeddings' difference times the weights.
    lost = ((table[tokens] - table[0]) * weight).sum(axis=2)
    for method in (pl.occlusion, pl.shapley_values):
        np.testing.assert_allclose(method(network, tokens, 1, baseline=0).scores, lost, rtol=1e-4, atol=1e-6)


def test_rows_are_explained_alone() -> None:
    pl.manual_seed(1)
    network = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    for method in [*SHARES, pl.saliency, pl.smooth_grad]:
        whole = method(network, X, 1).scores
        alone = np.concatenate([method(network, X[n : n + 1], 1).scores for n in range(3)])
        np.testing.assert_allclose(whole, alone, rtol=1e-9, err_msg=str(method))


def test_it_says_what_it_means_in_both_languages() -> None:
    found = pl.integrated_gradients(model(), X[:1], 1)
    assert str(found).splitlines() == [
        "integrated gradients: scores (1, 3)",
        "explained   1 (-3)",
        "sum is off  by at most 0, 0 of what it should be",
        "with        tolerance=0.01, steps=8",
        "meaning     each number's share of the difference between this output and the baseline's",
        f"caveat      {found.caveat}",
    ]
    assert found.caveat == (
        "another baseline gives other shares; inputs between the two may be unlike anything the network was trained on"
    )
    pl.set_language("zh")
    try:
        assert str(found).splitlines()[0] == "积分梯度：得分 (1, 3)"
        assert "份额" in found.meaning
        assert "基线" in found.caveat
    finally:
        pl.set_language(None)
    assert repr(found) == "<attribution integrated-gradients: scores (1, 3)>"
