"""One run after another: what is alike is recorded once, and nothing else stays of a run that has ended."""

import gc
import weakref

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.compiler import programs
from pellucid.train import compiled

RNG = np.random.default_rng(5)
X, Y = RNG.standard_normal((96, 6)).astype("f4"), RNG.integers(0, 3, 96)


@pytest.fixture
def recordings(monkeypatch):
    """How often a step was recorded from the start."""
    counted = []

    def counting(function, arguments):
        counted.append(1)
        return real(function, arguments)

    real = programs.recorded
    monkeypatch.setattr(programs, "recorded", counting)
    monkeypatch.setattr(compiled, "_latest", None)
    monkeypatch.setenv("PELLUCID_COMPILE", "numpy")
    return counted


class Halved(nn.Module):
    """A layer of the user's own."""

    def forward(self, x):
        return x * SCALE


SCALE = 0.5


def network(seed, last=nn.Identity):
    pl.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 3), last())


def trained(model, data=(X, Y), **options):
    options = {"optimizer": "adam", "loss": "cross_entropy", "epochs": 3, "batch_size": 32, "seed": 1} | options
    pl.fit(model, data, verbose=0, checks=False, **options)
    return [p.data.copy() for p in model.parameters()]


def test_the_second_run_reuses_the_recording_of_the_first(recordings, monkeypatch):
    trained(network(0))
    assert len(recordings) == 1
    again = trained(network(7), optimizer=lambda p: pl.optim.Adam(p, lr=0.05))
    assert len(recordings) == 1
    monkeypatch.setenv("PELLUCID_COMPILE", "off")
    plain = trained(network(7), optimizer=lambda p: pl.optim.Adam(p, lr=0.05))
    for a, b in zip(again, plain, strict=True):
        np.testing.assert_array_equal(a, b)


def frozen(seed):
    """A network with running statistics and a layer that is not trained."""
    model = network(seed, lambda: nn.BatchNorm1d(3))
    model[0].requires_grad_(False)
    return model


OPTIMIZERS = {name: getattr(pl.optim, kind) for name, kind in pl.train.OPTIMIZERS.items() if name != "lbfgs"}
KINDS = [(kind, {}) for kind in OPTIMIZERS.values()] + [
    (pl.optim.SGD, {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True}),
    (pl.optim.Adam, {"amsgrad": True, "weight_decay": 0.1}),
    (pl.optim.Adagrad, {"initial_accumulator_value": 0.5}),
    (pl.optim.RMSprop, {"centered": True, "momentum": 0.5}),
]


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("make", [network, frozen])
def test_an_optimizer_begins_as_if_nobody_had_trained_before(recordings, monkeypatch, kind, options, make):
    def twice(model):
        """Two runs, of which the second goes on with the state of the first."""
        optimizer = kind(model.parameters(), lr=0.02, **options)
        return [*trained(model, optimizer=optimizer), *trained(model, optimizer=optimizer, epochs=1)]

    first = {"initial_accumulator_value": 0.1} if kind is pl.optim.Adagrad else {}
    trained(make(0), optimizer=lambda parameters: kind(parameters, lr=0.5, **options | first))
    got = twice(make(7))
    monkeypatch.setenv("PELLUCID_COMPILE", "off")
    for a, b in zip(got, twice(make(7)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert 1 <= len(recordings) <= 2  # the second of the two goes on with a state, which may be another step


@pytest.mark.parametrize(
    "other",
    [
        {"optimizer": "sgd"},
        {"batch_size": 48},
        {"clip_norm": 1.0},
        {"loss": pl.nn.CrossEntropyLoss(label_smoothing=0.1)},
        {"optimizer": lambda p: pl.optim.Adam(p, weight_decay=0.1)},
        {"optimizer": lambda p: pl.optim.Adam(p, amsgrad=True)},
    ],
    ids=["optimizer", "batch", "clipping", "loss", "decay", "amsgrad"],
)
def test_what_differs_is_not_taken_for_it(recordings, monkeypatch, other):
    trained(network(0))
    got = trained(network(2), **other)
    monkeypatch.setenv("PELLUCID_COMPILE", "off")
    for a, b in zip(got, trained(network(2), **other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_layers_of_the_users_own_are_recorded_every_time(recordings, monkeypatch):
    trained(network(0, Halved))
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    got = trained(network(0, Halved))
    monkeypatch.setenv("PELLUCID_COMPILE", "off")
    for a, b in zip(got, trained(network(0, Halved)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not recordings


@pytest.mark.parametrize("hidden", [8, 4000])
def test_of_a_run_neither_data_nor_large_networks_stay(recordings, hidden):
    x, y = X.copy(), Y.copy()
    model = nn.Sequential(nn.Linear(6, hidden), nn.ReLU(), nn.Linear(hidden, 300))
    trained(model, (x, y))
    data, weights = weakref.ref(x), weakref.ref(model)
    del x, y, model
    gc.collect()
    assert data() is None
    assert (weights() is None) == (hidden == 4000)


def test_the_second_run_has_the_machine_code_of_the_first(recordings, monkeypatch):
    pytest.importorskip("llvmlite")
    made = []
    init = programs.Prepared.__init__
    monkeypatch.setattr(programs.Prepared, "__init__", lambda self, *a, **k: made.append(1) or init(self, *a, **k))
    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")
    first = trained(network(3))
    again = trained(network(3))
    assert len(made) == 1
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
