"""The worked examples of training that the library is held to: a binary classifier and what goes wrong with one by
hand, how often weights change and by which rule, how they start, and hyper-parameters.

The values were computed by hand or with NumPy alone; those of layers and networks are in `test_worked_examples.py`.
"""

import math
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid.cli.app import run
from tests.layers import linear

F64 = pl.float64


# A binary classifier, and what can go wrong with one


@pytest.fixture(scope="module")
def half_and_half() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points, labels that know nothing of them, and first weights, drawn in this order from NumPy's seed 0."""
    random = np.random.RandomState(0)
    x = random.randn(1000, 2)
    y = np.zeros((1000, 1))
    y[:500] = 1.0
    return x, y, random.randn(2, 2), random.randn(2, 1)


def classifier(weights: tuple[np.ndarray, np.ndarray]) -> pl.nn.Sequential:
    first, last = (linear(w.T.tolist(), [0.0] * w.shape[1]) for w in weights)
    return pl.nn.Sequential(first, pl.nn.Sigmoid(), last)


def test_the_binary_classifier_at_the_start(half_and_half: tuple) -> None:
    x, y, *weights = half_and_half
    model = classifier(tuple(weights))
    loss = pl.nn.BCEWithLogitsLoss()(model(x), pl.Tensor(y))
    assert loss.item() == pytest.approx(0.725886, abs=5e-7)
    assert pl.nn.BCELoss()(pl.sigmoid(model(x)), pl.Tensor(y)).item() == pytest.approx(loss.item(), abs=1e-14)
    loss.backward()
    first = [-0.00069152, -0.00487985, -0.00054666, -0.0012974]
    np.testing.assert_allclose(model[0].weight.grad.numpy().T.ravel(), first, atol=5e-9)
    np.testing.assert_allclose(model[0].bias.grad.numpy(), [0.00135387, 0.0100023], atol=5e-9)
    np.testing.assert_allclose(model[2].weight.grad.numpy().ravel(), [-0.06905948, -0.07491845], atol=5e-9)
    np.testing.assert_allclose(model[2].bias.grad.numpy(), [-0.09676674], atol=5e-9)


def test_the_binary_classifier_over_a_thousand_epochs(half_and_half: tuple) -> None:
    x, y, *weights = half_and_half
    model = classifier(tuple(weights))
    optimizer = pl.optim.SGD(model.parameters(), lr=0.1)
    history = pl.fit(
        model,
        (x, y),
        loss="bce_with_logits",
        optimizer=optimizer,
        epochs=1000,
        batch_size="full",
        verbose=0,
    )
    assert [history.loss[epoch] for epoch in (100, 500, 999)] == pytest.approx([0.6970, 0.6925, 0.6919], abs=5e-5)


def test_labels_that_know_nothing_of_the_inputs_are_reported_before_training(half_and_half: tuple) -> None:
    x, y, *_ = half_and_half
    model = pl.nn.Sequential(pl.nn.Linear(2, 2), pl.nn.Sigmoid(), pl.nn.Linear(2, 1))
    found = pl.train.examine(model, (x, y), loss="bce_with_logits", dependence=True)
    assert "train.independent-labels" in [f.key for f in found]


def test_what_the_way_back_needs_is_kept(half_and_half: tuple) -> None:
    """Nothing has to be handed from forward to backward, even with the hidden activations gone."""
    x, y, *weights = half_and_half
    model = classifier(tuple(weights))
    pl.nn.BCEWithLogitsLoss()(model(x), pl.Tensor(y)).backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in model.parameters())


def test_the_slope_of_the_sigmoid_comes_once(half_and_half: tuple) -> None:
    x, y, *weights = half_and_half
    z = classifier(tuple(weights))(x).detach().requires_grad_()
    pl.nn.BCEWithLogitsLoss()(z, pl.Tensor(y)).backward()
    p = 1 / (1 + np.exp(-z.numpy()))
    np.testing.assert_allclose(z.grad.numpy(), (p - y) / 1000, rtol=0, atol=1e-15)


@pytest.mark.parametrize("loss_fn", [pl.nn.BCELoss(), pl.nn.BCEWithLogitsLoss(), pl.nn.MSELoss(), pl.nn.L1Loss()])
def test_a_column_against_a_row_is_refused(loss_fn: pl.nn.Module) -> None:
    with pytest.raises(pl.errors.ShapeError):
        loss_fn(pl.full((1000, 1), 0.5), pl.zeros(1000))


def test_twice_the_data_give_the_same_gradient(half_and_half: tuple) -> None:
    x, y, *weights = half_and_half
    gradients = []
    for times in (1, 2):
        model = classifier(tuple(weights))
        pl.nn.BCEWithLogitsLoss()(model(np.tile(x, (times, 1))), pl.Tensor(np.tile(y, (times, 1)))).backward()
        gradients.append(model[0].weight.grad.numpy())
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-12)


def test_one_gradient_for_two_biases_is_refused(half_and_half: tuple) -> None:
    x, y, *weights = half_and_half
    model = classifier(tuple(weights))
    pl.nn.BCEWithLogitsLoss()(model(x), pl.Tensor(y)).backward()
    bias = model[0].bias
    assert len(set(bias.grad.tolist())) == 2
    bias.grad = bias.grad.sum()
    with pytest.raises(pl.errors.ShapeError):
        pl.optim.SGD(model.parameters(), lr=0.1).step()


# How often weights change, and how


@pytest.mark.parametrize(
    ("rows", "batch_size", "iterations"),
    [(10_000, 100, 100), (1000, 1, 1000), (1000, 32, 32), (1000, 100, 10), (1000, 1000, 1)],
)
def test_iterations_an_epoch(rows: int, batch_size: int, iterations: int) -> None:
    x = np.zeros((rows, 1), np.float32)
    assert len(pl.data.Loader((x, x), batch_size=batch_size)) == iterations


@pytest.mark.parametrize(("batch_size", "updates"), [(1, 60), (32, 2), (60, 1), ("full", 1)])
def test_fit_makes_as_many_updates(batch_size: int | str, updates: int) -> None:
    data = pl.data.two_moons(60)
    model = pl.nn.Linear(2, 2)
    optimizer = pl.optim.SGD(model.parameters(), lr=0.1)
    history = pl.fit(model, data, loss="cross_entropy", optimizer=optimizer, epochs=3, batch_size=batch_size, verbose=0)
    assert history.steps == 3 * updates


def test_one_full_batch_is_gradient_descent_bit_for_bit() -> None:
    data = pl.data.two_moons(100)

    def network() -> pl.nn.Sequential:
        pl.manual_seed(0)
        return pl.nn.Sequential(pl.nn.Linear(2, 8), pl.nn.ReLU(), pl.nn.Linear(8, 2))

    batched, plain = network(), network()
    optimizer = pl.optim.SGD(batched.parameters(), lr=0.5)
    pl.fit(batched, data, loss="cross_entropy", optimizer=optimizer, epochs=5, batch_size=100, verbose=0)
    loss_fn, descent = pl.nn.CrossEntropyLoss(), pl.optim.SGD(plain.parameters(), lr=0.5)
    for _ in range(5):
        loss_fn(plain(data.x), data.y).backward()
        descent.step()
    for one, other in zip(batched.parameters(), plain.parameters(), strict=True):
        assert one.numpy().tobytes() == other.numpy().tobytes()


@pytest.mark.parametrize(
    ("make", "path", "tolerance"),
    [
        (lambda p: pl.optim.SGD(p, lr=0.1), [0.9, 0.81, 0.729], 1e-15),
        (lambda p: pl.optim.SGD(p, lr=0.1, momentum=0.9), [0.9, 0.72, 0.486], 1e-15),
        (lambda p: pl.optim.RMSprop(p, lr=0.1, alpha=0.99), [1e-7, -1e-9, 0.0], 5e-10),
        (lambda p: pl.optim.Adam(p, lr=0.1), [0.900000001, 0.80041223, 0.701586275], 5e-9),
    ],
    ids=["SGD", "momentum", "RMSprop", "Adam"],
)
def test_three_steps_down_a_parabola(make: Callable[[list], pl.optim.Optimizer], path: list, tolerance: float) -> None:
    w = pl.Tensor([1.0], dtype=F64, requires_grad=True)
    optimizer = make([w])
    for expected in path:
        (w * w / 2).sum().backward()
        optimizer.step()
        assert w.item() == pytest.approx(expected, abs=tolerance)


# How weights start


@pytest.mark.parametrize("activation", [pl.nn.ReLU, pl.nn.Tanh])
def test_all_zero_weights_have_no_gradient_but_the_last_bias(activation: type) -> None:
    model = pl.nn.Sequential(pl.nn.Linear(3, 4), activation(), pl.nn.Linear(4, 2))
    for parameter in model.parameters():
        pl.nn.init.zeros_(parameter)
    rng = np.random.default_rng(0)
    pl.nn.CrossEntropyLoss()(model(rng.normal(size=(10, 3))), rng.integers(0, 2, 10)).backward()
    gradients = {name: p.grad.numpy() for name, p in model.named_parameters()}
    assert gradients.pop("2.bias").any()
    assert not any(g.any() for g in gradients.values())


def test_all_zero_weights_under_a_sigmoid_keep_hidden_neurons_alike() -> None:
    model = pl.nn.Sequential(pl.nn.Linear(3, 4), pl.nn.Sigmoid(), pl.nn.Linear(4, 2))
    for parameter in model.parameters():
        pl.nn.init.zeros_(parameter)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(10, 3)), rng.integers(0, 2, 10)
    optimizer = pl.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(20):
        pl.nn.CrossEntropyLoss()(model(x), y).backward()
        optimizer.step()
    assert model[0].weight.numpy().any()
    assert (model[0].weight.numpy() == model[0].weight.numpy()[0]).all()


@pytest.mark.parametrize("activation", [pl.nn.ReLU, pl.nn.Tanh, pl.nn.Sigmoid])
def test_all_zero_weights_are_refused(activation: type) -> None:
    model = pl.nn.Sequential(pl.nn.Linear(2, 4), activation(), pl.nn.Linear(4, 2))
    for parameter in model.parameters():
        pl.nn.init.zeros_(parameter)
    optimizer = pl.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(pl.errors.ModelError):
        pl.fit(model, pl.data.two_moons(40), loss="cross_entropy", optimizer=optimizer, epochs=1, verbose=0)


@pytest.mark.parametrize(
    ("fill", "activation", "gain", "spread"),
    [
        (lambda w: pl.nn.init.kaiming_normal_(w, nonlinearity="relu"), pl.relu, 2.0, 5.0),
        (lambda w: pl.nn.init.kaiming_uniform_(w, nonlinearity="relu"), pl.relu, 2.0, 5.0),
        (pl.nn.init.xavier_normal_, lambda x: x, 1.0, 2.0),
        (pl.nn.init.xavier_uniform_, lambda x: x, 1.0, 2.0),
    ],
    ids=["He normal", "He uniform", "Xavier normal", "Xavier uniform"],
)
def test_variance_is_kept_over_ten_layers(fill: Callable, activation: Callable, gain: float, spread: float) -> None:
    """Over many draws of the weights the second moment of the sums, relative to the first layer's, is 1 on average.

    In one layer of n neurons it is off by chance with the relative variance 2/n, or 5/n after ReLU, whose square has
    the mean 1/2 and the second moment 3/2 of a normal number's; over ten layers these multiply.
    """
    width, depth, trials = 128, 10, 20
    pl.manual_seed(0)
    ratios = []
    for _ in range(trials):
        x = pl.normal(0.0, 1.0, (32, width))
        first = gain * float(np.square(activation(x).numpy()).mean())
        for _ in range(depth):
            weight = pl.zeros((width, width))
            fill(weight)
            x = activation(x) @ weight.T
        ratios.append(float(np.square(x.numpy()).mean()) / first)
    deviation = math.sqrt(((1 + spread / width) ** depth - 1) / trials)
    assert abs(np.mean(ratios) - 1) < 3 * deviation


def test_weights_of_a_hundredth_let_the_signal_die() -> None:
    pl.manual_seed(0)
    x = pl.normal(0.0, 1.0, (64, 512))
    for _ in range(10):
        weight = pl.zeros((512, 512))
        x = pl.relu(x) @ pl.nn.init.normal_(weight, 0.0, 0.01).T
    assert float(x.numpy().std()) < 1e-6


# Hyper-parameters


def test_every_hyper_parameter_is_an_argument_and_is_recorded(tmp_path: Path) -> None:
    """Learning rate, batch size, epochs, optimizer, regularisation, structure."""
    given = {
        "lr": ("0.02", 0.02),
        "batch-size": ("20", 20),
        "epochs": ("2", 2),
        "optimizer": ("rmsprop", "rmsprop"),
        "momentum": ("0.5", 0.5),
        "weight-decay": ("0.001", 0.001),
        "dropout": ("0.25", 0.25),
        "layers": ("5,4", [5, 4]),
        "activation": ("tanh", "tanh"),
        "norm": ("layer", "layer"),
        "init": ("xavier_normal", "xavier_normal"),
        "loss": ("nll", "nll"),
        "schedule": ("cosine", "cosine"),
        "model": ("dense", "dense"),
        "augment": ("none", []),
        "clip-norm": ("3", 3.0),
        "patience": ("7", 7),
        "validation": ("0.2", 0.2),
        "test-size": ("0.3", 0.3),
        "scale": ("standardize", "standardize"),
        "dtype": ("float64", "float64"),
        "metrics": ("accuracy,f1", ["accuracy", "f1"]),
        "seed": ("11", 11),
    }
    words = [word for name, (shown, _) in given.items() for word in (f"--{name}", shown)]
    assert run(["train", "two-moons", "--quiet", "--out", str(tmp_path / "run"), *words]) == 0
    recorded = tomllib.loads((tmp_path / "run" / "run.toml").read_text("utf-8"))["settings"]
    assert recorded == {name.replace("-", "_"): value for name, (_, value) in given.items()}
    assert math.isclose(recorded["lr"], 0.02)
