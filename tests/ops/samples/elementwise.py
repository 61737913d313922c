"""Samples of arithmetic, comparison, logic, powers, trigonometry, rounding and selection; oracles from `math`."""

import math
import operator
from typing import Any

import numpy as np

from tests.ops.samples.sample import Sample, elementwise, one_by_one, points, sign, whole

ANY = (-3.0, 3.0)
POSITIVE = (0.3, 3.0)
UNIT = (-0.9, 0.9)
INF, NAN = math.inf, math.nan

INTS = np.array([[-7, 3, 0], [5, -1, 12]])
OTHER = np.array([[2, -4, 9], [3, 7, 5]])
SMALL = np.array([0, 1, 2, 3], np.uint8)
BOOLS = np.array([True, True, False, False])
BOOLS_2 = np.array([True, False, True, False])
SPECIAL = np.array([0.0, -0.0, 1.5, -2.5, INF, -INF, NAN])


def special(function: Any) -> Sample:
    """Zeros of both signs, infinities and NaN."""
    return Sample((SPECIAL,), lambda x: one_by_one(function, x), smooth=False)


def comparison(function: Any) -> list[Sample]:
    a = np.array([1.0, 2.0, 2.0, NAN, INF, -0.0])
    b = np.array([2.0, 2.0, 1.0, NAN, INF, 0.0])
    return [
        Sample((a, b), lambda *xs: one_by_one(function, *xs)),
        Sample((a[:, None], b), lambda *xs: one_by_one(function, *xs)),
        Sample((a, 2.0), lambda *xs: one_by_one(function, *xs)),
        Sample((2, a), lambda *xs: one_by_one(function, *xs)),
        whole(function, INTS, OTHER),
        whole(function, SMALL, 300),  # a number that the dtype does not reach
        whole(function, SMALL, -1),
        whole(function, BOOLS, BOOLS_2),
        Sample((np.zeros((0, 2)), np.zeros(2)), lambda *xs: one_by_one(function, *xs)),
    ]


def logic(function: Any) -> list[Sample]:
    return [
        whole(function, BOOLS, BOOLS_2),
        whole(function, INTS, OTHER),
        whole(function, SPECIAL, SPECIAL[::-1].copy()),
    ]


def divided_down(a: float, b: float) -> float:
    return math.floor(a / b)


def remains(a: float, b: float) -> float:
    return a - b * math.floor(a / b)


def trunc(x: float) -> float:
    return math.copysign(math.floor(abs(x)), x) if math.isfinite(x) else x


def copysign(a: float, b: float) -> float:
    return abs(a) if math.atan2(0.0, -1.0 if math.copysign(1.0, b) < 0 else 1.0) == 0 else -abs(a)


def to_even(x: float) -> float:
    return float(round(x))


def clipped(x: float, min: float | None = None, max: float | None = None) -> float:
    y = x if min is None or x > min else min
    return y if max is None or y < max else max


STEPS = tuple(np.arange(-3, 4) * 1.0)
HALVES = tuple(np.arange(-7, 8) * 0.5)

SAMPLES: dict[str, list[Sample]] = {
    "add": [*elementwise(operator.add, ANY, ANY), whole(operator.add, INTS, OTHER), whole(operator.add, INTS, 3)],
    "subtract": [*elementwise(operator.sub, ANY, ANY), whole(operator.sub, INTS, OTHER)],
    "multiply": [*elementwise(operator.mul, ANY, ANY), whole(operator.mul, INTS, OTHER)],
    "multiply_add": [
        *elementwise(lambda a, b, c: a * b + c, ANY, ANY, ANY),
        whole(lambda a, b, c: a * b + c, INTS, 2, OTHER),
        Sample(  # the third input is the largest
            (points(0, (4,), *ANY), points(1, (1,), *ANY), points(2, (3, 4), *ANY)),
            lambda a, b, c: one_by_one(lambda a, b, c: a * b + c, a, b, c),
        ),
    ],
    "divide": [*elementwise(operator.truediv, ANY, POSITIVE), *elementwise(operator.truediv, ANY, (-3.0, -0.3))],
    "floor_divide": [
        *elementwise(divided_down, (0.1, 0.9), (1.0, 2.0)),
        whole(operator.floordiv, INTS, OTHER),
        Sample((np.array([7.5, -7.5]), np.array([2.0, 2.0])), lambda a, b: one_by_one(divided_down, a, b)),
    ],
    "remainder": [
        *elementwise(remains, (0.1, 0.9), (1.0, 2.0)),
        whole(operator.mod, INTS, OTHER),
        Sample((np.array([7.5, -7.5]), np.array([2.0, 2.0])), lambda a, b: one_by_one(remains, a, b)),
    ],
    "negative": [*elementwise(operator.neg, ANY), whole(operator.neg, INTS)],
    "positive": [*elementwise(operator.pos, ANY), whole(operator.pos, INTS)],
    "abs": [*elementwise(abs, ANY, avoid=(0.0,)), whole(abs, INTS), special(abs)],
    "sign": [*elementwise(sign, ANY, avoid=(0.0,)), whole(lambda x: int(sign(x)), INTS)],
    "round": [
        *elementwise(to_even, ANY, avoid=HALVES),
        Sample((np.array([0.5, 1.5, 2.5, -0.5]),), lambda x: np.array([0.0, 2.0, 2.0, -0.0]), smooth=False),
        whole(lambda x: x, INTS),
    ],
    "floor": [*elementwise(math.floor, ANY, avoid=STEPS), whole(lambda x: x, INTS)],
    "ceil": [*elementwise(math.ceil, ANY, avoid=STEPS), whole(lambda x: x, INTS)],
    "trunc": [*elementwise(trunc, ANY, avoid=STEPS), whole(lambda x: x, INTS)],
    "copysign": elementwise(copysign, ANY, ANY, avoid=(0.0,)),
    "signbit": [Sample((SPECIAL[:6],), lambda x: np.array([False, True, False, True, False, True]))],
    "nextafter": elementwise(math.nextafter, ANY, ANY, apart=True, smooth=False),
    "maximum": [*elementwise(max, ANY, ANY, apart=True), whole(max, INTS, OTHER)],
    "minimum": [*elementwise(min, ANY, ANY, apart=True), whole(min, INTS, OTHER)],
    "where": [
        Sample((np.array([[True], [False]]), np.array([1.0, 2.0]), np.array([[3.0], [4.0]])), np.where),
        Sample((np.array([True, False]), np.array([1.0, 2.0]), 0.0), np.where),
        Sample((np.array([True, False]), 7.0, np.array([1.0, 2.0])), np.where),
        Sample((np.array([3, 0]), np.array([1.0, 2.0]), np.array([5.0, 6.0])), np.where),
        Sample((np.array([True, False]), INTS[0, :2], OTHER[0, :2]), np.where),
        Sample((np.zeros((0, 2), bool), np.zeros(2), np.ones((1, 2))), np.where),
    ],
    "clip": [
        *elementwise(clipped, ANY, avoid=(-1.0, 2.0), attrs={"min": -1.0, "max": 2.0}),
        *elementwise(clipped, ANY, avoid=(0.5,), attrs={"min": 0.5, "max": None}),
        *elementwise(clipped, ANY, avoid=(0.5,), attrs={"min": None, "max": 0.5}),
        *elementwise(clipped, ANY, attrs={"min": None, "max": None}),
    ],
    "power": [
        *elementwise(operator.pow, POSITIVE, ANY),
        Sample((np.array([0.0, -2.0, 3.0]), 2), lambda a, b: np.array([0.0, 4.0, 9.0])),
        Sample((np.array([0.0, -2.0, 3.0]), 1), lambda a, b: a),
        Sample((np.array([0.0, -2.0, 3.0]), 0), lambda a, b: np.ones(3)),
        Sample(
            (np.array([0.0, -2.0, 3.0]), np.array([3.0, 2.0, 0.0])),
            lambda a, b: np.array([0.0, 4.0, 1.0]),
            smooth=False,
        ),
        Sample((2.0, np.array([0.0, -2.0, 3.0])), lambda a, b: np.array([1.0, 0.25, 8.0])),
        whole(operator.pow, OTHER, np.abs(INTS) % 4),
    ],
    "square": [*elementwise(lambda x: x * x, ANY), whole(lambda x: x * x, INTS)],
    "sqrt": elementwise(math.sqrt, POSITIVE),
    "reciprocal": elementwise(lambda x: 1.0 / x, POSITIVE),
    "exp": elementwise(math.exp, ANY),
    "exp2": elementwise(lambda x: 2.0**x, ANY),
    "expm1": elementwise(math.expm1, ANY),
    "log": elementwise(math.log, POSITIVE),
    "log2": elementwise(math.log2, POSITIVE),
    "log10": elementwise(math.log10, POSITIVE),
    "log1p": elementwise(math.log1p, (-0.7, 3.0)),
    "logaddexp": [
        *elementwise(lambda a, b: math.log(math.exp(a) + math.exp(b)), ANY, ANY),
        Sample(
            (np.array([800.0, -900.0]), np.array([800.0, 1.0])), lambda a, b: np.array([800.0 + math.log(2.0), 1.0])
        ),
    ],
    "exp_below": [
        *elementwise(lambda x, top: math.exp(x - top), ANY, ANY),
        Sample((np.array([1.0, -INF]), np.array([INF, -INF])), lambda x, top: np.zeros(2), smooth=False),
    ],
    "hypot": elementwise(math.hypot, ANY, ANY),
    "erf": elementwise(math.erf, (-7.0, 7.0)),
    "sin": elementwise(math.sin, ANY),
    "cos": elementwise(math.cos, ANY),
    "tan": elementwise(math.tan, (-1.3, 1.3)),
    "asin": elementwise(math.asin, UNIT),
    "acos": elementwise(math.acos, UNIT),
    "atan": elementwise(math.atan, ANY),
    "atan2": elementwise(math.atan2, POSITIVE, ANY),
    "sinh": elementwise(math.sinh, ANY),
    "cosh": elementwise(math.cosh, ANY),
    "tanh": elementwise(math.tanh, ANY),
    "asinh": elementwise(math.asinh, ANY),
    "acosh": elementwise(math.acosh, (1.2, 4.0)),
    "atanh": elementwise(math.atanh, UNIT),
    "equal": comparison(operator.eq),
    "not_equal": comparison(operator.ne),
    "less": comparison(operator.lt),
    "less_equal": comparison(operator.le),
    "greater": comparison(operator.gt),
    "greater_equal": comparison(operator.ge),
    "logical_and": logic(lambda a, b: bool(a) and bool(b)),
    "logical_or": logic(lambda a, b: bool(a) or bool(b)),
    "logical_xor": logic(lambda a, b: bool(a) != bool(b)),
    "logical_not": [whole(lambda x: not x, BOOLS), whole(lambda x: not x, INTS), special(lambda x: not x)],
    "isnan": [special(math.isnan), whole(lambda x: False, INTS)],
    "isinf": [special(math.isinf), whole(lambda x: False, INTS)],
    "isfinite": [special(math.isfinite), whole(lambda x: True, INTS)],
    "bitwise_and": [whole(operator.and_, INTS, OTHER), whole(operator.and_, BOOLS, BOOLS_2)],
    "bitwise_or": [whole(operator.or_, INTS, OTHER), whole(operator.or_, BOOLS, BOOLS_2)],
    "bitwise_xor": [whole(operator.xor, INTS, OTHER), whole(operator.xor, BOOLS, BOOLS_2)],
    "bitwise_invert": [whole(operator.invert, INTS), whole(lambda x: not x, BOOLS)],
    "bitwise_left_shift": [whole(operator.lshift, OTHER, np.array([[1, 2, 0]]))],
    "bitwise_right_shift": [whole(operator.rshift, INTS, np.array([[1, 2, 0]]))],
}
