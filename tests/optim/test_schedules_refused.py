"""What schedules refuse, and in which words."""

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import optim
from pellucid.errors import ArgumentError, ArgumentTypeError, PellucidWarning
from tests.optim.problem import optimizer_of, rates, words


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
