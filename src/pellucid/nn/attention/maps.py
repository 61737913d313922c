"""What looked where: after any forward the attention of each layer and head can be read, without hooks. A layer leaves
here what its last forward compared, queries, keys and masks, by reference; the map is computed when it is asked for.

Nothing of it is an attribute of the layer: copies, files and state dicts know nothing of it, and it goes when the layer
goes. It holds arrays and no history, so no graph stays alive. What is recorded does not count as a forward; the runs of
a recording, which do, leave word that they came last, since no Python of theirs could leave the arrays.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary, ref

from pellucid._typing import Array
from pellucid.core.context import no_grad, quiet, state
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import ModelError, RecordingError
from pellucid.nn._calls import calls
from pellucid.nn.attention.scaled_dot_product import attention_weights
from pellucid.nn.module import Module


@dataclass(frozen=True)
class _Compared:
    """What a forward compared.

    Attributes
        number : in the order of all forwards
        forward : two of one forward of a network have the same
        query, key, allowed, added : as `attention_weights` takes them
        batched : whether the first axis was given by the user
    """

    number: int
    forward: tuple[Any, Any]
    query: Array
    key: Array
    allowed: Array | None
    added: Array | None
    batched: bool


@dataclass(frozen=True)
class _Compiled:
    """Word that a compiled function ran the layer."""

    number: int


_numbers = count()
_last: WeakKeyDictionary[Module, _Compared | _Compiled] = WeakKeyDictionary()


class Attending(Module):
    """A layer whose attention can be read after a forward: in its own, it says what it compares by `keep`."""

    keep_attention = True

    @property
    def attention_weights(self) -> Tensor:
        """How much each query took of each value in the last forward, head by head, before dropout; computed when it
        is read, without a history. Shape (N, num_heads, L, S); a single sequence has no N.

        Raises
            ModelError: there was no forward, or a compiled function did it.
        """
        return attention_map(self)


def keep(
    layer: Attending, query: Tensor, key: Tensor, allowed: Tensor | None, added: Tensor | None, batched: bool
) -> None:
    """Keep what a forward compares, in place of what the one before it did; nothing, where the layer says so."""
    if _aside.forwards:
        return
    if state.recorder is not None:
        state.recorder.at_each_run(partial(_ran_compiled, ref(layer)))
        return
    if not layer.keep_attention:
        _last.pop(layer, None)
        return
    # Masks may be the user's own arrays, to be written to before the map is read; queries and keys are nobody else's.
    masks = [None if mask is None else mask.data.copy() for mask in (allowed, added)]
    _last[layer] = _Compared(next(_numbers), _forward(), query.data, key.data, masks[0], masks[1], batched)


class _Aside(threading.local):
    forwards = False


_aside = _Aside()


@contextmanager
def aside() -> Iterator[None]:
    """Forwards inside are not the user's, such as those of a check: the maps stay what they were."""
    before, _aside.forwards = _aside.forwards, True
    try:
        yield
    finally:
        _aside.forwards = before


def _ran_compiled(layer: ref[Module]) -> None:
    known = layer()
    if known is not None:
        _last[known] = _Compiled(next(_numbers))


def _forward() -> tuple[Any, Any]:
    """The outermost network that runs, and what it notes anew at the end of every call."""
    if calls.root is None:
        return None, object()
    return ref(calls.root), calls.root.inputs_seen


def attention_map(layer: Module) -> Tensor:
    """How much each query of a layer's last forward took of each key's value.

    Raises
        ModelError: there was no forward, or a compiled function did it.
        RecordingError: a function that is being recorded asks.
    """
    label = type(layer).__name__
    if state.recorder is not None:
        raise RecordingError("attention.map-recorded", layer=label)
    found = _last.get(layer)
    if found is None:
        raise ModelError("attention.map-none", layer=label)
    if isinstance(found, _Compiled):
        raise ModelError("attention.map-compiled", layer=label)
    masks = [None if mask is None else wrap(mask) for mask in (found.allowed, found.added)]
    with no_grad(), quiet():
        weights = attention_weights(wrap(found.query), wrap(found.key), masks[0], masks[1], None, True)
    return weights if found.batched else weights[0]


def attention_maps(model: Module) -> dict[str, Tensor]:
    """How much each query took of each key's value, in every attention layer of a network, in its last forward.

    The maps are computed when they are asked for: the weights before dropout, which sum to 1 over the keys. Layers that
    did not run in that forward are left out; of one that ran several times it is the last time.

    Parameters
        model : a network with attention layers in it (`MultiheadAttention`, or that of `models.GPT`), after a forward
            that no compiled function did.
    Returns
        dict of the layers' names to Tensors, shape (N, heads, L, S), without a history; without N for a single sequence
    Raises
        ModelError: the network has no attention layer, has not run, or a compiled function ran it last.
    Examples
        >>> from pellucid import nn
        >>> model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, nhead=2, batch_first=True), num_layers=3)
        >>> _ = model(pl.ones((5, 4, 8)))
        >>> {name: m.shape for name, m in nn.attention_maps(model).items()}["layers.0.self_attn"]
        (5, 2, 4, 4)
    """
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, Attending)}
    label = type(model).__name__
    if not layers:
        raise ModelError("attention.no-layers", model=label)
    known = [_last[layer] for layer in layers.values() if layer in _last]
    if not known:
        raise ModelError("attention.map-none", layer=label)
    latest = max(known, key=lambda found: found.number)
    if isinstance(latest, _Compiled):
        raise ModelError("attention.map-compiled", layer=label)
    return {name: attention_map(layer) for name, layer in layers.items() if _of_one(latest, _last.get(layer))}


def _of_one(a: _Compared, b: _Compared | _Compiled | None) -> bool:
    """Whether both are of one forward of one network."""
    return isinstance(b, _Compared) and a.forward[0] == b.forward[0] and a.forward[1] is b.forward[1]
