"""Recurrent layers and cells against PyTorch's, in float64: values, gradients and second-order gradients, over all
options, edge sizes, states and lengths; their state dicts both ways.
"""

from __future__ import annotations

import copy
import itertools
import pickle
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from tests.nn.layer_checks import FORWARD, GRADIENT, close, randomise, same_names_and_shapes, to_torch

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

FEATURES, HIDDEN, STEPS, ROWS = 3, 4, 4, 3
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu"}),
    ("LSTM", {}),
    ("LSTM", {"proj_size": 2}),
    ("GRU", {}),
]
IDS = ["RNN", "RNN relu", "LSTM", "LSTM proj", "GRU"]
OPTIONS = [
    {"num_layers": layers, "bidirectional": two, "batch_first": first, "bias": bias}
    for layers, two, first, bias in itertools.product((1, 2), (False, True), (False, True), (True, False))
]


def both(kind: str, seed: int = 0, **options: Any) -> tuple[Any, Any]:
    """A layer of ours and PyTorch's with the same random weights."""
    ours = getattr(nn, kind)(FEATURES, HIDDEN, **options).double()
    theirs = getattr(torch.nn, kind)(FEATURES, HIDDEN, **options).double()
    same_names_and_shapes(ours, theirs)
    randomise(ours, np.random.default_rng(seed))
    to_torch(ours, theirs, torch)
    return ours, theirs


def shapes_of_state(kind: str, ours: Any, rows: int | None) -> list[tuple[int, ...]]:
    count = ours.num_layers * (2 if ours.bidirectional else 1)
    middle = () if rows is None else (rows,)
    first = (count, *middle, getattr(ours, "proj_size", 0) or HIDDEN)
    return [first, (count, *middle, HIDDEN)] if kind == "LSTM" else [first]


def parts(result: Any) -> list[Any]:
    return [p for item in result for p in parts(item)] if isinstance(result, tuple) else [result]


def agree(name: str, ours: Any, theirs: Any, arrays: list[np.ndarray], call: Any, torch_call: Any) -> None:
    """Raise AssertionError unless results, gradients and second-order gradients are the same for the arrays."""
    rng = np.random.default_rng(1)
    xs = [pl.Tensor(a, requires_grad=True) for a in arrays]
    ts = [torch.tensor(a, requires_grad=True) for a in arrays]
    ys, us = parts(call(*xs)), parts(torch_call(*ts))
    assert len(ys) == len(us)
    for n, (y, u) in enumerate(zip(ys, us, strict=True)):
        close(y, u, FORWARD, f"{name}: result {n}")
    weights = [rng.normal(size=y.shape) for y in ys]
    leaves, torch_leaves = [*xs, *ours.parameters()], [*ts, *theirs.parameters()]
    loss = sum((y * w).sum() for y, w in zip(ys, weights, strict=True))
    torch_loss = sum((u * torch.from_numpy(w)).sum() for u, w in zip(us, weights, strict=True))
    g = pl.autograd.grad(loss, leaves, create_graph=True)
    h = torch.autograd.grad(torch_loss, torch_leaves, create_graph=True)
    for n, (a, b) in enumerate(zip(g, h, strict=True)):
        close(a, b, GRADIENT, f"{name}: gradient {n}")
    directions = [rng.normal(size=leaf.shape) for leaf in leaves]
    dot = sum((a * v).sum() for a, v in zip(g, directions, strict=True))
    torch_dot = sum((b * torch.from_numpy(v)).sum() for b, v in zip(h, directions, strict=True))
    second = pl.autograd.grad(dot, leaves, allow_unused=True)
    expected = torch.autograd.grad(torch_dot, torch_leaves, allow_unused=True)
    for n, (a, b) in enumerate(zip(second, expected, strict=True)):
        if b is None:
            assert a is None or not a.numpy().any(), f"{name}: second-order gradient {n}"
        else:
            close(a, b, GRADIENT, f"{name}: second-order gradient {n}")


@pytest.mark.parametrize(("kind", "extra"), KINDS, ids=IDS)
@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
def test_layers(kind: str, extra: dict[str, Any], options: dict[str, Any]) -> None:
    rng = np.random.default_rng(2)
    ours, theirs = both(kind, **options, **extra)
    x = rng.normal(size=(ROWS, STEPS, FEATURES) if options["batch_first"] else (STEPS, ROWS, FEATURES))
    states = [rng.normal(size=shape) for shape in shapes_of_state(kind, ours, ROWS)]

    def with_state(layer: Any) -> Any:
        return lambda x, *hx: layer(x, hx if kind == "LSTM" else hx[0])

    agree(f"{kind} with a state", ours, theirs, [x, *states], with_state(ours), with_state(theirs))
    agree(kind, ours, theirs, [x], ours, theirs)


@pytest.mark.parametrize(("kind", "extra"), KINDS, ids=IDS)
@pytest.mark.parametrize(("steps", "rows"), [(1, 3), (4, 1), (1, 1), (4, 0), (5, None), (1, None)])
def test_edge_sizes(kind: str, extra: dict[str, Any], steps: int, rows: int | None) -> None:
    rng = np.random.default_rng(3)
    ours, theirs = both(kind, num_layers=2, bidirectional=True, batch_first=True, **extra)
    x = rng.normal(size=(steps, FEATURES) if rows is None else (rows, steps, FEATURES))
    states = [rng.normal(size=shape) for shape in shapes_of_state(kind, ours, rows)]

    def with_state(layer: Any) -> Any:
        return lambda x, *hx: layer(x, hx if kind == "LSTM" else hx[0])

    agree(f"{kind} with a state", ours, theirs, [x, *states], with_state(ours), with_state(theirs))
    agree(kind, ours, theirs, [x], ours, theirs)


@pytest.mark.parametrize(("kind", "extra"), KINDS, ids=IDS)
@pytest.mark.parametrize("lengths", [[5, 3, 1], [1, 5, 5], [2, 3, 1], [5, 5, 5]], ids=str)
@pytest.mark.parametrize("batch_first", [False, True])
def test_lengths_are_packed_sequences(kind: str, extra: dict[str, Any], lengths: list[int], batch_first: bool) -> None:
    rng = np.random.default_rng(4)
    ours, theirs = both(kind, num_layers=2, bidirectional=True, batch_first=batch_first, **extra)
    x = rng.normal(size=(3, 5, FEATURES) if batch_first else (5, 3, FEATURES))
    states = [rng.normal(size=shape) for shape in shapes_of_state(kind, ours, 3)]

    def call(x: Any, *hx: Any) -> Any:
        return ours(x, hx if kind == "LSTM" else hx[0], lengths=lengths)

    def torch_call(x: Any, *hx: Any) -> Any:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
        y, last = theirs(packed, hx if kind == "LSTM" else hx[0])
        y, found = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first, total_length=5)
        assert found.tolist() == lengths
        return y, last

    agree(kind, ours, theirs, [x, *states], call, torch_call)


@pytest.mark.parametrize(
    ("kind", "extra"),
    [("RNNCell", {}), ("RNNCell", {"nonlinearity": "relu"}), ("LSTMCell", {}), ("GRUCell", {})],
    ids=["RNN", "RNN relu", "LSTM", "GRU"],
)
@pytest.mark.parametrize("bias", [True, False])
def test_cells(kind: str, extra: dict[str, Any], bias: bool) -> None:
    rng = np.random.default_rng(5)
    ours, theirs = both(kind, bias=bias, **extra)
    for lead in ((3,), (1,), (0,), ()):
        x = rng.normal(size=(*lead, FEATURES))
        states = [rng.normal(size=(*lead, HIDDEN)) for _ in range(2 if kind == "LSTMCell" else 1)]

        def with_state(cell: Any) -> Any:
            return lambda given, *hx: cell(given, hx if kind == "LSTMCell" else hx[0])

        agree(f"{kind} {lead} with a state", ours, theirs, [x, *states], with_state(ours), with_state(theirs))
        agree(f"{kind} {lead}", ours, theirs, [x], ours, theirs)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"])
def test_state_dicts_both_ways_and_copies(kind: str) -> None:
    options = {} if kind.endswith("Cell") else {"num_layers": 2, "bidirectional": True}
    ours, theirs = both(kind, **options)
    fresh = getattr(nn, kind)(FEATURES, HIDDEN, **options).double()
    assert fresh.load_state_dict(theirs.state_dict()) == ([], [])
    x = np.random.default_rng(6).normal(size=(2, FEATURES) if kind.endswith("Cell") else (4, 2, FEATURES))
    for other in (fresh, copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):  # noqa: S301
        for a, b in zip(parts(other(x)), parts(ours(x)), strict=True):
            assert np.array_equal(a.numpy(), b.numpy())
    for (name, a), (other_name, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert name == other_name
        assert np.array_equal(a.numpy(), b.numpy())


def test_reprs_are_pytorchs() -> None:
    for kind, arguments, options in [
        ("RNN", (3, 4), {}),
        ("RNN", (3, 4, 2, "relu", False, True, 0.5, True), {}),
        ("LSTM", (3, 4, 2, False, True, 0.25, True), {"proj_size": 2}),
        ("GRU", (3, 4, 2, False, True, 0.25, True), {}),
        ("RNNCell", (3, 4), {}),
        ("RNNCell", (3, 4, False, "relu"), {}),
        ("LSTMCell", (3, 4, False), {}),
        ("GRUCell", (3, 4), {}),
    ]:
        ours, theirs = getattr(nn, kind)(*arguments, **options), getattr(torch.nn, kind)(*arguments, **options)
        assert repr(ours) == repr(theirs)
        same_names_and_shapes(ours, theirs)
