"""Epochs of `fit` as compiled steps: the same step that a hand-written loop does is recorded once, and many are done in
one call. Control comes back often enough for progress lines, callbacks and Ctrl-C. Called by `loop`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.compiler.tiers import tier_wanted
from pellucid.core.check import shown
from pellucid.core.rng import default_generator
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import ModelError
from pellucid.train.alike import step_likeness
from pellucid.train.evaluate import output_of
from pellucid.train.loop import Seen, Step, clip, count_step, gradients, loss_of
from pellucid.train.nonfinite import Before
from pellucid.train.run import Run
from pellucid.train.together import member

# Control comes back after about so long.
_CHUNK_S = 0.04
# What recording and machine code cost is repaid by so much work: steps times what a step takes operation by operation.
_WORTH_S = 0.5
_STEP_S = 150e-6
_FLOPS = 3e10


def compiled_epochs(run: Run, step: Step, collects: bool) -> CompiledEpochs | None:
    """The epochs of a run as compiled steps; None where they are better done, or can only be done, operation by
    operation.

    Parameters
        collects : whether the outputs are wanted, for metrics
    """
    if tier_wanted() == "off" or step.accumulate > 1 or step.needs_closure:
        return None
    if step.weights is not None and not (step.weights > 0).all():
        return None
    if not os.environ.get("PELLUCID_COMPILE") and not _worth_it(run):
        return None
    if run.loader.batch_size > len(run.loader.data):
        return None
    found = CompiledEpochs(run, step, collects)
    run.model.train()
    return found if found.epochs.usable() else None


def _worth_it(run: Run) -> bool:
    """Whether the run is long enough, by its steps and weights alone: not by a clock, so that it repeats to the bit."""
    weights = sum(p.data.size for p in run.model.parameters())
    steps = run.epochs * len(run.loader)
    one = member()
    alike = 1 if one is None else one.alike
    return alike * steps * (_STEP_S + 6 * weights * run.loader.batch_size / _FLOPS) > _WORTH_S


class CompiledEpochs:
    """The step of a run, compiled, and the data that it is done on."""

    def __init__(self, run: Run, step: Step, collects: bool) -> None:
        data: Any = run.loader.data
        arrays = [np.ascontiguousarray(data.x), np.ascontiguousarray(data.y)]
        if step.weights is not None:
            arrays.append(np.ascontiguousarray(step.weights))
        # Only a run that is worth compiling imports the compiler.
        from pellucid.compiler import Compiled
        from pellucid.compiler.epochs import Epochs

        self._arrays = arrays
        self._chunk, self._tell = 1, _nobody
        function, one = _step_function(run, step, collects), member()
        if one is None:
            self.epochs = Epochs(Compiled(function), arrays, run.loader.batch_size)
        else:
            shared, key = one.shared, step_likeness(run, step, collects)
            compiled = Compiled(function, partial(shared.programs.recorded, key))
            self.epochs = Epochs(compiled, arrays, run.loader.batch_size, shared.programs)
            self._chunk, self._tell = shared.chunks.get(key, 1), partial(shared.chunks.__setitem__, key)
        self.rows = 0

    def batches(
        self, run: Run, step: Step, seen: Seen, after_batch: Callable[[], None], one_by_one: bool = False
    ) -> bool:
        """Train on the batches of an epoch; False if the run was stopped.

        Parameters
            one_by_one : whether somebody wants to hear of every batch
        """
        loader = run.loader
        order, size = loader.order(run.epoch), loader.batch_size
        whole = len(loader.data) // size
        self.epochs.begin(order, whole)
        per_step = run.schedule.step if run.schedule is not None and run.schedule_every == "step" else None
        while run.batch < whole:
            first = run.batch
            last = min(first + (1 if one_by_one else self._chunk), whole)
            before = self._state(run)
            start = time.perf_counter()
            self.epochs.advance(first, last, per_step)
            self._take_up(time.perf_counter() - start, last - first)
            finite = np.isfinite(self.epochs.outputs[0][first:last].reshape(-1))
            if not finite.all():
                last = first + int(np.argmin(finite))
                before()
                self.epochs.advance(first, last, per_step)
            self._note(run, step, seen, order, first, last)
            if not finite.all():
                self._by_hand(run, step, seen, order)
            after_batch()
            if run.stopping is not None and run.batch < run.num_batches:
                return False
        if run.batch < run.num_batches:
            self._by_hand(run, step, seen, order)
            after_batch()
        return True

    def epochs_at_once(self, run: Run) -> list[float] | None:
        """The losses of several epochs, done in one call; None, with nothing done, if an epoch is long enough by
        itself, has a smaller last batch, or leaves a loss or a weight that is not finite."""
        loader = run.loader
        rows, steps = len(loader.data), len(loader)
        self.rows = steps * loader.batch_size
        epochs = min(self._chunk // steps, run.epochs - run.epoch)
        if epochs < 2 or (rows % loader.batch_size and not loader.drop_last):
            return None
        orders = [loader.order(run.epoch + n)[: self.rows] for n in range(epochs)]
        back = self._state(run)
        self.epochs.begin(np.concatenate(orders), epochs * steps)
        start = time.perf_counter()
        self.epochs.advance(0, epochs * steps)
        self._take_up(time.perf_counter() - start, epochs * steps)
        losses = self.epochs.outputs[0].reshape(epochs, steps)
        if not np.isfinite(losses).all() or not all(np.isfinite(p.data).all() for p in run.model.parameters()):
            back()
            return None
        run.history.steps += epochs * steps
        run.recent.extend(losses.reshape(-1)[-20:].tolist())
        run.loss_value = float(losses[-1, -1])
        seen = [Seen(getattr(run.loss, "reduction", "mean") == "sum", collects=False) for _ in range(epochs)]
        for epoch, values in zip(seen, losses, strict=True):
            epoch.add_all(values, loader.batch_size)
        return [epoch.loss for epoch in seen]

    def _take_up(self, seconds: float, steps: int) -> None:
        """Choose how many steps to do before control comes back, from what the latest took."""
        self._chunk = max(1, min(int(_CHUNK_S * steps / max(seconds, 1e-6)), 4 * steps))
        self._tell(self._chunk)

    def _note(self, run: Run, step: Step, seen: Seen, order: Array, first: int, last: int) -> None:
        """What steps first to last gave goes to the run and to the epoch's sums."""
        size = run.loader.batch_size
        values = self.epochs.outputs[0][first:last].reshape(-1)
        losses = values.tolist()
        if step.weights is None and not seen.collects:
            seen.add_all(values, size)
        else:
            for n, value in zip(range(first, last), losses, strict=True):
                rows = order[n * size : (n + 1) * size]
                amount = size if step.weights is None else float(step.weights[rows].sum())
                y_pred = self.epochs.outputs[1][n] if seen.collects else None
                seen.add(value, amount, y_pred, self._arrays[1][rows] if seen.collects else None)
        if last > first:
            run.recent.extend(losses[-20:])
            run.rows, run.loss_value = order[(last - 1) * size : last * size], losses[-1]
            run.batch, run.samples = last, run.samples + (last - first) * size
            run.history.steps += last - first

    def _state(self, run: Run) -> Callable[[], None]:
        """Remember all that a step changes; the function that is returned goes back to it."""
        arrays = self.epochs.snapshot()
        schedule = None if run.schedule is None else run.schedule.state_dict()
        options = [dict(group) for group in run.optimizer.param_groups]

        def back() -> None:
            for tensor, array in arrays:
                tensor.data[...] = array
            if run.schedule is not None:
                run.schedule.load_state_dict(schedule)
            for group, values in zip(run.optimizer.param_groups, options, strict=True):
                group.update(values)

        return back

    def _by_hand(self, run: Run, step: Step, seen: Seen, order: Array) -> None:
        """The next batch operation by operation: the smaller last one, or one whose loss is not finite, which is
        refused with the reason."""
        size = run.loader.batch_size
        run.rows = order[run.batch * size : (run.batch + 1) * size]
        x, y = (a.take(run.rows, axis=0) for a in self._arrays[:2])
        before = Before(wrap(x), wrap(y), list(run.model.buffers()), default_generator)
        weights = None if step.weights is None else step.weights[run.rows]
        y_pred, value = gradients(run, run.loss, before, weights, None)
        seen.add(value, len(x) if weights is None else float(weights.sum()), y_pred.data, y)
        run.recent.append(value)
        run.batch, run.samples = run.batch + 1, run.samples + len(x)
        clip(run, step)
        run.optimizer.step()
        count_step(run)


def _nobody(chunk: int) -> None:
    """Who wants to know how many steps are done at once where a run is alone."""


def _step_function(run: Run, step: Step, collects: bool) -> Callable[..., Any]:
    """The six lines of a hand-written loop, as a function of a batch."""
    model, criterion, optimizer = run.model, run.loss, run.optimizer

    def train_step(x: Tensor, y: Tensor, *weights: Tensor) -> Any:
        y_pred = output_of(model(x), len(x.data))
        loss = loss_of(criterion, y_pred, y, weights[0] if weights else None)
        if not isinstance(loss, Tensor) or loss.data.size != 1:
            raise ModelError("train.loss-value", value=shown(loss))
        loss.backward()
        clip(run, step)
        optimizer.step()
        return (loss, y_pred) if collects else (loss,)

    return train_step
