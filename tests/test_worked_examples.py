"""The worked examples that the library is held to, each with values computed by hand or with NumPy alone.

They go through the public interface: layers, losses, optimizers, `fit`, the command line. The programs in `examples/`
show the same numbers step by step, and have tests of their own.
"""

import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid.cli.app import run
from pellucid.graph import record
from tests.layers import linear

F64 = pl.float64


# Arrays and one layer


def test_an_array_plus_a_number() -> None:
    x = pl.Tensor([[1, 2, 3], [4, 5, 6]])
    assert (x + 10).tolist() == [[11, 12, 13], [14, 15, 16]]
    assert x.mean().item() == 3.5


def test_lists_are_accepted_wherever_arrays_are() -> None:
    rows, weights = [[1, 2, 3], [4, 5, 6]], [[1.0], [0.0], [0.0]]
    assert pl.mean(rows).item() == 3.5
    assert pl.add(rows, [10, 20, 30]).tolist() == [[11, 22, 33], [14, 25, 36]]
    assert pl.matmul(rows, weights).tolist() == [[1.0], [4.0]]
    assert (pl.Tensor(rows) + rows).tolist() == [[2, 4, 6], [8, 10, 12]]
    assert linear([[1.0, 0.0, 0.0]], [0.5])(rows).tolist() == [[1.5], [4.5]]
    assert pl.nn.MSELoss()([[1.0, 2.0]], [[1.0, 4.0]]).item() == 2.0
    assert len(pl.data.as_dataset((rows, [0, 1]))) == 2


def test_one_layer() -> None:
    x = pl.Tensor([[1.0, 0.5]], dtype=F64)
    layer = linear([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], [0.1, 0.2, 0.3])
    np.testing.assert_allclose((x @ layer.weight.T).numpy(), [[0.2, 0.5, 0.8]], atol=1e-15)
    np.testing.assert_allclose(layer(x).numpy(), [[0.3, 0.7, 1.1]], atol=1e-15)
    expected = [[0.57444252, 0.66818777, 0.75026011]]
    np.testing.assert_allclose(pl.nn.Sigmoid()(layer(x)).numpy(), expected, atol=5e-9)


# One neuron, and a network of three


def test_the_umbrella_neuron() -> None:
    neuron = linear([[-0.5, 2.0]], [1.0])
    z = neuron([[10.0, 1.0]])
    assert z.item() == -2.0
    assert pl.relu(z).item() == 0.0
    assert pl.sigmoid(z).item() == pytest.approx(0.1192029220, abs=5e-11)
    pl.relu(z).sum().backward()
    assert neuron.weight.grad.tolist() == [[0.0, 0.0]]
    assert neuron.bias.grad.tolist() == [0.0]


@pytest.fixture
def coat() -> pl.nn.Sequential:
    return pl.nn.Sequential(
        linear([[-0.5, 1.0, 0.5], [-1.0, 0.5, 0.5]], [0.0, 1.0]), pl.nn.ReLU(), linear([[0.8, -0.5]], [0.2])
    )


def test_the_coat_network_forward(coat: pl.nn.Sequential) -> None:
    x = pl.Tensor([[10.0, 1.0, 1.0]], dtype=F64)
    assert coat[0](x).tolist() == [[-3.5, -8.0]]
    assert coat[1](coat[0](x)).tolist() == [[0.0, 0.0]]
    assert coat(x).tolist() == [[0.2]]
    assert pl.sigmoid(coat(x)).item() == pytest.approx(0.549833997312478, abs=1e-15)
    others = pl.sigmoid(coat([[-10.0, 0.0, 0.0], [0.0, 1.0, 1.0], [2.0, 1.0, 1.0], [25.0, 0.0, 0.0]]))
    expected = [[0.2141650170], [0.5986876601], [0.6456563062], [0.5498339973]]
    np.testing.assert_allclose(others.numpy(), expected, atol=5e-11)


def test_the_coat_network_counted(coat: pl.nn.Sequential) -> None:
    assert coat.num_parameters() == 11
    assert macs(record(coat, pl.zeros((1, 3), dtype=F64))) == 8


@pytest.mark.parametrize("loss_of_logits", [True, False])
def test_the_coat_network_backward(coat: pl.nn.Sequential, loss_of_logits: bool) -> None:
    z = coat([[10.0, 1.0, 1.0]])
    y = pl.Tensor([[1.0]], dtype=F64)
    loss = pl.nn.BCEWithLogitsLoss()(z, y) if loss_of_logits else pl.nn.BCELoss()(pl.sigmoid(z), y)
    assert loss.item() == pytest.approx(0.5981388694, abs=5e-11)
    loss.backward()
    gradients = {name: p.grad.numpy() for name, p in coat.named_parameters()}
    assert gradients.pop("2.bias") == pytest.approx(-0.4501660027, abs=5e-11)
    assert not any(g.any() for g in gradients.values())


# Handwritten digits


def digit_network(num_inputs: int) -> pl.nn.Sequential:
    nn = pl.nn
    return nn.Sequential(
        nn.Linear(num_inputs, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10), nn.Softmax(axis=1)
    )


def macs(graph: pl.graph.Graph) -> int:
    """Multiply-accumulates of all operations of a graph, each counted from its own declaration."""
    from pellucid.cli.summary import cost

    return sum(cost(instruction).macs for instruction in graph.instructions)


def test_the_digit_network_counted() -> None:
    model = digit_network(784)
    by_layer = [sum(p.size for p in layer.parameters()) for layer in model if list(layer.parameters())]
    assert by_layer == [12_560, 272, 170]
    assert model.num_parameters() == 13_002
    assert sum(p.nbytes for p in model.parameters()) == 52_008
    assert macs(record(model, pl.zeros((1, 784)))) == 12_960


def test_the_digit_networks_training_step_counted() -> None:
    """Forward 12,960, as many for the weights' gradients, and 16·16 + 16·10 for those of the hidden activations."""
    nn = pl.nn
    model = nn.Sequential(nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10))
    loss_fn, parameters = nn.CrossEntropyLoss(), list(model.parameters())

    def step(x: pl.Tensor, y: pl.Tensor) -> list[pl.Tensor]:
        return pl.autograd.grad(loss_fn(model(x), y), parameters)

    assert macs(record(step, pl.zeros((1, 784)), pl.Tensor([3]))) == 26_336


def test_the_digit_networks_activations_counted() -> None:
    """Inference must hold the largest input with its output; training stores the activations of every layer."""
    model = digit_network(784)
    widths = [784]
    x = pl.zeros((1, 784))
    for layer in model:
        x = layer(x)
        if list(layer.parameters()):
            widths.append(x.size)
    assert max(a + b for a, b in zip(widths, widths[1:], strict=False)) == 800
    assert sum(widths) == 826


@pytest.mark.slow
def test_the_digits_are_learnt_by_the_command_lines_defaults(tmp_path: Path) -> None:
    found = []
    for seed in range(5):
        folder = tmp_path / str(seed)
        words = ["train", "digits", "--layers", "16,16", "--seed", str(seed), "--quiet", "--out", str(folder)]
        assert run(words) == 0
        tables = tomllib.loads((folder / "run.toml").read_text("utf-8"))
        assert tables["network"]["sizes"] == [64, 16, 16, 10]
        found.append(tables["results"]["test_accuracy"])
    assert np.mean(found) >= 0.967, found


# A scalar neuron, a batch, a loss


def test_a_scalar_neuron() -> None:
    neuron = linear([[0.2, 0.8, -0.5]], [2.0])
    assert neuron([[1.0, 2.0, 3.0]]).item() == pytest.approx(2.3, abs=1e-15)
    assert pl.relu(2.3).item() == pytest.approx(2.3, abs=1e-7)
    assert pl.relu(-1.2).item() == 0.0


def test_a_batch_through_a_layer() -> None:
    x, w, b = pl.ones((2, 3)), pl.ones((3, 4)), pl.ones((1, 4))
    assert (x @ w + b).shape == (2, 4)
    assert pl.nn.Linear(3, 4)(x).shape == (2, 4)


def test_a_bias_is_broadcast() -> None:
    total = pl.Tensor([[10, 20, 30, 40], [50, 60, 70, 80]]) + pl.Tensor([[0.1, 0.2, 0.3, 0.4]])
    np.testing.assert_allclose(total.numpy(), [[10.1, 20.2, 30.3, 40.4], [50.1, 60.2, 70.3, 80.4]], rtol=1e-6)


def test_mean_squared_error_and_its_gradient_have_one_reduction() -> None:
    y = pl.Tensor([[0.0, 1.0], [1.0, 0.0]], dtype=F64)

    def measured(loss_fn: Callable[..., pl.Tensor]) -> tuple[float, np.ndarray]:
        p = pl.Tensor([[0.1, 0.9], [0.8, 0.2]], dtype=F64, requires_grad=True)
        loss = loss_fn(p, y)
        loss.backward()
        return loss.item(), p.grad.numpy()

    value, gradient = measured(pl.nn.MSELoss())
    assert value == pytest.approx(0.025, abs=1e-15)
    np.testing.assert_allclose(gradient, [[0.05, -0.05], [-0.1, 0.1]], atol=1e-15)
    value, gradient = measured(lambda p, t: pl.nn.MSELoss(reduction="none")(p, t).sum(axis=1).mean())
    assert value == pytest.approx(0.05, abs=1e-15)
    np.testing.assert_allclose(gradient, [[0.1, -0.1], [-0.2, 0.2]], atol=1e-15)


# Networks that learn


@pytest.mark.parametrize("num_outputs", [1, 2, 10])
@pytest.mark.parametrize("activation", [pl.nn.Tanh, pl.nn.ReLU, pl.nn.Sigmoid])
def test_gradients_of_a_network_are_those_of_differences(num_outputs: int, activation: type) -> None:
    pl.manual_seed(0)
    first, last = (pl.nn.Linear(3, 4, dtype=F64), pl.nn.Linear(4, num_outputs, dtype=F64))
    model, loss_fn = pl.nn.Sequential(first, activation(), last), pl.nn.MSELoss()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 3)), pl.Tensor(rng.normal(size=(5, num_outputs)))
    loss_fn(model(x), y).backward()
    for parameter in model.parameters():
        by_backward, values, step = parameter.grad.numpy(), parameter.numpy().copy(), 1e-6
        for index in np.ndindex(values.shape):
            around = []
            for change in (step, -step):
                moved = values.copy()
                moved[index] += change
                parameter.assign(pl.Tensor(moved))
                around.append(loss_fn(model(x), y).item())
            parameter.assign(pl.Tensor(values.copy()))
            assert abs(by_backward[index] - (around[0] - around[1]) / (2 * step)) <= 1e-6


@pytest.mark.slow
def test_exclusive_or_is_solved_from_nearly_every_start() -> None:
    data, solved = pl.data.xor(), 0
    for seed in range(100):
        pl.manual_seed(seed)
        model = pl.nn.Sequential(pl.nn.Linear(2, 8), pl.nn.Tanh(), pl.nn.Linear(8, 1))
        y = data.y.astype(np.float32)[:, None]
        optimizer = pl.optim.Adam(model.parameters(), lr=0.05)
        fit = {"loss": "bce_with_logits", "optimizer": optimizer, "epochs": 200, "checks": False, "verbose": 0}
        pl.fit(model, (data.x, y), seed=seed, **fit)
        solved += pl.evaluate(model, (data.x, y), metrics=["accuracy"])["accuracy"] == 1.0
    assert solved >= 95


def test_the_line_is_learnt() -> None:
    data = pl.data.curve("identity", 200)
    pl.manual_seed(0)
    model = pl.nn.Sequential(pl.nn.Linear(1, 8), pl.nn.Tanh(), pl.nn.Linear(8, 1))
    optimizer = pl.optim.Adam(model.parameters(), lr=0.01)
    pl.fit(model, data, loss="mse", optimizer=optimizer, epochs=300, schedule="cosine", verbose=0)
    assert pl.evaluate(model, data, metrics=["mse"])["mse"] < 1e-4


@pytest.mark.slow
def test_clothes_are_told_apart_within_ten_epochs(tmp_path: Path) -> None:
    try:
        pl.data.fashion_mnist(download=False)
    except pl.errors.MissingFileError:
        pytest.skip("Fashion-MNIST is not at hand")
    words = ["train", "fashion-mnist", "--layers", "128", "--epochs", "10", "--quiet", "--out", str(tmp_path / "run")]
    assert run(words) == 0
    tables = tomllib.loads((tmp_path / "run" / "run.toml").read_text("utf-8"))
    assert tables["network"]["sizes"] == [784, 128, 10]
    assert tables["results"]["test_accuracy"] >= 0.88
