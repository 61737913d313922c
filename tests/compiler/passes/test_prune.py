"""What no result needs goes; inputs and state that is written stay."""

import numpy as np

import pellucid as pl
from pellucid import graph
from pellucid.compiler.passes.prune import prune
from tests.compiler.passes.graphs import after, assert_same_bits, ops, state

X = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
UNUSED = state(np.ones(3), "unused")


def test_operations_and_captured_tensors_that_nothing_reads_go():
    def f(x, y):
        pl.exp(x + UNUSED) * 2.0
        return x * 3.0

    g = graph.record(f, X, X)
    changed = after(prune, g)
    assert ops(g) == ["add", "exp", "multiply", "multiply"]
    assert ops(changed) == ["multiply"]
    assert [c.value.name for c in g.captured] == ["unused"]
    assert changed.captured == ()
    assert len(changed.inputs) == 2
    assert_same_bits(g, changed, X, X)


def test_what_leads_to_an_update_stays():
    count = state(np.zeros(3), "count")

    def f(x):
        count.assign(count + pl.exp(x).sum(0))
        return x * 2.0

    g = graph.record(f, X)
    assert after(prune, g) is g
    assert ops(g) == ["exp", "sum", "add", "multiply"]


def test_state_that_takes_over_itself_is_no_update():
    count = state(np.zeros(3), "count")

    def f(x):
        count.assign(count)
        return x + count

    g = graph.record(f, X)
    assert len(g.updates) == 1
    changed = after(prune, g)
    assert changed.updates == ()
    assert np.array_equal(graph.run(changed, X).outputs, X)
