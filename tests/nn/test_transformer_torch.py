"""Transformer layers and stacks against PyTorch's, in float64: values, gradients and second-order gradients over masks
and options; the state both ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from tests.nn.layer_checks import close, randomise, same_names_and_shapes, to_torch
from tests.nn.test_attention_torch import as_torch, masks, same

torch = pytest.importorskip("torch")
# PyTorch tells of a quicker way that it takes for some layers in use.
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:enable_nested_tensor", "ignore:The PyTorch API of nested"),
]

N, L, S, D = 2, 3, 4, 4
OPTIONS = [
    {},
    {"activation": "gelu", "bias": False},
    {"norm_first": True, "layer_norm_eps": 0.1},
    {"norm_first": True, "activation": "gelu", "bias": False},
]


@pytest.fixture(autouse=True)
def twice_differentiable() -> Iterator[None]:
    """PyTorch's other ways to attention have no second derivative."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        yield


def pair(name: str, options: dict[str, Any], *layers: Any, seed: int = 0) -> tuple[Any, Any]:
    """A layer of ours and PyTorch's with the same random weights."""
    args: tuple[Any, ...] = (D, 2, 6, 0.0) if not layers else ()
    if layers:
        ours, theirs = layers
    else:
        ours, theirs = getattr(nn, name)(*args, **options).double(), getattr(torch.nn, name)(*args, **options).double()
    same_names_and_shapes(ours, theirs)
    randomise(ours, np.random.default_rng(seed))
    to_torch(ours, theirs, torch)
    return ours, theirs


def sequences(
    rng: np.random.Generator, batch_first: bool, *lengths: int, batch: int = N
) -> tuple[list[Any], list[Any]]:
    arrays = [rng.normal(size=(batch, n, D) if batch_first else (n, batch, D)) for n in lengths]
    return [pl.Tensor(a, requires_grad=True) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]


def compare(ours: Any, theirs: Any, xs: list[Any], ts: list[Any], rng: np.random.Generator, **kw: Any) -> None:
    y, t = ours(*xs, **kw), theirs(*ts, **{k: as_torch(v) for k, v in kw.items()})
    theirs_by_name = dict(theirs.named_parameters())
    names = [name for name, _ in ours.named_parameters()]
    parameters = dict(ours.named_parameters())
    same(y, t, [*xs, *map(parameters.get, names)], [*ts, *map(theirs_by_name.get, names)], rng)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_encoder_layer(options: dict[str, Any], batch_first: bool) -> None:
    rng = np.random.default_rng(1)
    ours, theirs = pair("TransformerEncoderLayer", {**options, "batch_first": batch_first})
    for kind in ("none", "bool", "float"):
        for batch in (N, 1) if kind == "none" else (N,):
            xs, ts = sequences(rng, batch_first, L, batch=batch)
            kw = {"src_mask": masks(rng, (L, L))[kind], "src_key_padding_mask": masks(rng, (batch, L))[kind]}
            compare(ours, theirs, xs, ts, rng, **kw)
    one = rng.normal(size=(L, D))
    close(ours(pl.Tensor(one)), theirs(as_torch(one)), 1e-11, "a single sequence")
    causal = np.triu(np.ones((L, L), bool), 1)
    xs, ts = sequences(rng, batch_first, L)
    expected = theirs(ts[0], src_mask=as_torch(causal), is_causal=True)
    close(ours(xs[0], is_causal=True), expected, 1e-11, "causal")


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_decoder_layer(options: dict[str, Any], batch_first: bool) -> None:
    rng = np.random.default_rng(2)
    ours, theirs = pair("TransformerDecoderLayer", {**options, "batch_first": batch_first})
    for own, other in (("none", "none"), ("bool", "float"), ("float", "bool")):
        xs, ts = sequences(rng, batch_first, L, S)
        kw = {
            "tgt_mask": masks(rng, (L, L))[own],
            "tgt_key_padding_mask": masks(rng, (N, L))[own],
            "memory_mask": masks(rng, (L, S))[other],
            "memory_key_padding_mask": masks(rng, (N, S))[other],
        }
        compare(ours, theirs, xs, ts, rng, **kw)


@pytest.mark.parametrize("norm", [False, True])
def test_encoder(norm: bool) -> None:
    rng = np.random.default_rng(3)
    stacks = [
        m.TransformerEncoder(
            m.TransformerEncoderLayer(D, 2, 6, 0.0, norm_first=norm, batch_first=True),
            2,
            m.LayerNorm(D) if norm else None,
        ).double()
        for m in (nn, torch.nn)
    ]
    ours, theirs = pair("", {}, *stacks)
    xs, ts = sequences(rng, True, L)
    padding = masks(rng, (N, L))["bool"]
    compare(ours, theirs, xs, ts, rng, mask=masks(rng, (L, L))["bool"], src_key_padding_mask=padding)
    # In use PyTorch takes another way for the same, in which padded places come out as zeros.
    y, t = (
        ours.eval()(xs[0], src_key_padding_mask=padding),
        theirs.eval()(ts[0], src_key_padding_mask=as_torch(padding)),
    )
    np.testing.assert_allclose(y.numpy()[~padding], t.detach().numpy()[~padding], rtol=1e-10, atol=1e-12)


def test_decoder() -> None:
    rng = np.random.default_rng(4)
    stacks = [
        m.TransformerDecoder(m.TransformerDecoderLayer(D, 2, 6, 0.0), 2, m.LayerNorm(D)).double()
        for m in (nn, torch.nn)
    ]
    ours, theirs = pair("", {}, *stacks)
    xs, ts = sequences(rng, False, L, S)
    causal = np.triu(np.full((L, L), -np.inf), 1)
    compare(ours, theirs, xs, ts, rng, tgt_mask=causal)
    expected = theirs(*ts, tgt_mask=as_torch(causal))
    close(ours(*xs, tgt_is_causal=True), expected, 1e-11, "causal")


@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer(norm_first: bool) -> None:
    rng = np.random.default_rng(5)
    models = [
        m.Transformer(D, 2, 1, 2, 6, 0.0, batch_first=True, norm_first=norm_first).double() for m in (nn, torch.nn)
    ]
    ours, theirs = pair("", {}, *models)
    xs, ts = sequences(rng, True, S, L)
    kw = {
        "src_mask": masks(rng, (S, S))["bool"],
        "tgt_mask": np.triu(np.ones((L, L), bool), 1),
        "memory_mask": masks(rng, (L, S))["bool"],
        "src_key_padding_mask": masks(rng, (N, S))["bool"],
        "tgt_key_padding_mask": masks(rng, (N, L))["bool"],
    }
    kw["memory_key_padding_mask"] = kw["src_key_padding_mask"]
    compare(ours, theirs, xs, ts, rng, **kw)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(5)
    np.testing.assert_array_equal(nn.Transformer.generate_square_subsequent_mask(5).numpy(), mask.numpy())


def test_the_state_comes_over() -> None:
    theirs = torch.nn.Transformer(D, 2, 1, 1, 6)
    ours = nn.Transformer(D, 2, 1, 1, 6)
    assert ours.load_state_dict(theirs.state_dict()) == ([], [])
    for name, value in ours.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), theirs.state_dict()[name].numpy())
