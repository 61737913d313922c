"""What looked where: the map of every layer and head after a forward, never one of another forward; copies, files,
memory and compiled functions."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ModelError, PellucidWarning

X = np.random.default_rng(0).normal(size=(3, 5, 8)).astype(np.float32)
OTHER = X + 1.0


def lines(error: Exception) -> list[str]:
    return [line for line in str(error).split("\n") if not line.startswith("  at: ")]


def encoder(**options: Any) -> nn.TransformerEncoder:
    pl.manual_seed(0)
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, **options), num_layers=2)


def by_hand(layer: nn.MultiheadAttention, x: np.ndarray, blocked: np.ndarray | None = None) -> np.ndarray:
    """The weights of self-attention, in NumPy."""
    w, b = layer.in_proj_weight.numpy().astype(np.float64), layer.in_proj_bias.numpy()
    n, length, e = x.shape
    q, k = (
        (x @ w[i * e : (i + 1) * e].T + b[i * e : (i + 1) * e])
        .reshape(n, length, layer.num_heads, layer.head_dim)
        .transpose(0, 2, 1, 3)
        for i in range(2)
    )
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(layer.head_dim)
    weights = np.exp(scores if blocked is None else np.where(blocked, -np.inf, scores))
    return weights / weights.sum(-1, keepdims=True)


def test_the_maps_of_every_layer_and_head() -> None:
    model = encoder(dropout=0.5)
    blocked = np.triu(np.ones((5, 5), bool), 1)
    seen: list[np.ndarray] = []
    for layer in model.layers:
        layer.self_attn.register_forward_pre_hook(lambda _, args: seen.append(args[0].numpy().copy()))
    model(X, mask=blocked)
    maps = nn.attention_maps(model)
    assert list(maps) == ["layers.0.self_attn", "layers.1.self_attn"]
    for (name, found), x in zip(maps.items(), seen, strict=True):
        assert found.shape == (3, 2, 5, 5)
        assert not found.requires_grad
        np.testing.assert_allclose(found.numpy(), by_hand(model.get_submodule(name), x, blocked), rtol=1e-4, atol=1e-7)
        np.testing.assert_array_equal(found.numpy(), model.get_submodule(name).attention_weights.numpy())


def test_encoder_and_decoder() -> None:
    model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    model(X, X[:, :3], tgt_is_causal=True)
    assert {name: m.shape for name, m in nn.attention_maps(model).items()} == {
        "encoder.layers.0.self_attn": (3, 2, 5, 5),
        "decoder.layers.0.self_attn": (3, 2, 3, 3),
        "decoder.layers.0.multihead_attn": (3, 2, 3, 5),
    }
    own = nn.attention_maps(model)["decoder.layers.0.self_attn"].numpy()
    assert (np.triu(own, 1) == 0).all()


def test_a_step_of_the_optimizer_does_not_change_the_map_of_the_forward_before() -> None:
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    optimizer = pl.optim.SGD(layer.parameters(), lr=0.1)
    y, _ = layer(X, X, X)
    expected = by_hand(layer, X)
    (y * y).sum().backward()
    optimizer.step()
    np.testing.assert_allclose(layer.attention_weights.numpy(), expected, rtol=1e-4)
    layer(OTHER, OTHER, OTHER)
    np.testing.assert_allclose(layer.attention_weights.numpy(), by_hand(layer, OTHER), rtol=1e-4)


def test_a_mask_that_is_written_to_afterwards_does_not_change_the_map() -> None:
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    for mask in (np.triu(np.full((5, 5), -np.inf, np.float32), 1), np.triu(np.ones((5, 5), bool), 1)):
        x = X.copy()
        layer(x, x, x, attn_mask=mask)
        before = layer.attention_weights.numpy()
        mask[...] = 0
        x[...] = 0
        np.testing.assert_array_equal(layer.attention_weights.numpy(), before)


def test_before_a_forward_there_is_nothing_to_show() -> None:
    model = encoder()
    for label, read in (
        ("MultiheadAttention", lambda: model.layers[0].self_attn.attention_weights),
        ("TransformerEncoder", lambda: nn.attention_maps(model)),
    ):
        with pytest.raises(ModelError) as caught:
            read()
        assert lines(caught.value) == [
            f"{label}: there is no attention to show yet",
            "  given:    no forward, or one with keep_attention=False",
            "  expected: a call before: model(x)",
        ]
    with pytest.raises(ModelError) as caught:
        nn.attention_maps(nn.Linear(2, 2))
    assert lines(caught.value) == [
        "Linear has no attention layers",
        "  given:    Linear",
        "  expected: a network with MultiheadAttention in it",
    ]


def test_copies_have_no_map_and_share_none(tmp_path: Path) -> None:
    model = encoder()
    model(X)
    maps = {name: m.numpy() for name, m in nn.attention_maps(model).items()}
    names = set(model.state_dict())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301
        assert set(other.state_dict()) == names
        with pytest.raises(ModelError, match="no attention to show yet"):
            nn.attention_maps(other)
        other(OTHER)
        assert list(nn.attention_maps(other)) == list(maps)
    pl.save(model, tmp_path / "encoder.safetensors")  # which runs the network on zeros
    for name, m in nn.attention_maps(model).items():
        np.testing.assert_array_equal(m.numpy(), maps[name])


def test_nothing_keeps_the_graph_or_the_layer_alive() -> None:
    model = encoder()
    y = model(X)
    graph = weakref.ref(y._source[1][0])
    attention = weakref.ref(model.layers[0].self_attn)
    del y
    gc.collect()
    assert graph() is None
    assert nn.attention_maps(model)
    del model
    gc.collect()
    assert attention() is None


def test_a_layer_may_keep_nothing() -> None:
    model = encoder()
    model.layers[0].self_attn.keep_attention = False
    model(X)
    assert list(nn.attention_maps(model)) == ["layers.1.self_attn"]
    model(OTHER)
    with pytest.raises(ModelError, match="no attention to show yet"):
        _ = model.layers[0].self_attn.attention_weights


def test_a_layer_that_keeps_nothing_any_more_forgets() -> None:
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    layer(X, X, X)
    layer.keep_attention = False
    layer(OTHER, OTHER, OTHER)
    with pytest.raises(ModelError, match="no attention to show yet"):
        _ = layer.attention_weights


def test_maps_of_two_forwards_are_never_mixed() -> None:
    model = encoder()
    model(X)
    model.layers[1].norm1 = nn.LayerNorm(7)
    broken = model.layers[1].self_attn
    broken.forward = lambda *_, **__: 1 / 0
    with pytest.raises(ZeroDivisionError):
        model(OTHER)
    # The first layer saw OTHER, the second still X.
    assert list(nn.attention_maps(model)) == ["layers.0.self_attn"]


def test_a_part_that_was_called_alone_is_shown_alone() -> None:
    model = encoder()
    model(X)
    model.layers[1](OTHER)
    assert list(nn.attention_maps(model)) == ["layers.1.self_attn"]
    model(X)
    assert list(nn.attention_maps(model)) == ["layers.0.self_attn", "layers.1.self_attn"]


# Compiled functions


def refused(model: nn.Module) -> None:
    with pytest.raises(ModelError) as caught:
        nn.attention_maps(model)
    instead = "a call of the model itself before, model(x); inside, return the weights that need_weights=True gives"
    assert lines(caught.value) == [
        "TransformerEncoder: its last forward ran compiled and kept nothing to show attention from",
        "  given:    a forward inside a compiled function or fit",
        f"  expected: {instead}",
    ]


@pytest.mark.parametrize("way", ["numpy", "llvm"])
def test_after_a_compiled_forward_an_error_says_so(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "llvm":
        pytest.importorskip("llvmlite")
    monkeypatch.setenv("PELLUCID_COMPILE", way)
    model = encoder().eval()
    compiled = pl.compile(model)
    model(X)
    expected = nn.attention_maps(model)
    compiled(X)
    assert compiled.tier == way
    refused(model)
    for x in (X, OTHER):  # what was recorded before leaves word at every run, and an own forward after it counts
        model(X)
        for name, m in nn.attention_maps(model).items():
            np.testing.assert_array_equal(m.numpy(), expected[name].numpy())
        compiled(x)
        refused(model)


def test_a_compiled_function_that_runs_as_it_is_leaves_its_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_COMPILE", "off")
    model = encoder().eval()
    pl.compile(model)(X)
    assert len(nn.attention_maps(model)) == 2


def test_a_compiled_function_that_reads_a_map_runs_as_it_is() -> None:
    model = encoder().eval()

    @pl.compile
    def reads(x: pl.Tensor) -> pl.Tensor:
        model(x)
        return model.layers[0].self_attn.attention_weights * 1.0

    with pytest.warns(PellucidWarning, match="cannot be read while it is recorded"):
        found = [reads(x).numpy() for x in (X, OTHER)]
    assert reads.tier == "eager"
    for x, m in zip((X, OTHER), found, strict=True):
        model(x)
        np.testing.assert_array_equal(nn.attention_maps(model)["layers.0.self_attn"].numpy(), m)


def test_after_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_COMPILE", "numpy")
    model = encoder()
    data = np.repeat(X, 40, 0)
    net = nn.Sequential(model, nn.Flatten(), nn.Linear(40, 2))
    labels = np.arange(120) % 2
    pl.fit(
        net, (data, labels), loss="cross_entropy", optimizer="adam", epochs=2, batch_size=40, verbose=0, checks=False
    )
    with pytest.raises(ModelError, match="ran compiled"):
        nn.attention_maps(net)
    net(X)
    assert list(nn.attention_maps(net)) == ["0.layers.0.self_attn", "0.layers.1.self_attn"]


def test_two_networks_trained_in_one_compiled_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_COMPILE", "numpy")
    # The second network's attention runs when options of the first one's optimizer have been read.
    models = [encoder(), encoder()]
    optimizers = [pl.optim.Adam(m.parameters()) for m in models]

    @pl.compile
    def step(x: pl.Tensor) -> list[pl.Tensor]:
        losses = []
        for model, optimizer in zip(models, optimizers, strict=True):
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss)
        return losses

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(X)
    assert step.tier == "numpy"
    for model in models:
        refused(model)
