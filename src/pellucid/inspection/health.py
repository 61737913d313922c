"""A network, data, a loss and perhaps an optimizer come in; a `HealthReport` leaves: what is wrong before training,
and, with `epochs`, in a training run that is watched; each diagnosis that has a remedy is replayed to see what that is
worth. Users and the command line call `doctor`.

Whatever is trained is a copy. Rules stand in `health_layers`, `health_data` and `health_training`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from pellucid.core.check import Flag, Integer, Real, checked
from pellucid.data import Dataset, Loader
from pellucid.errors import ArgumentError, DataError, PellucidError, ShapeError
from pellucid.inspection.health_data import data_diagnoses, from_finding
from pellucid.inspection.health_layers import fit_diagnoses, gradient_diagnoses, layer_diagnoses, start_diagnoses
from pellucid.inspection.health_probe import probe
from pellucid.inspection.health_records import (
    Diagnosis,
    GradientsCompared,
    HealthReport,
    LayerHealth,
    Remedy,
    RowsFitted,
)
from pellucid.inspection.health_start import compare_gradients, fit_two_rows
from pellucid.inspection.health_targets import constant_loss, uninformed_loss
from pellucid.inspection.health_training import Course, HealthMonitor, course_diagnoses, last_look
from pellucid.inspection.health_trial import Replays, Trial, draws_kept
from pellucid.nn import Module
from pellucid.train import Finding, History, examine, make_loss, make_optimizer
from pellucid.train.evaluate import prepared

# A proof without `epochs` trains for about so many updates.
_PROOF_STEPS = 200
_MOST_PROVED = 3

# Causes in front of what follows from them.
_ORDER = (
    "wrong-gradient",
    "non-finite-parameter",
    "constant-inputs",
    "independent-labels",
    "one-target",
    "sorted-labels",
    "sorted-targets",
    "large-inputs",
    "unequal-scales",
    "large-targets",
    "unreached",
    "exploding-activations",
    "vanishing-activations",
    "dead-units",
    "saturated-units",
    "vanishing-gradients",
    "exploding-gradients",
    "start-loss",
    "cannot-fit-two-rows",
    "learning-rate-too-high",
    "learning-rate-too-low",
    "class-imbalance",
    "rows-in-both-parts",
    "overfitting",
    "constant-features",
    "plateau",
)
_SCALES = ("large-inputs", "unequal-scales")
_SIGNALS = ("exploding-activations", "vanishing-activations")
_UNITS = ("dead-units", "saturated-units", "vanishing-gradients", "exploding-gradients")
# What explains what.
_FOLLOWS = {
    "exploding-activations": _SCALES,
    "dead-units": (*_SCALES, *_SIGNALS),
    "saturated-units": (*_SCALES, *_SIGNALS),
    "vanishing-gradients": (*_SCALES, *_SIGNALS, "dead-units", "saturated-units"),
    "exploding-gradients": (*_SCALES, *_SIGNALS, "dead-units", "saturated-units"),
    "start-loss": (*_SCALES, *_SIGNALS, *_UNITS),
    "cannot-fit-two-rows": (*_SCALES, *_SIGNALS, *_UNITS, "wrong-gradient", "large-targets", "start-loss", "unreached"),
    "overfitting": ("independent-labels",),
    "plateau": ("independent-labels", "class-imbalance", "sorted-labels", "sorted-targets", "one-target"),
}
_STOPS_LEARNING = (*_SCALES, *_SIGNALS, *_UNITS, "wrong-gradient", "large-targets", "start-loss", "cannot-fit-two-rows")
for _name in ("learning-rate-too-high", "learning-rate-too-low", "plateau"):
    _FOLLOWS[_name] = (*_FOLLOWS.get(_name, ()), *_STOPS_LEARNING)


@checked(
    epochs=Integer(0),
    shuffle=Flag(),
    drop_last=Flag(),
    clip_norm=Real(0, left_open=True, none=True),
    seed=Integer(0),
    prove=Flag(),
    seeds=Integer(1, 100),
)
def doctor(
    model: Module,
    data: Any,
    *,
    loss: Any,
    optimizer: Any = None,
    validation: Any = None,
    epochs: int = 0,
    batch_size: int | None = 32,
    shuffle: bool = True,
    schedule: Any = None,
    augment: Any = None,
    drop_last: bool = False,
    clip_norm: float | None = None,
    class_weight: Any = None,
    history: History | None = None,
    seed: int = 0,
    prove: bool = True,
    seeds: int = 3,
) -> HealthReport:
    """What is wrong with a training run, before it, in it and after it, and which remedy was seen to help.

    Before the first step it looks at the data, the loss, the gradients, and the scales of activations and gradients of
    each layer, and lets a copy of the network learn two rows by heart. With `epochs` and an optimizer it also trains a
    copy and watches it. Each diagnosis that has a remedy is then proved, or not: the run is replayed from its first
    weights with the remedy and without it, once for each seed.

    The network, the optimizer and all random state are left as they are. Where nothing is wrong, nothing is reported.

    Parameters
        model : the network, before or after training
        data : Dataset, (x, y) or Loader: the training part
        loss, optimizer, schedule, augment : as `fit` takes them; a schedule that is a function of the optimizer should
            take its highest rate from it, or a remedy that changes rates shows nothing
        validation : Dataset or (x, y) that is held out, or None
        epochs : of the run that is watched, and of the replays; 0 looks before training only, and replays are then of
            about 200 updates
        batch_size, shuffle, drop_last, clip_norm, class_weight, seed : as `fit` takes them; a Loader's own where data
            is one
        history : of a run that is over and left `model` as it is: it is read instead of training
        prove : whether remedies are tried; that needs an optimizer
        seeds : replays with and without each remedy
    Returns
        HealthReport: `report.diagnoses`, causes first; `report.verdict`
    Raises
        ArgumentTypeError, ArgumentError: what `fit` refuses of its arguments. Faults of data and network are diagnoses.
    Examples
        >>> from pellucid import data, nn, optim
        >>> _ = pl.manual_seed(0)
        >>> net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
        >>> doctor(net, data.two_moons(200), loss="cross_entropy").verdict
        'healthy'
        >>> moons = data.two_moons(200)
        >>> sgd = optim.SGD(net.parameters(), lr=0.1)
        >>> sick = doctor(net, (moons.x * [1.0, 5000.0], moons.y), loss="cross_entropy", optimizer=sgd, seeds=2)
        >>> sick.diagnoses[0].name, sick.verdict, sick.diagnoses[0].remedy.name
        ('large-inputs', 'proved', 'scale-inputs')
    """
    criterion = make_loss(loss)
    if epochs and optimizer is None:
        raise ArgumentError("health.no-optimizer", epochs=epochs)
    if epochs and history is not None:
        raise ArgumentError("health.history-and-epochs", epochs=epochs)
    if isinstance(data, Loader):
        batch_size, shuffle, seed, augment = data.batch_size, data.shuffle, data.seed, data.augment
        drop_last = data.drop_last
    with draws_kept():
        try:
            rows = prepared(model, data)
            held_out = None if validation is None else prepared(model, validation)
        except (DataError, ShapeError) as error:
            return HealthReport(type(model).__name__, 0, (_of_error(error),))
        made = None if optimizer is None else make_optimizer(optimizer, model.parameters())
        trial = Trial(
            model=model,
            loss=criterion,
            optimizer=made,
            train=rows,
            validation=held_out,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            schedule=schedule,
            augment=augment,
            drop_last=drop_last,
            clip_norm=clip_norm,
            class_weight=class_weight,
        )
        looked = _before(trial)
        found = list(looked.diagnoses)
        watched = _Watched()
        refused = any(d.severity == "error" for d in found)
        if history is not None:
            watched = _after(trial, history, looked)
        elif epochs and made is not None and not refused:
            watched = _during(trial, looked)
        found = _ordered([*found, *watched.diagnoses])
        if prove and made is not None:
            found = _proved(found, trial, seeds)
    return HealthReport(
        model=type(model).__name__,
        rows=len(rows),
        diagnoses=tuple(found),
        start_loss=looked.start,
        expected_loss=looked.uninformed,
        constant_loss=constant_loss(criterion, rows.y),
        layers=looked.layers,
        fitted=looked.fitted,
        gradients=looked.gradients,
        history=watched.history,
        course=watched.looks,
    )


@dataclass
class _Looked:
    """What there is to see before the first step."""

    diagnoses: list[Diagnosis]
    start: float | None = None
    uninformed: float | None = None
    layers: tuple[LayerHealth, ...] = ()
    fitted: RowsFitted | None = None
    gradients: GradientsCompared | None = None


@dataclass
class _Watched:
    """What a training run showed."""

    diagnoses: Sequence[Diagnosis] = ()
    history: History | None = None
    looks: tuple[Any, ...] = ()


def _of_error(error: PellucidError) -> Diagnosis:
    """A fault that came as an error."""
    error.frame = None
    return from_finding(Finding("error", error.key, error.facts, type(error), error))


def _before(trial: Trial) -> _Looked:
    model, loss, rows = trial.model, trial.loss, trial.train
    findings = examine(
        model,
        rows,
        loss=loss,
        optimizer=trial.optimizer,
        shuffled=trial.shuffle or trial.batch_size is None,
        seed=trial.seed,
    )
    # That labels are sorted, or depend on the inputs but faintly, is worth a word before training, and no fault.
    found = [from_finding(f) for f in findings if f.severity != "note"]
    if rows.y is None:
        return _Looked(found)
    found += data_diagnoses(rows, trial.validation, loss, trial.class_weight)
    looked = _Looked(found)
    if any(d.severity == "error" for d in found):
        return looked
    try:
        looked.layers, looked.start = probe(model, rows, loss, trial.optimizer, whole=True)
    except PellucidError as error:
        found.append(_of_error(error))
        return looked
    if not math.isfinite(looked.start):
        found.append(_not_finite_at_start(trial))
        return looked
    found += layer_diagnoses(looked.layers, model, "before")
    few = rows[: min(len(rows), 256)]
    with suppress(PellucidError):
        shape = (len(few), *_output_shape(model, few))
        looked.uninformed = uninformed_loss(loss, few.y, shape)
        found += start_diagnoses(loss, looked.start, looked.uninformed, looked.layers)
    with suppress(PellucidError):
        looked.fitted = fit_two_rows(model, rows, loss)
        found += fit_diagnoses(looked.fitted)
    with suppress(PellucidError):
        looked.gradients = compare_gradients(model, rows, loss, seed=trial.seed)
        found += gradient_diagnoses(looked.gradients)
    return looked


def _output_shape(model: Module, rows: Dataset) -> tuple[int, ...]:
    from pellucid.train import predict

    return tuple(predict(model, rows.x[:1]).shape[1:])


def _not_finite_at_start(trial: Trial) -> Diagnosis:
    """The first operation that gives no finite number, found by a single step of a copy."""
    one = replace(trial.copied(), epochs=1)
    if one.optimizer is None:
        one.optimizer = make_optimizer("sgd", one.model.parameters(), lr=0.0)
    course = _watch(one, None).course
    found = [d for d in course_diagnoses(course, one.model) if d.name != "learning-rate-too-high"]
    diagnosis = found[0] if found else Diagnosis("not-finite", "error", "before", "health.not-finite-start")
    return replace(diagnosis, phase="before", because="", remedies=())


@dataclass
class _Run:
    course: Course
    looks: tuple[Any, ...]


def _watch(one: Trial, start: float | None) -> _Run:
    """Train a copy under a monitor; an error that ends the run is part of what is seen."""
    monitor, error = HealthMonitor(), None
    try:
        history = one.run([monitor])
    except PellucidError as problem:
        error, history = problem, getattr(problem, "history", History())
    if monitor.start is None:
        monitor.start = start
    last = () if error is not None else last_look(one.model, one.train, one.loss)
    return _Run(monitor.course(history, one.loss, one.train, last, error), tuple(monitor.looks))


def _during(trial: Trial, looked: _Looked) -> _Watched:
    one = trial.copied()
    run = _watch(one, looked.start)
    return _Watched(_explained(run.course, one.model, looked), run.course.history, run.looks)


def _after(trial: Trial, history: History, looked: _Looked) -> _Watched:
    """A run that is over, of which there is the history alone."""
    last = last_look(trial.model, trial.train, trial.loss)
    course = Course(history, None, constant_loss(trial.loss, trial.train.y), (), last)
    # What the network is like now is what `_before` saw: only what the history adds is new.
    known = {d.name for d in looked.diagnoses}
    found = [replace(d, phase="after") for d in course_diagnoses(course, trial.model) if d.name not in known]
    return _Watched(found, history)


def _explained(course: Course, model: Module, looked: _Looked) -> list[Diagnosis]:
    """What the run showed, without what was there before it."""
    known = {d.name for d in looked.diagnoses}
    return [d for d in course_diagnoses(course, model) if d.name not in known]


def _ordered(found: list[Diagnosis]) -> list[Diagnosis]:
    """Errors first, then causes in front of what they explain."""
    place = {name: n for n, name in enumerate(_ORDER)}
    ranked = sorted(
        found,
        key=lambda d: (bool(d.because), d.severity != "error", d.severity == "note", place.get(d.name, -1)),
    )
    ordered: list[Diagnosis] = []
    for d in ranked:
        causes = [e.name for e in ranked if e.name in _FOLLOWS.get(d.name, ()) and not e.because and e is not d]
        ordered.append(replace(d, because=causes[0]) if causes and not d.because else d)
    return sorted(ordered, key=lambda d: bool(d.because))


def _proved(found: list[Diagnosis], trial: Trial, seeds: int) -> list[Diagnosis]:
    """The first diagnoses that have remedies, with what these do."""
    result, left = [], _MOST_PROVED
    short = trial
    if not trial.epochs:
        size = trial.batch_size or len(trial.train)
        most = _PROOF_STEPS * int(size)
        if len(trial.train) > most:
            short = replace(trial, train=trial.train[:: -(-len(trial.train) // most)])
        short = replace(short, epochs=max(1, -(-_PROOF_STEPS // max(1, -(-len(short.train) // int(size))))))
    replays = Replays(short, seeds)
    for d in found:
        # From the last weights of a run that is over, nothing of it can be replayed.
        if not d.remedies or d.because or d.phase == "after" or left == 0:
            result.append(d)
            continue
        left -= 1
        result.append(replace(d, effects=replays.effects(d.remedies, _measure(d, short))))
    return [_concluded(d) for d in result]


def _measure(d: Diagnosis, trial: Trial) -> str:
    if d.name == "class-imbalance":
        return "balanced_loss"
    if d.name == "large-targets":
        return "share"
    return "loss" if trial.validation is None else "val_loss"


def _concluded(d: Diagnosis) -> Diagnosis:
    """A loss that does not move is named after the remedy that moved it; where none did, its cause is not known."""
    if d.name != "plateau" or not d.effects:
        return d
    if not d.proved:
        return replace(d, name="cause-unknown", key="health.cause-unknown")
    remedy: Remedy | None = d.remedy
    names = {"raise-rate": "learning-rate-too-low", "lower-rate": "learning-rate-too-high"}
    name = names.get(remedy.name if remedy is not None else "", "")
    return replace(d, name=name, key=f"health.{name}") if name else d
