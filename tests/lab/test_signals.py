"""Variances, gradients and learning rates, against mean-field theory, PyTorch and eigenvalues by NumPy."""

import numpy as np
import pytest

from pellucid import nn
from pellucid._typing import Array
from pellucid.core.tensor import Tensor
from pellucid.data import Dataset, digits
from pellucid.lab import learning_rate, vanishing, variance

pytest.importorskip("matplotlib")


def squashed(q: float) -> float:
    """E[tanh(z)²] for z normal with variance q, by Gauss and Hermite's quadrature."""
    places, weights = np.polynomial.hermite_e.hermegauss(101)
    return float(np.sum(weights * np.tanh(np.sqrt(q) * places) ** 2) / np.sqrt(2 * np.pi))


def test_variances_are_those_of_infinitely_wide_layers() -> None:
    found = variance.run(0)
    q = [1.0]
    for _ in range(9):
        q.append(squashed(q[-1]))
    assert found.value("variance-xavier-tanh") == pytest.approx((q[-1] / q[0]) ** (1 / 9), rel=0.02)
    assert found.value("variance-left-tanh") == pytest.approx(100 * q[-1], rel=0.1)
    assert found.value("variance-xavier-linear") == pytest.approx(1, rel=0.03)
    assert found.value("variance-he-relu") == pytest.approx(1, rel=0.03)
    assert found.value("gradient-variance-he-relu") == pytest.approx(1, rel=0.03)
    assert found.value("variance-xavier-relu") == pytest.approx(0.5, rel=0.03)
    assert found.value("variance-fixed-tanh") == pytest.approx(256 * 0.01**2, rel=0.03)
    assert found.confirmed is False  # 6 % is not half


def test_the_verdict_on_variances_follows_the_numbers() -> None:
    rules = ("xavier-linear", "xavier-linear", "he-relu", "xavier-relu", "fixed-tanh")
    assert variance.run(1, rules, draws=2).confirmed is True
    rules = ("xavier-linear", "xavier-linear", "xavier-relu", "xavier-relu", "fixed-tanh")
    assert variance.run(1, rules, draws=2).confirmed is False


@pytest.mark.torch
@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.ReLU])
def test_gradients_of_hidden_layers_are_pytorchs(activation: type[nn.Module]) -> None:
    torch = pytest.importorskip("torch")
    model, rows = vanishing.network(activation, 3), digits()
    data = Dataset(rows.x[:50], rows.y[:50])
    x, outputs = torch.tensor(data.x, dtype=torch.float64), []
    for layer in model:
        if isinstance(layer, nn.Linear):
            weight, bias = (torch.tensor(p.numpy().astype(np.float64)) for p in (layer.weight, layer.bias))
            x = (x @ weight.T + bias).requires_grad_()
        else:
            x = torch.sigmoid(x) if activation is nn.Sigmoid else torch.relu(x)
            x.retain_grad()
            outputs.append(x)
    torch.nn.functional.cross_entropy(x, torch.tensor(np.asarray(data.y))).backward()
    expected = [float(o.grad.norm()) for o in outputs]
    np.testing.assert_allclose(vanishing.gradient_sizes(model, data), expected, rtol=1e-3)


def test_a_factor_is_the_geometric_mean() -> None:
    assert vanishing.factor(np.array([1.0, 5.0, 16.0])) == 0.25
    assert variance.factor(np.array([1.0, 5.0, 16.0])) == 4.0


def test_sigmoid_passes_on_less_than_a_quarter() -> None:
    found = vanishing.run(0, epochs=4)
    assert found.confirmed
    assert found.value("gradient-left-sigmoid") < 0.25**9
    assert found.value("vanishing-accuracy-relu") > 90
    planted = vanishing.run(0, squashing=nn.ReLU, epochs=1)
    assert planted.confirmed is False
    assert planted.value("gradient-factor-sigmoid") == planted.value("gradient-factor-relu")


def hessian(x: Array) -> Array:
    """Of the mean squared error of a linear model with a bias: 2/n Σ [x, 1][x, 1]ᵀ."""
    rows = np.column_stack([x, np.ones(len(x))])
    result: Array = 2 * rows.T @ rows / len(rows)
    return result


def test_the_edge_is_two_over_the_largest_eigenvalue() -> None:
    found = learning_rate.run(0)
    _, data = learning_rate.bowl(0)
    largest = np.linalg.eigvalsh(hessian(np.asarray(data.x)))[-1]
    assert found.value("largest-eigenvalue") == pytest.approx(largest, rel=1e-5)
    assert found.value("rate-limit") == pytest.approx(2 / largest, rel=1e-5)
    assert found.value("edge-bowl") == pytest.approx(1, abs=0.01)
    assert found.value("edge-minimum") == pytest.approx(1, abs=0.02)
    assert found.confirmed
    # A rate below the edge is not too large.
    planted = learning_rate.run(0, large=0.9, halvings=5)
    assert planted.confirmed is False
    assert planted.value("loss-share-large") < 1


def test_descent_is_that_of_the_formula() -> None:
    model = nn.Linear(1, 1, bias=False, dtype=np.float64)
    model.load_state_dict({"weight": np.array([[1.0]])})
    losses = learning_rate.descent(model, Dataset(np.array([[1.0]]), np.array([[0.0]])), 0.25, 3)
    # w² with the rate 1/4: w is halved in each step.
    np.testing.assert_allclose(losses, [1, 1 / 4, 1 / 16, 1 / 64])
    assert Tensor(model.weight.numpy()).item() == 1.0  # the model stays as it was
    runs_away = learning_rate.descent(model, Dataset(np.array([[1.0]]), np.array([[0.0]])), 1e3, 300)
    assert len(runs_away) < 10
