"""Updates of several parameters done at once: what is alike is found, and nothing else is changed by it."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler.binding import Binding
from pellucid.compiler.numpy_packs import packed
from pellucid.compiler.numpy_plan import NumpyPlan
from pellucid.graph import record, run


@pytest.fixture(autouse=True)
def _numpy_tier(monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", "numpy")


X = pl.Tensor(np.random.default_rng(0).standard_normal((5, 3)).astype("float32"))


def parameters(*shapes, dtype="float32"):
    rng = np.random.default_rng(1)
    return [nn.Parameter(rng.standard_normal(s).astype(dtype), requires_grad=False) for s in shapes]


def moved(tensors, factors=None):
    """A step that moves each tensor towards its sums over the rows of x."""

    def step(x):
        sums = [pl.sum(pl.broadcast_to(pl.sum(x), (7, *t.shape)), 0) for t in tensors]
        for n, (t, s) in enumerate(zip(tensors, sums, strict=True)):
            t.assign(t + s * (factors[n] if factors else 0.5))

    return step


def whole_shapes(graph):
    return [pack.whole.spec.shape for pack in packed(graph).packs]


def test_one_array_for_what_is_alike():
    graph = record(moved(parameters((3, 2), (4,), (1, 5))), X)
    found = packed(graph)
    assert {len(pack.members) for pack in found.packs} == {3}
    assert set(whole_shapes(graph)) == {(15,)}
    names = [i.op.name for i in found.instructions]
    assert (names.count("multiply"), names.count("add")) == (1, 1)


@pytest.mark.parametrize(
    "graph",
    [
        lambda: record(moved(parameters((3, 2), (4,)), [0.5, 0.25]), X),
        lambda: record(moved([*parameters((3, 2)), *parameters((4,), dtype="float64")]), X),
        lambda: record(moved(parameters((300, 100), (200, 100))), X),
        lambda: record(moved(parameters((3, 2))), X),
        lambda: record(lambda x: (pl.exp(x), pl.exp(x.T)), X),
    ],
    ids=["other numbers", "other dtypes", "large", "alone", "no state"],
)
def test_what_stays_apart(graph):
    assert packed(graph()).packs == []


def test_what_waits_for_one_another_stays_apart():
    a, b = parameters((3, 3), (2, 2))

    def step(x):
        a.assign(a * 2.0)
        b.assign(b * pl.sum(a))
        a.assign(a + pl.sum(b))

    graph = record(step, X)
    before = [a.data.copy(), b.data.copy()]
    NumpyPlan(graph, Binding(graph)).run([X.data])
    first = before[0] * 2
    np.testing.assert_allclose(b.data, before[1] * first.sum(), rtol=1e-5)
    np.testing.assert_allclose(a.data, first + b.data.sum(), rtol=1e-5)


def test_new_state_has_the_bits_of_the_interpreter():
    tensors = parameters((3, 2), (4,), (1, 5))
    graph = record(moved(tensors), X)
    start = [t.data.copy() for t in tensors]
    for _ in range(3):
        run(graph, X, commit=True)
    expected = [t.data.copy() for t in tensors]
    for t, a in zip(tensors, start, strict=True):
        t.assign(pl.Tensor(a))
    plan = NumpyPlan(graph, Binding(graph))
    for _ in range(3):
        plan.run([X.data])
    for t, a in zip(tensors, expected, strict=True):
        assert t.data.tobytes() == a.tobytes()


def test_tensors_side_by_side_remain_tensors_of_their_own():
    """Assigned to one by one, also in another order of memory; written to without a note on the others."""
    a, b = parameters((3, 2), (4,))
    graph = record(moved([a, b]), X)
    plan = NumpyPlan(graph, Binding(graph))
    plan.run([X.data])
    kept, step = b.data.copy(), 0.5 * 7 * pl.sum(X).item()
    a.assign(pl.Tensor(np.asfortranarray(np.arange(6, dtype="float32").reshape(3, 2))))
    plan.run([X.data])
    np.testing.assert_allclose(a.data, np.arange(6).reshape(3, 2) + step, rtol=1e-5)
    np.testing.assert_allclose(b.data, kept + step, rtol=1e-5)
    b.requires_grad = True
    y = pl.sum(b * b)
    with pl.no_grad():
        a[0, 0] = 3.0
    y.backward()
    np.testing.assert_array_equal(b.grad.data, 2 * b.data)
    v = pl.Tensor(np.ones(2, "float32"), requires_grad=True)
    a[1] = v * 2.0  # a change that gradients flow through, which is refused to views
    pl.sum(a).backward()
    assert v.grad.tolist() == [2.0, 2.0]


def test_two_plans_share_state_side_by_side():
    tensors = parameters((3, 2), (4,))
    graphs = [record(moved(tensors), X), record(moved(tensors), X)]
    plans = [NumpyPlan(graph, Binding(graph)) for graph in graphs]
    plans[0].run([X.data])
    arrays = [t.data for t in tensors]
    plans[1].run([X.data])
    assert all(t.data is a for t, a in zip(tensors, arrays, strict=True))


def test_an_optimizer_needs_a_call_an_operation():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    @pl.compile
    def step(x, y):
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step(X, pl.Tensor(np.array([0, 1, 1, 0, 1])))
    assert step.source.count("sqrt(") == 2  # of the averages, and of the correction
