"""Attention against PyTorch's, in float64: values, gradients and second-order gradients over masks, sizes and options;
the state both ways."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.nn import functional as F
from tests.nn.layer_checks import close, randomise, same_names_and_shapes, to_torch

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

N, L, S, HEADS = 2, 3, 4, 2


def as_torch(x: Any) -> Any:
    return torch.from_numpy(x) if isinstance(x, np.ndarray) else x


def same(ours: Any, theirs: Any, leaves: list[Any], torch_leaves: list[Any], rng: np.random.Generator) -> None:
    """Raise AssertionError unless value, gradients and second-order gradients agree."""
    close(ours, theirs, 1e-11, "value")
    weight = rng.normal(size=ours.shape)
    g = pl.autograd.grad((ours * weight).sum(), leaves, create_graph=True, allow_unused=True)
    h = torch.autograd.grad((theirs * as_torch(weight)).sum(), torch_leaves, create_graph=True, allow_unused=True)
    for n, (a, b) in enumerate(zip(g, h, strict=True)):
        if b is not None:
            close(a, b, 1e-10, f"gradient {n}")
    directions = [rng.normal(size=leaf.shape) for leaf in leaves]
    ours_dot = sum((a * v).sum() for a, v in zip(g, directions, strict=True) if a is not None and a.requires_grad)
    theirs_dot = sum(
        (b * as_torch(v)).sum() for b, v in zip(h, directions, strict=True) if b is not None and b.requires_grad
    )
    if isinstance(theirs_dot, int):  # PyTorch's results without elements have no history
        return
    second = pl.autograd.grad(ours_dot, leaves, allow_unused=True)
    expected = torch.autograd.grad(theirs_dot, torch_leaves, allow_unused=True)
    for n, (a, b) in enumerate(zip(second, expected, strict=True)):
        if b is not None:
            close(a, b, 1e-9, f"second-order gradient {n}")


def masks(rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
    """Masks in which every query is left a key, since PyTorch's layer has NaN where there is none."""
    blocked = rng.random(shape) > 0.5
    blocked[..., 0] = False
    return {"none": None, "bool": blocked, "float": np.where(blocked, -np.inf, rng.normal(size=shape))}


@pytest.mark.parametrize("front", [(), (2,), (2, 3), (0, 3)], ids=str)
def test_the_function(front: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(front))
    options: list[dict[str, Any]] = [{}, {"is_causal": True}, {"scale": 0.4}]
    for shape in ((L, S), (*front[:-1], *(1,) * bool(front), L, S), (1, S)):
        found = masks(rng, shape)
        options += [{"attn_mask": ~found["bool"]}, {"attn_mask": found["float"]}]
    for kw in options:
        arrays = [rng.normal(size=(*front, *end)) for end in ((L, 5), (S, 5), (S, 2))]
        xs = [pl.Tensor(a, requires_grad=True) for a in arrays]
        ts = [torch.tensor(a, requires_grad=True) for a in arrays]
        y = F.scaled_dot_product_attention(*xs, **kw)
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            t = torch.nn.functional.scaled_dot_product_attention(*ts, **{k: as_torch(v) for k, v in kw.items()})
        same(y, t, xs, ts, rng)


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_a_query_without_a_key_is_zeros_as_in_pytorchs_function(kind: str) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s) for s in ((L, 5), (S, 5), (S, 2))]
    allowed = np.array([[True] * S, [False] * S, [True, False, False, True]])
    mask = allowed if kind == "bool" else np.where(allowed, 0.0, -np.inf)
    y = F.scaled_dot_product_attention(*map(pl.Tensor, arrays), attn_mask=mask)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        t = torch.nn.functional.scaled_dot_product_attention(*map(as_torch, arrays), attn_mask=as_torch(mask))
    close(y, t, 1e-12, kind)


def test_groups_of_heads() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s) for s in ((N, 6, L, 5), (N, 2, S, 5), (N, 2, S, 3))]
    xs = [pl.Tensor(a, requires_grad=True) for a in arrays]
    ts = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = F.scaled_dot_product_attention(*xs, enable_gqa=True)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        t = torch.nn.functional.scaled_dot_product_attention(*ts, enable_gqa=True)
    same(y, t, xs, ts, rng)


LAYERS = [
    {},
    {"bias": False},
    {"add_bias_kv": True},
    {"add_zero_attn": True},
    {"add_bias_kv": True, "add_zero_attn": True, "bias": False},
    {"kdim": 3, "vdim": 7},
    {"kdim": 3, "bias": False, "add_bias_kv": True},
    {"vdim": 7, "add_zero_attn": True},
]


def pair(options: dict[str, Any], rng: np.random.Generator, batch_first: bool) -> tuple[nn.MultiheadAttention, Any]:
    ours = nn.MultiheadAttention(6, HEADS, batch_first=batch_first, **options).double()
    theirs = torch.nn.MultiheadAttention(6, HEADS, batch_first=batch_first, **options).double()
    same_names_and_shapes(ours, theirs)
    randomise(ours, rng)
    to_torch(ours, theirs, torch)
    return ours, theirs


@pytest.mark.parametrize("form", ["batch first", "batch second", "single"])
@pytest.mark.parametrize("options", LAYERS, ids=str)
def test_the_layer(options: dict[str, Any], form: str) -> None:
    rng = np.random.default_rng(3)
    ours, theirs = pair(options, rng, form == "batch first")
    keys, values = options.get("kdim", 6), options.get("vdim", 6)
    front = {"batch first": lambda n: (N, n), "batch second": lambda n: (n, N), "single": lambda n: (n,)}[form]
    batch = 1 if form == "single" else N
    padding = masks(rng, (S,) if form == "single" else (N, S))
    for (kind, mask), (padding_kind, padded) in itertools.product(
        [*masks(rng, (L, S)).items(), *list(masks(rng, (batch * HEADS, L, S)).items())[1:]], padding.items()
    ):
        if {kind, padding_kind} == {"bool", "float"}:
            continue  # PyTorch warns of masks of two kinds
        arrays = [rng.normal(size=(*front(n), f)) for n, f in ((L, 6), (S, keys), (S, values))]
        xs = [pl.Tensor(a, requires_grad=True) for a in arrays]
        ts = [torch.tensor(a, requires_grad=True) for a in arrays]
        y, w = ours(*xs, key_padding_mask=padded, attn_mask=mask, average_attn_weights=False)
        t, u = theirs(*ts, key_padding_mask=as_torch(padded), attn_mask=as_torch(mask), average_attn_weights=False)
        close(w, u, 1e-11, "weights")
        np.testing.assert_allclose(ours.attention_weights.numpy(), w.numpy(), rtol=1e-13)
        names = [name for name, _ in ours.named_parameters()]
        parameters, theirs_by_name = dict(ours.named_parameters()), dict(theirs.named_parameters())
        same(y, t, [*xs, *map(parameters.get, names)], [*ts, *map(theirs_by_name.get, names)], rng)
        averaged = theirs(*ts, key_padding_mask=as_torch(padded), attn_mask=as_torch(mask))[1]
        close(ours(*xs, key_padding_mask=padded, attn_mask=mask)[1], averaged, 1e-11, "mean weights")
        assert ours(*xs, padded, False, mask)[1] is None


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_self_attention_and_attention_to_a_memory(batch: int, batch_first: bool) -> None:
    rng = np.random.default_rng(batch)
    ours, theirs = pair({}, rng, batch_first)
    x, memory = (rng.normal(size=(batch, n, 6) if batch_first else (n, batch, 6)) for n in (L, S))
    a, b = (pl.Tensor(v, requires_grad=True) for v in (x, memory))
    c, d = (torch.tensor(v, requires_grad=True) for v in (x, memory))
    causal = np.triu(np.ones((L, L), bool), 1)
    parameters, torch_parameters = list(ours.parameters()), list(theirs.parameters())
    same(ours(a, a, a)[0], theirs(c, c, c)[0], [a, *parameters], [c, *torch_parameters], rng)
    same(ours(a, b, b)[0], theirs(c, d, d)[0], [a, b, *parameters], [c, d, *torch_parameters], rng)
    for kw in ({"is_causal": True}, {"attn_mask": causal}, {"attn_mask": causal, "is_causal": True}):
        expected = theirs(c, c, c, attn_mask=as_torch(causal), is_causal=True)[0]
        same(ours(a, a, a, **kw)[0], expected, [a, *parameters], [c, *torch_parameters], rng)


@pytest.mark.parametrize("options", LAYERS, ids=str)
def test_the_state_comes_over(options: dict[str, Any]) -> None:
    theirs = torch.nn.MultiheadAttention(6, HEADS, **options).double()
    ours = nn.MultiheadAttention(6, HEADS, **options).double()
    assert ours.load_state_dict(theirs.state_dict()) == ([], [])
    for name, value in ours.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), theirs.state_dict()[name].numpy())


def test_a_planted_fault_is_found() -> None:
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(2, 3)), None
    a, b = pl.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    t = torch.tanh(b)
    same(pl.tanh(a), t, [a], [b], rng)
    for wrong in (pl.tanh(a) * (1 + 1e-8), pl.tanh(a) + 1e-8 * (a - a.detach()), pl.tanh(a) + (a - a.detach()) ** 2):
        with pytest.raises(AssertionError, match=r"value|gradient"):
            same(wrong, torch.tanh(b), [a], [b], rng)
