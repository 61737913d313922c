"""Programs that run as they are and compiled, and must do the same. A program takes what stands for `compile` and
returns whatever shall agree: results, parameters, gradients, errors.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn

RNG = np.random.default_rng(0)
X, X_OTHER = RNG.standard_normal((2, 8, 5)).astype("f4")
Y, Y_OTHER = RNG.integers(0, 3, (2, 8))
cross_entropy = nn.CrossEntropyLoss()


@contextmanager
def tier(name: str) -> Iterator[None]:
    """PELLUCID_COMPILE for a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PELLUCID_COMPILE", name)
        yield


def network(dropout=0.0, normalized=False):
    pl.manual_seed(3)
    parts = [nn.Linear(5, 6), nn.Sigmoid(), nn.Dropout(dropout), nn.Linear(6, 3)]
    if normalized:
        parts.insert(1, nn.BatchNorm1d(6))
    return nn.Sequential(*parts)


def step_of(model, optimizer, between=lambda: None):
    """The usual step."""

    def step(x, y):
        loss = cross_entropy(model(x), y)
        loss.backward()
        between()
        optimizer.step()
        return loss

    return step


def state_of(model, *optimizers):
    """Copies of parameters, buffers and what optimizers keep."""
    tensors = [*model.parameters(), *model.buffers()]
    tensors += [t for o in optimizers for s in o.state.values() for t in s.values() if isinstance(t, pl.Tensor)]
    return [t.data.copy() for t in tensors]


def as_it_is(function):
    return function


def assert_same_both_ways(program, name: str, exactly: bool | None = None):
    """The program's results, of which those of the NumPy tier have eager's bits and those of machine code agree to
    rounding; and no warning where none is expected."""
    pl.manual_seed(0)
    expected = copied(program(as_it_is))
    with tier(name):
        pl.manual_seed(0)
        given = copied(program(pl.compile))
    same(expected, given, exactly=name == "numpy" if exactly is None else exactly)
    return expected


def copied(x):
    if isinstance(x, list | tuple):
        return type(x)(map(copied, x))
    if isinstance(x, dict):
        return {key: copied(value) for key, value in x.items()}
    return x.data.copy() if isinstance(x, pl.Tensor) else copy.copy(x)


def same(a, b, where="", exactly=False):
    if isinstance(a, list | tuple):
        assert type(a) is type(b), where
        assert len(a) == len(b), where
        for n, (p, q) in enumerate(zip(a, b, strict=True)):
            same(p, q, f"{where}[{n}]", exactly)
    elif isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            same(a[key], b[key], f"{where}[{key}]", exactly)
    elif isinstance(a, np.ndarray):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), where
        if exactly:
            assert a.tobytes() == b.tobytes(), where
        else:
            scale = max(float(np.abs(a).max(initial=0)), 1.0) if np.isfinite(a).all() else 1.0
            np.testing.assert_allclose(b, a, rtol=2e-5, atol=2e-6 * scale, err_msg=where)
    elif isinstance(a, float):
        assert b == pytest.approx(a, rel=1e-6), where
    else:
        assert a == b, where


def error_of(call, *args):
    """What a call raises, without the place."""
    try:
        call(*args)
    except Exception as problem:
        return type(problem).__name__, str(problem).partition("\n  at:")[0]
    return "nothing"
