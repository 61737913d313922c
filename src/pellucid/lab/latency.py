"""Claim: FLOPs tell the latency: equal FLOPs take equally long.

Six networks with 4,194,304 FLOPs each are timed in turn, called as they are and compiled: one product of square
matrices, one wide layer on a single row, 128 narrow layers on one row, a convolution, a depthwise convolution, and a
chain of elementwise functions. The quicker of the two ways to call counts for each network. The claim is confirmed
where the longest time of the six is at most half as long again as the shortest; it is not confirmed where it is more
than twice as long, and undecided in between, since times are disturbed by whatever else runs. A time is the one that a
tenth of the turns do not exceed.

Products of matrices with 1/64 to 8 times as many FLOPs show how the time goes with them within one kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pellucid import nn
from pellucid._typing import Shape
from pellucid.compiler import compile
from pellucid.core.context import no_grad
from pellucid.core.rng import manual_seed
from pellucid.core.tensor import Tensor
from pellucid.inspection import cost
from pellucid.lab.drawing import BLUE, GREY, ORANGE, drawing, label
from pellucid.lab.experiment import Finding, Measurement
from pellucid.lab.stopwatch import in_turn, typical

SAME, OTHER = 1.5, 2.0
ROUNDS = 50
SIDES = (32, 64, 128, 256)
"""Of the square matrices; the time of their product is also compared within the kind."""


@dataclass(frozen=True)
class Case:
    """A network and the shape that it is called with."""

    model: nn.Module
    shape: Shape


@dataclass(frozen=True)
class Timed:
    """What was counted and timed of a network: FLOPs, bytes moved, operations, and the seconds of a call."""

    flops: int
    traffic_bytes: int
    operations: int
    seconds: float

    @property
    def rate(self) -> float:
        """FLOPs a second."""
        return self.flops / self.seconds


def square(side: int) -> Case:
    """`side` rows through a layer of `side` inputs and outputs."""
    return Case(nn.Linear(side, side, bias=False), (side, side))


def cases(seed: int) -> dict[str, Case]:
    """Networks of 4,194,304 FLOPs each."""
    manual_seed(seed)
    return {
        "matrices": square(128),
        "wide": Case(nn.Linear(2048, 1024, bias=False), (1, 2048)),
        "narrow": Case(nn.Sequential(*(nn.Linear(128, 128, bias=False) for _ in range(128))), (1, 128)),
        "convolution": Case(nn.Conv2d(16, 32, 1, bias=False), (1, 16, 64, 64)),
        "depthwise": Case(nn.Conv2d(32, 32, 4, stride=4, groups=32, bias=False), (1, 32, 256, 256)),
        "elementwise": Case(nn.Sequential(*(nn.ReLU() for _ in range(16))), (1, 2**18)),
    }


def timed(found: dict[str, Case], seed: int, rounds: int, compiled: bool = True) -> dict[str, Timed]:
    """Count all, then time all in turn; of the two ways to call a network, the quicker one."""
    generator = np.random.default_rng(seed)
    functions: dict[str, Callable[[], Any]] = {}
    for name, case in found.items():
        x = Tensor(generator.standard_normal(case.shape).astype(np.float32))
        functions[name] = partial(case.model, x)
        if compiled:
            functions[f"{name} compiled"] = partial(compile(case.model), x)
    with no_grad():
        # What compiles does so by the first calls.
        for function in functions.values():
            for _ in range(3):
                function()
        times = in_turn(functions, rounds)
    result = {}
    for name, case in found.items():
        report = cost(case.model, case.shape)
        seconds = min(typical(times[way]) for way in (name, f"{name} compiled") if way in times)
        result[name] = Timed(report.flops, report.work.traffic_bytes, report.work.operations, seconds)
    return result


def judged(equal: dict[str, Timed]) -> tuple[bool | None, str]:
    """The verdict and the conclusion, from networks with equal FLOPs."""
    spread = spread_of(equal)
    if spread <= SAME:
        return True, "latency"
    return (False, "latency-differs") if spread > OTHER else (None, "latency-open")


def spread_of(found: dict[str, Timed]) -> float:
    """The longest time over the shortest."""
    seconds = [t.seconds for t in found.values()]
    return max(seconds) / min(seconds)


def exponent(found: dict[str, Timed]) -> float:
    """Of the FLOPs in the time; 1 where twice the FLOPs take twice as long."""
    flops, seconds = np.array([(t.flops, t.seconds) for t in found.values()]).T
    return float(np.polyfit(np.log(flops), np.log(seconds), 1)[0])


def run(seed: int, rounds: int = ROUNDS) -> Finding:
    """Time networks of one size and many kinds, and of one kind and many sizes."""
    equal = timed(cases(seed), seed, rounds)
    manual_seed(seed)
    family = timed({str(side): square(side) for side in SIDES}, seed, rounds)
    confirmed, conclusion = judged(equal)
    rates = [t.rate for t in equal.values()]
    return Finding(
        (
            Measurement("latency-flops", equal["matrices"].flops),
            *(Measurement(f"latency-{name}", 1e6 * t.seconds, "µs") for name, t in equal.items()),
            Measurement("latency-spread", spread_of(equal), "×"),
            Measurement("rate-highest", max(rates) / 1e9, "GFLOP/s"),
            Measurement("rate-lowest", min(rates) / 1e9, "GFLOP/s"),
            Measurement("bytes-least", min(t.traffic_bytes for t in equal.values()), "B"),
            Measurement("bytes-most", max(t.traffic_bytes for t in equal.values()), "B"),
            Measurement("latency-exponent", exponent(family)),
        ),
        confirmed,
        conclusion,
        figure(equal, family),
    )


def figure(equal: dict[str, Timed], family: dict[str, Timed]) -> bytes:
    """The times of the kinds; and time over FLOPs, within one kind and across."""
    with drawing(10.0, 3.8) as (page, word, buffer):
        bars, cloud = page.subplots(1, 2)
        names = sorted(equal, key=lambda name: equal[name].seconds)
        shortest = equal[names[0]].seconds
        for place, name in enumerate(names):
            bars.barh(place, 1e6 * equal[name].seconds, color=BLUE if place == 0 else ORANGE, height=0.65)
            bars.text(
                1e6 * (equal[name].seconds + 0.01 * equal[names[-1]].seconds),
                place,
                f"{equal[name].seconds / shortest:.2g}×",
                va="center",
                fontsize=8,
            )
        bars.set_yticks(range(len(names)), [word(f"kind-{name}") for name in names])
        bars.set_xlim(0, 1.15e6 * equal[names[-1]].seconds)
        bars.invert_yaxis()
        label(bars, word("call-us"), "", word("equal-flops"))
        flops, seconds = np.array([(t.flops, 1e6 * t.seconds) for t in family.values()]).T
        cloud.loglog(flops, seconds, "o-", color=BLUE, markersize=4, label=word("one-kind"))
        cloud.loglog(
            [t.flops for t in equal.values()], [1e6 * t.seconds for t in equal.values()], "s", color=ORANGE,
            markersize=5, label=word("other-kinds"), zorder=1,
        )  # fmt: skip
        cloud.loglog(flops, seconds[-1] * flops / flops[-1], "--", color=GREY, linewidth=1, label=word("in-proportion"))
        label(cloud, word("flops"), word("call-us"))
        cloud.legend(fontsize=8, frameon=False)
    return buffer.getvalue()
