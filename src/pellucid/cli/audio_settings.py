"""The hyper-parameters of a network for sounds as one table, as `settings` has those of other networks; a checked
`dict` of every setting in force leaves. Help, flags, configuration files and `run.toml` of `pellucid train audio` read
it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pellucid.cli.settings import RATES, SETTINGS, Setting, batch_size_for, chosen, epochs_for, require_momentum
from pellucid.cli.values import Choice, Number, Whole
from pellucid.core.check import Integer, Real
from pellucid.errors import ArgumentError

_NETWORK = (
    Setting("model", Choice(("cnn", "gru")), "cnn", "network", "audio"),
    Setting("width", Whole(Integer(1, none=True), "auto"), None, "network", "audio"),
    Setting("bands", Whole(Integer(1)), 32, "network", "audio"),
    Setting("dropout", Number(Real(0, 1, right_open=True, none=True)), None, "network", "audio"),
)
_TRAINING = tuple(s for s in SETTINGS if s.group == "training" and s.name != "loss")
_DATA = (
    Setting("labels", Choice(("auto", "folder", "name")), "auto", "data", "audio"),
    Setting("seconds", Number(Real(0, left_open=True, none=True)), None, "data", "audio"),
    *(s for s in SETTINGS if s.name in ("validation", "test-size", "metrics")),
)
_RUN = tuple(s for s in SETTINGS if s.group == "run")

AUDIO_SETTINGS = tuple(
    # What "auto" is differs here.
    replace(s, subject="audio") if s.name in ("lr", "epochs", "batch-size") else s
    for s in (*_NETWORK, *_TRAINING, *_DATA, *_RUN)
)

_AUTO: dict[str, dict[str, Any]] = {"cnn": {"width": 48, "dropout": 0.3}, "gru": {"width": 64}}
_LEAST_EPOCHS = {"cnn": 15, "gru": 20}
_UPDATES, _BATCH, _ADAM_RATE = 600, 64, 0.01


def gather_audio(flags: dict[str, Any], config: str | None) -> dict[str, Any]:
    """Every setting: the flag where one was given, else the file's value, else the default.

    Raises
        ArgumentError: a value out of range, or one that the model has no use for; and as `settings.gather`.
    """
    values = chosen(AUDIO_SETTINGS, flags, config)
    require_momentum(values)
    if values["model"] == "gru" and values["dropout"] is not None:
        raise ArgumentError(
            "cli.model-setting",
            model="gru",
            name="dropout",
            value=f"{values['dropout']:g}",
            options="--width, --bands",
        )
    for name, value in _AUTO[values["model"]].items():
        if values[name] is None:
            values[name] = value
    if values["lr"] is None:
        values["lr"] = RATES.get(values["optimizer"], _ADAM_RATE)
    return values


def pace(settings: dict[str, Any], rows: int) -> dict[str, Any]:
    """Batch size and epochs, where they were left to the size of the data."""
    optimizer, model = settings["optimizer"], settings["model"]
    batch_size = settings["batch_size"]
    if batch_size is None:
        batch_size = batch_size_for(rows, optimizer) if optimizer == "lbfgs" else _BATCH
    epochs = settings["epochs"] or epochs_for(rows, batch_size, optimizer, _LEAST_EPOCHS[model], _UPDATES)
    return {"batch_size": batch_size, "epochs": epochs}
