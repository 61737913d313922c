"""A run and a remedy come in; the run leaves changed by it: its rates, its data, its weights or its activations. What a
remedy promises is measured by replays, never taken for granted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.tensor import wrap
from pellucid.data import Standardize
from pellucid.inspection.health_records import Remedy
from pellucid.nn import Module, Parameter, ReLU, init
from pellucid.nn.activation import Activation, Hardsigmoid, Hardtanh, Sigmoid, Softsign, Tanh

if TYPE_CHECKING:
    from pellucid.inspection.health_trial import Trial

SQUASHING = (Sigmoid, Tanh, Hardtanh, Hardsigmoid, Softsign)
"""Activations whose slope goes to 0 on both sides."""


def change(trial: Trial, remedy: Remedy) -> None:
    """Change a copied run as a remedy says."""
    amount = remedy.amount if remedy.amount is not None else 1.0
    match remedy.name:
        case "lower-rate" | "raise-rate":
            scale_rates(trial.optimizer, amount)
        case "clip-gradients":
            trial.clip_norm = amount
        case "shuffle":
            trial.shuffle = True
        case "balance-classes":
            trial.class_weight = "balanced"
        case "stop-early":
            trial.restore_best = True
        case "scale-inputs":
            _scale_inputs(trial)
        case "scale-targets":
            _scale_targets(trial)
        case "smaller-last-layer":
            layers = weighted(trial.model)
            if layers:
                _set(layers[-1][1].weight, layers[-1][1].weight.data * amount)
        case "draw-weights":
            draw_weights(trial.model)
        case "relu":
            _with_relu(trial.model)
            draw_weights(trial.model)


def scale_rates(optimizer: Any, factor: float) -> None:
    """Every learning rate times a factor."""
    for group in optimizer.param_groups:
        group["lr"] = float(group["lr"]) * factor


def _set(parameter: Any, values: Array) -> None:
    parameter.assign(wrap(np.ascontiguousarray(values, parameter.data.dtype)))


def weighted(model: Module) -> list[tuple[str, Any]]:
    """Layers with a weight matrix or kernel of their own that is trained, in order of registration."""
    return [
        (name, m)
        for name, m in model.named_modules()
        if isinstance(vars(m).get("weight"), Parameter)
        and m.weight.ndim >= 2
        and m.weight.requires_grad
        and not m.takes_indices
    ]


def draw_weights(model: Module) -> None:
    """Weights by He's rule in front of ReLUs and their relatives, by Xavier's elsewhere; biases 0."""
    modules = [m for _, m in model.named_modules()]
    for _, layer in weighted(model):
        behind = next((m for m in modules[modules.index(layer) + 1 :] if not m.between_layers), None)
        if isinstance(behind, Activation) and not isinstance(behind, SQUASHING):
            init.kaiming_normal_(layer.weight, nonlinearity="relu")
        else:
            init.xavier_uniform_(layer.weight)
        if isinstance(vars(layer).get("bias"), Parameter):
            init.zeros_(layer.bias)


def _with_relu(model: Module) -> None:
    """ReLUs instead of squashing activations, but for one at the very end, which is there for the loss."""
    found = [
        (owner, name)
        for owner in model.modules()
        for name, kind in list(owner._kinds.items())
        if kind == "module" and isinstance(vars(owner)[name], SQUASHING)
    ]
    last = list(model.modules())[-1]
    for owner, name in found:
        if vars(owner)[name] is not last:
            setattr(owner, name, ReLU())


def _scale_inputs(trial: Trial) -> None:
    x = trial.train.x
    scaler = Standardize().fit(x)
    trial.train = replace(trial.train, x=scaler.transform(x).astype(x.dtype))
    if trial.validation is not None:
        trial.validation = replace(trial.validation, x=scaler.transform(trial.validation.x).astype(x.dtype))


def _scale_targets(trial: Trial) -> None:
    y: Any = trial.train.y
    mean, std = y.mean(axis=0, dtype=np.float64), np.maximum(y.std(axis=0, dtype=np.float64), 1e-30)
    trial.train = replace(trial.train, y=((y - mean) / std).astype(y.dtype))
    if trial.validation is not None and trial.validation.y is not None:
        trial.validation = replace(trial.validation, y=((trial.validation.y - mean) / std).astype(y.dtype))
