"""Constraints on arguments: each refuses its own invalid values, in one message form."""

import numpy as np
import pytest

from pellucid.core.check import Flag, Integer, Options, Pair, Real, check, checked, closest, shown
from pellucid.errors import ArgumentError, ArgumentTypeError

CONSTRAINTS = [
    Real(0, 1),
    Real(0, left_open=True),
    Real(none=True),
    Integer(1, 5),
    Integer(none=True),
    Options("a", "b"),
    Flag(),
    Pair(Real(0, 1)),
]


@pytest.mark.parametrize("constraint", CONSTRAINTS, ids=str)
def test_a_constraint_refuses_its_invalid_values(constraint: object) -> None:
    for value in constraint.invalid():  # type: ignore[attr-defined]
        with pytest.raises((ArgumentError, ArgumentTypeError)):
            check("x", value, constraint)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("constraint", "good"),
    [
        (Real(0, 1), [0, 1, 0.5, np.float32(0.25), np.int64(1)]),
        (Real(0, 1, right_open=True), [0, 0.999]),
        (Real(none=True), [None, -1e300]),
        (Integer(1, 5), [1, 5, np.int8(3)]),
        (Options("a", None), ["a", None]),
        (Flag(), [True, False, np.True_]),
        (Pair(Integer(0)), [(1, 2), [0, 0]]),
    ],
)
def test_a_constraint_takes_what_fits(constraint: object, good: list[object]) -> None:
    for value in good:
        check("x", value, constraint)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan"), 10**400])
def test_a_real_number_is_finite(value: float) -> None:
    with pytest.raises(ArgumentError):
        check("x", value, Real())


def test_the_message() -> None:
    with pytest.raises(ArgumentError) as problem:
        check("momentum", 1.0, Real(0, 1, right_open=True))
    assert str(problem.value).splitlines()[:3] == [
        "momentum is out of range",
        "  given:    momentum = 1.0",
        "  expected: a number in [0, 1)",
    ]
    with pytest.raises(ArgumentTypeError) as wrong:
        check("n", "3", Integer(1))
    assert str(wrong.value).splitlines()[:3] == [
        "n has the wrong type",
        "  given:    n = '3' (str)",
        "  expected: a whole number in [1, ∞)",
    ]


def test_a_checked_function_refuses_unknown_and_missing_arguments() -> None:
    @checked(rate=Real(0))
    def step(weights: object, rate: float = 0.1) -> float:
        return rate

    assert step(None, rate=2) == 2
    assert step.constraints["rate"] == Real(0)  # type: ignore[attr-defined]
    with pytest.raises(ArgumentTypeError) as problem:
        step(None, rat=1)  # type: ignore[call-arg]
    assert str(problem.value).splitlines()[:4] == [
        "step has no argument rat",
        "  given:    rat",
        "  expected: one of weights, rate",
        "  fix:      did you mean rate?",
    ]
    with pytest.raises(ArgumentTypeError, match="step is called with the wrong arguments"):
        step()  # type: ignore[call-arg]


def test_values_are_shown_short() -> None:
    assert shown(np.ones((3, 4))) == "ndarray(3, 4) float64"
    assert len(shown("x" * 500)) == 80
    assert shown(10**5000) == "a whole number of 16610 bits"
    assert closest("relue", ["relu", "tanh"]) == "relu"
    assert closest("xyz", ["relu", "tanh"]) is None
