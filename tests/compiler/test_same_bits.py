"""Every model of the table, trained in one thread and in several: whatever is left has the same bits."""

from weakref import WeakValueDictionary

import numpy as np
import pytest

import pellucid as pl
from pellucid.compiler import engine, native, native_plan, schedule
from pellucid.compiler.epochs import Epochs
from pellucid.compiler.threads import spmd
from pellucid.core.rng import default_generator
from tests.compiler.models import LAYERS, MODELS, STEPS, training

pytest.importorskip("llvmlite")

COUNT = 8


@pytest.fixture(autouse=True)
def counts(monkeypatch, tmp_path):
    """Threads share all work, however small; how many have run together, at each run of several."""
    found = []
    # Code that was made by other thresholds is no use here, nor this code elsewhere.
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    monkeypatch.setattr(engine, "_loaded", WeakValueDictionary())

    def counted(part, threads):
        results = spmd(part, threads)
        found.append(len(results))
        return results

    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")
    monkeypatch.setattr(native_plan, "WORTH_THREADS", 0)
    monkeypatch.setattr(native_plan, "WORTH_CALLING_THREADS", 0)
    monkeypatch.setattr(schedule, "_WORTH_SHARING", 0)
    monkeypatch.setattr(native, "spmd", counted)
    yield found
    pl.set_num_threads(None)


def left_of(t, results):
    """Results, model, what the optimizer keeps, and the state of random draws, as bytes."""
    kept = {f"result {n}": x for n, x in enumerate(results)}
    kept |= {key: x.data for key, x in t.model.state_dict().items()}
    states = t.optimizer.state.values()
    kept |= {f"{key} {n}": x.data for n, s in enumerate(states) for key, x in s.items() if isinstance(x, pl.Tensor)}
    kept["draws"] = default_generator.get_state()
    return {key: np.array(x).tobytes() for key, x in kept.items()}


def called(t):
    """What is left of steps that are called one by one."""
    step = pl.compile(t.step)
    results = [step(*map(pl.Tensor, t.inputs)) for _ in range(COUNT)]
    assert step.tier == "llvm"
    each = [x.values() if isinstance(x, dict) else [x] for x in results]
    return left_of(t, [x.data for values in each for x in values])


def at_once(t):
    """What is left of steps done in one call, on batches of the inputs' rows in a random order."""
    rows = len(t.inputs[0])
    epochs = Epochs(pl.compile(t.step), t.inputs, rows)
    epochs.begin(np.random.default_rng(0).integers(0, rows, COUNT * rows), COUNT)
    epochs.advance(0, COUNT)
    return left_of(t, epochs.outputs)


def trained(name, way, threads):
    pl.set_num_threads(threads)
    with training(name, "float32") as t:
        if t.ordinary:
            t.step(*map(pl.Tensor, t.inputs))
        return way(t)


@pytest.mark.parametrize("name", MODELS)
def test_steps_that_are_called(name, counts):
    alone = trained(name, called, 1)
    assert not counts
    assert trained(name, called, 2) == alone
    assert set(counts) == {2}


@pytest.mark.parametrize("name", [*LAYERS, *STEPS])
def test_steps_at_once(name, counts):
    alone = trained(name, at_once, 1)
    assert not counts
    assert trained(name, at_once, 3) == alone
    assert set(counts) == {3}


@pytest.mark.parametrize("way", [called, at_once])
def test_rows_that_no_thread_does_are_missed(way, monkeypatch):
    alone = trained("wide classifier", way, 1)
    monkeypatch.setattr(native, "spmd", lambda part, threads: spmd(lambda thread, count: part(0, count), threads))
    assert trained("wide classifier", way, 2) != alone
