"""Layers without activation, a bias, first weights of zero, width: each claim against what can be worked out, and each
verdict with the opposite planted."""

import numpy as np
import pytest

from pellucid import nn
from pellucid.data import curve
from pellucid.lab import approximation, bias, collapse, zero_initialisation

pytest.importorskip("matplotlib")


def test_weights_are_multiplied_out() -> None:
    model = collapse.network(nn.Identity, 5)
    first, second, third, last = (m for m in model.modules() if isinstance(m, nn.Linear))
    x = np.array([[0.3, -1.2]])
    values = x
    for layer in (first, second, third, last):
        values = values @ layer.weight.numpy().astype(np.float64).T + layer.bias.numpy()
    matrix, offset = collapse.multiplied_out(model)
    assert matrix.shape == (1, 2)
    np.testing.assert_allclose(x @ matrix.T + offset, values, rtol=1e-12)


def test_layers_without_activation_collapse_and_those_with_one_do_not() -> None:
    found = collapse.run(0)
    assert found.confirmed
    assert found.value("affine-distance-plain") < 1e-5  # float32
    # No straight line parts the circles: it can cut off a part of the outer one at best.
    assert found.value("accuracy-plain") < 75
    assert found.value("accuracy-relu") > 98
    planted = collapse.run(0, without=nn.Tanh, epochs=5)
    assert planted.confirmed is False
    assert "differ from the network" in planted.words


def test_how_far_a_boundary_is_from_the_origin() -> None:
    neuron = nn.Linear(2, 1)
    neuron.load_state_dict({"weight": np.array([[3.0, 4.0]]), "bias": np.array([-10.0])})
    assert bias.distance(neuron) == 2.0  # |-10| / 5


def test_a_bias_frees_the_boundary() -> None:
    found = bias.run(0)
    assert found.confirmed
    assert found.value("origin-distance-without") == found.value("output-at-origin") == 0
    # The middle between the groups is at (3, 3), and the best line goes through it at a right angle.
    assert found.value("origin-distance-with") == pytest.approx(3 * 2**0.5, abs=0.8)
    # Around the origin a line through it is as good as any.
    planted = bias.run(0, place=0.0)
    assert planted.confirmed is False


def test_zero_weights_leave_one_unit() -> None:
    found = zero_initialisation.run(0)
    assert found.confirmed
    # ReLU and tanh put out 0: only the last bias moves. Sigmoid puts out 1/2: so do the 8 weights behind it.
    assert [found.value(f"zero-gradients-{name}") for name in ("relu", "tanh", "sigmoid")] == [1, 1, 9]
    assert [found.value(f"zero-units-{name}") for name in ("relu", "tanh", "sigmoid")] == [1, 1, 1]
    # 100 rows of 160 are of the larger class.
    assert found.value("zero-accuracy-relu") == found.value("zero-accuracy-tanh") == 62.5
    assert found.value("zero-refused") == 3


def test_small_random_weights_are_no_zeros() -> None:
    planted = zero_initialisation.run(0, spread=0.5, epochs=5)
    assert planted.confirmed is False
    assert planted.value("zero-units-tanh") == 8
    assert planted.value("zero-refused") == 0


def test_a_network_without_activation_stays_at_the_best_line() -> None:
    planted = approximation.run(0, activation=nn.Identity, iterations=20)
    assert planted.confirmed is False
    rows = curve(approximation.target, 200)
    line = np.polyfit(rows.x[:, 0].astype(float), rows.y[:, 0].astype(float), 1)
    places = np.linspace(-1, 1, 801)
    error = np.sqrt(np.mean((np.polyval(line, places) - approximation.target(places)) ** 2))
    for width in approximation.WIDTHS:
        assert planted.value(f"approximation-error-{width}") == pytest.approx(error, rel=1e-3)


@pytest.mark.long
def test_the_error_falls_with_the_width() -> None:
    found = approximation.run(0)
    assert found.confirmed
    errors = [found.value(f"approximation-error-{width}") for width in approximation.WIDTHS]
    assert errors[-1] < 0.03 < 0.3 < errors[0]
    assert found.value("approximation-worst") >= errors[-1]
