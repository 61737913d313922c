"""What the rules read: spreads, gradients, dead units, saturation and update ratios against the same in plain NumPy."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

import pellucid as pl
from pellucid import nn, optim
from pellucid.data import Dataset
from pellucid.inspection.health_data import data_diagnoses
from pellucid.inspection.health_probe import probe
from pellucid.inspection.health_records import spread
from pellucid.inspection.health_start import compare_gradients, fit_two_rows, two_rows
from pellucid.inspection.health_targets import constant_loss, uninformed_loss
from tests.inspection import health_cases as cases
from tests.inspection import health_faults as faults


def relu_net(sizes: tuple[int, ...], std: float) -> tuple[nn.Sequential, list[np.ndarray]]:
    pl.manual_seed(0)
    random = np.random.default_rng(0)
    weights = [random.normal(scale=std, size=(b, a)) for a, b in zip(sizes, sizes[1:], strict=False)]
    layers: list[nn.Module] = []
    for w in weights:
        layers += [nn.Linear(w.shape[1], w.shape[0], dtype="float64"), nn.ReLU()]
        layers[-2].load_state_dict({"weight": w, "bias": np.zeros(len(w))})
    return nn.Sequential(*layers[:-1]), weights


def test_the_weights_of_size_a_hundredth_are_flagged_before_the_first_step() -> None:
    """784-128-64-32-10 with all weights drawn at 0.01: each layer passes on less than a tenth."""
    model, weights = relu_net((784, 128, 64, 32, 10), 0.01)
    random = np.random.default_rng(1)
    x, y = random.uniform(size=(200, 784)), random.integers(0, 10, 200)
    layers, _ = probe(model, Dataset(x, y), nn.CrossEntropyLoss())
    h = x
    for layer, w in zip(layers, weights, strict=True):
        assert_allclose(layer.input_std, np.sqrt(h.var(axis=0).mean()), rtol=1e-9)
        z = h @ w.T
        assert_allclose(layer.output_std, np.sqrt(z.var(axis=0).mean()), rtol=1e-9)
        h = np.maximum(z, 0)
    x[:, :2] += y[:, None]  # so that there is something to learn
    found = pl.doctor(model, Dataset(x, y), loss="cross_entropy")
    assert found.diagnoses[0].name == "vanishing-activations"
    assert found.diagnoses[0].layers == ("2", "4", "6")  # whose outputs vary by less than a tenth of the inputs


def test_the_gradient_that_reaches_each_layer() -> None:
    model, weights = relu_net((5, 4, 3), 1.0)
    random = np.random.default_rng(2)
    x, y = random.normal(size=(20, 5)), random.integers(0, 3, 20)
    layers, loss = probe(model, Dataset(x, y), nn.CrossEntropyLoss())
    z = x @ weights[0].T
    scores = np.maximum(z, 0) @ weights[1].T
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert_allclose(loss, -np.log(p[np.arange(20), y]).mean(), rtol=1e-12)
    last = p - np.eye(3)[y]
    first = (last @ weights[1]) * (z > 0)
    # The root mean square over rows of the length of a row's gradient.
    for layer, g in zip(layers, (first, last), strict=True):
        assert_allclose(layer.gradient, np.sqrt(np.square(g).sum(axis=1).mean()), rtol=1e-9)
    assert_allclose(layers[0].weight_norm, np.sqrt(np.square(weights[0]).sum()), rtol=1e-12)


def test_ten_sigmoids_shrink_the_gradient_by_a_quarter_each() -> None:
    made = faults.ten_sigmoids()
    report = pl.doctor(**{**made, "epochs": 0, "prove": False})
    found = report.diagnoses[0]
    assert found.name == "vanishing-gradients"
    # Xavier's weights keep lengths about as they are, so that what is left is the slopes: at most 1/4 each.
    assert found.evidence["ratio"] < 0.25**9
    assert found.layers[0] == "0"
    assert [r.name for r in found.remedies] == ["relu", "draw-weights"]
    assert report.named("vanishing-activations").because == "vanishing-gradients"  # type: ignore[union-attr]


def test_dead_units_and_saturated_values_over_all_rows() -> None:
    random = np.random.default_rng(3)
    x, y = random.normal(size=(3000, 4)).astype(np.float32), random.integers(0, 2, 3000)
    x[1500:] *= 0.01
    model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 6), nn.Tanh(), nn.Linear(6, 2))
    bias = np.array([-100.0, -100, -100, 0, 0, 0, 0, 0, 0, 0], np.float32)
    model[0].bias.assign(pl.tensor(bias))
    model[2].weight.assign(model[2].weight * 8.0)
    layers, _ = probe(model, Dataset(x, y), nn.CrossEntropyLoss(), whole=True)
    assert_allclose(layers[0].dead, 0.3)
    h = np.maximum(x @ model[0].weight.data.T + model[0].bias.data, 0)
    t = np.tanh(h @ model[2].weight.data.T + model[2].bias.data)
    assert_allclose(layers[1].saturated, (np.abs(t) > 0.995).mean(), atol=0.002)
    assert layers[2].dead is None
    assert layers[2].saturated is None
    assert layers[1].dead is None


def test_an_update_of_gradient_descent() -> None:
    model, weights = relu_net((5, 4, 3), 1.0)
    random = np.random.default_rng(4)
    data = Dataset(random.normal(size=(20, 5)), random.integers(0, 3, 20))
    sgd = optim.SGD(model.parameters(), lr=0.5)
    layers, _ = probe(model, data, nn.CrossEntropyLoss(), sgd)
    value = nn.CrossEntropyLoss()(model(data.x), data.y)
    for layer, w, linear in zip(layers, weights, (model[0], model[2]), strict=True):
        g = pl.autograd.grad(value, linear.weight).data
        assert_allclose(layer.update_ratio, 0.5 * np.linalg.norm(g) / np.linalg.norm(w), rtol=1e-9)


@pytest.mark.parametrize(
    ("loss", "y", "shape", "uninformed", "constant"),
    [
        (nn.CrossEntropyLoss(), [0, 0, 0, 1], (4, 3), math.log(3), -0.75 * math.log(0.75) - 0.25 * math.log(0.25)),
        (nn.NLLLoss(), [0, 1], (2, 2), math.log(2), math.log(2)),
        (nn.BCEWithLogitsLoss(), [[0.0], [1.0], [1.0], [1.0]], (4, 1), math.log(2), 0.5623351446188083),
        (nn.BCELoss(), [[0.0], [1.0]], (2, 1), math.log(2), math.log(2)),
        (nn.MSELoss(), [[1.0], [3.0]], (2, 1), 5.0, 1.0),
        (nn.L1Loss(), [[1.0], [3.0], [8.0]], (3, 1), 4.0, 7 / 3),
        (nn.KLDivLoss(), [[0.5, 0.5]], (1, 2), None, None),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, nn.Module) else "",
)
def test_losses_of_outputs_that_say_nothing(
    loss: nn.Module, y: list, shape: tuple[int, ...], uninformed: float | None, constant: float | None
) -> None:
    targets = np.array(y)
    for found, expected in (
        (uninformed_loss(loss, targets, shape), uninformed),
        (constant_loss(loss, targets), constant),
    ):
        assert (found is None) == (expected is None)
        if expected is not None:
            assert_allclose(found, expected, rtol=1e-6)


def test_two_rows_that_differ() -> None:
    data = Dataset([[0.0], [0.0], [1.0], [2.0]], [[1.0], [5.0], [1.0], [9.0]])
    # The target farthest from the mean, and the one farthest from it.
    assert two_rows(data, nn.MSELoss()).tolist() == [3, 0]  # type: ignore[union-attr]
    assert two_rows(Dataset([[0.0], [0.0]], [0, 1]), nn.CrossEntropyLoss()) is None
    assert two_rows(Dataset([[0.0], [1.0]], [1, 1]), nn.CrossEntropyLoss()) is None


def test_a_network_without_hidden_layers_learns_two_rows() -> None:
    pl.manual_seed(0)
    done = fit_two_rows(nn.Linear(8, 1), cases.table(20), nn.MSELoss())
    assert done is not None
    assert done.end <= done.wanted


def test_gradients_are_compared_at_kinks_too() -> None:
    made = cases.digits_mlp()
    compared = compare_gradients(made["model"], made["data"], nn.CrossEntropyLoss())
    assert compared.passed
    assert compared.checked + compared.skipped == 8
    wrong = compare_gradients(faults.wrong_gradient()["model"], made["data"], nn.CrossEntropyLoss())
    assert not wrong.passed
    assert wrong.worst.startswith("first.")


def found(train: Dataset, validation: Dataset | None = None, loss: nn.Module | None = None) -> list[str]:
    return [d.name for d in data_diagnoses(train, validation, loss or nn.CrossEntropyLoss(), None)]


def test_a_background_is_no_constant_feature() -> None:
    random = np.random.default_rng(0)
    x = random.uniform(0.2, 0.8, size=(20, 6))
    for value in (0.0, -0.4, 1.0):  # pixels that no picture reaches, raw, standardised, inverted
        x[:, :2] = value
        assert found(Dataset(x, np.arange(20) % 2)) == []
    x[:, 1] = 0.3
    assert found(Dataset(x, np.arange(20) % 2)) == ["constant-features"]


def test_rows_that_repeat_everywhere_are_no_leak() -> None:
    random = np.random.default_rng(0)
    x, y = random.integers(0, 3, size=(300, 2)).astype(float), random.integers(0, 2, 300)
    assert found(Dataset(x[:200], y[:200]), Dataset(x[200:], y[200:])) == []
    x = random.normal(size=(300, 2))
    assert found(Dataset(x[:200], y[:200]), Dataset(x[200:], y[200:])) == []
    assert found(Dataset(x[:200], y[:200]), Dataset(x[190:], y[190:])) == ["rows-in-both-parts"]


def test_twenty_to_one_is_imbalance() -> None:
    x = np.random.default_rng(0).normal(size=(210, 2))
    assert found(Dataset(x, [0] * 200 + [1] * 10)) == ["class-imbalance"]
    assert found(Dataset(x, [0] * 199 + [1] * 11)) == []


def test_the_spread_of_few_values() -> None:
    assert_allclose(spread((1.0, 2.0, 3.0)), 1.0)
    assert spread((1.0,)) == 0.0
