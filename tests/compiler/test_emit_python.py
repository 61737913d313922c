"""Whole programs as Python text: what is printed runs, step after step, and agrees with machine code."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler.emit_python import run, source
from pellucid.compiler.expressions import FLOAT32, INT64, Buffer, Variable, load, number, variable
from pellucid.compiler.layout import orders
from pellucid.compiler.lower import lower
from pellucid.compiler.nest import Call, Kernel, Loop, Program, Store
from pellucid.compiler.passes.order import optimized
from pellucid.graph import record

I, LO, HI, STEP = (Variable(name) for name in ("i", "lo", "hi", "step"))
i, step = variable(I), variable(STEP)


def doubled(x, y, index, extent=4, name="double"):
    """A kernel that writes twice what it reads."""
    loop = Loop(I, variable(LO), variable(HI), (Store(y, index, load(x, index) * 2.0),), vector=True)
    return Call(Kernel(name, LO, HI, STEP, (loop,)), extent)


X, Y, Z = (Buffer(name, n, FLOAT32, (4,), (1,), "input") for n, name in enumerate("xyz"))


def test_phases_in_their_order():
    program = Program((X, Y, Z), ((doubled(X, Y, i, name="first"),), (doubled(Y, Z, i, name="second"),)), name="twice")
    arrays = {0: np.arange(4, dtype="f4"), 1: np.zeros(4, "f4"), 2: np.zeros(4, "f4")}
    run(program, arrays)
    assert arrays[2].tolist() == [0, 4, 8, 12]
    assert source(program) == (
        "# twice\n"
        "#\n"
        "# x: float32 (4,), input\n"
        "# y: float32 (4,), input\n"
        "# z: float32 (4,), input\n"
        "\n\n"
        "def first_2(lo, hi):\n"
        "    i = arange(lo, hi)\n"
        "    y[i] = x[i] * 2.0\n"
        "\n\n"
        "def second(lo, hi):\n"
        "    i = arange(lo, hi)\n"
        "    z[i] = y[i] * 2.0\n"
        "\n\n"
        "for step in range(first, last):\n"
        "    first_2(0, 4)\n"
        "    # here every thread waits for the others\n"
        "    second(0, 4)\n"
    )


def test_steps_that_read_rows_through_an_order():
    rows = Buffer("rows", 0, FLOAT32, (2, 3), (3, 1), "input")
    order = Buffer("order", 1, INT64, (2,), (1,), "order")
    out = Buffer("out", 2, FLOAT32, (), (), "output")
    picked = load(order, step * 2 + i)
    body = Loop(I, number(0, INT64), number(2, INT64), (Store(out, step * 2 + i, load(rows, picked * 3 + 1)),))
    program = Program((rows, order, out), ((Call(Kernel("pick", LO, HI, STEP, (body,)), 1, shared=False),),))
    assert "out_flat[step * 2 + i] = rows[order[step * 2 + i], 1]\n" in source(program)
    data, results = np.arange(30, dtype="f4").reshape(10, 3), np.zeros(6, "f4")
    run(program, {0: data, 1: np.array([9, 0, 3, 4, 8, 1]), 2: results}, 1, 3)
    assert results.tolist() == [0, 0, 10, 13, 25, 4]


def test_columns_first():
    x = Buffer("x", 0, FLOAT32, (2, 3), (1, 2), "input")
    y = Buffer("y", 1, FLOAT32, (2, 3), (3, 1), "output")
    j = Variable("j")
    inner = Loop(j, number(0, INT64), number(3, INT64), (Store(y, i * 3 + j, load(x, i + variable(j) * 2)),), True)
    body = Loop(I, number(0, INT64), number(2, INT64), (inner,))
    program = Program((x, y), ((Call(Kernel("copy", LO, HI, STEP, (body,)), 1, shared=False),),))
    assert "y[i, j] = x[i, j]\n" in source(program)
    given, got = np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3)), np.zeros((2, 3), "f4")
    run(program, {0: given, 1: got})
    assert (got == given).all()


def test_nothing_to_do():
    assert source(Program((), ())).endswith("for step in range(first, last):\n    pass\n")


# Programs of graphs


def fresh(b):
    """Memory for a buffer."""
    size = 1 + sum((n - 1) * s for n, s in zip(b.shape, b.strides, strict=True)) if all(b.shape) else 0
    return np.lib.stride_tricks.as_strided(np.zeros(size, b.dtype), b.shape, [s * b.dtype.itemsize for s in b.strides])


def lowered(function, *inputs):
    """The program of a function, and its arrays."""
    graph = optimized(record(function, *inputs), native=True)
    result = lower(graph, orders(graph))
    arrays = {b.number: fresh(b) for b in result.program.buffers}
    for number_, x in zip(result.inputs, inputs, strict=True):
        arrays[number_][...] = x
    for number_, c in zip(result.captured, graph.captured, strict=True):
        arrays[number_][...] = c.tensor.data
    return result, arrays


def digits(optimizer, dropout=0.0):
    pl.manual_seed(0)
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(dropout), nn.Linear(32, 10))
    made = optimizer(model.parameters(), lr=0.01)

    def step(x, y):
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        made.step()
        return loss

    x, y = rng.standard_normal((16, 64)).astype("f4"), rng.integers(0, 10, 16)
    step(pl.Tensor(x), pl.Tensor(y))
    return step, x, y


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam])
def test_training_agrees_with_machine_code(optimizer, dropout):
    pytest.importorskip("llvmlite")
    from tests.compiler import machine

    result, arrays = lowered(*digits(optimizer, dropout))
    copies = {b.number: fresh(b) for b in result.program.buffers}
    native = machine.native(result.program)
    for n, a in arrays.items():
        copies[n][...] = a
        native.bind(n, copies[n])
    before = {n: arrays[n].copy() for n in result.captured}
    native.run(first=0, last=3)
    run(result.program, arrays, 0, 3)
    changed = 0
    for n in (*result.captured, *result.outputs):
        assert np.allclose(arrays[n], copies[n], rtol=1e-5, atol=1e-6), result.program.buffers[n].name
        changed += n in before and not np.array_equal(arrays[n], before[n])
    assert changed >= 4


def test_the_text_of_a_step_has_its_layers():
    result, _ = lowered(*digits(optim.SGD))
    text = source(result.program)
    assert "# Sequential.0 + Sequential.1: affine_map, relu\n" in text
    assert "x[i0, k] * model_0_weight[i1, k]\n" in text
    assert "# SGD: " in text
    assert "model_0_weight[i0, i1] = " in text
    assert "_flat" not in text
