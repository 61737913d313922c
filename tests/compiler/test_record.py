"""Recording a step: gradients from before and gradients that stay, what cannot be recorded, and that nothing is
changed by it.
"""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler.record import recorded
from pellucid.core.rng import default_generator
from pellucid.errors import LabelError, PellucidWarning, RecordingError
from tests.compiler.both_ways import (
    X_OTHER,
    Y_OTHER,
    X,
    Y,
    assert_same_both_ways,
    cross_entropy,
    network,
    state_of,
    step_of,
)
from tests.compiler.both_ways import tier as tier_is

PROGRAMS = {}


def program(function):
    PROGRAMS[function.__name__] = function
    return function


def gradients_of(model):
    return [None if p.grad is None else p.grad.data.copy() for p in model.parameters()]


# Gradients


@program
def gradients_that_stay(compile):
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def backward(x, y):
        loss = cross_entropy(model(x), y) / 2
        loss.backward()
        return loss

    backward, found = compile(backward), []
    for _ in range(3):
        found += [backward(X, Y), backward(X_OTHER, Y_OTHER), gradients_of(model)]
        optimizer.step()
    found.append(backward(X, Y))
    optimizer.zero_grad()
    return found, backward(X, Y), gradients_of(model), state_of(model)


@program
def accumulation_inside(compile):
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x, y):
        for part in (slice(0, 4), slice(4, 8)):
            (cross_entropy(model(x[part]), y[part]) / 2).backward()
        optimizer.step()
        optimizer.zero_grad()

    step = compile(step)
    return [(step(X, Y), gradients_of(model)) for _ in range(3)], state_of(model)


@program
def the_optimizer_alone(compile):
    model = network()
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    step, found = compile(optimizer.step), []
    for _ in range(4):
        cross_entropy(model(X), Y).backward()
        step()
        found.append(state_of(model, optimizer))
    return found


@program
def gradients_from_before(compile):
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    step, found = compile(step_of(model, optimizer)), []
    for n in range(6):
        if n % 3 == 1:
            cross_entropy(model(X_OTHER), Y_OTHER).backward()
        found.append(step(X, Y))
    return found, state_of(model, optimizer)


@program
def gradients_are_forgotten_first(compile):
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x, y):
        optimizer.zero_grad()
        loss = cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step, found = compile(step), []
    for _ in range(3):
        cross_entropy(model(X_OTHER), Y_OTHER).backward()
        found.append(step(X, Y))
    return found, state_of(model)


@program
def gradients_as_results(compile):
    model = network()

    def gradients(x, y):
        return pl.autograd.grad(cross_entropy(model(x), y), list(model.parameters()))

    def left(x, y):
        cross_entropy(model(x), y).backward()
        return [p.grad for p in model.parameters()]

    gradients, left = compile(gradients), compile(left)
    first = gradients(X, Y), gradients(X_OTHER, Y_OTHER), gradients_of(model)
    return *first, left(X, Y), left(X, Y), gradients_of(model)


@program
def a_network_in_use_while_gradients_wait(compile):
    model = network()
    use = compile(model)
    found = [use(X)]
    cross_entropy(model(X), Y).backward()
    return found, use(X), gradients_of(model)


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_are_what_the_function_would_leave(name, tier):
    assert_same_both_ways(PROGRAMS[name], tier)


def test_an_optimizer_alone_refuses_used_gradients(tier):
    model = network()
    optimizer = optim.Adam(model.parameters())
    step = pl.compile(optimizer.step)
    cross_entropy(model(X), Y).backward()
    with tier_is(tier):
        step()
        with pytest.raises(pl.errors.GradientError, match="no parameter has a gradient"):
            step()


# What cannot be recorded runs as it is


REFUSED = {}


def refused(match):
    def named(function):
        REFUSED[function.__name__] = match, function
        return function

    return named


@refused("looks at a value that changes")
def a_branch_on_a_value(compile):
    signed = compile(lambda x: x * 2.0 if x.sum() > 0 else -x)
    return signed(pl.Tensor(X)), signed(pl.Tensor(-X)), signed(pl.Tensor(X))


@refused("looks at a value that changes")
def a_branch_within_a_step(compile):
    model = network(dropout=0.4)
    optimizer = optim.Adam(model.parameters())

    def step(x, y):
        loss = cross_entropy(model(x), y)
        if loss.item() > 1.0:
            loss = loss * 2.0
        loss.backward()
        optimizer.step()
        return loss

    step = compile(step)
    return [step(X, Y) for _ in range(3)], state_of(model, optimizer)


@refused("LBFGS: its steps cannot be recorded")
def an_optimizer_that_looks(compile):
    model = network()
    optimizer = optim.LBFGS(model.parameters())

    def step(x, y):
        def closure():
            optimizer.zero_grad()
            loss = cross_entropy(model(x), y)
            loss.backward()
            return loss

        return optimizer.step(closure)

    step = compile(step)
    return [step(X, Y) for _ in range(2)], state_of(model)


@refused("returns something that is no Tensor")
def an_array_is_returned(compile):
    raw = compile(lambda x: x.data * 2)
    return raw(pl.Tensor(X)), raw(pl.Tensor(X_OTHER))


@refused("changes an argument in place")
def an_argument_changes(compile):
    def more(x):
        x += 1.0
        return x * 2.0

    more, x = compile(more), pl.Tensor(X.copy())
    return more(x), x.data.copy(), more(x), x.data.copy()


@refused("")
def data_are_replaced(compile):
    model = network()

    def smaller(x):
        model[0].weight.data = model[0].weight.data * 0.5
        return model(x)

    smaller = compile(smaller)
    return smaller(X), smaller(X), state_of(model)


@refused("")
def data_are_written_to(compile):
    model = network()

    def smaller(x):
        model[0].weight.data[...] *= 0.5
        return model(x)

    smaller = compile(smaller)
    return smaller(X), smaller(X), state_of(model)


@refused("changes what a name stands for")
def a_counter_in_a_list(compile):
    count = [0]

    def counted(x):
        count[0] += 1
        return x * float(count[0])

    counted = compile(counted)
    return [counted(pl.Tensor(X)) for _ in range(3)], count


@refused("changes what a name stands for")
def a_counter_of_a_closure(compile):
    count = 0

    def counted(x):
        nonlocal count
        count += 1
        return x * float(count)

    counted = compile(counted)
    return [counted(pl.Tensor(X)) for _ in range(3)], count


@refused("")
def losses_are_noted(compile):
    model, noted = network(), []
    usual = step_of(model, optim.SGD(model.parameters(), lr=0.1))

    def step(x, y):
        noted.append(usual(x, y))

    step = compile(step)
    for _ in range(3):
        step(X, Y)
    return noted, state_of(model)


@refused("")
def the_latest_loss_is_kept(compile):
    class Trainer:
        def __init__(self):
            self.model, self.latest, self.steps = network(), None, 0
            self.usual = step_of(self.model, optim.SGD(self.model.parameters(), lr=0.1))

        def step(self, x, y):
            self.latest = self.usual(x, y)
            self.steps += 1

    trainer, found = Trainer(), []
    step = compile(trainer.step)
    for _ in range(3):
        step(X, Y)
        found.append((trainer.latest.data.copy(), trainer.steps))
    return found, state_of(trainer.model)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_recorded_runs_as_it_is_and_says_so_once(name, tier):
    match, function = REFUSED[name]
    with pytest.warns(PellucidWarning, match=match) as warned:
        assert_same_both_ways(function, tier, exactly=True)
    assert len([w for w in warned if "runs as it is" in str(w.message)]) == 1


# Nothing is changed


def test_recording_changes_nothing():
    model = network(dropout=0.3, normalized=True)
    optimizer = optim.Adam(model.parameters())
    schedule = optim.StepLR(optimizer, 1, 0.5)
    step = step_of(model, optimizer, lambda: None)

    def with_schedule(x, y):
        loss = step(x, y)
        schedule.step()
        return loss

    cross_entropy(model(X), Y).backward()
    before, gradients, draws = state_of(model), gradients_of(model), default_generator.get_state().copy()
    rate = optimizer.param_groups[0]["lr"]
    found = recorded(with_schedule, [pl.Tensor(X), pl.Tensor(Y)])
    assert all(a.tobytes() == b.tobytes() for a, b in zip(before, state_of(model), strict=True))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(gradients, gradients_of(model), strict=True))
    assert all(not t.data.any() for s in optimizer.state.values() for t in s.values())
    assert (optimizer.param_groups[0]["lr"], schedule.last_epoch, optimizer._step_taken) == (rate, 0, False)
    assert len(found.given) == len(found.used) == len(list(model.parameters()))
    assert [len(found.before), len(found.after), len(found.stepped)] == [0, 1, 1]
    assert draws.tobytes() == default_generator.get_state().tobytes()


@pytest.mark.parametrize("call", [0, 1])
def test_an_error_while_recording_changes_nothing(call):
    model = network(normalized=True)
    optimizer, calls = optim.Adam(model.parameters()), iter(range(9))

    def step(x, y):
        loss = cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        if next(calls) == call:
            raise ValueError("here")

    before = state_of(model)
    # After an optimizer's options were read, as Settings, an error may come of them: the function itself shall tell.
    with pytest.raises((ValueError, RecordingError), match="here"):
        recorded(step, [pl.Tensor(X), pl.Tensor(Y)])
    assert all(a.tobytes() == b.tobytes() for a, b in zip(before, state_of(model), strict=True))
    assert all(g is None for g in gradients_of(model))
    assert pl.ones((2,)).tolist() == [1.0, 1.0]  # nobody listens any more


def test_a_wrong_label_changes_nothing(tier):
    model = network(normalized=True)
    step = pl.compile(step_of(model, optim.Adam(model.parameters())))
    before, wrong = state_of(model), np.where(Y == 0, 5, Y)
    with tier_is(tier):
        for _ in range(2):
            with pytest.raises(LabelError):
                step(X, wrong)
        assert all(a.tobytes() == b.tobytes() for a, b in zip(before, state_of(model), strict=True))
        step(X, Y)
        after = state_of(model)
        with pytest.raises(LabelError):
            step(X, wrong)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(after, state_of(model), strict=True))


def test_a_layer_made_inside_is_new_every_time(tier):
    """Weights that are drawn inside are drawn anew at every call."""

    def fresh(compile):
        use = compile(lambda x: nn.Linear(5, 2)(x))
        return [use(X) for _ in range(3)], pl.uniform(shape=(2,))

    assert_same_both_ways(fresh, tier)
