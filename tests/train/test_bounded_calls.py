"""Compiled training comes back to Python before long, for progress lines, callbacks and Ctrl-C: by a clock that only
steps move, so that the machine's own speed does not count.
"""

import time
from itertools import pairwise, repeat

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.compiler.epochs import Epochs
from pellucid.train import compiled

AIM_S, MOST_S, GROWTH = 0.04, 0.1, 4
"""About how long a call takes, how long it may take, and how many times more steps it has than the one before."""

BATCH = 2
SHAPES = {
    "one long epoch": lambda steps: {"rows": BATCH * steps, "epochs": 1},
    "epochs with a smaller last batch": lambda steps: {"rows": BATCH * (steps // 3) + 1, "epochs": 3},
    "short epochs, many in one call": lambda steps: {"rows": BATCH * 4, "epochs": steps // 4},
}
"""The rows and epochs of so many steps."""


@pytest.fixture
def calls(monkeypatch):
    """Does no step, but lets each take the next of the given times; the calls, as (steps, seconds a step)."""
    monkeypatch.setenv("PELLUCID_COMPILE", "numpy")
    monkeypatch.setattr(compiled, "_latest", None)
    now, found = [0.0], []

    def advance(self, first, last, after_each=None, recording=None):
        if self.batch_size == BATCH:
            seconds = next(advance.times)
            found.append((last - first, seconds))
            now[0] += (last - first) * seconds
        self.outputs = [np.ones(len(self.order) // self.batch_size, np.float32)]
        return last

    def trained(times, rows, epochs):
        advance.times = iter(times)
        x = np.random.default_rng(0).normal(size=(rows, 2)).astype(np.float32)
        with monkeypatch.context() as patch:
            patch.setattr(time, "perf_counter", lambda: now[0])
            patch.setattr(Epochs, "advance", advance)
            options = {"loss": "mse", "optimizer": "sgd", "checks": False, "verbose": 0}
            pl.fit(nn.Linear(2, 1), (x, x[:, :1]), epochs=epochs, batch_size=BATCH, **options)
        return found

    return trained


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("step_s", [1e-6, 5e-5, 1e-3, 0.015, 0.03, 0.09])
def test_a_call_of_steady_steps_is_short(shape, step_s, calls):
    steps = min(max(round(1 / step_s), 120), 60_000) // 12 * 12
    found = calls(repeat(step_s), **SHAPES[shape](steps))
    assert found[0] == (1, step_s)
    assert sum(count for count, _ in found) == steps
    assert max(count * step_s for count, _ in found) <= MOST_S
    if step_s < AIM_S:  # and long enough, once the number of steps has grown
        assert max(count * step_s for count, _ in found) > AIM_S / 4


@pytest.mark.parametrize("shape", SHAPES)
def test_a_call_of_unsteady_steps_is_longer_by_what_they_slow_down(shape, calls):
    times = 10 ** np.random.default_rng(0).uniform(-5, -1, 100_000)
    found = calls(times, **SHAPES[shape](2004))
    for (before, was), (count, now) in pairwise(found):
        assert count <= GROWTH * before
        assert count * now <= max(AIM_S * now / was, now) * (1 + 1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_that_take_no_time_are_done_in_ever_longer_calls_not_in_one(shape, calls):
    found = calls([*repeat(0.0, 4), *repeat(0.01, 10_000)], **SHAPES[shape](2004))
    assert found[0][0] == 1
    assert all(count <= GROWTH * before for (before, _), (count, _) in pairwise(found))
    assert all(count * 0.01 <= MOST_S for count, _ in found[5:])
