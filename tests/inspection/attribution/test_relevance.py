"""Layer-wise relevance against its two formulas written out in NumPy, and its conservation."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid._typing import Array

EPSILON = 1e-3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 6))
PICTURES = np.abs(RNG.normal(size=(3, 2, 6, 6)))


def shared_epsilon(x: Array, w: Array, b: Array, r: Array, epsilon: float = EPSILON) -> Array:
    """Relevance of inputs x (n,) from that of z = x w + b (m,), as Bach et al., equation 58."""
    z = x @ w + b
    out = np.zeros(len(x))
    for j in range(len(z)):
        for i in range(len(x)):
            out[i] += x[i] * w[i, j] / (z[j] + (epsilon if z[j] >= 0 else -epsilon)) * r[j]
    return out


def shared_positive(x: Array, w: Array, b: Array, r: Array, epsilon: float = EPSILON) -> Array:
    """The z+ rule: by the positive products alone, without the bias."""
    out = np.zeros(len(x))
    for j in range(w.shape[1]):
        parts = np.maximum(x * w[:, j], 0)
        out += parts / (parts.sum() + epsilon) * r[j]
    return out


def mlp() -> nn.Sequential:
    pl.manual_seed(2)
    return nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 3)).double()


@pytest.mark.parametrize(("rule", "shared"), [("epsilon", shared_epsilon), ("z+", shared_positive)])
def test_a_dense_network_by_the_formula(rule: str, shared: Callable[..., Array]) -> None:
    model = mlp()
    found = pl.layerwise_relevance(model, X, 1, rule=rule, epsilon=EPSILON)
    for row in range(4):
        values = [X[row]]
        for layer in model:
            values.append(layer(values[-1][None]).numpy()[0])
        r = np.zeros(3)
        r[1] = values[5][1]
        for place in (4, 2, 0):  # activations hand relevance on
            layer = model[place]
            r = shared(values[place], layer.weight.numpy().T, layer.bias.numpy(), r)
        np.testing.assert_allclose(found.scores[row], r, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.completeness_error[row], r.sum() - values[5][1], rtol=1e-9, atol=1e-12)


def test_for_relus_the_epsilon_rule_is_the_gradient_times_the_input() -> None:
    # Ancona et al., Towards better understanding of gradient-based attribution methods, 2018, section 2.1.
    pl.manual_seed(6)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(5, 3)
    ).double()
    found = pl.layerwise_relevance(model, PICTURES, 2, epsilon=1e-13)
    np.testing.assert_allclose(found.scores, pl.gradient_times_input(model, PICTURES, 2).scores, rtol=1e-8, atol=1e-11)


def as_matrix(layer: nn.Module, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """A linear layer as x w + b on flat rows, from what it makes of unit vectors."""
    size = int(np.prod(shape))
    b = layer(np.zeros((1, *shape))).numpy().ravel()
    w = layer(np.eye(size).reshape(size, *shape)).numpy().reshape(size, -1) - b
    return w, b


@pytest.mark.parametrize("convolution_rule", ["epsilon", "z+"])
def test_convolution_normalisation_and_pooling_by_the_formula(convolution_rule: str) -> None:
    pl.manual_seed(5)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2)
    ).double()
    # Scales of both signs: a negative one turns what speaks for a channel around.
    model[1].weight.assign(pl.tensor([1.5, -0.7, 0.4], dtype=np.float64))
    model[1].bias.assign(pl.tensor([0.1, 0.9, -0.2], dtype=np.float64))
    model[1].running_mean.assign(pl.tensor([0.2, -0.1, 0.3], dtype=np.float64))
    model[1].running_var.assign(pl.tensor([0.5, 2.0, 1.0], dtype=np.float64))
    model.eval()
    # The rule for a convolution and its normalisation is that of the one convolution that they are together.
    w, b = as_matrix(nn.Sequential(model[0], model[1]), (2, 6, 6))
    shared = shared_positive if convolution_rule == "z+" else shared_epsilon
    found = pl.layerwise_relevance(model, PICTURES, 0, convolution_rule=convolution_rule, epsilon=1e-12)
    dense = model[5].weight.numpy().T[:, :1], model[5].bias.numpy()[:1]
    for row in range(3):
        x = PICTURES[row].ravel()
        a = np.maximum(x @ w + b, 0).reshape(3, 4, 4)
        pooled = a.reshape(3, 2, 2, 2, 2).max(axis=(2, 4)).ravel()
        r = shared_epsilon(pooled, *dense, model(PICTURES[row : row + 1]).numpy()[0, :1], 1e-12).reshape(3, 2, 2)
        routed = np.zeros((3, 4, 4))
        for k in range(3):
            for i in range(2):
                for j in range(2):
                    block = a[k, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
                    hit = np.unravel_index(block.argmax(), (2, 2))
                    routed[k, 2 * i + hit[0], 2 * j + hit[1]] = r[k, i, j]
        expected = shared(x, w, b, routed.ravel(), 1e-12)
        np.testing.assert_allclose(found.scores[row].ravel(), expected, rtol=1e-6, atol=1e-9)


def networks() -> dict[str, tuple[nn.Module, Array, Any]]:
    pl.manual_seed(8)
    rng = np.random.default_rng(3)
    residual = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.Residual(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.ReLU())),
        nn.AvgPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3, bias=False),
    )
    recurrent = nn.LSTM(3, 4, bias=False, batch_first=True)
    return {
        "dense": (nn.Sequential(nn.Linear(6, 8, bias=False), nn.ReLU(), nn.Linear(8, 2, bias=False)), X, 1),
        "residual": (residual, PICTURES, 1),
        "recurrent": (_First(recurrent), rng.normal(size=(2, 4, 3)), (3, 1)),
    }


class _First(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.layer(x)[0]


@pytest.mark.parametrize("name", networks())
def test_without_biases_nothing_is_lost(name: str) -> None:
    model, x, target = networks()[name]
    found = pl.layerwise_relevance(model.double(), x, target, epsilon=1e-12)
    np.testing.assert_allclose(found.totals, found.outputs, rtol=1e-6)
    assert abs(float(found.parts["lost"])) < 1e-6
    assert float(found.parts["constants"]) == 0.0


@pytest.mark.parametrize("name", ["dense", "residual"])
def test_by_the_positive_rule_nothing_is_lost(name: str) -> None:
    model, x, target = networks()[name]
    found = pl.layerwise_relevance(model.double(), np.abs(x), target, rule="z+", epsilon=1e-12)
    np.testing.assert_allclose(found.totals, found.outputs, rtol=1e-6)


def test_biases_take_what_is_missing() -> None:
    pl.manual_seed(1)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    cases: list[tuple[nn.Module, Array, Any]] = [
        (mlp(), X, 0),
        (nn.TransformerEncoder(layer, 2).double(), np.random.default_rng(0).normal(size=(3, 5, 8)), (2, 1)),
        (_First(nn.GRU(3, 4, batch_first=True)).double(), np.random.default_rng(1).normal(size=(2, 4, 3)), (3, 0)),
    ]
    for model, x, target in cases:
        found = pl.layerwise_relevance(model, x, target, epsilon=1e-10)
        together = found.totals.sum() + found.parts["constants"] + found.parts["lost"]
        np.testing.assert_allclose(together, found.outputs.sum(), rtol=1e-9)
        np.testing.assert_allclose(found.completeness_error, found.totals - found.outputs, rtol=1e-9)
        assert abs(float(found.parts["lost"])) < 1e-5


def test_a_gate_gets_nothing_and_a_product_halves() -> None:
    x = np.array([[2.0, 3.0]])
    gated = pl.layerwise_relevance(lambda x: x[:, 0] * pl.sigmoid(x[:, 1]), x, epsilon=0.0)
    np.testing.assert_allclose(gated.scores, [[2 / (1 + np.exp(-3)), 0]])
    product = pl.layerwise_relevance(lambda x: x[:, 0] * x[:, 1], x, epsilon=0.0)
    np.testing.assert_allclose(product.scores, [[3.0, 3.0]])
    ratio = pl.layerwise_relevance(lambda x: x[:, 0] / x[:, 1], x, epsilon=0.0)
    np.testing.assert_allclose(ratio.scores, [[2 / 3, 0.0]])


def test_a_maximum_gets_all() -> None:
    x = np.array([[2.0, 3.0, -1.0]])
    np.testing.assert_allclose(pl.layerwise_relevance(lambda x: x.max(axis=1), x).scores, [[0.0, 3.0, 0.0]])
    two = pl.layerwise_relevance(lambda x: pl.maximum(x[:, 0], x[:, 1]) - x[:, 2], x, epsilon=0.0)
    np.testing.assert_allclose(two.scores, [[0.0, 3.0, 1.0]])


def test_probabilities_are_refused_and_so_is_what_has_no_rule() -> None:
    with pytest.raises(pl.errors.GradientError) as error:
        pl.layerwise_relevance(nn.Sequential(mlp(), nn.Softmax(axis=1)), X, 1)
    assert error.value.what == (
        "relevance does not pass a softmax, and the explained output is reached through one alone"
    )
    with pytest.raises(pl.errors.GradientError) as error:
        pl.layerwise_relevance(lambda x: pl.logsumexp(x, axis=1), X)
    assert error.value.what == "layer-wise relevance has no rule for logsumexp"
