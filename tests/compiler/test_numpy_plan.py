"""The NumPy tier: bits of `graph.run`, memory that is shared only by what is never needed at once, state in place."""

import inspect

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler.binding import Binding
from pellucid.compiler.numpy_elements import Body
from pellucid.compiler.numpy_plan import NumpyPlan
from pellucid.core.op import REGISTRY
from pellucid.core.tensor import apply
from pellucid.graph import record, run
from pellucid.graph.ir import leaves

ELEMENTWISE = [op for op in REGISTRY.values() if op.family == "elementwise"]
KINDS = [
    ("float32", "float32", "float32"),
    ("float64", "float64", "float64"),
    ("float32", "int64", "float64"),
    ("bool", "float32", "float32"),
    ("int64", "int64", "bool"),
    ("float32", 0.3, 2),
    (2, "float32", True),
    ("uint8", 2, 2),
    ("uint8", 300, 2),
]
SHAPES = ([(5, 7)] * 3, [(5, 7), (7,), ()], [(7,), (5, 1), (5, 7)])


def values(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(shape) > 0.5
    if np.dtype(dtype).kind in "iu":
        return rng.integers(1, 6, shape).astype(dtype)
    x = (2 * rng.standard_normal(shape)).astype(dtype)
    x.flat[0] = -0.0
    if x.size > 3:
        x.flat[1:4] = np.nan, np.inf, 0.0
    return x


def plan_of(graph):
    return NumpyPlan(graph, Binding(graph))


def assert_same(found, expected):
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    nan = np.isnan(found) & np.isnan(expected) if found.dtype.kind == "f" else np.zeros(found.shape, bool)
    assert np.where(nan, 0, found).tobytes() == np.where(nan, 0, expected).tobytes()


def arity(op):
    parameters = list(inspect.signature(op.kernel).parameters.values())[1:]
    return len([p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD])


@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)
@pytest.mark.parametrize("kinds", KINDS, ids=str)
def test_elementwise(op, kinds):
    for shapes in SHAPES:
        given = [
            pl.Tensor(values(shape, kind, n)) if isinstance(kind, str) else kind
            for n, (kind, shape) in enumerate(zip(kinds[: arity(op)], shapes, strict=False))
        ]
        tensors = [x for x in given if isinstance(x, pl.Tensor)]
        if not tensors:
            return

        def function(*args, given=given):
            rest = iter(args)
            return apply(op, [next(rest) if isinstance(x, pl.Tensor) else x for x in given], dict(op.attrs))

        try:
            with np.errstate(all="ignore"):
                graph = record(function, *tensors)
        except pl.errors.PellucidError:
            return  # no operation of these dtypes
        arrays = [t.data for t in tensors]
        (found,) = plan_of(graph).run(arrays)
        with np.errstate(all="ignore"):
            assert_same(found, run(graph, *arrays).outputs)


def test_bodies_become_calls_that_need_no_new_arrays():
    """Those that do not have something in their body that is no universal function."""
    x = pl.Tensor(values((5, 7), "float32"))
    slow = set()
    for op in ELEMENTWISE:
        given = [x > 0, x, x] if op.name == "where" else [x] * arity(op)
        try:
            with np.errstate(all="ignore"):
                (instruction,) = record(
                    lambda _, op=op, given=given: apply(op, list(given), dict(op.attrs)), x
                ).instructions[-1:]
        except pl.errors.PellucidError:
            continue
        if not Body(instruction).possible:
            slow.add(op.name)
    assert slow == {"round", "erf", "gelu"}


def updates(function, state, *inputs, times=2):
    """What a plan makes of state, beside what the interpreter makes of it; and the plan."""
    graph = record(function, *inputs)
    start = [t.data.copy() for t in state]
    arrays = [x.data for x in inputs]
    expected = []
    for _ in range(times):
        expected.append(run(graph, *arrays, commit=True).outputs)
    wanted = [t.data.copy() for t in state]
    for t, a in zip(state, start, strict=True):
        t.assign(pl.Tensor(a.copy()))
    plan = plan_of(graph)
    found = [plan.run(arrays) for _ in range(times)]
    for t, a in zip(state, wanted, strict=True):
        assert_same(t.data, a)
    for f, e in zip(found, expected, strict=True):
        for a, b in zip(f, [leaf for leaf in leaves(e) if leaf is not None], strict=True):
            assert_same(a, np.asarray(b))
    return plan


def state(shape=(3, 3), seed=0, dtype="float32"):
    return nn.Parameter(np.random.default_rng(seed).standard_normal(shape).astype(dtype), requires_grad=False)


X = pl.Tensor(np.arange(9, dtype="float32").reshape(3, 3))


def test_state_that_is_swapped():
    a, b = state(seed=1), state(seed=2)

    def swap(x):
        old = pl.positive(a)
        a.assign(b)
        b.assign(old)
        return x + a

    updates(swap, [a, b], X, times=3)


def test_two_tensors_that_take_over_one_value():
    a, b = state(seed=1), state(seed=2)

    def both(x):
        y = x * a
        a.assign(y)
        b.assign(y)
        return y

    updates(both, [a, b], X)


def test_state_that_takes_over_what_other_state_was():
    a, b = state(seed=1), state(seed=2)

    def chain(x):
        b.assign(a.T)
        a.assign(a * x)
        return b

    updates(chain, [a, b], X)


def test_an_output_that_is_what_state_was():
    a = state()

    def before(x):
        y = a.T
        a.assign(a + x)
        return y, a

    updates(before, [a], X)


def test_the_old_value_is_read_after_the_new_one_was_computed():
    a = state()

    def late(x):
        new = a * 0.5
        y = x @ a
        a.assign(new)
        return y

    updates(late, [a], X)


@pytest.mark.parametrize(
    "new",
    [
        lambda a, x: a + a.T,
        lambda a, x: pl.where(x > 3, a, x * 2.0),
        lambda a, x: pl.where(x > 3, x * 2.0, a),
        lambda a, x: pl.where(x > 3, a.T, a),
        lambda a, x: pl.where(x > 3, a.T, x),
        lambda a, x: pl.where(x > 3, a * x, a / 2.0),
        lambda a, x: nn.functional.leaky_relu(a) * a,
        lambda a, x: a.reshape(9).reshape(3, 3) * a,
        lambda a, x: a[::-1] - a,
        lambda a, x: x @ a,
        lambda a, x: pl.mish(a) + 1.0,
    ],
)
def test_new_state_from_the_old_element_by_element(new):
    a = state()

    def change(x):
        a.assign(new(a, x))
        return pl.sum(a)

    updates(change, [a], X)


def test_a_condition_that_is_the_state_itself():
    flags = pl.Tensor(np.array([True, False, True]), dtype=bool)
    flags.name = "flags"
    x = pl.Tensor(np.array([False, False, True]))

    def change(x):
        flags.assign(pl.where(flags, x, pl.logical_not(x)))

    updates(change, [flags], x, times=3)


def test_the_user_s_array_is_not_written_to():
    given = np.ones((3, 3), "float32")
    a = nn.Parameter(given, requires_grad=False)
    plan = plan_of(record(lambda x: a.assign(a + x), X))
    a.assign(pl.Tensor(given))
    plan.run([X.data])
    assert (given == 1).all()
    assert_same(a.data, given + X.data)


def test_state_that_was_assigned_to_between_runs():
    a = state()
    plan = plan_of(record(lambda x: a.assign(a * x), X))
    a.assign(pl.Tensor(np.full((3, 3), 2, "float32")))
    plan.run([X.data])
    assert_same(a.data, 2 * X.data)
    a.assign(pl.Tensor(np.asfortranarray(X.data)))  # another order of memory
    plan.run([X.data])
    assert_same(a.data, X.data * X.data)


def test_captured_tensors_are_read_anew_at_every_run():
    fixed = pl.Tensor(np.ones((3, 3), "float32"))
    fixed.name = "fixed"
    plan = plan_of(record(lambda x: x @ fixed.T + fixed.reshape(9)[0], X))
    fixed.assign(pl.Tensor(2 * X.data))
    (found,) = plan.run([X.data])
    assert_same(found, X.data @ (2 * X.data).T)


def test_inputs_that_do_not_lie_row_by_row():
    graph = record(lambda x: (x.reshape(9) * 2.0, x.T @ x, x[1:]), X)
    turned = np.asfortranarray(X.data)
    found = plan_of(graph).run([turned])
    assert_same(found[0], X.data.reshape(9) * 2)
    assert_same(found[1], X.data.T @ X.data)
    assert_same(found[2], X.data[1:])


@pytest.mark.parametrize(("first", "then"), [("C", "F"), ("F", "C")])
def test_state_that_another_program_wants_in_another_order(first, then):
    a = state()
    graph = record(lambda x: (a.reshape(9) * 2.0, a.assign(a + x))[0], X)
    Binding(graph).place(0, first)
    plan = plan_of(graph)
    expected = a.data.copy()
    for times in range(4):
        assert_same(plan.run([X.data])[0], expected.reshape(9) * 2)
        expected = expected + X.data
        if times == 1:
            Binding(graph).place(0, then)
    assert_same(a.data, expected)


def test_sums_run_in_the_order_that_numpy_gives_results():
    x = pl.Tensor(np.random.default_rng(0).standard_normal((33, 65)).astype("float32"))
    graph = record(lambda x: (pl.sum(pl.exp(x.T)), pl.sum(pl.exp(x.T), 1)), x)
    for found, expected in zip(plan_of(graph).run([x.data]), run(graph, x).outputs, strict=True):
        assert_same(found, expected)


@pytest.mark.parametrize(
    "formula", ["ik,kj->ij", "ki,jk->ij", "ik,jk->ji", "ki,kj->ji", "ij,jk->i", "ij,ij->ij", "ij,kl->ikjl"]
)
def test_contractions(formula):
    rng = np.random.default_rng(0)
    lengths = {"i": 3, "j": 4, "k": 5, "l": 2}
    a, b = (rng.standard_normal([lengths[c] for c in term]) for term in formula.split("->")[0].split(","))
    graph = record(lambda a, b: pl.contract(a, b, formula), a, b)
    (found,) = plan_of(graph).run([a, b])
    assert_same(found, run(graph, a, b).outputs)
    np.testing.assert_allclose(found, np.einsum(formula, a, b), rtol=1e-14, atol=1e-14)


def test_whole_numbers_to_negative_powers():
    plan = plan_of(record(lambda x, n: x**n, np.arange(3), np.arange(3)))
    assert plan.run([np.arange(3), np.arange(3)])[0].tolist() == [1, 1, 4]
    with pytest.raises(pl.errors.ArgumentError):
        plan.run([np.arange(3), np.array([1, -1, 1])])


def test_results_are_the_caller_s_own():
    plan = plan_of(record(lambda x: (x * 2.0, x), X))
    first = plan.run([X.data])
    first[0][...] = 7
    first[1][...] = 7
    second = plan.run([X.data])
    assert_same(second[0], X.data * 2)
    assert X.data[0, 1] == 1
    assert (first[0] == 7).all()


def test_memory_is_shared():
    """Two arrays are enough for a chain of products, and one for what is computed element by element."""

    def chain(x, w):
        for _ in range(10):
            x = pl.tanh((x @ w) * 0.1) - 1.0
        return x

    plan = plan_of(record(chain, pl.ones((100, 100)), pl.ones((100, 100))))
    assert len(plan.memory.pieces) == 10
    assert plan.memory.peak == 2 * 40000
    assert plan.memory.separate == 10 * 40000


def test_memory_that_an_operand_of_the_same_body_is_still_read_from():
    graph = record(lambda x: (lambda y: apply(REGISTRY["multiply_add"], [y, y, y], {}))(pl.exp(x)), X)
    (found,) = plan_of(graph).run([X.data])
    e = np.exp(X.data)
    assert_same(found, e * e + e)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "build",
    [
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
        lambda p: optim.RAdam(p, lr=0.01),
        lambda p: optim.NAdam(p, lr=0.01),
        lambda p: optim.RMSprop(p, lr=0.01, centered=True),
    ],
)
def test_training_steps(build, dtype):
    pl.manual_seed(3)
    rng = np.random.default_rng(0)
    x, y = pl.Tensor(rng.standard_normal((8, 5)).astype(dtype)), pl.Tensor(rng.integers(0, 4, 8))
    model = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.GELU(), nn.Dropout(0.3), nn.Linear(6, 4)).to(dtype)
    optimizer = build(model.parameters())
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.1)

    def step(x, y):
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step(x, y)
    kept = [*model.parameters(), *model.buffers(), pl.core.rng.default_generator.state]
    for entries in optimizer.state.values():
        kept += [t for t in entries.values() if isinstance(t, pl.Tensor)]
    updates(step, list({id(t): t for t in kept}.values()), x, y, times=4)


def test_a_failure_names_the_layer():
    indices = pl.Tensor(np.array([0, 2]))
    table = nn.Embedding(3, 2)
    plan = plan_of(record(table, indices))
    with pytest.raises(pl.errors.GraphError, match="index 7 is out of bounds") as caught:
        plan.run([np.array([0, 7])])
    assert "index(" in str(caught.value)


def test_source_is_what_runs():
    w = state((2, 3))
    w.name = "w"

    def f(x):
        y = nn.functional.relu(x @ w.T)
        w.assign(w * 2.0)
        return pl.max(y.reshape(6))

    plan = plan_of(record(f, X))
    before, after = plan.source.split("def f(x):\n")
    assert after.splitlines() == [
        "    matmul(x, w_T, v3)",
        "    maximum(v3, f32_0, out=v3)",
        "    multiply(w, f32_2_0, w)",
        "    maximum_reduce(v6, (0,), None, v7, False)",
        "    return [v7.copy()]",
    ]
    assert before.splitlines() == [
        "# f32_0 = float32(0)",
        "# f32_2_0 = float32(2.0)",
        "# v3 = empty((3, 2), float32)",
        "# v7 = empty((), float32)",
        "# w_T = w.T",
        "# v6 = v3.reshape((6,))",
    ]
    assert all(line.startswith("# ") for line in before.splitlines())
