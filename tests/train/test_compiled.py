"""`fit` with compiled steps: whatever the options, it gives the weights and the history that it gives operation by
operation.
"""

import copy
import os
import pickle
import signal
import threading
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler import set_num_threads
from pellucid.errors import LabelError, NonFiniteError, PellucidWarning
from pellucid.train import Callback, EarlyStopping
from pellucid.train.compiled import CompiledEpochs

ROWS, FEATURES, CLASSES = 75, 6, 3  # 75 = 4 batches of 16 and one of 11
RNG = np.random.default_rng(0)
X = RNG.standard_normal((ROWS, FEATURES)).astype("f4")
Y = RNG.integers(0, CLASSES, ROWS)
HELD_OUT = X[:20] * 0.5, Y[:20]
TIERS = ["numpy", "llvm"]

# An optimizer of which rounding differences stay small: Adam makes steps of full length from gradients that are nothing
# but rounding.
SGD = {"optimizer": lambda parameters: optim.SGD(parameters, lr=0.1, momentum=0.9)}


@contextmanager
def tier(name):
    if name == "llvm":
        pytest.importorskip("llvmlite")
    before = os.environ.get("PELLUCID_COMPILE")
    os.environ["PELLUCID_COMPILE"] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ["PELLUCID_COMPILE"]
        else:
            os.environ["PELLUCID_COMPILE"] = before


def network(seed=0, dropout=0.0):
    pl.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, CLASSES)
    )


def fitted(how, model=None, data=(X, Y), **options):
    """The network and its history."""
    model = network() if model is None else model
    pl.manual_seed(7)
    options = {"loss": "cross_entropy", "epochs": 4, "batch_size": 16, "verbose": 0, **SGD, **options}
    with tier(how):
        history = pl.fit(model, data, **options)
    return model, history


def weights_of(model):
    return {name: t.data.copy() for name, t in model.state_dict().items()}


def assert_alike(a, b, rtol=2e-5, atol=2e-6):
    """Two networks and their histories agree to rounding."""
    (model_a, history_a), (model_b, history_b) = a, b
    expected, given = weights_of(model_a), weights_of(model_b)
    assert expected.keys() == given.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(given[name], values, rtol=rtol, atol=atol, err_msg=name)
    assert len(history_a) == len(history_b)
    assert history_a.steps == history_b.steps
    assert history_a.stopped_by == history_b.stopped_by
    assert history_a.best_epoch == history_b.best_epoch
    assert history_a.restored_epoch == history_b.restored_epoch
    for r, s in zip(history_a, history_b, strict=True):
        assert r.keys() == s.keys()
        for key in r.keys() - {"time_s"}:
            assert s[key] == pytest.approx(r[key], rel=1e-5, abs=1e-6), key


def assert_agrees(how, **options):
    """Compiled as not: in the NumPy tier to the bit. Returns the network and the history of the compiled run."""
    model = options.pop("model", network)
    before, after = fitted("off", model(), **options), fitted(how, model(), **options)
    assert_alike(before, after)
    if how == "numpy":
        expected, given = weights_of(before[0]), weights_of(after[0])
        assert all(given[name].tobytes() == values.tobytes() for name, values in expected.items())
    return after


@pytest.fixture(params=TIERS)
def how(request):
    return request.param


@pytest.fixture
def steps_compiled(monkeypatch):
    """How many batches were done as compiled steps."""
    done = []
    advance = CompiledEpochs.batches

    def counted(self, run, *args, **kwargs):
        first = run.samples
        result = advance(self, run, *args, **kwargs)
        done.append(run.samples - first)
        return result

    monkeypatch.setattr(CompiledEpochs, "batches", counted)
    # A run that is like an earlier one may do all its epochs at once.
    monkeypatch.setattr("pellucid.train.compiled._latest", None)
    return done


WEIGHTS = np.random.default_rng(3).uniform(0.5, 2.0, ROWS)

OPTIONS = {
    "plain": {},
    "metrics": {"metrics": ["accuracy"]},
    "validation": {"validation": HELD_OUT},
    "validation and metrics": {"validation": HELD_OUT, "metrics": ["accuracy"]},
    "held out": {"validation": 0.2, "metrics": ["accuracy"]},
    "held out rows": {"validation": 11},
    "clipped": {"clip_norm": 0.1},
    "class weights": {"class_weight": [0.5, 1.0, 3.0]},
    "balanced": {"class_weight": "balanced"},
    "sample weights": {"sample_weight": WEIGHTS},
    "both weights": {"sample_weight": WEIGHTS, "class_weight": [0.5, 1.0, 3.0]},
    "schedule cosine": {"schedule": "cosine"},
    "schedule step": {"schedule": "step"},
    "schedule one cycle": {"schedule": "one_cycle"},
    "schedule every step": {"schedule": "exponential", "schedule_every": "step"},
    "schedule every epoch": {"schedule": "cosine", "schedule_every": "epoch"},
    "schedule own": {"schedule": lambda o: optim.StepLR(o, 3, 0.5), "schedule_every": "step"},
    "plateau": {"schedule": lambda o: optim.ReduceLROnPlateau(o, patience=0, threshold=0.5), "validation": HELD_OUT},
    "one batch": {"batch_size": "full"},
    "batches of one": {"batch_size": 1, "model": lambda: plain(), "optimizer": lambda p: optim.SGD(p, lr=0.02)},
    "drop last": {"drop_last": True},
    "in order": {"shuffle": False},
    "other seed": {"seed": 12},
    "whole batches": {"batch_size": 25},
    "larger than the data": {"batch_size": 100},
    "accumulated": {"accumulate": 2},
    "restore best": {"restore_best": True, "validation": HELD_OUT},
    "early stopping": {
        "callbacks": lambda: [EarlyStopping(patience=1, min_delta=1.0)], "validation": HELD_OUT, "epochs": 8,
    },
    "everything": {
        "metrics": ["accuracy"], "validation": 0.2, "clip_norm": 0.5, "class_weight": "balanced",
        "schedule": "one_cycle", "restore_best": True,
    },
    "dropout": {"model": lambda: network(dropout=0.4)},
    "sums": {"loss": nn.CrossEntropyLoss(reduction="sum"), "optimizer": lambda p: optim.SGD(p, lr=0.003)},
    "smoothed labels": {"loss": nn.CrossEntropyLoss(label_smoothing=0.1)},
    "own loss": {"loss": lambda y_pred, y: nn.functional.cross_entropy(y_pred, y) * 2.0},
    "weight decay": {"optimizer": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1)},
    "groups": {"optimizer": lambda p: optim.SGD(two_groups(list(p)), lr=0.1)},
    "frozen": {"model": lambda: frozen(network())},
    "eval inside": {"model": lambda: normalized_as_it_is(network())},
    "lbfgs": {"optimizer": lambda p: optim.LBFGS(p, lr=0.1), "epochs": 2},
}  # fmt: skip


def plain():
    pl.manual_seed(0)
    return nn.Sequential(nn.Linear(FEATURES, 4), nn.Tanh(), nn.Linear(4, CLASSES))


def two_groups(parameters):
    return [{"params": parameters[:2], "lr": 0.5}, {"params": parameters[2:]}]


def frozen(model):
    model[0].weight.requires_grad = False
    return model


class normalized_as_it_is(nn.Module):
    """A network that keeps its batch normalisation in the mode of use whatever it is told."""

    def __init__(self, model):
        self.model = model

    def forward(self, x):
        self.model[1].eval()
        return self.model(x)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_gives_what_it_gives_uncompiled(name, how):
    options = dict(OPTIONS[name])
    make = options.pop("callbacks", None)
    if make is None:
        assert_agrees(how, **options)
        return
    model = options.pop("model", network)
    before = fitted("off", model(), callbacks=make(), **options)
    assert_alike(before, fitted(how, model(), callbacks=make(), **options))
    assert len(before[1]) < options["epochs"]


@pytest.mark.parametrize("name", sorted(set(OPTIONS) - {"lbfgs", "accumulated", "larger than the data", "eval inside"}))
def test_it_is_compiled_that_was_compared(name, steps_compiled):
    options = {**OPTIONS[name], "callbacks": []}
    fitted("numpy", options.pop("model", network)(), **options)
    assert sum(steps_compiled) > 0


@pytest.mark.parametrize("name", ["lbfgs", "accumulated", "larger than the data"])
def test_what_cannot_be_compiled_runs_as_it_is(name, steps_compiled):
    fitted("numpy", **OPTIONS[name])
    assert not steps_compiled


class Noting(Callback):
    def __init__(self):
        self.noted = []

    def on_epoch_begin(self, run):
        self.noted.append(("begin", run.epoch, run.batch))

    def on_epoch_end(self, run, record):
        self.noted.append(("end", run.epoch, run.batch, run.samples, len(run.recent)))


class NotingBatches(Noting):
    def on_batch_end(self, run):
        self.noted.append((run.epoch, run.batch, run.samples, run.rows.tolist(), round(run.loss_value, 4), run.lr))


@pytest.mark.parametrize("callback", [Noting, NotingBatches])
def test_callbacks_hear_the_same(callback, how):
    a, b = callback(), callback()
    fitted("off", callbacks=[a], schedule="cosine", schedule_every="step")
    fitted(how, callbacks=[b], schedule="cosine", schedule_every="step")
    assert a.noted == b.noted


def test_a_callback_may_change_everything_between_batches(how):
    class Meddling(Callback):
        def on_batch_end(self, run):
            run.optimizer.param_groups[0]["lr"] *= 0.9
            if run.batch == 2:
                run.model[0].weight.data[0] += 0.25
                run.model[4].bias.assign(pl.zeros((CLASSES,)))
            if run.epoch == 1:
                run.model[0].bias.requires_grad = False
            if run.epoch == 2:
                run.model[3].p = 0.5

        def on_epoch_end(self, run, record):
            run.optimizer.param_groups[0]["momentum"] = 0.5
            record["norm"] = float(np.abs(run.model[0].weight.data).sum())

    assert_agrees(how, callbacks=[Meddling()])


def test_stopping_within_an_epoch(how):
    class Stop(Callback):
        def on_batch_end(self, run):
            if run.epoch == 1 and run.batch == 2:
                run.stop()

    assert_agrees(how, callbacks=[Stop()])


def test_resumed_training_gives_the_bits_of_training_in_one_go(how, tmp_path):
    options = {"metrics": ["accuracy"], "validation": 0.2, "schedule": lambda o: optim.StepLR(o, 2, 0.5)}
    make = {"optimizer": lambda p: optim.Adam(p, lr=0.01)}
    whole, history = fitted(how, network(dropout=0.3), epochs=6, **make, **options)
    fitted(how, network(dropout=0.3), epochs=3, checkpoint=tmp_path / "run", **make, **options)
    model = network(1, dropout=0.3)
    with tier(how):
        again = pl.fit(
            model, (X, Y), loss="cross_entropy", epochs=6, batch_size=16, verbose=0, checkpoint=tmp_path / "run",
            resume=True, **make, **options,
        )  # fmt: skip
    assert all(weights_of(model)[name].tobytes() == values.tobytes() for name, values in weights_of(whole).items())
    assert again.loss == history.loss


@pytest.mark.parametrize("threads", [1, 2])
def test_it_repeats_to_the_bit(threads, how):
    set_num_threads(threads)
    try:
        a, b = (weights_of(fitted(how, network(dropout=0.3))[0]) for _ in range(2))
    finally:
        set_num_threads(None)
    assert all(a[name].tobytes() == b[name].tobytes() for name in a)


@pytest.mark.parametrize("batch", [0, 2, 4])
def test_a_loss_that_is_no_number_is_reported_as_uncompiled(batch, how):
    def run(how):
        data = X.copy(), Y.copy()
        data[0][batch * 16 + 3] = 3e38
        model, seen = nn.Linear(FEATURES, CLASSES), Noting()
        model.weight.data = np.full((CLASSES, FEATURES), 5, "f4") * np.arange(CLASSES).reshape(-1, 1).astype("f4")
        with pytest.raises(NonFiniteError) as caught:
            fitted(how, model, data, shuffle=False, checks=False, callbacks=[seen])
        return model, caught.value.history, str(caught.value).partition("at:")[0], seen.noted

    (model, history, text, noted), (other, again, said, heard) = run("off"), run(how)
    assert (said, heard) == (text, noted)
    assert_alike((model, history), (other, again))
    assert again.stopped_by == "non_finite"


@pytest.mark.parametrize("remembered_s", [0.0, 60.0])
def test_what_comes_before_a_loss_that_is_no_number_is_done_again(remembered_s, how, monkeypatch):
    """From a state of several calls ago, with what the steps between have drawn."""

    def run(how):
        data = X.copy(), Y.copy()
        data[0][3 * 16 + 3] = 3e38
        model = network(dropout=0.3)
        with pytest.raises(NonFiniteError) as caught:
            fitted(how, model, data, shuffle=False, checks=False, epochs=1)
        return caught.value.state["model"], caught.value.history.steps

    monkeypatch.setattr("pellucid.train.compiled._CHUNK_S", 0.0)
    monkeypatch.setattr("pellucid.train.compiled._STATE_S", remembered_s)
    (state, steps), (other, again) = run("off"), run(how)
    assert steps == again == 3
    for name, values in state.items():
        np.testing.assert_allclose(other[name], values, rtol=1e-5, atol=1e-6, err_msg=name)


def test_labels_that_are_no_classes_are_refused_before_anything_changes(how):
    labels = Y.copy()
    labels[-1] = CLASSES
    model = network()
    before = weights_of(model)
    with pytest.raises(LabelError), tier(how):
        pl.fit(model, (X, labels), loss="cross_entropy", epochs=1, batch_size=16, verbose=0, checks=False, **SGD)
    assert all(weights_of(model)[name].tobytes() == values.tobytes() for name, values in before.items())


def test_ctrl_c_ends_a_compiled_run_whole(how):
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals go to the main thread")

    class Interrupt(Callback):
        def on_epoch_end(self, run, record):
            if run.epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    model, history = fitted(how, callbacks=[Interrupt()], epochs=50)
    assert history.stopped_by == "interrupt"
    whole, _ = fitted(how, epochs=len(history))
    assert all(np.isfinite(values).all() for values in weights_of(model).values())
    assert len(history) == 3
    assert all(weights_of(model)[name].tobytes() == v.tobytes() for name, v in weights_of(whole).items())


def test_a_user_can_go_on_with_what_was_trained(how):
    model, _ = fitted(how)
    expected = model.eval()(X).data.copy()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301 - our own bytes
        assert other(X).data.tobytes() == expected.tobytes()
    kept = model.state_dict()
    loss = nn.functional.cross_entropy(model.train()(X), pl.Tensor(Y))
    loss.backward()
    optim.SGD(model.parameters(), lr=0.1).step()
    assert not np.array_equal(kept["0.weight"].data, model[0].weight.data)
    fitted(how, model)
    model.load_state_dict(kept)
    assert model.eval()(X).data.tobytes() == expected.tobytes()


# The bits of the loop by hand


@pytest.fixture
def always_worth_it(monkeypatch):
    """Compile short runs too, though the environment asks for no tier: "" is the fastest."""
    monkeypatch.setattr("pellucid.train.compiled._WORTH_S", 0.0)


@pytest.mark.parametrize("every", ["step", "epoch"])
@pytest.mark.parametrize("how", [*TIERS, ""])
def test_it_gives_the_bits_of_the_loop_by_hand(how, every, always_worth_it, steps_compiled):
    """Beyond the twentieth of the smaller last batches, which then gets machine code."""
    epochs, by_hand = 25, network(dropout=0.4)
    make = {"optimizer": lambda p: optim.Adam(p, lr=0.01), "seed": 3}
    plan = {"schedule": lambda o: optim.StepLR(o, 6, 0.7), "schedule_every": every}
    model, history = fitted(how, network(dropout=0.4), epochs=epochs, **make, **plan)
    assert sum(steps_compiled) == epochs * ROWS

    pl.manual_seed(7)
    loss_fn, optimizer = nn.CrossEntropyLoss(), optim.Adam(by_hand.parameters(), lr=0.01)
    schedule, losses = optim.StepLR(optimizer, 6, 0.7), []

    @pl.compile
    def step(x, y):
        loss = loss_fn(by_hand(x), y)
        loss.backward()
        optimizer.step()
        return loss

    loader = pl.data.Loader((X, Y), batch_size=16, shuffle=True, seed=3)
    with tier(how):
        for _ in range(epochs):
            losses.append(0.0)
            for x, y in loader:
                losses[-1] += step(x, y).item() * len(x) / ROWS
                if every == "step":
                    schedule.step()
            if every == "epoch":
                schedule.step()
    expected = weights_of(by_hand)
    assert all(weights_of(model)[name].tobytes() == values.tobytes() for name, values in expected.items())
    assert history.loss == pytest.approx(losses, rel=1e-12)


def test_resumed_training_counts_the_smaller_batches_from_the_first(tmp_path, always_worth_it):
    make = {"optimizer": lambda p: optim.Adam(p, lr=0.01)}
    whole, _ = fitted("", epochs=25, **make)
    fitted("", epochs=12, checkpoint=tmp_path / "run", **make)
    resumed, _ = fitted("", network(1), epochs=25, checkpoint=tmp_path / "run", resume=True, **make)
    assert all(weights_of(resumed)[name].tobytes() == values.tobytes() for name, values in weights_of(whole).items())


# What can no longer be done compiled


class Annealed(nn.Module):
    """A network with numbers of Python's own that a callback changes."""

    def __init__(self):
        self.inner, self.temperature, self.looks = network(), 2.0, False

    def forward(self, x):
        y = self.inner(x)
        if self.looks and y.sum() > 1e9:
            return y
        return y / self.temperature


class Changing(Callback):
    """Does something after some epochs, or after a batch of them."""

    def __init__(self, change, epochs, batch=None):
        self.change, self.epochs, self.batch = change, epochs, batch

    def on_batch_end(self, run):
        if run.batch == self.batch and run.epoch in self.epochs:
            self.change(run)

    def on_epoch_end(self, run, record):
        if self.batch is None and run.epoch in self.epochs:
            self.change(run)


def cool(run):
    run.model.temperature *= 0.9


def look(run):
    run.model.looks = True


def look_away(run):
    run.model.looks = False


def leave_a_gradient(run):
    nn.functional.cross_entropy(run.model(X), pl.Tensor(Y)).backward()


AT_FIT = f"\n  at:       test_compiled.py:{fitted.__code__.co_firstlineno + 6}"  # the line of `fit` in it


@pytest.mark.parametrize("batch", [None, 2])
def test_a_number_that_changes_all_the_time(batch, how, monkeypatch):
    monkeypatch.setattr("pellucid.compiler.step.MOST", 5)
    with pytest.warns(PellucidWarning) as warned:
        assert_agrees(how, model=Annealed, epochs=6, callbacks=[Changing(cool, range(6), batch)])
    assert [str(w.message) for w in warned] == [
        "a compiled function runs as it is: nearly every call would have to be recorded anew\n"
        "  given:    train_step, after 5 recordings\n"
        "  expected: numbers that change from call to call as Tensors, batches of few different shapes" + AT_FIT
    ]


@pytest.mark.parametrize("batch", [None, 2, 4])
def test_a_step_that_begins_to_look_at_values(batch, how):
    callbacks = [Changing(look, [1], batch), Changing(look_away, [3], batch)]
    with pytest.warns(PellucidWarning) as warned:
        assert_agrees(how, model=Annealed, epochs=6, callbacks=callbacks)
    assert [str(w.message) for w in warned] == [
        "a compiled function runs as it is, step by step in Python\n"
        "  given:    train_step: the recorded function looks at a value that changes from run to run "
        f"(test_compiled.py:{Annealed.forward.__code__.co_firstlineno + 2}, Annealed)\n"
        "  expected: a function that can be recorded" + AT_FIT
    ]


@pytest.mark.parametrize("batch", [None, 2, 4])
def test_a_gradient_that_waits_for_the_next_step(batch, how):
    assert_agrees(how, epochs=4, callbacks=[Changing(leave_a_gradient, [1], batch)])


NARROW = [
    ((6, 3), 64),
    ((6, 3), 128),
    ((5, 8, 3), 16),
    ((16, 24, 4), 32),
    ((3, 40, 2), 64),
    ((30, 70, 3), 400),
    ((4, 2, 2), 128),
]


@pytest.mark.parametrize(("sizes", "batch"), NARROW)
def test_bits_depend_neither_on_how_rows_are_given_nor_on_what_is_asked_for(sizes, batch, monkeypatch):
    """Of networks of few columns, whose sums run in lanes where that is quicker."""
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((128 if batch == 128 else 2 * batch, sizes[0])).astype("f4")
    y = rng.integers(0, sizes[-1], len(x))

    def made():
        pl.manual_seed(1)
        layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.Tanh())]
        model = nn.Sequential(*layers[:-1])
        return model, optim.Adam(model.parameters(), lr=0.01), nn.CrossEntropyLoss()

    def by_fit(**options):
        model, optimizer, loss = made()
        pl.fit(model, (x, y), loss=loss, optimizer=optimizer, epochs=4, batch_size=batch, seed=5, verbose=0, **options)
        return model

    def by_hand(both):
        model, optimizer, loss_fn = made()

        @pl.compile
        def step(x, y):
            y_pred = model(x)
            loss = loss_fn(y_pred, y)
            loss.backward()
            optimizer.step()
            return (loss, y_pred) if both else loss

        loader = pl.data.Loader((x, y), batch_size=batch, shuffle=True, seed=5)
        for _ in range(4):
            for rows in loader:
                step(*rows)
        return model

    first = weights_of(by_fit())
    for other in (by_fit(metrics=["accuracy"]), by_hand(False), by_hand(True)):
        assert {name: v.tobytes() for name, v in weights_of(other).items()} == {
            n: v.tobytes() for n, v in first.items()
        }


@pytest.mark.parametrize("how", TIERS)
def test_the_history_of_weighted_rows_is_that_of_one_epoch_after_the_other(how, monkeypatch):
    """Also where many epochs are done at once: each batch counts for what its rows weigh."""
    weights = np.linspace(0.1, 3.0, len(X) // 25 * 25)
    rows = len(weights)
    options = {"batch_size": 25, "epochs": 60, "sample_weight": weights}

    def losses():
        pl.manual_seed(3)
        options_of_all = {"loss": "cross_entropy", "optimizer": "sgd", "verbose": 0}
        return pl.fit(network(), (X[:rows], Y[:rows]), **options_of_all, **options).loss

    monkeypatch.setenv("PELLUCID_COMPILE", "off")
    expected = losses()
    with tier(how):
        losses()
        np.testing.assert_allclose(losses(), expected, rtol=1e-4)
