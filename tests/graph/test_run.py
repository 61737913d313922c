"""The interpreter gives eager's bits; the replay gives eager's gradients; what does not fit is refused."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import graph
from pellucid.errors import DTypeError, GraphError, IndexRangeError, MissingKeyError, PellucidError, ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 6)).astype(np.float32)


def messages(error):
    return str(error.value).split("\n  at:")[0].splitlines()


FUNCTIONS = {
    "softmax": lambda x: pl.softmax(x * 3.0, axis=-1),
    "statistics": lambda x: (x - x.mean(0, keepdims=True)) / pl.sqrt(x.var(0, keepdims=True) + 1e-5),
    "sorting": lambda x: [pl.sort(x, axis=1), pl.topk(x, 2)[0]],
    "indexing": lambda x: x[1:, ::2][:, None, [0, 2]] + x[..., -1:][:3, None],
    "joining": lambda x: pl.concatenate([x, pl.flip(x, 0), pl.pad(x, 1)[1:3, 1:7]]),
    "einsum": lambda x: pl.einsum("ij,kj->ik", x, pl.exp(x)),
    "where": lambda x: pl.where(x > 0, x, pl.expm1(x)),
    "scatter": lambda x: pl.scatter_add(pl.zeros((4, 3)), pl.cast(x > 0, "i8"), x),
    "integers": lambda x: pl.cast(x * 10.0, "i4") // 3 + 1,
    "inf": lambda x: pl.maximum(x, -float("inf")) * float("nan"),
    "views": lambda x: x.T.reshape(3, 8),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_run_gives_eagers_bits_also_on_other_values(name):
    function = FUNCTIONS[name]
    g = graph.record(function, X)
    for x in (X, -X * 2.0, np.asfortranarray(X)):
        eager = function(pl.Tensor(x))
        run, replayed = graph.run(g, x).outputs, graph.replay(g, x).outputs
        eager, run, replayed = ([t] if not isinstance(t, list) else t for t in (eager, run, replayed))
        for e, a, b in zip(eager, run, replayed, strict=True):
            assert e.dtype == a.dtype == b.dtype
            assert e.data.tobytes() == a.tobytes() == b.data.tobytes()


def test_a_replay_has_eagers_gradients():
    w = pl.Tensor(RNG.normal(size=(3, 6)).astype(np.float32), requires_grad=True)

    def loss(x, y):
        return -pl.take_along_axis(pl.log_softmax(x @ w.T), y, 1).mean()

    y = np.array([[0], [2], [1], [1]])
    x = pl.Tensor(X, requires_grad=True)
    loss(x, pl.Tensor(y)).backward()
    expected = w.grad.data.copy(), x.grad.data.copy()
    g = graph.record(loss, x.detach(), y)
    w.grad = x.grad = None
    graph.replay(g, x, y).outputs.backward()
    assert np.array_equal(w.grad.data, expected[0])
    assert np.array_equal(x.grad.data, expected[1])

    other = pl.Tensor(w.data * 2.0, requires_grad=True)
    graph.replay(g, x, y, captured={"w": other}).outputs.backward()
    assert other.grad is not None


def test_a_replay_is_recorded_with_its_scopes():
    g = graph.record(lambda x: pl.softmax(pl.relu(x)), X)
    again = graph.record(lambda x: graph.replay(g, x).outputs, X)
    assert [(i.op, [s.name for s in i.scope]) for i in again.instructions] == [
        (i.op, [s.name for s in i.scope]) for i in g.instructions
    ]


def test_intermediate_results_are_let_go():
    import tracemalloc

    def chain(x):
        for _ in range(50):
            x = x + 1.0
        return x

    x = np.zeros(100_000, np.float32)
    g = graph.record(chain, x)
    tracemalloc.start()
    graph.run(g, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * x.nbytes


def test_an_update_is_not_made_of_the_callers_memory():
    state = pl.zeros((3,))
    g = graph.record(lambda x: state.assign(x) * 1.0, np.ones(3, np.float32))
    x = np.full(3, 2.0, np.float32)
    graph.run(g, x, commit=True)
    x[:] = 9
    assert state.tolist() == [2.0, 2.0, 2.0]


def test_an_input_that_the_function_changes_is_changed_by_a_committed_run():
    def grow(x):
        x += 1.0
        return x * 2.0

    given = pl.zeros((2,))
    g = graph.record(grow, given)
    assert given.tolist() == [1.0, 1.0]
    assert graph.run(g, given, commit=True).outputs.tolist() == [4.0, 4.0]
    assert given.tolist() == [2.0, 2.0]
    assert graph.run(g, np.zeros(2, np.float32)).updates["x"].tolist() == [1.0, 1.0]


def test_the_default_dtype_of_the_recording_is_kept():
    g = graph.record(lambda x: x / 2, np.array([1, 2]))
    try:
        pl.set_default_dtype("float64")
        assert graph.run(g, np.array([1, 2])).outputs.dtype == np.float32
        assert graph.replay(g, np.array([1, 2])).outputs.dtype == np.float32
        assert pl.default_dtype() == np.float64
    finally:
        pl.set_default_dtype("float32")


def test_inputs_that_do_not_fit_are_refused():
    g = graph.record(lambda x, y: x + y, X, X)
    for evaluate in (graph.run, graph.replay):
        with pytest.raises(GraphError) as count:
            evaluate(g, X)
        assert messages(count) == [
            "the graph is given another number of inputs than it has",
            "  given:    1 inputs",
            "  expected: %x, %y",
        ]
        with pytest.raises(ShapeError) as shape:
            evaluate(g, X, X[:2])
        assert messages(shape) == [
            "a value given to the graph has another shape than was recorded",
            "  given:    %y: (2, 6)",
            "  expected: (4, 6)",
        ]
        with pytest.raises(DTypeError) as dtype:
            evaluate(g, X, X.astype(np.float64))
        assert messages(dtype) == [
            "a value given to the graph has another dtype than was recorded",
            "  given:    %y: float64",
            "  expected: float32",
        ]


def test_captured_values_that_do_not_fit_are_refused():
    weight = pl.zeros((6,))
    g = graph.record(lambda x: x * weight, X)
    with pytest.raises(MissingKeyError) as name:
        graph.run(g, X, captured={"wieght": np.zeros(6)})
    assert messages(name)[1:] == ["  given:    wieght", "  expected: weight", "  fix:      did you mean weight?"]
    with pytest.raises(ShapeError):
        graph.run(g, X, captured={"weight": np.zeros(5, np.float32)})


def test_an_operation_that_fails_is_named():
    g = graph.record(lambda x, i: pl.take(x, i, axis=0), X, np.array([0, 3]))
    with pytest.raises(GraphError) as caught:
        graph.run(g, X, np.array([0, 4]))
    assert messages(caught)[:2] == [
        "an operation of the graph fails on these values",
        "  given:    %2: float32[2,6] = index(%x, %i, template=('array',))",
    ]
    with pytest.raises(PellucidError):
        graph.replay(g, X, np.array([0, 4]))
    with pytest.raises(IndexRangeError):
        pl.take(X, np.array([0, 4]), axis=0)
