"""A network and a batch come in; how its numbers are distributed leaves, layer by layer: the results, and, with a loss,
the gradients by these results and by the parameters. The figures of histograms and of the gradient's way are drawn from
it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.core.check import Integer, checked
from pellucid.errors import ArgumentError
from pellucid.inspection.explain import _target
from pellucid.inspection.explain_trace import Trace
from pellucid.inspection.layer_results import LayerResult, layer_results
from pellucid.inspection.layers import as_in_use, as_input
from pellucid.inspection.objective import check_loss, named
from pellucid.nn.attention.maps import aside


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many numbers lie where.

    edges : (bins + 1,), of equal bins from the smallest to the largest.
    counts : (bins,), of the finite numbers that are not exactly 0.
    zeros, not_finite : how many are exactly 0, such as those that a ReLU cut; and infinite or NaN.
    size : how many there are in all.
    mean, std : of the finite numbers, zeros included; NaN where there is none.
    """

    edges: Array = field(repr=False)
    counts: Array = field(repr=False)
    zeros: int
    not_finite: int
    size: int
    mean: float
    std: float


@dataclass(frozen=True, eq=False)
class LayerSignals:
    """What a layer passes on, and what gradient reaches it.

    path, kind : the layer's full name, and its class, or its operations where that is not known.
    output : shape of its last result, the rows in front.
    parameters : names of what it is the first to take.
    results : distribution of its last result.
    gradients : distribution of the loss's gradient by that result; None without a loss.
    gradient_norm : length of the gradient by the result; None without a loss, and where the loss does not reach it.
    weight_norm, weight_gradient_norm : length of its parameters, and of the gradient by them; None where it has none.
    """

    path: str
    kind: str
    output: Shape
    parameters: tuple[str, ...]
    results: Histogram
    gradients: Histogram | None = None
    gradient_norm: float | None = None
    weight_norm: float | None = None
    weight_gradient_norm: float | None = None


@dataclass(frozen=True, eq=False)
class Signals:
    """The layers of a network on a batch, in the order in which they compute; see `signals`."""

    model: str
    rows: int
    loss: float | None
    layers: tuple[LayerSignals, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.layers)


@checked(bins=Integer(1, 10_000))
def signals(model: Any, x: Any, y: Any = None, loss: Callable[..., Any] | None = None, *, bins: int = 60) -> Signals:
    """How the results and the gradients of each layer are distributed on a batch.

    The network runs once in eval mode, and is afterwards what it was. Layers that only arrange numbers anew are left
    out; a layer that runs several times shows its last result.

    Parameters
        model : a Module, a network from a file, or a function of Tensors.
        x : a batch of inputs.
        y, loss : targets, and what is called as loss(outputs, targets), or as loss(outputs) without y; None looks at
            the results alone.
        bins : of each histogram.
    Returns
        Signals
    Raises
        ArgumentError: targets without a loss; a loss that depends on nothing that is trained.
        and what the network and the loss raise for such a batch
    Source
        X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS
        2010, section 4.3, for comparing the distributions layer by layer.
    Examples
        >>> import pellucid as pl
        >>> model = pl.nn.Sequential(pl.nn.Linear(2, 8), pl.nn.ReLU(), pl.nn.Linear(8, 2))
        >>> data = pl.data.two_moons(64, seed=0)
        >>> found = pl.inspection.signals(model, data.x, data.y, pl.nn.CrossEntropyLoss())
        >>> [layer.path for layer in found.layers]
        ['0', '1', '2']
        >>> found.layers[1].results.size
        512
    """
    if loss is not None:
        check_loss(loss)
    elif y is not None:
        raise ArgumentError("explain.needs-loss", name="y")
    given = as_input(model, x)
    targets = [] if y is None else [_target(model, y)]
    with as_in_use(model), aside():
        trace = Trace(model, [given], targets, loss)
    end = None if trace.loss is None else float(trace.array(trace.loss).reshape(-1)[0])
    layers = tuple(_of(trace, result, bins) for result in layer_results(trace))
    return Signals(named(model), len(given), end, layers)


def _of(trace: Trace, result: LayerResult, bins: int) -> LayerSignals:
    error = trace.errors.get(result.value.id)
    arrays = [trace.array(value) for _, value in result.parameters]
    gradients = [trace.errors[value.id] for _, value in result.parameters if value.id in trace.errors]
    return LayerSignals(
        result.path,
        result.kind,
        tuple(result.value.spec.shape),
        tuple(name for name, _ in result.parameters),
        histogram(trace.array(result.value), bins),
        None if error is None else histogram(error, bins),
        None if error is None else _length([error]),
        _length(arrays) if arrays else None,
        _length(gradients) if gradients else None,
    )


def histogram(values: Array, bins: int) -> Histogram:
    """The distribution of numbers."""
    flat = values.reshape(-1).astype(np.float64)
    finite = flat[np.isfinite(flat)]
    others = finite[finite != 0]
    counts, edges = np.histogram(others, bins, _range(others, bins))
    mean, std = (float(finite.mean()), float(finite.std())) if finite.size else (float("nan"), float("nan"))
    return Histogram(edges, counts, finite.size - others.size, flat.size - finite.size, flat.size, mean, std)


def _range(numbers: Array, bins: int) -> tuple[float, float] | None:
    """Where the bins of a histogram lie: None from the smallest to the largest number; more where these are so near to
    each other, as those of a saturated sigmoid in float64, that no floats would be left between the edges."""
    if not numbers.size:
        return None
    low, high = float(numbers.min()), float(numbers.max())
    least = 2 * bins * float(np.spacing(max(abs(low), abs(high))))
    return (low - least, high + least) if 0 < high - low < least else None


def _length(arrays: list[Array]) -> float:
    return float(np.sqrt(sum(float(np.square(a, dtype=np.float64).sum()) for a in arrays)))
