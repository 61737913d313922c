"""One graph for batches of any size, and functions that have none."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import graph
from pellucid.core.context import scope
from pellucid.errors import ArgumentTypeError, RecordingError, ShapeError

RNG = np.random.default_rng(1)
W = pl.Tensor(RNG.normal(size=(5, 3)).astype(np.float32))


def net(x):
    with scope("net"):
        h = pl.relu(x.reshape((x.shape[0] * 2, 3)) @ W.T)
        h = pl.concatenate([h, pl.zeros((h.shape[0], 1))], axis=1)
        h = h.reshape((-1, 12))[:, 1:]
        return pl.softmax(h - h.mean(0, keepdims=True)), h.sum(1)


def test_lengths_that_grow_with_the_batch_are_symbols():
    g = graph.record_batched(net, np.ones((1, 2, 3), np.float32))
    lines = [line.partition("   #")[0].strip() for line in str(g).splitlines()]
    assert lines[2] == "%x: float32[N,2,3]"
    assert "%1: float32[2N,3] = reshape(%x, shape=(2N, 3))" in lines
    assert any("broadcast_to" in line and "shape=(2N, 1)" in line for line in lines)
    assert any("divide" in line and line.endswith(", N)") for line in lines)
    assert [v.spec.shape[0] for v in g.outputs] == [graph.Batch(1)] * 2


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 64])
def test_a_bound_graph_gives_eagers_bits(rows):
    g = graph.record_batched(net, RNG.normal(size=(4, 2, 3)).astype(np.float32))
    x = RNG.normal(size=(rows, 2, 3)).astype(np.float32)
    for a, b, eager in zip(graph.run(g, x).outputs, graph.replay(g, x).outputs, net(pl.Tensor(x)), strict=True):
        assert a.tobytes() == eager.data.tobytes() == b.data.tobytes()
    assert graph.bind(g, rows).inputs[0].spec.shape == (rows, 2, 3)


def test_an_empty_batch():
    def rows(x):
        return pl.softmax(x @ W, axis=-1)

    g = graph.record_batched(rows, np.zeros((0, 5), np.float32))
    assert graph.run(g, np.zeros((0, 5), np.float32)).outputs.shape == (0, 3)
    assert graph.run(g, np.zeros((2, 5), np.float32)).outputs.tolist() == [[1 / np.float32(3)] * 3] * 2


def test_rows_that_are_not_whole_and_other_shapes_are_refused():
    g = graph.record_batched(lambda x: x * 2.0, np.ones((1, 3), np.float32))
    for shape in [(3,), (2, 4), (2, 3, 1)]:
        with pytest.raises(ShapeError) as caught:
            graph.run(g, np.zeros(shape, np.float32))
        assert "has another shape than was recorded" in str(caught.value)
    assert "expected: (N, 3)" in str(caught.value)


def refused(function, *examples):
    with pytest.raises(RecordingError) as caught:
        graph.record_batched(function, *examples)
    return str(caught.value).split("\n  at:")[0].splitlines()


X = np.ones((1, 3), np.float32)


def test_another_computation_for_another_batch_size():
    def depends(x):
        with scope("head"):
            return x.sum() if x.shape[0] == 2 else x.max()

    assert refused(depends, X) == [
        "the function does something else for another batch size",
        "  given:    at sum (head): sum with 2 rows, max with 3",
        "  expected: the same operations, with lengths that are equal or in proportion to the rows",
    ]


@pytest.mark.parametrize(
    ("function", "where"),
    [
        (lambda x: pl.pad(x, ((1, 0), (0, 0))), "at pad: 3 with 2 rows, 4 with 3"),
        (lambda x: x * float(x.shape[0]), "at multiply: 2.0 with 2 rows, 3.0 with 3"),
        (lambda x: x * (1 if x.shape[0] == 2 else 5), "at multiply: 1 with 2 rows, 5 with 3"),
        (lambda x: x @ pl.ones((3, x.shape[0])) @ pl.ones((x.shape[0], 2)) @ pl.ones((2, x.shape[0] ** 2)), "with 3"),
        (lambda x: pl.relu(x) if x.shape[0] == 2 else pl.relu(pl.relu(x)), "1 operations, 0 captured with 2 rows"),
        (lambda x: x + pl.cast(pl.arange(x.shape[0]), "f4")[:, None], "at %1: int64[2] with 2 rows, int64[3] with 3"),
        (lambda x: x + pl.cast(pl.arange(x.shape[1]) * x.shape[0], "f4"), ""),
        (lambda x: [x] * x.shape[0], "at return"),
    ],
)
def test_what_is_not_in_proportion_is_refused(function, where):
    if where:
        lines = refused(function, X)
        assert lines[0] == "the function does something else for another batch size"
        assert where in lines[1]
    else:  # a whole number that grows with the batch is one
        g = graph.record_batched(function, X)
        assert graph.run(g, np.zeros((4, 3), np.float32)).outputs[0].tolist() == [0.0, 4.0, 8.0]


def test_state_that_changes_and_random_numbers_are_refused():
    count = pl.zeros(())
    message = refused(lambda x: x * count.assign(count + 1), X)
    assert message[:2] == ["a function for batches of any size must not change state", "  given:    %count changed"]
    assert refused(lambda x: x * pl.uniform(shape=()), X)[1] == "  given:    %random_state changed"


def test_an_example_without_rows_is_refused():
    assert refused(lambda x: x * 1.0, np.float32(1.0))[0] == "an example without axes has no rows"


def test_two_recordings_with_one_size_are_refused():
    one = graph.record(lambda x: x * 1.0, X)
    with pytest.raises(RecordingError, match="not recordings with two batch sizes"):
        graph.generalize(one, one)


def test_several_arguments_with_rows():
    def attention(q, k, mask):
        return pl.softmax(pl.where(mask, pl.einsum("nid,njd->nij", q, k), -1e9))

    q, mask = RNG.normal(size=(2, 4, 3)).astype(np.float32), RNG.random((2, 4, 4)) < 0.8
    g = graph.record_batched(attention, q, q, mask)
    big, wide = np.tile(q, (3, 1, 1)), np.tile(mask, (3, 1, 1))
    eager = attention(*map(pl.Tensor, (big, big, wide)))
    assert graph.run(g, big, big, wide).outputs.tobytes() == eager.data.tobytes()


def test_a_graph_is_confirmed_with_more_rows_of_other_numbers():
    for function in (
        lambda x: x * 2.0 if len(x) < 10 else x * 3.0,
        lambda x: x[: len(x) // 2],
        lambda x: x + pl.Tensor(np.cos(x.data)),
    ):
        with pytest.raises(RecordingError):
            graph.record_batched(function, np.zeros((4, 3), np.float32))

    def whole(x):  # other numbers than these are refused by the function itself
        if (x.data != np.floor(x.data)).any():
            raise ShapeError("graph.input-shape", value="x", given=x.shape, expected="whole numbers")
        return x * 2.0

    assert graph.record_batched(whole, np.ones((4, 3), np.float32)).instructions


def test_only_functions_are_recorded():
    with pytest.raises(ArgumentTypeError) as caught:
        graph.record(3, np.ones(3))
    assert str(caught.value).split("\n")[:2] == ["only a function or a network can be recorded", "  given:    3 (int)"]
