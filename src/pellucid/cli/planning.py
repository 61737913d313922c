"""The word DATA and checked settings come in; the plan of a run leaves: its rows, its network, and what is to be said
and kept of both. Called by the train command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pellucid import nn
from pellucid._text import text
from pellucid._typing import Array
from pellucid.cli import pictures
from pellucid.cli.figures import picture_figures
from pellucid.cli.network import build, sizes_of
from pellucid.cli.preparation import Parts, prepare
from pellucid.cli.settings import DENSE, MODELS, SETTINGS, Setting, batch_size_for, epochs_for, in_use
from pellucid.cli.sources import load
from pellucid.core.rng import manual_seed


@dataclass
class Plan:
    """What is to be trained, and what is said and kept of it.

    Attributes
        parts : the rows
        model : the network, new
        settings : those in force
        table : all settings that this kind of run has
        data_line, network_line : what is announced
        data, network : what `run.toml` says of both beyond what it says of all
        metadata : what the model's file keeps beside loss and classes
        dependence : whether to test that the targets depend on the inputs
        figures : pictures beside the curves, by the names of their files, made of the trained model and its outputs
            for the test part
    """

    parts: Parts
    model: nn.Module
    settings: dict[str, Any]
    table: tuple[Setting, ...]
    data_line: str
    network_line: str
    data: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    dependence: bool = True
    figures: Callable[[nn.Module, Array], dict[str, bytes]] = lambda model, outputs: {}


def plan_rows(word: str, settings: dict[str, Any]) -> Plan:
    """Rows or pictures, and a network for them."""
    source = load(word)
    preset, dense = MODELS[settings["model"]], settings["model"] == DENSE
    if settings["augment"] is None:
        settings = {**settings, "augment": [] if dense else list(source.augment)}
    parts = prepare(source, settings)
    settings = {
        **settings,
        "loss": parts.task.loss,
        "metrics": list(parts.task.metrics),
        **pace(settings, len(parts.train), preset.least_epochs),
    }
    manual_seed(settings["seed"])
    shape, outputs = parts.train.x.shape[1:], parts.task.num_outputs
    if dense:
        options = {key: settings[key] for key in ("activation", "norm", "dropout", "init", "dtype", "loss")}
        model: nn.Module = build(shape, settings["layers"], outputs, **options)
        sizes = sizes_of(model)
        name, network = "-".join(map(str, sizes)), {"sizes": sizes}
        line = text("cli.network-line", sizes=name, activation=settings["activation"], **counts(model))
        return Plan(parts, model, settings, SETTINGS, rows_line(parts), line, network=network)
    model, name = pictures.build(shape, outputs, settings)
    return Plan(
        parts,
        model,
        settings,
        tuple(s for s in SETTINGS if in_use(s, settings["model"])),
        rows_line(parts),
        text("cli.model-line", name=name, **counts(model)),
        network={"name": name},
        figures=lambda model, outputs: picture_figures(parts, model, outputs),
    )


def pace(settings: dict[str, Any], rows: int, least_epochs: int) -> dict[str, Any]:
    """Batch size and epochs, where they were left to the size of the data."""
    batch_size = settings["batch_size"] or batch_size_for(rows, settings["optimizer"])
    return {
        "batch_size": batch_size,
        "epochs": settings["epochs"] or epochs_for(rows, batch_size, settings["optimizer"], least_epochs),
    }


def rows_line(parts: Parts) -> str:
    """The data in a line: how large a row is, what there is to learn, how many rows each part has."""
    rows = [0 if p is None else len(p) for p in (parts.train, parts.validation, parts.test)]
    shape = parts.train.image_shape or parts.train.x.shape[1:]
    kind = (
        text("cli.classes", count=parts.task.num_classes)
        if parts.task.num_classes is not None
        else text("cli.outputs", count=parts.task.num_outputs)
    )
    numbers = text("cli.numbers", size=" × ".join(map(str, shape)))
    counted = text("cli.parts", train=f"{rows[0]:,}", validation=f"{rows[1]:,}", test=f"{rows[2]:,}")
    return text("cli.data-line", name=parts.source.name, numbers=numbers, kind=kind, parts=counted)


def counts(model: nn.Module) -> dict[str, str]:
    """Parameters and their bytes, in words."""
    return {
        "parameters": f"{model.num_parameters():,}",
        "size_bytes": f"{sum(p.nbytes for p in model.parameters()):,}",
    }
