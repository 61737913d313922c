"""LSTM, long short-term memory. Sequences enter, the outputs of every step, the last state and the memory leave."""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Integer, checked
from pellucid.core.tensor import Tensor
from pellucid.errors import ArgumentError
from pellucid.nn.recurrent._arguments import as_pair
from pellucid.nn.recurrent._layer import ARGUMENTS, Recurrent
from pellucid.nn.recurrent._sequence import Step
from pellucid.nn.recurrent.steps import lstm_cell


class LSTM(Recurrent):
    """Long short-term memory: beside the state a memory is handed on, and gates say what enters it, what stays and
    what leaves.

        i, f, g, o = weight_ih·x_t + bias_ih + weight_hh·h_{t-1} + bias_hh, in four parts
        c_t = σ(f)·c_{t-1} + σ(i)·tanh(g)
        h_t = σ(o)·tanh(c_t)

    Parameters
        input_size : length of the last axis of the input.
        hidden_size : length of the last axis of the memory, and of the state.
        num_layers : number of layers, each taking the outputs of the one before.
        bias : whether there are biases.
        batch_first : inputs and outputs are (N, L, ...) and not (L, N, ...); states are not concerned.
        dropout : probability of the dropout between layers, in [0, 1].
        bidirectional : a second direction goes from the last step to the first; the outputs of both stand side by side.
        proj_size : the state becomes weight_hr·h_t, of this length, below hidden_size; 0 for no such product.
        dtype : dtype of the parameters; None is the default dtype.
    Attributes
        weight_ih_l0, ... : Parameter, shape (4·hidden_size, input_size); further layers take num_directions·H, where H
            is proj_size, or hidden_size where that is 0.
        weight_hh_l0, ... : Parameter, shape (4·hidden_size, H).
        bias_ih_l0, bias_hh_l0, ... : Parameter, shape (4·hidden_size,), where `bias`.
        weight_hr_l0, ... : Parameter, shape (proj_size, hidden_size), where that is not 0. Those of the second
            direction end in _reverse. All start uniform between ±1/√hidden_size.
    Raises
        ArgumentError: proj_size is not below hidden_size.
        ShapeError: when called with an input, a state or lengths of another shape, or a sequence without steps.
        ArgumentTypeError: when called with something else than a pair of state and memory.
        ArgumentError, DTypeError: when called with lengths that are none.
    Source
        Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 9 (1997); the forget gate: Gers,
        Schmidhuber and Cummins, Learning to forget, 2000; proj_size: Sak, Senior and Beaufays, arXiv:1402.1128.
    Examples
        >>> from pellucid import nn
        >>> outputs, (h, c) = nn.LSTM(3, 5, num_layers=2, bidirectional=True)([[[0.0] * 3] * 2] * 7)
        >>> outputs.shape, h.shape, c.shape
        ((7, 2, 10), (4, 2, 5), (4, 2, 5))
    """

    gates = 4

    @checked(proj_size=Integer(0), **ARGUMENTS)
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        dtype: Any = None,
    ) -> None:
        if proj_size >= hidden_size:
            raise ArgumentError("recurrent.projection", proj_size=proj_size, hidden_size=hidden_size)
        self.proj_size = int(proj_size)
        self._build(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype)

    def forward(self, input: Any, hx: Any = None, lengths: Any = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The outputs of all steps, and state and memory at the end of each sequence.

        Parameters
            input : Tensor, shape (L, N, input_size), or (N, L, input_size) with batch_first, or (L, input_size).
            hx : (h_0, c_0) at the beginning, Tensors, shapes (num_directions·num_layers, N, H) and
                (num_directions·num_layers, N, hidden_size), without N for an input without; None for zeros.
            lengths : number of steps of each sequence, as for RNN.
        Returns
            Outputs, shape (L, N, num_directions·H) in the layout of the input; and (h_n, c_n), of the shapes of hx.
        """
        outputs, (h, c) = self._run(input, hx, lengths)
        return outputs, (h, c)

    def _given(self, hx: Any) -> tuple[Any, ...]:
        return as_pair("LSTM", hx)

    def _state_sizes(self) -> dict[str, int]:
        return {"h_0": self._output_size, "c_0": self.hidden_size}

    def _step(self, end: str) -> Step:
        weight = getattr(self, "weight_hh" + end)
        projection = getattr(self, "weight_hr" + end) if self.proj_size else None
        return lambda a, state: lstm_cell(a, state[0], state[1], weight, projection)
