"""The word DATA and the settings of a run come in, or the folder of a run that is over; what is wrong with it leaves on
the terminal, with what each remedy was seen to do. This is what `pellucid doctor` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pellucid.cli import language
from pellucid.cli.audio_planning import plan_sounds
from pellucid.cli.audio_settings import AUDIO_SETTINGS, gather_audio
from pellucid.cli.output import say, table
from pellucid.cli.planning import Plan, plan_rows
from pellucid.cli.run_folder import RECORD, data_of
from pellucid.cli.settings import Setting, gather
from pellucid.cli.text_settings import TEXT_SETTINGS, gather_text
from pellucid.cli.text_training import BETAS, decayed, read
from pellucid.cli.training import leaves_one_row, make_optimizer, schedule_of
from pellucid.cli.values import whole
from pellucid.core.check import Integer, closest
from pellucid.core.rng import manual_seed
from pellucid.data import Dataset, text_windows
from pellucid.errors import ArgumentTypeError
from pellucid.inspection import doctor
from pellucid.models import NextTokenLoss
from pellucid.nn import Module
from pellucid.optim import AdamW, OneCycleLR
from pellucid.report import health_markdown, layer_rows

Kind = Literal["rows", "sounds", "text"]
_SEEDS = 3
_TEXT_STEPS, _TEXT_EPOCHS = 300, 5


def diagnose(word: str, flags: dict[str, Any], options: dict[str, Any]) -> int:
    """Print what is wrong with a training run; returns the exit code, 1 where it is an error or a warning.

    Parameters
        word : DATA as for train, or a run folder, whose settings and data are taken
        flags : the settings that were typed
        options : config, training, proof, seeds, markdown
    Raises
        PellucidError: what train refuses of data and settings.
    """
    seeds = whole("seeds", options, Integer(1, 100), _SEEDS)
    patient = patient_of(word, flags, options["config"])
    if not options["training"]:
        patient.options |= {"epochs": 0, "schedule": None}
    report = doctor(patient.model, patient.train, prove=options["proof"], seeds=seeds, **patient.options)
    if options["markdown"]:
        say(health_markdown(report))
    else:
        say(str(report))
        if report.layers:
            say()
            headings, rows = layer_rows(report.layers)
            table(headings, rows, right=range(2, len(headings)))
    return 1 if any(d.severity != "note" for d in report.diagnoses) else 0


@dataclass
class Patient:
    """A new network as it would be trained: its rows, and the options of `doctor`."""

    model: Module
    train: Dataset
    options: dict[str, Any]


def patient_of(word: str, flags: dict[str, Any], config: str | None) -> Patient:
    """What would be trained.

    Parameters
        word : DATA as for train, or a run folder, whose settings and data are taken
        flags : the settings that were typed
        config : path of a TOML file, or None
    Raises
        PellucidError: what training refuses of data and settings.
    """
    record = Path(word).expanduser() / RECORD
    kind: Kind = "rows"
    if record.is_file():
        config = config or str(record)
        word, kind = _data_of(record)
    return _text(word, flags, config) if kind == "text" else _rows(word, flags, config, kind)


def _rows(word: str, flags: dict[str, Any], config: str | None, kind: Kind) -> Patient:
    """As `train` and `train audio` would train it."""
    if kind == "sounds":
        plan = plan_sounds(word, gather_audio(_of_table(flags, AUDIO_SETTINGS), config))
    else:
        plan = plan_rows(word, gather(flags, config))
    parts, settings = plan.parts, plan.settings
    size = settings["batch_size"]
    options = {
        "loss": parts.task.loss,
        "optimizer": make_optimizer(plan.model, settings),
        "validation": parts.validation,
        "epochs": settings["epochs"],
        "batch_size": None if size == "full" else size,
        "schedule": _schedule(plan),
        "clip_norm": settings["clip_norm"],
        "augment": parts.augment or None,
        "drop_last": leaves_one_row(plan),
        "seed": settings["seed"],
    }
    return Patient(plan.model, parts.train, options)


def _text(word: str, flags: dict[str, Any], config: str | None) -> Patient:
    """As `train text` would begin to train it: some hundred steps, over blocks spread evenly over the text."""
    settings = gather_text(_of_table(flags, TEXT_SETTINGS), config)
    reading = read(word, settings)
    manual_seed(settings["seed"])
    model = language.build(settings["model"], language.options_of(settings, reading.tokenizer.vocab_size))
    steps, batch = min(settings["steps"], _TEXT_STEPS), settings["batch"]
    train = text_windows(reading.training, settings["block"], max(batch, steps * batch // _TEXT_EPOCHS))
    options = {
        "loss": NextTokenLoss(),
        "optimizer": AdamW(decayed(model, settings["weight_decay"]), lr=settings["lr"], betas=BETAS),
        "validation": reading.validation[: max(1, len(train) // 4)],
        "epochs": _TEXT_EPOCHS,
        "batch_size": batch,
        "clip_norm": settings["clip_norm"],
        "seed": settings["seed"],
    }
    return Patient(model, train, options)


def _of_table(flags: dict[str, Any], table: Sequence[Setting]) -> dict[str, Any]:
    """The flags that were typed, all of which must be settings of this kind of run.

    Raises
        ArgumentTypeError: one is of another kind of run.
    """
    known = {setting.key: setting.name for setting in table}
    typed = {key: value for key, value in flags.items() if value is not None}
    for key in typed:
        if key not in known:
            option = f"--{key.replace('_', '-')}"
            names = [f"--{name}" for name in known.values()]
            suggestion = closest(option, names)
            raise ArgumentTypeError("cli.no-option", command="pellucid doctor", option=option, suggestion=suggestion)
    return typed


def _schedule(plan: Plan) -> Any:
    """As train has it, but with a one-cycle that peaks at whatever rate the optimizer has: remedies change it."""
    schedule = schedule_of(plan)
    if not callable(schedule):
        return schedule
    total = schedule(make_optimizer(plan.model, plan.settings)).total_steps
    return lambda optimizer: OneCycleLR(
        optimizer, max_lr=float(optimizer.param_groups[0]["lr"]), total_steps=total, cycle_momentum=False
    )


def _data_of(record: Path) -> tuple[str, Kind]:
    """The word by which a run was given its data, and which training command it was.

    Raises
        FileFormatError: the record does not say.
    """
    given, kept = data_of(record)
    return given, "text" if "training_tokens" in kept else "sounds" if "sample_rate" in kept else "rows"
