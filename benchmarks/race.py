"""Sides come in; each has been timed once a round, in turn, when `race` returns, and has done the same work as the
others, or says why not.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.kinds import Product, Workload
from benchmarks.processes import NoAnswerError, Side
from benchmarks.side import workload

PAUSE_S = 0.05
"""Between one side and the next, so that the threads of one have gone to sleep."""

TRIALS = 5
"""How often a round may be made longer, until it fills its time."""


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
    """
    try:
        for side in sides:
            with _failing(side):
                _prepare(side, seconds)
                side.say("ready")
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
    side.epochs = max(2, first)
    for _ in range(TRIALS):
        # Once for what compiles when it sees so many epochs, and once for the clock.
        side.round(0, side.epochs)
        side.round(0, side.epochs)
        took = side.latest_s
        if took >= seconds / 2:
            break
        epochs, size = math.ceil(side.epochs * min(seconds / took, 50)), side.work.call_epochs
        side.epochs = epochs if epochs <= size else math.ceil(epochs / size) * size


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
        side.fail(str(problem))


def agree(sides: list[Side]) -> None:
    """Leave out who did not do the same work: whose value differs by more than the workload's tolerance from the middle
    one of all."""
    told = [(side, side.value) for side in sides if side.value is not None and not isinstance(side.work, Product)]
    finite = [value for _, value in told if math.isfinite(value)]
    middle = statistics.median_low(finite) if finite else math.nan
    for side, value in told:
        if not abs(value - middle) <= side.work.tolerance * max(abs(middle), 1e-3):
            side.fail(f"not the same work: its loss is {value:.6g}, that of the others {middle:.6g}")
