"""Schedules: rates by hand, and saved states."""

import json
from typing import Any

import pytest

from pellucid import optim
from tests.optim.problem import advance, optimizer_of, rates


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda o: optim.StepLR(o, 2, gamma=0.5), [1, 1, 0.5, 0.5, 0.25]),
        (lambda o: optim.MultiStepLR(o, [1, 3, 3], gamma=0.5), [1, 0.5, 0.5, 0.125, 0.125]),
        (lambda o: optim.ConstantLR(o, factor=0.25, total_iters=2), [0.25, 0.25, 1, 1]),
        (lambda o: optim.LinearLR(o, start_factor=0.25, end_factor=0.75, total_iters=2), [0.25, 0.5, 0.75, 0.75]),
        (lambda o: optim.ExponentialLR(o, gamma=0.5), [1, 0.5, 0.25, 0.125]),
        (lambda o: optim.PolynomialLR(o, total_iters=4, power=2), [1, 9 / 16, 4 / 16, 1 / 16, 0, 0]),
        (lambda o: optim.CosineAnnealingLR(o, 2, eta_min=0.5), [1, 0.75, 0.5, 0.75, 1]),
        (
            lambda o: optim.CosineAnnealingWarmRestarts(o, 2, T_mult=2),
            [1, 0.5, 1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5, 1],
        ),
        (lambda o: optim.LambdaLR(o, lambda n: 1 / (1 + n)), [1, 1 / 2, 1 / 3, 1 / 4]),
        (lambda o: optim.MultiplicativeLR(o, lambda n: 1 / n), [1, 1, 1 / 2, 1 / 6]),
        (lambda o: optim.CyclicLR(o, 1, 3, 2, cycle_momentum=False), [1, 2, 3, 2, 1, 2]),
        (
            lambda o: optim.CyclicLR(o, 1, 3, 1, 1, mode="triangular2", cycle_momentum=False),
            [1, 3, 1, 2, 1, 1.5],
        ),
        (
            # Steps 0, 1, 2: up to 8; steps 3 to 5: down to 8 / 4 / 4.
            lambda o: optim.OneCycleLR(
                o, 8, 6, pct_start=0.5, anneal_strategy="linear", cycle_momentum=False, div_factor=4, final_div_factor=4
            ),
            [2, 5, 8, 5.5, 3, 0.5],
        ),
    ],
)
def test_rates_by_hand(build: Any, expected: list[float]) -> None:
    assert rates(build(optimizer_of(1.0)), len(expected) - 1) == pytest.approx(expected, abs=1e-12)


def test_momentum_goes_against_the_rate() -> None:
    for name, read in (("SGD", lambda g: g["momentum"]), ("Adam", lambda g: g["betas"][0])):
        optimizer = optimizer_of(1.0, name=name)
        schedule = optim.CyclicLR(optimizer, 1, 3, 2, base_momentum=0.5, max_momentum=0.9)
        seen = []
        for _ in range(5):
            seen.append(read(optimizer.param_groups[0]))
            advance(optimizer, schedule)
        assert seen == pytest.approx([0.9, 0.7, 0.5, 0.7, 0.9])


def test_a_warm_up_then_a_fall() -> None:
    optimizer = optimizer_of(1.0)
    warm = optim.LinearLR(optimizer, start_factor=0.25, total_iters=3)
    fall = optim.StepLR(optimizer, 1, gamma=0.5)
    schedule = optim.SequentialLR(optimizer, [warm, fall], milestones=[3])
    assert rates(schedule, 6) == pytest.approx([0.25, 0.5, 0.75, 1, 0.5, 0.25, 0.125])


def test_a_sequence_within_a_sequence() -> None:
    optimizer = optimizer_of(1.0)
    inner = optim.SequentialLR(
        optimizer,
        [optim.ConstantLR(optimizer, 0.5, 10), optim.ConstantLR(optimizer, 0.25, 10)],
        milestones=[2],
    )
    schedule = optim.SequentialLR(optimizer, [inner, optim.ExponentialLR(optimizer, 0.5)], milestones=[4])
    assert rates(schedule, 6) == [0.5, 0.5, 0.25, 0.25, 1, 0.5, 0.25]
    late = optim.SequentialLR(
        (other := optimizer_of(1.0)),
        [
            optim.ExponentialLR(other, 0.5),
            optim.SequentialLR(other, [optim.ConstantLR(other, 0.5, 9), optim.ConstantLR(other, 0.25, 9)], [1]),
        ],
        milestones=[2],
    )
    assert rates(late, 4) == [1, 0.5, 0.5, 0.25, 0.25]


def test_all_at_once() -> None:
    optimizer = optimizer_of(1.0)
    parts = [optim.ExponentialLR(optimizer, 0.5), optim.ConstantLR(optimizer, 0.25, 2)]
    schedule = optim.ChainedScheduler(parts)
    assert rates(schedule, 3) == [0.25, 0.125, 0.25, 0.125]
    other = optimizer_of(1.0)
    chain = optim.ChainedScheduler([optim.ExponentialLR(other, 0.5), optim.ConstantLR(other, 0.5, 9)])
    then = optim.SequentialLR(other, [optim.ConstantLR(other, 0.125, 9), chain], milestones=[2])
    assert rates(then, 4) == [0.125, 0.125, 0.5, 0.25, 0.125]


def test_fractions_of_an_epoch_at_the_end_of_a_fall() -> None:
    optimizer = optimizer_of(1.0)
    schedule = optim.CosineAnnealingWarmRestarts(optimizer, 10, T_mult=10)
    advance(optimizer)
    for epoch, rate in ((9.999999999, 0.0), (10, 1.0), (60, 0.5), (1110, 1.0)):
        schedule.step(epoch)
        assert schedule.get_last_lr() == pytest.approx([rate], abs=1e-9)
    schedule.step()
    assert schedule.last_epoch == 1111


def test_a_rate_never_falls_below_zero_by_rounding() -> None:
    for total in range(1, 60):
        schedule = optim.LinearLR(optimizer_of(0.1), start_factor=1.0, end_factor=0.0, total_iters=total)
        assert min(rates(schedule, total + 1)) >= 0


def test_get_last_lr_is_a_copy() -> None:
    schedule = optim.ExponentialLR(optimizer_of(1.0, 2.0), 0.5)
    schedule.get_last_lr()[0] = 7.0
    assert schedule.get_last_lr() == [1.0, 2.0]


class Halving:
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, epoch: int) -> float:
        return float(self.factor**epoch)


BUILDERS: list[Any] = [
    lambda o: optim.StepLR(o, 3),
    lambda o: optim.MultiStepLR(o, [2, 4]),
    optim.ConstantLR,
    optim.LinearLR,
    lambda o: optim.ExponentialLR(o, 0.5),
    optim.PolynomialLR,
    lambda o: optim.CosineAnnealingLR(o, 10),
    lambda o: optim.CosineAnnealingWarmRestarts(o, 3),
    lambda o: optim.LambdaLR(o, lambda n: 1 / (1 + n)),
    lambda o: optim.MultiplicativeLR(o, lambda n: 0.5),
    lambda o: optim.CyclicLR(o, 0.1, 1, 3),
    lambda o: optim.OneCycleLR(o, 1, 20),
    lambda o: optim.SequentialLR(o, [optim.LinearLR(o), optim.ExponentialLR(o, 0.5)], [3]),
    lambda o: optim.ChainedScheduler([optim.LinearLR(o), optim.ExponentialLR(o, 0.5)]),
]


@pytest.mark.parametrize("build", BUILDERS)
def test_a_state_survives_json(build: Any) -> None:
    optimizer = optimizer_of(1.0, 0.5)
    schedule = build(optimizer)
    rates(schedule, 4)
    saved = json.loads(json.dumps(schedule.state_dict()))
    groups = [dict(g) for g in optimizer.param_groups]
    resumed_optimizer = optimizer_of(1.0, 0.5)
    resumed = build(resumed_optimizer)
    resumed.load_state_dict(saved)
    for group, old in zip(resumed_optimizer.param_groups, groups, strict=True):
        group.update({k: v for k, v in old.items() if k != "params"})
    assert rates(resumed, 8) == rates(schedule, 8)


def test_an_object_that_can_be_called_is_saved_by_its_attributes() -> None:
    for build in (
        optim.LambdaLR,
        lambda o, f: optim.CyclicLR(o, 0.1, 1, 3, scale_fn=f, cycle_momentum=False),
    ):
        schedule = build(optimizer_of(1.0), Halving(0.5))
        resumed = build(optimizer_of(1.0), Halving(0.9))
        resumed.load_state_dict(schedule.state_dict())
        assert rates(resumed, 5) == rates(schedule, 5)


def test_the_name_of_pytorchs_module() -> None:
    from pellucid.optim.lr_scheduler import StepLR

    assert StepLR is optim.StepLR is optim.lr_scheduler.StepLR
