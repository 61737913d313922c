"""GRU, gated recurrent units. Sequences enter, the outputs of every step and the last state leave."""

from __future__ import annotations

from typing import Any

from pellucid.core.check import checked
from pellucid.core.tensor import Tensor
from pellucid.nn.recurrent._layer import ARGUMENTS, Recurrent
from pellucid.nn.recurrent._sequence import Step
from pellucid.nn.recurrent.steps import gru_cell


class GRU(Recurrent):
    """Gated recurrent units: a gate says how much of the state stays, another how much of it the new part sees.

        r = σ(weight_ir·x_t + bias_ir + weight_hr·h_{t-1} + bias_hr)
        z = σ(weight_iz·x_t + bias_iz + weight_hz·h_{t-1} + bias_hz)
        n = tanh(weight_in·x_t + bias_in + r·(weight_hn·h_{t-1} + bias_hn))
        h_t = (1 - z)·n + z·h_{t-1}

    Parameters
        input_size : length of the last axis of the input.
        hidden_size : length of the last axis of the state.
        num_layers : number of layers, each taking the outputs of the one before.
        bias : whether there are biases.
        batch_first : inputs and outputs are (N, L, ...) and not (L, N, ...); states are not concerned.
        dropout : probability of the dropout between layers, in [0, 1].
        bidirectional : a second direction goes from the last step to the first; the outputs of both stand side by side.
        dtype : dtype of the parameters; None is the default dtype.
    Attributes
        weight_ih_l0, ... : Parameter, shape (3·hidden_size, input_size), in the order r, z, n; further layers take
            num_directions·hidden_size.
        weight_hh_l0, ... : Parameter, shape (3·hidden_size, hidden_size).
        bias_ih_l0, bias_hh_l0, ... : Parameter, shape (3·hidden_size,), where `bias`. Those of the second direction end
            in _reverse. All start uniform between ±1/√hidden_size.
    Raises
        ShapeError: when called with an input, a state or lengths of another shape, or a sequence without steps.
        ArgumentError, DTypeError: when called with lengths that are none.
    Source
        Cho et al., Learning phrase representations using RNN encoder-decoder, arXiv:1406.1078, eq. 5 to 8; as in
        PyTorch, r acts after the product with the state, in the paper before it.
    Examples
        >>> from pellucid import nn
        >>> outputs, last = nn.GRU(3, 5)([[0.0] * 3] * 7)
        >>> outputs.shape, last.shape
        ((7, 5), (1, 5))
    """

    gates = 3

    @checked(**ARGUMENTS)
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        dtype: Any = None,
    ) -> None:
        self._build(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype)

    def forward(self, input: Any, hx: Any = None, lengths: Any = None) -> tuple[Tensor, Tensor]:
        """The outputs of all steps, and the state at the end of each sequence; arguments and results as for RNN."""
        outputs, (last,) = self._run(input, hx, lengths)
        return outputs, last

    def _bias_of_inputs(self, end: str) -> Tensor | None:
        return getattr(self, "bias_ih" + end) if self.bias else None

    def _step(self, end: str) -> Step:
        weight, bias = getattr(self, "weight_hh" + end), getattr(self, "bias_hh" + end) if self.bias else None
        return lambda a, state: (gru_cell(a, state[0], weight, bias),)
