"""Claim: small batches find flatter minima than large ones, and therefore do better on new data.

From the same first weights a network learns 300 pictures of digits, once in batches of eight rows and once with all
rows in each step, at the same learning rate, until both have the same training loss. There the adaptive sharpness is
compared, which is the same for ReLU networks that compute the same function with other weights, and the accuracy on
1,497 other pictures. All rows in a step at a higher rate tell whether it is the batch that counts. Ten trials give
differences with 95% intervals. The claim is confirmed where three of them lie above 0 and are large enough to matter
(10% of the sharpness, one point of accuracy): the sharpness that the large batch has in excess; the accuracy that it
lacks; and the accuracy that it lacks at the higher rate. It is not confirmed where one of the intervals lies below what
would matter, and undecided otherwise.

Two traps are measured too. After equally many epochs the two networks stand at different losses, and what is compared
is how far each has come. And the plain sharpness, in which all weights count alike, can be made as large as one likes
by multiplying a layer and dividing the next one, which changes nothing in what the network computes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import nn, optim
from pellucid.core.rng import manual_seed
from pellucid.data import Dataset, digits
from pellucid.inspection import sharpness
from pellucid.lab.drawing import BLUE, GREEN, GREY, ORANGE, drawing, label
from pellucid.lab.experiment import Finding, Measurement
from pellucid.lab.interval import Interval, interval
from pellucid.train import Callback, Run, evaluate, fit

ROWS, RATE, HIGHER = 300, 0.2, 2.5
TARGET, MOST_EPOCHS = 0.01, 3000
EQUAL = 0.05
"""Losses that differ by less than this part are taken as equal."""
LEAST_SHARPNESS, LEAST_ACCURACY = math.log(1.1), 0.01
SCALE = 10.0

LOSS = nn.CrossEntropyLoss()


@dataclass(frozen=True)
class Place:
    """Where training came to: epochs, loss and adaptive sharpness over the training rows, accuracy on others."""

    epochs: int
    loss: float
    sharpness: float
    accuracy: float


@dataclass(frozen=True)
class Trial:
    """Three trainings from the same first weights.

    small : the small batch, at the loss it was to reach.
    large, higher : all rows in a step until that loss, at the same rate and at the higher one.
    early : all rows in a step, after as many epochs as the small batch took.
    """

    small: Place
    large: Place
    higher: Place
    early: Place

    @property
    def equal(self) -> bool:
        """Whether the three have the same training loss."""
        return all(abs(p.loss / self.small.loss - 1) <= EQUAL for p in (self.large, self.higher))


def network(seed: int) -> nn.Sequential:
    """Two hidden layers of 32 ReLU units."""
    manual_seed(seed)
    layers = nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10)
    return nn.Sequential(*layers)


def pictures(seed: int) -> tuple[Dataset, Dataset]:
    """300 digits to train on, and the others."""
    data = digits()
    order = np.random.default_rng(seed).permutation(len(data))
    return data[order[:ROWS]], data[order[ROWS:]]


class Watch(Callback):
    """Stops at a training loss, measured over all rows; looks at the network after some epochs on the way."""

    def __init__(self, target: float, parts: tuple[Dataset, Dataset], epochs: tuple[int, ...] = ()) -> None:
        self.target, self.parts, self.epochs = target, parts, epochs
        self.seen: list[Place] = []

    def on_epoch_end(self, run: Run, record: dict[str, float]) -> None:
        """The loss that an epoch records is that of the weights before its steps: nearly there, all rows are asked."""
        if run.epoch + 1 in self.epochs:
            self.seen.append(place(run.model, self.parts, run.epoch + 1))
        if record["loss"] < 4 * self.target and evaluate(run.model, self.parts[0], loss=LOSS)["loss"] <= self.target:
            run.stop("target")


def place(model: nn.Module, parts: tuple[Dataset, Dataset], epochs: int) -> Place:
    """Measure a network."""
    loss = float(evaluate(model, parts[0], loss=LOSS)["loss"])
    accuracy = float(evaluate(model, parts[1], loss=LOSS, metrics=["accuracy"])["accuracy"])
    return Place(epochs, loss, sharpness(model, parts[0], LOSS, adaptive=True).rise, accuracy)


def trained(
    seed: int,
    parts: tuple[Dataset, Dataset],
    batch_size: int | None,
    rate: float,
    target: float,
    looks: tuple[int, ...] = (),
) -> tuple[nn.Sequential, Place, list[Place]]:
    """A network that was trained to a loss, what it is like there, and what it was like after some epochs."""
    model, watch = network(seed), Watch(target, parts, looks)
    history = fit(
        model, parts[0], loss=LOSS, optimizer=optim.SGD(model.parameters(), lr=rate), epochs=MOST_EPOCHS,
        batch_size=batch_size, callbacks=[watch], seed=seed, verbose=0,
    )  # fmt: skip
    return model, place(model, parts, len(history)), watch.seen


def trial(seed: int, batch_size: int, higher: float) -> Trial:
    """The small batch first: its loss is the one that the others stop at, since they come to it in small steps."""
    parts = pictures(seed)
    _, small, _ = trained(seed, parts, batch_size, RATE, TARGET)
    _, large, early = trained(seed, parts, None, RATE, small.loss, (small.epochs,))
    _, fast, _ = trained(seed, parts, None, RATE * higher, small.loss)
    return Trial(small, large, fast, early[0] if early else large)


def judged(trials: list[Trial]) -> tuple[bool | None, str, tuple[Interval, Interval, Interval]]:
    """The verdict, the conclusion, and the intervals: ln of the large batch's sharpness over the small one's, and the
    accuracy that the small one has more, at the same and at the higher rate."""
    sharper = interval([math.log(t.large.sharpness / t.small.sharpness) for t in trials])
    better = interval([t.small.accuracy - t.large.accuracy for t in trials])
    than_fast = interval([t.small.accuracy - t.higher.accuracy for t in trials])
    intervals = sharper, better, than_fast
    if not all(t.equal for t in trials):
        return None, "flatness-not-equal", intervals
    flat = sharper.effect(LEAST_SHARPNESS)
    good, good_fast = better.effect(LEAST_ACCURACY), than_fast.effect(LEAST_ACCURACY)
    if flat == "absent":
        return False, "flatness-no-flatter", intervals
    if good == "absent":
        return False, "flatness-no-better", intervals
    if good_fast == "absent":
        return False, "flatness-rate", intervals
    if flat == good == good_fast == "shown":
        return True, "flatness", intervals
    return None, "flatness-open", intervals


def multiplied(model: nn.Sequential, factor: float) -> nn.Sequential:
    """The network that computes the same with its first layer multiplied and its second one's weights divided."""
    other = network(0)
    weights = {name: np.array(value) for name, value in model.state_dict().items()}
    weights["0.weight"] *= factor
    weights["0.bias"] *= factor
    weights["2.weight"] /= factor
    other.load_state_dict(weights)
    return other


def rescaling(model: nn.Sequential, rows: Dataset, factor: float = SCALE) -> tuple[float, float]:
    """By what the plain and the adaptive sharpness change when the network is written with other weights."""
    other = multiplied(model, factor)
    plain = sharpness(other, rows, LOSS).rise / sharpness(model, rows, LOSS).rise
    adaptive = sharpness(other, rows, LOSS, adaptive=True).rise / sharpness(model, rows, LOSS, adaptive=True).rise
    return plain, adaptive


def run(seed: int, batch_size: int = 8, num_trials: int = 10, higher: float = HIGHER) -> Finding:
    """Run all trials and compare."""
    trials = [trial(100 * seed + n, batch_size, higher) for n in range(num_trials)]
    confirmed, conclusion, (sharper, better, than_fast) = judged(trials)
    parts = pictures(100 * seed)
    model, _, small_way = trained(100 * seed, parts, batch_size, RATE, TARGET, tuple(range(1, 100)))
    ways = (1, 2, 3, 5, 10, 15, 25, 40, 65, 100, 150, 250, 400, 650, 1000)
    _, _, large_way = trained(100 * seed, parts, None, RATE, trials[0].small.loss, ways)
    plain, adaptive = rescaling(model, parts[0])
    small, large, fast, early = ([getattr(t, name) for t in trials] for name in ("small", "large", "higher", "early"))
    return Finding(
        (
            Measurement("flatness-loss", _mean(small, "loss")),
            Measurement("sharpness-small", _mean(small, "sharpness")),
            Measurement("sharpness-large", _mean(large, "sharpness")),
            Measurement("sharpness-large-fast", _mean(fast, "sharpness")),
            Measurement("sharpness-ratio", math.exp(sharper.mean), "×"),
            Measurement("sharpness-ratio-low", math.exp(sharper.low), "×"),
            Measurement("sharpness-ratio-high", math.exp(sharper.high), "×"),
            Measurement("accuracy-small", 100 * _mean(small, "accuracy"), "%"),
            Measurement("accuracy-large", 100 * _mean(large, "accuracy"), "%"),
            Measurement("accuracy-large-fast", 100 * _mean(fast, "accuracy"), "%"),
            Measurement("accuracy-gap-low", round(100 * better.low, 2), "pp"),
            Measurement("accuracy-gap-high", round(100 * better.high, 2), "pp"),
            Measurement("accuracy-fast-gap-low", round(100 * than_fast.low, 2), "pp"),
            Measurement("accuracy-fast-gap-high", round(100 * than_fast.high, 2), "pp"),
            Measurement("equal-epochs", _mean(small, "epochs")),
            Measurement("equal-epochs-loss", _mean(early, "loss")),
            Measurement("equal-epochs-ratio", math.exp(_log_ratio(early, small)), "×"),
            Measurement("equal-epochs-accuracy", 100 * _mean(early, "accuracy"), "%"),
            Measurement("rescaled-plain", plain, "×"),
            Measurement("rescaled-adaptive", adaptive, "×"),
        ),
        confirmed,
        conclusion,
        figure(trials, small_way, large_way, (plain, adaptive)),
    )


def _mean(places: list[Place], name: str) -> float:
    return float(np.mean([getattr(p, name) for p in places]))


def _log_ratio(above: list[Place], below: list[Place]) -> float:
    return float(np.mean([math.log(a.sharpness / b.sharpness) for a, b in zip(above, below, strict=True)]))


def figure(trials: list[Trial], small_way: list[Place], large_way: list[Place], changes: tuple[float, float]) -> bytes:
    """The sharpness on the way down, all at equal loss, and what other weights of the same function make of it."""
    with drawing(11.4, 3.8) as (page, word, buffer):
        way, pairs, scaled = page.subplots(1, 3)
        small, large = trials[0].small, trials[0].large
        for places, end, colour, marker, name in (
            (small_way, small, BLUE, "o", "small-batch"),
            (large_way, large, ORANGE, "s", "large-batch"),
        ):
            path = [p for p in places if p.epochs < end.epochs] + [end]
            way.loglog([p.loss for p in path], [p.sharpness for p in path], color=colour, linewidth=1)
            way.loglog([p.loss for p in path], [p.sharpness for p in path], marker, color=colour, markersize=3)
            way.loglog([end.loss], [end.sharpness], marker, color=colour, markersize=8, label=word(name))
        early = trials[0].early
        way.loglog(
            [early.loss], [early.sharpness], "X", color=GREY, markersize=10, label=word("equal-epochs"), zorder=3
        )
        way.axvline(small.loss, color="0.7", linewidth=0.8, linestyle=":")
        way.invert_xaxis()
        _plain(way.yaxis, (0.03, 0.05, 0.1, 0.2, 0.5))
        label(way, word("training-loss"), word("adaptive-sharpness"), word("on-the-way"))
        for n, t in enumerate(trials):
            for p, colour, marker, name in (
                (t.small, BLUE, "o", "small-batch"),
                (t.large, ORANGE, "s", "large-batch"),
                (t.higher, GREEN, "^", "large-batch-fast"),
            ):
                pairs.plot(
                    p.sharpness, 100 * p.accuracy, marker, color=colour, markersize=5, label=None if n else word(name)
                )
        pairs.set_xscale("log")
        _plain(pairs.xaxis, (0.03, 0.05, 0.1, 0.2, 0.5))
        label(pairs, word("adaptive-sharpness"), word("test-accuracy"), word("equal-loss"))
        scaled.bar([0, 1], changes, color=[ORANGE, BLUE], width=0.6)
        for n, value in enumerate(changes):
            scaled.text(n, value * 1.05, f"{value:.3g}×", ha="center", fontsize=9)
        scaled.axhline(1, color="black", linewidth=0.8)
        scaled.set_yscale("log")
        scaled.set_ylim(min(0.5, *changes), 3 * max(2.0, *changes))
        scaled.set_xticks([0, 1], [word("plain-sharpness"), word("adaptive-sharpness")])
        label(scaled, "", word("changed-by"), word("same-function"))
        for axes in (way, pairs):
            axes.legend(fontsize=7, frameon=False)
    return buffer.getvalue()


def _plain(axis: Any, places: tuple[float, ...]) -> None:
    """Places on a logarithmic axis written as plain numbers."""
    axis.set_minor_formatter(lambda x, _: "")
    axis.set_ticks(places, [f"{x:g}" for x in places])
