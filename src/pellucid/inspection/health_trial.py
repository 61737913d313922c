"""All that a training run is made of comes in as a `Trial`; copies of it, changed by a remedy or not, are trained, and
what they measure leaves. The network, optimizer and random state of the user stay as they are. `doctor` calls it.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.core.context import no_grad, quiet
from pellucid.core.rng import default_generator, manual_seed
from pellucid.core.tensor import wrap
from pellucid.data import Dataset
from pellucid.errors import PellucidError, PellucidWarning
from pellucid.inspection.health_records import Effect, Remedy
from pellucid.inspection.health_remedies import change
from pellucid.inspection.health_targets import constant_loss
from pellucid.nn import Module
from pellucid.train import Callback, History, fit
from pellucid.train.evaluate import evaluating
from pellucid.train.rows import outputs

_ROWS_MEASURED = 8192


@dataclass
class Trial:
    """A training run that can be repeated.

    Attributes
        measure : what tells whether one run is better than another, as in `Effect`
    """

    model: Module
    loss: Any
    optimizer: Any
    train: Dataset
    validation: Dataset | None
    epochs: int
    batch_size: int | str | None
    shuffle: bool
    seed: int
    schedule: Any = None
    augment: Any = None
    drop_last: bool = False
    clip_norm: float | None = None
    class_weight: Any = None
    restore_best: bool = False
    measure: str = "loss"

    def copied(self) -> Trial:
        """The same run with a network, loss, optimizer and schedule of its own."""
        model, loss, optimizer, schedule = copy.deepcopy((self.model, self.loss, self.optimizer, self.schedule))
        return replace(self, model=model, loss=loss, optimizer=optimizer, schedule=schedule)

    def run(self, callbacks: Iterable[Callback] = ()) -> History:
        """Train; whatever was found beforehand is taken as it is."""
        return fit(
            self.model,
            self.train,
            loss=self.loss,
            optimizer=self.optimizer,
            epochs=self.epochs,
            batch_size=self.batch_size,
            validation=self.validation,
            callbacks=list(callbacks),
            shuffle=self.shuffle,
            seed=self.seed,
            schedule=self.schedule,
            augment=self.augment,
            drop_last=self.drop_last,
            clip_norm=self.clip_norm,
            class_weight=self.class_weight,
            restore_best=self.restore_best,
            checks=False,
            verbose=0,
        )

    def measured(self) -> float:
        """The measure of the network as it is now, on the held-out rows where there are any."""
        data = self.train if self.validation is None else self.validation
        data = data[:: max(1, len(data) // _ROWS_MEASURED)]
        if self.measure == "balanced_loss":
            parts = [data[data.y == label] for label in np.unique(data.y)]
            return sum(self._loss(part) for part in parts) / len(parts)
        value = self._loss(data)
        if self.measure == "share":
            constant = constant_loss(self.loss, data.y)
            return value / constant if constant else value
        return value

    def _loss(self, data: Dataset) -> float:
        with evaluating(self.model), no_grad(), quiet():
            value = self.loss(outputs(self.model, data.x, None), wrap(data.y))  # type: ignore[arg-type]
        return float(value.data.mean())


@contextmanager
def draws_kept() -> Iterator[None]:
    """After the block the default generator is where it was."""
    before = default_generator.get_state()
    try:
        yield
    finally:
        default_generator.set_state(before)


def replayed(trial: Trial, remedy: Remedy | None, seed: int) -> float:
    """The measure at the end of a run from the trial's first weights; infinite where it fails."""
    with draws_kept(), warnings.catch_warnings():
        warnings.simplefilter("ignore", PellucidWarning)
        manual_seed(seed)
        one = trial.copied()
        one.seed = trial.seed + seed
        try:
            if remedy is not None:
                change(one, remedy)
            one.run()
            value = one.measured()
        except PellucidError:
            return math.inf
    return value if math.isfinite(value) else math.inf


class Replays:
    """Replays of one trial, of which those without a remedy are run once and kept.

    Parameters
        seeds : how many replays of each kind
    """

    def __init__(self, trial: Trial, seeds: int) -> None:
        self.trial = trial
        self.seeds = range(seeds)
        self._without: dict[str, tuple[float, ...]] = {}

    def effect(self, remedy: Remedy, measure: str) -> Effect:
        """What a remedy does."""
        trial = replace(self.trial, measure=measure)
        if measure not in self._without:
            self._without[measure] = tuple(replayed(trial, None, s) for s in self.seeds)
        changed = tuple(replayed(trial, remedy, s) for s in self.seeds)
        return Effect(remedy, measure, self._without[measure], changed, trial.epochs)

    def effects(self, remedies: Sequence[Remedy], measure: str) -> tuple[Effect, ...]:
        """The remedies tried one after the other, up to the first that helps."""
        found: list[Effect] = []
        for remedy in remedies:
            found.append(self.effect(remedy, measure))
            if found[-1].helped:
                break
        return tuple(found)
