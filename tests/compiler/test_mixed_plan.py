"""Steps of which some operations have no native rule run in parts, machine code and NumPy by turns, and do what the
function does.
"""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler import native_plan, parts, schedule
from pellucid.compiler.mixed_plan import MixedPlan
from pellucid.compiler.native_plan import NativePlan
from pellucid.compiler.numpy_plan import NumpyPlan
from pellucid.compiler.tiers import Unsupported
from pellucid.data import Loader
from tests.compiler.both_ways import assert_same_both_ways, same, state_of

pytest.importorskip("llvmlite")

STEPS = 50
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
RNG = np.random.default_rng(0)
ROWS, FEATURES, CLASSES = 24, 20, 5
X, X_OTHER = RNG.standard_normal((2, ROWS, FEATURES))
Y, Y_OTHER = RNG.integers(0, CLASSES, (2, ROWS))
ORDER = RNG.permutation(ROWS)
PLACES = RNG.integers(0, 40, (ROWS, 20))
cross_entropy = nn.CrossEntropyLoss()


@pytest.fixture(autouse=True)
def native(monkeypatch):
    """Machine code is wanted; small parts get it too."""
    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")
    monkeypatch.setattr(parts, "LEAST", 3000)


class Net(nn.Module):
    """Layers with something in their middle."""

    def __init__(self, middle, width=40, dropout=0.0, normalized=False):
        super().__init__()
        self.before = nn.Sequential(nn.Linear(FEATURES, 40), nn.Tanh(), nn.Dropout(dropout))
        self.normal = nn.BatchNorm1d(40) if normalized else nn.Identity()
        self.after = nn.Sequential(nn.Linear(width, 30), nn.Sigmoid(), nn.Dropout(dropout), nn.Linear(30, CLASSES))
        self._middle = middle

    def forward(self, x):
        return self.after(self._middle(self.normal(self.before(x))))


def sorted_rows(h):
    return pl.sort(h, axis=1)


def largest(h):
    return pl.topk(h, 20, axis=1)[0]


def picked(h):
    return pl.take_along_axis(h, PLACES, 1)


def scattered(h):
    return pl.scatter_add(h, PLACES, h[:, 20:] * 0.5, axis=1)


def assigned(h):
    h = h * 1.0
    h[ORDER[:5]] = h[5:10] * 2.0
    return h


def ranks(h):
    # The order is that of the rows' numbers: one that hung on rounding would make it part ways.
    order = pl.argsort(h + 3.0 * ORDER[:, None].astype(h.dtype), axis=0)
    return h * (order @ order.T)[:, :1].astype(h.dtype) * 1e-4


def summed_up(h):
    return pl.cumsum(h.reshape(-1), axis=0).reshape(h.shape) * 0.01


def twice(h):
    return pl.sort(nn.functional.softplus(pl.sort(h, axis=1) * 1.5 - h), axis=0)


def plain(h):
    return h


MIDDLES = {
    "sort": (sorted_rows, {}),
    "topk": (largest, {"width": 20}),
    "take along": (picked, {"width": 20}),
    "scatter": (scattered, {}),
    "assignment": (assigned, {}),
    "whole products": (ranks, {}),
    "running sums": (summed_up, {}),
    "two sorts": (twice, {}),
    "dropout on both sides": (sorted_rows, {"dropout": 0.3}),
    "batch norm": (sorted_rows, {"normalized": True}),
    "dropout and batch norm": (largest, {"width": 20, "dropout": 0.2, "normalized": True}),
}


def training(middle, dtype="float32", beside=lambda model: (), **options):
    """A model, its optimizer, and its step: the loss, and whatever is computed beside it."""
    pl.manual_seed(5)
    model = Net(middle, **options).to(dtype)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def step(x, y):
        loss = cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss, *beside(model)

    return model, optimizer, step


def trained(compile, middle, dtype, **options):
    """Parameters, buffers and losses after the steps, and the compiled step."""
    model, _, step = training(middle, dtype, **options)
    step = compile(step)
    results = [step(pl.Tensor(X.astype(dtype)), pl.Tensor(Y)) for _ in range(STEPS)]
    kept = {key: x.data.copy() for key, x in model.state_dict().items()}
    for n in range(len(results[0])):
        kept[f"result {n}"] = np.array([r[n].data for r in results])
    return kept, step


def assert_agree(given, expected, dtype):
    largest = max(np.abs(values).max(initial=0) for values in expected.values())
    for key, values in expected.items():
        assert np.abs(given[key] - values).max(initial=0) <= TOLERANCE[dtype] * max(largest, 1.0), key


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", MIDDLES)
def test_training_with_it_in_the_middle(name, dtype):
    middle, options = MIDDLES[name]
    given, step = trained(pl.compile, middle, dtype, **options)
    assert step.tier == "mixed"
    assert_agree(given, trained(lambda f: f, middle, dtype, **options)[0], dtype)


BESIDE = {
    "the new bias": lambda model: (pl.sort(model.before[0].bias), pl.topk(model.after[0].weight, 3)[1]),
    "a draw": lambda model: (pl.permutation(model.after[3].bias),),
    "nothing": lambda model: (model.after[3].bias[:0].sum(), model.after[3].bias[:0]),
}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", BESIDE)
def test_training_with_it_beside(name, dtype):
    given, step = trained(pl.compile, plain, dtype, beside=BESIDE[name])
    assert step.tier == "mixed"
    assert_agree(given, trained(lambda f: f, plain, dtype, beside=BESIDE[name])[0], dtype)


def program_of(body):
    """A program that calls a compiled step with several arguments, and looks at the state that it works on."""

    def program(compile):
        rng = np.random.default_rng(3)
        state = [pl.Tensor(rng.standard_normal((40, 40))) for _ in range(3)]
        step = compile(lambda x: body(x, *state))
        results = []
        for n in range(4):
            results.append(step(pl.Tensor(rng.standard_normal((40, 40)) + n)))
            results += [t.data.copy() for t in state]
            if compile is pl.compile:
                assert step.tier == "mixed"
        return results

    return program


def old_and_new(x, a, b, c):
    """Every part reads a, the first one makes its new value."""
    new = pl.tanh(x @ a)
    ranked = pl.sort(a, axis=1)
    late = pl.exp(-(pl.sort(ranked + new, axis=0) ** 2)) @ a
    a.assign(new)
    return late, ranked


def exchanged(x, a, b, c):
    """Two swap their values, the third takes over what a later part made."""
    made = pl.sort(x @ a, axis=1)
    old_a, old_b = a * 1.0, b * 1.0
    a.assign(old_b)
    b.assign(old_a)
    c.assign(pl.tanh(made @ c) + a)
    return made, c * 1.0


def read_in_numpy(x, a, b, c):
    """NumPy reads the state that machine code made a new value of, and the other way round."""
    new = pl.exp(-pl.abs(x @ a))
    b.assign(pl.sort(b, axis=0))
    ranked = pl.sort(a, axis=0)
    a.assign(new)
    return ranked + pl.cos(b @ new), pl.sort(a, axis=1)


def given_back(x, a, b, c):
    """State and arguments that are results themselves, and state that becomes an argument."""
    made = pl.sort(x @ a, axis=1) @ b
    old = c * 1.0
    c.assign(x)
    return x, b, old, made, made, made.T, c * 1.0


@pytest.mark.parametrize("body", [old_and_new, exchanged, read_in_numpy, given_back])
def test_no_part_reads_state_that_an_earlier_one_has_renewed(body):
    assert_same_both_ways(program_of(body), "llvm")


def test_state_may_be_written_between_calls():
    def program(compile):
        model, optimizer, step = training(sorted_rows, normalized=True, dropout=0.1)
        step, results = compile(step), []
        for n in range(6):
            results.append(step(pl.Tensor((X if n % 2 else X_OTHER).astype("f4")), pl.Tensor(Y)))
            if n == 1:
                model.before[0].weight.data = model.before[0].weight.data * 0.5
                model.after[0].bias.data = np.ones(30, "f4")
            if n == 2:
                model.after[3].weight.data[1] = 0.25
                model.load_state_dict({key: x.data * 0.9 for key, x in model.state_dict().items()})
            if n == 3:
                optimizer.param_groups[0]["lr"] = 0.1
            results += state_of(model, optimizer)
        return results

    assert_same_both_ways(program, "llvm")


def test_the_number_of_threads_changes_no_bit(monkeypatch):
    monkeypatch.setattr(native_plan, "WORTH_THREADS", 0)
    monkeypatch.setattr(native_plan, "WORTH_CALLING_THREADS", 0)
    monkeypatch.setattr(schedule, "_WORTH_SHARING", 0)

    def bits(threads):
        pl.set_num_threads(threads)
        kept, step = trained(pl.compile, largest, "float32", width=20, dropout=0.2, normalized=True)
        assert step.tier == "mixed"
        assert {p.plan._threads for p in step._latest.plan.parts if isinstance(p.plan, NativePlan)} == {threads}
        return {key: x.tobytes() for key, x in kept.items()}

    try:
        assert bits(1) == bits(2)
    finally:
        pl.set_num_threads(None)


def test_fit_ends_with_the_bits_of_a_loop():
    def model():
        pl.manual_seed(5)
        return Net(sorted_rows, dropout=0.2, normalized=True)

    data = (X.astype("f4"), Y)
    fitted = model()
    pl.manual_seed(7)
    pl.fit(
        fitted, data, loss="cross_entropy", epochs=3, batch_size=8, seed=0, verbose=0,
        optimizer=lambda p: optim.Adam(p, lr=0.01),
    )  # fmt: skip
    by_hand = model()
    optimizer = optim.Adam(by_hand.parameters(), lr=0.01)

    @pl.compile
    def step(x, y):
        loss = cross_entropy(by_hand(x), y)
        loss.backward()
        optimizer.step()
        return loss

    pl.manual_seed(7)
    loader = Loader(data, batch_size=8, shuffle=True, seed=0)
    for _ in range(3):
        for x, y in loader:
            step(x, y)
    assert step.tier == "mixed"
    for key, x in by_hand.state_dict().items():
        assert x.data.tobytes() == fitted.state_dict()[key].data.tobytes(), key


def plan_of(function, *arguments):
    compiled = pl.compile(function)
    compiled(*arguments)
    return compiled


def test_there_are_as_few_parts_as_can_be():
    """Forward, sort, loss and gradients, gradient of the sort, gradients and update."""
    step = plan_of(training(sorted_rows)[2], X.astype("f4"), Y)
    plan = step._latest.plan
    assert isinstance(plan, MixedPlan)
    kinds = [type(part.plan) for part in plan.parts]
    assert kinds == [NativePlan, NumpyPlan, NativePlan, NumpyPlan, NativePlan]
    ops = [[i.op.name for i in part.plan.graph.instructions] for part in plan.parts]
    assert (ops[1], ops[3]) == (["argsort", "take_along"], ["place_along"])


def test_it_can_be_looked_at():
    step = plan_of(training(sorted_rows)[2], X.astype("f4"), Y)
    lines = step.source.splitlines()
    assert lines[0] == "# part 1 of 5, machine code"
    assert lines[2] == "# reads: x, y"
    assert "# part 2 of 5, NumPy" in lines
    assert sum(line.startswith("# gives: ") for line in lines) == 5
    assert "argsort" in str(step.graph)
    memory = step.memory
    ends = sorted((p.offset, p.offset + p.nbytes) for p in memory.pieces if p.name.startswith("v"))
    assert all(end <= start for (_, end), (start, _) in zip(ends, ends[1:], strict=False))
    assert max(end for _, end in ends) <= memory.peak <= memory.separate


def test_what_is_not_worth_it_stays_in_numpy(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")
    assert plan_of(pl.sort, X).tier == "numpy"
    assert plan_of(lambda x: pl.sort(x * 2.0)[:1] + 1.0, X[0]).tier == "numpy"
    assert plan_of(lambda x: pl.sort(pl.tanh(x @ x.T)), X).tier == "mixed"


def test_many_parts_stay_in_numpy():
    def function(x):
        for _ in range(20):
            x = pl.sort(pl.tanh(x @ x.T), axis=1)
        return x

    assert plan_of(function, X).tier == "numpy"


def test_a_part_without_machine_code_after_all_is_done_in_numpy(monkeypatch):
    made = native_plan.Prepared.__init__

    def refusing(self, graph, *args, **kwargs):
        if any(i.op.name == "sigmoid" for i in graph.instructions):
            raise Unsupported("sigmoid")
        made(self, graph, *args, **kwargs)

    monkeypatch.setattr(native_plan.Prepared, "__init__", refusing)

    def function(x):
        return pl.sigmoid(pl.sort(pl.tanh(x @ x.T), axis=1) @ x)

    step = plan_of(function, X)
    assert [type(part.plan) for part in step._latest.plan.parts] == [NativePlan, NumpyPlan]
    same([function(pl.Tensor(X)).data], [step(X).data])


def test_an_index_outside_of_its_axis_is_refused():
    layer = nn.Linear(FEATURES, FEATURES)

    def step(x, further):
        h = pl.tanh(layer(x))
        return pl.take_along_axis(h, pl.argsort(h, axis=1) + further, 1)

    x = X.astype("f4")
    compiled = plan_of(step, x, np.array(0))
    assert compiled.tier == "mixed"
    with pytest.raises(pl.errors.PellucidError, match="take_along"):
        compiled(x, np.array(99))
    same([step(pl.Tensor(x), pl.Tensor(0)).data], [compiled(x, np.array(0)).data])
