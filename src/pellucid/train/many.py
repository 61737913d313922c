"""Several networks come in, with data and options that they share or that each has for itself; they leave trained side
by side, each as `fit` would train it. Called by users.

Each thread takes the next network and trains it on its own; machine code runs without Python's lock.
"""

from __future__ import annotations

import contextvars
import inspect
import itertools
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from pellucid._text import text
from pellucid._typing import Array
from pellucid.compiler.threads import get_num_threads, limited
from pellucid.core.check import Options, checked, shown, unknown_argument
from pellucid.core.rng import default_generator, own_draws
from pellucid.errors import ArgumentError, ArgumentTypeError, _asked_from, user_frame
from pellucid.optim import Optimizer
from pellucid.train.callbacks import Callback
from pellucid.train.fit import fit
from pellucid.train.history import History
from pellucid.train.interrupt import on_interrupt
from pellucid.train.progress import Lines, Live, Plain, Silent, duration, is_terminal, rounded
from pellucid.train.run import Run
from pellucid.train.together import Member, Together, together

_LOOK_S = 0.1


@checked(verbose=Options(0, 1))
def fit_many(
    models: Iterable[Any],
    data: Any = None,
    *,
    each: Iterable[Mapping[str, Any]] | None = None,
    verbose: int = 1,
    **options: Any,
) -> list[History]:
    """Train several networks side by side, one on each thread; `set_num_threads` says how many.

    Each is trained as by a compiled `fit` alone, to the last bit, whatever the number of threads. Networks of one
    structure share what is made ready for training, so that many small ones cost little more than their steps. A run
    that is too short to be compiled alone is compiled here where all together are long enough; it then agrees with
    `fit` alone to rounding.

    What steps draw (dropout) comes, for each network, from where the default generator stands at the call, as if it
    were trained first; afterwards it stands where the one that drew most left it.

    Parameters
        models : networks, which have no parameters or buffers in common
        data : as for `fit`, for all networks that `each` gives no data of their own
        each : for each network a dict of options of `fit` that are its own, such as {"seed": 1, "optimizer": "adam"}
        verbose : 0 nothing; 1 one line for all
        options : those of `fit`, for all. Optimizers, schedules and callbacks that are objects already, and
            checkpoints, belong to one network; name them in `each`, or give a function that makes them
    Returns
        list of History: one for each network, in their order
    Raises
        ArgumentError, ArgumentTypeError: networks or options that cannot be trained side by side.
        and what `fit` raises: an error of one network does not stop the others. When all have ended, the first
            network's error is raised; it has its number as `model_number`, and all histories as `histories`.
    Notes
        Ctrl-C ends all after their running steps. Networks whose turn had not come have a history of no epochs.
    Examples
        >>> import pellucid as pl
        >>> nets = [pl.nn.Linear(2, 1) for _ in range(3)]
        >>> data = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [[1.0], [2.0], [3.0]]
        >>> histories = pl.fit_many(nets, data, loss="mse", optimizer="sgd", epochs=2, verbose=0)
        >>> [len(h) for h in histories]
        [2, 2, 2]
    """
    nets = _networks(models)
    plans = _plans(nets, data, each, options)
    _refuse_shared(nets, plans)
    if not nets:
        return []
    company = _Company(nets, plans)
    lines = _progress(verbose)
    lines.begin(company)
    with on_interrupt(company.interrupt):
        company.train(lines)
    lines.end(company)
    return company.outcome()


class _Company:
    """The networks that are trained, and how far they are.

    Attributes
        runs : those that have begun
        done : how many have ended
        history : why all ended early, if so
    """

    def __init__(self, nets: list[Any], plans: list[dict[str, Any]]) -> None:
        self.nets, self.plans = nets, plans
        self.runs: list[Run] = []
        self.done = 0
        self.history = History()
        self._shared = Together()
        shapes = [tuple(p.shape for p in net.parameters()) for net in nets]
        counts = Counter(shapes)
        self._alike = [counts[s] for s in shapes]
        self._histories = [History() for _ in nets]
        self._errors: dict[int, BaseException] = {}
        self._draws: list[Array] = []
        self._next = itertools.count().__next__
        self._ended = threading.Condition()

    def train(self, lines: Any) -> None:
        """Train all; returns when all have ended."""
        threads = min(get_num_threads(), len(self.nets))
        each = max(1, get_num_threads() // threads)
        draws, frame = default_generator.get_state(), user_frame()
        for n in range(threads):
            work = contextvars.copy_context().run
            name = f"pellucid-fit-{n + 1}"
            threading.Thread(target=work, args=(self._work, each, draws, frame), name=name, daemon=True).start()
        self._working = threads
        while True:
            try:
                with self._ended:
                    while self.done < len(self.nets):
                        self._ended.wait(_LOOK_S)
                        lines.batch(self)
                break
            except KeyboardInterrupt:
                if self.history.stopped_by is not None:
                    raise
                self.interrupt()
        default_generator.set_state(max(self._draws, key=lambda state: int(state[1]), default=draws))

    def _work(self, threads: int, draws: Array, frame: tuple[str, int] | None) -> None:
        """Train the next network while there is one; what each thread does."""
        with limited(threads), _asked_from(frame):
            while (n := self._next()) < len(self.nets):
                try:
                    if self.history.stopped_by is None:
                        self._one(n, draws)
                    else:
                        self._histories[n].stopped_by = "interrupt"
                except BaseException as error:  # raised again when all have ended
                    self._errors[n] = error
                with self._ended:
                    self.done += 1
                    self._ended.notify()

    def _one(self, n: int, draws: Array) -> None:
        member = Member(self._shared, _Told(self), self._alike[n])
        with together(member), own_draws(draws) as state:
            try:
                self._histories[n] = fit(self.nets[n], **self.plans[n])
            except BaseException as error:
                self._histories[n] = getattr(error, "history", self._histories[n])
                raise
            finally:
                self._draws.append(state.data)

    def began(self, run: Run) -> None:
        """A run is about to make its first step."""
        self.runs.append(run)
        if self.history.stopped_by is not None:
            run.stop("interrupt")

    def interrupt(self) -> None:
        """End all after their running steps."""
        self.history.stopped_by = "interrupt"
        for run in list(self.runs):
            run.stop("interrupt")

    def outcome(self) -> list[History]:
        """The histories of all, or the first error."""
        if not self._errors:
            return self._histories
        number = min(self._errors)
        error: Any = self._errors[number]
        error.model_number, error.histories = number, self._histories
        error.add_note(text("train.many-failed", number=number, failed=len(self._errors), count=len(self.nets)))
        raise error


class _Told(Silent):
    """Hears of a run when it begins."""

    def __init__(self, company: _Company) -> None:
        self._company = company

    def begin(self, run: Run) -> None:
        """It has begun."""
        self._company.began(run)


# What is asked for


def _networks(models: Any) -> list[Any]:
    """The networks as a list.

    Raises
        ArgumentTypeError: one network, or nothing that holds several.
    """
    from pellucid.nn import Module

    if isinstance(models, Module) or not isinstance(models, Iterable):
        one = isinstance(models, Module)
        raise ArgumentTypeError(
            "train.many-models",
            value="one network" if one else shown(models),
            type=type(models).__name__,
            suggestion="fit(model, data, ...)" if one else None,
        )
    return list(models)


def _plans(nets: list[Any], data: Any, each: Any, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The arguments of `fit` for each network."""
    if each is not None and (isinstance(each, Mapping | str) or not isinstance(each, Iterable)):
        raise ArgumentTypeError("train.many-each-type", value=shown(each), type=type(each).__name__)
    own = [{} for _ in nets] if each is None else list(each)
    if len(own) != len(nets) or not all(isinstance(o, Mapping) for o in own):
        raise ArgumentError("train.many-each", given=len(own), models=len(nets))
    names = [name for name in inspect.signature(fit).parameters if name not in ("model", "verbose")]
    for name in itertools.chain(options, *own):
        if name not in names:
            raise unknown_argument("fit_many", name, names)
    return [{"data": data, **options, **o, "verbose": 0} for o in own]


def _refuse_shared(nets: list[Any], plans: list[dict[str, Any]]) -> None:
    """Refuse what two networks would both change: parameters, buffers, optimizers, schedules, callbacks, checkpoints.

    Raises
        ArgumentTypeError: something is no network.
        ArgumentError: two networks have it.
    """
    from pellucid.nn import Module

    owner: dict[Any, int] = {}
    for n, (net, plan) in enumerate(zip(nets, plans, strict=True)):
        if not isinstance(net, Module):
            raise ArgumentTypeError("train.model-type", value=shown(net), type=type(net).__name__)
        things = [("parameters", id(p), type(net).__name__) for p in {id(p): p for p in net.parameters()}.values()]
        things += [("buffers", id(b), type(net).__name__) for b in {id(b): b for b in net.buffers()}.values()]
        for name in ("optimizer", "schedule", "callbacks"):
            things += [(name, id(x), shown(x)) for x in _kept(plan.get(name))]
        if plan.get("checkpoint") is not None:
            things.append(("checkpoint", os.path.abspath(plan["checkpoint"]), repr(str(plan["checkpoint"]))))
        for name, key, value in things:
            if owner.setdefault((name, key), n) != n:
                suggestion = f'each=[{{"{name}": ...}}, ...]' if name not in ("parameters", "buffers") else None
                facts = {"value": value, "first": owner[name, key], "second": n}
                raise ArgumentError("train.many-shared", name=name, **facts, suggestion=suggestion)


def _kept(value: Any) -> list[Any]:
    """The objects in an option that remember something from step to step."""
    items = value if isinstance(value, list | tuple) else [value]
    return [x for x in items if isinstance(x, Optimizer | Callback) or hasattr(x, "step")]


# The line


class _Words(Lines):
    """How far all are."""

    def line(self, run: Any) -> str:
        """Networks done, speed, time left."""
        elapsed = max(self.clock() - self.start, 1e-9)
        runs, models = list(run.runs), len(run.nets)
        rows = sum(r.samples for r in runs)
        share = run.done + sum(r.samples / r.samples_total for r in runs if r.history.stopped_by is None)
        parts = [text("train.line-models", done=run.done, models=models)]
        if rows:
            parts.append(text("train.line-speed", speed=rounded(rows / elapsed)))
        if 0 < share < models and run.history.stopped_by is None:
            parts.append(text("train.line-left", time=duration(elapsed / share * (models - share))))
        else:
            parts.append(text("train.line-took", time=f"{elapsed:.1f} s" if elapsed < 10 else duration(elapsed)))
        return "  ".join(parts)


class _Live(_Words, Live):
    """One line on a terminal."""


class _Plain(_Words, Plain):
    """Plain lines elsewhere."""


def _progress(verbose: int, stream: TextIO | None = None, clock: Any = time.perf_counter) -> Any:
    stream = sys.stdout if stream is None else stream
    if not verbose or stream is None:
        return Silent()
    return _Live(stream, clock) if is_terminal(stream) else _Plain(stream, clock=clock)
