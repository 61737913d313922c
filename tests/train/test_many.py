"""`fit_many`: several networks at once, each as `fit` alone trains it."""

from __future__ import annotations

import signal
import threading
import time

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler import set_num_threads
from pellucid.core.rng import default_generator
from pellucid.errors import ArgumentError, ArgumentTypeError, NonFiniteError
from pellucid.train import EarlyStopping, LambdaCallback
from pellucid.train.compiled import CompiledEpochs

RNG = np.random.default_rng(3)
X = RNG.standard_normal((70, 6)).astype(np.float32)
Y = RNG.integers(0, 3, 70)


@pytest.fixture(autouse=True)
def three_threads():
    set_num_threads(3)
    yield
    set_num_threads(None)


@pytest.fixture(params=["llvm", "numpy", "off"])
def tier(request, monkeypatch):
    if request.param == "llvm":
        pytest.importorskip("llvmlite")
    monkeypatch.setenv("PELLUCID_COMPILE", request.param)


def networks(count=5, dropout=0.0, hidden=8):
    pl.manual_seed(7)
    return [
        nn.Sequential(nn.Linear(6, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 3)) for _ in range(count)
    ]


def trained_alone(nets, own, **options):
    """Each by `fit`, all from the same state of the default generator."""
    start = default_generator.get_state()
    histories, states = [], []
    for net, options_of_its_own in zip(nets, own, strict=True):
        default_generator.set_state(start)
        histories.append(pl.fit(net, **{**options, **options_of_its_own}, verbose=0))
        states.append(default_generator.get_state())
    return histories, states


def same(a, b):
    return all(
        np.array_equal(p.data, q.data)
        for m, n in zip(a, b, strict=True)
        for p, q in zip(m.parameters(), n.parameters(), strict=True)
    )


OPTIONS = {"loss": "cross_entropy", "optimizer": "adam", "epochs": 2, "batch_size": 16}


def test_each_network_gets_the_bits_that_fit_alone_gives_it(tier):
    many_nets, nets = networks(), networks()
    own = [{"seed": n, "epochs": 1 + n % 2} for n in range(5)]
    got = pl.fit_many(many_nets, (X, Y), **OPTIONS, each=own, verbose=0)
    expected, _ = trained_alone(nets, own, data=(X, Y), **OPTIONS)
    assert same(many_nets, nets)
    assert [h.loss for h in got] == [h.loss for h in expected]


def test_options_and_structures_may_differ(tier):
    def make():
        return [*networks(2), *networks(2, hidden=5), *networks(2)]

    def own(nets):
        rates = [{"optimizer": lambda p, n=n: optim.SGD(p, lr=0.1 * (n + 1), momentum=0.5 * (n % 2))} for n in range(4)]
        schedules = [{"schedule": "cosine", "clip_norm": 0.5}, {"loss": nn.CrossEntropyLoss(label_smoothing=0.1)}]
        return [*rates, *schedules]

    many_nets, nets = make(), make()
    common = {**OPTIONS, "validation": 0.2, "metrics": ["accuracy"]}
    got = pl.fit_many(many_nets, (X, Y), **common, each=own(many_nets), verbose=0)
    expected, _ = trained_alone(nets, own(nets), data=(X, Y), **common)
    assert same(many_nets, nets)
    assert [h["val_accuracy"] for h in got] == [h["val_accuracy"] for h in expected]


def test_each_network_draws_from_where_the_generator_stood(tier):
    many_nets, nets = networks(4, dropout=0.5), networks(4, dropout=0.5)
    own = [{"epochs": n} for n in (1, 3, 2, 1)]
    pl.manual_seed(11)
    pl.fit_many(many_nets, (X, Y), **OPTIONS, each=own, verbose=0)
    after = default_generator.get_state()
    pl.manual_seed(11)
    states = trained_alone(nets, own, data=(X, Y), **OPTIONS)[1]
    assert same(many_nets, nets)
    assert np.array_equal(after, states[1])


def test_data_may_differ_from_network_to_network():
    many_nets, nets = networks(2), networks(2)
    own = [{"data": (X[:40], Y[:40])}, {"data": (X[40:], Y[40:])}]
    pl.fit_many(many_nets, **OPTIONS, each=own, verbose=0)
    trained_alone(nets, own, **OPTIONS)
    assert same(many_nets, nets)


def test_an_error_of_one_network_does_not_stop_the_others():
    nets = networks(4)
    nets[1][0].weight.data[0, 0] = np.nan
    with pytest.raises(NonFiniteError) as caught:
        pl.fit_many(nets, (X, Y), **OPTIONS, checks=False, verbose=0)
    assert caught.value.model_number == 1
    assert [len(h) for h in caught.value.histories] == [2, 0, 2, 2]
    assert caught.value.__notes__ == ["network 1; 1 of 4 failed, error.histories has the histories of all"]
    assert caught.value.frame[0] == __file__


def test_what_two_networks_would_both_change_is_refused():
    nets = networks(2)
    with pytest.raises(ArgumentError, match="cannot have their optimizer in common"):
        pl.fit_many(nets, (X, Y), **{**OPTIONS, "optimizer": optim.SGD(nets[0].parameters(), lr=0.1)}, verbose=0)
    with pytest.raises(ArgumentError, match="cannot have their callbacks in common"):
        pl.fit_many(nets, (X, Y), **OPTIONS, callbacks=[EarlyStopping("loss")], verbose=0)
    with pytest.raises(ArgumentError, match="cannot have their checkpoint in common"):
        pl.fit_many(nets, (X, Y), **OPTIONS, checkpoint="here", verbose=0)
    with pytest.raises(ArgumentError, match="cannot have their parameters in common"):
        pl.fit_many([nets[0], nn.Sequential(nets[0])], (X, Y), **OPTIONS, verbose=0)
    first, second = [nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)) for _ in range(2)]
    second[1].running_mean = first[1].running_mean
    with pytest.raises(ArgumentError, match="cannot have their buffers in common"):
        pl.fit_many([first, second], (X, Y), **OPTIONS, verbose=0)


def test_options_are_looked_at_before_anything_is_trained():
    nets = networks(2)
    before = [p.data.copy() for p in nets[0].parameters()]
    with pytest.raises(ArgumentTypeError, match="epoch"):
        pl.fit_many(nets, (X, Y), **OPTIONS, each=[{}, {"epoch": 3}], verbose=0)
    with pytest.raises(ArgumentError, match="each needs a dict of options for every network"):
        pl.fit_many(nets, (X, Y), **OPTIONS, each=[{}], verbose=0)
    with pytest.raises(ArgumentTypeError):
        pl.fit_many([nets[0], "network"], (X, Y), **OPTIONS, verbose=0)
    with pytest.raises(ArgumentTypeError) as caught:
        pl.fit_many(None, (X, Y), **OPTIONS, verbose=0)
    assert str(caught.value).splitlines()[:3] == [
        "several networks are trained side by side",
        "  given:    None (NoneType)",
        "  expected: a list of networks: fit_many([model, ...], data, ...)",
    ]
    with pytest.raises(ArgumentTypeError, match=r"one network \(Sequential\)[^$]*fix: *fit\(model, data, ...\)"):
        pl.fit_many(nets[0], (X, Y), **OPTIONS, verbose=0)
    for each in (5, {"seed": 1}):
        with pytest.raises(ArgumentTypeError, match="a list of dicts, one for each network"):
            pl.fit_many(nets, (X, Y), **OPTIONS, each=each, verbose=0)
    assert all(np.array_equal(a, p.data) for a, p in zip(before, nets[0].parameters(), strict=True))
    assert pl.fit_many([], (X, Y), **OPTIONS) == []


def test_ctrl_c_ends_all():
    nets = networks(6)
    handler = signal.getsignal(signal.SIGINT)
    first = threading.Event()

    def slow(run):
        first.set()
        time.sleep(0.005)

    threading.Thread(target=lambda: first.wait() and signal.raise_signal(signal.SIGINT), daemon=True).start()
    own = [{"callbacks": LambdaCallback(on_batch_end=slow)} for _ in nets]
    histories = pl.fit_many(nets, (X, Y), **{**OPTIONS, "epochs": 1000}, each=own, verbose=0)
    assert [h.stopped_by for h in histories] == ["interrupt"] * 6
    assert all(len(h) < 1000 for h in histories)
    assert signal.getsignal(signal.SIGINT) is handler


def test_one_line_tells_how_far_all_are(capsys):
    pl.fit_many(networks(4), (X, Y), **OPTIONS)
    out = capsys.readouterr().out
    assert out.startswith("4 of 4 networks")
    assert out.count("\n") == 1
    assert "took" in out


@pytest.fixture
def made(monkeypatch):
    """The names of what was made anew: recordings and programs."""
    pytest.importorskip("llvmlite")
    from pellucid.compiler import programs

    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")
    names = []
    for name in ("recorded", "Prepared"):
        make = getattr(programs, name)
        monkeypatch.setattr(programs, name, lambda *a, make=make, name=name, **k: names.append(name) or make(*a, **k))
    return names


def test_networks_that_are_alike_share_a_recording_and_machine_code(made):
    def own():
        return [{"optimizer": lambda p, n=n: optim.SGD(p, lr=0.1 * n, momentum=0.5)} for n in range(1, 7)]

    many_nets, nets = networks(6, dropout=0.2), networks(6, dropout=0.2)
    start = default_generator.get_state()
    pl.fit_many(many_nets, (X, Y), **OPTIONS, each=own(), verbose=0)
    assert sorted(made) == ["Prepared"] * 2 + ["recorded"] * 2  # of whole batches, and of the smaller last one
    default_generator.set_state(start)
    trained_alone(nets, own(), data=(X, Y), **OPTIONS)
    assert same(many_nets, nets)


def test_networks_of_other_shapes_get_their_own(made):
    pl.fit_many([*networks(2), *networks(2, hidden=5)], (X, Y), **OPTIONS, verbose=0)
    assert sorted(made) == ["Prepared"] * 4 + ["recorded"] * 4


class Sign(nn.Module):
    """What it computes depends on what is no number: a function, an array."""

    def __init__(self, function, shift):
        self.inner, self.function, self.shift = nn.Linear(6, 3), function, shift

    def forward(self, x):
        return self.function(self.inner(x)) + self.shift


def test_what_is_not_seen_to_be_alike_is_recorded_by_itself(made):
    def make():
        pl.manual_seed(1)
        shifts = [np.full(3, n, np.float32) for n in (0.0, 1.0)]
        functions = [lambda t: t * 2.0, lambda t: t * 3.0]
        return [Sign(f, a) for f in functions for a in shifts]

    own = [{"optimizer": lambda p, n=n: optim.SGD(p, lr=0.1, weight_decay=0.1 * (n % 2))} for n in range(4)]
    many_nets, nets = make(), make()
    pl.fit_many(many_nets, (X, Y), **OPTIONS, each=own, verbose=0)
    trained_alone(nets, own, data=(X, Y), **OPTIONS)
    assert same(many_nets, nets)
    same_nets, nets = networks(4), networks(4)
    del made[:]
    pl.fit_many(same_nets, (X, Y), **OPTIONS, each=own, verbose=0)
    assert sorted(made) == ["Prepared"] * 4 + ["recorded"] * 6  # the first alone serves others
    trained_alone(nets, own, data=(X, Y), **OPTIONS)
    assert same(same_nets, nets)


def test_many_short_runs_are_worth_compiling_together(monkeypatch):
    monkeypatch.delenv("PELLUCID_COMPILE", raising=False)
    compiled = []
    monkeypatch.setattr(
        CompiledEpochs,
        "__init__",
        lambda self, run, *a, init=CompiledEpochs.__init__: compiled.append(run.model) or init(self, run, *a),
    )
    short = {**OPTIONS, "epochs": 40, "batch_size": 10}
    pl.fit(networks(1)[0], (X, Y), **short, verbose=0)
    assert compiled == []
    nets = networks(6)
    pl.fit_many(nets, (X, Y), **short, verbose=0)
    assert len(compiled) == 6


def test_fits_in_threads_of_the_users_own_do_not_meet(tier):
    apart, nets = networks(2), networks(2)
    threads = [
        threading.Thread(target=pl.fit, args=(net, (X, Y)), kwargs={**OPTIONS, "verbose": 0, "epochs": 20})
        for net in apart
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    trained_alone(nets, [{}, {}], data=(X, Y), **{**OPTIONS, "epochs": 20})
    assert same(apart, nets)
