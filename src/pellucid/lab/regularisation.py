"""Claim: a large network overfits few rows, and weight decay, dropout and early stopping help against it.

A network with two hidden layers of 64 units (4,482 numbers) learns 40 noisy points; how it does is measured on 1,000
others, from which nothing is chosen. It is trained plainly, with weight decay, with dropout, and stopped early, by 40
further points. Eight draws of points and weights give 95% intervals. The claim is confirmed where the plain network
overfits, its loss on new points ending 20% or more above the lowest on the way, and where each of the three ends with a
loss on new points that is lower than the plain network's by a tenth or more. It is not confirmed where one of these
differences is too small to matter, and undecided otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pellucid import nn, optim
from pellucid._typing import Array
from pellucid.core.rng import manual_seed
from pellucid.data import Dataset, two_moons
from pellucid.lab.drawing import BLUE, GREEN, GREY, ORANGE, PURPLE, drawing, label
from pellucid.lab.experiment import Finding, Measurement
from pellucid.lab.interval import Interval, interval
from pellucid.train import Callback, EarlyStopping, Run, evaluate, fit

ROWS, NEW_ROWS, NOISE, EPOCHS, RATE = 40, 1000, 0.3, 200, 0.01
WEIGHT_DECAY, DROPOUT, PATIENCE, LOOK = 3.0, 0.5, 20, 10
OVERFITS, HELPS = math.log(1.2), math.log(1 / 0.9)
LOSS = nn.CrossEntropyLoss()

KINDS = ("plain", "weight-decay", "dropout", "early-stopping")


@dataclass(frozen=True)
class Outcome:
    """A network after training, and on the way there.

    epochs, train_losses, new_losses : on the way, the losses on the rows it learned and on new ones.
    train_loss, loss, accuracy : of the weights that it ends with; the last two on new rows.
    """

    epochs: Array
    train_losses: Array
    new_losses: Array
    train_loss: float
    loss: float
    accuracy: float


def network(dropout: float) -> nn.Sequential:
    """Two inputs, two hidden layers of 64 units, two classes."""
    return nn.Sequential(
        nn.Linear(2, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(64, 2),
    )  # fmt: skip


def points(rows: int, seed: int) -> tuple[Dataset, Dataset, Dataset]:
    """Rows to learn, as many to stop by, and new ones: all drawn apart."""
    return tuple(two_moons(n, NOISE, seed=3 * seed + k) for k, n in enumerate((rows, rows, NEW_ROWS)))  # type: ignore[return-value]


def loss_on(model: nn.Module, rows: Dataset) -> float:
    """The loss with dropout switched off."""
    return float(evaluate(model, rows, loss=LOSS)["loss"])


class Watch(Callback):
    """Looks at both losses after every `LOOK` epochs."""

    def __init__(self, rows: Dataset, new: Dataset) -> None:
        self.rows, self.new = rows, new
        self.seen: list[tuple[int, float, float]] = []

    def on_epoch_end(self, run: Run, record: dict[str, float]) -> None:
        """Look, and change nothing."""
        if (run.epoch + 1) % LOOK == 0 or run.epoch == 0:
            self.seen.append((run.epoch + 1, loss_on(run.model, self.rows), loss_on(run.model, self.new)))


def outcome(kind: str, parts: tuple[Dataset, Dataset, Dataset], seed: int, strength: float) -> Outcome:
    """Train one network; `strength` multiplies weight decay and dropout."""
    rows, held_out, new = parts
    manual_seed(seed)
    model = network(DROPOUT * strength if kind == "dropout" else 0.0)
    decay = WEIGHT_DECAY * strength if kind == "weight-decay" else 0.0
    stops = kind == "early-stopping"
    watch = Watch(rows, new)
    callbacks: list[Callback] = [watch, EarlyStopping(patience=PATIENCE)] if stops else [watch]
    fit(
        model, rows, loss=LOSS, optimizer=optim.AdamW(model.parameters(), lr=RATE, weight_decay=decay), epochs=EPOCHS,
        batch_size=None, validation=held_out if stops else None, callbacks=callbacks, seed=seed, verbose=0,
    )  # fmt: skip
    end = evaluate(model, new, loss=LOSS, metrics=["accuracy"])
    seen = np.array(watch.seen)
    return Outcome(
        seen[:, 0], seen[:, 1], seen[:, 2], loss_on(model, rows), float(end["loss"]), float(end["accuracy"])
    )  # fmt: skip


def judged(outcomes: dict[str, list[Outcome]]) -> tuple[bool | None, str, dict[str, Interval]]:
    """The verdict, the conclusion, and the intervals: ln of the plain network's last loss on new rows over its lowest,
    and over that of each of the others."""
    plain = outcomes["plain"]
    found = {"plain": interval([math.log(o.loss / float(o.new_losses.min())) for o in plain])}
    for kind in KINDS[1:]:
        found[kind] = interval([math.log(p.loss / o.loss) for p, o in zip(plain, outcomes[kind], strict=True)])
    if found["plain"].effect(OVERFITS) == "absent":
        return False, "regularisation-no-overfitting", found
    effects = {kind: found[kind].effect(HELPS) for kind in KINDS[1:]}
    if "absent" in effects.values():
        return False, "regularisation-no-help", found
    if found["plain"].effect(OVERFITS) == "shown" and set(effects.values()) == {"shown"}:
        return True, "regularisation", found
    return None, "regularisation-open", found


def run(seed: int, rows: int = ROWS, strength: float = 1.0, num_draws: int = 8) -> Finding:
    """Train all four on each draw of points."""
    outcomes: dict[str, list[Outcome]] = {kind: [] for kind in KINDS}
    for n in range(num_draws):
        parts = points(rows, num_draws * seed + n)
        for kind in KINDS:
            outcomes[kind].append(outcome(kind, parts, num_draws * seed + n, strength))
    confirmed, conclusion, found = judged(outcomes)
    return Finding(
        (
            Measurement("rows-learned", rows),
            Measurement("parameters", sum(p.size for p in network(0.0).parameters())),
            Measurement("train-loss-plain", _mean(outcomes["plain"], "train_loss")),
            Measurement("overfitting", math.exp(found["plain"].mean), "×"),
            *(Measurement(f"new-loss-{kind}", _mean(outcomes[kind], "loss")) for kind in KINDS),
            *(Measurement(f"new-accuracy-{kind}", 100 * _mean(outcomes[kind], "accuracy"), "%") for kind in KINDS),
            *(Measurement(f"helps-{kind}", math.exp(found[kind].mean), "×") for kind in KINDS[1:]),
            *(Measurement(f"helps-{kind}-low", math.exp(found[kind].low), "×") for kind in KINDS[1:]),
        ),
        confirmed,
        conclusion,
        figure(outcomes),
    )


def _mean(outcomes: list[Outcome], name: str) -> float:
    return float(np.mean([getattr(o, name) for o in outcomes]))


def figure(outcomes: dict[str, list[Outcome]]) -> bytes:
    """Learned and new points along the plain training; and where each of the four ended."""
    looks = {
        "plain": (ORANGE, "o"),
        "weight-decay": (BLUE, "s"),
        "dropout": (GREEN, "^"),
        "early-stopping": (PURPLE, "D"),
    }
    with drawing(10.4, 3.8) as (page, word, buffer):
        way, others, ends = page.subplots(1, 3)
        first = outcomes["plain"][0]
        way.semilogy(first.epochs, first.train_losses, color=GREY, label=word("learned-points"))
        way.semilogy(first.epochs, first.new_losses, color=ORANGE, linestyle="--", label=word("new-points"))
        best = int(first.new_losses.argmin())
        way.plot([first.epochs[best]], [first.new_losses[best]], "k.", label=word("lowest"))
        label(way, word("epoch"), word("loss"), word("plain"))
        for kind in ("plain", "weight-decay", "dropout"):
            colour, _ = looks[kind]
            seen = outcomes[kind][0]
            others.semilogy(seen.epochs, seen.new_losses, color=colour, label=word(kind))
        label(others, word("epoch"), word("loss-new"), word("new-points"))
        for place, kind in enumerate(KINDS):
            colour, marker = looks[kind]
            values = [o.loss for o in outcomes[kind]]
            ends.semilogy([place] * len(values), values, marker, color=colour, alpha=0.6, markersize=5)
            ends.plot([place - 0.25, place + 0.25], [np.exp(np.mean(np.log(values)))] * 2, color=colour, linewidth=2)
        ends.set_xticks(range(len(KINDS)), [word(kind) for kind in KINDS], rotation=20)
        label(ends, "", word("loss-new"), word("at-the-end"))
        for axes in (way, others):
            axes.legend(fontsize=8, frameon=False)
    return buffer.getvalue()
