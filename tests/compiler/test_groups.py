"""Whatever operations are put into one nest, the numbers stay: random programs with state, in machine code and not."""

import numpy as np
import pytest

import pellucid as pl
from pellucid.compiler.groups import Groups
from pellucid.compiler.layout import orders
from pellucid.compiler.passes.order import optimized
from pellucid.compiler.prepared import with_own_outputs
from tests.compiler.both_ways import tier
from tests.compiler.random_graphs import Program

TOLERANCE = {np.dtype("f4"): 1e-3, np.dtype("f8"): 1e-9}


def results(program, function):
    found = []
    for n in range(3):
        given = function(*[pl.Tensor(x * (1 + 0.1 * n)) for x in program.inputs])
        found += [t.data.copy() for t in (*given, *program.state)]
    return found


@pytest.mark.parametrize("block", range(8))
def test_random_programs(block):
    pytest.importorskip("llvmlite")
    for seed in range(block * 20, block * 20 + 20):
        program, other = Program(seed), Program(seed)
        expected = results(program, program)
        with tier("llvm"):
            given = results(other, pl.compile(other))
        for n, (a, b) in enumerate(zip(expected, given, strict=True)):
            assert (a.shape, a.dtype) == (b.shape, b.dtype), (seed, n)
            tolerance = TOLERANCE[a.dtype]
            np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance, err_msg=f"program {seed}, result {n}")


def grouped(function, *examples):
    graph = with_own_outputs(optimized(pl.graph.record(function, *examples), native=True))
    groups = Groups(graph, orders(graph))
    return [(g.kind, [i.op.name for i in g.instructions]) for g in groups.groups]


A = np.ones((12, 9), "f4")


def test_elementwise_operations_follow_the_product_that_they_read():
    w = pl.Tensor(np.ones((9, 5), "f4"))
    assert grouped(lambda x: pl.tanh(x @ w + 1.0) * 2.0, A) == [("product", ["matmul", "add", "tanh", "multiply"])]


def test_a_softmax_is_one_nest_over_rows():
    found = grouped(lambda x: pl.softmax(x, axis=-1), A)
    assert [kind for kind, _ in found] == ["map"]


def test_cheap_operations_on_inputs_are_computed_where_they_are_read():
    w = pl.Tensor(np.ones((9, 5), "f4"))
    assert grouped(lambda x: (x * 2.0).T @ (x + 1.0), A) == [("product", ["matmul"])]
    assert grouped(lambda x: (x.T[::-1] + 1.0).sum(), A)[-1][1][-1] == "sum"
    assert grouped(lambda x: pl.exp(x) @ w, A) == [("map", ["exp"]), ("product", ["matmul"])]


def test_what_reads_other_elements_waits_for_the_nest():
    found = grouped(lambda x: pl.exp(x) + pl.exp(x)[::-1], A)
    assert len(found) == 2


def test_an_addition_by_indices_is_a_nest_of_its_own():
    table, rows = pl.Tensor(np.ones((7, 3), "f4"), requires_grad=True), np.array([0, 2, 2])

    def gradient(scale):
        return pl.autograd.grad((table[rows] * scale).sum(), table)

    assert "add" in [kind for kind, _ in grouped(gradient, np.float32(2.0))]
