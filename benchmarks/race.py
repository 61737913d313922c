"""Sides come in; each has been timed once a round, in turn, when `race` returns, and has done the same work as the
others, or says why not.
"""

from __future__ import annotations

import contextlib
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.kinds import Product, Workload
from benchmarks.processes import NoAnswerError, Side
from benchmarks.side import workload

PAUSE_S = 0.05
"""Between one side and the next, so that the threads of one have gone to sleep."""


class DisagreementError(RuntimeError):
    """Two libraries did not do the same work."""


def sides_of(name: str, work: Workload, libraries: list[str], folder: Path) -> list[Side]:
    """Those of the libraries that take part, pellucid first, and the products of matrices that tell the peak."""
    result = [
        Side(work, name, library, configuration, folder)
        for library in ["pellucid", *libraries]
        for configuration in work.sides.get(library, ())
    ]
    if work.flops and not work.fresh:
        result += [
            Side(workload("product"), "product", "numpy", configuration, folder)
            for configuration in workload("product").sides["numpy"]
        ]
    return result


def race(sides: list[Side], rounds: int, seconds: float) -> None:
    """Time all sides in turn. One that fails is left out of the rest, with its reason as `failure`.

    Parameters
        rounds : how often each is timed
        seconds : how long one round of one side should take at least
    Raises
        DisagreementError: two did not do the same work.
    """
    try:
        for side in sides:
            with _failing(side):
                _prepare(side, seconds)
                say(f"{side.label}: ready")
        agree(sides)
        for number in range(1, rounds + 1):
            # Every other round backwards, so that no side always follows the same one.
            for side in sides if number % 2 else sides[::-1]:
                if not side.failure:
                    with _failing(side):
                        _timed(side, number)
                    time.sleep(PAUSE_S)
    finally:
        for side in sides:
            side.end()


def _prepare(side: Side, seconds: float) -> None:
    """The round that all agree on, and as many epochs a round as fill its time."""
    if side.work.fresh:
        # What a first process leaves behind for a second one, and bytecode for both.
        side.whole_process(side.folder)
        side.notes.clear()
        return
    side.start()
    side.answer()
    first = getattr(side.work, "epochs", 1)
    side.round(0, first, value=True)
    if side.work.fixed_epochs is not None:
        side.epochs = side.work.fixed_epochs
        return
    start = time.perf_counter()
    side.round(0, first)
    epochs = max(2, math.ceil(seconds * first / max(time.perf_counter() - start, 1e-6)))
    size = side.work.call_epochs
    side.epochs = epochs if epochs <= size else math.ceil(epochs / size) * size
    # A library that compiles for so many epochs a call does so here.
    side.round(0, side.epochs)


def _timed(side: Side, number: int) -> None:
    if not side.work.fresh:
        took, foreign = side.round(number, side.epochs)
    elif "cold" in side.configuration:
        with tempfile.TemporaryDirectory() as empty:
            took, foreign = side.whole_process(Path(empty))
    else:
        took, foreign = side.whole_process(side.folder)
    side.seconds.append(took)
    side.foreign.append(foreign)


@contextlib.contextmanager
def _failing(side: Side) -> Iterator[None]:
    try:
        yield
    except NoAnswerError as problem:
        side.failure = str(problem)
        say(f"{side.label}: left out: {problem}")
        side.end()


def agree(sides: list[Side]) -> None:
    """Refuse a race between different things.

    Raises
        DisagreementError: two sides of one workload have values that differ by more than its tolerance.
    """
    values = {side.label: side.value for side in sides if side.value is not None and not isinstance(side.work, Product)}
    if not values:
        return
    first = next(iter(values.values()))
    for label, value in values.items():
        if not abs(value - first) <= sides[0].work.tolerance * max(abs(first), 1e-3):
            raise DisagreementError(f"{label} has {value:.6g}, not {first:.6g}: {values}")


def say(line: str) -> None:
    """Progress goes where it does not mix with the tables."""
    print(line, file=sys.stderr, flush=True)
