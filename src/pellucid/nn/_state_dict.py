"""Weights in and out of a network by name. A state dict, ours or PyTorch's or one read from a file, enters; it is
checked as a whole before a single value changes. `Module.load_state_dict` calls it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pellucid._text import text
from pellucid._typing import Array, DType
from pellucid.core.check import closest
from pellucid.core.tensor import Tensor, to_array, wrap
from pellucid.errors import ArgumentTypeError, ModelError, PellucidError

# As many lines as help; a model of another kind differs in hundreds of names.
_MOST = 20


class LoadResult(NamedTuple):
    """Names that were missing from a state dict, and names in it that the network does not have."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def as_values(name: str, value: Any, dtype: DType) -> Array:
    """An own copy of a state dict's value: one of our Tensors, an array, a list, or a PyTorch tensor on any device."""
    if not isinstance(value, Tensor) and hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        try:
            value = value.numpy()
        except TypeError:  # bfloat16 has no NumPy counterpart
            value = value.float().numpy()
    try:
        return np.array(to_array(value, dtype))
    except PellucidError:
        raise ArgumentTypeError("nn.state-value", name=name, type=type(value).__name__) from None


def load(own: dict[str, Tensor], given: Any, strict: bool, model: str) -> LoadResult:
    """Assign the values of `given` to the tensors of `own`, all or none.

    Raises
        ModelError: shapes differ, or, if strict, names do; all of them are listed.
        ArgumentTypeError: `given` is not a mapping of names to arrays.
    """
    if not isinstance(given, Mapping):
        raise ArgumentTypeError("nn.state-type", type=type(given).__name__)
    missing = [name for name in own if name not in given]
    unexpected = [name for name in given if name not in own]
    with np.errstate(over="ignore"):
        values = {n: as_values(n, value, own[n].dtype) for n, value in given.items() if n in own}
    lines = [
        text("nn.state-overflow", name=name, dtype=own[name].dtype)
        for name, value in values.items()
        if np.isinf(value).any() and not np.isinf(as_values(name, given[name], np.dtype(np.float64))).any()
    ]
    lines += [
        text("nn.state-shape", name=name, given=value.shape, expected=own[name].shape)
        for name, value in values.items()
        if value.shape != own[name].shape
    ]
    wrong_shapes = len(lines)
    if strict:
        for name in unexpected:
            near = closest(str(name), missing)
            lines.append(
                text("nn.state-unexpected-near", name=name, near=near)
                if near
                else text("nn.state-unexpected", name=name)
            )
        lines += [text("nn.state-missing", name=name) for name in missing]
    if lines:
        shown = lines[:_MOST]
        if len(lines) > _MOST:
            shown.append(text("nn.state-more", count=len(lines) - _MOST))
        raise ModelError(
            "nn.state-dict",
            model=model,
            given=len(given),
            expected=len(own),
            missing=len(missing),
            unexpected=len(unexpected),
            shapes=wrong_shapes,
            lines="".join("\n    " + line for line in shown),
        )
    for name, value in values.items():
        own[name].assign(wrap(value))
    return LoadResult(missing, unexpected)
