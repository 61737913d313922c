"""Recurrent layers and cells recorded: compiled they give the same numbers, graphs name steps, files hold networks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError

LAYERS = [nn.RNN, nn.LSTM, nn.GRU]
CELLS = [nn.RNNCell, nn.LSTMCell, nn.GRUCell]
rng = np.random.default_rng(5)


class Classifier(nn.Module):
    def __init__(self, layer: Any, **options: Any) -> None:
        self.layer = layer(3, 4, batch_first=True, **options)
        self.head = nn.Linear(8 if options.get("bidirectional") else 4, 2)

    def forward(self, x: Any, lengths: Any = None) -> Any:
        return self.head(self.layer(x, None, lengths)[0].mean(axis=1))


def step_of(net: nn.Module) -> Callable[..., Any]:
    loss, optimizer = nn.CrossEntropyLoss(), pl.optim.Adam(net.parameters(), lr=0.01)

    def step(x: Any, labels: Any, *lengths: Any) -> Any:
        value = loss(net(x, *lengths), labels)
        value.backward()
        optimizer.step()
        return value

    return step


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "dropout": 0.5}], ids=["1", "2"])
def test_compiled_steps_give_the_same_numbers(layer: Any, options: dict[str, Any]) -> None:
    x = rng.normal(size=(4, 3, 3)).astype(np.float32)
    labels, lengths = np.array([0, 1, 1, 0]), np.array([3, 1, 2, 3])
    pl.manual_seed(3)
    net = Classifier(layer, **options)
    twin = copy.deepcopy(net)
    pl.manual_seed(4)
    eager = step_of(net)
    expected = [eager(pl.Tensor(x), pl.Tensor(labels), pl.Tensor(lengths)).item() for _ in range(3)]
    pl.manual_seed(4)
    compiled = pl.compile(step_of(twin))
    found = [compiled(x, labels, lengths).item() for _ in range(3)]
    np.testing.assert_allclose(found, expected, rtol=2e-6)
    for a, b in zip(net.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)
    # Other lengths are looked at, and go through the same code.
    other = np.array([1, 3, 2, 2])
    pl.manual_seed(5)
    wanted = eager(pl.Tensor(x), pl.Tensor(labels), pl.Tensor(other)).item()
    pl.manual_seed(5)
    np.testing.assert_allclose(compiled(x, labels, other).item(), wanted, rtol=1e-5)
    assert compiled.graph.instructions
    with pytest.raises(ArgumentError, match="a sequence of length 0 has no last step"):
        compiled(x, labels, np.array([3, 0, 2, 3]))


@pytest.mark.parametrize("part", [*LAYERS, *CELLS])
def test_compiled_networks_give_the_same_numbers(part: Any) -> None:
    x = rng.normal(size=(5, 2, 3)).astype(np.float32)
    net = part(3, 4)
    given = x[0] if part in CELLS else x
    expected, found = net(given), pl.compile(net)(given)
    for a, b in zip(pieces(expected), pieces(found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def pieces(result: Any) -> list[np.ndarray]:
    """The arrays of nested tuples of Tensors."""
    return [a for item in result for a in pieces(item)] if isinstance(result, tuple) else [result.numpy()]


def test_a_step_is_one_named_part_of_the_graph() -> None:
    for part, name in ((nn.RNN, "rnn_cell"), (nn.LSTM, "lstm_cell"), (nn.GRU, "gru_cell")):
        graph = pl.graph.record(part(3, 4), np.zeros((3, 2, 3), np.float32))
        calls = {scope[1].call for scope in (i.scope for i in graph.instructions) if len(scope) > 1}
        assert len(calls) == 3
        assert all(scope[1].name == name for scope in (i.scope for i in graph.instructions) if len(scope) > 1)


def test_a_network_is_saved_for_any_number_of_rows(tmp_path: Any) -> None:
    x = rng.normal(size=(6, 4, 3)).astype(np.float32)
    for layer in LAYERS:
        net = Classifier(layer, bidirectional=True)
        expected = net(x)
        pl.save(net, tmp_path / "net.safetensors")
        loaded = pl.load(tmp_path / "net.safetensors")
        np.testing.assert_allclose(loaded(x).numpy(), expected.numpy(), rtol=1e-6)
        np.testing.assert_allclose(loaded(x[:1]).numpy(), net(x[:1]).numpy(), rtol=1e-5, atol=1e-6)
