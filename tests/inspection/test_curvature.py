"""How a network's loss curves: against Hessians formed whole, closed forms, and networks written with other weights."""

import copy
import dataclasses

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.inspection import sharpness
from pellucid.inspection.objective import Objective, rows_for


def regression(rows: int = 40, features: int = 5) -> tuple[nn.Module, tuple[np.ndarray, np.ndarray]]:
    """A linear network in float64, at the least squares."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, features)), rng.normal(size=(rows, 1))
    model = nn.Linear(features, 1, bias=False).double()
    model.load_state_dict({"weight": np.linalg.lstsq(x, y, rcond=None)[0].T})
    return model, (x, y)


def network(seed: int = 0) -> nn.Sequential:
    pl.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)).double()


def rescaled(model: nn.Sequential, a: float) -> nn.Sequential:
    """The same function, with other weights."""
    other = copy.deepcopy(model)
    other[0].weight.data *= a
    other[0].bias.data *= a
    other[2].weight.data /= a
    return other


def whole_hessian(model: nn.Module, data: object, loss: object) -> np.ndarray:
    objective = Objective(model, rows_for(model, data), loss, None)
    columns = [objective.product(e) for e in np.eye(objective.size)]
    return np.stack(columns, axis=1)


MOONS = pl.data.two_moons(60, seed=0)


def test_linear_regression_in_closed_form() -> None:
    model, (x, y) = regression()
    found = pl.curvature(model, (x, y), nn.MSELoss(), num_eigenvalues=5, tolerance=1e-12, num_probes=200)
    hessian = 2 * x.T @ x / len(x)
    expected = np.linalg.eigvalsh(hessian)[::-1]
    np.testing.assert_allclose(found.eigenvalues.largest, expected, rtol=1e-9)
    assert found.eigenvalues.smallest == pytest.approx(expected[-1])
    assert abs(found.trace.value - np.trace(hessian)) < 4 * found.trace.standard_error
    assert found.gradient_norm < 1e-12
    assert found.max_stable_rate == pytest.approx(2 / expected[0])
    # At the minimum of a quadratic the loss rises by ρ²λ/2 at most, and in units of the weights by that of |w|H|w|.
    assert found.sharpness.rise == pytest.approx(0.05**2 * expected[0] / 2, rel=1e-6)
    w = np.abs(model.weight.data[0])
    scaled = np.linalg.eigvalsh(w[:, None] * hessian * w)[::-1]
    assert found.relative_eigenvalues.largest[0] == pytest.approx(scaled[0])
    assert found.relative_sharpness.rise == pytest.approx(0.5**2 * scaled[0] / 2, rel=1e-6)
    assert abs(found.relative_trace.value - scaled.sum()) < 4 * found.relative_trace.standard_error
    assert (found.rows, found.parameters, found.model, found.loss_name) == (40, 5, "Linear", "MSELoss")


def test_products_are_those_of_the_hessian_by_differences() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    objective = Objective(model, rows_for(model, MOONS), nn.CrossEntropyLoss(), None)
    point, v = objective.point(), np.random.default_rng(0).normal(size=objective.size)
    exact = objective.product(v)
    gradients = []
    for sign in (1, -1):
        objective.move(point + sign * 1e-5 * v)
        gradients.append(objective.gradient()[1])
    np.testing.assert_allclose(exact, (gradients[0] - gradients[1]) / 2e-5, rtol=1e-6, atol=1e-8)


def test_eigenvalues_of_a_network_against_the_hessian_formed_whole() -> None:
    model = network()
    whole = whole_hessian(model, MOONS, nn.CrossEntropyLoss())
    np.testing.assert_allclose(whole, whole.T, atol=1e-12)
    expected = np.linalg.eigvalsh(whole)
    found = pl.curvature(model, MOONS, nn.CrossEntropyLoss(), tolerance=1e-9, max_products=65, density=True)
    np.testing.assert_allclose(found.eigenvalues.largest, expected[::-1][:3], rtol=1e-7)
    assert found.eigenvalues.smallest == pytest.approx(expected[0], abs=1e-8)
    assert abs(found.trace.value - np.trace(whole)) < 4 * found.trace.standard_error
    assert found.density is not None
    # Blocks of layers, and their sum.
    assert [layer.path for layer in found.layers] == ["0", "2", "4"]
    assert sum(layer.trace.value for layer in found.layers) == pytest.approx(found.trace.value)
    assert abs(found.layers[0].trace.value - np.trace(whole[:18, :18])) < 4 * found.layers[0].trace.standard_error
    assert [layer.parameters for layer in found.layers] == [18, 35, 12]


@pytest.mark.torch
def test_eigenvalues_and_trace_are_those_of_pytorchs_hessian() -> None:
    import torch

    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x, y = torch.tensor(MOONS.x, dtype=torch.float64), torch.tensor(MOONS.y)
    point = torch.tensor(np.concatenate([p.data.ravel() for p in model.parameters()]))

    def loss(w: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(x @ w[:8].reshape(4, 2).T + w[8:12])
        return torch.nn.functional.cross_entropy(hidden @ w[12:20].reshape(2, 4).T + w[20:], y)

    hessian = torch.autograd.functional.hessian(loss, point).numpy()
    np.testing.assert_allclose(whole_hessian(model, MOONS, nn.CrossEntropyLoss()), hessian, rtol=1e-9, atol=1e-12)
    found = pl.curvature(model, MOONS, nn.CrossEntropyLoss(), num_eigenvalues=5, tolerance=1e-10)
    np.testing.assert_allclose(found.eigenvalues.largest, np.linalg.eigvalsh(hessian)[::-1][:5], rtol=1e-8)
    assert abs(found.trace.value - np.trace(hessian)) < 4 * found.trace.standard_error


@pytest.mark.parametrize("a", [0.25, 4.0, 37.0])
def test_what_is_called_relative_does_not_change_with_the_scale_of_layers(a: float) -> None:
    model = network()
    other = rescaled(model, a)
    np.testing.assert_allclose(other(MOONS.x).data, model(MOONS.x).data, rtol=1e-12)
    options = {"tolerance": 1e-9, "max_products": 65}
    one, two = (pl.curvature(m, MOONS, nn.CrossEntropyLoss(), **options) for m in (model, other))
    for name in ("relative_eigenvalues", "relative_trace", "relative_sharpness"):
        first, second = (dataclasses.astuple(getattr(found, name)) for found in (one, two))
        for p, q in zip(first[:2], second[:2], strict=True):
            np.testing.assert_allclose(p, q, rtol=1e-6, atol=1e-9, err_msg=name)
    for p, q in zip(one.layers, two.layers, strict=True):
        assert p.relative_trace.value == pytest.approx(q.relative_trace.value, rel=1e-9)
    # The plain ones change, as Dinh et al. show.
    assert one.eigenvalues.largest[0] != pytest.approx(two.eigenvalues.largest[0], rel=0.1)
    assert one.sharpness.rise != pytest.approx(two.sharpness.rise, rel=0.1)


def test_the_first_step_of_sam_by_hand() -> None:
    model, (x, y) = regression()
    model.weight.data += 1.0
    w = model.weight.data[0].copy()

    def loss_at(weights: np.ndarray) -> float:
        return float(np.mean((x @ weights - y[:, 0]) ** 2))

    gradient = 2 * x.T @ (x @ w - y[:, 0]) / len(x)
    found = sharpness(model, (x, y), nn.MSELoss(), rho=0.3)
    step = 0.3 * gradient / np.linalg.norm(gradient)
    assert found.one_step == pytest.approx(loss_at(w + step) - loss_at(w))
    assert found.rise >= found.one_step
    # On the ball no point is higher: a fine search over directions.
    directions = np.random.default_rng(0).normal(size=(5, 20_000))
    directions *= 0.3 / np.linalg.norm(directions, axis=0)
    highest = np.mean((x @ (w[:, None] + directions) - y) ** 2, axis=0).max()
    assert highest - loss_at(w) <= found.rise + 1e-9
    adaptive = sharpness(model, (x, y), nn.MSELoss(), rho=0.3, adaptive=True)
    t = np.abs(w)
    step = 0.3 * t * (t * gradient) / np.linalg.norm(t * gradient)
    assert adaptive.one_step == pytest.approx(loss_at(w + step) - loss_at(w))


def test_batches_add_up() -> None:
    model = network()
    options = {"num_eigenvalues": 2, "tolerance": 1e-9, "max_products": 65, "num_probes": 5}
    for loss in (nn.CrossEntropyLoss(), nn.CrossEntropyLoss(reduction="sum")):
        one = pl.curvature(model, MOONS, loss, **options)
        two = pl.curvature(model, MOONS, loss, batch_size=17, **options)
        assert one.loss == pytest.approx(two.loss, rel=1e-12)
        assert one.gradient_norm == pytest.approx(two.gradient_norm, rel=1e-10)
        assert one.trace.value == pytest.approx(two.trace.value, rel=1e-9)
        np.testing.assert_allclose(one.eigenvalues.largest, two.eigenvalues.largest, rtol=1e-8)
    weighted = nn.CrossEntropyLoss(weight=[1.0, 7.0])
    with pytest.raises(pl.errors.ArgumentError, match="does not follow from that of their parts"):
        pl.curvature(model, MOONS, weighted, batch_size=17)
    pl.curvature(model, MOONS, weighted, **options)


def test_the_network_is_left_as_it_is() -> None:
    pl.manual_seed(3)
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.ReLU(), nn.Linear(4, 2))
    model[4].eval()
    nn.functional.cross_entropy(model(MOONS.x.astype(np.float32)), MOONS.y).backward()
    arrays = {name: (p, p.data, p.data.copy()) for name, p in [*model.named_parameters(), *model.named_buffers()]}
    gradients = {name: p.grad for name, p in model.named_parameters()}
    draws = pl.core.rng.default_generator.get_state()
    pl.curvature(model, MOONS, nn.CrossEntropyLoss(), num_probes=2, max_products=6)
    sharpness(model, MOONS, nn.CrossEntropyLoss())
    for name, (tensor, array, values) in arrays.items():
        assert tensor.data is array, name
        np.testing.assert_array_equal(array, values)
    assert all(p.grad is gradients[name] for name, p in model.named_parameters())
    assert [m.training for m in model] == [True, True, True, True, False]
    np.testing.assert_array_equal(draws, pl.core.rng.default_generator.get_state())


def test_an_error_inside_leaves_it_as_it_is_too() -> None:
    model = network()
    before = model[0].weight.data

    def loss(outputs: pl.Tensor, y: pl.Tensor) -> pl.Tensor:
        return outputs.sum() * np.inf

    with pytest.raises(pl.errors.ModelError, match="the loss is not finite"):
        sharpness(model, MOONS, loss)
    assert model[0].weight.data is before
    assert model.training


def test_frozen_parameters_stay_out() -> None:
    model = network()
    model[0].requires_grad_(False)
    found = pl.curvature(model, MOONS, nn.CrossEntropyLoss(), num_probes=2, max_products=5)
    assert found.parameters == 47
    assert [layer.path for layer in found.layers] == ["2", "4"]
    model.requires_grad_(False)
    with pytest.raises(pl.errors.ModelError, match="Sequential has no parameter that is trained"):
        pl.curvature(model, MOONS, nn.CrossEntropyLoss())


def test_convolutions_recurrence_and_attention_have_curvature() -> None:
    rng = np.random.default_rng(0)
    pl.manual_seed(0)

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            self.cell, self.head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return self.head(self.cell(x)[0][:, -1])

    class Attending(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return self.layer(x).mean(axis=1)[:, :2]

    pictures = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 2))
    labels = np.arange(6) % 2
    for model, shape in ((pictures, (6, 1, 6, 6)), (Recurrent(), (6, 5, 3)), (Attending(), (6, 3, 4))):
        model.double()
        data = (rng.normal(size=shape), labels)
        size = sum(p.size for p in model.parameters())
        whole = whole_hessian(model.eval(), data, nn.CrossEntropyLoss())
        found = pl.curvature(
            model, data, nn.CrossEntropyLoss(), num_eigenvalues=1, max_products=size, num_probes=2, tolerance=1e-8
        )
        assert found.eigenvalues.largest[0] == pytest.approx(np.linalg.eigvalsh(whole)[-1], rel=1e-6)


def test_words_in_both_languages() -> None:
    model, data = regression()
    found = pl.curvature(model, data, nn.MSELoss(), num_probes=4, max_products=2, num_eigenvalues=1)
    assert "not converged" in str(found)
    assert "5 parameters" in str(found).splitlines()[0]
    pl.set_language("zh")
    try:
        assert "5 个参数" in str(found)
        assert "未收敛" in str(found)
    finally:
        pl.set_language(None)


def test_what_is_refused() -> None:
    model, (x, y) = regression()
    with pytest.raises(pl.errors.ArgumentTypeError, match="there is no network to look at"):
        pl.curvature(lambda x: x, (x, y), nn.MSELoss())
    with pytest.raises(pl.errors.ArgumentTypeError, match="the loss cannot be called"):
        pl.curvature(model, (x, y), nn.MSELoss)
    with pytest.raises(pl.errors.ModelError, match="gives no single number"):
        pl.curvature(model, (x, y), nn.MSELoss(reduction="none"))
    with pytest.raises(pl.errors.ModelError, match="depends on no parameter that is trained"):
        pl.curvature(model, (x, y), lambda y_pred, y: (y * y).mean())
    with pytest.raises(pl.errors.ArgumentError, match="more eigenvalues"):
        pl.curvature(model, (x, y), nn.MSELoss(), num_eigenvalues=6)
