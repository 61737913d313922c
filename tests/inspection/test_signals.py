"""`signals` against the layers called by hand and float64 differences."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import errors, nn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 3))
Y = np.arange(8) % 2


def network() -> nn.Sequential:
    pl.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4, dtype=pl.float64), nn.ReLU(), nn.Linear(4, 2, dtype=pl.float64))


def test_results_and_gradients_of_each_layer() -> None:
    model = network()
    before = {name: p.numpy().copy() for name, p in model.named_parameters()}
    found = pl.inspection.signals(model, X, Y, nn.CrossEntropyLoss(), bins=7)
    assert [(layer.path, layer.kind, layer.output) for layer in found.layers] == [
        ("0", "Linear", (8, 4)), ("1", "ReLU", (8, 4)), ("2", "Linear", (8, 2)),
    ]  # fmt: skip
    assert [layer.parameters for layer in found.layers] == [("0.weight", "0.bias"), (), ("2.weight", "2.bias")]
    w0, b0, w2, b2 = before.values()
    hidden = X @ w0.T + b0
    scores = np.maximum(hidden, 0) @ w2.T + b2
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = e / e.sum(axis=1, keepdims=True)
    assert found.loss == pytest.approx(-np.log(shares[np.arange(8), Y]).mean())
    by_scores = (shares - np.eye(2)[Y]) / 8
    by_activated = by_scores @ w2
    by_hidden = by_activated * (hidden > 0)
    expected = [np.linalg.norm(g) for g in (by_hidden, by_activated, by_scores)]
    np.testing.assert_allclose([layer.gradient_norm for layer in found.layers], expected, rtol=1e-10)
    of_first = np.sqrt(((by_hidden.T @ X) ** 2).sum() + (by_hidden.sum(axis=0) ** 2).sum())
    assert found.layers[0].weight_gradient_norm == pytest.approx(of_first)
    assert found.layers[0].weight_norm == pytest.approx(np.sqrt((w0**2).sum() + (b0**2).sum()))
    assert found.layers[1].weight_norm is None
    relu = found.layers[1].results
    assert (relu.size, relu.zeros) == (32, int((hidden <= 0).sum()))
    counts, edges = np.histogram(hidden[hidden > 0], 7)
    np.testing.assert_array_equal(relu.counts, counts)
    np.testing.assert_allclose(relu.edges, edges)
    assert relu.mean == pytest.approx(np.maximum(hidden, 0).mean())
    assert all(p.grad is None and (p.numpy() == before[name]).all() for name, p in model.named_parameters())


def test_without_a_loss_and_of_a_network_from_a_file(tmp_path: object) -> None:
    model = network()
    found = pl.inspection.signals(model, X)
    assert found.loss is None
    assert all(layer.gradients is None and layer.gradient_norm is None for layer in found.layers)
    model(X)
    pl.save(model.eval(), f"{tmp_path}/m.safetensors")
    loaded = pl.inspection.signals(pl.load(f"{tmp_path}/m.safetensors"), X, Y, nn.CrossEntropyLoss())
    same = pl.inspection.signals(model, X, Y, nn.CrossEntropyLoss())
    assert [layer.path for layer in loaded.layers] == ["0", "1", "2"]
    assert [layer.gradient_norm for layer in loaded.layers] == [layer.gradient_norm for layer in same.layers]


def test_values_that_are_not_finite_are_counted_apart() -> None:
    def broken(x: pl.Tensor) -> pl.Tensor:
        return pl.log(x)

    found = pl.inspection.signals(broken, np.array([[0.0, 1.0, np.e, -1.0]]))
    assert (found.layers[0].results.not_finite, found.layers[0].results.zeros) == (2, 1)
    assert found.layers[0].results.counts.sum() == 1


def test_targets_need_a_loss() -> None:
    with pytest.raises(errors.ArgumentError):
        pl.inspection.signals(network(), X, Y)
    with pytest.raises(errors.ArgumentTypeError):
        pl.inspection.signals(network(), X, Y, 3)  # type: ignore[arg-type]
