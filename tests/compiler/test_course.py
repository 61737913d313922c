"""What runs of a function do is compared: one that does something else each time runs as it is, from the state that it
had before."""

import collections
import functools
import itertools
import random
import time

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler.course import Course
from pellucid.compiler.record import recorded
from pellucid.errors import PellucidWarning, RecordingError
from tests.compiler.both_ways import X, Y, assert_same_both_ways, cross_entropy, network, state_of, step_of

REFUSED = {}


def refused(match):
    def named(function):
        REFUSED[function.__name__] = match, function
        return function

    return named


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self._calls, self.noted, self._counts = nn.Linear(5, 3), 0, [], {"n": 0}
        self.numbers, self.latest = np.zeros(1), collections.deque(maxlen=3)


def called(forward, n=4):
    """A program: a network with this forward is used several times."""

    def both(compile):
        pl.manual_seed(0)
        model = type("Counting", (Counting,), {"forward": forward})()
        use = compile(model)
        found = [use(pl.Tensor(X)) for _ in range(n)]
        return found, model._calls, model.noted, model._counts, model.numbers, list(model.latest)

    return both


def by_private_count(self, x):
    self._calls += 1
    return self.fc(x) / self._calls


def by_list(self, x):
    self.noted.append(1)
    return self.fc(x) * len(self.noted)


def by_dict(self, x):
    self._counts["n"] += 1
    return self.fc(x) * self._counts["n"]


def by_array(self, x):
    self.numbers[0] += 1
    return self.fc(x) * float(self.numbers[0])


def by_deque(self, x):
    self.latest.append(1.0)
    return self.fc(x) * len(self.latest)


def by_note_alone(self, x):
    self.noted.append(1)
    return self.fc(x)


def after_a_warm_up(self, x):
    self._calls += 1
    return self.fc(x) * (2.0 if self._calls > 3 else 1.0)


for forward in (by_private_count, by_list, by_dict, by_array, by_note_alone, after_a_warm_up):
    REFUSED[forward.__name__] = "changes what a name stands for: Counting", called(forward)
# It is full after three calls, and looks the same from then on.
REFUSED["by_deque"] = (
    r"something else each time it is called: multiply\(%0, 1\), then multiply\(%0, 2\)",
    called(by_deque),
)


@refused("changes what a name stands for: calls")
def a_counter_on_the_function(compile):
    def more(x):
        more.calls = getattr(more, "calls", 0) + 1
        return x * float(more.calls)

    used = compile(more)
    return [used(pl.Tensor(X)) for _ in range(3)], more.calls


@refused("changes what a name stands for: list")
def a_list_that_is_an_argument(compile):
    def noted(x, notes):
        notes.append("called")
        return x * float(len(notes))

    noted, notes = compile(noted), ["made"]
    return [noted(pl.Tensor(X), notes) for _ in range(3)], notes


@refused("changes what a name stands for: random")
def random_numbers_of_python(compile):
    random.seed(0)
    noisy = compile(lambda x: x * (2.0 if random.random() < 0.01 else 1.0))
    return [noisy(pl.Tensor(X)) for _ in range(3)], random.random()


@refused("changes what a name stands for: numpy.random")
def random_numbers_of_numpy(compile):
    np.random.seed(0)  # noqa: NPY002
    noisy = compile(lambda x: x + pl.Tensor(np.random.standard_normal(5).astype("f4")))  # noqa: NPY002
    return [noisy(pl.Tensor(X)) for _ in range(3)]


@refused("changes what a name stands for: rng")
def random_numbers_of_a_generator(compile):
    rng = np.random.default_rng(0)
    noisy = compile(lambda x: x + pl.Tensor(rng.standard_normal(5).astype("f4")))
    return [noisy(pl.Tensor(X)) for _ in range(3)]


@refused("changes what a name stands for: Own.steps")
def an_optimizer_that_counts(compile):
    class Own(optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {})
            self.steps = 0

        def _update(self, group, params):
            self.steps += 1
            for p in params:
                p.assign(p - p.grad * (0.1 / self.steps))

    model = network()
    step = compile(step_of(model, Own(model.parameters())))
    return [step(X, Y) for _ in range(3)], state_of(model)


@pytest.mark.parametrize("name", REFUSED)
def test_what_changes_from_call_to_call_runs_as_it_is_from_its_start(name):
    match, program = REFUSED[name]
    with pytest.warns(PellucidWarning, match=match) as warned:
        assert_same_both_ways(program, "numpy", exactly=True)
    assert len([w for w in warned if "runs as it is" in str(w.message)]) == 1


@pytest.mark.parametrize("numbers", [iter(range(9)), itertools.count()], ids=["iterator", "count"])
def test_numbers_of_an_iterator_are_seen_to_differ(numbers):
    counted = pl.compile(lambda x: nn.functional.relu(x) * next(numbers))
    with pytest.warns(PellucidWarning, match=r"something else each time.*multiply\(%0, 0\), then multiply\(%0, 1\)"):
        counted(pl.Tensor(X))
    assert counted.tier == "eager"


def test_a_clock_and_a_branch_are_seen_to_differ():
    start, turns = time.perf_counter(), iter([True, False] * 9)
    for function in (lambda x: x * (time.perf_counter() - start), lambda x: pl.tanh(x) if next(turns) else x):
        with pytest.warns(PellucidWarning, match="something else each time it is called"):
            pl.compile(function)(pl.Tensor(X))


def test_a_number_that_is_returned_is_part_of_what_is_done():
    numbers = iter(range(9))
    with pytest.warns(PellucidWarning, match="something else each time"):
        assert pl.compile(lambda x: (x, next(numbers)))(pl.Tensor(X))[1] == 4  # after two pairs of runs


def test_the_difference_is_named_with_its_layer():
    numbers = iter(range(9))

    class Noisy(nn.Module):
        def forward(self, x):
            return x + float(next(numbers))

    with pytest.warns(PellucidWarning, match=r"add\(\.\.\., 0\.0\), then add\(\.\.\., 1\.0\) \(Sequential / 0\)"):
        pl.compile(nn.Sequential(Noisy()))(pl.Tensor(X))


# What a first call makes for itself


def test_a_function_that_remembers_its_results_is_no_difference(monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", "numpy")

    @functools.lru_cache
    def table(n):
        return pl.exp(pl.ones((n,)))

    use = pl.compile(lambda x: x * table(5))
    for _ in range(2):
        np.testing.assert_allclose(use(pl.Tensor(X)).data, X * np.exp(np.float32(1.0)), rtol=1e-6)
    assert use.tier == "numpy"


def test_a_table_that_the_first_call_makes_is_no_difference(monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", "numpy")

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self._mask, self.known = None, {}

        def forward(self, x):
            if self._mask is None:
                self._mask = pl.exp(pl.ones((5,)) * 2.0)
            if "scale" not in self.known:
                self.known["scale"] = pl.sqrt(pl.ones((1,)) * 4.0)
            return x * self._mask * self.known["scale"]

    model = Masked()
    use = pl.compile(model)
    expected = X * np.exp(np.float32(2.0)) * 2.0
    for _ in range(3):
        np.testing.assert_allclose(use(pl.Tensor(X)).data, expected, rtol=1e-6)
    assert use.tier == "numpy"


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.RMSprop, optim.Adagrad, optim.NAdam])
def test_an_optimizers_first_step_and_a_schedule_are_no_difference(make):
    model = network(dropout=0.3, normalized=True)
    optimizer = make(model.parameters(), lr=0.1)
    schedule = optim.StepLR(optimizer, 1, 0.5)
    usual = step_of(model, optimizer)

    def step(x, y):
        loss = usual(x, y) * optimizer.param_groups[0]["lr"]
        schedule.step()
        return loss

    assert recorded(step, [pl.Tensor(X), pl.Tensor(Y)]).after


def test_gradients_from_before_are_no_difference():
    model = network()
    x = pl.Tensor(X.copy(), requires_grad=True)
    cross_entropy(model(x), Y).backward()

    def backward(x, y):
        loss = cross_entropy(model(x), y)
        loss.backward()
        return loss

    assert len(recorded(backward, [x, pl.Tensor(Y)]).given) == 1 + len(list(model.parameters()))


def test_a_course_names_inputs_by_what_they_are():
    course = Course()
    a, b, constant = pl.ones((2,)), pl.ones((2,)), pl.Tensor([7.0])
    course.given(a, 0)
    course.created(constant)
    from pellucid.core.op import REGISTRY

    for inputs in ([a, b], [a, constant], [a, 2.0], [b, b]):
        course.operation(REGISTRY["add"], inputs, {}, pl.ones((2,)))
    first, second, third, fourth = (line.inputs for line in course.lines)
    assert first[1] == fourth[0] == fourth[1] == ("outside", id(b))
    assert second[1][:3] == ("data", "float32", (1,))
    assert third[1] == ("number", "2.0")


def test_products_are_computed_once_for_both_runs():
    """Those whose inputs are the same; what comes after one that is not is computed again."""
    op, computed = pl.core.op.REGISTRY["contract"], []
    value = op.value

    def counting(a, b, **attrs):
        computed.append(a.shape)
        return value(a, b, **attrs)

    object.__setattr__(op, "value", counting)
    try:
        x, w = pl.Tensor(X), pl.Tensor(np.eye(5, dtype="f4"))
        noise = iter(np.arange(1.0, 99.0))

        def once(x):
            return pl.einsum("ij,jk->ik", pl.einsum("ij,jk->ik", x, w), w)

        def anew(x):
            return pl.einsum("ij,jk->ik", pl.einsum("ij,jk->ik", x, w) * float(next(noise)), w)

        recorded(once, [x])
        assert len(computed) == 2
        computed.clear()
        with pytest.raises(RecordingError):
            recorded(anew, [x])
        assert len(computed) > 3
    finally:
        object.__setattr__(op, "value", value)
