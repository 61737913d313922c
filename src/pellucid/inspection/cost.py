"""A network and the shapes of its inputs come in; what it costs leaves: parameters, work, memory, and, where they are
asked for, times on this machine. Users call `cost`; the command line and reports print what it returns.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pellucid.autograd import backward
from pellucid.core.check import Flag, checked, shown
from pellucid.core.context import default_dtype, no_grad, state
from pellucid.core.tensor import Tensor, to_array, wrap
from pellucid.errors import ArgumentError, ArgumentTypeError
from pellucid.graph.ir import leaves
from pellucid.graph.names import function_name, is_module
from pellucid.inspection.cost_audit import Audit, audited
from pellucid.inspection.cost_counting import counted
from pellucid.inspection.cost_measure import measured
from pellucid.inspection.cost_recording import Outline, Run, recorded, without_data
from pellucid.inspection.cost_records import CostReport
from pellucid.nn import Module


@checked(training=Flag(), measure=Flag())
def cost(
    model: Any,
    example_or_shape: Any,
    training: bool = False,
    *,
    loss: Callable[..., Any] | None = None,
    targets: Any = None,
    optimizer: Callable[..., Any] | Any = None,
    measure: bool = False,
) -> CostReport:
    """What a network costs: parameters, multiply-accumulates, FLOPs, activations, memory traffic, layer by layer.

    The network is recorded as it runs, and every operation is counted from its declaration, so attention, functions of
    operations and layers that are used twice are counted as they run. Counting works by shapes, at once, and changes
    nothing in the network; with `measure` the network also runs, and is timed.

    A multiply-accumulate (MAC) is one product added to a sum, in a product of matrices or a convolution, products with
    the zeros of a padding included; FLOPs are 2 for each MAC and one for every other operation on floats.

    Parameters
        model : a Module, or a function of Tensors.
        example_or_shape : what the network is called with: an array, Tensor or list of numbers; or a shape, a tuple of
            whole numbers with the batch in front, for floats of the network's dtype (token numbers where its layers
            take indices). A tuple of these for several inputs.
        training : count a whole step in training mode: forward, loss, backward, update. Otherwise a forward pass in
            eval mode.
        loss : of `training`: called as loss(outputs, targets), or as loss(outputs) without targets. None: the gradient
            of the outputs is given, and the loss is left out.
        targets : what the loss is given, as above; labels are an array of whole numbers, such as `np.zeros(32, int)`.
        optimizer : of `training`: an optimizer of the network's parameters, or its class, such as
            `pellucid.optim.Adam`. None: no update is counted.
        measure : also time it: a call, each layer, and the machine. Takes seconds.
    Returns
        CostReport
    Raises
        ArgumentTypeError: no network or function, or an example that is none.
        ArgumentError: a shape that cannot be, or a loss, targets or optimizer without training.
        and what the network raises for such inputs
    Source
        V. Sze et al., Efficient processing of deep neural networks, 2020, chapter 3, for the measures. S. Williams et
        al., Roofline, CACM 52 (2009), for what bounds a layer.
    Examples
        >>> import pellucid as pl
        >>> model = pl.nn.Sequential(pl.nn.Linear(784, 16), pl.nn.ReLU(), pl.nn.Linear(16, 10))
        >>> c = pl.cost(model, (1, 784))
        >>> c.parameters, c.macs, c.peak_activations
        (12730, 12704, 800)
    """
    if not callable(model):
        raise ArgumentTypeError("cost.model", value=shown(model), type=type(model).__name__)
    if not training:
        for name, value in (("loss", loss), ("targets", targets), ("optimizer", optimizer)):
            if value is not None:
                raise ArgumentError("cost.needs-training", name=name)
    examples = _examples("example_or_shape", example_or_shape, model)
    count = len(examples)
    if targets is not None:
        if loss is None:
            raise ArgumentError("cost.targets-without-loss")
        examples += _examples("targets", targets, None)
    made = _optimizer(model, optimizer)
    step = _Step(model, count, loss, made) if training else None
    function = model if step is None else step
    name = type(model).__name__ if is_module(model) else function_name(model)

    def run_for(given: Sequence[Tensor]) -> Run:
        with _mode(model, training):
            if step is None:
                with no_grad():
                    return recorded(function, given)
            return recorded(function, given, step.told, settled=made is None)

    run = run_for(examples)

    def audit() -> Audit:
        with _mode(model, training):
            if step is None:
                with no_grad():
                    return audited(run, function, examples)
            return audited(run, function, examples, step.told, settled=made is None)

    report = counted(name, model, run, count, training, loss, audit)
    if measure:
        with _mode(model, training):
            report = measured(report, model, run, function, examples, training, loss)
    return report


class _Step:
    """A step of training as a function of inputs and targets; it says on its way what is going on."""

    def __init__(self, model: Any, num_inputs: int, loss: Any, optimizer: Any) -> None:
        self.model, self.num_inputs, self.loss, self.optimizer = model, num_inputs, loss, optimizer
        self._outline: Outline | None = None

    def told(self, outline: Outline | None) -> None:
        """Whom to tell."""
        self._outline = outline

    def _begin(self, phase: Any) -> None:
        if self._outline is not None:
            self._outline.phase = phase

    def __call__(self, *given: Tensor) -> Any:
        self._begin("forward")
        outputs = self.model(*given[: self.num_inputs])
        found = [x for x in leaves(outputs) if isinstance(x, Tensor)]
        if self.loss is not None:
            self._begin("loss")
            found = [self.loss(outputs, *given[self.num_inputs :])]
        self._begin("backward")
        tracked = [x for x in found if x.requires_grad]
        if not tracked:
            raise ArgumentError("cost.nothing-to-train")
        for x in tracked:
            # The loss is one number; the gradient of other outputs comes from what is behind them.
            backward(x, wrap(np.ones(x.shape, x.dtype)) if self.loss is None or x.size != 1 else None)
        if self.optimizer is not None:
            self._begin("update")
            self.optimizer.step()
        return tuple(found)


def _optimizer(model: Any, given: Any) -> Any:
    """An optimizer for the model's parameters, from an optimizer or what makes one."""
    if given is None or hasattr(given, "param_groups"):
        return given
    if not callable(given):
        raise ArgumentTypeError("cost.optimizer", value=shown(given), type=type(given).__name__)
    if not is_module(model):
        raise ArgumentTypeError("cost.optimizer-of-function", value=shown(given))
    return given(model.parameters())


@contextmanager
def _mode(model: Any, training: bool) -> Iterator[None]:
    """The whole network in training or in eval mode; each module gets its own back."""
    modules = list(model.modules()) if isinstance(model, Module) else []
    before = [m.training for m in modules]
    for m in modules:
        m.training = training
    grad, state.grad = state.grad, True
    try:
        yield
    finally:
        state.grad = grad
        for m, mode in zip(modules, before, strict=True):
            m.training = mode


def _examples(name: str, given: Any, model: Any) -> list[Tensor]:
    """The inputs as Tensors, those of which only the shape is known without data."""
    several = isinstance(given, tuple) and given and not all(isinstance(n, numbers.Integral) for n in given)
    return [_example(name, x, model) for x in (given if several else (given,))]


def _example(name: str, given: Any, model: Any) -> Tensor:
    first, takes_indices = _takes(model)
    if isinstance(given, Tensor):
        return given.detach()
    if isinstance(given, tuple):
        if not given or any(isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 1 for n in given):
            raise ArgumentError("cost.shape", name=name, shape=str(given))
        shape = tuple(int(n) for n in given)
        return wrap(without_data(shape, np.dtype(np.int64) if takes_indices else first))
    if not isinstance(given, list) and not hasattr(given, "__array__"):
        raise ArgumentTypeError("cost.example", name=name, value=shown(given), type=type(given).__name__)
    array = to_array(given)
    # As a network takes arrays: floats in its own dtype, whole numbers too unless they are indices.
    keeps = array.dtype == first or (takes_indices and array.dtype.kind in "iu")
    return wrap(array if keeps or not is_module(model) else array.astype(first))


def _takes(model: Any) -> tuple[Any, bool]:
    """The dtype of a network's floats, and whether it takes whole numbers."""
    if not isinstance(model, Module):
        return default_dtype(), False
    first = next((p.dtype for p in model.parameters() if p.dtype.kind == "f"), default_dtype())
    return first, any(m.takes_indices for m in model.modules())
