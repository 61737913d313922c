"""Whole epochs of a compiled step: data in memory and an order of its rows come in; many steps are done in one call,
and what each step returned leaves. Called by `fit`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pellucid._typing import Array
from pellucid.compiler.programs import Programs
from pellucid.compiler.step import Compiled, Run
from pellucid.compiler.threads import Busy
from pellucid.compiler.tiers import native_wanted
from pellucid.core.same import Same
from pellucid.core.tensor import Tensor, wrap
from pellucid.graph.ir import Value, leaves

if TYPE_CHECKING:
    from pellucid.compiler.native_plan import EpochPlan

# A shorter run says nothing of how long a step takes: it has just called the other threads.
_TELLING_S = 1e-3


class Epochs:
    """Steps of a compiled function on batches of data, in an order of rows.

    Parameters
        compiled : takes a batch of each of the arrays, in their order
        data : arrays of as many rows, kept as they are, in memory without gaps
        batch_size : rows a step; the rows that are left over belong to the caller
        programs : of steps that may be alike; None: of this one alone
    Attributes
        outputs : for each Tensor that the function returns, what it was at every step since `begin`, shape (steps, ...)
    """

    def __init__(
        self, compiled: Compiled, data: Sequence[Array], batch_size: int, programs: Programs | None = None
    ) -> None:
        self._programs = Programs() if programs is None else programs
        self._compiled, self._data, self._batch = compiled, list(data), batch_size
        self._example = tuple([wrap(d[:batch_size]) for d in data])
        self._plans: dict[int, EpochPlan | None] = {}
        self._order = np.zeros(0, np.int64)
        self._busy: Busy | None = None
        self.outputs: list[Array] = []

    def usable(self) -> bool:
        """Whether the step can be recorded; if not it runs as it is, in Python."""
        found = self._run().recorded
        return found is not None and not found.given

    def begin(self, order: Array, steps: int) -> None:
        """Start on an order of rows, of which the first `steps` batches will be used."""
        found = self._run().recorded
        assert found is not None
        self._order = np.ascontiguousarray(order, np.int64)
        specs = [leaf.spec for leaf in leaves(found.graph.outputs) if isinstance(leaf, Value)]
        self.outputs = [np.empty((steps, *spec.shape), spec.dtype) for spec in specs]

    def advance(self, first: int, last: int, after_each: Callable[[], None] | None = None) -> None:
        """Do steps first up to, not including, last.

        Parameters
            after_each : done after every step: it may change settings, such as the learning rate
        """
        while first < last:
            first = self._some(first, last, after_each)

    def snapshot(self) -> list[tuple[Tensor, Array]]:
        """All state that a step changes, as it is now."""
        found = self._run().recorded
        assert found is not None
        targets = {target.id for target, _ in found.graph.updates}
        return [(c.tensor, c.tensor.data.copy(order="K")) for c in found.graph.captured if c.value.id in targets]

    def _run(self) -> Run:
        return self._compiled.run_for(self._example, {})[1]

    def _some(self, first: int, last: int, after_each: Callable[[], None] | None) -> int:
        """Steps from `first` on while the same recording holds; returns the first one that is left."""
        run = self._run()
        found = run.recorded
        assert found is not None
        found.ran(self._example)
        self._check(run)
        actions = [*found.before, *found.after, *([after_each] if after_each else [])]
        values = [np.empty(last, t.data.dtype) for t, _ in found.settings]
        end = first
        while end < last and (end == first or found.guards.hold(self._example)):
            for action in found.before:
                action()
            for array, (_, setting) in zip(values, found.settings, strict=True):
                array[end if actions else slice(first, last)] = setting.read()
            for action in found.after:
                action()
            if after_each is not None:
                after_each()
            end = end + 1 if actions else last
        plan = self._plan(run)
        if plan is None:
            self._one_by_one(run, first, end, values)
        else:
            self._at_once(plan, first, end, values)
        return end

    def _plan(self, run: Run) -> EpochPlan | None:
        """The machine code for many steps; None where there is none and steps are done one by one."""
        if id(run) not in self._plans:
            self._plans[id(run)] = self._made(run)
        return self._plans[id(run)]

    def _made(self, run: Run) -> EpochPlan | None:
        found = run.recorded
        assert found is not None
        if not native_wanted():
            return None
        from pellucid.compiler.native_plan import EpochPlan, Unsupported

        try:
            prepared = self._programs.of(found.graph, [t for t, _ in found.settings])
            return EpochPlan(found.graph, prepared, self._data)
        except Unsupported:
            return None

    def _at_once(self, plan: EpochPlan, first: int, last: int, values: list[Array]) -> None:
        plan.begin(self._order, self.outputs, values)
        if self._busy is None:
            self._busy = Busy(plan.threads)
        start = time.perf_counter()
        plan.run(first, last, self._busy.threads)
        seconds = time.perf_counter() - start
        if seconds > _TELLING_S:
            self._busy.took(seconds / (last - first))

    def _one_by_one(self, run: Run, first: int, last: int, values: list[Array]) -> None:
        found = run.recorded
        assert found is not None
        for step in range(first, last):
            rows = self._order[step * self._batch : (step + 1) * self._batch]
            for array, (tensor, _) in zip(values, found.settings, strict=True):
                tensor.data[...] = array[step]
            results = run.plan.run([d.take(rows, axis=0) for d in self._data])
            for kept, result in zip(self.outputs, results, strict=True):
                kept[step] = result

    def _check(self, run: Run) -> None:
        """Look at all rows as the function looks at a batch, once."""
        found = run.recorded
        assert found is not None
        looked = tuple(map(Same, (found.graph.expectations, *self._data)))
        if looked in self._programs.looked_at:
            return
        rows = len(self._data[0])
        for look in run.looks:
            for start in range(0, rows - self._batch + 1, self._batch):
                look([d[start : start + self._batch] for d in self._data])
            look([d[rows - self._batch :] for d in self._data])
        self._programs.looked_at.add(looked)
