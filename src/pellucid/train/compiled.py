"""Epochs of `fit` as compiled steps: the same step that a hand-written loop does is recorded once, and many are done in
one call. Control comes back often enough for progress lines, callbacks and Ctrl-C. Called by `loop`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pellucid.compiler.threads import get_num_threads
from pellucid.compiler.tiers import tier_wanted
from pellucid.core.tensor import Tensor
from pellucid.train.alike import step_likeness, wholly_ours
from pellucid.train.loop import Seen, Step, batches, clip, not_held, output_and_loss
from pellucid.train.run import Run
from pellucid.train.together import member

if TYPE_CHECKING:
    from pellucid.compiler.epochs import Epochs
    from pellucid.compiler.programs import Programs
    from pellucid.compiler.record import Recorded

# Control comes back after about so long.
_CHUNK_S = 0.04
# After about so long the state is remembered anew, to which a step that turns out to be of no use is gone back.
_STATE_S = 0.5
# What recording and machine code cost for each parameter is repaid by so much work: steps times what a step takes
# operation by operation, for each parameter and for products.
_WORTH_S = 0.045
_PARAMETER_S = 80e-6
_FLOPS = 3e10
# Rows that are augmented at once.
_AT_A_TIME = 256
# Recordings that are kept for the next run that is alike.
_KEPT = 8
_latest: Programs | None = None


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
    # A kernel's weights are used at many places: how many is known only when it runs; a sixteenth of a row is a guess.
    data: Any = run.loader.data
    places, parameters = max(data.x[:1].size // 16, 1), list(run.model.parameters())
    weights = sum(p.data.size * (places if p.ndim > 2 else 1) for p in parameters)
    steps = run.epochs * len(run.loader)
    one = member()
    alike = 1 if one is None else one.alike
    step_s = _PARAMETER_S * len(parameters) + 6 * weights * run.loader.batch_size / _FLOPS
    return alike * steps * step_s > _WORTH_S * len(parameters)


class _State(NamedTuple):
    """The state before a step, and how to go back to it.

    until : the time from which it is too old.
    """

    part: Epochs
    recording: Any
    step: int
    until: float
    back: Callable[[], None]


class CompiledEpochs:
    """The step of a run, compiled, and the data that it is done on."""

    def __init__(self, run: Run, step: Step, collects: bool) -> None:
        data: Any = run.loader.data
        # An epoch's pictures are changed in a copy.
        x = np.ascontiguousarray(data.x) if run.loader.augmentation is None else np.array(data.x, order="C")
        arrays = [x, np.ascontiguousarray(data.y)]
        if step.weights is not None:
            arrays.append(np.ascontiguousarray(step.weights))
        # Only a run that is worth compiling imports the compiler.
        from pellucid.compiler import Compiled
        from pellucid.compiler.epochs import Epochs

        self._arrays = arrays
        self._chunk, self._tell = 1, _nobody
        size = run.loader.batch_size
        function, one = _step_function(run, step, collects), member()
        programs = _kept(run) if one is None else one.shared.programs
        compiled = Compiled(function, partial(_recorded, run, step, collects))
        if programs is not None:
            shapes = tuple([p.data.shape for p in run.model.parameters()])
            key = tier_wanted(), get_num_threads(), shapes, x.dtype, x.shape[1:], size, type(run.optimizer), collects
            # The machine may be slower than it was: not all at once.
            self._chunk = max(1, programs.chunk(key) // 4)
            self._tell = partial(programs.note_chunk, key)
        whole, left = divmod(len(data), size)
        # Rows that change are looked at when their turn comes; others that are all in one batch stay in their order.
        steady = not run.loader.changes
        self.epochs = Epochs(compiled, arrays, size, programs, ahead=steady, whole=steady and size == len(data))
        # The smaller last batch is one that the same function gets: it becomes machine code when it has come often.
        self._rest = None if run.loader.drop_last or not left else Epochs(compiled, arrays, left, programs, ahead=False)
        # A run that goes on from a checkpoint has come as far as one in one go.
        self.epochs.already(run.epoch * whole)
        if self._rest is not None:
            self._rest.already(run.epoch)
        self.rows = 0
        self._remembered: _State | None = None

    def batches(
        self, run: Run, step: Step, seen: Seen, after_batch: Callable[[], None], one_by_one: bool = False
    ) -> bool:
        """Train on the batches of an epoch; False if the run was stopped. From where the step cannot be used compiled,
        or a loss is not finite, the rest is done operation by operation.

        Parameters
            one_by_one : whether somebody wants to hear of every batch
        """
        order, size = run.loader.order(run.epoch), run.loader.batch_size
        whole = len(run.loader.data) // size
        self._augment(run)
        self._remembered = None
        self.epochs.begin(order, whole)
        while run.batch < whole:
            last = min(run.batch + (1 if one_by_one else self._chunk), whole)
            if not self._advance(run, step, seen, self.epochs, run.batch, last):
                return batches(run, step, seen, after_batch)
            after_batch()
            if one_by_one:  # who hears of a batch may have changed something
                self._remembered = None
            if run.stopping is not None and run.batch < run.num_batches:
                return False
        if self._rest is not None:
            self._rest.begin(order[whole * size :], 1)
            if not self._advance(run, step, seen, self._rest, 0, 1):
                return batches(run, step, seen, after_batch)
            after_batch()
        return True

    def _augment(self, run: Run) -> None:
        """Change the pictures for the epoch that begins, a part at a time that the caches hold."""
        augmentation, x = run.loader.augmentation, run.loader.data.x
        if augmentation is not None:
            rows = np.arange(len(x))
            for first in range(0, len(x), _AT_A_TIME):
                part = slice(first, first + _AT_A_TIME)
                self._arrays[0][part] = augmentation(x[part], rows[part], run.epoch)

    def _advance(self, run: Run, step: Step, seen: Seen, part: Epochs, first: int, last: int) -> bool:
        """Do steps first up to, not including, last, or some of them; False if the next one must be done operation by
        operation."""
        per_step = run.schedule.step if run.schedule is not None and run.schedule_every == "step" else None
        before = self._state_before(run, part, first)
        start = time.perf_counter()
        done = part.advance(first, last, per_step, before.recording)
        if done == first:
            return False
        if part is self.epochs:
            self._take_up(time.perf_counter() - start, done - first)
        finite = np.isfinite(part.outputs[0][first:done].reshape(-1))
        if not finite.all():
            done = first + int(np.argmin(finite))
            before.back()
            part.advance(before.step, done, per_step)
        self._note(run, step, seen, part, first, done)
        return bool(finite.all())

    def epochs_at_once(self, run: Run) -> list[float] | None:
        """The losses of several epochs, done in one call; None, with nothing done, if an epoch is long enough by
        itself, has a smaller last batch, cannot be used compiled to its end, or leaves a loss or a weight that is not
        finite."""
        loader = run.loader
        steps = len(loader)
        self.rows = steps * loader.batch_size
        epochs = min(self._chunk // steps, run.epochs - run.epoch)
        if epochs < 2 or self._rest is not None:
            return None
        # Of whole batches, which all have one order, one will do.
        order = loader.orders(run.epoch, 1 if self.epochs.whole else epochs)[:, : self.rows].reshape(-1)
        back = self._state(run, self.epochs, recording := self.epochs.recording())
        self.epochs.begin(order, epochs * steps)
        start = time.perf_counter()
        if self.epochs.advance(0, epochs * steps, recording=recording) < epochs * steps:
            back()
            return None
        self._take_up(time.perf_counter() - start, epochs * steps)
        losses = self.epochs.outputs[0].reshape(epochs, steps)
        if not np.isfinite(losses).all() or not all(np.isfinite(p.data).all() for p in run.model.parameters()):
            back()
            return None
        run.history.steps += epochs * steps
        run.recent.extend(losses.reshape(-1)[-20:].tolist())
        run.loss_value = float(losses[-1, -1])
        return Seen.losses(losses, loader.batch_size, getattr(run.loss, "reduction", "mean") == "sum")

    def _take_up(self, seconds: float, steps: int) -> None:
        """Choose how many steps to do before control comes back, from what the latest took."""
        self._chunk = max(1, min(int(_CHUNK_S * steps / max(seconds, 1e-6)), 4 * steps))
        self._tell(self._chunk)

    def _note(self, run: Run, step: Step, seen: Seen, part: Epochs, first: int, last: int) -> None:
        """What steps first to last gave goes to the run and to the epoch's sums."""
        size, order, outputs = part.batch_size, part.order, part.outputs
        values = outputs[0][first:last].reshape(-1)
        losses = values.tolist()
        if step.weights is None and not seen.collects:
            seen.add_all(values, size)
        else:
            for n, value in zip(range(first, last), losses, strict=True):
                rows = order[n * size : (n + 1) * size]
                amount = size if step.weights is None else float(step.weights[rows].sum())
                y_pred = outputs[1][n] if seen.collects else None
                seen.add(value, amount, y_pred, self._arrays[1][rows] if seen.collects else None)
        if last > first:
            run.recent.extend(losses[-20:])
            run.rows, run.loss_value = order[(last - 1) * size : last * size], losses[-1]
            run.batch, run.samples = run.batch + last - first, run.samples + (last - first) * size
            run.history.steps += last - first

    def _state_before(self, run: Run, part: Epochs, first: int) -> _State:
        """The state at step `first`, or at one not long before it, from which the same steps lead there."""
        known, recording, now = self._remembered, part.recording(), time.perf_counter()
        if known is None or known.part is not part or known.recording is not recording or now > known.until:
            known = self._remembered = _State(part, recording, first, now + _STATE_S, self._state(run, part, recording))
        return known

    def _state(self, run: Run, part: Epochs, recording: Any) -> Callable[[], None]:
        """Remember all that a step changes; the function that is returned goes back to it."""
        arrays = part.snapshot(recording)
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


def _recorded(
    run: Run,
    step: Step,
    collects: bool,
    function: Callable[..., Any],
    arguments: tuple[Tensor, ...],
) -> Recorded:
    """The recording of a run's step as it is now, from an earlier one that is alike: of those that run together, or of
    the latest runs if all that it does is our own."""
    kept = _kept(run)
    one = member()
    found = kept if one is None else one.shared.programs
    if found is None:
        from pellucid.compiler.record import recorded

        return recorded(function, arguments)
    parts = None
    if kept is not None:
        from pellucid.compiler.rebound import Parts

        parts = Parts([run.model, run.loss], run.optimizer)
    return found.recorded(step_likeness(run, step, collects), function, arguments, parts)


def _kept(run: Run) -> Programs | None:
    """What stays of the latest runs for one that is alike; None for a run whose steps may do something of the user's
    own."""
    global _latest
    if not wholly_ours(run):
        return None
    if _latest is None:
        from pellucid.compiler.programs import Programs

        _latest = Programs(_KEPT)
    return _latest


def _nobody(chunk: int) -> None:
    """Who wants to know how many steps are done at once where a run is alone."""


def _step_function(run: Run, step: Step, collects: bool) -> Callable[..., Any]:
    """The six lines of a hand-written loop, as a function of a batch."""
    # Nothing of the run itself: a recording is kept for others that are alike, and the data shall not stay with it.
    model, criterion, optimizer, clip_norm = run.model, run.loss, run.optimizer, step.clip_norm
    apart = not_held(run)

    def train_step(x: Tensor, y: Tensor, *weights: Tensor) -> Any:
        y_pred, loss = output_and_loss(model, criterion, x, y, weights[0] if weights else None)
        loss.backward()
        clip(optimizer, clip_norm)
        optimizer.step()
        for parameter in apart:
            parameter.grad = None
        return (loss, y_pred) if collects else (loss,)

    return train_step
