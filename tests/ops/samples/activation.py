"""Samples of activation functions and scalar bodies of losses; oracles in Python floats, from their definitions."""

import math
from typing import Any

from tests.ops.samples.sample import Sample, elementwise

ANY = (-4.0, 4.0)


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def gelu(x: float, approximate: str = "none") -> float:
    if approximate == "tanh":
        return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x * 0.5 * (1 + math.erf(x / math.sqrt(2)))


def hard(x: float) -> float:
    return min(max(x + 3, 0), 6) / 6


def scaled_elu(x: float) -> float:
    return 1.0507009873554804934193349852946 * (x if x > 0 else 1.6732632423543772848170429916717 * math.expm1(x))


def with_attrs(function: Any, *cases: dict[str, Any], avoid: tuple[float, ...] = ()) -> list[Sample]:
    return [s for attrs in cases for s in elementwise(function, ANY, avoid=avoid, attrs=attrs)]


SAMPLES: dict[str, list[Sample]] = {
    "pass_positive": elementwise(lambda g, x: g if x > 0 else 0.0, ANY, ANY, avoid=(0.0,)),
    "relu": elementwise(lambda x: x if x > 0 else 0.0, ANY, avoid=(0.0,)),
    "relu6": elementwise(lambda x: min(max(x, 0.0), 6.0), (-2.0, 8.0), avoid=(0.0, 6.0)),
    "leaky_relu": with_attrs(
        lambda x, negative_slope: x if x > 0 else negative_slope * x,
        {"negative_slope": 0.01},
        {"negative_slope": 0.3},
        avoid=(0.0,),
    ),
    "prelu": elementwise(lambda x, slope: x if x > 0 else slope * x, ANY, (0.1, 0.9), avoid=(0.0,)),
    "hardtanh": with_attrs(
        lambda x, min_val, max_val: min(max(x, min_val), max_val),
        {"min_val": -1.0, "max_val": 1.0},
        {"min_val": -2.0, "max_val": 0.5},
        avoid=(-1.0, 1.0, -2.0, 0.5),
    ),
    "hardsigmoid": elementwise(hard, ANY, avoid=(-3.0, 3.0)),
    "hardswish": elementwise(lambda x: x * hard(x), ANY, avoid=(-3.0, 3.0)),
    "hardshrink": with_attrs(lambda x, lambd: x if abs(x) > lambd else 0.0, {"lambd": 0.5}, avoid=(-0.5, 0.5)),
    "softshrink": with_attrs(
        lambda x, lambd: x - lambd if x > lambd else x + lambd if x < -lambd else 0.0, {"lambd": 0.5}, avoid=(-0.5, 0.5)
    ),
    "threshold": with_attrs(
        lambda x, threshold, value: x if x > threshold else value, {"threshold": 0.3, "value": -2.0}, avoid=(0.3,)
    ),
    "sigmoid": elementwise(sigmoid, ANY),
    "log_sigmoid": elementwise(lambda x: math.log(sigmoid(x)), ANY, avoid=(0.0,)),
    "elu": with_attrs(
        lambda x, alpha: x if x > 0 else alpha * math.expm1(x), {"alpha": 1.0}, {"alpha": 0.4}, avoid=(0.0,)
    ),
    "selu": elementwise(scaled_elu, ANY, avoid=(0.0,)),
    "celu": with_attrs(
        lambda x, alpha: x if x > 0 else alpha * math.expm1(x / alpha), {"alpha": 1.0}, {"alpha": 0.4}, avoid=(0.0,)
    ),
    "gelu": with_attrs(gelu, {"approximate": "none"}, {"approximate": "tanh"}),
    "silu": elementwise(lambda x: x * sigmoid(x), ANY, avoid=(0.0,)),
    "mish": elementwise(lambda x: x * math.tanh(math.log1p(math.exp(x))), ANY, avoid=(0.0,)),
    "softplus": with_attrs(
        lambda x, beta, threshold: x if x * beta > threshold else math.log1p(math.exp(beta * x)) / beta,
        {"beta": 1.0, "threshold": 20.0},
        {"beta": 2.0, "threshold": 5.0},
        avoid=(0.0, 2.5),
    ),
    "softsign": elementwise(lambda x: x / (1 + abs(x)), ANY, avoid=(0.0,)),
    "tanhshrink": elementwise(lambda x: x - math.tanh(x), ANY),
    "logistic_slope": elementwise(lambda x, t: sigmoid(x) - t, ANY, (0.0, 1.0), avoid=(0.0,)),
    "logistic_loss": elementwise(lambda x, t: math.log1p(math.exp(x)) - t * x, ANY, (0.0, 1.0), avoid=(0.0,)),
}
