"""What can be seen of a network before it is trained: weights from which it cannot learn. A Module enters, findings
leave; `fit` refuses to train where there are any.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from pellucid._typing import Array
from pellucid.core.context import no_grad, quiet
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import ModelError, PellucidError
from pellucid.nn.activation import Activation, ReLU, ReLU6
from pellucid.nn.module import Module, Parameter


@dataclass(frozen=True)
class StartFinding:
    """Weights from which a network cannot learn.

    kind: "no gradient": all weights are 0 and so is every hidden output, hence every gradient but the last bias's;
        "identical units": the units of a layer have equal weights in and out, hence equal gradients for ever; "dead
        units": a ReLU behind zero weights passes nothing.
    layers: names and layers concerned, first to last.
    activation: the activation behind the first of them, or "".
    units: how many units of the first of them are meant.
    """

    kind: Literal["no gradient", "identical units", "dead units"]
    layers: tuple[str, ...]
    activation: str
    units: int

    def error(self) -> ModelError:
        """The finding as an error, with the reason and the fix."""
        entry = self.kind.replace(" ", "-")
        rule = "kaiming_normal_" if self.activation.endswith(("LU", "U6")) else "xavier_uniform_"
        return ModelError(
            f"nn.start-{entry}",
            layers=", ".join(self.layers),
            activation=self.activation,
            units=self.units,
            rule=f"nn.init.{rule}(layer.weight)",
        )


def check_initialization(model: Module) -> list[StartFinding]:
    """Weights from which the network cannot learn: all zero, equal for all units of a layer, or zero in front of a
    ReLU.

    A single layer of zeros is fine: its gradient is not 0. So is a last layer of zeros behind others that are not.

    Parameters
        model : the network before training; nothing in it is changed.
    Returns
        The findings, worst first; an empty list where nothing is wrong.
    Examples
        >>> from pellucid import nn
        >>> model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
        >>> nn.check_initialization(model)
        []
        >>> for p in model.parameters():
        ...     _ = nn.init.zeros_(p)
        >>> nn.check_initialization(model)[0].kind
        'no gradient'
    """
    steps = list(_steps(model))
    if len(steps) < 2:
        return []
    hidden = steps[:-1]
    if not any(step.weight.any() for step in steps) and all(map(_silent, hidden)):
        names = tuple(step.name for step in steps)
        return [StartFinding("no gradient", names, hidden[0].activation, hidden[0].weight.shape[0])]
    findings = []
    for step, after in pairwise(steps):
        units = step.weight.shape[0]
        if units > 1 and after.weight.shape[1] == units and _same_rows(step) and _same(np.swapaxes(after.weight, 0, 1)):
            findings.append(StartFinding("identical units", (step.name, after.name), step.activation, units))
        elif step.follower is not None and isinstance(step.follower, ReLU | ReLU6) and _dead(step):
            findings.append(StartFinding("dead units", (step.name,), step.activation, units))
    return findings


@dataclass(frozen=True)
class _Step:
    """A layer with weights, and the activation that comes next after it."""

    name: str
    weight: Array
    bias: Array | None
    follower: Activation | None

    @property
    def activation(self) -> str:
        return "" if self.follower is None else type(self.follower).__name__


def _steps(model: Module) -> Iterator[_Step]:
    """The layers with a weight matrix that is trained, in order of registration (in a Sequential, of running)."""
    modules = [(path, m) for path, m in model.named_modules() if "module" not in m._kinds.values()]
    for n, (path, module) in enumerate(modules):
        weight, bias = vars(module).get("weight"), vars(module).get("bias")
        if not isinstance(weight, Parameter) or weight.ndim < 2 or module.takes_indices or not weight.size:
            continue
        if not weight.requires_grad:
            continue
        after = next((m for _, m in modules[n + 1 :] if not m.between_layers), None)
        name = f'"{path}" {module._label()}' if path else module._label()
        yield _Step(
            name,
            weight.data,
            bias.data if isinstance(bias, Tensor) else None,
            after if isinstance(after, Activation) else None,
        )


def _silent(step: _Step) -> bool:
    """Whether a layer of zero weights puts out 0 for every input, and its activation too."""
    if step.bias is not None and step.bias.any():
        return False
    if step.follower is None:
        return True
    try:
        with no_grad(), quiet():
            return not step.follower.forward(wrap(np.zeros((1, step.weight.shape[0]), step.weight.dtype))).data.any()
    except PellucidError:
        return False


def _dead(step: _Step) -> bool:
    return not step.weight.any() and (step.bias is None or not (step.bias > 0).any())


def _same_rows(step: _Step) -> bool:
    return _same(step.weight) and (step.bias is None or _same(step.bias))


def _same(rows: Array) -> bool:
    return bool((rows == rows[:1]).all())
