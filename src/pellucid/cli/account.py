"""What is about to be trained comes in; the lines that announce it, and the tables of `run.toml`, leave. Called by
the train command."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from pellucid import nn
from pellucid._text import text
from pellucid.cli.output import fact
from pellucid.cli.planning import Plan
from pellucid.cli.preparation import Parts
from pellucid.cli.sources import checksum
from pellucid.train import History, evaluate

# Settings that are announced where they are not what they usually are.
_EXTRAS = ("momentum", "weight-decay", "clip-norm", "patience", "dropout", "norm", "init", "scale", "augment")


def announce(plan: Plan) -> None:
    """What is about to be trained, on what, and how."""
    settings = plan.settings
    fact(text("cli.label-data"), plan.data_line)
    fact(text("cli.label-network"), plan.network_line)
    batch = settings["batch_size"]
    fact(
        text("cli.label-training"),
        text(
            "cli.training-line",
            loss=plan.parts.task.loss,
            optimizer=settings["optimizer"],
            lr=f"{settings['lr']:g}",
            schedule=settings["schedule"],
            epochs=settings["epochs"],
            batch=text("cli.full-batch") if batch == "full" else batch,
            seed=settings["seed"],
        ),
    )
    extras = [
        f"{s.name} {s.kind.show(settings[s.key])}"
        for s in plan.table
        if s.name in _EXTRAS and settings[s.key] not in (s.default, [])
    ]
    if extras:
        fact("", ", ".join(extras))


def record(word: str, started: datetime, command: Sequence[str], plan: Plan, checks: bool) -> dict[str, dict[str, Any]]:
    """What `run.toml` says before the results: enough to repeat the run and to tell whether the data are the same."""
    parts, model = plan.parts, plan.model
    source, first = parts.source, parts.source.train
    return {
        "run": {
            "started": started.isoformat(timespec="seconds"),
            "command": shlex.join(["pellucid", *command]) if command else None,
            "pellucid": sys.modules["pellucid"].__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "platform": f"{platform.system()} {platform.machine()}",
            "checks": checks,
        },
        "data": {
            "name": source.name,
            "given_as": word,
            "description": first.description or None,
            "x_shape": list(first.x.shape),
            "x_dtype": first.x.dtype.name,
            "num_classes": parts.task.num_classes,
            "class_names": list(first.class_names) if first.class_names else None,
            "train_rows": len(parts.train),
            "validation_rows": 0 if parts.validation is None else len(parts.validation),
            "test_rows": len(parts.test),
            "sha256": checksum(source),
            **plan.data,
        },
        "settings": {s.key: _plain(s.kind.show(plan.settings[s.key]), plan.settings[s.key]) for s in plan.table},
        "network": {
            **plan.network,
            "parameters": model.num_parameters(),
            "weights_bytes": sum(p.nbytes for p in model.parameters()),
        },
    }


def _plain(shown: str, value: Any) -> Any:
    return shown if value is None else value


def results_of(parts: Parts, model: nn.Module, history: History) -> dict[str, Any]:
    """The measures of the test part, the last epoch's (or the restored one's) of the others, and how the run ended."""
    measured = evaluate(model, parts.test, loss=parts.task.loss, metrics=list(parts.task.metrics))
    results: dict[str, Any] = {f"test_{name}": float(value) for name, value in measured.items()}
    if len(history):
        last = history.record(history.restored_epoch if history.restored_epoch is not None else -1)
        results |= {name: float(value) for name, value in last.items() if name not in ("lr", "time_s", "epoch")}
    return results | {
        "epochs": len(history),
        "steps": history.steps,
        "stopped_by": history.stopped_by,
        "best_epoch": None if history.best_epoch is None else history.best_epoch + 1,
        "restored_epoch": None if history.restored_epoch is None else history.restored_epoch + 1,
    }
