"""Small training steps that the tests compile, and how they compare what is left."""

import numpy as np

import pellucid as pl
from pellucid import nn, optim

rng = np.random.default_rng(0)
X = [rng.standard_normal((8, 5)).astype("f4") for _ in range(6)]
Y = [rng.integers(0, 3, 8) for _ in range(6)]


def net(drop=0.0, bn=False, seed=0):
    pl.manual_seed(seed)
    layers = [nn.Linear(5, 6)]
    if bn:
        layers.append(nn.BatchNorm1d(6))
    layers.append(nn.Tanh())
    if drop:
        layers.append(nn.Dropout(drop))
    layers.append(nn.Linear(6, 3))
    return nn.Sequential(*layers)


ce = nn.CrossEntropyLoss()


def sgd(p):
    return optim.SGD(p, lr=0.1, momentum=0.9)


def maker(opt=sgd, **kw):
    model = net(**kw)
    o = opt(model.parameters())

    def step(x, y):
        loss = ce(model(x), y)
        loss.backward()
        o.step()
        return loss

    return model, o, step


def same(a, b):
    a = a.data if isinstance(a, pl.Tensor) else a
    b = b.data if isinstance(b, pl.Tensor) else b
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    np.testing.assert_array_equal(a, b)


def same_models(m1, m2):
    for p, q in zip([*m1.parameters(), *m1.buffers()], [*m2.parameters(), *m2.buffers()], strict=True):
        same(p, q)


T = pl.Tensor
