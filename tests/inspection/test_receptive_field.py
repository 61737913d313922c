"""`receptive_field` against the arithmetic of kernels and strides (Araujo et al., 2019, equation 2) and gradients by
differences."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import errors, nn

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("layer", "side"),
    # r += (kernel - 1) * stride so far: 5; 5 + 1; 6 + 4·2; 14 + 1·2.
    [
        ("features.0", 5),
        ("features.2", 6),
        ("features.3", 14),
        ("features.5", 16),
        (None, 28),
    ],
)
def test_of_lenet(layer: str | None, side: int) -> None:
    pl.manual_seed(0)
    model = pl.models.LeNet5(10)
    x = RNG.normal(size=(4, 1, 28, 28)).astype(np.float32)
    found = pl.inspection.receptive_field(model, x, layer)
    assert found.extent == (side, side)
    assert 0 < found.seen <= side * side
    assert not found.effective[~found.theoretical].any()


def test_dilation_leaves_gaps_and_edges_cut_it_off() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 3, dilation=2, padding=2))
    x = RNG.normal(size=(2, 2, 9, 9))
    middle = pl.inspection.receptive_field(model, x, "0")
    assert middle.place == (4, 4)
    np.testing.assert_array_equal(np.argwhere(middle.theoretical), [[i, j] for i in (2, 4, 6) for j in (2, 4, 6)])
    corner = pl.inspection.receptive_field(model, x, "0", place=(0, 0))
    np.testing.assert_array_equal(np.argwhere(corner.theoretical), [[i, j] for i in (0, 2) for j in (0, 2)])


def test_the_effective_field_of_one_unit_is_its_gradient() -> None:
    pl.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Conv2d(3, 2, 2))
    for p in model.parameters():
        p.data = p.data.astype(np.float64)
    x = RNG.normal(size=(2, 2, 6, 6))
    found = pl.inspection.receptive_field(model, x, "2", place=(1, 0), unit=1)
    squared = np.zeros((6, 6))
    for n, c, i, j in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[n, c, i, j] += 1e-5
        down[n, c, i, j] -= 1e-5
        slope = (model(up).numpy()[n, 1, 1, 0] - model(down).numpy()[n, 1, 1, 0]) / 2e-5
        squared[i, j] += slope**2 / 2
    np.testing.assert_allclose(found.effective, np.sqrt(squared), atol=1e-8)
    np.testing.assert_array_equal(found.theoretical, np.pad(np.ones((4, 4), bool), ((1, 1), (0, 2))))


def test_what_cannot_be_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    x = np.zeros((1, 1, 5, 5))
    with pytest.raises(errors.ShapeError, match="no pictures"):
        pl.inspection.receptive_field(nn.Linear(4, 2), np.zeros((1, 4)))
    with pytest.raises(errors.IndexRangeError, match=r"has no place \(3, 0\)"):
        pl.inspection.receptive_field(model, x, "0", place=(3, 0))
    with pytest.raises(errors.IndexRangeError, match="has no place 1"):
        pl.inspection.receptive_field(model, x, "0", place=1)
    with pytest.raises(errors.IndexRangeError, match="has no unit 2"):
        pl.inspection.receptive_field(model, x, "0", unit=2)
    with pytest.raises(errors.MissingKeyError):
        pl.inspection.receptive_field(model, x, "7")
