"""One element of a value as an expression of indices: movements give the element that NumPy gives."""

import numpy as np
import pytest

import pellucid as pl
from pellucid.compiler.elements import (
    broadcast,
    clamped,
    has_native_rule,
    inputs_at,
    offset,
    reshaped,
    row_major,
    same,
    strides_of,
)
from pellucid.compiler.expressions import INT64, Variable, number, variable
from tests.compiler.both_ways import assert_same_both_ways

A = np.random.default_rng(2).standard_normal((4, 6, 5)).astype("f4")
I, J, K = (variable(Variable(name)) for name in "ijk")


def whole(*numbers):
    return tuple(number(n, INT64) for n in numbers)


def numbers(index):
    assert all(e.op == "number" for e in index)
    return tuple(e.args[0] for e in index)


@pytest.mark.parametrize(
    "move",
    [
        lambda x: x.reshape(24, 5), lambda x: x.reshape(4, 30), lambda x: x.reshape(2, 2, 3, 10),
        lambda x: x.reshape(-1), lambda x: x.reshape(4, 1, 6, 5, 1), lambda x: x.transpose(2, 0, 1),
        lambda x: x[::-1], lambda x: x[:, ::-2, 1:4], lambda x: x[1], lambda x: x[-1, :, 2],
        lambda x: x[:, -1:], lambda x: pl.broadcast_to(x[:, :1], (4, 6, 5)),
        lambda x: pl.broadcast_to(x, (2, 4, 6, 5)), lambda x: pl.flip(x, axis=(0, 2)),
    ],
)  # fmt: skip
def test_an_index_of_a_result_leads_to_the_element_that_numpy_has_there(move):
    graph = pl.graph.record(move, A)
    expected = move(pl.Tensor(A)).data
    made = {i.output.id: i for i in graph.instructions}
    for place in np.ndindex(expected.shape):
        value, index = graph.outputs, whole(*place)
        while value.id in made:
            ((value, index),) = list(inputs_at(made[value.id], index))
        assert A[numbers(index)] == expected[place]


def test_places_in_memory():
    assert (row_major((4, 6, 5)), row_major(()), strides_of((4, 6), (1, 0))) == ((30, 5, 1), (), (1, 4))
    assert offset(whole(3, 2, 1), row_major((4, 6, 5))).args == (3 * 30 + 2 * 5 + 1,)
    assert numbers(broadcast(whole(3, 2, 1), (6, 1))) == (2, 0)
    assert numbers(reshaped(whole(23, 4), (24, 5), (4, 6, 5))) == (3, 5, 4)


def test_indices_are_the_same_where_they_always_agree():
    assert same((I, J + 0), (I, J))
    assert same((I * 2 + J,), (J + I + I,))
    assert not same((I, J), (J, I))
    assert not same((I,), (I + 1,))
    assert not same((I,), (I, J))
    assert not same((K,), (number(0, INT64),))


def test_a_place_beyond_an_axis_is_brought_back():
    # where(i' < length, i', length - 1), with i' no less than 0
    for length, last in ((5, 4), (1, 0), (0, 0)):
        place = clamped(I, length)
        assert (place.op, place.args[0].op, place.args[2].args[0]) == ("where", "<", last)
        assert place.args[1].op == "where"


def test_what_has_no_rule_says_its_name():
    graph = pl.graph.record(lambda x: pl.sort(x, axis=0) * 2.0, A)
    missing = [has_native_rule(i) for i in graph.instructions]
    assert missing[-1] == ""
    assert any(missing)


PROGRAMS = {
    "joined": lambda x: pl.concatenate([x, x[:2] * 2.0, x[:0], -x], axis=0),
    "joined within": lambda x: pl.concatenate([x[:, :, :2], pl.exp(x), x[:, :, ::-1]], axis=2) + 1.0,
    "stacked": lambda x: pl.stack([x, x + 1.0], axis=1).sum(axis=2),
    "joined of several dtypes": lambda x: pl.concatenate([x > 0, (x * 3.0).astype("int64"), x], axis=1),
    "remainders": lambda x: (x % 0.5, x // 0.5, 1.0 % x, x[0] // x),
    "padded": lambda x: pl.pad(x, ((1, 2), (0, 0), (3, 0))) * 2.0,
    "padded with a number": lambda x: pl.pad(x, ((1, 0), (2, 2), (0, 0)), value=4.0).max(axis=1),
    "picked": lambda x: x[np.array([3, 0, -1, 0])] * 2.0,
    "picked within": lambda x: x[:, np.array([[1, -1], [0, 5]])].sum(axis=0),
    "picked again": lambda x: x[np.array([1, 2, 3])][:, np.array([0, 0, 4])][..., ::-1],
    "chosen": lambda x: pl.where(x > 0, x, pl.where(x < -1.0, -1.0, x * 0.1)),
    "mixed dtypes": lambda x: (x > 0) * 2 + (x * 3.0).astype("int64") / 2,
    "whole numbers": lambda x: (x * 10.0).astype("int64") // 3 + (x * 10.0).astype("int64") % 3,
    "truths": lambda x: ((x > 0) & (x < 1.0)) | ~(x > -1.0),
    "counts": lambda x: (x > 0).sum(axis=1) + (x > 0).any(axis=1) + (x > 5.0).all(axis=1),
    "means": lambda x: x.mean(axis=(0, 2)) + x.var(axis=(0, 2)) + x.max(),
    "nothing": lambda x: (x[:0].sum(axis=0) + x[:, :0].sum(axis=1)[0, 0], x[:0] * 2.0),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_machine_code_reads_what_numpy_reads(name):
    pytest.importorskip("llvmlite")

    def run(compile):
        function = compile(PROGRAMS[name])
        return [function(pl.Tensor(a)) for a in (A, A[::-1].copy(), np.full_like(A, np.nan))]

    with np.errstate(all="ignore"):
        assert_same_both_ways(run, "llvm")
