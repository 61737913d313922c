"""Recording: what ran is what the graph says, and gives what eager gives; what cannot be recorded is refused."""

import re

import numpy as np
import pytest

import pellucid as pl
from pellucid import graph
from pellucid.core.context import Recorder, scope, state
from pellucid.core.tensor import wrap
from pellucid.errors import RecordingError
from pellucid.ops.declare import NONE, composite

X = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, -1.0]], np.float32)


def parameter(values, name=None):
    t = pl.Tensor(np.array(values, np.float32), requires_grad=True)
    t.name = name
    return t


class Linear:
    """As much of a module as recording looks at."""

    def __init__(self):
        self.weight = parameter([[0.5, -1.0, 2.0], [1.0, 0.0, 0.25]])
        self.count = pl.zeros(())

    def named_parameters(self):
        return iter([("weight", self.weight)])

    def named_buffers(self):
        return iter([("count", self.count)])

    def forward(self, features):
        with pl.no_grad():
            self.count.assign(self.count + 1)
        return features @ self.weight.T

    def __call__(self, features):
        with scope("Linear"):
            return self.forward(features)


def names(g):
    return [str(c.value) for c in g.captured]


def ops(g):
    return [i.op.name for i in g.instructions]


def test_a_printed_graph():
    layer = Linear()
    g = graph.record(layer, X)
    assert str(g).splitlines() == [
        "graph Linear(%features)",
        "  inputs",
        "    %features: float32[2,3]",
        "  captured",
        "    %count: float32[]",
        "    %weight: float32[2,3]",
        "  operations",
        "    %2: float32[] = add(%count, 1)                       # Linear",
        "    %4: float32[3,2] = transpose(%weight, axes=(1, 0))   # Linear",
        "    %5: float32[2,2] = matmul(%features, %4)             # Linear",
        "  updates",
        "    %count <- %2",
        "  return %5",
    ]
    assert repr(g) == "<graph Linear: 3 operations>"


def test_modules_are_joined_by_points_and_composites_by_strokes():
    def net(x):
        with scope("net"), scope("0"):
            return pl.softmax(x)

    line = str(graph.record(net, X)).splitlines()[4]
    assert line.endswith("# net.0 / softmax")


def test_two_calls_of_one_composite_are_told_apart():
    g = graph.record(lambda x: pl.softmax(pl.softmax(x)), X)
    calls = [i.scope[0].call for i in g.instructions]
    assert {i.scope[0].name for i in g.instructions} == {"softmax"}
    assert len(set(calls)) == 2
    assert calls == sorted(calls)


def test_a_recorded_run_is_a_real_run():
    layer = Linear()
    eager = layer(pl.Tensor(X)).data
    assert layer.count.item() == 1
    g = graph.record(layer, X)
    assert layer.count.item() == 2
    result = graph.run(g, X)
    assert np.array_equal(result.outputs, eager)
    assert {k: float(v) for k, v in result.updates.items()} == {"count": 3.0}
    assert layer.count.item() == 2
    graph.run(g, X, commit=True)
    assert layer.count.item() == 3


def train_step(w, m):
    def step(x, y):
        loss = ((x @ w.T - y) ** 2).mean()
        loss.backward()
        with pl.no_grad():
            m.assign(m * 0.9 + w.grad)
            w.assign(w - 0.1 * m)
        w._used_grad = w.grad
        return loss, w.grad

    return step


def test_backward_and_update_are_recorded_and_replayed_bit_for_bit():
    y = np.array([[1.0], [-1.0]], np.float32)
    start = np.array([[0.3, -0.2, 0.1]], np.float32)
    w, m = parameter(start), pl.zeros((1, 3))
    step = train_step(w, m)
    losses, weights = [], []
    for _ in range(3):
        losses.append(step(pl.Tensor(X), pl.Tensor(y))[0].item())
        weights.append(w.data.copy())

    w2, m2 = parameter(start), pl.zeros((1, 3))
    g = graph.record(train_step(w2, m2), X, y)
    assert names(g)[0] == "%w"
    assert np.array_equal(w2.data, weights[0])
    for n in (1, 2):
        (loss, grad), _ = graph.run(g, X, y, commit=True)
        assert loss.item() == losses[n]
        assert np.array_equal(w2.data, weights[n])
        assert grad.shape == (1, 3)


def test_values_after_an_assignment_are_the_new_ones_and_the_last_assignment_wins():
    t = parameter([1.0, 2.0], "t")

    def twice(x):
        with pl.no_grad():
            t.assign(t + x)
            t.assign(t * 10.0)
            return t + 0.5

    g = graph.record(twice, np.array([1.0, 1.0], np.float32))
    assert t.tolist() == [20.0, 30.0]
    assert len(g.updates) == 1
    result = graph.run(g, np.array([1.0, 1.0], np.float32), captured={"t": np.array([1.0, 2.0], np.float32)})
    assert result.outputs.tolist() == [20.5, 30.5]
    assert result.updates["t"].tolist() == [20.0, 30.0]


def test_an_assignment_of_another_dtype_is_a_cast():
    t = pl.zeros((2,))
    g = graph.record(lambda x: t.assign(x) * 1.0, np.array([1, 2]))
    assert "cast" in ops(g)
    assert graph.run(g, np.array([5, 6])).updates["t"].dtype == np.float32


@pytest.mark.parametrize("grad", [True, False])
def test_in_place_changes_of_what_was_made_inside_start_anew_in_every_run(grad):
    def rows(x):
        buffer = pl.zeros((3,))
        buffer[0] = x[0]
        buffer += 1.0
        buffer[1:] = x[1:] * buffer[:1]
        return buffer

    x = pl.Tensor([2.0, 3.0, 4.0], requires_grad=grad)
    eager = rows(x).tolist()
    g = graph.record(rows, x)
    assert eager == [3.0, 9.0, 12.0]
    assert g.updates == ()
    for _ in range(2):
        assert graph.run(g, x, commit=True).outputs.tolist() == eager
    assert graph.run(g, np.array([1.0, 1.0, 1.0], np.float32)).outputs.tolist() == [2.0, 2.0, 2.0]


def test_in_place_changes_of_what_was_there_before_are_updates():
    total = pl.zeros((2,))

    def add(x):
        nonlocal total
        total += x
        total[0] = 7.0
        return total * 2.0

    g = graph.record(add, np.array([1.0, 1.0], np.float32))
    assert total.tolist() == [7.0, 1.0]
    assert graph.run(g, np.array([1.0, 5.0], np.float32), commit=True).outputs.tolist() == [14.0, 12.0]
    assert total.tolist() == [7.0, 6.0]


def test_state_that_is_made_by_the_first_call_is_state():
    held = {}

    def average(x):
        if not held:
            held["mean"] = pl.zeros((2,))
        held["mean"].assign(held["mean"] * 0.5 + x)
        return held["mean"] * 1.0

    x = np.array([1.0, 2.0], np.float32)
    g = graph.record(average, x)
    assert held["mean"].tolist() == [1.0, 2.0]
    assert graph.run(g, x, commit=True).outputs.tolist() == [1.5, 3.0]
    assert graph.run(g, x, commit=True).outputs.tolist() == [1.75, 3.5]


def test_an_assignment_to_what_nobody_holds_is_none():
    def local(x):
        t = pl.zeros((2,))
        t.assign(t + x)
        return t * 1.0

    g = graph.record(local, np.array([1.0, 2.0], np.float32))
    assert g.updates == ()
    assert g.captured[0].constant
    for _ in range(2):
        assert graph.run(g, np.array([1.0, 2.0], np.float32), commit=True).outputs.tolist() == [1.0, 2.0]


def test_tensors_that_share_an_array_are_different_tensors():
    online = parameter([1.0, 2.0], "online")
    target = pl.zeros((2,))
    target.assign(online)  # one array, two tensors
    assert target.data is online.data

    def step(x):
        with pl.no_grad():
            y = online * x + target
            online.assign(online + 1.0)
        return y

    x = np.array([1.0, 1.0], np.float32)
    g = graph.record(step, x)
    assert names(g) == ["%online", "%target"]
    assert target.tolist() == [1.0, 2.0]
    assert graph.run(g, x).outputs.tolist() == [3.0, 5.0]


def test_an_input_that_shares_an_array_with_a_captured_tensor():
    x = pl.Tensor(X)
    other = x.detach()
    g = graph.record(lambda a: a * other, x)
    assert graph.run(g, np.full((2, 3), 2.0, np.float32)).outputs.tolist() == (X * 2.0).tolist()
    assert x.data is other.data


def test_a_tensor_made_from_the_array_of_two_is_refused():
    online = parameter([1.0, 2.0], "online")
    target = pl.zeros((2,))
    target.assign(online)
    message = raised(lambda x: x * online + target + pl.Tensor(online.data), np.ones(2, np.float32))
    assert message.startswith("a tensor made from an array that several tensors share cannot be recorded")


def test_a_tensor_made_from_the_array_of_a_parameter_leads_back_to_it():
    w = parameter([1.0, 2.0], "w")
    x = np.ones(2, np.float32)
    for function in (lambda x: x * pl.Tensor(w) * w, lambda x: x * w * wrap(w.data)):
        g = graph.record(function, x)
        assert names(g) == ["%w"]
        assert graph.run(g, x, captured={"w": np.array([3.0, 4.0], np.float32)}).outputs.tolist() == [9.0, 16.0]


def test_elements_of_captured_state_are_set():
    ring = pl.zeros((3,))

    def push(x):
        ring[1:] = ring[:2] * 1.0
        ring[0] = x
        return ring.sum()

    one = np.array(1.0, np.float32)
    g = graph.record(push, one)
    assert ring.tolist() == [1.0, 0.0, 0.0]
    assert graph.run(g, one, commit=True).outputs == 2.0
    assert ring.tolist() == [1.0, 1.0, 0.0]


def test_one_tensor_given_twice_is_two_inputs():
    x = pl.Tensor(X)
    g = graph.record(lambda a, b: a - b, x, x)
    assert graph.run(g, X, X * 0.0).outputs.tolist() == X.tolist()


def test_a_detached_parameter_that_was_not_used_before_leads_back_to_it():
    w = parameter([1.0, 2.0, 3.0])
    g = graph.record(lambda x: x * w.detach(), X)
    assert names(g) == ["%w"]
    assert g.instructions[0].stopped == (1,)


def test_gradients_stop_in_a_replay_where_they_stopped_in_the_function():
    w = parameter([1.0, 2.0, 3.0])

    def function(x):
        with pl.no_grad():
            frozen = pl.exp(x * w)
        return (x * w * (x * w).detach() * frozen).sum(), (x * w).detach()

    x = pl.Tensor(X)
    function(x)[0].backward()
    expected = w.grad.data.copy()
    g = graph.record(function, x)
    w.grad = None
    total, cut = graph.replay(g, x).outputs
    assert not cut.requires_grad
    total.backward()
    assert np.array_equal(w.grad.data, expected)


def test_constants_are_copied():
    array = np.array([1.0, 2.0, 3.0], np.float32)
    g = graph.record(lambda x: x + array, X)
    array[:] = 0
    assert g.captured[0].constant
    assert graph.run(g, X).outputs.tolist() == (X + np.array([1, 2, 3], np.float32)).tolist()


def test_random_numbers_go_on_as_eager_ones_do():
    def dropout(x):
        keep = pl.bernoulli(0.5, x.shape)
        return pl.where(keep, x * 2.0, 0.0)

    x = np.ones((4, 5), np.float32)
    pl.manual_seed(3)
    eager = [dropout(pl.Tensor(x)).tolist() for _ in range(3)]
    assert eager[0] != eager[1] != eager[2]
    pl.manual_seed(3)
    g = graph.record(dropout, x)
    assert [str(t) for t, _ in g.updates] == ["%random_state"]
    assert [graph.run(g, x, commit=True).outputs.tolist() for _ in range(2)] == eager[1:]
    pl.manual_seed(3)
    assert [graph.replay(g, x, commit=True).outputs.tolist() for _ in range(3)] == eager
    pl.manual_seed(3)
    assert [graph.run(g, x).outputs.tolist() for _ in range(2)] == [eager[0]] * 2


def test_structures_of_results():
    g = graph.record(lambda x: {"a": x * 1.0, "b": [x + 1.0, (x,)], "n": 3, "none": None}, X)
    out = graph.run(g, X).outputs
    assert out["a"].tolist() == X.tolist()
    assert out["b"][0].tolist() == (X + 1).tolist()
    assert out["b"][1][0].tolist() == X.tolist()
    assert (out["n"], out["none"]) == (3, None)
    assert graph.run(graph.record(lambda: None)).outputs is None


# What cannot be recorded


def raised(function, *examples, **kwargs):
    with pytest.raises(RecordingError) as caught:
        graph.record(function, *examples, **kwargs)
    assert state.recorder is None
    return str(caught.value)


def branch(x):
    y = x * 2.0
    if y.sum() > 0:
        return y
    return -y


def test_python_that_looks_at_a_value_is_refused_with_its_line():
    line = branch.__code__.co_firstlineno + 2
    expected = (
        "Tensor operations only: where() instead of if, take() instead of a mask; or look at the value after the "
        "function has returned it; or record(..., strict=False), which keeps the value of this run"
    )
    assert raised(branch, X).splitlines() == [
        "the recorded function looks at a value that changes from run to run",
        "  given:    if, while, and, or, bool() of %3: bool[], from greater",
        f"  expected: {expected}",
        f"  at:       test_trace.py:{line}",
    ]


def test_a_read_is_only_noted_when_recording_is_not_strict():
    g = graph.record(branch, X, strict=False)
    ((value, use, place),) = g.reads
    assert (str(value), use) == ("%3", "if, while, and, or, bool()")
    assert place == f"test_trace.py:{branch.__code__.co_firstlineno + 2}"
    assert f"    %3 by {use} at {place}" in str(g).splitlines()


W = parameter([1.0, 2.0, 3.0], "w")


@pytest.mark.parametrize(
    ("function", "use"),
    [
        (lambda x: x * float(x.max()), "item(), float(), int()"),
        (lambda x: x * int(x.max()), "item(), float(), int()"),
        (lambda x: x * x.max().item(), "item(), float(), int()"),
        (lambda x: x * np.asarray(x), "numpy.asarray()"),
        (lambda x: x * x.numpy(), "numpy()"),
        (lambda x: x * x.max().tolist(), "tolist()"),
        (lambda x: x[x > 0], "x[mask]"),
        (lambda x: x * W.numpy(), "numpy()"),
        (lambda x: x * pl.uniform(shape=()).item(), "item(), float(), int()"),
        (lambda x: pl.one_hot(x.argmax(1)), "one_hot() without num_classes"),
        (lambda x: x * pl.Tensor([x[0, 0], x[0, 1], x[0, 2]]), "Tensor([...]) of Tensors"),
        (lambda x: x.astype("f8") * pl.Tensor(x, dtype="f8"), "Tensor(tensor, dtype)"),
        (lambda x: x * pl.tensor(x), "tensor(tensor)"),
        (
            lambda x: pl.uniform(key=pl.fold(pl.cast(x.sum().broadcast_to((2,)), "u8"), 3)),
            "fold(tensor, number)",
        ),
    ],
)
def test_every_way_of_looking_at_a_value_is_refused(function, use):
    message = raised(function, X)
    assert f"given:    {use} of %" in message
    assert re.search(r"at:       test_trace.py:\d+$", message)


def test_constants_may_be_looked_at():
    outside = pl.Tensor([2.0, 3.0, 4.0])

    def function(x):
        n = pl.arange(4).sum()
        return x * float(n) * outside.numpy() if n > 1 else x

    g = graph.record(function, X)
    assert ops(g)[-1] == "multiply"


def test_a_tensor_that_was_looked_at_and_changes_later_is_no_constant():
    count = pl.zeros(())

    def function(x):
        y = x * float(count)
        count.assign(count + 1)
        return y

    assert "given:    item(), float(), int() of %count: float32[], from %count" in raised(function, X)


def test_numpy_writing_into_a_parameter_is_refused():
    w = parameter([1.0, 2.0, 3.0])

    def step(x):
        loss = (x * w).sum()
        w.data -= 0.1
        return loss

    assert raised(step, X).startswith("the numbers of a tensor were changed in a way that cannot be recorded")


def test_replacing_the_data_is_refused():
    w = parameter([1.0, 2.0, 3.0], "w")

    def step(x):
        loss = (x * w).sum()
        w.data = w.data - 0.1
        return loss

    def later(x):
        step(x)
        return w * 2.0

    for function in (step, later):
        assert raised(function, X).startswith("the data of a tensor were replaced in a way that cannot be recorded")

    def reseed(x):
        y = x * pl.uniform(shape=())
        pl.manual_seed(0)
        return y

    assert "%random_state: uint64[2]" in raised(reseed, X)


def test_other_results_than_tensors_are_refused():
    message = raised(lambda x: X, X)
    assert message.splitlines()[:2] == [
        "the recorded function returns something that is no Tensor",
        "  given:    ndarray",
    ]


def test_recordings_do_not_nest():
    assert raised(lambda x: graph.record(lambda y: y, x), X).startswith("a graph is already being recorded")


def test_an_error_inside_leaves_everything_as_it_was():
    w = parameter([1.0, 2.0, 3.0])
    array = w.data
    with pytest.raises(ZeroDivisionError):
        graph.record(lambda x: (x * w, 1 / 0), X)
    assert w.data is array
    assert state.recorder is None


def test_assigning_to_a_result_that_outlives_the_function_is_refused():
    kept = []

    def function(x):
        y = x * 2.0
        kept.append(y)
        y.assign(x)
        return y * 1.0

    assert raised(function, X).splitlines()[:2] == [
        "the result of an operation is assigned to",
        "  given:    %1: float32[2,3], multiply",
    ]

    def local(x):
        y = x * 2.0
        y.assign(y + x)
        return y * 1.0

    assert graph.run(graph.record(local, X), X).outputs.tolist() == (X * 3.0).tolist()


@composite(formula="y = 3x", onnx=NONE("a test"), name="test_thrice")
def thrice(x):
    """Three times the input."""
    return x + x + x


def test_a_composite_of_the_users_own_keeps_its_name():
    g = graph.record(thrice, X)
    assert [[s.name for s in i.scope] for i in g.instructions] == [["test_thrice"]] * 2
    assert g.name == "thrice"


def test_a_recorder_hears_nothing_of_other_threads():
    import threading

    def function(x):
        other = threading.Thread(target=lambda: pl.exp(wrap(X)))
        other.start()
        other.join()
        return x * 1.0

    assert ops(graph.record(function, X)) == ["multiply"]


def test_a_recorder_need_not_listen_to_everything():
    before, state.recorder = state.recorder, Recorder()
    try:
        t = pl.zeros((2,))
        t += 1.0
        t.assign(t.detach())
        assert pl.softmax(t).tolist() == [0.5, 0.5]
        assert float(t.sum()) == 2.0
    finally:
        state.recorder = before


def test_names_of_inputs_and_of_what_is_reached_through_lists_and_partials():
    from functools import partial

    layers = [Linear(), Linear()]
    table = {"scale": parameter([1.0, 1.0])}

    def net(*features, gain):
        return [layer(f) * table["scale"] * gain for layer, f in zip(layers, features, strict=True)]

    g = graph.record(partial(net, gain=parameter([2.0])), X, X)
    assert [str(v) for v in g.inputs] == ["%features.0", "%features.1"]
    assert set(names(g)) == {
        "%layers.0.count",
        "%layers.0.weight",
        "%layers.1.count",
        "%layers.1.weight",
        "%table.scale",
        "%gain",
    }
