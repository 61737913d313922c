"""Equal operations and equal constants become one, and what only looks equal does not."""

import numpy as np

import pellucid as pl
from pellucid import graph
from pellucid.compiler.passes.merge import merge
from pellucid.compiler.passes.prune import prune
from tests.compiler.passes.graphs import after, assert_same_bits, ops, state

X = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)


def test_equal_operations_are_done_once():
    g = graph.record(lambda x: pl.exp(x[:, 1:] * 2.0) + pl.exp(x[:, 1:] * 2.0), X)
    changed = after(merge, g)
    assert ops(g) == ["index", "multiply", "exp"] * 2 + ["add"]
    assert ops(changed) == ["index", "multiply", "exp", "add"]
    assert_same_bits(g, changed, X)


def test_outputs_and_updates_follow():
    kept = state(np.zeros((2, 3)), "state")

    def f(x):
        kept.assign(x * 2.0)
        return x * 2.0

    g = graph.record(f, X)
    changed = after(merge, g)
    assert ops(changed) == ["multiply"]
    assert changed.outputs is changed.updates[0][1]
    assert_same_bits(g, changed, X)


def test_other_numbers_attributes_and_inputs_are_other_operations():
    def f(x, y):
        zeros = (x * 0.0, x * -0.0, pl.cast(x, "i8") * 1, pl.cast(x, "i8") * 1.0)
        return [*zeros, x.sum(0), x.sum(1), x[:, ::2], x[:, ::1], x - y, y - x, x + float("nan")]

    g = graph.record(f, X, X)
    changed = after(merge, g)
    assert len(changed.instructions) == len(g.instructions) - 1  # the cast
    assert_same_bits(g, changed, X, X[::-1])


def test_random_bits_are_one_draw_only_if_the_key_is_one():
    def f(x):
        return pl.uniform(shape=4) + x[0, 0] - pl.uniform(shape=4)

    g = graph.record(f, X)
    draws = [i for i in g.instructions if i.op.name == "random_bits"]
    changed = after(merge, g)
    assert ops(changed).count("random_bits") == len(draws) == 2


def test_equal_constants_become_one():
    def f(x):
        return (x * pl.Tensor([1.0, 2.0, 3.0]), x - pl.Tensor([1.0, 2.0, 3.0]), x * pl.Tensor([0.0, 2.0, 3.0]))

    g = graph.record(f, X)
    changed = after(prune, after(merge, g))
    assert len(g.captured) == 3
    assert len(changed.captured) == 2
    assert_same_bits(g, changed, X)


def test_zeros_of_two_signs_are_two_constants():
    g = graph.record(lambda x: (x * pl.Tensor([0.0]), x * pl.Tensor([-0.0])), X)
    assert after(merge, g) is g


def test_state_is_not_merged_though_it_is_equal_now():
    first, second = (state(np.ones(3), n) for n in ("first", "second"))

    def f(x):
        return x * first, x * second

    g = graph.record(f, X)
    assert after(merge, g) is g
