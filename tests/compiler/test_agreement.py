"""Every model of the table, trained as it is and compiled: the NumPy tier keeps eager's bits, machine code agrees to
rounding.
"""

from functools import lru_cache

import numpy as np
import pytest

import pellucid as pl
from tests.compiler.models import MODELS, OPTIMIZERS, training

STEPS = 50

# Rounding differences grow over the steps; parameters agree relative to the largest of the model, since some have
# nothing but rounding to learn, such as a bias that a difference takes out.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}

# The many optimizers differ in no operation between the dtypes.
CASES = [
    pytest.param(name, dtype, marks=pytest.mark.slow if name in OPTIMIZERS and dtype == "float64" else ())
    for name in MODELS
    for dtype in TOLERANCE
]


def trained(name, dtype, compiled):
    """Parameters, buffers and losses after the steps, and the tier that ran."""
    with training(name, dtype) as t:
        step = pl.compile(t.step) if compiled else t.step
        first = [t.step(*map(pl.Tensor, t.inputs))] if t.ordinary else []
        losses = [*first, *(step(*map(pl.Tensor, t.inputs)) for _ in range(STEPS))]
        values = [x["loss"] if isinstance(x, dict) else x for x in losses]
        state = {key: np.array(x.data) for key, x in t.model.state_dict().items()}
        return state | {"losses": np.array([v.item() for v in values])}, step.tier if compiled else "eager"


@lru_cache
def by_eager(name, dtype):
    return trained(name, dtype, compiled=False)[0]


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_numpy(name, dtype, monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", "numpy")
    state, tier = trained(name, dtype, compiled=True)
    assert tier == "numpy"
    for key, expected in by_eager(name, dtype).items():
        assert state[key].tobytes() == expected.tobytes(), key


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_llvm(name, dtype, monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")
    state, tier = trained(name, dtype, compiled=True)
    assert tier == "llvm"
    expected = by_eager(name, dtype)
    largest = max(np.abs(expected[key]).max(initial=0) for key in expected if key != "losses")
    for key, values in expected.items():
        scale = np.abs(values).max() if key == "losses" else largest
        assert np.abs(state[key] - values).max(initial=0) <= TOLERANCE[dtype] * scale, key
