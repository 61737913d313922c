"""The hyper-parameters as one table, and the three places they come from: flags, a TOML file, defaults. A checked
`dict` of every setting in force leaves. The help, the flags, the configuration file and `run.toml` all read this
table.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid._text import text
from pellucid.cli.values import BatchSize, Choice, Kind, Names, Number, Sizes, Whole
from pellucid.core.check import Integer, Real, closest, shown
from pellucid.errors import ArgumentError, ArgumentTypeError, FileFormatError, MissingFileError
from pellucid.train.choose import OPTIMIZERS, SCHEDULES
from pellucid.train.metrics import METRICS

ACTIVATIONS = {
    "relu": "ReLU",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "leaky_relu": "LeakyReLU",
    "elu": "ELU",
    "selu": "SELU",
    "celu": "CELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "mish": "Mish",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "relu6": "ReLU6",
    "prelu": "PReLU",
    "rrelu": "RReLU",
    "hardtanh": "Hardtanh",
    "hardsigmoid": "Hardsigmoid",
    "hardswish": "Hardswish",
    "hardshrink": "Hardshrink",
    "softshrink": "Softshrink",
    "tanhshrink": "Tanhshrink",
    "log_sigmoid": "LogSigmoid",
    "identity": "Identity",
}
"""The activation layer that a name stands for."""

NORMS = {"none": None, "batch": "BatchNorm1d", "layer": "LayerNorm", "rms": "RMSNorm"}
"""The normalisation layer that a name stands for."""

INITS = (
    "auto",
    "he_uniform",
    "he_normal",
    "xavier_uniform",
    "xavier_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
    "torch",
    "zeros",
)
"""How the weights of the linear layers start; "auto" goes by the activation that follows."""

LOSSES = (
    "auto",
    "cross_entropy",
    "nll",
    "multi_margin",
    "bce",
    "bce_with_logits",
    "mse",
    "mae",
    "smooth_l1",
    "huber",
    "poisson_nll",
)

SCALES = ("none", "standardize", "minmax")

AUGMENTATIONS = ("shift", "flip", "cutout")
"""How pictures are changed while training; `pictures` says by how much."""


@dataclass(frozen=True)
class Preset:
    """What a network takes of the settings, and what it is trained with where nothing else is asked for.

    Attributes
        takes : the settings of the network's own form, by key
        adam_rate : learning rate of Adam and its relatives, at the top of the one-cycle schedule
        least_epochs : fewest passes over the data
    """

    takes: tuple[str, ...]
    adam_rate: float
    least_epochs: int


DENSE = "dense"
MODELS = {
    DENSE: Preset(("layers", "activation", "norm", "dropout", "init"), 0.007, 20),
    "lenet5": Preset(("activation",), 0.003, 10),
    "cnn": Preset(("dropout",), 0.01, 12),
    "resnet20": Preset((), 0.01, 16),
    "resnet18": Preset((), 0.003, 10),
    "mobilenet_v2": Preset((), 0.003, 16),
}
"""The networks by name: the fully connected one, and those for pictures, which `pictures` builds."""


@dataclass(frozen=True)
class Setting:
    """One hyper-parameter: its name as a flag and a key, the kind of its value, its default, the group it is in, and in
    which part of the catalogue its help is."""

    name: str
    kind: Kind
    default: Any
    group: str
    subject: str = "cli"

    @property
    def key(self) -> str:
        """The name in `run.toml` and in Python."""
        return self.name.replace("-", "_")


SETTINGS = (
    Setting("model", Choice(tuple(MODELS)), DENSE, "network"),
    Setting("layers", Sizes(), [64, 32], "network"),
    Setting("activation", Choice(tuple(ACTIVATIONS)), "relu", "network"),
    Setting("norm", Choice(tuple(NORMS)), "none", "network"),
    Setting("dropout", Number(Real(0, 1, right_open=True)), 0.0, "network"),
    Setting("init", Choice(INITS), "auto", "network"),
    Setting("dtype", Choice(("float32", "float64")), "float32", "network"),
    Setting("loss", Choice(LOSSES), "auto", "training"),
    Setting("optimizer", Choice(tuple(OPTIMIZERS)), "adam", "training"),
    Setting("lr", Number(Real(0, left_open=True, none=True)), None, "training"),
    Setting("momentum", Number(Real(0, 1, right_open=True)), 0.0, "training"),
    Setting("weight-decay", Number(Real(0)), 0.0, "training"),
    Setting("schedule", Choice(SCHEDULES), "one_cycle", "training"),
    Setting("epochs", Whole(Integer(1, none=True), "auto"), None, "training"),
    Setting("batch-size", BatchSize(), None, "training"),
    Setting("clip-norm", Number(Real(0, left_open=True, none=True), "none"), None, "training"),
    Setting("patience", Whole(Integer(1, none=True)), None, "training"),
    Setting("validation", Number(Real(0, 1, right_open=True)), 0.1, "data"),
    Setting("test-size", Number(Real(0, 1, left_open=True, right_open=True)), 0.25, "data"),
    Setting("scale", Choice(SCALES), "none", "data"),
    Setting("augment", Names(AUGMENTATIONS, none=True), None, "data"),
    Setting("metrics", Names(tuple(METRICS)), None, "data"),
    Setting("seed", Whole(Integer(0, 2**63 - 1)), 0, "run"),
)

NETWORK = tuple(s for s in SETTINGS if s.group == "network" and s.name != "model")
"""The settings of a fully connected network."""

RATES = {"sgd": 0.1, "adagrad": 0.03, "adadelta": 1.0, "rmsprop": 0.001, "lion": 0.001, "lbfgs": 1.0}
"""The learning rate of each optimizer where none is given; that of Adam and its relatives depends on the network."""

HAVE_MOMENTUM = ("sgd", "rmsprop")


def gather(flags: dict[str, Any], config: str | None) -> dict[str, Any]:
    """Every setting: the flag where one was given, else the file's value, else the default.

    Parameters
        flags : the text of each flag by setting name; None where it was not given
        config : path of a TOML file, or None
    Raises
        ArgumentError, ArgumentTypeError: a value out of range, of another kind, a name that does not exist, or a
            setting that the network does not have.
        MissingFileError, FileFormatError: the file is not there, or not TOML.
    """
    values = chosen(SETTINGS, flags, config)
    require_momentum(values)
    preset = MODELS[values["model"]]
    for setting in NETWORK:
        value, given = values[setting.key], flags.get(setting.key) is not None
        if not in_use(setting, values["model"]) and (given or value != setting.default):
            taken = ", ".join(f"--{name}" for name in preset.takes) or text("cli.nothing")
            raise ArgumentError(
                "cli.model-setting",
                model=values["model"],
                name=setting.name,
                value=setting.kind.show(value),
                options=taken,
            )
    if values["lr"] is None:
        values["lr"] = RATES.get(values["optimizer"], preset.adam_rate)
    return values


def require_momentum(values: dict[str, Any]) -> None:
    """Raise if a momentum was asked for that the optimizer does not have."""
    if values["momentum"] and values["optimizer"] not in HAVE_MOMENTUM:
        raise ArgumentError(
            "cli.no-momentum",
            optimizer=values["optimizer"],
            momentum=f"{values['momentum']:g}",
            options=", ".join(HAVE_MOMENTUM),
        )


def in_use(setting: Setting, model: str) -> bool:
    """Whether a setting says anything about this network; one for a network of another form does not."""
    return setting not in NETWORK or setting.key == "dtype" or setting.key in MODELS[model].takes


def chosen(settings: Sequence[Setting], flags: dict[str, Any], config: str | None) -> dict[str, Any]:
    """Every setting of a table from flags, file and defaults, each checked by itself; raises as `gather`."""
    values = {s.key: s.default for s in settings}
    values.update(read_config(config, settings) if config is not None else {})
    for setting in settings:
        given = flags.get(setting.key)
        if given is not None:
            values[setting.key] = setting.kind.read(f"--{setting.name}", given)
    return values


def read_config(path: str, settings: Sequence[Setting] = SETTINGS) -> dict[str, Any]:
    """The settings of a TOML file, checked. Of a `run.toml` its `[settings]` are read, so that a run can be repeated.

    Raises
        MissingFileError: no such file.
        FileFormatError: not TOML, or a value where a table belongs.
        ArgumentError: a key that is no setting.
    """
    place = Path(path).expanduser()
    try:
        content = place.read_bytes()
    except OSError as problem:
        raise MissingFileError("cli.no-config", path=path, problem=problem.strerror or str(problem)) from None
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise FileFormatError("cli.config-toml", path=path, problem=str(problem)) from None
    if isinstance(table.get("settings"), dict):
        table = table["settings"]
    known = {s.key: s for s in settings}
    values: dict[str, Any] = {}
    for name, value in table.items():
        key = name.replace("-", "_")
        if key not in known:
            raise ArgumentError(
                "cli.config-key",
                path=path,
                name=name,
                options=", ".join(s.name for s in settings),
                suggestion=closest(name, [s.name for s in settings]),
            )
        if isinstance(value, dict) or (not isinstance(value, bool | int | float | str | list)):
            raise ArgumentTypeError("cli.config-value", path=path, name=name, value=shown(value))
        values[key] = known[key].kind.read(f"{place.name}: {name}", value)
    return values


UPDATES, LBFGS_EPOCHS, MOST_EPOCHS = 2500, 20, 1000


def batch_size_for(rows: int, optimizer: str) -> int | str:
    """Rows a batch where none is asked for: 32, and 128 from 10,000 rows on, where more updates gain nothing; all of
    them for LBFGS, whose line search needs one and the same loss."""
    if optimizer == "lbfgs":
        return "full"
    return 32 if rows < 10_000 else 128


def epochs_for(
    rows: int,
    batch_size: int | str,
    optimizer: str,
    least: int = MODELS[DENSE].least_epochs,
    updates: int = UPDATES,
) -> int:
    """Epochs where none are asked for: enough for so many updates, from `least` to 1,000 of them; 20 for LBFGS, each of
    whose steps is many."""
    if optimizer == "lbfgs":
        return LBFGS_EPOCHS
    batches = 1 if isinstance(batch_size, str) else -(-rows // batch_size)
    return min(max(-(-updates // batches), least), MOST_EPOCHS)
