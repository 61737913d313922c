"""`wiring`, `decision_surface` and `activation_curves` against weights, calls and derivatives by hand."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import errors, nn
from pellucid.inspection.activation_curves import NAMES


class Skip(nn.Module):
    def __init__(self) -> None:
        self.layer = nn.Linear(3, 3)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return pl.relu(self.layer(x)) + x


def test_a_chain_of_dense_layers_with_all_its_weights() -> None:
    pl.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(2, 3), nn.GELU(), nn.Linear(3, 3, bias=False), nn.SiLU(), nn.BatchNorm1d(3), nn.Dropout(),
        nn.ReLU(), nn.Flatten(), nn.Linear(3, 2), nn.Softmax(),
    )  # fmt: skip
    found = pl.inspection.wiring(model, (1, 2))
    assert found.widths == (2, 3, 3, 2)
    assert [layer.name for layer in found.dense] == ["0", "2", "8"]
    assert [layer.functions for layer in found.dense] == [("gelu",), ("silu", "batch_norm", "relu"), ("softmax",)]
    for layer, index in zip(found.dense, (0, 2, 8), strict=True):
        np.testing.assert_array_equal(layer.weight, model[index].weight.numpy())
    assert found.dense[1].bias is None
    np.testing.assert_array_equal(found.dense[2].bias, model[8].bias.numpy())
    assert found.num_connections == 6 + 9 + 6
    assert found.cost.parameters == model.num_parameters()


def test_a_function_of_tensors_that_multiplies_from_the_right() -> None:
    w = pl.tensor(np.arange(6.0).reshape(2, 3))
    found = pl.inspection.wiring(lambda x: pl.tanh(x @ w), (1, 2))
    assert found.widths == (2, 3)
    np.testing.assert_array_equal(found.dense[0].weight, w.numpy().T)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (Skip(), (1, 3)),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2, 2)), (1, 1, 3, 3)),
        (nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), (1, 2)),
        (nn.Sequential(nn.Linear(2, 4), nn.GLU()), (1, 2)),
        (nn.Linear(2, 2), (1, 5, 2)),
    ],
)
def test_what_is_no_chain_has_costs_alone(model: nn.Module, shape: tuple[int, ...]) -> None:
    found = pl.inspection.wiring(model, shape)
    assert (found.dense, found.widths) == ((), ())
    assert found.cost.layers


def test_a_plane_of_outputs() -> None:
    model = nn.Linear(2, 1)
    model.load_state_dict({"weight": np.array([[1.0, 10.0]]), "bias": np.array([0.5])})
    found = pl.inspection.decision_surface(model, [[0.0, 0.0], [2.0, 4.0]], resolution=3, margin=0.5)
    assert found.first.tolist() == [-1.0, 1.0, 3.0]
    assert found.second.tolist() == [-2.0, 2.0, 6.0]
    # The first axis is the second input: x0 + 10 x1 + 0.5.
    np.testing.assert_allclose(found.outputs[..., 0], [[-20.5, -18.5, -16.5], [19.5, 21.5, 23.5], [59.5, 61.5, 63.5]])
    with pytest.raises(errors.ShapeError, match="over a plane"):
        pl.inspection.decision_surface(nn.Linear(3, 1), np.zeros((4, 3)))
    with pytest.raises(errors.DataError):
        pl.inspection.decision_surface(model, [[np.nan, 0.0]])


def test_derivatives_of_activations() -> None:
    # None of these points is a kink.
    low, high, h = -3.05, 3.02, 1e-6
    curves, above, below = (
        pl.inspection.activation_curves(low=low + d, high=high + d, num_points=122) for d in (0, h, -h)
    )
    assert [curve.name for curve in curves] == list(NAMES)
    for curve, up, down in zip(curves, above, below, strict=True):
        slopes = (up.values - down.values) / (2 * h)
        np.testing.assert_allclose(curve.derivatives, slopes, atol=1e-7, err_msg=curve.name)
    by_name = {curve.name: curve for curve in pl.inspection.activation_curves(["tanh", "relu"], low=-1, num_points=6)}
    np.testing.assert_allclose(by_name["tanh"].derivatives, 1 - np.tanh(by_name["tanh"].x) ** 2)
    np.testing.assert_array_equal(by_name["relu"].derivatives, (by_name["relu"].x > 0).astype(float))
    (leaky,) = pl.inspection.activation_curves(nn.LeakyReLU(0.3), num_points=3)
    assert [curve.name for curve in pl.inspection.activation_curves("gelu", num_points=3)] == ["gelu"]
    assert (leaky.name, leaky.derivatives[0]) == ("LeakyReLU", 0.3)
    with pytest.raises(errors.ArgumentError, match="no activation function relou"):
        pl.inspection.activation_curves(["relou"])
    with pytest.raises(errors.ShapeError, match="one number at a time"):
        pl.inspection.activation_curves([lambda x: x.sum()])
    for wrong in ([3], 3):
        with pytest.raises(errors.ArgumentTypeError):
            pl.inspection.activation_curves(wrong)
    with pytest.raises(errors.ArgumentError, match="low is not below high"):
        pl.inspection.activation_curves(low=2, high=2)


@pytest.mark.parametrize("name", NAMES)
def test_activations_are_found_in_a_network(name: str) -> None:
    assert pl.inspection.used_activations(nn.Sequential(nn.Linear(2, 3), NAMES[name]()), (1, 2)) == (name,)
