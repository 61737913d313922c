"""RNN, the Elman network. Sequences enter, the outputs of every step and the last state leave."""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Options, checked
from pellucid.core.tensor import Tensor
from pellucid.nn.recurrent._layer import ARGUMENTS, Recurrent
from pellucid.nn.recurrent._sequence import Step
from pellucid.nn.recurrent.steps import rnn_cell


class RNN(Recurrent):
    """An Elman network: the state of each step is made of the input and of the state before.

        h_t = tanh(weight_ih·x_t + bias_ih + weight_hh·h_{t-1} + bias_hh), or relu for tanh

    Parameters
        input_size : length of the last axis of the input.
        hidden_size : length of the last axis of the state.
        num_layers : number of layers, each taking the outputs of the one before.
        nonlinearity : "tanh" or "relu".
        bias : whether there are biases.
        batch_first : inputs and outputs are (N, L, ...) and not (L, N, ...); states are not concerned.
        dropout : probability of the dropout between layers, in [0, 1].
        bidirectional : a second direction goes from the last step to the first; the outputs of both stand side by side.
        dtype : dtype of the parameters; None is the default dtype.
    Attributes
        weight_ih_l0, ... : Parameter, shape (hidden_size, input_size); further layers take num_directions·hidden_size.
        weight_hh_l0, ... : Parameter, shape (hidden_size, hidden_size).
        bias_ih_l0, bias_hh_l0, ... : Parameter, shape (hidden_size,), where `bias`. Those of the second direction end
            in _reverse. All start uniform between ±1/√hidden_size.
    Raises
        ShapeError: when called with an input, a state or lengths of another shape, or a sequence without steps.
        ArgumentError, DTypeError: when called with lengths that are none.
    Source
        Elman, Finding structure in time, Cognitive Science 14 (1990); Schuster and Paliwal, Bidirectional recurrent
        neural networks, 1997.
    Examples
        >>> from pellucid import nn
        >>> outputs, last = nn.RNN(3, 5, batch_first=True)([[[0.0] * 3] * 7] * 2, lengths=[7, 4])
        >>> outputs.shape, last.shape
        ((2, 7, 5), (1, 2, 5))
    """

    @checked(nonlinearity=Options("tanh", "relu"), **ARGUMENTS)
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = None,
    ) -> None:
        self.nonlinearity = nonlinearity
        self._build(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype)

    def forward(self, input: Any, hx: Any = None, lengths: Any = None) -> tuple[Tensor, Tensor]:
        """The outputs of all steps, and the state at the end of each sequence.

        Parameters
            input : Tensor, shape (L, N, input_size), or (N, L, input_size) with batch_first, or (L, input_size).
            hx : state at the beginning, Tensor, shape (num_directions·num_layers, N, hidden_size), without N for an
                input without; None for zeros.
            lengths : number of steps of each sequence, whole numbers from 1 to L, shape (N,); None for L each. What
                stands after a sequence's end has no effect, its outputs are 0, and the second direction starts at the
                end: PyTorch's pack_padded_sequence and pad_packed_sequence.
        Returns
            Outputs, shape (L, N, num_directions·hidden_size) in the layout of the input; and the state, of the shape of
            hx.
        """
        outputs, (last,) = self._run(input, hx, lengths)
        return outputs, last

    def _step(self, end: str) -> Step:
        weight = getattr(self, "weight_hh" + end)
        return lambda a, state: (rnn_cell(a, state[0], weight, self.nonlinearity),)
