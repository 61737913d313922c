"""Options of optimizers and schedules around compiled steps, against the same steps uncompiled, to the bit."""

import warnings

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler import compile
from tests.compiler.steps import T, X, Y, ce, maker, net, same, same_models, sgd


@pytest.fixture(autouse=True)
def _env(monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", "numpy")
    pl.manual_seed(0)


def test_add_param_group():
    def make():
        m = net()
        extra = nn.Parameter(np.ones(3, "f4"))
        o = sgd(m.parameters())

        def step(x, y):
            loss = ce(m(x) + extra, y)
            loss.backward()
            o.step()
            return loss

        return m, extra, o, step

    m1, e1, o1, s1 = make()
    m2, e2, o2, s2 = make()
    c = compile(s2)
    for n in range(6):
        if n == 3:
            o1.add_param_group({"params": [e1]})
            o2.add_param_group({"params": [e2]})
            e1.grad = None
            e2.grad = None
        same(s1(T(X[n]), T(Y[n])), c(X[n], Y[n]))
        same_models(m1, m2)
        same(e1, e2)


def test_add_params_in_group():
    def make():
        m = net()
        extra = nn.Parameter(np.ones(3, "f4"))
        o = sgd(m.parameters())

        def step(x, y):
            loss = ce(m(x) + extra, y)
            loss.backward()
            o.step()
            extra.grad = None
            return loss

        return m, extra, o, step

    m1, e1, o1, s1 = make()
    m2, e2, o2, s2 = make()
    c = compile(s2)
    for n in range(6):
        if n == 3:
            o1.param_groups[0]["params"].append(e1)
            o2.param_groups[0]["params"].append(e2)
        same(s1(T(X[n]), T(Y[n])), c(X[n], Y[n]))
        same_models(m1, m2)
        same(e1, e2)


@pytest.mark.parametrize(
    "opt",
    [
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.3),
        lambda p: optim.Adagrad(p, lr_decay=0.1, initial_accumulator_value=0.5),
        lambda p: optim.AdamW(p),
        lambda p: optim.Adadelta(p),
        lambda p: optim.Lion(p, lr=0.01),
        lambda p: optim.NAdam(p),
        lambda p: optim.RAdam(p),
        lambda p: optim.Adamax(p),
        lambda p: optim.RMSprop(p, momentum=0.5, centered=True),
        lambda p: optim.SGD(p, lr=1),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
    ],
)
@pytest.mark.parametrize(
    "sched",
    [
        None,
        lambda o: optim.StepLR(o, 2),
        lambda o: optim.OneCycleLR(o, 0.2, total_steps=12),
        lambda o: optim.CosineAnnealingWarmRestarts(o, 3),
        lambda o: optim.SequentialLR(o, [optim.LinearLR(o, total_iters=2), optim.ExponentialLR(o, 0.7)], [2]),
    ],
)
@pytest.mark.filterwarnings("ignore:a compiled function")
def test_optimizers_and_schedules(opt, sched):
    def make():
        m = net()
        o = opt(m.parameters())
        if sched is not None:
            try:
                sc = sched(o)
            except pl.errors.ArgumentError:
                pytest.skip("no momentum")

        def step(x, y):
            loss = ce(m(x), y)
            loss.backward()
            o.step()
            if sched is not None:
                sc.step()
            return loss

        return m, o, step

    m1, o1, s1 = make()
    m2, o2, s2 = make()
    c = compile(s2)
    for n in range(10):
        x, y = X[n % 6], Y[n % 6]
        same(s1(T(x), T(y)), c(x, y))
        same_models(m1, m2)
        assert o1.param_groups[0]["lr"] == o2.param_groups[0]["lr"]
    d1, d2 = o1.state_dict(), o2.state_dict()
    for k in d1["state"]:
        for n, v in d1["state"][k].items():
            same(v, d2["state"][k][n])


@pytest.mark.filterwarnings("ignore")
def test_schedule_before_optimizer():
    def make():
        m = net()
        o = sgd(m.parameters())
        sc = optim.ExponentialLR(o, 0.5)

        def step(x, y):
            loss = ce(m(x), y)
            loss.backward()
            sc.step()
            o.step()
            return loss

        return m, o, sc, step

    m1, _o1, c1, s1 = make()
    m2, _o2, c2, s2 = make()
    c = compile(s2)
    for n in range(5):
        same(s1(T(X[n]), T(Y[n])), c(X[n], Y[n]))
        same_models(m1, m2)
        assert c1.state_dict() == c2.state_dict()


def test_two_optimizers_schedule_between():
    def make():
        m = net()
        o = sgd(m[0].parameters())
        o2 = sgd(m[2].parameters())
        sc = optim.ExponentialLR(o2, 0.5)

        def step(x, y):
            loss = ce(m(x), y)
            loss.backward()
            o.step()
            sc.step()
            o2.step()
            return loss

        return m, step

    m1, s1 = make()
    m2, s2 = make()
    c = compile(s2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n in range(5):
            same(s1(T(X[n]), T(Y[n])), c(X[n], Y[n]))
            same_models(m1, m2)


@pytest.mark.filterwarnings("ignore")
def test_plateau():
    def make():
        m = net()
        o = sgd(m.parameters())
        sc = optim.ReduceLROnPlateau(o, patience=0, factor=0.5)

        def step(x, y):
            loss = ce(m(x), y)
            loss.backward()
            o.step()
            sc.step(loss)
            return loss

        return m, o, sc, step

    m1, _o1, c1, s1 = make()
    m2, _o2, c2, s2 = make()
    c = compile(s2)
    for n in range(6):
        same(s1(T(X[n]), T(Y[n])), c(X[n], Y[n]))
        same_models(m1, m2)
        assert c1.state_dict() == c2.state_dict()


def test_momentum_to_zero_and_back():
    m1, o1, s1 = maker()
    m2, o2, s2 = maker()
    c = compile(s2)
    for n in range(6):
        for o in (o1, o2):
            if n == 2:
                o.param_groups[0]["momentum"] = 0.0
            if n == 4:
                o.param_groups[0]["momentum"] = 0.5
                o.param_groups[0]["weight_decay"] = 0.1
            if n == 5:
                o.param_groups[0]["lr"] = 1
        same(s1(T(X[n]), T(Y[n])), c(X[n], Y[n]))
        same_models(m1, m2)


@pytest.mark.filterwarnings("ignore")
def test_lr_set_inside():
    def make():
        m = net()
        o = sgd(m.parameters())
        k = [0]

        def step(x, y):
            k[0] += 1
            for g in o.param_groups:
                g["lr"] = g["lr"] * 0.5
            loss = ce(m(x), y)
            loss.backward()
            o.step()
            return loss

        return m, o, step

    m1, o1, s1 = make()
    m2, o2, s2 = make()
    c = compile(s2)
    for n in range(5):
        same(s1(T(X[n]), T(Y[n])), c(X[n], Y[n]))
        same_models(m1, m2)
        assert o1.param_groups[0]["lr"] == o2.param_groups[0]["lr"]


@pytest.mark.filterwarnings("ignore")
def test_lr_formatted_and_returned():
    _m1, o1, _ = maker()

    def f(x):
        lr = o1.param_groups[0]["lr"]
        s = f"{lr:.3f} {lr} {round(lr, 2)} {int(lr)} {lr!s}"
        return x * lr, lr, s

    c = compile(f)
    for v in (0.25, 0.5):
        o1.param_groups[0]["lr"] = v
        a = c(T(X[0]))
        b = f(T(X[0]))
        same(a[0], b[0])
        assert a[1:] == b[1:]
        assert type(a[1]) is float


@pytest.mark.filterwarnings("ignore")
def test_lr_in_checked_argument():
    _m1, o1, _ = maker()

    def f(x):
        return nn.functional.dropout(x, o1.param_groups[0]["lr"]) + nn.functional.leaky_relu(
            x, o1.param_groups[0]["lr"]
        )

    c = compile(f)
    for v in (0.25, 0.5):
        o1.param_groups[0]["lr"] = v
        pl.manual_seed(1)
        a = c(T(X[0]))
        pl.manual_seed(1)
        same(a, f(T(X[0])))
