"""What networks cost: what is counted, by hand; how times are taken; and verdicts that follow planted numbers. No time
is compared with a number of seconds."""

from dataclasses import replace

import numpy as np
import pytest

from pellucid.lab import activations, inference_cost, latency
from pellucid.lab.activations import Memory
from pellucid.lab.inference_cost import Counted
from pellucid.lab.latency import Timed
from pellucid.lab.stopwatch import in_turn, typical

pytest.importorskip("matplotlib")


def test_functions_take_turns() -> None:
    called: list[str] = []
    times = in_turn({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, 4, least_s=0.0)
    # Two calls each to find out how often, then four turns, of which each is first in every other one.
    assert "".join(called) == "aabb" + "abba" * 2
    assert {name: len(values) for name, values in times.items()} == {"a": 4, "b": 4}
    assert typical(np.arange(11.0)) == 1.0  # a tenth do not exceed it


def test_what_is_counted_of_a_call() -> None:
    # 64·128 + 128·128 + 128·10 products, two FLOPs each, and 266 biases and 256 ReLU.
    flops = 2 * 25856 + 266 + 256
    assert inference_cost.counted(inference_cost.network(128, 0)) == Counted(26122, 4 * 26122, flops, 256)


def test_training_costs_by_the_epoch_and_a_call_does_not() -> None:
    found = inference_cost.run(0, epochs=(0, 1), rounds=2)
    assert found.value("inference-flops-0") == found.value("inference-flops-1") == 52234
    assert found.value("wide-flops") == pytest.approx((2 * (64 * 256 + 256 * 256 + 2560) + 522 + 512) / 52234)
    model = inference_cost.network(128, 0)
    one, ten = (inference_cost.training_flops(model, epochs) for epochs in (1, 10))
    assert ten == 10 * one == 10 * found.value("training-flops-last")
    # Forward and backward take about three times a forward pass, of 500 rows.
    assert one > 2.5 * 500 * 2 * 25856


@pytest.mark.parametrize(
    ("spread", "confirmed", "conclusion"),
    [
        (1.05, True, "inference-cost"),
        (1.3, None, "inference-cost-disturbed"),
        (1.6, False, "inference-cost-times"),
    ],
)
def test_the_verdict_on_inference(spread: float, confirmed: bool | None, conclusion: str) -> None:
    counts = Counted(10, 40, 20, 4)
    assert inference_cost.judged([counts, counts], spread) == (confirmed, conclusion)
    other = [counts, replace(counts, flops=21)]
    assert inference_cost.judged(other, spread) == (False, "inference-cost-counts")


def test_six_networks_have_equal_flops() -> None:
    cases = latency.cases(0)
    small = {"a": latency.square(8), "b": latency.square(16)}
    found = latency.timed(small, 0, rounds=2, compiled=False)
    assert [t.flops for t in found.values()] == [2 * 8**3, 2 * 16**3]
    assert all(t.seconds > 0 for t in found.values())
    for case in cases.values():
        assert latency.cost(case.model, case.shape).flops == 4_194_304
    assert latency.cost(cases["narrow"].model, (1, 128)).work.operations == 128
    assert len(cases) == 6


def times(*seconds: float) -> dict[str, Timed]:
    return {str(n): Timed(1000 * 2**n, 10, 1, s) for n, s in enumerate(seconds)}


def test_the_verdict_on_latency() -> None:
    assert latency.judged(times(1.0, 1.2, 1.4)) == (True, "latency")
    assert latency.judged(times(1.0, 1.2, 1.8)) == (None, "latency-open")
    assert latency.judged(times(1.0, 1.2, 9.0)) == (False, "latency-differs")
    assert latency.exponent(times(1.0, 2.0, 4.0)) == pytest.approx(1.0)
    assert latency.exponent(times(1.0, 1.0, 1.0)) == pytest.approx(0.0)
    assert times(2.0)["0"].rate == 500
    found = {name: Timed(1000, 10, 1, 1.0) for name in latency.cases(0)}
    assert latency.figure(found, times(1.0, 2.0)).startswith(b"\x89PNG")


def test_memory_that_is_asked_for() -> None:
    asked = activations.asked_for(lambda: np.ones(1_000_000))
    assert 8_000_000 <= asked < 8_010_000


@pytest.mark.parametrize("depth", [2, 5])
def test_what_is_counted_of_activations(depth: int) -> None:
    found = activations.measured(depth, 0)
    one = 256 * 64 * 4  # bytes of the values of a layer
    assert found.peak == 2 * one  # what a layer reads and writes
    assert found.total == (depth + 1) * one  # the input, and what each layer puts out
    assert found.call >= found.peak - one  # the input was there before
    assert found.step > found.stored - one


def test_the_verdict_on_activations() -> None:
    shallow = Memory(depth=2, peak=10, total=30, stored=30, call=11, step=40)
    deep = Memory(depth=32, peak=10, total=330, stored=330, call=11, step=350)
    assert activations.judged([shallow, deep]) == (False, "activations-total")
    assert activations.judged([shallow, replace(deep, call=110)]) == (False, "activations-neither")
    assert activations.judged([shallow, replace(deep, step=50)]) == (True, "activations")


def test_the_peak_does_not_tell_the_memory_of_training() -> None:
    found = activations.run(0, depths=(2, 8))
    assert found.confirmed is False
    assert found.value("peak-growth") == 1
    assert found.value("total-growth") == 3  # 9 over 3
    assert found.value("step-growth") > 2
    assert found.value("call-growth") < 1.2
