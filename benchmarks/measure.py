"""Runs contestants in turn and compares them. A contestant is a function that does one step and a function that reads
its loss; every round times each of them once, so that a busy moment of the machine hits all alike; ratios are of
medians.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Contestant:
    """One library's side of a workload."""

    name: str
    step: Callable[[], object]
    loss: Callable[[], float]
    version: str
    times_us: list[float] = field(default_factory=list)

    @property
    def median_us(self) -> float:
        return float(np.median(self.times_us))


class Disagreement(RuntimeError):
    """Two libraries did not do the same work."""


def race(contestants: list[Contestant], rounds: int = 40, steps: int = 100, tolerance: float = 2e-3) -> None:
    """Check that all contestants see the same loss after their first `steps` steps, then time them in turn.

    Parameters
        rounds : how often each is timed.
        steps : steps in one timing.
        tolerance : largest relative difference of losses.
    Raises
        Disagreement: the losses differ.
    """
    for contestant in contestants:
        for _ in range(steps):
            contestant.step()
    _compare({c.name: c.loss() for c in contestants}, steps, tolerance)
    for _ in range(rounds):
        for contestant in contestants:
            start = time.perf_counter()
            for _ in range(steps):
                contestant.step()
            contestant.times_us.append((time.perf_counter() - start) / steps * 1e6)


def _compare(losses: dict[str, float], steps: int, tolerance: float) -> None:
    first = next(iter(losses.values()))
    for name, loss in losses.items():
        if not abs(loss - first) <= tolerance * max(abs(first), 1e-3):
            raise Disagreement(f"after {steps} steps {name} has loss {loss:.6g}, not {first:.6g}: {losses}")


def table(title: str, contestants: list[Contestant]) -> str:
    """The result as a Markdown table: medians, spread, and how many times as long as the first each one takes."""
    ours = contestants[0].median_us
    lines = [
        f"### {title}",
        "",
        f"{machine()}; losses agree; median of {len(contestants[0].times_us)} rounds in turn.",
        "",
        "| library | µs a step | range | ratio to pellucid |",
        "|---|---:|---:|---:|",
    ]
    for c in contestants:
        low, high = np.percentile(c.times_us, [10, 90])
        lines.append(
            f"| {c.name} {c.version} | {c.median_us:.1f} | {low:.1f} to {high:.1f} | {c.median_us / ours:.2f} |"
        )
    return "\n".join(lines)


def machine() -> str:
    """Processor, cores, Python and NumPy: what a figure is worth nothing without."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}"
