"""What RNN, LSTM and GRU share. Sequences enter, and, if they are of different lengths, the lengths; the way leads
through layers, directions and time; the outputs of every step and the state at the end leave.
"""

from __future__ import annotations

import math
from typing import Any

from pellucid._typing import Shape
from pellucid.core.check import Flag, Integer, Real
from pellucid.core.context import default_dtype
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ShapeError, warn
from pellucid.nn import init
from pellucid.nn._allocation import zeros
from pellucid.nn._initial import wrong_features
from pellucid.nn.dropout import dropout
from pellucid.nn.linear import linear
from pellucid.nn.module import Module, Parameter
from pellucid.nn.recurrent._arguments import as_state, within_lengths
from pellucid.nn.recurrent._sequence import State, Step, each_step, through_time
from pellucid.ops.elementwise import where
from pellucid.ops.shape import concatenate, expand_dims, permute, reshape, squeeze, stack

ARGUMENTS: dict[str, Any] = {
    "input_size": Integer(1),
    "hidden_size": Integer(1),
    # More would take minutes to make, and nobody could train them.
    "num_layers": Integer(1, 10_000),
    "bias": Flag(),
    "batch_first": Flag(),
    "dropout": Real(0, 1),
    "bidirectional": Flag(),
}


class Recurrent(Module):
    """What the layers share: their parameters and the way through layers, directions and time."""

    gates = 1

    input_size: int
    hidden_size: int
    proj_size = 0
    weight_hh_l0: Parameter

    def _build(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        dtype: Any,
    ) -> None:
        self.input_size, self.hidden_size, self.num_layers = int(input_size), int(hidden_size), int(num_layers)
        self.bias, self.batch_first = bool(bias), bool(batch_first)
        self.dropout, self.bidirectional = float(dropout), bool(bidirectional)
        if dropout > 0 and num_layers == 1:
            warn("recurrent.dropout-alone", layer=type(self).__name__, dropout=float(dropout))
        kind = default_dtype() if dtype is None else dtype
        rows, out = self.gates * self.hidden_size, self._output_size
        for layer in range(self.num_layers):
            features = self.input_size if layer == 0 else out * self._num_directions
            for end in self._endings(layer):
                shapes: dict[str, Shape] = {"weight_ih": (rows, features), "weight_hh": (rows, out)}
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if self.proj_size:
                    shapes["weight_hr"] = (out, self.hidden_size)
                for name, shape in shapes.items():
                    self.register_parameter(name + end, Parameter(zeros(self, shape), dtype=kind))
        self.reset_parameters()

    @property
    def _num_directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def _output_size(self) -> int:
        """Length of the output of one direction."""
        return self.proj_size or self.hidden_size

    def _endings(self, layer: int) -> list[str]:
        """What the names of a layer's parameters end in, one for each direction."""
        return [f"_l{layer}", f"_l{layer}_reverse"][: self._num_directions]

    def reset_parameters(self) -> None:
        """Draw all parameters anew: uniform between ±1/√hidden_size."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            init.uniform_(p, -bound, bound)

    def flatten_parameters(self) -> None:
        """Taken for PyTorch's sake; there is nothing to do."""

    def _given(self, hx: Any) -> tuple[Any, ...]:
        """The parts of a state as it was given, or None for each."""
        return (hx,)

    def _state_sizes(self) -> dict[str, int]:
        """The names of the parts of the state, and the length of the last axis of each."""
        return {"hx": self.hidden_size}

    def _bias_of_inputs(self, end: str) -> Tensor | None:
        """What is added to the product of the input and its weight."""
        return getattr(self, "bias_ih" + end) + getattr(self, "bias_hh" + end) if self.bias else None

    def _step(self, end: str) -> Step:
        """One step of the direction whose parameters' names have this end."""
        raise NotImplementedError

    def _run(self, input: Any, hx: Any, lengths: Any) -> tuple[Tensor, State]:
        """The outputs, and the parts of the state at the end."""
        name = type(self).__name__
        x = as_tensor(input)
        self._check(x)
        alone = x.ndim == 2
        if alone:
            x = expand_dims(x, 1)
        elif self.batch_first:
            x = permute(x, (1, 0, 2))
        length, rows, _ = x.shape
        states = self._states_at_start(hx, rows, alone)
        within = None
        if lengths is not None:
            if alone:
                raise ShapeError("recurrent.lengths-alone", layer=name, shape=as_tensor(input).shape)
            inside = within_lengths(name, lengths, length, rows)
            within = list(each_step(inside))
            x = where(inside, x, 0.0)  # whatever stands there, such as NaN, must not reach a weight's gradient
        ends: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = dropout(x, self.dropout, self.training)
            # One product for all steps.
            flat = reshape(x, (length * rows, x.shape[2]))
            found = []
            for n, end in enumerate(self._endings(layer)):
                gates = linear(flat, getattr(self, "weight_ih" + end), self._bias_of_inputs(end))
                gates = reshape(gates, (length, rows, gates.shape[1]))
                start = tuple(part[layer * self._num_directions + n] for part in states)
                outputs, after = through_time(gates, start, self._step(end), within, backwards=n == 1)
                found.append(outputs)
                ends.append(after)
            x = found[0] if len(found) == 1 else concatenate(found, 2)
            if within is not None:
                x = where(inside, x, 0.0)
        last = tuple(stack(part) for part in zip(*ends, strict=True))
        if alone:
            return squeeze(x, 1), tuple(squeeze(part, 1) for part in last)
        return (permute(x, (1, 0, 2)) if self.batch_first else x), last

    def _check(self, x: Tensor) -> None:
        name = type(self).__name__
        if x.ndim not in (2, 3):
            batch = "(N, L, {})" if self.batch_first else "(L, N, {})"
            raise ShapeError(
                "recurrent.axes", layer=name, shape=x.shape, batch=batch.format(self.input_size), size=self.input_size
            )
        self._features_after(x.shape[-1])
        if not x.shape[1 if self.batch_first and x.ndim == 3 else 0]:
            raise ShapeError("recurrent.no-steps", layer=name, shape=x.shape)

    def _states_at_start(self, hx: Any, rows: int, alone: bool) -> State:
        count = self.num_layers * self._num_directions
        states = []
        for (name, size), value in zip(self._state_sizes().items(), self._given(hx), strict=True):
            shape = (count, size) if alone and value is not None else (count, rows, size)
            state = as_state(type(self).__name__, name, value, shape, self.weight_hh_l0.dtype)
            states.append(expand_dims(state, 1) if state.ndim == 2 else state)
        return tuple(states)

    def _features_after(self, given: int | None) -> int | None:
        if given is not None and given != self.input_size:
            raise wrong_features(self, given, self.input_size, f"{type(self).__name__}({given}, {self.hidden_size})")
        return None

    def extra_repr(self) -> str:
        words = [f"{self.input_size}, {self.hidden_size}"]
        usual = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
        }
        words += [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join(words)
