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
from pellucid.compiler.record import Recorded
from pellucid.compiler.step import Compiled, Run
from pellucid.compiler.threads import Busy
from pellucid.compiler.tiers import Unsupported, native_wanted
from pellucid.core.same import Same
from pellucid.core.spec import Spec
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
        ahead : whether all rows are looked at before the first step, in place of each batch before its own
        whole : whether every batch is the whole of the data, in its order
    Attributes
        batch_size : rows a step
        whole : as it was given
        order : the rows that `begin` was given
        outputs : for each Tensor that the function returns, what it was at every step since `begin`, shape (steps, ...)
    """

    def __init__(
        self,
        compiled: Compiled,
        data: Sequence[Array],
        batch_size: int,
        programs: Programs | None = None,
        ahead: bool = True,
        whole: bool = False,
    ) -> None:
        self._programs = Programs() if programs is None else programs
        kept = self._programs.looked_at
        self._looked_at: set[tuple[Same, ...]] = set() if kept is None else kept
        self._compiled, self._data, self.batch_size = compiled, list(data), batch_size
        self._ahead, self.whole = ahead, whole
        self._example = tuple([wrap(d[:batch_size]) for d in data])
        self._plans: dict[tuple[int, bool], EpochPlan | None] = {}
        self.order, self._steps = np.zeros(0, np.int64), 0
        self._busy: Busy | None = None
        self.outputs: list[Array] = []

    def usable(self) -> bool:
        """Whether the step can be recorded and no gradient waits for it; if not it runs as it is, in Python."""
        return self._usable() is not None

    def already(self, steps: int) -> None:
        """Count steps that were done before."""
        self._compiled.size_of(self._example).calls += steps

    def begin(self, order: Array, steps: int) -> None:
        """Start on an order of rows, of which the first `steps` batches will be used; of whole batches one will do."""
        self.order, self._steps = np.ascontiguousarray(order, np.int64), steps
        self.outputs = []

    def advance(
        self, first: int, last: int, after_each: Callable[[], None] | None = None, recording: Run | None = None
    ) -> int:
        """Do steps first up to, not including, last.

        Parameters
            after_each : done after every step: it may change settings, such as the learning rate
            recording : that which holds now, where it is known
        Returns
            int: the first step that is left; not `last` where it is not usable any more, or returns something else
        """
        while first < last and (run := recording or self._usable()) is not None:
            first, recording = self._some(run, first, last, after_each), None
        return first

    def recording(self) -> Run | None:
        """The recording that holds now; None where steps run as they are."""
        return self._usable()

    def snapshot(self, recording: Run | None) -> list[tuple[Tensor, Array]]:
        """All state that a step changes, as it is now, by the recording that holds."""
        if recording is None or recording.recorded is None:
            return []
        graph = recording.recorded.graph
        targets = {target.id for target, _ in graph.updates}
        return [(c.tensor, c.tensor.data.copy(order="K")) for c in graph.captured if c.value.id in targets]

    def _usable(self) -> Run | None:
        """The recording that holds now, if it can be used for steps in a row and returns what those before did."""
        run = self._compiled.run_for(self._example, {})[1]
        found = run.recorded
        if found is None or found.given:
            return None
        given = [(a.shape[1:], a.dtype) for a in self.outputs]
        return None if given and given != [(spec.shape, spec.dtype) for spec in _returned(found)] else run

    def _some(self, run: Run, first: int, last: int, after_each: Callable[[], None] | None) -> int:
        """Steps from `first` on while the same recording holds; returns the first one that is left."""
        found = run.recorded
        assert found is not None
        found.ran(self._example)
        if not self.outputs:
            self.outputs = [np.empty((self._steps, *spec.shape), spec.dtype) for spec in _returned(found)]
        if any([look.moves for look in run.looks]):
            last = first + 1
        self._look(run, first, last)
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
        self._compiled.called(run, end - first)
        plan = self._plan(run)
        if plan is None:
            self._one_by_one(run, first, end, values)
        else:
            self._at_once(plan, first, end, values)
        return end

    def _plan(self, run: Run) -> EpochPlan | None:
        """The machine code for many steps; None where there is none and steps are done one by one."""
        key = (id(run), run.rare)
        if key not in self._plans:
            self._plans[key] = self._made(run)
        return self._plans[key]

    def _made(self, run: Run) -> EpochPlan | None:
        found = run.recorded
        assert found is not None
        if run.rare or not native_wanted():
            return None
        from pellucid.compiler.native_plan import EpochPlan

        try:
            prepared = self._programs.of(found.graph, [t for t, _ in found.settings], self.whole)
            return EpochPlan(found.graph, prepared, self._data)
        except Unsupported:
            return None

    def _at_once(self, plan: EpochPlan, first: int, last: int, values: list[Array]) -> None:
        plan.begin(self.order, self.outputs, values)
        if self._busy is None:
            self._busy = plan.busy()
        while first < last:
            end = first + self._busy.steps(last - first)
            start = time.perf_counter()
            plan.run(first, end, self._busy.threads)
            seconds = time.perf_counter() - start
            if seconds > _TELLING_S or end < last:
                self._busy.took(seconds / (end - first))
            first = end

    def _one_by_one(self, run: Run, first: int, last: int, values: list[Array]) -> None:
        found = run.recorded
        assert found is not None
        for step in range(first, last):
            for array, (tensor, _) in zip(values, found.settings, strict=True):
                tensor.data[...] = array[step]
            results = run.plan.run(self._batch(step))
            for kept, result in zip(self.outputs, results, strict=True):
                kept[step] = result

    def _look(self, run: Run, first: int, last: int) -> None:
        """Look at rows as the function looks at a batch: at all of them once, or at those of the steps to come, as
        also where captured tensors have a say, which may have changed since."""
        found, size = run.recorded, self.batch_size
        assert found is not None
        now = [look for look in run.looks if look.captures or not self._ahead]
        for step in range(first, last) if now else ():
            batch = self._batch(step)
            for look in now:
                if look.inputs or step == first:
                    look(batch)
        if not self._ahead:
            return
        looked = tuple(map(Same, (found.graph.expectations, *self._data)))
        if looked in self._looked_at:
            return
        rows = len(self._data[0])
        for look in [look for look in run.looks if not look.captures]:
            for start in range(0, rows - size + 1, size):
                look([d[start : start + size] for d in self._data])
            look([d[rows - size :] for d in self._data])
        self._looked_at.add(looked)

    def _batch(self, step: int) -> list[Array]:
        """The rows of a step."""
        if self.whole:
            return self._data
        rows = self.order[step * self.batch_size : (step + 1) * self.batch_size]
        return [d.take(rows, axis=0) for d in self._data]


def _returned(found: Recorded) -> list[Spec]:
    """The Tensors that a step returns."""
    return [leaf.spec for leaf in leaves(found.graph.outputs) if isinstance(leaf, Value)]
