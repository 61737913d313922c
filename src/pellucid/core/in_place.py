"""Changes in place: `x += y` and `x[0] = y`. A tensor comes in and stays the same object, with other values, and, where
gradients are tracked, with the history of how they came to be. The operators of `ops` call it.
"""

from __future__ import annotations

from sys import getrefcount
from typing import Any

from pellucid._typing import Array
from pellucid.core.context import state
from pellucid.core.tensor import Tensor, wrap
from pellucid.core.written import changed_now, owner
from pellucid.errors import GradientError


def before_change(tensor: Tensor) -> Tensor:
    """What an in-place change computes from: the tensor as it was.

    Raises
        GradientError: the tensor is a leaf that asks for a gradient, and gradients are tracked.
    """
    if state.grad and tensor.requires_grad and tensor._source is None:
        raise GradientError("core.in-place-leaf", name=tensor.name or "tensor", shape=tensor.shape)
    before = wrap(tensor.data)
    before.requires_grad, before._source, before._made = tensor.requires_grad, tensor._source, tensor._made
    before._changed, before._cut = tensor._changed, tensor._cut
    if state.recorder is not None:
        state.recorder.alias(before, tensor, detached=False)
    return before


def become(tensor: Tensor, new: Tensor, before: Tensor) -> None:
    """Give `tensor` the values and the history of `new`, which was computed from `before = before_change(tensor)`."""
    if state.recorder is not None:
        state.recorder.change(tensor, new)
    tensor.data = new.data
    tensor._changed = changed_now()
    tensor._scope = None
    if not state.grad:
        return  # a leaf stays one; a computed tensor keeps its history, and backward through it will refuse
    if before._source is not None:
        _relink(new, tensor, before)
    tensor._made = tensor._changed
    tensor.requires_grad, tensor._source, tensor._cut = new.requires_grad, new._source, new._cut


def _relink(new: Tensor, changed: Tensor, before: Tensor) -> None:
    """In the history of `new`, what used the changed tensor used it as it was before: `y[0] += v` reads y first."""
    seen: set[int] = set()
    waiting = [new]
    while waiting:
        inputs = waiting.pop()._source[1]  # type: ignore[index]
        for i, x in enumerate(inputs):
            if x is changed:
                inputs[i] = before
            elif isinstance(x, Tensor) and x._source is not None and x._made > before._made and id(x) not in seen:
                seen.add(id(x))
                waiting.append(x)


def write(tensor: Tensor, place: Any, values: Array) -> None:
    """Set elements in the array itself: whatever looks at the same memory changes too, as in NumPy."""
    if not tensor.data.flags.writeable:
        tensor.data = tensor.data.copy()
    tensor.data[place] = values
    tensor._note_write()


def is_view(tensor: Tensor) -> bool:
    """Whether another tensor may look at the same memory: a change of this one alone would leave that one behind."""
    if tensor._source is not None:
        mine = owner(tensor.data)
        return any(isinstance(x, Tensor) and owner(x.data) is mine for x in tensor._source[1])
    whole = owner(tensor.data)
    # Three references to the owner are the view's own, this name and the argument; more belong to somebody else.
    return whole is not tensor.data and getrefcount(whole) > 3
