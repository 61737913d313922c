"""Slices of the loss: against the loss computed at each place, quadratics, and networks written with other weights."""

import copy

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn

MOONS = pl.data.two_moons(50, seed=0)


def network(seed: int = 0) -> nn.Sequential:
    pl.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 2)).double()


def test_each_place_is_the_loss_of_a_network_with_these_weights() -> None:
    model = network()
    found = pl.landscape(model, MOONS, nn.CrossEntropyLoss(), num_points=5, span=0.5, seed=3)
    np.testing.assert_allclose(found.offsets, [-0.5, -0.25, 0, 0.25, 0.5])
    first, second = found.directions
    for i, j in ((0, 0), (1, 4), (2, 2)):
        other = copy.deepcopy(model)
        for name, p in other.named_parameters():
            p.data = p.data + found.offsets[i] * first[name] + found.offsets[j] * second[name]
        expected = nn.functional.cross_entropy(other(MOONS.x), MOONS.y).item()
        assert found.losses[i, j] == pytest.approx(expected, rel=1e-12)
    assert found.loss == found.losses[2, 2]
    assert found.at_minimum is bool(found.loss == found.losses.min())


def test_directions_are_as_long_as_each_filter() -> None:
    pl.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ConvTranspose2d(4, 6, 3, groups=2), nn.Flatten(), nn.Linear(6 * 16, 2)
    ).double()
    x, y = np.random.default_rng(0).normal(size=(3, 2, 4, 4)), np.array([0, 1, 0])
    found = pl.landscape(model, (x, y), nn.CrossEntropyLoss(), dimensions=1, num_points=3)
    (direction,) = found.directions
    for layer in ("0", "3"):
        w, d = model[int(layer)].weight.data, direction[f"{layer}.weight"]
        np.testing.assert_allclose(
            np.linalg.norm(d.reshape(len(w), -1), axis=1), np.linalg.norm(w.reshape(len(w), -1), axis=1)
        )
        assert not direction[f"{layer}.bias"].any()
    w, d = model[1].weight.data, direction["1.weight"]
    for group in range(2):
        for unit in range(3):
            part = slice(2 * group, 2 * group + 2)
            assert np.linalg.norm(d[part, unit]) == pytest.approx(np.linalg.norm(w[part, unit]))


@pytest.mark.parametrize("a", [0.1, 25.0])
def test_slices_do_not_change_with_the_scale_of_layers(a: float) -> None:
    model = network()
    other = copy.deepcopy(model)
    other[0].weight.data *= a
    other[0].bias.data *= a
    other[2].weight.data /= a
    one, two = (pl.landscape(m, MOONS, nn.CrossEntropyLoss(), num_points=5, seed=1) for m in (model, other))
    np.testing.assert_allclose(one.losses, two.losses, rtol=1e-10)
    assert np.ptp(one.losses) > 0.1


def test_a_parabola_in_closed_form() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 3)), rng.normal(size=(30, 1))
    model = nn.Linear(3, 1, bias=False).double()
    model.load_state_dict({"weight": np.linalg.lstsq(x, y, rcond=None)[0].T})
    found = pl.landscape(model, (x, y), nn.MSELoss(), dimensions=1)
    d = found.directions[0]["weight"][0]
    curve = found.loss + found.offsets**2 * (d @ (x.T @ x / 30) @ d)
    np.testing.assert_allclose(found.losses, curve, rtol=1e-10)
    assert found.losses.shape == (51,)
    assert found.at_minimum
    assert "No lower loss was met" in str(found)


def test_between_two_networks() -> None:
    one, two = network(0), network(1)
    ends = one.state_dict(), two.state_dict()
    towards = {name: ends[1][name].data - ends[0][name].data for name in ends[0]}
    found = pl.landscape(one, MOONS, nn.CrossEntropyLoss(), dimensions=1, num_points=3, directions=towards)
    assert found.losses[2] == pytest.approx(nn.functional.cross_entropy(two(MOONS.x), MOONS.y).item())
    assert not found.random


def test_batches_and_the_seed() -> None:
    model = network()
    one = pl.landscape(model, MOONS, nn.CrossEntropyLoss(), num_points=3, batch_size=None)
    two = pl.landscape(model, MOONS, nn.CrossEntropyLoss(), num_points=3, batch_size=7)
    np.testing.assert_allclose(one.losses, two.losses, rtol=1e-12)
    again = pl.landscape(model, MOONS, nn.CrossEntropyLoss(), num_points=3, batch_size=None)
    np.testing.assert_array_equal(one.losses, again.losses)
    other = pl.landscape(model, MOONS, nn.CrossEntropyLoss(), num_points=3, seed=5)
    assert one.losses[0, 0] != other.losses[0, 0]


def test_the_network_is_left_as_it_is_and_infinite_losses_are_shown() -> None:
    class Root(nn.Module):
        def __init__(self) -> None:
            self.w = nn.Parameter(np.array([1.0]))

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return pl.log(self.w).sum() + 0 * x.sum()

    model = Root()
    array = model.w.data
    found = pl.landscape(model, np.ones((2, 1)), lambda y: y, dimensions=1, span=2.0, num_points=5)
    # A vector alone is one filter: the weight goes from -1 to 3.
    assert np.isfinite(found.losses).sum() == 3
    assert "not finite at 2 of the places" in str(found)
    assert model.w.data is array
    assert array.tolist() == [1.0]


def test_what_is_refused() -> None:
    model = network()
    ce = nn.CrossEntropyLoss()
    with pytest.raises(pl.errors.ArgumentError, match="an even number of points leaves out the middle"):
        pl.landscape(model, MOONS, ce, num_points=4)
    with pytest.raises(pl.errors.ArgumentError, match="dimensions is not one of its options"):
        pl.landscape(model, MOONS, ce, dimensions=3)
    with pytest.raises(pl.errors.ArgumentError, match="not as many directions as dimensions"):
        pl.landscape(model, MOONS, ce, directions={"0.bias": np.ones(6)})
    with pytest.raises(pl.errors.ArgumentError, match="no trained parameter"):
        pl.landscape(model, MOONS, ce, dimensions=1, directions={"7.bias": np.ones(6)})
    with pytest.raises(pl.errors.ShapeError, match=r"the direction of 0.bias has another shape"):
        pl.landscape(model, MOONS, ce, dimensions=1, directions={"0.bias": np.ones(5)})
