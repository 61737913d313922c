"""Every way of indexing that one array or a slice can do, forwards and as gradient, to the very bits."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import graph
from pellucid.compiler.elements import has_native_rule
from pellucid.compiler.passes.expand import expand
from tests.compiler.passes.graphs import after, assert_same_bits, ops

X = np.arange(120, dtype=np.float32).reshape(4, 5, 6)
I, J = np.array([3, -1, 0]), np.array([-5, 2, 1])
GRID = np.array([[1, -2], [0, 3]], np.int8)

INDICES = {
    "new axes": lambda x, i, j, k: x[None, 1:, ..., None],
    "a number": lambda x, i, j, k: x[-1, ..., 2:5],
    "steps": lambda x, i, j, k: x[::2, ::-1, 1::3],
    "backwards by two": lambda x, i, j, k: x[2, 4:0:-2],
    "one array": lambda x, i, j, k: x[i],
    "one array in the middle": lambda x, i, j, k: x[:, j],
    "an array of two axes": lambda x, i, j, k: x[..., k],
    "an array and a slice": lambda x, i, j, k: x[i, 1:3],
    "an array and a number": lambda x, i, j, k: x[1, j],
    "an array and a number apart": lambda x, i, j, k: x[1, :, j],
    "two arrays": lambda x, i, j, k: x[i, j],
    "two arrays that broadcast": lambda x, i, j, k: x[:, i[:, None], j[None]],
    "two arrays apart": lambda x, i, j, k: x[i, :, j],
    "two arrays and a new axis": lambda x, i, j, k: x[None, i, None, :, j],
    "three arrays": lambda x, i, j, k: x[i, j, i],
    "small whole numbers": lambda x, i, j, k: x[k, k],
}


def expanded(function, *inputs):
    g = graph.record(function, *inputs)
    changed = after(expand, g, rounds=2)
    assert_same_bits(g, changed, *inputs)
    assert [has_native_rule(i) for i in changed.instructions] == [""] * len(changed.instructions)
    return changed


@pytest.mark.parametrize("name", INDICES)
def test_reading(name):
    changed = expanded(INDICES[name], X, I, J, GRID)
    assert np.array_equal(graph.run(changed, X, I, J, GRID).outputs, INDICES[name](X, I, J, GRID))


@pytest.mark.parametrize("name", INDICES)
def test_adding_into_zeros(name):
    def slope(x, i, j, k):
        picked = INDICES[name](x, i, j, k)
        return pl.autograd.grad((picked * pl.exp(picked / 120.0)).sum(), [x])[0]

    changed = expanded(slope, pl.Tensor(X, requires_grad=True), I, J, GRID)
    for i in changed.instructions:
        if i.op.name == "index_add":
            assert i.attrs["template"][0] == "array"
            assert all(t == slice(None) for t in i.attrs["template"][1:])


def test_what_is_known_stays():
    for name in ("one array", "one array in the middle", "an array of two axes", "steps"):
        g = graph.record(lambda x, i, j, k, name=name: INDICES[name](x, i, j, k), X, I, J, GRID)
        if name != "an array of two axes":
            assert after(expand, g) is g
    assert ops(expanded(INDICES["a number"], X, I, J, GRID)) == ["index"]
