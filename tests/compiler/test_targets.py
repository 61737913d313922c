"""A whole training step becomes object code for every machine that code is written for by name, and asks for nothing
that is not there.
"""

from functools import lru_cache

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler.prepared import lowered_with_table
from pellucid.compiler.record import recorded
from pellucid.compiler.target import NAMED
from pellucid.core.context import default_dtype, set_default_dtype
from tests.compiler.symbols import undefined

pytest.importorskip("llvmlite")

from llvmlite import binding

from pellucid.compiler import engine
from pellucid.compiler.emit_llvm import emit

BATCH = 16

# `engine` gives pl_yield to all code, and on Windows the marker of floats and the function that grows a stack.
GIVEN = {name: {"pl_yield"} for name in NAMED}
GIVEN["haswell-windows"] = {"pl_yield", "_fltused", "__chkstk"}
# C's mathematics has what x86-64 had no instructions for from the start.
GIVEN["generic-linux"] = {"pl_yield", *(name + f for name in ("floor", "ceil", "trunc", "rint") for f in ("", "f"))}


@pytest.fixture(scope="module", autouse=True)
def all_targets():
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()


@lru_cache
def program(dtype, form):
    """A step with a product, reductions over rows and columns, draws, functions and a norm over all gradients."""
    before = default_dtype().name
    set_default_dtype(dtype)
    try:
        pl.manual_seed(0)
        model = nn.Sequential(
            *(nn.Linear(12, 24), nn.BatchNorm1d(24), nn.GELU(), nn.Dropout(0.2)),
            *(nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 5)),
        )
        optimizer, loss_fn = optim.Adam(model.parameters(), lr=0.01), nn.CrossEntropyLoss()

        def step(x, y):
            loss = loss_fn(model(x), y)
            loss.backward()
            optim.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            return loss

        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(BATCH, 12)).astype(dtype), rng.integers(0, 5, BATCH)
        found = recorded(step, [pl.Tensor(x), pl.Tensor(y)])
    finally:
        set_default_dtype(before)
    if form == "one step":
        return lowered_with_table(found.graph)[0].program
    assert found.settings
    return lowered_with_table(found.graph, batched="rows", varying=[t for t, _ in found.settings])[0].program


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", ["one step", "epoch"])
@pytest.mark.parametrize("name", NAMED)
def test_a_whole_step_becomes_object_code(name, form, dtype):
    target = NAMED[name]
    asked = undefined(engine._object(emit(program(dtype, form), target), target))
    assert "pl_yield" in asked
    assert asked <= GIVEN[name]


@pytest.mark.parametrize("name", NAMED)
def test_a_symbol_that_nobody_gives_is_found(name):
    ir = (
        f'target triple = "{NAMED[name].triple}"\n'
        "declare void @f()\ndeclare void @a_function_with_a_long_name()\n"
        "define void @drive() {\n  call void @f()\n  call void @a_function_with_a_long_name()\n  ret void\n}\n"
    )
    assert undefined(engine._object(ir, NAMED[name])) == {"f", "a_function_with_a_long_name"}
