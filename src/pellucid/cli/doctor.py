"""The word DATA and the settings of a run come in, or the folder of a run that is over; what is wrong with it leaves on
the terminal, with what each remedy was seen to do. This is what `pellucid doctor` does.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pellucid.cli.output import say, table
from pellucid.cli.planning import Plan, plan_rows
from pellucid.cli.settings import gather
from pellucid.cli.training import leaves_one_row, make_optimizer, schedule_of
from pellucid.cli.values import Whole
from pellucid.core.check import Integer
from pellucid.errors import FileFormatError
from pellucid.inspection import doctor
from pellucid.optim import OneCycleLR
from pellucid.report import health_markdown, layer_rows

_RECORD = "run.toml"
_SEEDS = 3


def diagnose(word: str, flags: dict[str, Any], options: dict[str, Any]) -> int:
    """Print what is wrong with a training run; returns the exit code, 1 where it is an error or a warning.

    Parameters
        word : DATA as for train, or a run folder, whose settings and data are taken
        flags : the settings that were typed
        options : config, training, proof, seeds, markdown
    Raises
        PellucidError: what train refuses of data and settings.
    """
    config, folder = options["config"], Path(word).expanduser()
    if (folder / _RECORD).is_file():
        config = config or str(folder / _RECORD)
        word = _data_of(folder / _RECORD)
    seeds = Whole(Integer(1, 100)).read("--seeds", options["seeds"]) if options["seeds"] is not None else _SEEDS
    plan = plan_rows(word, gather(flags, config))
    parts, settings = plan.parts, plan.settings
    size = settings["batch_size"]
    report = doctor(
        plan.model,
        parts.train,
        loss=parts.task.loss,
        optimizer=make_optimizer(plan.model, settings),
        validation=parts.validation,
        epochs=settings["epochs"] if options["training"] else 0,
        batch_size=None if size == "full" else size,
        schedule=_schedule(plan) if options["training"] else None,
        clip_norm=settings["clip_norm"],
        augment=parts.augment or None,
        drop_last=leaves_one_row(plan),
        seed=settings["seed"],
        prove=options["proof"],
        seeds=seeds or _SEEDS,
    )
    if options["markdown"]:
        say(health_markdown(report))
    else:
        say(str(report))
        if report.layers:
            say()
            headings, rows = layer_rows(report.layers)
            table(headings, rows, right=range(2, len(headings)))
    return 1 if any(d.severity != "note" for d in report.diagnoses) else 0


def _schedule(plan: Plan) -> Any:
    """As train has it, but with a one-cycle that peaks at whatever rate the optimizer has: remedies change it."""
    schedule = schedule_of(plan)
    if not callable(schedule):
        return schedule
    total = schedule(make_optimizer(plan.model, plan.settings)).total_steps
    return lambda optimizer: OneCycleLR(
        optimizer, max_lr=float(optimizer.param_groups[0]["lr"]), total_steps=total, cycle_momentum=False
    )


def _data_of(record: Path) -> str:
    """The word by which a run was given its data.

    Raises
        FileFormatError: the record does not say.
    """
    try:
        given = tomllib.loads(record.read_text("utf-8"))["data"]["given_as"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError):
        given = None
    if not isinstance(given, str):
        raise FileFormatError("health.no-record", path=str(record))
    return given
