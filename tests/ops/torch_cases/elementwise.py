"""Elementwise operations, selection and softmax."""

import numpy as np
import pytest

import pellucid as pl
from tests.ops.torch_cases.case import CUBE, TIES, A, B, Case, floats, same

torch = pytest.importorskip("torch")

CASES: list[Case] = []
SMOOTH = "exp expm1 exp2 sin cos tan sinh cosh tanh asinh atan erf square sigmoid negative"
for f in f"{SMOOTH} relu abs sign floor ceil trunc round".split():
    for x in (A, floats(), floats(0, 3), floats(1, 1)):
        CASES.append(same(f"{f} {x.shape}", (x,), lambda m, x, f=f: getattr(m, f)(x)))
for f in "log log2 log10 log1p sqrt reciprocal".split():
    CASES.append(same(f, (np.abs(A) + 0.1,), lambda m, x, f=f: getattr(m, f)(x)))
for f in "asin acos atanh".split():
    CASES.append(same(f, (A / 3,), lambda m, x, f=f: getattr(m, f)(x)))
CASES.append(same("acosh", (np.abs(A) + 1.1,), lambda m, x: m.acosh(x)))
for f in "add subtract multiply divide maximum minimum logaddexp atan2 hypot copysign".split():
    for a, b in [
        (A, B),
        (A, floats(3)),
        (floats(2, 1), floats(1, 3)),
        (floats(), A),
        (floats(0, 3), floats(3)),
        (floats(1), floats(2, 1)),
    ]:
        CASES.append(same(f"{f} {a.shape} {b.shape}", (a, b), lambda m, a, b, f=f: getattr(m, f)(a, b)))
for f in "maximum minimum".split():
    CASES.append(same(f"{f} ties", (TIES, np.full((3, 3), 2.0)), lambda m, a, b, f=f: getattr(m, f)(a, b)))
CASES += [
    same("x + number", (A,), lambda m, x: 2 + x * 3 - 1.5),
    same("number / x", (A,), lambda m, x: 2 / x - 1 / (x * x)),
    same("remainder", (np.array([7.5, -7.5, 3.2]), np.array([2.0, 2.0, -1.5])), lambda m, a, b: m.remainder(a, b)),
    same("power", (np.abs(A) + 0.1, B), lambda m, a, b: a**b),
    same("power of 0", (np.array([0.0, 0.0, 2.0]),), lambda m, a: a**2 + a**3 + a**1 + a**0),
    same(
        "power with exponent 0",
        (np.array([0.0, 0.0, 2.0, -2.0]), np.array([2.0, 3.0, 0.0, 2.0])),
        lambda m, a, b: a**b,
        second=False,
    ),
    same("negative base", (np.array([-2.0, -3.0]),), lambda m, a: a**3 + a**-2),
    same("number to the power", (A,), lambda m, a: 2.0**a),
    same("0 to the power", (np.abs(A),), lambda m, a: 0.0**a, second=False),
    same("sqrt of a power", (np.abs(A) + 0.1,), lambda m, a: a**0.5),
    Case("clip", (A,), lambda x: pl.clip(x, -1, 0.5), lambda x: torch.clamp(x, -1, 0.5)),
    Case(
        "clip at a bound",
        (np.array([-1.0, 0.0, 0.5, 2.0]),),
        lambda x: pl.clip(x, -1.0, 0.5),
        lambda x: torch.clamp(x, -1.0, 0.5),
    ),
    Case("clip one side", (A,), lambda x: pl.clip(x, max=0.1), lambda x: torch.clamp(x, max=0.1)),
    Case("clip by tensors", (A, floats(3) - 2, floats(2, 1) + 2.5), pl.clip, torch.clamp),
    Case("clip by a tensor", (A, B), lambda x, low: pl.clip(x, low), lambda x, low: torch.clamp(x, low)),
    same("where", (A, B), lambda m, a, b: m.where(a > 0, a * 2, b)),
    same("where of a number", (A,), lambda m, a: m.where(a > 0, a * a, 0.0)),
    same("where both ways", (floats(2, 1), floats(3)), lambda m, a, b: m.where(a > b, a, b)),
    same("abs at 0", (np.array([0.0, -0.0, 1.0]),), lambda m, x: m.abs(x)),
    same("relu at 0", (np.array([0.0, -1.0, 1.0]),), lambda m, x: m.relu(x)),
    same("softmax", (A,), lambda m, x: m.softmax(x, -1)),
    same("softmax axis 0", (CUBE * 100,), lambda m, x: m.softmax(x, 0)),
    same("log_softmax", (A,), lambda m, x: m.log_softmax(x, -1)),
    same("log_softmax large", (A * 1e4,), lambda m, x: m.log_softmax(x, 1)),
    same("hypot at 0", (np.array([0.0, 3.0]), np.array([1.0, 4.0])), lambda m, a, b: m.hypot(a, b)),
]
