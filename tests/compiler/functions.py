"""Functions of `mathematics` on arrays: as printed Python, and as machine code where llvmlite is. And how far a result
is from an exact one."""

import itertools
import math

import numpy as np
import pytest

from pellucid.compiler.emit_python import run
from pellucid.compiler.expressions import BASIC, BOOL, INT64, Buffer, Expr, Variable, cast, load, number, variable
from pellucid.compiler.mathematics import expand
from pellucid.compiler.nest import Call, Kernel, Loop, Program, Store

DTYPES = ["float32", "float64"]
LEAVES = {"number", "variable", "name", "load"}


def expanded(expr):
    """An expression in basic operations alone."""
    known = {}

    def of(e):
        if e not in known:
            if e.op in LEAVES:
                known[e] = e
            elif e.op in BASIC:
                known[e] = Expr(e.op, tuple(map(of, e.args)), e.dtype)
            else:
                known[e] = of(expand(e.op, e.args))
        return known[e]

    return of(expr)


def program_of(expression, *arrays, out):
    """A program that stores an expression of the arrays' elements, and its arrays by number."""
    size, i = len(arrays[0]), Variable("i")
    all_arrays = [*arrays, np.zeros(size, out)]
    names = [*(f"x{n}" for n in range(len(arrays))), "out"]
    buffers = [
        Buffer(name, n, a.dtype, a.shape, (1,), "input")
        for n, (name, a) in enumerate(zip(names, all_arrays, strict=True))
    ]
    value = expression(*(load(b, variable(i)) for b in buffers[:-1]))
    body = Loop(i, number(0, INT64), number(size, INT64), (Store(buffers[-1], variable(i), value),), vector=True)
    kernel = Kernel("values", Variable("lo"), Variable("hi"), Variable("step"), (body,))
    return Program(tuple(buffers), ((Call(kernel, 1, shared=False),),)), dict(enumerate(all_arrays))


def by_python(expression, *arrays, out):
    """An expression's values by its Python text."""
    program, places = program_of(expression, *arrays, out=out)
    run(program, places)
    return places[len(arrays)]


def by_machine(expression, *arrays, out):
    """An expression's values by machine code."""
    pytest.importorskip("llvmlite")
    from pellucid.compiler.target import host
    from tests.compiler.machine import Compiled

    if not host().has_fma:
        pytest.skip("the bounds are those of machines that multiply and add at once")
    program, places = program_of(expression, *arrays, out=out)
    Compiled(program).run({b.name: places[b.number] for b in program.buffers})
    return places[len(arrays)]


WAYS = [by_python, by_machine]


def values_of(way, name, *arrays):
    """A function's values, computed with basic operations."""

    def expression(*xs):
        return cast(expanded(Expr(name, xs, BOOL if name in ("isnan", "signbit") else xs[0].dtype)), xs[0].dtype)

    return way(expression, *arrays, out=arrays[0].dtype)


def points(dtype, count):
    """Numbers evenly over all bit patterns, and more of usual sizes."""
    dtype = np.dtype(dtype)
    rng = np.random.default_rng(0)
    bits = dtype.itemsize * 8
    everywhere = np.linspace(0, 2.0**bits - 2.0 ** (bits - 40 if bits > 40 else 0), count).astype(f"u{dtype.itemsize}")
    usual = rng.standard_normal(count) * np.exp(rng.uniform(-7, 6, count))
    around_one = 1 + rng.standard_normal(count // 4) * rng.choice([1e-6, 1e-3, 0.3], count // 4)
    return np.concatenate([everywhere.view(dtype), usual.astype(dtype), around_one.astype(dtype), special(dtype)])


def special(dtype):
    """Zeros, ones, infinities, NaN, and the ends of the range."""
    limits = np.finfo(dtype)
    ends = [limits.max, limits.tiny, limits.smallest_subnormal, 1 + limits.eps]
    values = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, math.inf, *map(float, ends)]
    return np.array([*values, *(-x for x in values), math.nan], dtype)


def pairs(dtype):
    """Every special number with every other."""
    return np.array(list(itertools.product(special(dtype), repeat=2)), dtype).T.copy()


def exact(function, *arrays):
    """A NumPy function in more digits than the arrays have: for float64 in long double, where that is longer."""
    wide = np.float64 if arrays[0].dtype == np.float32 else np.longdouble
    with np.errstate(all="ignore"):
        return function(*(a.astype(wide) for a in arrays))


def assert_within(bound, got, expected):
    """Every result within so many units in the last place; NaN, infinities and the signs of zeros the same."""
    dtype = got.dtype
    if expected.dtype == dtype or np.finfo(expected.dtype).nmant == np.finfo(dtype).nmant:
        bound += 1  # the reference is rounded itself
    with np.errstate(all="ignore"):
        rounded = expected.astype(dtype)
        unit = np.spacing(np.maximum(np.abs(rounded), np.finfo(dtype).tiny))
        error = np.abs(got.astype(expected.dtype) - expected) / unit
        # What lies half a unit beyond the largest number may be rounded to either.
        edge = np.isinf(got) != np.isinf(rounded)
        largest = np.finfo(dtype).max
        error[edge] = np.abs(np.clip(got[edge], -largest, largest) - np.clip(expected[edge], -largest, largest))
        error[edge] /= np.spacing(largest)
        special = (
            np.isnan(got) | np.isnan(rounded) | (np.isinf(got) & np.isinf(rounded)) | ((got == 0) & (rounded == 0))
        )
        same = np.isnan(got) & np.isnan(rounded) | (got == rounded) & (np.signbit(got) == np.signbit(rounded))
    wrong = np.where(special, ~same, ~(error <= bound))
    worst = np.flatnonzero(wrong)[:5]
    assert not wrong.any(), [(got[n], expected[n], error[n]) for n in worst]
