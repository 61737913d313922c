"""One library's side of one workload, in a process of its own: `python -m benchmarks.side LIBRARY WORKLOAD
CONFIGURATION`. Requests come in on standard input, answers leave on standard output, each one line of JSON; started and
asked by `processes.py`.

The processes of one race are asked in turn, never two at once, and wait at their pipes meanwhile, so that the threads
of one library do not spin while another one is timed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any, Protocol

from benchmarks.kinds import Workload

SPIN = "while True: pass"


class Runner(Protocol):
    """A workload, ready to run with one library. What it prints goes to standard error."""

    def round(self, number: int, epochs: int) -> tuple[float, int]:
        """Seconds, and the steps that were done in them; what is drawn depends on the round's number alone."""
        ...

    def value(self) -> float:
        """What all sides must agree on, after the rounds so far."""
        ...


def workload(name: str) -> Workload:
    """The workload of a file in `workloads/`."""
    return importlib.import_module(f"benchmarks.workloads.{name}").WORKLOAD  # type: ignore[no-any-return]


def main() -> int:
    library, name, configuration = sys.argv[1:]
    method, threads, *rest = configuration.split("-")
    # What a library prints must not come between the answers.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)

        def answer(**what: Any) -> None:
            answers.write(json.dumps(what) + "\n")
            answers.flush()

        try:
            work = workload(name)
            if work.fresh:
                answer(**_fresh(library, work, method, int(threads[:-1])))
                return 0
            side = importlib.import_module(f"benchmarks.{work.room}.{library}")
            runner: Runner = getattr(side, work.kind)(work, method, int(threads[:-1]))
            answer(version=side.VERSION)
            for line in sys.stdin:
                answer(**_round(runner, json.loads(line), busy="busy" in rest))
        except Exception as error:
            traceback.print_exc()
            answer(error=f"{type(error).__name__}: {error}".splitlines()[0].rstrip("."))
            return 1
    return 0


def _round(runner: Runner, request: dict[str, Any], busy: bool) -> dict[str, Any]:
    with _other_work() if busy else contextlib.nullcontext():
        seconds, steps = runner.round(request["number"], request["epochs"])
    result = {"seconds": seconds, "steps": steps}
    if request["value"]:
        result["value"] = runner.value()
    return result


@contextlib.contextmanager
def _other_work() -> Iterator[None]:
    """Another process that takes all it can get of one processor, the last one where the system can say so."""
    process = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
        time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


def _fresh(library: str, work: Workload, method: str, threads: int) -> dict[str, Any]:
    """All that a fresh process is for, done once. For a first step the library's own import is timed by itself."""
    start = time.perf_counter()
    side = importlib.import_module(f"benchmarks.{work.room}.{library}")
    imported = time.perf_counter() - start
    if work.kind == "reach":
        return {"version": side.VERSION, **side.reach(work, method, threads)}
    # The data are there before the clock starts, and a first import of what makes them.
    work.data  # type: ignore[attr-defined]  # noqa: B018
    start = time.perf_counter()
    runner = getattr(side, "train_network" if work.kind == "compile_network" else "train")(work, method, threads)
    if work.kind == "compile_network":
        start = time.perf_counter()
    runner.round(0, 1)
    seconds = time.perf_counter() - start
    return {"version": side.VERSION, "seconds": seconds, "import_s": imported, "value": runner.value()}


if __name__ == "__main__":
    sys.exit(main())
