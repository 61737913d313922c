"""What was measured of a network's layers comes in; diagnoses leave: signals and gradients that vanish or explode on
the way, units that are dead, values that are saturated, a loss that starts far from where it should, two rows that
cannot be learned, gradients that are wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from pellucid.inspection.health_records import (
    Diagnosis,
    GradientsCompared,
    LayerHealth,
    Phase,
    Remedy,
    RowsFitted,
    Severity,
)
from pellucid.inspection.health_remedies import SQUASHING
from pellucid.inspection.health_targets import DISTANCES, loss_kind
from pellucid.nn import Hardsigmoid, Module, Sigmoid

# What reaches the last layer of what entered the first, and what gradient comes back: networks of ordinary weights and
# activations stay far within these.
_VANISHED, _EXPLODED, _GAIN = 5e-3, 50.0, 2.5
_NO_GRADIENT, _TOO_MUCH_GRADIENT = 1e-4, 1e4
_SHARE = 0.5
_SIGMOIDS, _MANY_SIGMOIDS = (Sigmoid, Hardsigmoid), 4
_START_FACTOR, _START_MORE, _START_DISTANCE, _START_GAIN = 1.5, 1.0, 25.0, 3.0


def layer_diagnoses(
    layers: Sequence[LayerHealth], model: Module, phase: Phase, *, share: float = _SHARE
) -> Iterator[Diagnosis]:
    """What is wrong with the scales of activations and gradients, and with single units.

    Parameters
        share : of dead units or saturated values in a layer, above which it is reported
    """
    chain = [x for x in layers if x.input_std > 0 or x.output_std > 0]
    if len(chain) >= 3:
        yield from _signals(chain, model, phase)
        yield from _gradients(chain, model, phase)
    yield from _units(layers, phase, share)


def _signals(chain: Sequence[LayerHealth], model: Module, phase: Phase) -> Iterator[Diagnosis]:
    first, last = chain[0], chain[-1]
    ratio = last.input_std / first.input_std if first.input_std else math.inf
    facts = {
        "first": first.name,
        "last": last.name,
        "entered": f"{first.input_std:.3g}",
        "arrived": f"{last.input_std:.3g}",
        "course": ", ".join(f"{x.output_std:.3g}" for x in chain[:12]),
    }
    evidence = {"entered": first.input_std, "arrived": last.input_std, "ratio": ratio}
    remedies = (Remedy("draw-weights"),)
    # The gain of a layer, not the growth from first to last: normalisation lifts small inputs, and may.
    gains = [math.log(x.output_std / x.input_std) for x in chain if x.input_std > 0 and x.output_std > 0]
    if ratio < _VANISHED:
        names = tuple(x.name for x in chain if x.output_std < 0.1 * first.input_std)
        found = _found("vanishing-activations", "warning", phase, facts, evidence, names, remedies)
        # A sigmoid's slope of at most 1/4 squashes signals and gradients alike, whatever the weights.
        steps = sum(isinstance(m, _SIGMOIDS) for m in model.modules())
        yield replace(found, because="vanishing-gradients") if steps >= _MANY_SIGMOIDS else found
    elif last.output_std > _EXPLODED * max(1.0, first.input_std) and sum(gains) > len(chain) * math.log(_GAIN):
        names = tuple(x.name for x in chain if x.output_std > 10 * first.input_std)
        yield _found("exploding-activations", "warning", phase, facts, evidence, names, remedies)


def _gradients(chain: Sequence[LayerHealth], model: Module, phase: Phase) -> Iterator[Diagnosis]:
    first, last = chain[0], chain[-1]
    if not last.gradient:
        return
    ratio = first.gradient / last.gradient
    facts = {
        "first": first.name,
        "last": last.name,
        "left": f"{last.gradient:.3g}",
        "arrived": f"{first.gradient:.3g}",
        "ratio": f"{ratio:.2g}",
        "layers": len(chain),
    }
    evidence = {"left": last.gradient, "arrived": first.gradient, "ratio": ratio}
    if ratio < _NO_GRADIENT:
        names = tuple(x.name for x in chain if x.gradient < 1e-2 * last.gradient)
        squashed = any(isinstance(m, SQUASHING) for m in model.modules())
        remedies = (*((Remedy("relu"),) if squashed else ()), Remedy("draw-weights"))
        yield _found("vanishing-gradients", "warning", phase, facts, evidence, names, remedies)
    elif ratio > _TOO_MUCH_GRADIENT and math.isfinite(ratio):
        names = tuple(x.name for x in chain if x.gradient > 1e2 * last.gradient)
        remedies = (Remedy("draw-weights"), Remedy("clip-gradients", 1.0))
        yield _found("exploding-gradients", "warning", phase, facts, evidence, names, remedies)


def _units(layers: Sequence[LayerHealth], phase: Phase, share: float) -> Iterator[Diagnosis]:
    for name, values in (
        ("dead-units", [(x, x.dead) for x in layers]),
        ("saturated-units", [(x, x.saturated) for x in layers]),
    ):
        bad = [(x, v) for x, v in values if v is not None and v > share]
        if bad:
            worst, most = max(bad, key=lambda pair: pair[1])
            facts = {
                "layers": ", ".join(x.name for x, _ in bad[:5]),
                "worst": worst.name,
                "share": f"{100 * most:.0f}",
                "count": len(bad),
            }
            severity: Severity = "error" if most >= 1 else "warning"
            remedies = (Remedy("draw-weights"), *((Remedy("lower-rate", 0.1),) if phase != "before" else ()))
            yield _found(name, severity, phase, facts, {"share": most}, tuple(x.name for x, _ in bad), remedies)


def start_diagnoses(
    loss: Any, start: float, uninformed: float | None, layers: Sequence[LayerHealth]
) -> Iterator[Diagnosis]:
    """A loss at the start far above that of outputs that say nothing.

    Parameters
        start : the loss before the first step
        uninformed : what it should be about
        layers : the layers with weights
    """
    if uninformed is None or not math.isfinite(start):
        return
    far = loss_kind(loss) in DISTANCES
    limit = _START_DISTANCE * uninformed if far else _START_FACTOR * uninformed + _START_MORE
    if start <= limit or uninformed <= 0:
        return
    last = layers[-1] if layers else None
    if last is not None and 1 < last.output_std <= _START_GAIN * layers[0].input_std:
        # Outputs that are large because the inputs are: weights have no part in it.
        return
    facts = {
        "start": f"{start:.4g}",
        "expected": f"{uninformed:.4g}",
        "layer": "-" if last is None else last.name,
        "spread": "-" if last is None else f"{last.output_std:.3g}",
    }
    spread = 1.0 if last is None else last.output_std
    remedies = (Remedy("smaller-last-layer", float(f"{min(0.1, 0.5 / max(spread, 1e-12)):.1g}")),)
    evidence = {"start": start, "expected": uninformed, "spread": spread}
    names = () if last is None else (last.name,)
    yield _found("start-loss", "warning", "before", facts, evidence, names, remedies)


def fit_diagnoses(fitted: RowsFitted | None) -> Iterator[Diagnosis]:
    """Two rows that could not be learned by heart."""
    if fitted is None or fitted.end <= fitted.wanted:
        return
    facts = {
        "rows": f"{fitted.rows[0]}, {fitted.rows[1]}",
        "start": f"{fitted.start:.4g}",
        "end": f"{fitted.end:.4g}",
        "wanted": f"{fitted.wanted:.4g}",
    }
    evidence = {"start": fitted.start, "end": fitted.end, "wanted": fitted.wanted}
    yield Diagnosis(
        "cannot-fit-two-rows", "warning", "before", "health.cannot-fit-two-rows", facts, evidence, rows=fitted.rows
    )


def gradient_diagnoses(compared: GradientsCompared | None) -> Iterator[Diagnosis]:
    """Gradients that differences of the loss contradict."""
    if compared is None or compared.passed:
        return
    facts = {
        "worst": compared.worst,
        "computed": f"{compared.computed:.6g}",
        "expected": f"{compared.expected:.6g}",
        "checked": compared.checked,
    }
    evidence = {"computed": compared.computed, "expected": compared.expected}
    layer = compared.worst.partition("[")[0].rpartition(".")[0]
    yield _found("wrong-gradient", "error", "before", facts, evidence, (layer,) if layer else (), ())


def _found(
    name: str,
    severity: Severity,
    phase: Phase,
    facts: dict[str, Any],
    evidence: dict[str, float],
    layers: tuple[str, ...],
    remedies: tuple[Remedy, ...],
) -> Diagnosis:
    return Diagnosis(name, severity, phase, f"health.{name}", facts, evidence, layers, remedies=remedies)
