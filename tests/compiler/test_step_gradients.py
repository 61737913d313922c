"""Gradients, parameters and state around compiled steps, against the same steps uncompiled, to the bit."""

import copy
import pickle

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler import compile
from tests.compiler.steps import T, X, Y, ce, maker, net, rng, same, same_models, sgd


@pytest.fixture(autouse=True)
def _env(monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", "numpy")
    pl.manual_seed(0)


@pytest.mark.filterwarnings("ignore")
def test_numpy_mutation_inside():
    def make():
        w = nn.Parameter(np.ones(5, "f4"))

        def step(x):
            loss = pl.sum(x @ w)
            loss.backward()
            w.data -= 0.1 * w.grad.data
            w.grad = None
            return loss

        return w, step

    w1, s1 = make()
    w2, s2 = make()
    c = compile(s2)
    for x in X[:3]:
        same(s1(T(x)), c(T(x)))
        same(w1, w2)


@pytest.mark.filterwarnings("ignore")
def test_data_replaced_inside():
    def make():
        w = nn.Parameter(np.ones(5, "f4"))

        def step(x):
            loss = pl.sum(x @ w)
            loss.backward()
            w.data = w.data - 0.1 * w.grad.data
            w.grad = None
            return loss

        return w, step

    w1, s1 = make()
    w2, s2 = make()
    c = compile(s2)
    for x in X[:3]:
        same(s1(T(x)), c(T(x)))
        same(w1, w2)


def test_accumulate():
    def make():
        m = net()
        o = sgd(m.parameters())

        def acc(x, y):
            loss = ce(m(x), y)
            loss.backward()
            return loss

        def st():
            o.step()

        return m, o, acc, st

    m1, _o1, a1, s1 = make()
    m2, _o2, a2, s2 = make()
    a2 = compile(a2)
    s2 = compile(s2)
    for n in range(6):
        same(a1(T(X[n]), T(Y[n])), a2(X[n], Y[n]))
        for p, q in zip(m1.parameters(), m2.parameters(), strict=True):
            same(p.grad, q.grad)
        if n % 2:
            s1()
            s2()
        same_models(m1, m2)


def test_pre_existing_fresh_gradients():
    m1, _o1, s1 = maker()
    m2, _o2, s2 = maker()
    c = compile(s2)
    for _k in range(3):
        for m in (m1, m2):
            ce(m(T(X[0])), T(Y[0])).backward()
        same(s1(T(X[1]), T(Y[1])), c(X[1], Y[1]))
        same_models(m1, m2)
        same(s1(T(X[2]), T(Y[2])), c(X[2], Y[2]))
        same_models(m1, m2)


def test_eager_and_compiled_alternate():
    m1, _o1, s1 = maker(drop=0.3, bn=True)
    m2, _o2, s2 = maker(drop=0.3, bn=True)
    c = compile(s2)
    pl.manual_seed(1)
    a = [s1(T(x), T(y)) for x, y in zip(X, Y, strict=True)]
    pl.manual_seed(1)
    b = [(c if n % 2 else s2)(T(x), T(y)) for n, (x, y) in enumerate(zip(X, Y, strict=True))]
    for p, q in zip(a, b, strict=True):
        same(p, q)
    same_models(m1, m2)


def test_step_only():
    m1 = net()
    m2 = net()
    o1 = sgd(m1.parameters())
    o2 = sgd(m2.parameters())
    c = compile(lambda: o2.step())
    for x, y in zip(X, Y, strict=True):
        ce(m1(T(x)), T(y)).backward()
        ce(m2(T(x)), T(y)).backward()
        o1.step()
        c()
        same_models(m1, m2)


def test_freeze_bare_tensor():
    def make():
        a = T(np.ones(5, "f4"), requires_grad=True)
        b = T(np.ones(5, "f4"), requires_grad=True)
        o = optim.SGD([a, b], lr=0.1)

        def step(x):
            loss = pl.sum(x @ a + (x * x) @ b)
            loss.backward()
            o.step()
            return loss

        return a, b, step

    a1, b1, s1 = make()
    a2, b2, s2 = make()
    c = compile(s2)
    for n, x in enumerate(X):
        if n == 3:
            b1.requires_grad = False
            b2.requires_grad = False
        if n == 5:
            b1.requires_grad = True
            b2.requires_grad = True
        same(s1(T(x)), c(T(x)))
        same(a1, a2)
        same(b1, b2)


def test_freeze_module():
    m1, _o1, s1 = maker()
    m2, _o2, s2 = maker()
    c = compile(s2)
    for n in range(6):
        if n == 2:
            m1[0].requires_grad_(False)
            m2[0].requires_grad_(False)
        if n == 4:
            m1[0].weight.requires_grad = True
            m2[0].weight.requires_grad = True
        same(s1(T(X[n]), T(Y[n])), c(X[n], Y[n]))
        same_models(m1, m2)


def test_double():
    m = net()
    c = compile(m)
    c(T(X[0]))
    m.double()
    same(c(T(X[0].astype("f8"))), m(T(X[0].astype("f8"))))
    same(c(T(X[0])), m(T(X[0])))


def test_train_then_double():
    m1, _o1, s1 = maker()
    m2, _o2, s2 = maker()
    c = compile(s2)
    for n in range(6):
        if n == 3:
            m1.double()
            m2.double()
        same(s1(T(X[n]), T(Y[n])), c(X[n], Y[n]))
        same_models(m1, m2)


def test_argument_gradient():
    m = net()

    def f(x, y):
        loss = ce(m(x), y)
        loss.backward()
        return loss

    c = compile(f)
    m2 = copy.deepcopy(m)
    x1 = T(X[0], requires_grad=True)
    x2 = T(X[0], requires_grad=True)
    for _k in range(3):
        f2 = c(x2, T(Y[0]))
        loss = ce(m2(x1), T(Y[0]))
        loss.backward()
        same(f2, loss)
        same(x1.grad, x2.grad)


@pytest.mark.filterwarnings("ignore")
def test_argument_assigned():
    def f(x):
        y = x * 2
        x.assign(y + 1)
        return y

    c = compile(f)
    for _k in range(3):
        a, b = T(X[0].copy()), T(X[0].copy())
        for _ in range(2):
            same(f(a), c(b))
            same(a, b)


@pytest.mark.filterwarnings("ignore")
def test_argument_with_history():
    w = T(X[0], requires_grad=True)

    def f(x):
        return pl.sum(x * x)

    c = compile(f)
    y = f(w * 2)
    y.backward()
    g = w.grad.data.copy()
    w.grad = None
    try:
        z = c(w * 2)
        z.backward()
    except pl.errors.GradientError:
        return
    same(w.grad, g)


def test_nested():
    m1, _o1, s1 = maker()
    m2, o2, _s2 = maker()
    fwd = compile(m2)

    def s(x, y):
        loss = ce(fwd(x), y)
        loss.backward()
        o2.step()
        return loss

    c = compile(s)
    fwd(T(X[0]))
    for n in range(3):
        same(s1(T(X[n]), T(Y[n])), c(X[n], Y[n]))
        same_models(m1, m2)
        same(fwd(T(X[n])), m1(T(X[n])))


def test_two_functions_one_model():
    m1, _o1, s1 = maker()
    m2, _o2, s2 = maker()
    c = compile(s2)
    c2 = compile(s2)
    pred = compile(m2)
    for n in range(6):
        same(s1(T(X[n]), T(Y[n])), (c, c2)[n % 2](X[n], Y[n]))
        same_models(m1, m2)
        same(pred(T(X[0])), m1(T(X[0])))


def test_parameter_written_between():
    m1, o1, s1 = maker()
    m2, o2, s2 = maker()
    c = compile(s2)
    sd = net(seed=9).state_dict()
    for n in range(6):
        for m, o in ((m1, o1), (m2, o2)):
            if n == 1:
                m[0].weight.data = m[0].weight.data * 2
            if n == 2:
                m[0].weight.data[0] = 0.5
            if n == 3:
                m.load_state_dict(sd)
            if n == 4:
                with pl.no_grad():
                    m[0].bias[...] = 1.0
            if n == 5:
                o.load_state_dict(copy.deepcopy(o.state_dict()))
        same(s1(T(X[n]), T(Y[n])), c(X[n], Y[n]))
        same_models(m1, m2)


def test_stale_history_refused():
    m, _o, s = maker()
    c = compile(s)
    c(X[0], Y[0])
    loss = ce(m(T(X[0])), T(Y[0]))
    c(X[1], Y[1])
    with pytest.raises(pl.errors.GradientError):
        loss.backward()
    p = m[0].weight.detach()
    q = T(np.ones(5, "f4"), requires_grad=True)
    l2 = pl.sum(p @ q)
    c(X[1], Y[1])
    try:
        l2.backward()
    except pl.errors.GradientError:
        return
    np.testing.assert_allclose(q.grad.data, p.data.sum(0), rtol=1e-6)


def test_deepcopy_pickle():
    m, _o, s = maker(bn=True)
    c = compile(s)
    c(X[0], Y[0])
    m2 = copy.deepcopy(m)
    m3 = pickle.loads(pickle.dumps(m))  # noqa: S301  what was just written
    kept = [p.data.copy() for p in m.parameters()]
    c(X[1], Y[1])
    for p, q, k in zip(m2.parameters(), m3.parameters(), kept, strict=True):
        same(p, k)
        same(q, k)
    copy.copy(m)


def test_clip_and_zero_grad():
    def make():
        m = net()
        o = optim.Adam(m.parameters(), lr=0.01)

        def step(x, y):
            o.zero_grad()
            loss = ce(m(x), y)
            loss.backward()
            n = optim.clip_grad_norm_(m.parameters(), 0.5)
            o.step()
            return loss, n

        return m, step

    m1, s1 = make()
    m2, s2 = make()
    c = compile(s2)
    for n in range(6):
        a, b = s1(T(X[n]), T(Y[n])), c(X[n], Y[n])
        same(a[0], b[0])
        same(a[1], b[1])
        same_models(m1, m2)


@pytest.mark.filterwarnings("ignore")
def test_zero_grad_set_to_none_false_and_unused():
    def make():
        m = net()
        e = nn.Parameter(np.ones(3, "f4"))
        o = optim.SGD([*m.parameters(), e], lr=0.1, momentum=0.9, weight_decay=0.1)

        def step(x, y, use):
            o.zero_grad(set_to_none=False)
            loss = ce(m(x) + (e if use else 0.0), y)
            loss.backward()
            o.step()
            return loss

        return m, e, step

    m1, e1, s1 = make()
    m2, e2, s2 = make()
    c = compile(s2)
    for n in range(6):
        same(s1(T(X[n]), T(Y[n]), n % 2 == 0), c(X[n], Y[n], n % 2 == 0))
        same_models(m1, m2)
        same(e1, e2)


def test_gan_like():
    def make():
        g = net(seed=1)
        d = nn.Sequential(nn.Linear(3, 1))
        pl.manual_seed(0)
        og = sgd(g.parameters())
        od = sgd(d.parameters())
        bce = nn.BCEWithLogitsLoss()

        def step(x, real):
            fake = g(x)
            ld = bce(d(real)[:, 0], pl.ones((8,))) + bce(d(fake.detach())[:, 0], pl.zeros((8,)))
            ld.backward()
            od.step()
            lg = bce(d(fake)[:, 0], pl.ones((8,)))
            lg.backward(inputs=list(g.parameters()))
            og.step()
            return ld, lg

        return g, d, step

    g1, d1, s1 = make()
    g2, d2, s2 = make()
    c = compile(s2)
    for n in range(5):
        r = rng.standard_normal((8, 3)).astype("f4")
        a, b = s1(T(X[n]), T(r)), c(X[n], r)
        same(a[0], b[0])
        same(a[1], b[1])
        same_models(g1, g2)
        same_models(d1, d2)


def test_backward_through_result_says_why():
    m = net()
    c = compile(m)
    y = pl.sum(c(T(X[0])))
    with pytest.raises(pl.errors.GradientError) as e:
        y.backward()
    assert "compiled" in str(e.value)
