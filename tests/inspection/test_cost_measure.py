"""Measured times: what they are divided by is exact; nothing is asserted of how long anything takes."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.inspection import LayerTime, Machine, Timing, cost_measure
from pellucid.inspection.cost_measure import timed


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_measure, "RUN_S", 0.02)
    monkeypatch.setattr(cost_measure, "_MATRIX", 64)
    monkeypatch.setattr(cost_measure, "_COPY_BYTES", 1 << 20)


def test_a_measured_forward_pass() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    before = model.state_dict()
    c = pl.cost(model, (4, 6), measure=True)
    m = c.measured
    assert m is not None
    assert m.rows == 4
    assert m.flops == c.flops == pl.cost(model, (4, 6)).flops
    assert m.throughput == 4 / m.latency.p50_s
    assert m.achieved_flops == c.flops / m.latency.p50_s
    assert m.share_of_peak == m.achieved_flops / m.machine.peak_flops
    assert 0 < m.eager.p50_s <= m.eager.p99_s
    assert m.eager.num_runs >= 10
    assert m.eager.num_warmup >= 2
    for layer in c.layers:
        assert layer.measured is not None
        assert layer.measured.compute_s == layer.work.flops / m.machine.peak_flops
        assert layer.measured.memory_s == layer.work.traffic_bytes / m.machine.bandwidth
    assert m.tier == "eager" or m.planned_bytes is not None
    assert "GFLOP/s" in str(c)
    after = model.state_dict()
    assert all(np.array_equal(before[n].data, after[n].data) for n in before)


def test_a_measured_step_of_training_leaves_no_trace() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
    optimizer = pl.optim.Adam(model.parameters())
    before = model.state_dict()
    c = pl.cost(
        model, (8, 6), True, loss=nn.CrossEntropyLoss(), targets=np.zeros(8, int), optimizer=optimizer, measure=True
    )
    assert c.measured is not None
    assert c.layers[-1].role == "optimizer"
    assert c.layers[-1].measured is not None
    after = model.state_dict()
    assert all(np.array_equal(before[n].data, after[n].data) for n in before)
    assert not optimizer.state
    assert all(p.grad is None for p in model.parameters())


def test_what_bounds_a_layer() -> None:
    once = Timing(1.0, 1.0, 1, 0)
    assert LayerTime(once, 3.0, 2.0, 1.0).bound == "compute"
    assert LayerTime(once, 1.0, 2.0, 1.5).bound == "memory"
    assert LayerTime(once, 1.0, 2.0, 2.5).bound == "calls"
    assert Machine(8e10, 1e10, 1e-6, 64, 64, "float32").ridge == 8.0


def test_percentiles_are_times_that_were_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(1, 11))
    clock = [0.0]
    monkeypatch.setattr(cost_measure.time, "perf_counter", lambda: clock[0])

    def call() -> None:
        clock[0] += next(seconds, 1)

    # Two to warm up take 1 and 2 s; of the ten that are timed eight take 3 to 10 s, and two 1 s.
    found = timed(call, 0.0, 0.0)
    assert found == Timing(p50_s=6.0, p99_s=10.0, num_runs=10, num_warmup=2)
