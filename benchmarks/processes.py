"""The parent's end of a side's process: starts it with the environment that its configuration asks for, asks it for
rounds, and says in one line why there is no answer. Used by `race.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.digits import FOLDER
from benchmarks.kinds import Workload

ROOT = Path(__file__).parents[1]

CORES = os.cpu_count() or 1

REMOVED = tuple("OPENBLAS_ GOTO_ OMP_ GOMP_ KMP_ MKL_ XLA_ JAX_ TORCH PELLUCID_ PYTHONDONTWRITE".split())
"""Beginnings of variables that no side inherits: they restrict kernels or threads, or move caches."""


class NoAnswerError(RuntimeError):
    """A side could not do its work; the message says why."""


def environment(work: Workload, library: str, configuration: str, cache: Path) -> dict[str, str]:
    """The variables of a side's process: threads as its configuration says, compiled code kept in `cache`."""
    _, threads, *rest = configuration.split("-")
    result = {k: v for k, v in os.environ.items() if not k.startswith(REMOVED)}
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PELLUCID_NUM_THREADS"):
        result[name] = threads[:-1]
    result["JAX_PLATFORMS"] = "cpu"
    if threads == "1t":
        result |= {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false", "NPROC": "1"}
    result |= {"PELLUCID_CACHE": str(cache / "pellucid"), "TORCHINDUCTOR_CACHE_DIR": str(cache / "torch")}
    if "cached" in rest:
        result |= {"JAX_COMPILATION_CACHE_DIR": str(cache / "jax"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        result["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    paths = [str(ROOT), str(ROOT / "src"), *filter(None, [result.get("PYTHONPATH")])]
    result["PYTHONPATH"] = os.pathsep.join(paths)
    if library == "pellucid":
        # A round is short: left alone, `fit` would not compile for it.
        result |= {"PELLUCID_COMPILE": "llvm", **work.environment}
    return result


def busy_s() -> float | None:
    """Processor time, in seconds, that all processes of the machine have had since it started; None where the system
    does not tell."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _idle, _wait, *rest = (int(word) for word in file.readline().split()[1:])
    except (OSError, ValueError):
        return None
    # Interrupts and what the host takes; guests are counted in `user` already.
    return (user + nice + system + sum(rest[:3])) / float(os.sysconf("SC_CLK_TCK"))


def group_s(group: int) -> float:
    """The same for the processes of one group, with those that they have waited for."""
    total = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in brackets, may hold anything; after it come state, parent and group.
            words = file.read_text().rpartition(")")[2].split()
            if int(words[2]) == group:
                total += sum(int(word) for word in words[11:15])
    return total / float(os.sysconf("SC_CLK_TCK"))


@dataclass
class Side:
    """One library's side of one workload in one configuration."""

    work: Workload
    name: str
    library: str
    configuration: str
    folder: Path
    seconds: list[float] = field(default_factory=list)
    """A step's time, one a round; a whole process's, where the workload is one of fresh processes."""
    foreign: list[float] = field(default_factory=list)
    """The share of the machine that others had meanwhile, one a round."""
    version: str = ""
    value: float | None = None
    epochs: int = 1
    """Of a round."""
    latest_s: float = 0.0
    """What the latest round measured, in all."""
    notes: list[dict[str, Any]] = field(default_factory=list)
    """What else the process told in each round."""
    failure: str = ""
    process: subprocess.Popen[str] | None = None

    @property
    def label(self) -> str:
        return f"{self.library} {self.configuration}"

    def start(self, cache: Path | None = None) -> None:
        """Start the process; for a fresh one that is all there is to ask."""
        command = [sys.executable, "-m", "benchmarks.side", self.library, self.name, self.configuration]
        variables = environment(self.work, self.library, self.configuration, cache or self.folder)
        with (self.folder / "messages.txt").open("a", encoding="utf-8") as messages:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=variables | {FOLDER: str(self.folder)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages,
                text=True,
                process_group=0,
            )

    def answer(self) -> dict[str, Any]:
        """The next line of the process.

        Raises
            NoAnswerError: it told an error, or ended, or took too long.
        """
        assert self.process is not None
        assert self.process.stdout is not None
        timer = threading.Timer(self.work.patience_s, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        late = not timer.is_alive()
        timer.cancel()
        if not line:
            if late:
                raise NoAnswerError(f"no answer within {self.work.patience_s:g} s")
            raise NoAnswerError(f"the process ended with {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise NoAnswerError(answer["error"])
        self.version = answer.get("version", self.version)
        return answer

    def round(self, number: int, epochs: int, *, value: bool = False) -> tuple[float, float]:
        """Seconds a step, and the share of the machine that others had meanwhile."""
        assert self.process is not None
        assert self.process.stdin is not None
        others, start = self._others(), time.perf_counter()
        with contextlib.suppress(BrokenPipeError):  # `answer` says what has become of it
            self.process.stdin.write(json.dumps({"number": number, "epochs": epochs, "value": value}) + "\n")
            self.process.stdin.flush()
        answer = self.answer()
        self.value = answer.get("value", self.value)
        self.latest_s = answer["seconds"]
        machine_s = (time.perf_counter() - start) * CORES
        return answer["seconds"] / answer["steps"], max(0.0, self._others() - others) / machine_s

    def _others(self) -> float:
        """Processor time that all other processes have had so far; 0 where the system does not tell."""
        busy = busy_s()
        if busy is None:
            return 0.0
        if self.process is not None:
            return busy - group_s(self.process.pid)
        # No process yet, or none any more: what it has had is then told of the processes that have ended.
        ended = os.times()
        return busy - ended.children_user - ended.children_system

    def whole_process(self, cache: Path) -> tuple[float, float]:
        """Seconds of a fresh process, its own figure if it has one, else from its start to its end; and the share of
        the machine that others had meanwhile."""
        others, start = self._others(), time.perf_counter()
        self.start(cache)
        try:
            answer = self.answer()
            assert self.process is not None
            self.process.wait()
            seconds = time.perf_counter() - start
        finally:
            self.end()
        self.notes.append(answer)
        self.value = answer.get("value", self.value)
        return float(answer.get("seconds", seconds)), max(0.0, self._others() - others) / (seconds * CORES)

    def fail(self, why: str) -> None:
        """Take no part any more."""
        self.failure = why
        self.say(f"left out: {why}")
        self.end()

    def say(self, what: str) -> None:
        """Progress goes where it does not mix with the tables."""
        print(f"{self.name}: {self.label}: {what}", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.process is not None:
            for pipe in (self.process.stdin, self.process.stdout):
                assert pipe is not None
                pipe.close()
            self.process.kill()
            self.process.wait()
            self.process = None
