"""The rates of every schedule against PyTorch: step by step, together, one after the other, and resumed."""

import warnings
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import optim
from pellucid.errors import ArgumentError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

STEPS = 60
CASES: list[tuple[str, dict[str, Any]]] = [
    ("StepLR", {"step_size": 7}),
    ("StepLR", {"step_size": 1, "gamma": 0.9}),
    ("MultiStepLR", {"milestones": [3, 10, 10, 40], "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [30, 5]}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.25, "total_iters": 9}),
    ("ConstantLR", {"factor": 0.25, "total_iters": 0}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 40}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 1}),
    ("ExponentialLR", {"gamma": 0.93}),
    ("ExponentialLR", {"gamma": 1.01}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 50, "power": 2.5}),
    ("CosineAnnealingLR", {"T_max": 13}),
    ("CosineAnnealingLR", {"T_max": 25, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 1, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 100}),
    ("CosineAnnealingWarmRestarts", {"T_0": 7}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.02}),
    ("CosineAnnealingWarmRestarts", {"T_0": 1}),
    ("LambdaLR", {"lr_lambda": lambda epoch: 0.9**epoch}),
    ("LambdaLR", {"lr_lambda": [lambda epoch: 1 / (1 + epoch), lambda epoch: 2.0]}),
    ("MultiplicativeLR", {"lr_lambda": lambda epoch: 0.95 + 0.01 * (epoch % 3)}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 7}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 5, "step_size_down": 9, "mode": "triangular2"}),
    ("CyclicLR", {"base_lr": [0.01, 0.02], "max_lr": 0.1, "step_size_up": 4, "mode": "exp_range", "gamma": 0.98}),
    (
        "CyclicLR",
        {
            "base_lr": 0.01,
            "max_lr": 0.1,
            "step_size_up": 4,
            "scale_fn": lambda x: 1 / x,
            "scale_mode": "cycle",
            "base_momentum": 0.5,
            "max_momentum": 0.7,
        },
    ),
    (
        "CyclicLR",
        {
            "base_lr": 0.01,
            "max_lr": 0.1,
            "step_size_up": 4,
            "scale_fn": lambda x: 0.9**x,
            "scale_mode": "iterations",
            "cycle_momentum": False,
        },
    ),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": STEPS}),
    ("OneCycleLR", {"max_lr": [0.3, 0.1], "epochs": 10, "steps_per_epoch": 7, "anneal_strategy": "linear"}),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 80, "pct_start": 0.25, "three_phase": True, "div_factor": 5.0}),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 70, "cycle_momentum": False, "final_div_factor": 10.0}),
    (
        "OneCycleLR",
        {"max_lr": 0.3, "total_steps": 66, "three_phase": True, "base_momentum": 0.5, "max_momentum": [0.6, 0.9]},
    ),
]


def label(case: Any) -> str:
    return f"{case[0]}-" + ",".join(k for k in case[1])


def optimizers(name: str = "SGD") -> tuple[Any, Any]:
    """The same optimizer of both libraries, with two groups."""
    options = {"lr": 0.1, "momentum": 0.9} if name == "SGD" else {"lr": 0.1}
    ours, theirs = [
        [{"params": [make()]}, {"params": [make()], "lr": 0.037}]
        for make in (lambda: pl.Tensor([1.0], requires_grad=True), lambda: torch.ones(1, requires_grad=True))
    ]
    return getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)


def backward_and_step(optimizer: Any) -> None:
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.sum().backward()
    optimizer.step()


def momenta(optimizer: Any) -> list[float]:
    return [g["betas"][0] if "betas" in g else g["momentum"] for g in optimizer.param_groups]


def compare(ours: Any, theirs: Any, steps: int = STEPS, *schedules: tuple[Any, Any]) -> None:
    """Step both, and the schedules of both, and compare rates and momenta."""
    for number in range(steps):
        for optimizer in (ours, theirs):
            backward_and_step(optimizer)
        for mine, other in schedules:
            mine.step()
            other.step()
            assert mine.get_last_lr() == pytest.approx(other.get_last_lr(), abs=1e-12, rel=1e-12), number
        rates = [[g["lr"] for g in o.param_groups] for o in (ours, theirs)]
        assert rates[0] == pytest.approx(rates[1], abs=1e-12, rel=1e-12), number
        assert momenta(ours) == pytest.approx(momenta(theirs), abs=1e-12), number


def both(case: Any, ours: Any, theirs: Any) -> tuple[Any, Any]:
    name, options = case
    return getattr(optim, name)(ours, **options), getattr(torch.optim.lr_scheduler, name)(theirs, **options)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("case", CASES, ids=label)
def test_rates(case: Any, optimizer: str) -> None:
    ours, theirs = optimizers(optimizer)
    pair = both(case, ours, theirs)
    assert pair[0].get_last_lr() == pytest.approx(pair[1].get_last_lr(), abs=1e-12)
    assert momenta(ours) == pytest.approx(momenta(theirs), abs=1e-12)
    compare(ours, theirs, STEPS, pair)


def test_the_comparison_finds_a_schedule_one_step_late() -> None:
    ours, theirs = optimizers()
    mine, other = both(("ExponentialLR", {"gamma": 0.999999}), ours, theirs)
    other.optimizer.step()
    other.step()
    with pytest.raises(AssertionError):
        compare(ours, theirs, 1, (mine, other))


# Schedules that start from the present rate. A cosine to a lowest rate above 0 does not suit others beside it.
ABSOLUTE = ("LambdaLR", "CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR")
RELATIVE = [c for c in CASES if c[0] not in ABSOLUTE and "eta_min" not in c[1]]


@pytest.mark.parametrize("second", RELATIVE, ids=label)
@pytest.mark.parametrize("first", [RELATIVE[0], RELATIVE[9], RELATIVE[14]], ids=label)
def test_several_schedules_of_one_optimizer_multiply(first: Any, second: Any) -> None:
    ours, theirs = optimizers()
    pairs = [both(case, ours, theirs) for case in (first, second)]
    compare(ours, theirs, STEPS, *pairs)


def test_rates_that_become_negative_in_torch_are_refused() -> None:
    ours, theirs = optimizers()
    pairs = [both(case, ours, theirs) for case in (("CosineAnnealingLR", {"T_max": 25, "eta_min": 0.01}), CASES[0])]
    with pytest.raises(ArgumentError) as error:
        compare(ours, theirs, STEPS, *pairs)
    assert error.value.what == "CosineAnnealingLR: the learning rate would no longer be a number from 0 on"
    for _ in range(5):
        backward_and_step(theirs)
        for _, other in pairs:
            other.step()
    assert min(g["lr"] for g in theirs.param_groups) < 0


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_resumed_schedule_goes_on_as_torchs(case: Any) -> None:
    ours, theirs = optimizers()
    mine, other = both(case, ours, theirs)
    compare(ours, theirs, 23, (mine, other))
    resumed_optimizer, _ = optimizers()
    resumed = getattr(optim, case[0])(resumed_optimizer, **case[1])
    resumed_optimizer.load_state_dict(ours.state_dict())
    resumed.load_state_dict(mine.state_dict())
    compare(resumed_optimizer, theirs, STEPS - 23, (resumed, other))


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_state_of_torch_loads(case: Any) -> None:
    ours, theirs = optimizers()
    mine, other = both(case, ours, theirs)
    for _ in range(11):
        backward_and_step(theirs)
        other.step()
    ours.load_state_dict(theirs.state_dict())
    mine.load_state_dict(other.state_dict())
    compare(ours, theirs, 30, (mine, other))


@pytest.mark.parametrize("case", CASES, ids=label)
def test_last_epoch_goes_on_where_the_groups_stand(case: Any) -> None:
    ours, theirs = optimizers()
    mine, other = both(case, ours, theirs)
    compare(ours, theirs, 10, (mine, other))
    continued = [(case[0], {**case[1], "last_epoch": 10})]
    compare(ours, theirs, 20, *(both(c, ours, theirs) for c in continued))


@pytest.mark.parametrize("second", CASES, ids=label)
@pytest.mark.parametrize("first", [CASES[7], CASES[4], CASES[18]], ids=label)
def test_one_after_the_other(first: Any, second: Any) -> None:
    ours, theirs = optimizers()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns about what it does itself
        pairs = [both(case, ours, theirs) for case in (first, second)]
        mine = optim.SequentialLR(ours, [m for m, _ in pairs], milestones=[9])
        other = torch.optim.lr_scheduler.SequentialLR(theirs, [o for _, o in pairs], milestones=[9])
        assert mine.get_last_lr() == pytest.approx(other.get_last_lr(), abs=1e-12)
        compare(ours, theirs, 25, (mine, other))
        resumed_optimizer, _ = optimizers()
        parts = [getattr(optim, name)(resumed_optimizer, **options) for name, options in (first, second)]
        resumed = optim.SequentialLR(resumed_optimizer, parts, milestones=[9])
        resumed_optimizer.load_state_dict(ours.state_dict())
        resumed.load_state_dict(mine.state_dict())
        compare(resumed_optimizer, theirs, 30, (resumed, other))


def test_three_in_sequence() -> None:
    ours, theirs = optimizers()
    cases = [("LinearLR", {"total_iters": 4}), ("ConstantLR", {"factor": 0.5, "total_iters": 3}), CASES[14]]
    pairs = [both(case, ours, theirs) for case in cases]
    mine = optim.SequentialLR(ours, [m for m, _ in pairs], milestones=[5, 11])
    other = torch.optim.lr_scheduler.SequentialLR(theirs, [o for _, o in pairs], milestones=[5, 11])
    compare(ours, theirs, STEPS, (mine, other))


def test_chained() -> None:
    ours, theirs = optimizers()
    pairs = [both(case, ours, theirs) for case in (CASES[5], CASES[10])]
    mine = optim.ChainedScheduler([m for m, _ in pairs])
    other = torch.optim.lr_scheduler.ChainedScheduler([o for _, o in pairs])
    compare(ours, theirs, STEPS, (mine, other))


@pytest.mark.parametrize("mult", [1, 2, 3])
def test_warm_restarts_at_fractions_of_an_epoch(mult: int) -> None:
    ours, theirs = optimizers()
    mine, other = both(("CosineAnnealingWarmRestarts", {"T_0": 5, "T_mult": mult}), ours, theirs)
    # Fractions without an exact end of a fall, where PyTorch's logarithm may be off by one.
    for epoch in np.arange(0.05, 50, 0.7):
        for optimizer, schedule in ((ours, mine), (theirs, other)):
            backward_and_step(optimizer)
            schedule.step(float(epoch))
        assert mine.get_last_lr() == pytest.approx(other.get_last_lr(), abs=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"patience": 2, "factor": 0.5},
        {"patience": 1, "cooldown": 3, "factor": 0.7},
        {"patience": 0, "threshold": 0.05, "threshold_mode": "abs"},
        {"mode": "max", "patience": 2},
        {"mode": "max", "patience": 2, "threshold_mode": "abs", "threshold": 0.2},
        {"patience": 0, "min_lr": [0.02, 0.001]},
        {"patience": 0, "min_lr": 0.01, "eps": 0.03},
    ],
    ids=str,
)
def test_reduce_on_plateau(options: dict[str, Any]) -> None:
    ours, theirs = optimizers()
    mine = optim.ReduceLROnPlateau(ours, **options)
    other = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    rng = np.random.default_rng(5)
    metrics = np.exp(-np.arange(STEPS) / 15) + rng.normal(size=STEPS) * 0.15
    metrics[17] = np.nan
    for number, metric in enumerate(metrics):
        if number == 30:
            saved, optimizer_state = mine.state_dict(), ours.state_dict()
            ours, _ = optimizers()
            mine = optim.ReduceLROnPlateau(ours)
            ours.load_state_dict(optimizer_state)
            mine.load_state_dict(saved)
        mine.step(metric)
        other.step(metric)
        assert mine.get_last_lr() == pytest.approx(other.get_last_lr(), abs=1e-12), number
        assert mine.num_bad_epochs == other.num_bad_epochs
