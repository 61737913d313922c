"""Checked settings and a data set's name come in; a trained network in a run folder leaves. This is what `pellucid
train` does."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pellucid import nn, optim
from pellucid._text import text
from pellucid.cli.account import announce, record, results_of
from pellucid.cli.output import findings, measure, note, say
from pellucid.cli.planning import Plan, plan_rows
from pellucid.cli.preparation import Parts
from pellucid.cli.run_folder import new_folder, toml
from pellucid.core.paths import write_whole
from pellucid.errors import ArgumentError, PellucidError, PellucidWarning
from pellucid.train import History, examine, fit, predict
from pellucid.train.callbacks import Callback, EarlyStopping, JSONLogger
from pellucid.train.choose import OPTIMIZERS
from pellucid.train.files import save
from pellucid.train.run import Run


class Recorder(Callback):
    """Makes the run folder once everything has been checked, and writes a line of `metrics.jsonl` an epoch.

    A run that is refused before its first step leaves no folder behind.
    """

    def __init__(self, wanted: str, tables: dict[str, dict[str, Any]]) -> None:
        self.wanted = wanted
        self.tables = tables
        self.folder: Path | None = None
        self._log: JSONLogger | None = None

    def on_train_begin(self, run: Run) -> None:
        """The folder, and what is known before the first step."""
        self.folder = new_folder(self.wanted)
        write_whole(self.folder / "run.toml", toml(self.tables).encode())
        self._log = JSONLogger(self.folder / "metrics.jsonl")
        self._log.on_train_begin(run)

    def on_epoch_end(self, run: Run, record: dict[str, float]) -> None:
        """One more line."""
        if self._log is not None:
            self._log.on_epoch_end(run, record)

    def on_train_end(self, run: Run) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.on_train_end(run)

    def finish(self, results: dict[str, Any]) -> None:
        """The results, beside what was known at the start."""
        if self.folder is not None:
            write_whole(self.folder / "run.toml", toml({**self.tables, "results": results}).encode())


def train(
    word: str,
    settings: dict[str, Any],
    *,
    planned: Callable[[str, dict[str, Any]], Plan] = plan_rows,
    out: str | None = None,
    checks: bool = True,
    quiet: bool = False,
    command: Sequence[str] = (),
) -> int:
    """Train, evaluate, and leave the run folder; returns the exit code.

    Parameters
        word : DATA, as `planned` reads it
        settings : every setting, checked
        planned : makes the data and the network of both
        out : the run folder; None is runs/ and the name of the data
        checks : whether data, targets and network are looked at before the first step
        quiet : print the result alone
        command : the words typed, for the record
    Raises
        PellucidError: what the user gave cannot be trained on, or training failed.
    """
    started = datetime.now(UTC)
    clock = time.perf_counter()
    with findings() as found:
        plan = planned(word, settings)
        parts, model, settings = plan.parts, plan.model, plan.settings
        optimizer = make_optimizer(model, settings)
        if not quiet:
            announce(plan)
        tables = record(word, started, command, plan, checks)
        if checks:
            examined(plan, optimizer, found)
        recorder = Recorder(out or f"runs/{parts.source.name}", tables)
        try:
            history = fit(
                model,
                parts.train,
                loss=parts.task.loss,
                optimizer=optimizer,
                epochs=settings["epochs"],
                batch_size=settings["batch_size"],
                validation=parts.validation,
                metrics=list(parts.task.metrics),
                callbacks=[recorder, *early_stopping(settings, parts)],
                seed=settings["seed"],
                drop_last=leaves_one_row(plan),
                augment=parts.augment or None,
                schedule=schedule_of(plan),
                clip_norm=settings["clip_norm"],
                checks=False,
                verbose=0 if quiet else 1,
            )
        except PellucidError as error:
            failed = getattr(error, "history", None)
            if failed is not None:
                recorder.finish({"stopped_by": failed.stopped_by, "epochs": len(failed)})
            raise
    results, interrupted = results_of(parts, model, history), history.stopped_by == "interrupt"
    results["time_s"] = round(time.perf_counter() - clock, 3)
    folder = recorder.folder
    if folder is None:  # fit returned, so training began and made it
        raise RuntimeError("training began without a run folder")
    save(
        model,
        folder / "model.safetensors",
        example=parts.test.x[:1],
        preprocessing=parts.scaler,
        class_names=parts.train.class_names if parts.task.num_outputs == parts.task.num_classes else None,
        feature_names=parts.train.feature_names,
        metadata=parts.task.describe(parts.train.class_names) | plan.metadata,
    )
    recorder.finish(results)
    _illustrate(folder, {**tables, "results": results}, plan, history, found)
    _conclude(results, parts, folder, interrupted)
    return 130 if interrupted else 0


def examined(plan: Plan, optimizer: Any, found: list[str]) -> None:
    """Print what looks wrong, and refuse what cannot be right.

    Raises
        PellucidError: the first finding that is an error.
    """
    parts = plan.parts
    for finding in examine(
        plan.model,
        parts.train,
        loss=parts.task.loss,
        optimizer=optimizer,
        dependence=plan.dependence,
        seed=plan.settings["seed"],
    ):
        if finding.severity == "note":
            note(PellucidWarning(finding.key, **finding.facts), found)
        else:
            finding.report()


def make_optimizer(model: nn.Module, settings: dict[str, Any]) -> Any:
    """The optimizer with the settings that it has.

    Raises
        ArgumentError: weight decay for an optimizer that has none.
    """
    kind = getattr(optim, OPTIMIZERS[settings["optimizer"]])
    options: dict[str, Any] = {"lr": settings["lr"]}
    if settings["momentum"]:
        options["momentum"] = settings["momentum"]
    if settings["weight_decay"]:
        if "weight_decay" not in inspect.signature(kind).parameters:
            raise ArgumentError(
                "cli.no-weight-decay",
                optimizer=settings["optimizer"],
                weight_decay=f"{settings['weight_decay']:g}",
            )
        options["weight_decay"] = settings["weight_decay"]
    elif settings["optimizer"] == "adamw":
        # Its own default decays; what is recorded as 0 must be 0.
        options["weight_decay"] = 0.0
    return kind(model.parameters(), **options)


def schedule_of(plan: Plan) -> Any:
    """The schedule as `fit` takes it. One-cycle moves the rate alone: a momentum that was asked for stays as it is."""
    settings, rows = plan.settings, len(plan.parts.train)
    if settings["schedule"] != "one_cycle":
        return settings["schedule"]
    size = rows if settings["batch_size"] == "full" else settings["batch_size"]
    batches = rows // size if leaves_one_row(plan) else -(-rows // size)
    steps = max(1, settings["epochs"] * batches)
    return lambda optimizer: optim.OneCycleLR(optimizer, max_lr=settings["lr"], total_steps=steps, cycle_momentum=False)


def early_stopping(settings: dict[str, Any], parts: Parts) -> list[Callback]:
    """The callback for `--patience`, which needs rows to be patient about.

    Raises
        ArgumentError: patience without validation rows.
    """
    if settings["patience"] is None:
        return []
    if parts.validation is None:
        raise ArgumentError("cli.patience", patience=settings["patience"])
    return [EarlyStopping("val_loss", patience=settings["patience"])]


def leaves_one_row(plan: Plan) -> bool:
    """Whether the last batch would have one row, of which batch normalisation can take no variance."""
    size: int | str = plan.settings["batch_size"]
    rows = len(plan.parts.train)
    if isinstance(size, str) or not 1 < size < rows or rows % size != 1:
        return False
    return any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in plan.model.modules())


def _illustrate(
    folder: Path, tables: dict[str, dict[str, Any]], plan: Plan, history: History, found: list[str]
) -> None:
    """The pictures and the report; none before an epoch is complete."""
    if not len(history):
        return
    from pellucid.report import Report, curves, write_report

    parts = plan.parts
    picture, outputs = curves(history, parts.task.metrics[0]), predict(plan.model, parts.test)
    for name, figure in {"curves.png": picture, **plan.figures(plan.model, outputs)}.items():
        write_whole(folder / name, figure)
    report = Report(
        title=parts.source.name,
        tables=tables,
        network=repr(plan.model),
        picture=picture,
        outputs=outputs,
        targets=np.asarray(parts.test.y),
        num_classes=parts.task.num_classes,
        class_names=parts.train.class_names,
        images=parts.images,
        probabilities=parts.task.gives_probabilities,
        findings=found,
    )
    write_report(folder / "report.html", report)


def _conclude(results: dict[str, Any], parts: Parts, folder: Path, interrupted: bool) -> None:
    if interrupted:
        kept = "best" if results["restored_epoch"] is not None else "last"
        say(text("cli.interrupted", epochs=results["epochs"], kept=text(f"cli.kept-{kept}")))
    for name in parts.task.metrics:
        value = results[f"test_{name}"]
        say(text("cli.test-line", metric=name, value=measure(name, value), loss=f"{results['test_loss']:.4g}"))
    say(text("cli.folder-line", folder=str(folder)))
    sys.stdout.flush()
