"""Operations without a native rule become several with one, and compute the same to rounding."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import graph
from pellucid.compiler.elements import has_native_rule
from pellucid.compiler.passes.expand import expand
from tests.compiler.passes.graphs import after, assert_close, assert_same_bits, ops

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 6)).astype(np.float32)
KEYS = np.array([[2], [-1], [0], [5]])
INF, NAN = np.inf, np.nan
# Ties, both zeros, NaN in front of and behind the largest, infinities.
HARD = np.array(
    [[1, 3, 3, 0], [0.0, -0.0, -1, -2], [INF, NAN, 5, NAN], [-INF, -INF, -INF, -INF], [1, INF, INF, -INF]], np.float32
)


def expanded(function, *inputs, exact=False):
    with np.errstate(invalid="ignore"):
        g = graph.record(function, *inputs)
    changed = after(expand, g, rounds=2)
    (assert_same_bits if exact else assert_close)(g, changed, *inputs)
    assert [has_native_rule(i) for i in changed.instructions] == [""] * len(changed.instructions)
    return changed


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_log_softmax(axis, dtype):
    x = (X * 4).astype(dtype)
    changed = expanded(lambda x: pl.log_softmax(x, axis), x)
    assert ops(changed)[-6:] == ["max", "subtract", "exp", "sum", "log", "subtract"]
    wide = x.astype(np.float64)
    expected = wide - np.log(np.exp(wide).sum(axis, keepdims=True))
    np.testing.assert_allclose(graph.run(changed, x).outputs, expected, rtol=1e-5)


def test_log_softmax_far_from_0_and_of_infinity():
    far = np.array([[1000.0, 0.0, -1000.0], [-INF, 0.0, 0.0], [INF, 0.0, 0.0]], np.float32)
    expanded(lambda x: pl.log_softmax(x, 1), far)


@pytest.mark.parametrize(("axis", "keepdims"), [(0, False), (1, True), (None, False), ((0, 1), True)])
def test_logsumexp(axis, keepdims):
    expanded(lambda x: pl.logsumexp(x, axis, keepdims=keepdims), X * 100)


def test_logsumexp_of_infinity():
    rows = np.array([[-INF, -INF], [INF, 0.0], [INF, -INF], [NAN, 0.0], [1.0, 2.0]], np.float32)
    changed = expanded(lambda x: pl.logsumexp(x, 1), rows)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(
            graph.run(changed, rows).outputs, [-INF, INF, INF, NAN, np.log(np.exp(1) + np.exp(2))], rtol=1e-6
        )


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8", "int64", "bool"])
def test_one_element_of_each_line(dtype):
    x = (X > 0) if dtype == "bool" else (X * 40).astype("i1").astype(dtype)
    changed = expanded(lambda x, k: pl.take_along_axis(x, k, 1), x, KEYS, exact=True)
    assert graph.run(changed, x, KEYS).outputs.ravel().tolist() == [x[0, 2], x[1, 5], x[2, 0], x[3, 5]]
    assert "take_along" not in ops(changed)


def test_one_element_of_each_column_and_of_lines_with_nan_infinity_and_zeros():
    expanded(lambda x, k: pl.take_along_axis(x, k, 0), X, np.array([[0, 1, 2, 3, -1, -4]], np.int8), exact=True)
    for column in range(4):
        expanded(lambda x, k: pl.take_along_axis(x, k, 1), HARD, np.full((5, 1), column), exact=True)


def test_small_index_dtypes_count_from_the_end():
    wide = np.arange(600, dtype=np.float32).reshape(2, 300)
    expanded(lambda x, k: pl.take_along_axis(x, k, 1), wide, np.array([[-1], [-100]], np.int8), exact=True)


def test_the_gradient_of_one_element_of_each_line():
    def f(x, k):
        return pl.autograd.grad((pl.take_along_axis(x, k, 1) * x[:, :1]).sum(), [x])

    expanded(f, pl.Tensor(X, requires_grad=True), KEYS, exact=True)


def test_adding_to_one_element_of_each_line():
    expanded(lambda x, k: pl.scatter_add(x, k, x[:, :1]), X, KEYS, exact=True)


@pytest.mark.parametrize("axis", [0, 1])
def test_several_elements_of_each_line(axis):
    keys = np.array([[2, -1, 2], [0, 0, 0], [3, 1, -4], [-2, 3, 1]])
    x = X[:, :3] if axis == 0 else X
    changed = expanded(lambda x, k: pl.take_along_axis(x, k, axis), x, keys, exact=True)
    assert np.array_equal(graph.run(changed, x, keys).outputs, np.take_along_axis(x, keys, axis))
    expanded(lambda x, k: pl.take_along_axis(x, k, axis), x > 0, keys, exact=True)
    expanded(lambda x, k: pl.scatter_add(x, k, x[:, :3] * 2.0, axis), x, keys)

    def slope(x, k):
        taken = pl.take_along_axis(x, k, axis)
        return pl.autograd.grad((taken * taken).sum(), [x])

    expanded(slope, pl.Tensor(x, requires_grad=True), keys)


def test_elements_of_a_single_line_are_read_and_added_to_by_index():
    keys = np.arange(40) % 7 - 3
    line = RNG.normal(size=7).astype(np.float32)
    changed = expanded(lambda x, k: pl.take_along_axis(x, k, 0), line, keys, exact=True)
    assert ops(changed) == ["index"]
    added = RNG.normal(size=40)
    changed = expanded(lambda x, k, a: pl.scatter_add(x, k, a), line, keys, added)
    assert ops(changed) == ["index_add", "add"]
    expected = line.astype(np.float64)
    np.add.at(expected, keys, added)
    np.testing.assert_allclose(graph.run(changed, line, keys, added).outputs, expected, rtol=1e-12)


def test_many_indices_a_line_and_lines_without_any_stay():
    for function, keys in (
        (lambda x, k: pl.take_along_axis(x, k, 1), np.zeros((4, 17), int)),
        (lambda x, k: pl.gather(x, k, 1), KEYS[:2]),
        (lambda x, k: pl.scatter_add(x, k, x[:2, :1], 1), KEYS[:2]),
    ):
        g = graph.record(function, X, keys)
        assert ops(expand(g)) == ops(g)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "int16", "bool"])
def test_running_sums(axis, dtype):
    x = (X * 3).astype(dtype)
    changed = expanded(lambda x: pl.cumsum(x, axis), x)
    np.testing.assert_allclose(graph.run(changed, x).outputs, np.cumsum(x, axis), rtol=1e-6)


def test_running_sums_beside_nan_and_infinity_and_long_ones():
    expanded(lambda x: pl.cumsum(x, 1), HARD)
    g = graph.record(lambda x: pl.cumsum(x, 0), np.ones(65, np.float32))
    assert after(expand, g) is g


def test_the_gradient_of_log_softmax_takes_no_exponentials_of_its_own():
    def f(x):
        y = pl.log_softmax(x * 2.0, 1)
        return [y, *pl.autograd.grad((y * y).sum(), [x])]

    changed = expanded(f, pl.Tensor(X, requires_grad=True))
    assert ops(changed).count("exp") == 1


@pytest.mark.parametrize("find", [pl.argmax, pl.argmin])
@pytest.mark.parametrize(("axis", "keepdims"), [(0, False), (1, True), (-1, False), (None, False), (None, True)])
def test_where_the_extreme_stands(find, axis, keepdims):
    for x in (X, HARD, HARD[[0, 1, 3]], X > 0, (X * 3).astype(np.int8), X[0, 0]):
        if x.ndim or axis is None:
            expanded(lambda x: find(x, axis, keepdims=keepdims), x, exact=True)


def test_sums_back_to_a_shape():
    def f(x, row, column, number):
        product = x * row * column * number
        return pl.autograd.grad((product * product).sum(), [row, column, number])

    leaves = [pl.Tensor(a, requires_grad=True) for a in (X[0], X[:, :1], X[0, 0])]
    changed = expanded(f, X, *leaves)
    assert "sum_to" not in ops(changed)


@pytest.mark.parametrize("reduce", ["sum", "max", "min", "any", "all"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_one_number_of_a_large_array_is_found_by_rows(reduce, keepdims):
    x = RNG.normal(size=(1, 70, 30, 2)).astype(np.float32)
    changed = expanded(lambda x: getattr(pl, reduce)(x, keepdims=keepdims), x)
    assert ops(changed)[:2] == [reduce, reduce]
    first, second = changed.instructions[:2]
    assert first.attrs["axis"] == (2, 3)
    assert first.output.spec.size == 70
    assert second.output.spec.size == 1


def test_one_number_of_a_small_array_or_of_a_line_is_found_at_once():
    for shape in ((8, 8), (5000,), (5000, 1)):
        changed = expanded(lambda x: x.sum(), np.ones(shape, np.float32))
        assert ops(changed) == ["sum"]


def test_the_parts_run_where_the_whole_did():
    layer = pl.nn.LogSoftmax(1)
    g = graph.record(lambda x: layer(x * 2.0) * 2.0, X)
    (scope,) = (i.scope for i in g.instructions if i.op.name == "log_softmax")
    assert scope
    changed = after(expand, g)
    assert [i.scope for i in changed.instructions] == [(), *[scope] * 6, ()]


def test_nothing_is_made_of_empty_arrays():
    g = graph.record(lambda x: (pl.log_softmax(x, 1), x.sum(0)), np.ones((0, 3), np.float32))
    assert after(expand, g) is g
