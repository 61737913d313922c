"""Recurrent cells: one step of a sequence and a state enter, the state after it leaves. Networks that choose their own
way through time call them in a loop; RNN, LSTM and GRU go through whole sequences.
"""

from __future__ import annotations

import math
from typing import Any

from pellucid._typing import DType
from pellucid.core.check import Flag, Integer, Options, checked
from pellucid.core.context import default_dtype
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ShapeError
from pellucid.nn import init
from pellucid.nn._allocation import zeros
from pellucid.nn._initial import wrong_features
from pellucid.nn.linear import linear
from pellucid.nn.module import Module, Parameter
from pellucid.nn.recurrent._arguments import as_pair, as_state
from pellucid.nn.recurrent.steps import gru_cell, lstm_cell, rnn_cell
from pellucid.ops.shape import expand_dims, squeeze

_SIZE = Integer(1)


class _Cell(Module):
    """What the cells share: the parameters, how they start, and inputs without a batch."""

    gates = 1

    input_size: int
    hidden_size: int
    bias: bool
    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def _build(self, input_size: int, hidden_size: int, bias: bool, dtype: Any) -> None:
        self.input_size, self.hidden_size, self.bias = int(input_size), int(hidden_size), bool(bias)
        kind = default_dtype() if dtype is None else dtype
        rows = self.gates * self.hidden_size
        self.weight_ih = Parameter(zeros(self, (rows, self.input_size)), dtype=kind)
        self.weight_hh = Parameter(zeros(self, (rows, self.hidden_size)), dtype=kind)
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(zeros(self, rows), dtype=kind) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew: uniform between ±1/√hidden_size."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def _rows(self, input: Any) -> tuple[Tensor, bool]:
        """The input as (N, input_size), and whether the axis N was added."""
        x = as_tensor(input)
        name = type(self).__name__
        if x.ndim not in (1, 2):
            raise ShapeError("recurrent.cell-axes", layer=name, shape=x.shape, features=self.input_size)
        if x.shape[-1] != self.input_size:
            raise wrong_features(self, x.shape[-1], self.input_size, f"{name}({x.shape[-1]}, {self.hidden_size})")
        return (expand_dims(x, 0), True) if x.ndim == 1 else (x, False)

    def _state_of(self, name: str, value: Any, rows: int, alone: bool) -> Tensor:
        """A state as (N, hidden_size)."""
        shape = (self.hidden_size,) if alone else (rows, self.hidden_size)
        dtype: DType = self.weight_hh.dtype
        state = as_state(type(self).__name__, name, value, shape, dtype)
        return expand_dims(state, 0) if alone else state

    def _features_after(self, given: int | None) -> int | None:
        if given is not None and given != self.input_size:
            raise wrong_features(self, given, self.input_size, f"{type(self).__name__}({given}, {self.hidden_size})")
        return self.hidden_size

    def _both_biases(self) -> Tensor | None:
        return None if self.bias_ih is None or self.bias_hh is None else self.bias_ih + self.bias_hh

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """One step of an Elman network.

        h' = tanh(weight_ih·x + bias_ih + weight_hh·h + bias_hh), or relu for tanh

    Parameters
        input_size : length of the last axis of the input.
        hidden_size : length of the last axis of the state.
        bias : whether there are biases.
        nonlinearity : "tanh" or "relu".
        dtype : dtype of the parameters; None is the default dtype.
    Attributes
        weight_ih : Parameter, shape (hidden_size, input_size).
        weight_hh : Parameter, shape (hidden_size, hidden_size).
        bias_ih, bias_hh : Parameter, shape (hidden_size,), or None. All start uniform between ±1/√hidden_size.
    Raises
        ShapeError: when called with an input or a state of another shape.
    Source
        Elman, Finding structure in time, Cognitive Science 14 (1990).
    Examples
        >>> from pellucid import nn
        >>> cell, h = nn.RNNCell(3, 5), None
        >>> for x in [[[0.0] * 3] * 2] * 4:  # four steps of a batch of two
        ...     h = cell(x, h)
        >>> h.shape
        (2, 5)
    """

    @checked(input_size=_SIZE, hidden_size=_SIZE, bias=Flag(), nonlinearity=Options("tanh", "relu"))
    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", *, dtype: Any = None
    ) -> None:
        self.nonlinearity = nonlinearity
        self._build(input_size, hidden_size, bias, dtype)

    def forward(self, input: Any, hx: Any = None) -> Tensor:
        """input (N, input_size) or (input_size,), hx (N, hidden_size) or (hidden_size,), None for zeros -> the shape of
        hx."""
        x, alone = self._rows(input)
        h = self._state_of("hx", hx, x.shape[0], alone)
        after = rnn_cell(linear(x, self.weight_ih, self._both_biases()), h, self.weight_hh, self.nonlinearity)
        return squeeze(after, 0) if alone else after

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(_Cell):
    """One step of a long short-term memory.

        i, f, g, o = weight_ih·x + bias_ih + weight_hh·h + bias_hh, in four parts
        c' = σ(f)·c + σ(i)·tanh(g)
        h' = σ(o)·tanh(c')

    Parameters
        input_size : length of the last axis of the input.
        hidden_size : length of the last axis of the state and of the memory.
        bias : whether there are biases.
        dtype : dtype of the parameters; None is the default dtype.
    Attributes
        weight_ih : Parameter, shape (4·hidden_size, input_size).
        weight_hh : Parameter, shape (4·hidden_size, hidden_size).
        bias_ih, bias_hh : Parameter, shape (4·hidden_size,), or None. All start uniform between ±1/√hidden_size.
    Raises
        ShapeError: when called with an input or a state of another shape.
        ArgumentTypeError: when called with something else than a pair of state and memory.
    Source
        Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 9 (1997); the forget gate: Gers,
        Schmidhuber and Cummins, Learning to forget, 2000.
    """

    gates = 4

    @checked(input_size=_SIZE, hidden_size=_SIZE, bias=Flag())
    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, *, dtype: Any = None) -> None:
        self._build(input_size, hidden_size, bias, dtype)

    def forward(self, input: Any, hx: Any = None) -> tuple[Tensor, Tensor]:
        """input (N, input_size) or (input_size,), hx = (h, c), each (N, hidden_size) or (hidden_size,), None for zeros
        -> (h', c'), of their shapes."""
        x, alone = self._rows(input)
        h, c = as_pair("LSTMCell", hx)
        h, c = self._state_of("h_0", h, x.shape[0], alone), self._state_of("c_0", c, x.shape[0], alone)
        h, c = lstm_cell(linear(x, self.weight_ih, self._both_biases()), h, c, self.weight_hh)
        return (squeeze(h, 0), squeeze(c, 0)) if alone else (h, c)

    def _features_after(self, given: int | None) -> int | None:
        super()._features_after(given)
        return None


class GRUCell(_Cell):
    """One step of a gated recurrent unit.

        r = σ(weight_ir·x + bias_ir + weight_hr·h + bias_hr)
        z = σ(weight_iz·x + bias_iz + weight_hz·h + bias_hz)
        n = tanh(weight_in·x + bias_in + r·(weight_hn·h + bias_hn))
        h' = (1 - z)·n + z·h

    Parameters
        input_size : length of the last axis of the input.
        hidden_size : length of the last axis of the state.
        bias : whether there are biases.
        dtype : dtype of the parameters; None is the default dtype.
    Attributes
        weight_ih : Parameter, shape (3·hidden_size, input_size); in the order r, z, n.
        weight_hh : Parameter, shape (3·hidden_size, hidden_size).
        bias_ih, bias_hh : Parameter, shape (3·hidden_size,), or None. All start uniform between ±1/√hidden_size.
    Raises
        ShapeError: when called with an input or a state of another shape.
    Source
        Cho et al., Learning phrase representations using RNN encoder-decoder, arXiv:1406.1078, eq. 5 to 8; as in
        PyTorch, r acts after the product with the state, in the paper before it.
    """

    gates = 3

    @checked(input_size=_SIZE, hidden_size=_SIZE, bias=Flag())
    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, *, dtype: Any = None) -> None:
        self._build(input_size, hidden_size, bias, dtype)

    def forward(self, input: Any, hx: Any = None) -> Tensor:
        """input (N, input_size) or (input_size,), hx (N, hidden_size) or (hidden_size,), None for zeros -> the shape of
        hx."""
        x, alone = self._rows(input)
        h = self._state_of("hx", hx, x.shape[0], alone)
        after = gru_cell(linear(x, self.weight_ih, self.bias_ih), h, self.weight_hh, self.bias_hh)
        return squeeze(after, 0) if alone else after
