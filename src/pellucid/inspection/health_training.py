"""A training run comes in, watched by a callback or read from its history; diagnoses leave: rates that are too high or
too low, losses that do not move, overfitting, values that are not finite, and layers that die on the way.

The callback looks after epochs 1, 2, 3, 5, 9, 17, ... and at the end, at 256 rows, so that it costs next to nothing,
and changes no bit of the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from pellucid.core.check import Integer, checked
from pellucid.data import Dataset
from pellucid.errors import NonFiniteError, PellucidError
from pellucid.inspection.health_layers import layer_diagnoses
from pellucid.inspection.health_probe import PROBE_ROWS, probe
from pellucid.inspection.health_records import Diagnosis, EpochHealth, LayerHealth, Remedy, median_ratio
from pellucid.inspection.health_targets import constant_loss
from pellucid.train import Callback, History, Run

# An update that moves weights by more than a share of 1/20 is no small step; ordinary ones are near 1/1000.
_FAST, _FASTER, _SLOW, _SLOW_AND_STUCK = 0.05, 0.3, 1e-5, 1e-4
_STUCK, _NOT_LEARNED = 0.05, 0.9
_RISEN, _VALIDATION_RISEN, _APART = 1.5, 1.3, 2.0
_RISEN_A_LITTLE, _FAR_APART = 1.1, 10.0
_EPOCHS_SINCE = 3
_DEAD_WHILE_STUCK, _DEAD_ANYHOW, _FEW_DEAD = 0.5, 0.9, 0.2
# The first update of a run may be long, as Adam's is; one of the weights' own length never is right.
_FAST_AT_FIRST = 1.0
_ORDINARY = 3e-3


@dataclass(frozen=True)
class Course:
    """What the rules of training read.

    Attributes
        start : the loss before the first step, or None
        constant : the loss of the best constant output, or None
        looks : the callback's
        last : each layer at the end, over the whole data
        error : that ended the run, or None
        first : each layer before the first step
    """

    history: History
    start: float | None
    constant: float | None
    looks: tuple[EpochHealth, ...]
    last: tuple[LayerHealth, ...] = ()
    error: PellucidError | None = None
    first: tuple[LayerHealth, ...] = ()

    @property
    def reference(self) -> float | None:
        """What has to be beaten: the loss of knowing nothing."""
        known = [v for v in (self.constant, self.start) if v is not None and math.isfinite(v)]
        return min(known) if known else None

    @property
    def ratio(self) -> float | None:
        """The largest median update ratio of all looks."""
        found = [r for r in (x.update_ratio for x in self.looks) if r is not None and math.isfinite(r)]
        return max(found) if found else None

    @property
    def stuck(self) -> bool:
        """Whether it learned nothing to speak of."""
        losses: list[float] = self.history["loss"] if len(self.history) else []
        reference = self.reference
        if not losses or reference is None:
            return False
        start = self.start if self.start is not None else losses[0]
        fallen = (start - min(losses)) / max(abs(start), 1e-12)
        return fallen < _STUCK and losses[-1] > _NOT_LEARNED * reference

    @property
    def learned(self) -> bool:
        """Whether the last loss is clearly below that of a constant output."""
        reference = self.reference
        return bool(len(self.history)) and reference is not None and bool(self.history["loss"][-1] < 0.5 * reference)


class HealthMonitor(Callback):
    """Watches a run of `fit`: `fit(..., callbacks=[monitor])`, then `monitor.diagnoses`.

    It looks after epochs 1, 2, 3, 5, 9, ... and the last at some rows, forward, backward and one update that is taken
    back. Weights, optimizer, buffers and random numbers are those of a run without it, to the last bit.

    Parameters
        rows : looked at each time
    Attributes
        looks : list of EpochHealth
        diagnoses : what is wrong, once training has ended
    Examples
        >>> from pellucid import data, nn, optim
        >>> _ = pl.manual_seed(0)
        >>> net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
        >>> monitor = HealthMonitor()
        >>> _ = pl.fit(net, data.two_moons(200), loss="cross_entropy", optimizer=optim.SGD(net.parameters(), lr=1e-7),
        ...            epochs=3, callbacks=[monitor], verbose=0)
        >>> [d.name for d in monitor.diagnoses]
        ['learning-rate-too-low']
    """

    @checked(rows=Integer(2))
    def __init__(self, rows: int = PROBE_ROWS) -> None:
        self.rows = rows
        self.looks: list[EpochHealth] = []
        self.diagnoses: tuple[Diagnosis, ...] = ()
        self.first: tuple[LayerHealth, ...] = ()
        self.start: float | None = None

    def on_train_begin(self, run: Run) -> None:
        """Measure the loss before the first step."""
        self.looks, self.diagnoses, self.first, self.start = [], (), (), None
        with suppress(PellucidError):
            self.first, self.start = probe(run.model, run.loader.data, run.loss, run.optimizer, rows=self.rows)

    def on_epoch_end(self, run: Run, record: dict[str, float]) -> None:
        """Look, where it is time to."""
        epoch = run.epoch
        due = epoch < 2 or (epoch & (epoch - 1)) == 0 or epoch + 1 == run.epochs or run.stopping is not None
        if due:
            with suppress(PellucidError):
                layers, _ = probe(run.model, run.loader.data, run.loss, run.optimizer, rows=self.rows)
                self.looks.append(EpochHealth(epoch, record["loss"], layers))

    def on_train_end(self, run: Run) -> None:
        """Look over the whole data, and say what is wrong."""
        last = last_look(run.model, run.loader.data, run.loss)
        self.diagnoses = tuple(course_diagnoses(self.course(run.history, run.loss, run.loader.data, last), run.model))

    def course(
        self,
        history: History,
        loss: Any,
        data: Dataset,
        last: tuple[LayerHealth, ...],
        error: PellucidError | None = None,
    ) -> Course:
        """What the rules read."""
        return Course(history, self.start, constant_loss(loss, data.y), tuple(self.looks), last, error, self.first)


def last_look(model: Any, data: Dataset, loss: Any) -> tuple[LayerHealth, ...]:
    """Each layer over the whole data; nothing where the network gives no finite numbers any more."""
    try:
        return probe(model, data, loss, whole=True)[0]
    except PellucidError:
        return ()


def course_diagnoses(course: Course, model: Any) -> Iterator[Diagnosis]:
    """What is wrong with a run that is over."""
    stuck, failed = course.stuck, course.error is not None or course.history.stopped_by == "non_finite"
    if failed:
        yield from _not_finite(course)
    elif not len(course.history):
        return
    else:
        found = list(_rates(course, stuck))
        layers = [
            replace(d, phase="during")
            for d in layer_diagnoses(
                course.last, model, "during", share=_DEAD_WHILE_STUCK if not course.learned else _DEAD_ANYHOW
            )
            if not course.learned or d.name == "dead-units"
        ]
        yield from found
        # A rate that broke the layers comes first; layers that nobody broke explain a loss that does not move.
        broken = found[0].name if found else ""
        yield from (replace(d, because=broken) for d in layers)
        if stuck and not found and not layers:
            yield _unmoved(course)
        yield from _overfitting(course)


def _facts(course: Course) -> dict[str, Any]:
    losses = course.history["loss"] if len(course.history) else []
    return {
        "start": "-" if course.start is None else f"{course.start:.4g}",
        "end": f"{losses[-1]:.4g}" if losses else "-",
        "epochs": len(losses),
        "ratio": "-" if not (known := _known_ratios(course)) else f"{max(known):.2g}",
    }


def _known_ratios(course: Course) -> list[float]:
    """How far updates moved the weights: at the start, and at the looks."""
    return [r for r in (course.ratio, median_ratio(course.first)) if r is not None]


def _evidence(course: Course) -> dict[str, float]:
    losses = course.history["loss"] if len(course.history) else [math.nan]
    found = {"start": course.start, "end": losses[-1], "ratio": course.ratio, "constant": course.constant}
    return {k: float(v) for k, v in found.items() if v is not None}


def _rate(name: str, course: Course, remedies: Sequence[Remedy]) -> Diagnosis:
    return Diagnosis(
        name, "warning", "during", f"health.{name}", _facts(course), _evidence(course), remedies=tuple(remedies)
    )


def _rates(course: Course, stuck: bool) -> Iterator[Diagnosis]:
    """Learning rates that show in how far the weights move and in what becomes of the loss."""
    losses, reference, ratio = course.history["loss"], course.reference, course.ratio
    start = course.start if course.start is not None else losses[0]
    worse = reference is not None and losses[-1] > _RISEN * max(reference, min(start, reference * 2))
    first = median_ratio(course.first)
    giant = first is not None and first > _FAST_AT_FIRST
    fast, faster = (giant or (ratio is not None and ratio > limit) for limit in (_FAST, _FASTER))
    # A network that has learned what there is to learn may go to and fro a little, and end above half of the loss.
    leapt = reference is not None and max(losses) > _RISEN * max(start, reference)
    too_fast = (fast and stuck) or (faster and _uneven(losses)) or leapt or _killed(course)
    slow = ratio is not None and (ratio < _SLOW or (stuck and ratio < _SLOW_AND_STUCK))
    if worse or (too_fast and not course.learned):
        yield _rate("learning-rate-too-high", course, _lower(course))
    elif slow and not course.learned and not fast:
        yield _rate("learning-rate-too-low", course, _higher(course))


def _killed(course: Course) -> bool:
    """Whether most units of a layer died that lived before the first step: one update too long is enough for that."""
    lived = {x.name for x in course.first if x.dead is not None and x.dead < _FEW_DEAD}
    return any(x.name in lived and x.dead is not None and x.dead > _DEAD_WHILE_STUCK for x in course.last)


def _uneven(losses: Sequence[float]) -> bool:
    """Whether the second half of a run rose as often as it fell, and ended no lower than it began."""
    half = losses[len(losses) // 2 :]
    return len(half) >= 2 and half[-1] > 0.97 * half[0]


def _lower(course: Course) -> tuple[Remedy, ...]:
    """Lower rates to try: that with which updates would be of ordinary length, and those about it."""
    ratio = max(_known_ratios(course) or [1.0])
    factor = min(0.1, 10.0 ** round(math.log10(_ORDINARY / max(ratio, 1e-12))))
    factors = sorted({factor, factor / 10, min(0.1, factor * 10)}, key=lambda f: (abs(math.log10(f / factor)), f))
    return tuple(Remedy("lower-rate", float(f"{f:.1g}")) for f in factors)


def _higher(course: Course) -> tuple[Remedy, ...]:
    """The same for higher rates."""
    factor = max(10.0, 10.0 ** round(math.log10(_ORDINARY / max(course.ratio or 1.0, 1e-12))))
    factors = sorted({factor, max(10.0, factor / 10), factor * 10}, key=lambda f: (abs(math.log10(f / factor)), f))
    return tuple(Remedy("raise-rate", float(f"{f:.1g}")) for f in factors)


def _unmoved(course: Course) -> Diagnosis:
    return Diagnosis(
        "plateau",
        "warning",
        "during",
        "health.plateau",
        {**_facts(course), "reference": f"{course.reference:.4g}"},
        _evidence(course),
        remedies=(*_higher(course)[:2], *_lower(course)[:2], Remedy("draw-weights")),
    )


def _overfitting(course: Course) -> Iterator[Diagnosis]:
    """A held-out loss that rises while that of the training rows falls: by a third, or by a tenth where it is ten times
    the other and little better than knowing nothing. Where it is a small share of knowing nothing, it may rise."""
    history = course.history
    if "val_loss" not in history or len(history) < _EPOCHS_SINCE + 2:
        return
    held_out, own = history["val_loss"], history["loss"]
    best = min(range(len(held_out)), key=lambda n: held_out[n])
    last = held_out[-1]
    rise, apart = last / max(held_out[best], 1e-12), last / max(own[-1], 1e-12)
    constant = course.constant or last
    much = rise > _VALIDATION_RISEN and apart > _APART and last > 0.1 * constant
    useless = rise > _RISEN_A_LITTLE and apart > _FAR_APART and last > 0.5 * constant
    if len(held_out) - 1 - best < _EPOCHS_SINCE or not (much or useless):
        return
    facts = {
        "best": f"{held_out[best]:.4g}",
        "epoch": best + 1,
        "last": f"{last:.4g}",
        "own": f"{own[-1]:.4g}",
        "epochs": len(held_out),
    }
    evidence = {"best": held_out[best], "epoch": float(best + 1), "last": last, "own": own[-1]}
    yield Diagnosis(
        "overfitting", "warning", "during", "health.overfitting", facts, evidence, remedies=(Remedy("stop-early"),)
    )


def _not_finite(course: Course) -> Iterator[Diagnosis]:
    """A run that ended with NaN or infinity: by its rate where weights moved far before, else by the operation."""
    ratio, error = course.ratio, course.error
    losses = course.history["loss"] if len(course.history) else []
    grew = len(losses) > 1 and losses[-1] > 2 * min(losses)
    fast = any(r is not None and r > _FAST for r in (ratio, median_ratio(course.first)))
    if fast or grew:
        yield replace(_rate("learning-rate-too-high", course, _lower(course)), severity="error")
    because = "learning-rate-too-high" if fast or grew else ""
    if error is None:
        yield Diagnosis("not-finite", "error", "during", "health.not-finite", _facts(course), because=because)
        return
    name = error.key.partition(".")[2]
    row = error.facts.get("row")
    yield Diagnosis(
        name,
        "error",
        "during",
        error.key,
        error.facts,
        _evidence(course),
        layers=tuple(error.facts["where"].split(" › ")) if "where" in error.facts else (),
        rows=(int(row),) if isinstance(row, int) else (),
        because=because,
        remedies=() if because or not isinstance(error, NonFiniteError) else (Remedy("lower-rate", 0.1),),
        cause=error,
    )
