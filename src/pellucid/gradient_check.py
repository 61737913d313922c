"""Gradients against differences. `check_gradients` takes a function of Tensors or a model, promotes everything to
float64, and compares the reverse-mode gradient of every input and parameter with central differences, element by
element. Called by users and by the tests.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid._text import text
from pellucid._typing import Array
from pellucid.autograd import grad
from pellucid.core.check import Flag, Real, check, shown
from pellucid.core.context import enable_grad, no_grad, quiet
from pellucid.core.rng import default_generator
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import ArgumentTypeError, GradientError

_SMALLER_STEPS = (1.0, 0.1, 0.01)


@dataclass(frozen=True, repr=False)
class GradientCheck:
    """What `check_gradients` found.

    passed : whether every element that was compared agrees.
    num_checked, num_skipped : elements compared, and elements at a kink or a jump, where no difference tells anything.
    worst : the element that differs most, such as "parameter fc1.weight[0, 3]"; "" if none was compared.
    computed, expected : its gradient by reverse mode, and by differences.
    """

    passed: bool
    num_checked: int
    num_skipped: int
    worst: str
    computed: float
    expected: float

    @property
    def error(self) -> float:
        """How far the worst element is off."""
        return abs(self.computed - self.expected)

    def __repr__(self) -> str:
        return text("autograd.check-passed" if self.passed else "autograd.check-failed", **self.facts())

    def facts(self) -> dict[str, Any]:
        """The numbers for a message."""
        return {
            "checked": self.num_checked,
            "skipped": self.num_skipped,
            "worst": self.worst or "-",
            "computed": f"{self.computed:.9g}",
            "expected": f"{self.expected:.9g}",
        }


def check_gradients(
    fn_or_model: Callable[..., Any],
    inputs: Any,
    *,
    loss: Callable[[Any], Tensor] | None = None,
    eps: float = 1e-5,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    raises: bool = True,
) -> GradientCheck:
    """Compare reverse-mode gradients with central differences, in float64.

    Nothing of the user's changes: a model is copied, and the random generator is put back. Every evaluation sees the
    same random draws and the same running statistics. A result of several elements is reduced by fixed random weights
    first. An element at which the one-sided differences disagree however small the step (a kink, a jump) is skipped
    and counted.

    Parameters
        fn_or_model : a function of Tensors that returns a Tensor, or a Module, whose parameters are checked too.
        inputs : one array or Tensor, or a list of them; floats are differentiated, whole numbers passed on.
        loss : applied to the result before it is differentiated.
        eps : the step, relative for numbers above 1.
        rtol, atol : the difference that is allowed: atol + rtol·|gradient|.
        raises : raise an error where gradients differ, instead of returning a result that says so.
    Raises
        GradientError: a gradient differs; the worst element and both of its values are named.
        ArgumentTypeError: the result is no Tensor, or there is nothing to differentiate.
    Examples
        >>> import pellucid as pl
        >>> pl.check_gradients(lambda x: (x * x * x).sum(), [1.0, 2.0]).passed
        True
    """
    check("eps", eps, Real(0, 1, left_open=True))
    check("rtol", rtol, Real(0))
    check("atol", atol, Real(0))
    check("raises", raises, Flag())
    if not callable(fn_or_model):
        raise ArgumentTypeError("autograd.not-callable", value=shown(fn_or_model))
    subject = _Subject(fn_or_model, inputs, loss)
    state = default_generator.get_state()
    try:
        with quiet():
            result = _compared(subject, eps, rtol, atol)
    finally:
        default_generator.set_state(state)
    if raises and not result.passed:
        raise GradientError("autograd.check-differs", **result.facts())
    return result


class _Subject:
    """The function or a copy of the model in float64, with its leaves by name; evaluated repeatably."""

    def __init__(self, fn_or_model: Any, inputs: Any, loss: Callable[[Any], Tensor] | None) -> None:
        several = isinstance(inputs, list | tuple) and any(isinstance(x, Tensor) or hasattr(x, "shape") for x in inputs)
        self.inputs = [_promoted(x) for x in (inputs if several else [inputs])]
        self.leaves = {f"input {n}": x for n, x in enumerate(self.inputs) if x.requires_grad}
        self.loss = loss
        self.kept: list[tuple[Tensor, Array]] = []
        self.function = fn_or_model
        if hasattr(fn_or_model, "named_parameters"):
            self.function = copy.deepcopy(fn_or_model)
            for name, parameter in self.function.named_parameters():
                parameter.data = parameter.data.astype(np.float64)
                parameter.grad = None
                if parameter.requires_grad:
                    self.leaves[f"parameter {name}"] = parameter
            for _, buffer in getattr(self.function, "named_buffers", list)():
                if buffer.data.dtype.kind == "f":
                    buffer.data = buffer.data.astype(np.float64)
                self.kept.append((buffer, buffer.data))
        if not self.leaves:
            raise ArgumentTypeError("autograd.nothing-to-check")
        self.draws = default_generator.get_state()
        self.weights: Tensor | None = None

    def total(self) -> Tensor:
        """What is differentiated: the weighed result, with the same draws and running statistics each time."""
        default_generator.set_state(self.draws)
        for buffer, data in self.kept:
            buffer.data = data.copy()
        y = self.function(*self.inputs)
        if self.loss is not None:
            y = self.loss(y)
        if not isinstance(y, Tensor):
            raise ArgumentTypeError("autograd.not-tensor", type=type(y).__name__)
        if self.weights is None:
            plain = np.ones(y.shape) if y.size == 1 else np.random.default_rng(0).uniform(0.5, 1.5, y.shape)
            self.weights = wrap(plain)
        return (y * self.weights).sum()  # type: ignore[no-any-return]

    def value(self) -> float:
        with no_grad():
            return float(self.total().data)

    def gradients(self) -> dict[str, Array]:
        """The reverse-mode gradient of each leaf; zeros where the result does not depend on it."""
        with enable_grad():
            y = self.total()
        found = grad(y, list(self.leaves.values()), allow_unused=True)
        return {
            name: np.zeros(leaf.shape) if g is None else g.data
            for (name, leaf), g in zip(self.leaves.items(), found, strict=True)
        }


def _promoted(x: Any) -> Tensor:
    tensor = as_tensor(x)
    if tensor.dtype.kind != "f":
        return tensor.detach()
    return wrap(tensor.data.astype(np.float64)).requires_grad_()


def _compared(subject: _Subject, eps: float, rtol: float, atol: float) -> GradientCheck:
    gradients = subject.gradients()
    middle = subject.value()
    if not math.isfinite(middle):
        raise GradientError("autograd.check-not-finite", value=middle)
    passed, num_checked, num_skipped, largest = True, 0, 0, -1.0
    worst, computed, expected = "", 0.0, 0.0
    for name, leaf in subject.leaves.items():
        for index in np.ndindex(leaf.shape):
            g = float(gradients[name][index])
            difference, allowed = 0.0, 0.0
            sides: list[float] = []
            for slope, apart, noise in _slopes(subject, leaf, index, eps, middle):
                difference, allowed = slope, atol + rtol * max(abs(g), abs(slope)) + noise
                sides.append(apart)
                if abs(g - slope) <= allowed:
                    break
            else:
                # The one-sided slopes of a smooth function come together with the step; at a kink they never do.
                if not (sides[-1] <= 0.5 * sides[0] or sides[-1] <= 4 * allowed):
                    num_skipped += 1
                    continue
                passed = False
            num_checked += 1
            off = abs(g - difference) / max(allowed, 1e-300)
            if off > largest or math.isnan(off):
                largest = math.inf if math.isnan(off) else off
                worst, computed, expected = f"{name}{list(index) if index else ''}", g, difference
    return GradientCheck(passed, num_checked, num_skipped, worst, computed, expected)


def _slopes(
    subject: _Subject, leaf: Tensor, index: tuple[int, ...], eps: float, middle: float
) -> Iterator[tuple[float, float, float]]:
    """For smaller and smaller steps: the central difference, how far apart the one-sided ones are, and the noise."""
    original = leaf.data
    for factor in _SMALLER_STEPS:
        step = eps * factor * max(1.0, abs(float(original[index])))
        ends = []
        for sign in (1, -1):
            leaf.data = original.copy()
            leaf.data[index] += sign * step
            ends.append(subject.value())
        leaf.data = original
        above, below = ends
        noise = 16 * np.finfo(np.float64).eps * max(abs(above), abs(below), abs(middle)) / step
        yield (above - below) / (2 * step), abs((above - middle) - (middle - below)) / step, noise
