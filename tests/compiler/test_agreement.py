"""Every model of the table, trained as it is and compiled: the NumPy tier keeps eager's bits, machine code agrees to
rounding.
"""

from functools import lru_cache

import numpy as np
import pytest

import pellucid as pl
from tests.compiler.models import MODELS, training

STEPS = 50

# Rounding differences grow over the steps; parameters agree relative to the largest of their tensor.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def trained(name, dtype, compiled):
    """Parameters, buffers and losses after the steps, and the tier that ran."""
    with training(name, dtype) as t:
        step = pl.compile(t.step) if compiled else t.step
        losses = [step(*map(pl.Tensor, t.inputs)) for _ in range(STEPS)]
        values = [x["loss"] if isinstance(x, dict) else x for x in losses]
        state = {key: np.array(x.data) for key, x in t.model.state_dict().items()}
        return state | {"losses": np.array([v.item() for v in values])}, step.tier if compiled else "eager"


@lru_cache
def by_eager(name, dtype):
    return trained(name, dtype, compiled=False)[0]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", MODELS)
def test_numpy(name, dtype, monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", "numpy")
    state, tier = trained(name, dtype, compiled=True)
    assert tier == "numpy"
    for key, expected in by_eager(name, dtype).items():
        assert state[key].tobytes() == expected.tobytes(), key


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", MODELS)
def test_llvm(name, dtype, monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")
    state, tier = trained(name, dtype, compiled=True)
    assert tier == "llvm"
    for key, expected in by_eager(name, dtype).items():
        error = np.abs(state[key] - expected).max(initial=0)
        assert error <= TOLERANCE[dtype] * np.abs(expected).max(initial=0), key
