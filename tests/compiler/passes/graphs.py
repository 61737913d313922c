"""A recorded graph before and after a pass: what the tests of the passes share."""

import numpy as np

import pellucid as pl
from pellucid import graph
from pellucid.graph.ir import leaves
from pellucid.graph.verify import verify


def state(array, name):
    """A tensor from outside that has a name, as a parameter has."""
    tensor = pl.Tensor(np.asarray(array, np.float32))
    tensor.name = name
    return tensor


def ops(g):
    return [i.op.name for i in g.instructions]


def after(change, g, rounds=1):
    """The graph after a pass, checked; a pass that changes nothing gives the graph itself."""
    for _ in range(rounds):
        g = change(g)
        verify(g)
    assert change(g) is g
    return g


def results(g, *inputs):
    ran = graph.run(g, *inputs)
    return [*leaves(ran.outputs), *ran.updates.values()]


def assert_same_bits(g, changed, *inputs):
    for a, b in zip(results(g, *inputs), results(changed, *inputs), strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


def assert_close(g, changed, *inputs):
    for a, b in zip(results(g, *inputs), results(changed, *inputs), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(b, a, rtol=2e-6 if a.dtype == np.float32 else 1e-13, atol=1e-6, strict=True)
