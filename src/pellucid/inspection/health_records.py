"""What `doctor` and `HealthMonitor` return: diagnoses with their evidence and the measured effect of their remedies,
and the measurements that they were read from. Rules fill these in; `report` and the command line print them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pellucid._text import text
from pellucid.errors import PellucidError, PellucidWarning
from pellucid.train import History

Severity = Literal["error", "warning", "note"]
Phase = Literal["before", "during", "after"]
Verdict = Literal["healthy", "diagnosed", "proved", "no remedy helped", "cause unknown"]


@dataclass(frozen=True)
class Remedy:
    """A change of a training run that can be tried.

    Attributes
        name : what is changed, such as "lower-rate" or "scale-inputs"
        amount : by how much, where that is a number: the factor of a learning rate, the norm of gradients; else None
    """

    name: str
    amount: float | None = None

    def __str__(self) -> str:
        return text(f"health.remedy-{self.name}", amount=f"{self.amount:g}" if self.amount is not None else "")


@dataclass(frozen=True)
class Effect:
    """What a remedy did: the run replayed from its first weights without it and with it, once for each seed.

    Attributes
        remedy : what was changed
        measure : "loss", "val_loss"; "balanced_loss" is the mean over classes of the loss of a class; "share" the loss
            as a share of that of the best constant output
        without, changed : its value at the end of each replay, one for each seed; infinite where a replay failed
        epochs : of each replay
    """

    remedy: Remedy
    measure: str
    without: tuple[float, ...]
    changed: tuple[float, ...]
    epochs: int

    @property
    def helped(self) -> bool:
        """Whether every replay got better, by more than the gains of the seeds differ, and by more than 5 %."""
        if not self.without or not all(map(math.isfinite, self.changed)):
            return False
        if not all(map(math.isfinite, self.without)):
            return True
        gains = [a - b for a, b in zip(self.without, self.changed, strict=True)]
        mean = sum(gains) / len(gains)
        return min(gains) > 0 and mean > spread(gains) and mean > 0.05 * abs(sum(self.without) / len(self.without))

    def __str__(self) -> str:
        return text(
            "health.effect-helped" if self.helped else "health.effect-none",
            remedy=str(self.remedy),
            measure=text(f"health.measure-{self.measure.replace('_', '-')}"),
            without=_measured(self.without),
            changed=_measured(self.changed),
            seeds=len(self.without),
            epochs=self.epochs,
        )


def spread(values: tuple[float, ...] | list[float]) -> float:
    """The standard deviation of a few measurements; 0 of a single one."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return 0.0
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


def _measured(values: tuple[float, ...]) -> str:
    if not all(map(math.isfinite, values)):
        return text("health.failed")
    return f"{sum(values) / len(values):.4g} ± {spread(values):.2g}"


@dataclass(frozen=True)
class Diagnosis:
    """One thing that is wrong.

    Attributes
        name : such as "learning-rate-too-high"; the same in every language
        severity : "error": it cannot be right; "warning": it is probably a mistake; "note": worth knowing
        phase : when it showed: "before" the first step, "during" training, "after" it
        key : its entry in the catalogue of messages
        facts : what the message is filled in with
        evidence : the numbers that it was read from
        layers : the layers concerned, by name
        rows : rows of the data concerned, the first few
        because : the name of another diagnosis that explains this one, or ""
        remedies : what can be tried, the likeliest first
        effects : what the remedies did that were tried
        cause : the error that it came as, which may hold a batch and a state to replay, or None
    """

    name: str
    severity: Severity
    phase: Phase
    key: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, float] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    because: str = ""
    remedies: tuple[Remedy, ...] = ()
    effects: tuple[Effect, ...] = ()
    cause: PellucidError | None = None

    @property
    def effect(self) -> Effect | None:
        """The effect of the remedy that helped; without one, of the first that was tried."""
        return next((e for e in self.effects if e.helped), self.effects[0] if self.effects else None)

    @property
    def remedy(self) -> Remedy | None:
        """The remedy that helped; without one, the likeliest."""
        if self.proved and self.effect is not None:
            return self.effect.remedy
        return self.remedies[0] if self.remedies else None

    @property
    def proved(self) -> bool:
        """Whether a remedy was seen to help."""
        return any(e.helped for e in self.effects)

    @property
    def what(self) -> str:
        """The first line: what is wrong."""
        return self._message().what

    def _message(self) -> PellucidError | PellucidWarning:
        if self.cause is not None:
            return self.cause
        message = PellucidWarning(self.key, **self.facts)
        message.frame = None
        return message

    def __str__(self) -> str:
        message = self._message()
        lines = [text(f"health.head-{self.severity}", name=self.name, what=message.what)]
        for part in ("given", "expected", "fix"):
            words = getattr(message, part)
            if words:
                lines.append(f"  {text(f'core.label-{part}')}{words}")
        if self.because:
            lines.append(f"  {text('health.because', name=self.because)}")
        lines += [f"  {effect}" for effect in self.effects]
        return "\n".join(lines)


@dataclass(frozen=True)
class LayerHealth:
    """How a layer with weights does on some rows.

    Attributes
        name, kind : its name in the network, and its class
        input_std, output_std : how much a unit varies from row to row: the standard deviation over rows, root mean
            square over units
        gradient : the root mean square over rows of the length of the gradient of a row's loss by the layer's outputs
        dead : the share of the units behind it, of a ReLU, that are 0 for every row; None without a ReLU
        saturated : the share of the values behind it, of a sigmoid or tanh, where its slope is below 1 % of its
            steepest; None without one
        weight_norm : the length of its parameters
        update_ratio : the length of the next update of its parameters over theirs; None without an optimizer
    """

    name: str
    kind: str
    input_std: float
    output_std: float
    gradient: float
    dead: float | None
    saturated: float | None
    weight_norm: float
    update_ratio: float | None = None


@dataclass(frozen=True)
class EpochHealth:
    """A look at a run in training.

    Attributes
        epoch : from 0
        loss : the mean loss of the epoch
        layers : how each layer does
    """

    epoch: int
    loss: float
    layers: tuple[LayerHealth, ...]

    @property
    def update_ratio(self) -> float | None:
        """The median of the layers' update ratios."""
        return median_ratio(self.layers)


def median_ratio(layers: tuple[LayerHealth, ...]) -> float | None:
    """The median of the layers' update ratios; None without any."""
    ratios = sorted(x.update_ratio for x in layers if x.update_ratio is not None)
    return ratios[len(ratios) // 2] if ratios else None


@dataclass(frozen=True)
class RowsFitted:
    """Two rows learned by heart by a copy of the network: a network that cannot do this can learn nothing.

    Attributes
        rows : their numbers
        start, end : the loss of both, before and after
        wanted : the loss to fall below
        steps : updates it took
    """

    rows: tuple[int, ...]
    start: float
    end: float
    wanted: float
    steps: int


@dataclass(frozen=True)
class GradientsCompared:
    """Gradients of a sample of weights against differences of the loss, in float64.

    Attributes
        checked, skipped : weights compared, and weights at a kink, where differences tell nothing
        worst : the weight that differs most
        computed, expected : its gradient, and the difference quotient
        passed : whether all agree
    """

    checked: int
    skipped: int
    worst: str
    computed: float
    expected: float
    passed: bool


@dataclass(frozen=True)
class HealthReport:
    """What `doctor` found.

    Attributes
        model : the network's class
        rows : rows of the training data
        diagnoses : what is wrong, causes first; empty where nothing is
        start_loss, expected_loss : the loss before the first step, and that of a network that knows nothing; None where
            it is not known
        constant_loss : the loss of the best constant output; None where it is not known
        layers : each layer before the first step
        fitted : two rows learned by heart; None where that was not tried
        gradients : the gradient check; None where that was not done
        history : of the training run that was watched, or None
        course : looks at that run
    """

    model: str
    rows: int
    diagnoses: tuple[Diagnosis, ...]
    start_loss: float | None = None
    expected_loss: float | None = None
    constant_loss: float | None = None
    layers: tuple[LayerHealth, ...] = ()
    fitted: RowsFitted | None = None
    gradients: GradientsCompared | None = None
    history: History | None = None
    course: tuple[EpochHealth, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether nothing was found."""
        return not self.diagnoses

    @property
    def verdict(self) -> Verdict:
        """In a word: "healthy"; "proved": a remedy was seen to help; "no remedy helped": of those that were tried;
        "cause unknown": it does not learn, and no rule says why; "diagnosed": nothing was tried."""
        if not self.diagnoses:
            return "healthy"
        if any(d.proved for d in self.diagnoses):
            return "proved"
        if self.diagnoses[0].name == "cause-unknown":
            return "cause unknown"
        return "no remedy helped" if any(d.effects for d in self.diagnoses) else "diagnosed"

    def named(self, name: str) -> Diagnosis | None:
        """The diagnosis of a name, or None."""
        return next((d for d in self.diagnoses if d.name == name), None)

    def __str__(self) -> str:
        lines = [text("health.title", model=self.model, rows=f"{self.rows:,}")]
        lines.append(text(f"health.verdict-{self.verdict.replace(' ', '-')}", count=len(self.diagnoses)))
        return "\n".join([*lines, *map(str, self.diagnoses)])
