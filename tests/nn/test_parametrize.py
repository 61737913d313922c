"""Parametrized weights: what is trained, what is read, what is assigned, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, ArgumentTypeError, ModelError, NoAttributeError, PellucidError, ShapeError
from pellucid.nn.parametrizations import spectral_norm, weight_norm
from pellucid.nn.parametrize import is_parametrized, register_parametrization, remove_parametrizations


class Doubled(nn.Module):
    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return x * 2.0

    def right_inverse(self, weight: pl.Tensor) -> pl.Tensor:
        return weight / 2.0


class Positive(nn.Module):
    """Without an inverse."""

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return pl.exp(x)


class Wrong(nn.Module):
    def __init__(self, result: Callable[[pl.Tensor], object]) -> None:
        self.result = result

    def forward(self, x: pl.Tensor) -> object:
        return self.result(x)

    def right_inverse(self, weight: pl.Tensor) -> pl.Tensor:
        return weight * 3.0


class Sum(nn.Module):
    def forward(self, a: pl.Tensor, b: pl.Tensor) -> pl.Tensor:
        return a + b

    def right_inverse(self, weight: pl.Tensor) -> tuple[pl.Tensor, pl.Tensor]:
        return weight * 0.5, weight * 0.5


def lines(call: object, error: type[PellucidError]) -> list[str]:
    with pytest.raises(error) as caught:
        call()  # type: ignore[operator]
    return str(caught.value).splitlines()


def test_weight_norm_by_hand() -> None:
    layer = nn.Linear(2, 2, bias=False).double()
    layer.load_state_dict({"weight": [[3.0, 4.0], [0.0, 2.0]]})
    assert weight_norm(layer) is layer
    g, v = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
    assert g.tolist() == [[5.0], [2.0]]
    g.assign(pl.Tensor(np.array([[10.0], [1.0]])))
    v.assign(pl.Tensor(np.array([[0.3, 0.4], [0.0, 7.0]])))
    np.testing.assert_allclose(layer.weight.numpy(), [[6.0, 8.0], [0.0, 1.0]], rtol=1e-12)
    np.testing.assert_allclose(layer([[1.0, 1.0]]).numpy(), [[14.0, 1.0]], rtol=1e-12)
    layer([[1.0, 1.0]]).sum().backward()
    # d(g·v/|v|·(1, 1))/dg = (0.3 + 0.4)/0.5 and 1.
    np.testing.assert_allclose(g.grad.numpy(), [[1.4], [1.0]], rtol=1e-12)


def test_gradients_by_float64_differences() -> None:
    pl.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(4, 3))
    pl.check_gradients(weight_norm(nn.Linear(3, 2)), x)
    pl.check_gradients(weight_norm(nn.Linear(3, 2), axis=-1), x)
    # What the iterations found counts as given, as in PyTorch: the check asks for the true derivative, which at the
    # singular vectors is the same.
    layer = spectral_norm(nn.Linear(3, 2)).double()
    for _ in range(200):
        layer(x)
    pl.check_gradients(layer.eval(), x)


def test_spectral_norm_finds_the_largest_singular_value() -> None:
    pl.manual_seed(1)
    layer = spectral_norm(nn.Linear(6, 5)).double()
    for _ in range(100):
        layer(np.zeros((1, 6)))
    original = layer.parametrizations.weight.original.numpy()
    np.testing.assert_allclose(layer.weight.numpy(), original / np.linalg.norm(original, 2), rtol=1e-8)
    vector = spectral_norm(nn.LayerNorm(3))
    np.testing.assert_allclose(vector.weight.numpy(), np.ones(3) / np.sqrt(3.0), rtol=1e-6)


def test_only_calls_in_training_move_the_singular_vectors() -> None:
    pl.manual_seed(2)
    layer = spectral_norm(nn.Linear(6, 5))
    layer.parametrizations.weight.original.assign(pl.normal(shape=(5, 6)))
    u = layer.get_buffer("parametrizations.weight.0._u")
    before = u.tolist()
    assert layer.weight.shape == (5, 6)
    layer.eval()(np.zeros((1, 6)))
    assert u.tolist() == before
    layer.train()(np.zeros((1, 6)))
    assert u.tolist() != before


def test_two_calls_before_one_backward() -> None:
    layer = spectral_norm(nn.Linear(3, 2))
    loss = layer(np.ones((1, 3))).sum() - layer(np.zeros((1, 3))).sum()
    loss.backward()
    assert layer.parametrizations.weight.original.grad.shape == (2, 3)


def test_a_parameter_that_an_optimizer_has_goes_on_being_trained() -> None:
    layer = nn.Linear(3, 2)
    weight = layer.weight
    optimizer = pl.optim.SGD(layer.parameters(), lr=0.1)
    register_parametrization(layer, "weight", Doubled())
    before = layer.weight.numpy().copy()
    assert layer.parametrizations.weight.original is weight
    layer(np.ones((1, 3))).sum().backward()
    optimizer.step()
    # The original moves by -0.1·2, the weight by twice that.
    np.testing.assert_allclose(layer.weight.numpy(), before - 0.4, atol=1e-6)
    remove_parametrizations(layer, "weight")
    assert layer.weight is weight
    np.testing.assert_allclose(layer.weight.numpy(), before - 0.4, atol=1e-6)


def test_parametrizing_keeps_the_weight_and_removing_gives_it_back() -> None:
    for parametrize in (weight_norm, lambda layer: register_parametrization(layer, "weight", Doubled())):
        layer = nn.Linear(3, 2)
        before = layer.weight.numpy().copy()
        parametrize(layer)
        assert is_parametrized(layer)
        assert is_parametrized(layer, "weight")
        assert not is_parametrized(layer, "bias")
        assert "weight" not in dict(layer.named_parameters())
        np.testing.assert_allclose(layer.weight.numpy(), before, rtol=1e-6)
        assert remove_parametrizations(layer, "weight") is layer
        assert not is_parametrized(layer)
        assert sorted(name for name, _ in layer.named_parameters()) == ["bias", "weight"]
        assert [name for name, _ in layer.named_modules()] == [""]
        np.testing.assert_allclose(layer.weight.numpy(), before, rtol=1e-6)
    layer = register_parametrization(nn.Linear(3, 2), "weight", Doubled())
    original = layer.parametrizations.weight.original.numpy().copy()
    remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert layer.weight.tolist() == original.tolist()


def test_frozen_weights_stay_frozen() -> None:
    layer = nn.Linear(3, 2)
    layer.weight.requires_grad_(False)
    weight_norm(layer)
    assert not any(p.requires_grad for name, p in layer.named_parameters() if name != "bias")


def test_several_weights_and_several_parametrizations() -> None:
    layer = register_parametrization(weight_norm(nn.Linear(3, 2)), "bias", Doubled())
    assert sorted(layer.state_dict()) == [
        "parametrizations.bias.original",
        "parametrizations.weight.original0",
        "parametrizations.weight.original1",
    ]
    before = layer.weight.numpy().copy()
    register_parametrization(layer, "weight", Doubled())
    np.testing.assert_allclose(layer.weight.numpy(), before, rtol=1e-6)  # half the length, doubled
    register_parametrization(layer, "weight", Positive())
    np.testing.assert_allclose(layer.weight.numpy(), np.exp(before), rtol=1e-6)
    remove_parametrizations(layer, "weight")
    assert is_parametrized(layer, "bias")
    np.testing.assert_allclose(layer.weight.numpy(), np.exp(before), rtol=1e-6)


def test_initialisation_and_assignment_reach_the_originals() -> None:
    pl.manual_seed(0)
    layer = weight_norm(nn.Linear(3, 2))
    nn.init.constant_(layer.weight, 2.0)
    np.testing.assert_allclose(layer.weight.numpy(), np.full((2, 3), 2.0), rtol=1e-6)
    np.testing.assert_allclose(
        layer.parametrizations.weight.original0.numpy(), np.full((2, 1), np.sqrt(12.0)), rtol=1e-6
    )
    layer.weight = np.arange(1.0, 7.0).reshape(2, 3)
    np.testing.assert_allclose(layer.weight.numpy(), np.arange(1.0, 7.0).reshape(2, 3), rtol=1e-6)
    layer.weight = nn.Parameter(np.ones((2, 3)))
    assert is_parametrized(layer, "weight")
    np.testing.assert_allclose(layer.weight.numpy(), np.ones((2, 3)), rtol=1e-6)
    normal = spectral_norm(nn.Linear(3, 2)).double()
    nn.init.constant_(normal.weight, 2.0)
    np.testing.assert_allclose(normal.weight.numpy(), np.full((2, 3), 1 / np.sqrt(6.0)), rtol=1e-6)


def test_a_network_draws_the_weights_for_the_activation_that_follows() -> None:
    pl.manual_seed(0)
    plain = nn.Sequential(nn.Linear(50, 40), nn.ReLU(), nn.Linear(40, 1))
    pl.manual_seed(0)
    first, last = nn.Linear(50, 40), nn.Linear(40, 1)
    normed = nn.Sequential(weight_norm(first), nn.ReLU(), weight_norm(last))
    for a, b in ((plain[0], normed[0]), (plain[2], normed[2])):
        assert a.init == b.init
        np.testing.assert_allclose(a.weight.numpy(), b.weight.numpy(), rtol=1e-5)
    touched = nn.Linear(4, 4)
    touched.weight.assign(pl.ones((4, 4)))
    nn.Sequential(weight_norm(touched), nn.ReLU())
    np.testing.assert_allclose(touched.weight.numpy(), np.ones((4, 4)), rtol=1e-6)


def network() -> nn.Module:
    pl.manual_seed(3)
    return nn.Sequential(weight_norm(nn.Linear(4, 8)), nn.Tanh(), spectral_norm(nn.Linear(8, 3)))


def test_compiled_is_eager() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 4)).astype(np.float32), rng.integers(0, 3, 16)
    results = []
    for compiled in (False, True):
        model = network()
        optimizer, loss = pl.optim.Adam(model.parameters(), lr=0.01), nn.CrossEntropyLoss()

        def step(x: pl.Tensor, y: pl.Tensor, model=model, optimizer=optimizer, loss=loss) -> pl.Tensor:
            value = loss(model(x), y)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            return value

        run = pl.compile(step) if compiled else step
        losses = [run(pl.Tensor(x), pl.Tensor(y)).item() for _ in range(8)]
        results.append((losses, {k: v.numpy() for k, v in model.state_dict().items()}))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
    assert results[0][0][-1] < results[0][0][0]
    for name, value in results[0][1].items():
        np.testing.assert_allclose(value, results[1][1][name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_fit_save_and_load(tmp_path: Path) -> None:
    model = network()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype(np.float32)
    data = (x, (x.sum(axis=1) > 0).astype(np.int64))
    history = pl.fit(model, data, loss="cross_entropy", optimizer="adam", epochs=5, verbose=0)
    assert history.loss[-1] < history.loss[0]
    pl.save(model, tmp_path / "model.safetensors")
    loaded = pl.load(tmp_path / "model.safetensors")
    np.testing.assert_allclose(loaded(x).numpy(), model.eval()(x).numpy(), rtol=1e-5, atol=1e-6)


def test_what_is_refused() -> None:
    layer = nn.Linear(3, 2)
    with pytest.raises(NoAttributeError):
        weight_norm(layer, "wight")
    with pytest.raises(ArgumentTypeError):
        weight_norm(3)  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError):
        register_parametrization(layer, "weight", pl.exp)  # type: ignore[arg-type]
    with pytest.raises(PellucidError):
        weight_norm(layer, axis=2)
    with pytest.raises(ArgumentError):
        spectral_norm(layer, n_power_iterations=0)
    before = layer.weight.numpy().copy()
    for result, error, words in (
        (
            lambda x: x[:, :2],
            ShapeError,
            ["parametrize: Wrong gives another shape than the weight's", "  given:    (2, 2)", "  expected: (2, 3)"],
        ),
        (
            lambda x: x.astype("float64"),
            ModelError,
            [
                "parametrize: Wrong does not give a weight",
                "  given:    Tensor(2, 3) float64",
                "  expected: a Tensor of dtype float32",
            ],
        ),
    ):
        assert lines(lambda result=result: register_parametrization(layer, "weight", Wrong(result)), error)[:3] == words
        assert not is_parametrized(layer)
        assert layer.weight.tolist() == before.tolist()
    assert lines(lambda: remove_parametrizations(layer, "weight"), ArgumentError)[:3] == [
        "Linear.weight is not parametrized",
        "  given:    weight",
        "  expected: a parametrized weight; here: ",
    ]
    weight_norm(layer)
    assert lines(lambda: remove_parametrizations(layer, "weight", leave_parametrized=False), ArgumentError)[:3] == [
        "remove_parametrizations: there is no single original to go back to",
        "  given:    weight: 2 originals",
        "  expected: leave_parametrized=True",
    ]
    assert lines(lambda: register_parametrization(layer, "weight", Sum()), ModelError)[:3] == [
        "parametrize: only the first parametrization of a weight can take several values",
        "  given:    Sum: right_inverse returns 2",
        "  expected: one Tensor",
    ]
    with pytest.raises(ShapeError):
        layer.weight = np.ones((3, 3))
    with pytest.raises(ArgumentError):
        layer.register_parameter("weight", nn.Parameter(np.ones((2, 3))))
    positive = register_parametrization(nn.Linear(3, 2), "weight", Positive())
    assert lines(lambda: nn.init.zeros_(positive.weight), ModelError)[:3] == [
        "Positive does not say what it is computed from",
        "  given:    a value for a weight that Positive computes",
        "  expected: a method right_inverse(weight) that returns what Positive makes the weight from",
    ]


def test_weights_of_zeros() -> None:
    layer = nn.Linear(3, 2)
    layer.weight.assign(pl.Tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]], dtype="float32"))
    assert lines(lambda: weight_norm(layer), ModelError)[:3] == [
        "weight_norm: a part of the weight is 0 and has no direction",
        "  given:    weight (2, 3): 1 of its parts are 0",
        "  expected: at least one value other than 0 in each",
    ]
    nn.init.zeros_(layer.weight)
    assert lines(lambda: spectral_norm(layer), ModelError)[:3] == [
        "spectral_norm: the weight is 0 and has no largest singular value to divide by",
        "  given:    weight (2, 3)",
        "  expected: at least one value other than 0",
    ]
    assert not is_parametrized(layer)


def test_a_layer_that_writes_into_its_weight_is_refused() -> None:
    layer = weight_norm(nn.Embedding(5, 3, max_norm=0.1))
    assert lines(lambda: layer([1, 2]), ModelError)[:3] == [
        "parametrizations.weight is computed by a parametrization and cannot be written to while the network runs",
        "  given:    an assignment within a call, such as that of Embedding(max_norm=...)",
        "  expected: a weight that is a parameter, or no assignment",
    ]
    plain = weight_norm(nn.Embedding(5, 3))
    assert plain([1, 2]).shape == (2, 3)
