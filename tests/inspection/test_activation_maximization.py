"""`maximize_activation` where the best input is known by hand."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import errors, nn

W = np.array([[0.3, -0.2, 0.1], [0.1, 0.4, -0.5]])


def linear() -> nn.Linear:
    layer = nn.Linear(3, 2).double()
    layer.load_state_dict({"weight": W, "bias": np.array([1.0, -1.0])})
    return layer


@pytest.mark.parametrize("neuron", [0, 1])
def test_of_a_linear_neuron_it_is_the_weight_over_twice_the_penalty(neuron: int) -> None:
    found = pl.maximize_activation(linear(), neuron, (3,), l2=0.2, steps=600)
    np.testing.assert_allclose(found.input, W[neuron] / 0.4, atol=1e-4)
    bias = (1.0, -1.0)[neuron]
    np.testing.assert_allclose(found.activation, W[neuron] @ W[neuron] / 0.4 + bias, atol=1e-4)
    assert found.activations.shape == (600,)
    assert found.input.dtype == np.float64
    assert found.neuron == (neuron,)


def test_within_bounds_it_goes_to_the_corner_that_the_signs_point_to() -> None:
    found = pl.maximize_activation(linear(), 0, (3,), l2=0.0, bounds=(-1.0, 2.0), steps=200)
    np.testing.assert_allclose(found.input, [2.0, -1.0, 2.0], atol=1e-6)


def test_roughness_costs_what_it_says() -> None:
    # w x - l2 x² - s (x0 - x1)² - s (x1 - x2)²: a linear system for the best x.
    s, l2 = 0.3, 0.2
    matrix = 2 * l2 * np.eye(3) + 2 * s * np.array([[1, -1, 0], [-1, 2, -1], [0, -1, 1]])
    found = pl.maximize_activation(linear(), 1, (3,), l2=l2, smoothness=s, steps=800)
    np.testing.assert_allclose(found.input, np.linalg.solve(matrix, W[1]), atol=1e-4)


def test_a_channel_is_its_mean_and_a_place_itself() -> None:
    pl.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.Flatten(), nn.Linear(8, 1)).double()
    kernel = model[0].weight.numpy()[1, 0]
    place = pl.maximize_activation(model, (1, 0, 1), (1, 4, 4), layer="0", l2=0.5, steps=600)
    expected = np.zeros((4, 4))
    expected[0:3, 1:4] = kernel
    np.testing.assert_allclose(place.input[0], expected, atol=1e-4)
    channel = pl.maximize_activation(model, 1, (1, 4, 4), layer="0", l2=0.5, steps=600)
    expected = np.zeros((4, 4))
    for i in range(2):
        for j in range(2):
            expected[i : i + 3, j : j + 3] += kernel / 4
    np.testing.assert_allclose(channel.input[0], expected, atol=1e-4)
    assert (channel.layer, channel.neuron) == ("0", (1,))
    assert str(channel).splitlines()[0].startswith("an input (1, 4, 4) for neuron 1 of 0: from ")


def test_it_is_repeated_by_its_seed_and_changes_nothing_else() -> None:
    pl.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Tanh(), nn.Linear(8, 2))
    first = pl.maximize_activation(model, 1, (3,), seed=4, steps=20)
    pl.manual_seed(1)
    np.testing.assert_array_equal(pl.maximize_activation(model, 1, (3,), seed=4, steps=20).input, first.input)
    assert np.abs(pl.maximize_activation(model, 1, (3,), seed=5, steps=0).input - first.input).max() > 0
    assert all(m.training for m in model.modules())
    assert all(p.grad is None for p in model.parameters())
    assert first.activation > first.activations[0]


def test_without_a_penalty_it_says_that_the_input_ran_away() -> None:
    with pytest.raises(errors.GradientError) as caught:
        pl.maximize_activation(lambda x: (x**4).sum(axis=1, keepdims=True), 0, (1,), l2=0.0, lr=1e38, steps=50)
    assert caught.value.what == "the input grew beyond all bounds"
