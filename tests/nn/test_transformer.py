"""Transformer layers and stacks: how weights start, what a decoder may know, compiled steps, copies and files, and what
is refused."""

from __future__ import annotations

import copy
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, ArgumentTypeError, ShapeError

X = np.random.default_rng(0).normal(size=(3, 5, 8)).astype(np.float32)


def lines(error: Exception) -> list[str]:
    return [line for line in str(error).split("\n") if not line.startswith("  at: ")]


def encoder(**options: Any) -> nn.TransformerEncoder:
    pl.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, **{"dropout": 0.0, "batch_first": True, **options})
    return nn.TransformerEncoder(layer, num_layers=3)


def weights(layer: nn.Module) -> list[np.ndarray]:
    return [p.numpy() for p in layer.parameters() if p.ndim > 1]


def test_each_layer_of_a_stack_has_weights_of_its_own() -> None:
    pl.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    for prototype in (layer, layer.double()):  # a cast is no change
        stack = nn.TransformerEncoder(prototype, num_layers=3)
        for a, b, c, given in zip(*map(weights, (*stack.layers, prototype)), strict=True):
            np.testing.assert_array_equal(a, given)
            assert (a != b).all()
            assert (b != c).all()
            assert 0.7 < b.std() / a.std() < 1.4
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), num_layers=2)
    assert all((a != b).all() for a, b in zip(*map(weights, decoder.layers), strict=True))


def test_layers_that_were_loaded_or_changed_are_copied_as_they_are() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    layer.linear1.bias.assign(pl.zeros((16,)))
    stack = nn.TransformerEncoder(layer, num_layers=3)
    for copied in stack.layers:
        assert all((a == b).all() for a, b in zip(weights(copied), weights(layer), strict=True))


def test_how_the_weights_start() -> None:
    pl.manual_seed(0)
    layer = nn.TransformerEncoderLayer(64, 4, 256)
    for linear, features in ((layer.linear1, 64), (layer.linear2, 256)):
        assert 0.99 / math.sqrt(features) < np.abs(linear.weight.numpy()).max() <= 1 / math.sqrt(features)
        assert linear.bias.numpy().std() > 0
    model = nn.Transformer(64, 4, 1, 1, 256)
    for name, p in model.named_parameters():
        if p.ndim > 1:
            bound = math.sqrt(6 / sum(p.shape))
            assert 0.98 * bound < np.abs(p.numpy()).max() <= bound, name


def test_a_decoder_does_not_know_what_comes_later() -> None:
    pl.manual_seed(0)
    stack = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, 0.0, batch_first=True), num_layers=2)
    other = X.copy()
    other[:, 3:] = 7.0
    before, after = (stack(x, X, tgt_is_causal=True).numpy() for x in (X, other))
    np.testing.assert_allclose(before[:, :3], after[:, :3], rtol=1e-6)
    assert (before[:, 3:] != after[:, 3:]).any(-1).all()


def test_dropout_is_for_training() -> None:
    model = encoder(dropout=0.3)
    assert (model(X).numpy() != model(X).numpy()).any()
    model.eval()
    np.testing.assert_array_equal(model(X).numpy(), model(X).numpy())


def squared(x: pl.Tensor) -> pl.Tensor:
    return pl.square(pl.relu(x))


@pytest.mark.parametrize(
    "activation", ["gelu", nn.Tanh(), nn.PReLU(), squared], ids=["gelu", "Tanh", "PReLU", "squared"]
)
def test_activations(activation: Any) -> None:
    pl.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, activation, norm_first=True, batch_first=True).double()
    x = X.astype(np.float64)
    function = pl.gelu if activation == "gelu" else activation
    attended = pl.Tensor(x) + layer.self_attn(*[layer.norm1(pl.Tensor(x))] * 3)[0]
    expected = attended + layer.linear2(function(layer.linear1(layer.norm2(attended))))
    np.testing.assert_allclose(layer(x).numpy(), expected.numpy(), rtol=1e-12)
    names = {name for name, _ in layer.named_parameters() if name.startswith("activation")}
    assert names == ({"activation.weight"} if isinstance(activation, nn.PReLU) else set())
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):  # noqa: S301
        np.testing.assert_array_equal(other(x).numpy(), layer(x).numpy())


@pytest.mark.parametrize("norm_first", [False, True])
def test_gradients_by_differences(norm_first: bool) -> None:
    pl.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 3, 0.0, "gelu", batch_first=True, norm_first=norm_first)
    pl.check_gradients(layer, np.random.default_rng(0).normal(size=(2, 3, 4)))


@pytest.mark.parametrize("way", ["numpy", "llvm"])
def test_compiled_steps_are_those_that_run_one_by_one(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "llvm":
        pytest.importorskip("llvmlite")
    monkeypatch.setenv("PELLUCID_COMPILE", way)
    padding = np.arange(5) >= np.array([[5], [3], [1]])
    losses = []
    for compiled in (True, False):
        pl.manual_seed(0)
        model = nn.Transformer(8, 2, 1, 1, 16, dropout=0.1, batch_first=True, norm_first=True)
        optimizer = pl.optim.Adam(model.parameters(), lr=0.01)

        def step(x: pl.Tensor, y: pl.Tensor, padded: pl.Tensor, model: Any = model, optimizer: Any = optimizer) -> Any:
            z = model(x, y, src_key_padding_mask=padded, memory_key_padding_mask=padded, tgt_is_causal=True)
            loss = (z * z * z).mean()
            loss.backward()
            optimizer.step()
            return loss

        run = pl.compile(step) if compiled else step
        losses.append([float(run(pl.Tensor(X), pl.Tensor(X[:, ::-1].copy()), pl.Tensor(padding))) for _ in range(4)])
        if compiled:
            assert run.tier == way  # type: ignore[attr-defined]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert losses[0][0] != losses[0][3]


def test_a_file_holds_an_encoder(tmp_path: Path) -> None:
    model = encoder().eval()
    pl.save(model, tmp_path / "encoder.safetensors", example=X)
    loaded = pl.load(tmp_path / "encoder.safetensors")
    for x in (X, X[:1], np.concatenate([X, X])):
        np.testing.assert_allclose(loaded(x).numpy(), model(x).numpy(), rtol=1e-5, atol=1e-6)


def test_an_encoder_is_trained() -> None:
    # Which of five places holds the mark is a question of where, which attention alone cannot tell.
    pl.manual_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 400)
    x = rng.normal(size=(400, 5, 8)).astype(np.float32)
    x[np.arange(400), labels] += 2.0
    model = nn.Sequential(
        nn.SinusoidalPositionalEncoding(8, batch_first=True), encoder(), nn.Flatten(), nn.Linear(40, 5)
    )
    optimizer = pl.optim.Adam(model.parameters(), lr=0.003)
    data = (x[:300], labels[:300])
    history = pl.fit(model, data, loss="cross_entropy", optimizer=optimizer, epochs=15, seed=0, verbose=0)
    assert history.loss[-1] < history.loss[0] / 2
    assert (model.eval()(x[300:]).numpy().argmax(1) == labels[300:]).mean() > 0.9


def test_refused() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    with pytest.raises(ShapeError) as caught:
        layer(np.zeros((3, 2, 6)))
    assert lines(caught.value) == [
        "TransformerEncoderLayer(8, 2): the input has another number of features",
        "  given:    6 features",
        "  expected: 8 features, the length of the last axis",
        "  fix:      TransformerEncoderLayer(6, 2): it receives 6 features",
    ]
    with pytest.raises(ShapeError, match="the input has another number of features"):
        nn.Sequential(nn.Linear(3, 6), layer)
    with pytest.raises(ShapeError, match="a sequence has no elements"):
        layer(np.zeros((0, 2, 8)))
    assert layer(np.zeros((3, 0, 8))).shape == (3, 0, 8)
    with pytest.raises(ArgumentTypeError) as unknown:
        nn.TransformerEncoderLayer(8, 2, activation=3)
    assert lines(unknown.value) == [
        "TransformerEncoderLayer: activation is neither a name nor a function",
        "  given:    a value of type int",
        "  expected: 'relu', 'gelu', a function of a Tensor, or a module",
    ]
    with pytest.raises(ArgumentError, match="TransformerDecoderLayer: activation"):
        nn.TransformerDecoderLayer(8, 2, activation="tanh")
    with pytest.raises(ArgumentTypeError, match="only a layer can stand here"):
        nn.TransformerEncoder(nn.TransformerEncoderLayer, 2)
    with pytest.raises(ArgumentTypeError, match="only a layer can stand here"):
        nn.TransformerEncoder(layer, 2, norm=3)
    with pytest.raises(ArgumentTypeError, match="TransformerEncoder: is_causal"):
        nn.TransformerEncoder(layer, 2)(np.zeros((3, 2, 8)), is_causal="yes")


@pytest.mark.parametrize(
    "kind", [nn.TransformerEncoderLayer, nn.TransformerDecoderLayer, nn.Transformer], ids=lambda kind: kind.__name__
)
def test_arguments_out_of_range_are_refused(kind: Any) -> None:
    for name, constraint in kind.__init__.constraints.items():
        for bad in constraint.invalid():
            with pytest.raises((ArgumentError, ArgumentTypeError), match=f"{kind.__name__}: {name}"):
                kind(**{"d_model": 8, "nhead": 2, name: bad})
