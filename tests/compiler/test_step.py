"""Compiled functions do what the functions do, and go on doing it while Python changes everything around them."""

import copy
import pickle

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from tests.compiler.both_ways import (
    X_OTHER,
    Y_OTHER,
    X,
    Y,
    assert_same_both_ways,
    cross_entropy,
    error_of,
    network,
    same,
    state_of,
    step_of,
)

PROGRAMS = {}


def program(function):
    PROGRAMS[function.__name__] = function
    return function


# The usual step, and what is around it


@program
def assignment_to_what_is_made_inside(compile):
    weight = pl.Tensor(np.ones((8, 5), "f4"), requires_grad=True)

    def step(x):
        y = x * weight
        y[0] = 2.0
        y[:, ::2] = pl.exp(x[:, 1:4]) * weight[:, :1]
        y[1:3, None, ::-2] += y[3, 0]
        y[..., 1] = y.sum(axis=1)
        y[4, 3] = x.max()
        zeros = pl.zeros((4,))
        zeros[-1] = y[0, 0]
        loss = (y**2).mean() + zeros.sum()
        loss.backward()
        grad, weight.grad = weight.grad, None
        weight.assign(weight - 0.01 * grad)
        return y, loss, grad

    step = compile(step)
    return [step(pl.Tensor(X + n)) for n in range(3)], weight


@program
def plain_step(compile):
    model = network()
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    step = compile(step_of(model, optimizer))
    return [step(X, Y) for _ in range(4)], step(X[:3], Y[:3]), step(X_OTHER, Y_OTHER), state_of(model, optimizer)


@program
def clipping(compile):
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    step = compile(step_of(model, optimizer, lambda: optim.clip_grad_norm_(model.parameters(), 0.1)))
    return [step(X, Y) for _ in range(4)], state_of(model, optimizer)


@program
def a_schedule_inside(compile):
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    schedule = optim.StepLR(optimizer, 2, 0.5)
    usual = step_of(model, optimizer)

    def step(x, y):
        loss = usual(x, y)
        schedule.step()
        return loss

    step = compile(step)
    rates = [(step(X, Y), optimizer.param_groups[0]["lr"], schedule.last_epoch) for _ in range(6)]
    return rates, state_of(model)


@program
def a_schedule_outside(compile):
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    schedule = optim.CosineAnnealingLR(optimizer, 5)
    step = compile(step_of(model, optimizer))
    found = []
    for _ in range(6):
        found.append((step(X, Y), optimizer.param_groups[0]["lr"]))
        schedule.step()
    return found, state_of(model)


@program
def dropout_draws_the_same_masks(compile):
    model = network(dropout=0.4)
    step = compile(step_of(model, optim.SGD(model.parameters(), lr=0.1)))
    found = [step(X, Y), step(X, Y), model(X), step(X_OTHER, Y_OTHER), pl.uniform(shape=(3,))]
    model.eval()
    found.append(step(X, Y))
    model.train()
    found.append(step(X, Y))
    model[2].p = 0.9
    found.append(step(X, Y))
    pl.manual_seed(9)
    return found, step(X, Y), state_of(model)


@program
def batch_statistics(compile):
    model = network(normalized=True)
    step = compile(step_of(model, optim.SGD(model.parameters(), lr=0.1)))
    found = [step(X, Y), step(X_OTHER, Y_OTHER), state_of(model)]
    model.eval()
    found += [step(X, Y), model(X)]
    model.train()
    return found, step(X[:3], Y[:3]), state_of(model)


@program
def a_network_in_use(compile):
    model = network(dropout=0.3, normalized=True)
    use = compile(model)
    found = [use(X), use(X)]
    model.eval()
    found += [use(X), use(X_OTHER), use(X[:3]), use(X.astype("f8")), use(X.tolist()), use(X > 0)]
    with pl.no_grad():
        found.append(use(X))
    return found, state_of(model)


@program
def options_of_the_optimizer(compile):
    model = network()
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    group = optimizer.param_groups[0]
    step = compile(step_of(model, optimizer))
    found = [step(X, Y)]
    for option in (
        {"lr": 0.1}, {"weight_decay": 0.5}, {"betas": (0.5, 0.6)}, {"weight_decay": 0}, {"lr": np.float64(0.05)},
        {"eps": 1e-3}, {"lr": 1}, {"lr": 0.0}, {"amsgrad": True}, {"maximize": True}, {"lr": 0.02},
    ):  # fmt: skip
        group.update(option)
        found += [step(X, Y), step(X, Y)]
    return found, state_of(model, optimizer)


@program
def parameters_are_frozen_and_freed(compile):
    model = network()
    optimizer = optim.Adam(model.parameters())
    step = compile(step_of(model, optimizer))
    found = [step(X, Y)]
    for wanted in (False, True, False):
        model[0].weight.requires_grad = wanted
        found += [step(X, Y), state_of(model, optimizer)]
    return found


@program
def states_are_loaded(compile):
    model = network()
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    step = compile(step_of(model, optimizer))
    step(X, Y)
    weights, moments = model.state_dict(), copy.deepcopy(optimizer.state_dict())
    found = [step(X, Y) for _ in range(3)]
    model.load_state_dict(weights)
    optimizer.load_state_dict(moments)
    return found, [step(X, Y) for _ in range(3)], state_of(model, optimizer)


@program
def parameters_are_written(compile):
    model = network()
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    step, use = compile(step_of(model, optimizer)), compile(model)
    p, found = model[0].weight, [step(X, Y), use(X)]

    def doubled():
        with pl.no_grad():
            p.__imul__(2.0)

    for write in (
        lambda: setattr(p, "data", np.ones((6, 5), "f4")),
        lambda: p.assign(pl.ones((6, 5)) * 2),
        lambda: p.data.fill(0.5),
        lambda: p.data[0].__iadd__(1.0),
        doubled,
        lambda: setattr(p, "data", np.asfortranarray(p.data) + 1),
        lambda: setattr(p, "data", np.ones((6, 10), "f4")[:, ::2]),
    ):
        write()
        found += [use(X), step(X, Y), p.data.copy(), use(X)]
    return found, state_of(model, optimizer)


@program
def a_network_turns_into_float64(compile):
    model = network()
    step = compile(step_of(model, optim.SGD(model.parameters(), lr=0.02)))
    found = [step(X, Y)]
    model.double()
    return found, [step(X.astype("f8"), Y) for _ in range(2)], step(X, Y), state_of(model)


@program
def parts_are_replaced(compile):
    model = network()
    use, found = compile(model), []
    for change in (
        lambda: setattr(model[0], "weight", nn.Parameter(np.ones((6, 5), "f4"))),
        lambda: setattr(model, "3", nn.Linear(6, 4)),
        lambda: setattr(model[1], "forward", pl.tanh),
        lambda: model.append(nn.ReLU()),
    ):
        found.append(use(X))
        change()
    return found, use(X)


@program
def hooks_come_and_go(compile):
    model = network()
    use = compile(model)
    found = [use(X)]
    handle = model[0].register_forward_hook(lambda module, args, output: output * 2.0)
    found.append(use(X))
    handle.remove()
    return found, use(X)


@program
def a_trained_network_is_copied(compile):
    model = network()
    step = compile(step_of(model, optim.Adam(model.parameters(), lr=0.02)))
    step(X, Y)
    copies = copy.deepcopy(model), pickle.loads(pickle.dumps(model))  # noqa: S301 - our own bytes
    weights = model.state_dict()
    step(X, Y)
    return state_of(model), *map(state_of, copies), weights


@program
def several_functions_of_one_network(compile):
    model = network()
    adam, sgd = optim.Adam(model.parameters(), lr=0.02), optim.SGD(model.parameters(), lr=0.1)
    steps, use = [compile(step_of(model, o)) for o in (adam, sgd)], compile(model)
    found = [(steps[0](X, Y), use(X), steps[1](X, Y), use(X_OTHER)) for _ in range(3)]
    return found, state_of(model, adam)


@program
def functions_inside_functions(compile):
    model = network(dropout=0.3)
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    use = compile(model)
    loss_of = compile(lambda x, y: cross_entropy(use(x), y))

    def step(x, y):
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        return loss

    step = compile(step)
    found = [step(X, Y), step(X, Y)]
    model.eval()
    return found, step(X, Y), state_of(model)


@program
def parameter_groups(compile):
    model = network()
    groups = [{"params": model[0].parameters(), "lr": 0.1}, {"params": [model[3].weight]}]
    optimizer = optim.Adam(groups, lr=0.01)
    step = compile(step_of(model, optimizer))
    found = [step(X, Y)]
    optimizer.param_groups[1]["lr"] = 0.3
    found.append(step(X, Y))
    optimizer.add_param_group({"params": [model[3].bias]})
    return found, step(X, Y), step(X, Y), state_of(model)


@program
def adversaries(compile):
    pl.manual_seed(1)
    maker, judge = nn.Linear(4, 5), nn.Sequential(nn.Linear(5, 4), nn.Sigmoid(), nn.Linear(4, 1))
    makers, judges = optim.SGD(maker.parameters(), lr=0.1), optim.SGD(judge.parameters(), lr=0.1)
    criterion = nn.BCEWithLogitsLoss()

    def step(x):
        made = maker(pl.normal(shape=(8, 4)))
        judges.zero_grad()
        judged = criterion(judge(x), pl.ones((8, 1))) + criterion(judge(made.detach()), pl.zeros((8, 1)))
        judged.backward()
        judges.step()
        makers.zero_grad()
        fooled = criterion(judge(made), pl.ones((8, 1)))
        fooled.backward()
        makers.step()
        return {"judged": judged, "fooled": fooled}

    step = compile(step)
    return [step(X) for _ in range(3)], state_of(maker), state_of(judge)


@program
def averaged_weights(compile):
    model = network()
    average = copy.deepcopy(model)
    usual = step_of(model, optim.SGD(model.parameters(), lr=0.1))

    def step(x, y):
        loss = usual(x, y)
        with pl.no_grad():
            for p, q in zip(average.parameters(), model.parameters(), strict=True):
                p.assign(p * 0.9 + q * 0.1)
        return loss

    step = compile(step)
    return [step(X, Y) for _ in range(3)], state_of(model), state_of(average)


@program
def tied_weights(compile):
    pl.manual_seed(1)
    first, last = nn.Linear(5, 5), nn.Linear(5, 5)
    last.weight = first.weight
    model = nn.Sequential(first, nn.Sigmoid(), last)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x):
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    step = compile(step)
    return [step(X) for _ in range(3)], state_of(model)


@program
def state_changes_places(compile):
    a, b = pl.Tensor([1.0, 2.0]), pl.Tensor([3.0, 4.0])

    def swap(x):
        before = pl.positive(a)
        a.assign(b)
        b.assign(before)
        return a + x

    swap = compile(swap)
    return [(swap(pl.Tensor([0.0, 1.0])), a.data.copy(), b.data.copy()) for _ in range(3)]


# Errors


@program
def labels_out_of_range(compile):
    model = network()
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    step = compile(step_of(model, optimizer))
    wrong = Y.copy()
    wrong[2] = 7
    found = [error_of(step, X, wrong), state_of(model), step(X, Y)]
    return found, [(error_of(step, X, wrong), state_of(model, optimizer)) for _ in range(2)], step(X, Y)


@program
def indices_out_of_range(compile):
    table = pl.Tensor(np.arange(30, dtype="f4").reshape(10, 3))
    embedding, pick = nn.Embedding(10, 3), compile(lambda x: table[x.argmax(axis=1) * 4])
    embed = compile(embedding)
    found = [embed(np.array([1, 2])), embed(np.array([9, 0])), pick(pl.Tensor(np.eye(3, dtype="f4")))]
    found += [error_of(embed, np.array(i)) for i in ([1, 10], [-11, 0])]
    return found, error_of(pick, pl.Tensor(np.eye(5, dtype="f4")))[0], pick(pl.Tensor(np.zeros((3, 3), "f4")))


@program
def an_error_inside(compile):
    def step(x):
        if x.shape[0] == 3:
            raise ValueError("three rows")
        return x * 2.0

    step = compile(step)
    return step(X), error_of(step, X[:3]), step(X)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_compiled_program_does_the_same(name, tier):
    assert_same_both_ways(PROGRAMS[name], tier)


def test_functions_with_a_weight_in_different_orders_of_memory_take_turns(monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")
    layer = nn.Linear(40, 30)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    x, scale = pl.normal(shape=(16, 40)), pl.normal(shape=(30, 40))

    def decay():
        loss = ((layer.weight * scale) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss

    expected = []
    start = layer.weight.data.copy()
    for _ in range(3):
        expected += [layer(x).data.copy(), decay().data.copy()]
    layer.weight.data = start
    forward, decaying = pl.compile(layer), pl.compile(decay)
    given = []
    for _ in range(3):
        given += [forward(x).data.copy(), decaying().data.copy()]
    assert (forward.tier, decaying.tier) == ("llvm", "llvm")
    same(expected, given)
