"""Operations that do nothing go, to the last bit: with -0.0, NaN, infinity and every dtype."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import graph
from pellucid.compiler.passes.prune import prune
from pellucid.compiler.passes.simplify import simplify
from tests.compiler.passes.graphs import assert_same_bits, ops

X = np.array([[0.0, -0.0, 1.5], [np.nan, np.inf, -np.inf], [1e-45, -3.0, 2.0**-126]], np.float32)
N = np.array([[3, -1, 2**40 + 1]])
KEYS = np.array([[2], [0], [1]])


def simplified(function, *inputs):
    with np.errstate(all="ignore"):
        g = graph.record(function, *inputs)
    changed, before = g, None
    while before is not changed:
        before = changed
        changed = prune(simplify(changed))
        graph.verify(changed)
    assert_same_bits(g, changed, *inputs)
    return changed


NOTHING = {
    "positive": lambda x: +x,
    "negative twice": lambda x: pl.negative(-x),
    "times 1": lambda x: 1 * (x * 1.0),
    "by 1": lambda x: x / 1.0,
    "less 0": lambda x: x - 0.0,
    "plus -0": lambda x: -0.0 + (x + -0.0),
    "to the power of 1": lambda x: x**1,
    "where of the same": lambda x: pl.where(x > 0, x, x),
    "transposed twice": lambda x: x.T.T,
    "flipped twice": lambda x: pl.flip(pl.flip(x, 0), 0),
    "reshaped there and back": lambda x: x.reshape(9).reshape(1, 9).reshape(3, 3),
    "broadcast to its own shape": lambda x: pl.broadcast_to(x, (3, 3)),
    "all of it": lambda x: x[:, ...],
    "concatenated with nothing": lambda x: pl.concatenate([x]),
    "no border": lambda x: pl.pad(x, 0),
    "wider and back": lambda x: pl.cast(pl.cast(x, "f8"), "f4"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_does_nothing_goes(name):
    changed = simplified(NOTHING[name], X)
    assert ops(changed) == []
    assert changed.outputs is changed.inputs[0]


SOMETHING = {
    "times 0": (lambda x: x * 0.0, ["multiply"]),
    "times -1": (lambda x: x * -1.0, ["multiply"]),
    "plus 0": (lambda x: x + 0.0, ["add"]),
    "less -0": (lambda x: x - -0.0, ["subtract"]),
    "less itself": (lambda x: x - x, ["subtract"]),
    "by itself": (lambda x: x / x, ["divide"]),
    "by three": (lambda x: x / 3.0, ["divide"]),
    "by a number whose reciprocal is subnormal": (lambda x: x / 2.0**127, ["divide"]),
    "a float of a boolean": (lambda x: (x > 0) * 1.0, ["greater", "multiply"]),
    "shorter and back": (lambda x: pl.cast(pl.cast(x, "i4"), "f4"), ["cast", "cast"]),
    "a sum of zeros": (lambda x: x.sum(0), ["sum"]),
    "a broadcast that gives the shape": (
        lambda x: pl.broadcast_to(x[0], (2, 3)) + 1.0,
        ["index", "broadcast_to", "add"],
    ),
    "flipped on two axes": (lambda x: pl.flip(pl.flip(x, 0), 1), ["flip", "flip"]),
}


@pytest.mark.parametrize("name", SOMETHING)
def test_what_does_something_stays(name):
    function, expected = SOMETHING[name]
    x = np.zeros((3, 3), np.float32) if "shorter" in name else X
    assert ops(simplified(function, x)) == expected


def _nested(x, condition):
    return pl.where(condition, pl.where(condition, x, 1.0), 2.0)


SHORTER = {
    "a division by a power of two": (lambda x: x / 32, ["multiply"]),
    "a product with 1 in a step": (lambda x: pl.multiply_add(x, 1.0, x), ["add"]),
    "two transpositions": (lambda x: pl.permute(pl.permute(x[None], (1, 0, 2)), (2, 1, 0)), ["index", "transpose"]),
    "a broadcast of a broadcast": (
        lambda x: pl.broadcast_to(pl.broadcast_to(x, (1, 3, 3)), (2, 3, 3)),
        ["broadcast_to"],
    ),
    "a broadcast that an operation does itself": (lambda x: x * pl.broadcast_to(x[0], (3, 3)), ["index", "multiply"]),
    "one element repeated and reshaped": (
        lambda x: pl.flip(pl.broadcast_to(x[:1, :1], (2, 3)).reshape(6), 0),
        ["index", "reshape", "broadcast_to"],
    ),
    "the inner branch of a condition": (lambda x: _nested(x, x > 0), ["greater", "where"]),
    "the sum of one": (lambda x: x[:, 1:2].sum(1), ["index", "add", "reshape"]),
    "the count of one": (lambda x: (x > 0)[:, 1:2].sum(1), ["greater", "index", "cast", "reshape"]),
    "the largest of one": (lambda x: x[:, 1:2].max(1), ["index", "reshape"]),
}


@pytest.mark.parametrize("name", SHORTER)
def test_several_become_fewer_or_cheaper(name):
    function, expected = SHORTER[name]
    assert ops(simplified(function, X)) == expected


def test_a_decided_condition_in_either_branch():
    def f(x, y):
        c = x > 0
        return pl.where(c, pl.where(c, x, y), 1.0), pl.where(c, 1.0, pl.where(c, x, y))

    changed = simplified(f, X, X[::-1])
    x, y = changed.inputs
    assert ops(changed) == ["greater", "where", "where"]
    assert [i.inputs[1:] for i in changed.instructions[1:]] == [(x, 1.0), (1.0, y)]


def test_a_condition_whose_branch_decides_the_dtype_stays():
    def f(x, n):
        c = x > 0
        return pl.where(c, pl.where(c, n, 0.5), 1)

    assert ops(simplified(f, np.nan_to_num(X)[:1], N)) == ["greater", "where", "where"]


def test_whole_numbers_are_exact_or_left_alone():
    changed = simplified(lambda n: pl.cast(pl.cast(n, "f8"), "i8"), N)
    assert ops(changed) == ["cast", "cast"]
    changed = simplified(lambda n: pl.cast(pl.cast(n, "f8"), "f4"), N)
    assert ops(changed) == ["cast", "cast"]  # 2^40 + 1 is rounded twice
    changed = simplified(lambda n: pl.cast(pl.cast(n, "i8"), "f4"), N.astype(np.int32))
    assert ops(changed) == ["cast"]
    changed = simplified(lambda n: n + 0 - 0, N)
    assert ops(changed) == []
    changed = simplified(lambda n: n / 2, N)
    assert ops(changed) == ["multiply"]


def test_the_sum_of_one_element_among_zeros_is_that_element():
    def f(x, keys):
        w = x * 1.5
        taken = pl.take_along_axis(w, keys, 1) * x[:, :1]
        (slope,) = pl.autograd.grad(taken.sum(), [w])
        return slope.sum(1, keepdims=True), slope.sum(1), slope.sum(0)

    x = pl.Tensor([[-0.0, 0.0, 1.5], [2.0, 1e-45, -1.0], [-3.0, 0.5, 0.0]], requires_grad=True)
    assert ops(graph.record(f, x, KEYS)).count("place_along") == 1
    changed = simplified(f, x, KEYS)
    assert ops(changed)[-4:] == ["add", "add", "reshape", "sum"]
    assert graph.run(changed, x, KEYS).outputs[1].tolist() == x.data[:, 0].tolist()
