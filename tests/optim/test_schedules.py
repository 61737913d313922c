"""Schedules: rates by hand, saved states, and what is refused."""

import json
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import optim
from pellucid.errors import ArgumentError, ArgumentTypeError, PellucidWarning


def optimizer_of(*rates: float, name: str = "SGD", **options: Any) -> optim.Optimizer:
    groups = [{"params": [pl.Tensor([1.0], requires_grad=True)], "lr": lr} for lr in rates or (1.0,)]
    made: optim.Optimizer = getattr(optim, name)(groups, **options)
    return made


def advance(optimizer: optim.Optimizer, *schedules: Any) -> None:
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.sum().backward()
    optimizer.step()
    for schedule in schedules:
        schedule.step()


def rates(schedule: Any, steps: int) -> list[float]:
    """The first group's rate at epochs 0 to `steps`."""
    values = [schedule.get_last_lr()[0]]
    for _ in range(steps):
        advance(schedule.optimizer, schedule)
        values.append(schedule.get_last_lr()[0])
    return values


def words(error: Any) -> str:
    return "\n".join(line for line in str(error.value).splitlines() if not line.startswith("  at:"))


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


# What is refused


def test_a_schedule_before_the_first_step() -> None:
    schedule = optim.ExponentialLR(optimizer_of(1.0), 0.5)
    with pytest.warns(PellucidWarning) as caught:
        schedule.step()
    assert str(caught[0].message).splitlines()[:3] == [
        "ExponentialLR: step() before the optimizer's first step skips the first learning rate",
        "  given:    ExponentialLR.step(), and no SGD.step() yet",
        "  expected: the optimizer's step, then the schedule's",
    ]


def test_not_an_optimizer() -> None:
    expected = "needs an optimizer\n  given:    list\n  expected: an optimizer of pellucid.optim"
    for name, arguments in (
        ("StepLR", (1,)),
        ("LambdaLR", (len,)),
        ("CyclicLR", (0.1, 1)),
        ("OneCycleLR", (0.1, 10)),
        ("ReduceLROnPlateau", ()),
        ("SequentialLR", ([], [])),
    ):
        with pytest.raises(ArgumentTypeError) as error:
            getattr(optim, name)([1.0], *arguments)
        assert words(error) == f"{name} {expected}"


def test_last_epoch_without_a_first_rate() -> None:
    with pytest.raises(ArgumentError) as error:
        optim.StepLR(optimizer_of(1.0), 3, last_epoch=5)
    assert words(error) == (
        "StepLR: a group does not know its first learning rate\n"
        '  given:    last_epoch = 5, and no "initial_lr" in group 0\n'
        "  expected: the loaded state of an optimizer that had a schedule, or last_epoch = -1"
    )


def test_one_value_for_each_group() -> None:
    for act in (
        lambda o: optim.LambdaLR(o, [float, float, float]),
        lambda o: optim.CyclicLR(o, [0.1] * 3, 1),
        lambda o: optim.OneCycleLR(o, [0.1] * 3, 10),
        lambda o: optim.ReduceLROnPlateau(o, min_lr=[0.1] * 3),
    ):
        with pytest.raises(ArgumentError) as error:
            act(optimizer_of(1.0, 2.0))
        assert words(error).splitlines()[1:] == [
            "  given:    3 values",
            "  expected: 2 values, or a single one for all",
        ]


def test_a_state_of_another_schedule() -> None:
    optimizer = optimizer_of(1.0)
    schedule = optim.StepLR(optimizer, 3)
    with pytest.raises(ArgumentError) as error:
        schedule.load_state_dict({**optim.ExponentialLR(optimizer, 0.5).state_dict(), "optimizer": 1})
    assert words(error) == (
        "StepLR: this is the state of another schedule\n"
        "  given:    missing step_size; unknown optimizer\n"
        "  expected: what state_dict() of the same schedule returned"
    )
    assert schedule.optimizer is optimizer


def test_sequences_that_do_not_fit() -> None:
    optimizer = optimizer_of(1.0)
    step, plateau = optim.StepLR(optimizer, 3), optim.ReduceLROnPlateau(optimizer)
    stranger = optim.StepLR(optimizer_of(1.0), 3)
    cases: list[Any] = [
        (lambda: optim.SequentialLR(optimizer, [], []), "SequentialLR: there is no schedule"),
        (lambda: optim.ChainedScheduler([]), "ChainedScheduler: there is no schedule"),
        (
            lambda: optim.SequentialLR(optimizer, [step, step], []),
            "SequentialLR: the milestones do not fit the schedules",
        ),
        (
            lambda: optim.SequentialLR(optimizer, [step, plateau], [3]),
            "SequentialLR is made of schedules that need no metric",
        ),
        (lambda: optim.ChainedScheduler([step, 3]), "ChainedScheduler is made of schedules that need no metric"),
        (lambda: optim.ChainedScheduler(step), "ChainedScheduler is made of schedules that need no metric"),
        (
            lambda: optim.SequentialLR(optimizer, [step, stranger], [3]),
            "SequentialLR: a schedule belongs to another optimizer",
        ),
        (lambda: optim.ChainedScheduler([step, stranger]), "ChainedScheduler: a schedule belongs to another optimizer"),
        (
            lambda: optim.SequentialLR(optimizer, [step, step, step], [5, 3]),
            "SequentialLR: milestones is out of range",
        ),
    ]
    for act, what in cases:
        with pytest.raises((ArgumentError, ArgumentTypeError)) as error:
            act()
        assert error.value.what == what


def test_one_cycle_needs_its_number_of_steps() -> None:
    with pytest.raises(ArgumentError) as error:
        optim.OneCycleLR(optimizer_of(1.0), 0.1, epochs=3)
    assert words(error) == (
        "OneCycleLR: the number of steps is not given\n"
        "  given:    total_steps = None, epochs = 3, steps_per_epoch = None\n"
        "  expected: total_steps, or both of epochs and steps_per_epoch"
    )
    with pytest.raises(ArgumentError) as phases:
        optim.OneCycleLR(optimizer_of(1.0), 0.1, 10, pct_start=0.1)
    assert phases.value.what == "OneCycleLR: a phase would have no length"
    schedule = optim.OneCycleLR(optimizer_of(1.0), 0.1, 3)
    with pytest.raises(ArgumentError) as over:
        rates(schedule, 4)
    assert words(over) == "OneCycleLR: the cycle is over\n  given:    step 4\n  expected: at most 3 steps"


def test_an_optimizer_without_momentum() -> None:
    for name, arguments in (("CyclicLR", (0.1, 1)), ("OneCycleLR", (0.1, 10))):
        with pytest.raises(ArgumentError) as error:
            getattr(optim, name)(optimizer_of(1.0, name="Adagrad"), *arguments)
        assert words(error) == (
            f"{name}: this optimizer has no momentum to cycle\n"
            "  given:    Adagrad, cycle_momentum = True\n"
            "  expected: an optimizer with momentum or betas, or cycle_momentum=False"
        )


def test_a_plateau_needs_a_number() -> None:
    schedule = optim.ReduceLROnPlateau(optimizer_of(1.0))
    with pytest.raises(ArgumentTypeError) as error:
        schedule.step()
    assert words(error) == (
        "ReduceLROnPlateau: step() needs the metric\n"
        "  given:    NoneType\n"
        "  expected: a number, such as the validation loss"
    )
    schedule.step(pl.Tensor(0.5))
    assert schedule.best == 0.5


def test_functions_that_are_none_and_functions_that_go_wrong() -> None:
    for act in (
        lambda o: optim.LambdaLR(o, 0.5),
        lambda o: optim.MultiplicativeLR(o, [0.5]),
        lambda o: optim.CyclicLR(o, 0.1, 1, scale_fn=0.5),
    ):
        with pytest.raises(ArgumentTypeError, match="needs a function"):
            act(optimizer_of(1.0))
    for bad in (-0.5, np.nan, np.inf):
        with pytest.raises(ArgumentError) as error:
            optim.LambdaLR(optimizer_of(1.0), lambda n, bad=bad: bad)
        assert words(error) == (
            "LambdaLR: the learning rate would no longer be a number from 0 on\n"
            f"  given:    lr = {bad}\n"
            "  expected: rates in [0, ∞) from this schedule and those beside it"
        )


def invalid_arguments() -> list[Any]:
    required: dict[str, dict[str, Any]] = {
        "StepLR": {"step_size": 3},
        "MultiStepLR": {"milestones": [3]},
        "ConstantLR": {},
        "LinearLR": {},
        "ExponentialLR": {"gamma": 0.5},
        "PolynomialLR": {},
        "CosineAnnealingLR": {"T_max": 3},
        "CosineAnnealingWarmRestarts": {"T_0": 3},
        "CyclicLR": {"base_lr": 0.1, "max_lr": 1},
        "OneCycleLR": {"max_lr": 1, "total_steps": 10},
        "ReduceLROnPlateau": {},
    }
    extra = [
        ("MultiStepLR", "milestones", "x"),
        ("MultiStepLR", "milestones", [-1]),
        ("CyclicLR", "base_lr", -1),
        ("CyclicLR", "max_lr", "x"),
        ("CyclicLR", "max_momentum", 1.0),
        ("OneCycleLR", "max_lr", -1),
        ("ReduceLROnPlateau", "min_lr", -1),
        ("StepLR", "last_epoch", -2),
    ]
    cases = [
        (name, argument, bad)
        for name in required
        for argument, constraint in getattr(optim, name).__init__.constraints.items()
        for bad in constraint.invalid()
    ]
    return [
        pytest.param(name, {**required[name], argument: bad}, argument, id=f"{name}-{argument}={bad}")
        for name, argument, bad in cases + extra
    ]


@pytest.mark.parametrize(("name", "arguments", "argument"), invalid_arguments())
def test_every_argument_has_its_range(name: str, arguments: dict[str, Any], argument: str) -> None:
    with pytest.raises((ArgumentError, ArgumentTypeError), match=argument):
        getattr(optim, name)(optimizer_of(1.0), **arguments)


def test_the_name_of_pytorchs_module() -> None:
    from pellucid.optim.lr_scheduler import StepLR

    assert StepLR is optim.StepLR is optim.lr_scheduler.StepLR
