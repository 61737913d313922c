"""A network, rows and a loss come in; how each of its layers does on them leaves: how much it passes on of what tells
rows apart, what gradient reaches it, units that are dead, values that are saturated, and how far the next update moves
it. `doctor` looks before and after training, `HealthMonitor` in between.

Layers are watched from outside by hooks; the network, its optimizer and all random state are put back afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.autograd import grad
from pellucid.core.context import enable_grad, no_grad, quiet
from pellucid.core.tensor import Tensor, wrap
from pellucid.data import Dataset
from pellucid.errors import PellucidError
from pellucid.inspection.health_records import LayerHealth
from pellucid.inspection.unchanged import unchanged
from pellucid.nn import Module, ReLU, ReLU6, Sigmoid, Tanh
from pellucid.nn.activation import Activation, Hardsigmoid, Hardtanh
from pellucid.optim import LBFGS

_CHUNK = 512
PROBE_ROWS = 256
WHOLE_ROWS = 4096
# A sigmoid's slope is y(1 - y), of at most 1/4; a tanh's 1 - y². Below 1 % of the steepest:
_SIGMOID_ENDS, _TANH_END = 0.0025, 0.995


@dataclass
class _Seen:
    """What passed through a layer with weights, and through the activation behind it."""

    name: str
    module: Module
    inputs: Array | None = None
    outputs: Tensor | None = None
    alive: Array | None = None
    saturated: list[float] = field(default_factory=list)
    ends: bool = False


def carries_weights(module: Module) -> bool:
    """Whether a module has a weight matrix or kernel of its own that is trained, and is no table of embeddings."""
    own = [p for _, p in module._own("parameter")]
    return not module.takes_indices and any(p.ndim >= 2 and p.requires_grad for p in own)


def spread_over_rows(values: Array) -> float:
    """How much a unit varies from row to row, root mean square over units."""
    flat = values.reshape(len(values), -1).astype(np.float64)
    return float(np.sqrt(flat.var(axis=0).mean())) if flat.size else 0.0


class _Watched:
    """The layers of a network in the order of their first calls, while hooks are on them."""

    def __init__(self, model: Module) -> None:
        self.seen: list[_Seen] = []
        self._by_module: dict[int, _Seen] = {}
        self._handles: list[Any] = []
        self._latest: _Seen | None = None
        for name, module in model.named_modules():
            if carries_weights(module):
                self._handles.append(module.register_forward_hook(self._hook(name)))
            elif isinstance(module, Activation):
                self._handles.append(module.register_forward_hook(self._activated))

    def _hook(self, name: str) -> Any:
        def look(module: Module, args: tuple[Any, ...], output: Any) -> None:
            first = next((a for a in args if isinstance(a, Tensor)), None)
            result = output[0] if isinstance(output, tuple) else output
            if not isinstance(result, Tensor) or result.data.dtype.kind != "f":
                return
            seen = self._by_module.get(id(module))
            if seen is None:
                seen = self._by_module[id(module)] = _Seen(name, module)
                self.seen.append(seen)
            seen.inputs = None if first is None else first.data
            seen.outputs = result
            self._latest = seen

        return look

    def _activated(self, module: Module, args: tuple[Any, ...], output: Any) -> None:
        before = self._latest
        if before is None or not isinstance(output, Tensor):
            return
        y = output.data
        if isinstance(module, ReLU | ReLU6):
            axis = 1 if y.ndim == 4 or "Conv" in type(before.module).__name__ else y.ndim - 1
            alive: Array = np.asarray((y > 0).any(axis=tuple(n for n in range(y.ndim) if n != axis)))
            known = before.alive
            before.alive = alive if known is None or known.shape != alive.shape else np.logical_or(known, alive)
        elif isinstance(module, Sigmoid | Hardsigmoid):
            before.saturated.append(float((y * (1 - y) < _SIGMOID_ENDS).mean()))
        elif isinstance(module, Tanh | Hardtanh):
            before.saturated.append(float((np.abs(y) > _TANH_END).mean()))

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()


@contextmanager
def _watching(model: Module) -> Iterator[_Watched]:
    watched = _Watched(model)
    try:
        yield watched
    finally:
        watched.remove()


def probe(
    model: Module, data: Dataset, loss: Any, optimizer: Any = None, *, rows: int = PROBE_ROWS, whole: bool = False
) -> tuple[tuple[LayerHealth, ...], float]:
    """How the layers do on some rows, spread evenly over the data, and the loss of these.

    Parameters
        optimizer : of which one update is tried, and taken back; None, and for LBFGS, leaves that out
        rows : how many
        whole : look for dead units and saturation over all rows (at most 4,096), not over these alone
    Raises
        PellucidError: the network or the loss does not take these rows.
    """
    part = data[:: max(1, -(-len(data) // rows))]
    with unchanged(model, seed=0, training=True, optimizer=optimizer), quiet():
        with _watching(model) as watched, enable_grad():
            value = loss(model(wrap(part.x)), wrap(part.y))
        layers = watched.seen
        gradients = _gradients(value, layers)
        health = {id(s): _of(s, g, len(part)) for s, g in zip(layers, gradients, strict=True)}
        if whole and len(data) > len(part):
            _look_at_all(model, data, layers)
        ratios = _ratios(model, value, optimizer, layers)
    found = []
    for n, s in enumerate(layers):
        input_std, output_std, gradient, norm = health[id(s)]
        last = n == len(layers) - 1
        dead = None if s.alive is None or last else float(1 - s.alive.mean())
        saturated = None if not s.saturated or last else float(np.mean(s.saturated))
        kind = type(s.module).__name__
        found.append(LayerHealth(s.name, kind, input_std, output_std, gradient, dead, saturated, norm, ratios[n]))
    return tuple(found), float(value.data.mean())


def _gradients(value: Tensor, layers: list[_Seen]) -> list[Array | None]:
    """The gradient of the loss by the outputs of each layer."""
    outputs = [s.outputs for s in layers]
    tracked = [o for o in outputs if o is not None and o.requires_grad]
    if not tracked or not value.requires_grad:
        return [None] * len(layers)
    ones = wrap(np.ones(value.shape, value.data.dtype))
    found = grad(value, tracked, ones, allow_unused=True)
    by_id = {id(t): None if g is None else g.data for t, g in zip(tracked, found, strict=True)}
    return [by_id.get(id(o)) for o in outputs]


def _of(seen: _Seen, gradient: Array | None, rows: int) -> tuple[float, float, float, float]:
    """Spread of inputs and outputs, length of the gradient of a row's loss, length of the parameters."""
    inputs = 0.0 if seen.inputs is None else spread_over_rows(seen.inputs)
    outputs = 0.0 if seen.outputs is None else spread_over_rows(seen.outputs.data)
    length = 0.0 if gradient is None else float(np.sqrt(np.square(gradient, dtype=np.float64).sum() * rows))
    own = [p.data for _, p in seen.module._own("parameter")]
    return inputs, outputs, length, _length(own)


def _length(arrays: list[Array]) -> float:
    return float(np.sqrt(sum(float(np.square(a, dtype=np.float64).sum()) for a in arrays)))


def _look_at_all(model: Module, data: Dataset, layers: list[_Seen]) -> None:
    """Units alive and values saturated over the whole data."""
    with _watching(model) as watched, no_grad():
        part = data[:: max(1, -(-len(data) // WHOLE_ROWS))]
        # Parts of nearly one size: batch normalisation takes no single row.
        for x in np.array_split(part.x, -(-len(part) // _CHUNK)):
            model(wrap(np.ascontiguousarray(x)))
    by_module = {id(s.module): s for s in watched.seen}
    for s in layers:
        if id(s.module) in by_module:
            s.alive, s.saturated = by_module[id(s.module)].alive, by_module[id(s.module)].saturated


def _ratios(model: Module, value: Tensor, optimizer: Any, layers: list[_Seen]) -> list[float | None]:
    """How far one update moves each layer, as a share of the length of its parameters."""
    nothing: list[float | None] = [None] * len(layers)
    if optimizer is None or isinstance(optimizer, LBFGS) or not value.requires_grad:
        return nothing
    own = [[p for _, p in s.module._own("parameter") if p.ndim >= 2] for s in layers]
    before = [[p.data.copy() for p in ps] for ps in own]
    try:
        (value if value.size == 1 else value.mean()).backward()
        optimizer.step()
    except PellucidError:
        return nothing
    ratios: list[float | None] = []
    for ps, arrays in zip(own, before, strict=True):
        moved = _length([p.data - a for p, a in zip(ps, arrays, strict=True)])
        ratios.append(moved / max(_length(arrays), 1e-12))
    return ratios
