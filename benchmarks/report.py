"""Sides that have been timed come in; a Markdown section leaves: medians, spread, ratios, the share of the peak, and
whether the goals were reached.
"""

from __future__ import annotations

import os
import platform

import numpy as np

from benchmarks.kinds import Goal, Limit, Product, Workload
from benchmarks.processes import Side

FOREIGN = 0.08
"""A round in which others had more than this share of the machine is not counted, if enough others are left."""

CLEAN = 3


def counted(side: Side) -> list[float]:
    """The times of the rounds in which the machine was ours, or of all rounds if those are fewer than three."""
    clean = [t for t, others in zip(side.seconds, side.foreign, strict=True) if others <= FOREIGN]
    return clean if len(clean) >= CLEAN else side.seconds


def median(side: Side) -> float:
    return float(np.median(counted(side)))


def best(sides: list[Side]) -> Side | None:
    """The configuration with the least median."""
    return min((s for s in sides if s.seconds), key=median, default=None)


def section(sides: list[Side], work: Workload) -> str:
    """One workload's part of the report."""
    entered = [s for s in sides if not isinstance(s.work, Product)]
    timed = [s for s in entered if s.seconds]
    peaks = [s for s in sides if isinstance(s.work, Product) and s.seconds]
    lines = [f"### {entered[0].name}", "", f"{work.title[0].upper()}{work.title[1:]}.", ""]
    if timed:
        lines += [*_table(timed, peaks, work), ""]
    lines += [f"- Left out: {s.label}: {s.failure}." for s in sides if s.failure]
    lines += [_goal(goal, timed) for goal in work.goals]
    lines += [_limit(limit, timed) for limit in work.limits]
    if work.peak_share is not None:
        lines.append(_peak_goal(work.peak_share, timed, peaks))
    return "\n".join(lines).rstrip() + "\n"


def _table(timed: list[Side], peaks: list[Side], work: Workload) -> list[str]:
    ours = best([s for s in timed if s.library == "pellucid"])
    scale, places = (1e6, _figures) if work.unit.startswith("µs") else (1.0, "{:.3f}".format)
    peak = _peak(peaks)
    heads = [work.unit, "10-90 %", "least", "clean rounds", "ratio"]
    if peak:
        heads.append("of peak")
    lines = [f"| library | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    for side in timed:
        times = np.array(counted(side)) * scale
        low, high = np.percentile(times, [10, 90])
        clean = sum(others <= FOREIGN for others in side.foreign)
        cells = [
            f"{places(float(np.median(times)))}{' ~' if clean < CLEAN else ''}",
            f"{places(low)} to {places(high)}",
            places(min(side.seconds) * scale),
            f"{clean} of {len(side.seconds)}",
            "" if ours is None else f"{median(side) / median(ours):.2f}",
        ]
        if peak:
            cells.append(f"{work.flops / median(side) / peak:.0%}")
        lines.append(f"| {side.library} {side.version}, {side.configuration}{_note(side)} | {' | '.join(cells)} |")
    if peak:
        told = "; ".join(f"{s.configuration} {_speed(s, median(s))} and {_speed(s, min(s.seconds))}" for s in peaks)
        lines += ["", f"Peak, {peaks[0].work.title}, GFLOP/s, median and best: {told}."]
    return lines


def _figures(microseconds: float) -> str:
    return f"{microseconds:.3g}" if microseconds < 100 else f"{microseconds:.0f}"


def _speed(side: Side, seconds: float) -> str:
    return f"{side.work.flops / seconds / 1e9:.0f}"


def _peak(peaks: list[Side]) -> float:
    """Operations a second, in the fastest round of all: a share of it is never flattered by a busy machine."""
    return max((s.work.flops / min(s.seconds) for s in peaks), default=0.0)


def _note(side: Side) -> str:
    """What fresh processes told beside their time."""
    told = []
    for key, form in (("epochs", "{:.0f} epochs"), ("import_s", "import {:.3f} s")):
        values = [note[key] for note in side.notes if key in note]
        if values:
            told.append(form.format(np.median(values)))
    return f" ({', '.join(told)})" if told else ""


def _matching(timed: list[Side], against: str) -> list[Side]:
    if against == "best":
        return [s for s in timed if s.library != "pellucid"]
    return [s for s in timed if s.label.startswith(against)]


def _goal(goal: Goal, timed: list[Side]) -> str:
    ours, theirs = best(_matching(timed, "pellucid")), best(_matching(timed, goal.against))
    aim = f"{'the best peer' if goal.against == 'best' else goal.against}: {goal.factor:g} times as long as pellucid"
    if ours is None or theirs is None:
        return f"- Goal, {aim}: not measured."
    reached = median(theirs) / median(ours)
    return f"- Goal, {aim}: {reached:.2f} ({theirs.label} against {ours.label}), {_verdict(reached >= goal.factor)}."


def _limit(limit: Limit, timed: list[Side]) -> str:
    one = best(_matching(timed, f"pellucid {limit.configuration}"))
    other = best([s for s in timed if s.library == "pellucid" and s.configuration == limit.of])
    aim = f"pellucid {limit.configuration}: at most "
    aim += f"{limit.factor:g} s" if limit.of is None else f"{limit.factor:g} times pellucid {limit.of}"
    if one is None or (limit.of is not None and other is None):
        return f"- Goal, {aim}: not measured."
    reached = median(one) / (1.0 if other is None else median(other))
    return f"- Goal, {aim}: {reached:.3g}, {_verdict(reached <= limit.factor)}."


def _peak_goal(share: float, timed: list[Side], peaks: list[Side]) -> str:
    ours, peak = best(_matching(timed, "pellucid")), _peak(peaks)
    if ours is None or not peak:
        return f"- Goal, {share:.0%} of the peak: not measured."
    reached = ours.work.flops / median(ours) / peak
    return f"- Goal, {share:.0%} of the peak: {reached:.0%}, {_verdict(reached >= share)}."


def _verdict(reached: bool) -> str:
    return "reached" if reached else "**not reached**"


def heading(rounds: int) -> str:
    """What holds for all sections."""
    return f"""## Benchmarks

{machine()}; float32. {rounds} rounds, each side once a round, in turn.

- Each configuration ran in a process of its own, started from the same weights and saw the same rows in the same order;
  the losses, computed from the weights in float64, agree. "1t" and "2t" are threads. Variables that restrict kernels
  (OPENBLAS_CORETYPE and the like) were removed for all sides.
- Rounds in which other processes had more than {FOREIGN:.0%} of the machine are not counted; `~` marks a side with
  fewer than {CLEAN} others, of which all count. The ratio is that of the medians to pellucid's best configuration.
- The peak is the best round of NumPy's own products, on one or on two threads, in the same race.
- pellucid's `fit` is a whole call of `pellucid.fit` without metrics or checks, timed over the second half of its epochs
  as its history tells them, shuffling included; `whole` is that call from start to end; `step` and `eager` are loops
  over batches. Peers are given the order of the rows for nothing, and are timed after compiling.
- `last` has the channels of pictures last in memory, `scan` compiles the loop over the batches too, and `script` is a
  traced and frozen network.
"""


def machine() -> str:
    """Processor, cores, Python and NumPy: what a figure is worth nothing without."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}"
