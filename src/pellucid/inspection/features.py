"""A network, an input and the name of a layer come in; what that layer gives for the input leaves. Users call
`features`.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Integer, checked
from pellucid.core.context import no_grad
from pellucid.core.tensor import Tensor
from pellucid.errors import ArgumentError, ModelError
from pellucid.graph.ir import mapped
from pellucid.inspection.layers import as_in_use, as_input, found_layer, observed
from pellucid.nn.attention.maps import aside


@checked(call=Integer(0, none=True))
def features(model: Any, x: Any, layer: Any, *, call: int | None = None) -> Any:
    """What a layer of a network gives for an input.

    Parameters
        model : a Module, which is asked in eval mode.
        x : array, Tensor or list of numbers, the rows in front
        layer : the layer's name, such as "2" or "encoder.layers.0", or the layer itself.
        call : of a layer that is called several times, which call: 0 for the first.
    Returns
        Tensor without a history, as the layer gives it; of a layer that gives several, such as an LSTM, the same tuples
    Raises
        MissingKeyError: the network has no such layer.
        ArgumentError: the layer is called several times, and call does not say which; or it has no such call.
        ModelError: the network does not call it.
        and what the network raises for such an input
    Examples
        >>> import pellucid as pl
        >>> model = pl.nn.Sequential(pl.nn.Linear(4, 8), pl.nn.ReLU(), pl.nn.Linear(8, 2))
        >>> pl.features(model, pl.ones((5, 4)), "1").shape
        (5, 8)
    """
    name, module = found_layer(model, layer)
    with as_in_use(model), no_grad(), aside():
        _, found = observed(model, module, as_input(model, x))
    if not found:
        raise ModelError("attribution.layer-not-called", name=name)
    if call is None and len(found) > 1:
        raise ArgumentError("attribution.layer-which-call", name=name, calls=len(found), last=len(found) - 1)
    if call is not None and call >= len(found):
        raise ArgumentError("attribution.layer-call", name=name, call=call, calls=len(found), last=len(found) - 1)
    return mapped(found[call or 0], lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf)
