"""Gradient noise: against per-sample gradients, all subsets, and a problem whose noise scale is known."""

import itertools
import math

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.inspection.noise import noise_scale


class Mean(nn.Module):
    """ŵ - x: under half of its square the gradient of a row is w - x."""

    def __init__(self, w: np.ndarray) -> None:
        self.w = nn.Parameter(w)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.w - x


def half_square(outputs: pl.Tensor) -> pl.Tensor:
    return 0.5 * (outputs * outputs).sum(axis=1).mean()


def test_a_row_each_is_the_sample_variance() -> None:
    x = np.random.default_rng(0).normal(size=(50, 3)) * [1.0, 2.0, 3.0]
    w = np.array([1.0, -1.0, 0.5])
    found = pl.gradient_noise(Mean(w), x, half_square)
    assert (found.num_groups, found.group_size, found.rows) == (50, 1, 50)
    variance = x.var(axis=0, ddof=1).sum()
    assert found.noise.variance == pytest.approx(variance)
    squared = ((w - x.mean(axis=0)) ** 2).sum() - variance / 50
    assert found.noise.gradient_norm_squared == pytest.approx(squared)
    assert found.scale == pytest.approx(variance / squared)


def test_the_variance_of_batches_over_all_subsets() -> None:
    x = np.random.default_rng(1).normal(size=(8, 2))
    found = pl.gradient_noise(Mean(np.array([1.0, 2.0])), x, half_square)
    for size in range(1, 9):
        means = np.array([x[list(rows)].mean(axis=0) for rows in itertools.combinations(range(8), size)])
        assert found.batch_variance(size, 8) == pytest.approx(means.var(axis=0).sum(), abs=1e-12)
        assert found.batch_variance(size) == pytest.approx(found.noise.variance / size)


def test_mini_batches_of_a_network_vary_as_predicted() -> None:
    pl.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    data = pl.data.two_moons(120, seed=0)
    found = pl.gradient_noise(model, data, nn.CrossEntropyLoss(), num_groups=120)
    rng, gradients = np.random.default_rng(0), []
    parameters = list(model.parameters())
    for _ in range(600):
        rows = rng.permutation(120)[:16]
        loss = nn.functional.cross_entropy(model(data.x[rows]), data.y[rows])
        gradients.append(np.concatenate([g.data.ravel() for g in pl.autograd.grad(loss, parameters)]))
    array = np.array(gradients)
    squares = ((array - array.mean(axis=0)) ** 2).sum(axis=1) * 600 / 599
    error = squares.std() / math.sqrt(600)
    assert abs(squares.mean() - found.batch_variance(16, 120)) < 3 * error


def test_layers_against_per_sample_gradients() -> None:
    pl.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    data = pl.data.two_moons(30, seed=0)
    found = pl.gradient_noise(model, data, nn.CrossEntropyLoss())

    def loss(x: pl.Tensor, y: pl.Tensor) -> pl.Tensor:
        return nn.functional.cross_entropy(model(x), y)

    rows = pl.autograd.per_sample_gradients(loss, list(model.parameters()), data.x, data.y)
    flat = [g.data.reshape(30, -1) for g in rows]
    for layer, part in zip(found.layers, (flat[:2], flat[2:]), strict=True):
        g = np.concatenate(part, axis=1)
        assert layer.parameters == g.shape[1]
        assert layer.noise.variance == pytest.approx(g.var(axis=0, ddof=1).sum())
        squared = (g.mean(axis=0) ** 2).sum() - g.var(axis=0, ddof=1).sum() / 30
        assert layer.noise.gradient_norm_squared == pytest.approx(squared)
    assert [layer.path for layer in found.layers] == ["0", "2"]
    assert found.noise.variance == pytest.approx(sum(layer.noise.variance for layer in found.layers))


@pytest.mark.parametrize("size", [1, 4])
def test_the_interval_holds_the_known_scale(size: int) -> None:
    """Rows around 0 with variance 4 in 10 directions, w at a distance of 2: the scale is 40 / 4 = 10 rows."""
    w = np.zeros(10)
    w[0] = 2.0
    inside, variances, squares = 0, [], []
    for seed in range(200):
        x = 2.0 * np.random.default_rng(seed).normal(size=(256, 10))
        g = (w - x).reshape(256 // size, size, 10).mean(axis=1)
        n = noise_scale((g * g).sum(axis=1), g @ g.sum(axis=0), size, 0.95)
        inside += n.low <= 10.0 <= n.high
        variances.append(n.variance)
        squares.append(n.gradient_norm_squared)
    # 95 % of 200, three standard deviations of a count below.
    assert inside >= 190 - 3 * math.sqrt(200 * 0.95 * 0.05)
    for values, true in ((variances, 40.0), (squares, 4.0)):
        assert abs(np.mean(values) - true) < 3 * np.std(values) / math.sqrt(200)


def test_the_whole_way_finds_the_known_scale() -> None:
    w = np.zeros(10)
    w[0] = 2.0
    x = 2.0 * np.random.default_rng(0).normal(size=(4096, 10))
    found = pl.gradient_noise(Mean(w), x, half_square)
    assert (found.num_groups, found.group_size) == (128, 32)
    assert found.noise.low < 10 < found.noise.high < 2 * found.noise.low
    assert found.progress(10) == pytest.approx(1 / (1 + found.scale / 10))
    assert "more rows pay; beyond, they stop helping" in str(found)


def test_at_a_minimum_there_is_no_upper_end() -> None:
    x = np.random.default_rng(0).normal(size=(200, 4))
    found = pl.gradient_noise(Mean(x.mean(axis=0)), x, half_square)
    assert (found.scale, found.noise.high) == (math.inf, math.inf)
    assert found.noise.low > 10
    assert "the gradient cannot be told from noise" in str(found)
    assert found.progress(32) == 0.0


def test_a_sum_over_rows_is_averaged_and_large_gradients_are_computed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    pl.manual_seed(0)
    model = nn.Linear(2, 2).double()
    data = pl.data.two_moons(60, seed=0)
    one = pl.gradient_noise(model, data, nn.CrossEntropyLoss(), group_size=3)
    two = pl.gradient_noise(model, data, nn.CrossEntropyLoss(reduction="sum"), group_size=3)
    assert one.noise.scale == pytest.approx(two.noise.scale)
    assert one.noise.variance == pytest.approx(two.noise.variance)
    monkeypatch.setattr("pellucid.inspection.noise._KEPT_NUMBERS", 0)
    assert pl.gradient_noise(model, data, nn.CrossEntropyLoss(), group_size=3) == one


def test_rows_that_agree_leave_no_noise() -> None:
    found = pl.gradient_noise(Mean(np.array([1.0, 2.0])), np.zeros((20, 2)), half_square)
    assert (found.noise.variance, found.scale, found.noise.low, found.noise.high) == (0.0, 0.0, 0.0, 0.0)
    assert "larger batches hardly help" in str(found)


def test_losses_with_weights_and_ignored_labels_are_no_mean_over_rows() -> None:
    pl.manual_seed(0)
    model, data = nn.Linear(2, 2).double(), pl.data.two_moons(40, seed=0)
    labels = data.y.copy()
    labels[7] = -100
    for y, loss in ((data.y, nn.CrossEntropyLoss(weight=[1.0, 3.0])), (labels, nn.CrossEntropyLoss())):
        with pytest.raises(pl.errors.ArgumentError, match="does not follow from that of their parts"):
            pl.gradient_noise(model, (data.x, y), loss, group_size=4)


def test_it_repeats_and_leaves_the_network() -> None:
    pl.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    before = [p.data for p in model.parameters()]
    data = pl.data.two_moons(40, seed=0)
    draws = pl.core.rng.default_generator.get_state()
    one = pl.gradient_noise(model, data, nn.CrossEntropyLoss(), group_size=2, seed=1)
    assert one == pl.gradient_noise(model, data, nn.CrossEntropyLoss(), group_size=2, seed=1)
    assert one != pl.gradient_noise(model, data, nn.CrossEntropyLoss(), group_size=2, seed=2)
    assert all(p.data is array and p.grad is None for p, array in zip(model.parameters(), before, strict=True))
    assert all(m.training for m in model.modules())
    np.testing.assert_array_equal(draws, pl.core.rng.default_generator.get_state())


def test_what_is_refused() -> None:
    model, data = nn.Linear(2, 2), pl.data.two_moons(40, seed=0)
    with pytest.raises(pl.errors.DataError, match="gradient_noise needs more rows"):
        pl.gradient_noise(model, data, nn.CrossEntropyLoss(), group_size=20)
    with pytest.raises(pl.errors.ArgumentError, match="does not follow from that of their parts"):
        pl.gradient_noise(model, data, lambda z, y: nn.functional.cross_entropy(z, y) ** 2, group_size=8)
    found = pl.gradient_noise(model, data, nn.CrossEntropyLoss())
    with pytest.raises(pl.errors.ArgumentError, match="batch_variance: batch_size is out of range"):
        found.batch_variance(41, 40)
