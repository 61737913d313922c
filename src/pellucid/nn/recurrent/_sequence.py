"""The way through time: the steps of a sequence, first to last or last to first, for a batch. What the input adds to
the gates enters for all steps at once; the outputs of all steps and the last state leave. `_layer.py` calls it for
each layer and direction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from pellucid.core.tensor import Tensor
from pellucid.ops.elementwise import where
from pellucid.ops.shape import concatenate, reshape

State: TypeAlias = tuple[Tensor, ...]
"""What a step hands to the next; its first part is the output."""

Step: TypeAlias = Callable[[Tensor, State], State]


def through_time(
    gates: Tensor, state: State, step: Step, within: list[Tensor] | None, backwards: bool
) -> tuple[Tensor, State]:
    """Every step in turn.

    Parameters
        gates : Tensor, shape (L, N, gates·H): x·weight_ihᵀ and biases of every step.
        state : the state at the beginning, Tensors of shape (N, ...).
        within : for every step which sequences it belongs to, booleans of shape (N, 1); the others keep their state.
            None for all.
        backwards : from the last step to the first.
    Returns
        The outputs, Tensor, shape (L, N, H), in the order of time; and the state at the end.
    """
    inputs = list(each_step(gates))
    outputs = list(inputs)
    for t in range(len(inputs) - 1, -1, -1) if backwards else range(len(inputs)):
        after = step(inputs[t], state)
        if within is not None:
            after = tuple(where(within[t], new, old) for new, old in zip(after, state, strict=True))
        outputs[t], state = after[0], after
    # Rows after rows: one operation for all steps, where `stack` has one for each besides.
    return reshape(concatenate(outputs), (len(outputs), *outputs[0].shape)), state


def each_step(x: Tensor) -> Iterator[Tensor]:
    """The slices along the first axis, without it.

    They are taken from halves of halves: the gradient of a slice is as large as what it is a slice of, so that those of
    L slices of the whole would cost L² rather than L·log L.
    """
    length = x.shape[0]
    if length <= 3:
        for t in range(length):
            yield x[t]
        return
    middle = length // 2
    yield from each_step(x[:middle])
    yield from each_step(x[middle:])
