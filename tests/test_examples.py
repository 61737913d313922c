"""Every example runs, and the values it prints are those computed by hand."""

import math
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, main: bool = True) -> dict[str, Any]:
    """The names that an example leaves; with `main`, run as a user runs it."""
    return runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__" if main else name)


def test_one_layer(capsys: pytest.CaptureFixture[str]) -> None:
    names = run("one_layer")
    assert names["plus_ten"].tolist() == [[11, 12, 13], [14, 15, 16]]
    assert names["table"].mean().item() == 3.5
    assert names["weighted"].tolist() == pytest.approx([0.2, 0.5, 0.8], abs=1e-7)
    assert names["z"].tolist() == pytest.approx([0.3, 0.7, 1.1], abs=1e-7)
    assert names["y"].tolist() == pytest.approx([0.57444252, 0.66818777, 0.75026011], abs=1e-7)
    assert "x·W        = [0.2, 0.5, 0.8]" in capsys.readouterr().out


def test_umbrella_neuron(capsys: pytest.CaptureFixture[str]) -> None:
    names = run("umbrella_neuron")
    assert names["on"].item() == 0.0
    assert names["p"].item() == pytest.approx(1 / (1 + math.exp(2)), abs=1e-15)
    assert names["relu_gradient"].tolist() == [0.0, 0.0]
    assert names["bias_gradient"].item() == 0.0
    printed = capsys.readouterr().out
    assert "z = (-0.5 × 10) + (2 × 1) + 1 = -2\n" in printed
    assert "sigmoid(-2) = 0.1192029220\n" in printed
    assert "with ReLU the gradient is 0: this unit cannot learn from this example\n" in printed


def test_coat_network() -> None:
    names = run("coat_network")
    assert names["z1"].tolist() == [-3.5, -8.0]
    assert names["a1"].tolist() == [0.0, 0.0]
    assert names["z2"].tolist() == [0.2]
    assert names["p"].item() == pytest.approx(0.549833997312478, abs=1e-15)
    assert (names["num_parameters"], names["num_macs"]) == (11, 8)
    assert names["loss"].item() == pytest.approx(0.5981388694, abs=1e-10)
    for name in ("W1", "b1", "W2"):
        assert not names[name].grad.numpy().any(), name
    assert names["b2"].grad.item() == pytest.approx(-0.4501660027, abs=1e-10)
    expected = {
        (-10, 0, 0): 0.2141650170,
        (0, 1, 1): 0.5986876601,
        (2, 1, 1): 0.6456563062,
        (25, 0, 0): 0.5498339973,
    }
    assert names["answers"] == pytest.approx(expected, abs=1e-10)


def test_scalar_neuron() -> None:
    names = run("scalar_neuron")
    assert names["z"] == pytest.approx(2.3, abs=1e-15)
    assert names["activation"].item() == pytest.approx(2.3, abs=1e-6)
    assert names["silent"].item() == 0.0


def test_batch_and_bias() -> None:
    names = run("batch_and_bias")
    assert names["Z"].shape == (2, 4)
    expected = [[10.1, 20.2, 30.3, 40.4], [50.1, 60.2, 70.3, 80.4]]
    np.testing.assert_allclose(names["total"].numpy(), expected, rtol=1e-6)
    assert names["total"].tolist() == names["as_if"].tolist()
    assert str(names["refusal"]).startswith("add: the shapes do not broadcast\n  given:    a (2, 4), b (3,)")


def test_squared_error() -> None:
    names = run("squared_error")
    assert names["loss"].item() == pytest.approx(0.025, abs=1e-8)
    np.testing.assert_allclose(names["gradient"].numpy(), [[0.05, -0.05], [-0.1, 0.1]], atol=1e-7)
    assert names["loss_rows"].item() == pytest.approx(0.05, abs=1e-8)
    np.testing.assert_allclose(names["gradient_rows"].numpy(), [[0.1, -0.1], [-0.2, 0.2]], atol=1e-7)


def test_from_scratch(capsys: pytest.CaptureFixture[str]) -> None:
    names = run("from_scratch")
    assert names["network"].forward(names["corners"])[:, 0] == pytest.approx([0, 1, 1, 0], abs=0.05)
    error = names["line"].forward(names["x"]) - names["x"]
    assert float((error**2).mean()) < 1e-4
    assert "10 outputs: gradients by hand" in capsys.readouterr().out


@pytest.mark.parametrize("num_outputs", [1, 2, 10])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gradients_by_hand_are_the_librarys(num_outputs: int, seed: int) -> None:
    assert run("from_scratch", main=False)["largest_gradient_error"](num_outputs, seed) <= 1e-12


@pytest.mark.parametrize("num_outputs", [1, 2, 10])
def test_gradients_by_hand_are_those_of_differences(num_outputs: int) -> None:
    network = run("from_scratch", main=False)["Network"]([3, 4, num_outputs], 0)
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, num_outputs))
    network.backward(x, y)
    for layer in network.layers:
        for neuron in layer.neurons:
            by_hand, step = neuron.weights_gradient.copy(), 1e-6
            for i in range(len(by_hand)):
                neuron.weights[i] += step
                above = float(((network.forward(x) - y) ** 2).mean())
                neuron.weights[i] -= 2 * step
                below = float(((network.forward(x) - y) ** 2).mean())
                neuron.weights[i] += step
                assert by_hand[i] == pytest.approx((above - below) / (2 * step), abs=1e-8)


@pytest.mark.slow
def test_xor_from_scratch_is_solved_from_nearly_every_start() -> None:
    names = run("from_scratch", main=False)
    corners, xor = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0.0], [1], [1], [0]])
    solved = 0
    for seed in range(100):
        network = names["Network"]([2, 8, 1], seed)
        network.train(corners, xor)
        solved += np.array_equal(network.forward(corners) > 0.5, xor > 0.5)
    assert solved >= 95


def test_binary_classifier(capsys: pytest.CaptureFixture[str]) -> None:
    names = run("binary_classifier")
    losses = names["losses"]
    assert losses[0] == pytest.approx(0.725886, abs=5e-7)
    assert [losses[i] for i in (100, 500, 999)] == pytest.approx([0.6970, 0.6925, 0.6919], abs=5e-5)
    gradients = names["first_gradients"]
    first = [-0.00069152, -0.00487985, -0.00054666, -0.0012974]
    assert gradients["0.weight"].T.ravel() == pytest.approx(first, abs=5e-9)
    assert gradients["0.bias"] == pytest.approx([0.00135387, 0.0100023], abs=5e-9)
    assert gradients["2.weight"].ravel() == pytest.approx([-0.06905948, -0.07491845], abs=5e-9)
    assert gradients["2.bias"] == pytest.approx([-0.09676674], abs=5e-9)
    assert names["dependence"].verdict == "independent"
    assert names["shape_refusal"].given
    assert names["bias_refusal"].given
    assert "do the labels depend on the inputs? independent" in capsys.readouterr().out


def test_optimizers() -> None:
    paths = run("optimizers")["paths"]
    assert paths["SGD"] == pytest.approx([0.9, 0.81, 0.729], abs=1e-12)
    assert paths["SGD, momentum 0.9"] == pytest.approx([0.9, 0.72, 0.486], abs=1e-12)
    assert paths["RMSprop, alpha 0.99"] == pytest.approx([1e-7, -1e-9, 0.0], abs=2e-9)
    assert paths["Adam"] == pytest.approx([0.900000001, 0.80041223, 0.701586275], abs=1e-8)


def test_update_frequency() -> None:
    names = run("update_frequency")
    expected = {(10_000, 100): 100, (1000, 1): 1000, (1000, 32): 32, (1000, 100): 10, (1000, 1000): 1}
    assert names["counts"] == expected
    assert names["in_one_batch"] == names["without_batches"]


def test_digits() -> None:
    names = run("digits", main=False)
    assert (names["num_parameters"], names["size_bytes"]) == (13_002, 52_008)
    # Ten epochs are enough to be far above chance, which is 0.1; the worked examples test what sixty reach.
    assert names["accuracy"](seed=0, epochs=10) > 0.9


@pytest.mark.slow
def test_next_character(capsys: pytest.CaptureFixture[str]) -> None:
    names = run("next_character")
    # 16 kinds of characters, of which none is likelier than another at first.
    assert names["before"] == pytest.approx(math.log(16), abs=0.1)
    assert names["after"] < 0.4
    assert capsys.readouterr().out.endswith(f"{names['VERSE']}\n")


def test_the_readme_lists_every_example() -> None:
    readme = (EXAMPLES / "README.md").read_text("utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert f"({path.name})" in readme, path.name
