"""Recurrent layers and cells: values by hand, what lengths mean, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError, PellucidWarning, ShapeError
from pellucid.nn.recurrent._sequence import each_step

LAYERS = [nn.RNN, nn.LSTM, nn.GRU]
CELLS = [nn.RNNCell, nn.LSTMCell, nn.GRUCell]
rng = np.random.default_rng(5)


def lines(error: Exception) -> list[str]:
    return [line for line in str(error).split("\n") if not line.startswith("  at: ")]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def filled(layer: nn.Module, values: dict[str, Any]) -> nn.Module:
    layer.double().load_state_dict({name: np.array(value, np.float64) for name, value in values.items()})
    return layer


def states_of(last: Any) -> list[np.ndarray]:
    return [part.numpy() for part in (last if isinstance(last, tuple) else (last,))]


# Values


@pytest.mark.parametrize(("nonlinearity", "function"), [("tanh", math.tanh), ("relu", lambda z: max(z, 0.0))])
def test_rnn_by_hand(nonlinearity: str, function: Callable[[float], float]) -> None:
    weights = {"weight_ih": [[0.5, -1.0]], "weight_hh": [[2.0]], "bias_ih": [0.25], "bias_hh": [-0.5]}
    layer = filled(nn.RNN(2, 1, nonlinearity=nonlinearity), {f"{k}_l0": v for k, v in weights.items()})
    cell = filled(nn.RNNCell(2, 1, nonlinearity=nonlinearity), weights)
    x = [[1.0, 0.5], [-2.0, -3.0]]
    h1 = function(0.5 * 1.0 - 0.5 + 0.25 + 2.0 * 0.125 - 0.5)
    h2 = function(0.5 * -2.0 + 3.0 + 0.25 + 2.0 * h1 - 0.5)
    y, last = layer(x, [[0.125]])
    np.testing.assert_allclose(y.numpy(), [[h1], [h2]], rtol=1e-15)
    np.testing.assert_allclose(last.numpy(), [[h2]], rtol=1e-15)
    np.testing.assert_allclose(cell(x[1], cell(x[0], [0.125])).numpy(), [h2], rtol=1e-15)


def test_lstm_by_hand() -> None:
    weights = {
        "weight_ih": [[0.5], [1.0], [-1.5], [2.0]],
        "weight_hh": [[0.1], [0.2], [0.3], [-0.4]],
        "bias_ih": [0.0, 1.0, 0.5, 0.0],
        "bias_hh": [0.25, 0.0, 0.0, -1.0],
    }
    layer = filled(nn.LSTM(1, 1), {f"{k}_l0": v for k, v in weights.items()})
    cell = filled(nn.LSTMCell(1, 1), weights)
    h, c = 0.5, -0.25
    outputs = []
    for x in (1.0, -2.0, 0.5):
        i = sigmoid(0.5 * x + 0.1 * h + 0.25)
        f = sigmoid(1.0 * x + 0.2 * h + 1.0)
        g = math.tanh(-1.5 * x + 0.3 * h + 0.5)
        o = sigmoid(2.0 * x - 0.4 * h - 1.0)
        c = f * c + i * g
        h = o * math.tanh(c)
        outputs.append([h])
    y, (last, memory) = layer([[1.0], [-2.0], [0.5]], ([[0.5]], [[-0.25]]))
    np.testing.assert_allclose(y.numpy(), outputs, rtol=1e-14)
    np.testing.assert_allclose([last.item(), memory.item()], [h, c], rtol=1e-14)
    state = ([0.5], [-0.25])
    for x in (1.0, -2.0, 0.5):
        state = cell([x], state)
    np.testing.assert_allclose([part.item() for part in state], [h, c], rtol=1e-14)


def test_gru_by_hand() -> None:
    weights = {
        "weight_ih": [[0.5], [1.0], [-1.5]],
        "weight_hh": [[0.1], [0.2], [0.3]],
        "bias_ih": [0.0, 1.0, 0.5],
        "bias_hh": [0.25, -0.5, 2.0],
    }
    layer = filled(nn.GRU(1, 1), {f"{k}_l0": v for k, v in weights.items()})
    cell = filled(nn.GRUCell(1, 1), weights)
    h = 0.5
    outputs = []
    for x in (1.0, -2.0):
        r = sigmoid(0.5 * x + 0.1 * h + 0.25)
        z = sigmoid(1.0 * x + 1.0 + 0.2 * h - 0.5)
        n = math.tanh(-1.5 * x + 0.5 + r * (0.3 * h + 2.0))
        h = (1 - z) * n + z * h
        outputs.append([h])
    y, last = layer([[1.0], [-2.0]], [[0.5]])
    np.testing.assert_allclose(y.numpy(), outputs, rtol=1e-14)
    assert last.item() == y[-1].item()
    np.testing.assert_allclose(cell([-2.0], cell([1.0], [0.5])).item(), h, rtol=1e-14)


@pytest.mark.parametrize("layer", LAYERS)
def test_gradients_are_those_of_differences(layer: Any) -> None:
    pl.manual_seed(0)
    net = layer(2, 3, num_layers=2, bidirectional=True)

    class Outputs(nn.Module):
        def __init__(self) -> None:
            self.layer = net

        def forward(self, x: Any) -> Any:
            return self.layer(x, lengths=[5, 2])[0]

    pl.check_gradients(Outputs(), rng.normal(size=(5, 2, 2)))


def test_steps_are_the_slices_along_the_first_axis() -> None:
    for length in range(1, 18):
        x = pl.Tensor(np.arange(length * 2.0).reshape(length, 2), requires_grad=True)
        found = list(each_step(x))
        assert [part.tolist() for part in found] == x.tolist()
        sum((part * float(t) for t, part in enumerate(found)), pl.zeros(2)).sum().backward()
        assert x.grad.tolist() == [[float(t)] * 2 for t in range(length)]


def test_all_parameters_start_between_the_bounds_of_the_state() -> None:
    pl.manual_seed(1)
    for part in (*(layer(7, 16, num_layers=2, bidirectional=True) for layer in LAYERS), *(c(7, 16) for c in CELLS)):
        for name, p in part.named_parameters():
            values = p.numpy()
            assert np.abs(values).max() <= 0.25, name
            # Of 16 draws from [-1/4, 1/4] at least one lies in the outer half, but for one case in 2^16.
            assert np.abs(values).max() > 0.125, name
            assert values.max() > 0.0 > values.min(), name


# Lengths


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_batch_of_lengths_is_each_sequence_alone(layer: Any, batch_first: bool) -> None:
    pl.manual_seed(2)
    net = layer(3, 4, num_layers=2, bidirectional=True, batch_first=batch_first).double()
    x, lengths = rng.normal(size=(4, 6, 3)), [6, 1, 4, 2]
    for n, length in enumerate(lengths):
        x[n, length:] = np.nan
    given = pl.Tensor(x if batch_first else x.transpose(1, 0, 2).copy())
    y, last = net(given, lengths=lengths)
    outputs = y.numpy() if batch_first else y.numpy().transpose(1, 0, 2)
    for n, length in enumerate(lengths):
        alone, last_alone = net(x[n, :length])
        np.testing.assert_allclose(outputs[n, :length], alone.numpy(), rtol=1e-12)
        assert not outputs[n, length:].any()
        for a, b in zip(states_of(last), states_of(last_alone), strict=True):
            np.testing.assert_allclose(a[:, n], b, rtol=1e-12)
    # What stands after an end has no part in any gradient either.
    (y * y).sum().backward()
    assert all(np.isfinite(p.grad.numpy()).all() for p in net.parameters())


def test_lengths_may_be_any_whole_numbers() -> None:
    net = nn.GRU(2, 3)
    x = np.ones((4, 2, 2))
    expected = net(x, lengths=[4, 2])[0].numpy()
    for lengths in (np.array([4, 2], np.uint8), pl.Tensor([4, 2]), (4, 2), np.array([4, 2], np.uint64)):
        assert np.array_equal(net(x, lengths=lengths)[0].numpy(), expected)
    assert np.array_equal(net(x, None, np.array([4, 2]))[0].numpy(), expected)
    assert net(np.ones((4, 0, 2)), lengths=[])[0].shape == (4, 0, 3)


# Refusals


@pytest.mark.parametrize(
    ("lengths", "error", "expected"),
    [
        (
            [5, 0],
            ArgumentError,
            [
                "GRU: a sequence of length 0 has no last step: there is no state at its end",
                "  given:    length 0 at row 1; lengths that are not possible: 1",
                "  expected: 1 to 5; leave empty sequences out of the batch",
            ],
        ),
        (
            [6, -1],
            ArgumentError,
            [
                "GRU: a length is not one of the sequence",
                "  given:    length 6 at row 0; lengths that are not possible: 2",
                "  expected: 1 to 5; the input has 5 steps",
            ],
        ),
        (
            [5.0, 1.0],
            DTypeError,
            [
                "GRU: lengths are whole numbers",
                "  given:    dtype float32",
                "  expected: an integer dtype; cast with astype",
            ],
        ),
        (
            [5],
            ShapeError,
            [
                "GRU: each sequence of the batch has a length",
                "  given:    lengths of shape (1,)",
                "  expected: shape (2,): the batch has 2 sequences",
            ],
        ),
    ],
)
def test_lengths_that_are_none_are_refused(lengths: Any, error: type, expected: list[str]) -> None:
    net = nn.GRU(3, 4)
    for given in (lengths, np.array(lengths), pl.Tensor(lengths)):
        with pytest.raises(error) as caught:
            net(np.zeros((5, 2, 3), np.float32), lengths=given)
        assert [line.replace("float64", "float32") for line in lines(caught.value)] == expected
    with pytest.raises(DTypeError):
        net(np.zeros((5, 2, 3)), lengths=[True, True])


def test_lengths_of_one_sequence_are_refused() -> None:
    with pytest.raises(ShapeError) as caught:
        nn.LSTM(3, 4)(np.zeros((5, 3)), lengths=[5])
    assert lines(caught.value) == [
        "LSTM: lengths are for a batch of sequences",
        "  given:    one sequence, shape (5, 3)",
        "  expected: no lengths: cut the sequence where it ends",
    ]


@pytest.mark.parametrize("layer", LAYERS)
def test_inputs_of_another_shape_are_refused(layer: Any) -> None:
    name = layer.__name__
    with pytest.raises(ShapeError) as caught:
        layer(3, 4)(np.zeros((5, 2, 7)))
    assert lines(caught.value) == [
        f"{name}(3, 4): the input has another number of features",
        "  given:    7 features",
        "  expected: 3 features, the length of the last axis",
        f"  fix:      {name}(7, 4): it receives 7 features",
    ]
    for batch_first, words in ((False, "(L, N, 3)"), (True, "(N, L, 3)")):
        with pytest.raises(ShapeError) as caught:
            layer(3, 4, batch_first=batch_first)(np.zeros(3))
        assert lines(caught.value) == [
            f"{name}: takes sequences, alone or in a batch",
            "  given:    an input of shape (3,)",
            f"  expected: {words}, or (L, 3) for one sequence",
        ]
    with pytest.raises(ShapeError) as caught:
        layer(3, 4, batch_first=True)(np.zeros((2, 0, 3)))
    assert lines(caught.value) == [
        f"{name}: a sequence needs at least one step",
        "  given:    an input of shape (2, 0, 3)",
        "  expected: a length of 1 or more: without a step there is no output",
    ]
    with pytest.raises(ShapeError, match=rf"{name}\(3, 4\): the input has another number of features"):
        nn.Sequential(nn.Linear(2, 5), layer(3, 4))


@pytest.mark.parametrize("cell", CELLS)
def test_cells_refuse_other_shapes(cell: Any) -> None:
    name = cell.__name__
    with pytest.raises(ShapeError) as caught:
        cell(3, 4)(np.zeros((5, 2, 3)))
    assert lines(caught.value) == [
        f"{name}: takes one step of a sequence, alone or in a batch",
        "  given:    an input of shape (5, 2, 3)",
        "  expected: (N, 3), or (3,) for one sequence",
    ]
    with pytest.raises(ShapeError, match="the input has another number of features"):
        cell(3, 4)(np.zeros((5, 2)))
    state = np.zeros((4, 4))
    with pytest.raises(ShapeError) as caught:
        cell(3, 4)(np.zeros((5, 3)), (state, state) if cell is nn.LSTMCell else state)
    part = "h_0" if cell is nn.LSTMCell else "hx"
    assert lines(caught.value) == [
        f"{name}: {part} does not fit the layer and the input",
        f"  given:    {part} of shape (4, 4)",
        "  expected: shape (5, 4)",
    ]


def test_states_of_another_shape_are_refused() -> None:
    x, state = np.zeros((5, 2, 3)), np.zeros((1, 2, 4))
    with pytest.raises(ShapeError) as caught:
        nn.RNN(3, 4, num_layers=2)(x, state)
    assert lines(caught.value) == [
        "RNN: hx does not fit the layer and the input",
        "  given:    hx of shape (1, 2, 4)",
        "  expected: shape (2, 2, 4)",
    ]
    with pytest.raises(ShapeError, match="LSTM: c_0 does not fit"):
        nn.LSTM(3, 4, proj_size=2)(x, (np.zeros((1, 2, 2)), np.zeros((1, 2, 2))))
    for layer, given in ((nn.LSTM(3, 4), x), (nn.LSTMCell(3, 4), x[0])):
        with pytest.raises(ArgumentTypeError) as caught_type:
            layer(given, state.astype(np.float32))
        assert lines(caught_type.value) == [
            f"{type(layer).__name__}: the state is a pair, state and memory",
            "  given:    Tensor(1, 2, 4) float32",
            "  expected: (h_0, c_0), or None for zeros",
        ]


@pytest.mark.parametrize("part", [*LAYERS, *CELLS])
def test_impossible_arguments_are_refused(part: Any) -> None:
    usual = {"input_size": 3, "hidden_size": 4}
    for name, constraint in part.__init__.constraints.items():
        for value in constraint.invalid():
            with pytest.raises((ArgumentError, ArgumentTypeError), match=f"{part.__name__}: {name}"):
                part(**(usual | {name: value}))


def test_a_projection_that_is_none_is_refused() -> None:
    with pytest.raises(ArgumentError) as caught:
        nn.LSTM(3, 4, proj_size=4)
    assert lines(caught.value) == [
        "LSTM: the projection has to make the state shorter",
        "  given:    proj_size=4, hidden_size=4",
        "  expected: proj_size below hidden_size; 0 for no projection",
    ]


# Dropout


@pytest.mark.parametrize("layer", LAYERS)
def test_dropout_is_between_layers_alone(layer: Any) -> None:
    with pytest.warns(PellucidWarning, match="dropout is between layers, and there is only one") as caught:
        layer(3, 4, dropout=0.5)
    assert lines(caught[0].message)[1:] == [  # type: ignore[arg-type]
        "  given:    dropout=0.5, num_layers=1",
        "  expected: num_layers of 2 or more, or nn.Dropout after the layer",
    ]
    net = layer(3, 4, num_layers=2, dropout=1.0).double()
    x = rng.normal(size=(5, 2, 3))
    y, last = net(x)
    first = layer(3, 4).double()
    first.load_state_dict({k: v for k, v in net.state_dict().items() if k.endswith("_l0")})
    second = layer(4, 4).double()
    second.load_state_dict({k.replace("_l1", "_l0"): v for k, v in net.state_dict().items() if k.endswith("_l1")})
    # All is taken out between the layers, and nothing of the first layer's state or of the last outputs.
    y_first, last_first = first(x)
    y_second, last_second = second(np.zeros((5, 2, 4)))
    assert np.array_equal(y.numpy(), y_second.numpy())
    for a, b, c in zip(states_of(last), states_of(last_first), states_of(last_second), strict=True):
        assert np.array_equal(a, np.concatenate([b, c]))
    net.eval()
    np.testing.assert_allclose(net(x)[0].numpy(), second(y_first)[0].numpy(), rtol=1e-14)


# Dtypes


@pytest.mark.parametrize("layer", LAYERS)
def test_the_dtype_is_kept(layer: Any) -> None:
    for dtype in (np.float32, np.float64):
        net = layer(3, 4, dtype=dtype, bidirectional=True)
        y, last = net(np.ones((5, 2, 3)))
        assert y.dtype == dtype
        assert all(s.dtype == dtype for s in states_of(last))
        state = np.ones((2, 2, 4))
        y, _ = net(np.ones((5, 2, 3)), (state, state) if layer is nn.LSTM else state)
        assert y.dtype == dtype
        y.sum().backward()
        assert all(p.grad.dtype == dtype for p in net.parameters())
