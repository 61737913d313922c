"""`fit` against the loop that a user writes by hand, and what its arguments do."""

import json
import math
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import pellucid as pl
from pellucid import nn, optim
from pellucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    LabelError,
    ModelError,
    NonFiniteError,
    ShapeError,
)
from pellucid.train import Callback, EarlyStopping, JSONLogger, LambdaCallback, ModelCheckpoint, Run

QUIET: dict[str, Any] = {"verbose": 0}


def network(seed: int = 0, *middle: nn.Module) -> nn.Sequential:
    pl.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), *middle, nn.Linear(8, 2))


def weights(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in model.state_dict().items()}


def assert_same_bits(a: nn.Module, b: nn.Module) -> None:
    wa, wb = weights(a), weights(b)
    assert wa.keys() == wb.keys()
    for name in wa:
        assert_array_equal(wa[name], wb[name], err_msg=name)


def by_hand(model: nn.Module, data: Any, optimizer: Any, epochs: int, **loader: Any) -> None:
    criterion = nn.CrossEntropyLoss()
    batches = pl.data.Loader(data, **loader)
    for _ in range(epochs):
        for x, y in batches:
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@pytest.mark.parametrize("middle", [(), (nn.Dropout(0.3), nn.BatchNorm1d(8))], ids=["plain", "dropout and batch norm"])
def test_a_hand_written_loop_gives_the_same_bits(middle: tuple[nn.Module, ...]) -> None:
    data = pl.data.two_moons(90, seed=1)
    a, b = network(0, *middle), network(0)
    if middle:
        b = network(0, nn.Dropout(0.3), nn.BatchNorm1d(8))
    pl.manual_seed(5)
    by_hand(a, data, optim.Adam(a.parameters(), lr=0.01), 4, batch_size=32, shuffle=True, seed=3)
    pl.manual_seed(5)
    pl.fit(
        b,
        data,
        loss=nn.CrossEntropyLoss(),
        optimizer=optim.Adam(b.parameters(), lr=0.01),
        epochs=4,
        seed=3,
        validation=pl.data.two_moons(40, seed=2),
        metrics=["accuracy"],
        checks="all",
        **QUIET,
    )
    assert_same_bits(a, b)
    # The comparison sees a single bit.
    b[0].bias.assign(pl.Tensor(np.nextafter(b[0].bias.numpy(), np.float32(9))))
    with pytest.raises(AssertionError):
        assert_same_bits(a, b)


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_mini_batch_of_all_rows_is_gradient_descent_to_the_bit(shuffle: bool) -> None:
    data = pl.data.two_moons(50)
    a, b = network(), network()
    fit_with(a, data, batch_size=50, shuffle=shuffle)
    criterion, optimizer = nn.CrossEntropyLoss(), optim.SGD(b.parameters(), lr=0.1)
    for _ in range(3):
        criterion(b(data.x), data.y).backward()
        optimizer.step()
    assert_same_bits(a, b)


def fit_with(model: nn.Module, data: Any, **options: Any) -> Any:
    options = {"loss": nn.CrossEntropyLoss(), "epochs": 3, **QUIET, **options}
    options.setdefault("optimizer", optim.SGD(model.parameters(), lr=0.1))
    return pl.fit(model, data, **options)


@pytest.mark.parametrize(
    ("rows", "batch_size", "iterations"),
    [(10_000, 100, 100), (1000, 1, 1000), (1000, 32, 32), (1000, 100, 10), (1000, 1000, 1), (1000, None, 1)],
)
def test_iterations_an_epoch(rows: int, batch_size: int | None, iterations: int) -> None:
    model = nn.Linear(1, 1)
    x = np.linspace(-1, 1, rows)[:, None]
    history = pl.fit(
        model,
        (x, x),
        loss="mse",
        optimizer=optim.SGD(model.parameters(), lr=0.01),
        epochs=1,
        batch_size=batch_size,
        **QUIET,
    )
    assert history.steps == iterations


def test_drop_last_leaves_the_smaller_batch_out() -> None:
    assert fit_with(network(), pl.data.two_moons(70), drop_last=True).steps == 2 * 3
    assert fit_with(network(), pl.data.two_moons(70), drop_last=False).steps == 3 * 3


def test_the_history_holds_the_mean_over_rows_and_the_metrics_of_the_whole_set() -> None:
    train, test = pl.data.two_moons(90, seed=1), pl.data.two_moons(41, seed=2)
    model = network()
    history = fit_with(model, train, validation=(test.x, test.y), metrics=["accuracy", "f1"], batch_size=32)
    assert history.names == ["loss", "accuracy", "f1", "val_loss", "val_accuracy", "val_f1", "lr", "time_s"]
    assert history.stopped_by == "epochs"
    assert history.lr == [0.1] * 3
    logits = model(test.x).numpy().astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert_allclose(history["val_loss"][-1], -log_p[np.arange(41), test.y].mean(), rtol=1e-5)
    assert history["val_accuracy"][-1] == (logits.argmax(1) == test.y).mean()
    found = pl.evaluate(model, test, loss=nn.CrossEntropyLoss(), metrics=["accuracy"], batch_size=7)
    assert_allclose(found["loss"], history["val_loss"][-1], rtol=1e-6)
    # A rate of almost 0 leaves the weights: the training loss is then that of the whole set, whatever the batches.
    frozen = network()
    options: dict[str, Any] = {"optimizer": optim.SGD(frozen.parameters(), lr=1e-30), "epochs": 1}
    recorded = fit_with(frozen, train, batch_size=32, **options).loss[0]
    assert_allclose(recorded, pl.evaluate(frozen, train, loss="cross_entropy")["loss"], rtol=1e-6)


def test_validation_as_a_fraction_is_held_out_by_class() -> None:
    data = pl.data.blobs(100, 4)
    counts: list[int] = []
    seen = LambdaCallback(on_train_begin=lambda run: counts.extend(np.bincount(run.validation.y).tolist()))
    pl.manual_seed(0)
    model = nn.Linear(2, 4)
    history = fit_with(model, data, validation=0.2, callbacks=seen)
    assert counts == [5, 5, 5, 5]
    assert history.steps == 3 * 3  # 80 rows in batches of 32


def test_validation_without_shuffling_is_the_last_rows() -> None:
    x = np.linspace(-1, 1, 50)[:, None]
    y = np.abs(x)
    kept: list[np.ndarray] = []
    model = nn.Linear(1, 1)
    fit_with(
        model,
        (x, y),
        loss="mse",
        validation=0.2,
        shuffle=False,
        callbacks=[LambdaCallback(on_train_begin=lambda run: kept.append(run.validation.x))],
    )
    assert_array_equal(kept[0], x[40:].astype(np.float32))


class Scripted(Callback):
    """Puts a value of its own into the record, and notes the weights of each epoch."""

    def __init__(self, values: list[float]) -> None:
        self.values = values
        self.weights: list[dict[str, np.ndarray]] = []

    def on_epoch_begin(self, run: Run) -> None:
        self.metric_value = self.values[run.epoch]

    def on_epoch_end(self, run: Run, record: dict[str, float]) -> None:
        self.weights.append(weights(run.model))


def scripted(values: list[float], **stopping: Any) -> tuple[nn.Module, Any, Scripted]:
    script = Scripted(values)
    model = network()
    history = fit_with(
        model,
        pl.data.two_moons(40),
        epochs=len(values),
        metrics=[pl.train.Metric("quality", lambda p, t: script.metric_value, "max")],
        callbacks=[script, EarlyStopping("quality", **stopping)],
    )
    return model, history, script


def test_early_stopping_waits_its_patience_and_restores_the_best() -> None:
    model, history, script = scripted([0.1, 0.5, 0.4, 0.45, 0.3, 0.9], patience=3)
    assert history.stopped_by == "early_stopping"
    assert len(history) == 5
    assert (history.best_epoch, history.restored_epoch, history.monitor) == (1, 1, "quality")
    for name, value in weights(model).items():
        assert_array_equal(value, script.weights[1][name])


def test_early_stopping_restores_the_best_also_when_all_epochs_ran() -> None:
    model, history, script = scripted([0.1, 0.5, 0.4], patience=3)
    assert history.stopped_by == "epochs"
    for name, value in weights(model).items():
        assert_array_equal(value, script.weights[1][name])


def test_min_delta_is_for_the_patience_and_the_best_is_the_best() -> None:
    model, history, script = scripted([0.1, 0.15, 0.18, 0.17, 0.9], patience=3, min_delta=0.1)
    assert len(history) == 4
    assert history.best_epoch == 2
    for name, value in weights(model).items():
        assert_array_equal(value, script.weights[2][name])


def test_nan_is_never_the_best() -> None:
    _, history, _ = scripted([math.nan, 0.5, math.nan], patience=5)
    assert history.best_epoch == 1


def test_without_early_stopping_the_last_weights_stay_unless_the_best_are_asked_for() -> None:
    data = pl.data.two_moons(40)
    for restore in (False, True):
        script = Scripted([0.0] * 4)
        model = network()
        # At this rate the loss jumps about, and the last epoch is not the best.
        history = fit_with(
            model,
            data,
            epochs=4,
            optimizer=optim.SGD(model.parameters(), lr=100.0),
            validation=data,
            restore_best=restore,
            callbacks=[script],
        )
        assert history.best_epoch == int(np.argmin(history.val_loss))
        assert history.best_epoch != 3
        assert history.restored_epoch == (history.best_epoch if restore else None)
        kept = script.weights[history.best_epoch if restore else -1]
        for name, value in weights(model).items():
            assert_array_equal(value, kept[name])


class Interrupt(Callback):
    """Ctrl-C after a number of batches."""

    def __init__(self, after: int, by_signal: bool) -> None:
        self.after, self.by_signal, self.seen = after, by_signal, 0

    def on_batch_end(self, run: Run) -> None:
        self.seen += 1
        if self.seen == self.after:
            if not self.by_signal:
                raise KeyboardInterrupt
            signal.raise_signal(signal.SIGINT)


class CtrlC(Callback):
    """Ctrl-C in one of the methods, a number of times, from the second epoch on."""

    def __init__(self, method: str, times: int) -> None:
        def press(run: Run, *record: Any) -> None:
            if run.epoch >= 1:
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)

        setattr(self, method, press)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("method", ["on_epoch_begin", "on_batch_end", "on_epoch_end"])
def test_ctrl_c_in_a_callback_ends_cleanly_also_twice(method: str, times: int) -> None:
    data = pl.data.two_moons(64)
    model, script = network(), Scripted([0.0] * 9)
    model.eval()
    history = fit_with(model, data, epochs=9, validation=data, callbacks=[script, CtrlC(method, times)])
    assert history.stopped_by == "interrupt"
    assert history.restored_epoch == history.best_epoch == (1 if method == "on_epoch_end" else 0)
    for name, value in weights(model).items():
        assert_array_equal(value, script.weights[history.best_epoch][name])
    assert not any(module.training for module in model.modules())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_while_the_best_weights_are_given_back_does_not_cut_them_in_two() -> None:
    data = pl.data.two_moons(64)
    model = network()
    ended: list[str] = []
    note = LambdaCallback(on_train_end=lambda run: ended.append("later"))
    history = fit_with(model, data, callbacks=[CtrlC("on_train_end", 1), note])
    assert (history.stopped_by, ended) == ("epochs", ["later"])
    with pytest.raises(KeyboardInterrupt):  # one that hangs can still be left
        fit_with(model, data, callbacks=[CtrlC("on_train_end", 2)])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_in_a_callback_keeps_best_weights_and_history() -> None:
    data = pl.data.two_moons(64)
    model, script = network(), Scripted([0.1, 0.5, 0.4, 0.3])

    def fail(run: Run, record: dict[str, float]) -> None:
        if run.epoch == 3:
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine") as caught:
        fit_with(
            model,
            data,
            epochs=9,
            metrics=[pl.train.Metric("quality", lambda p, t: script.metric_value, "max")],
            callbacks=[script, EarlyStopping("quality"), LambdaCallback(on_epoch_end=fail)],
        )
    history = caught.value.history  # type: ignore[attr-defined]
    assert (history.stopped_by, len(history), history.restored_epoch) == ("error", 4, 1)
    for name, value in weights(model).items():
        assert_array_equal(value, script.weights[1][name])


def test_numbers_that_a_callback_puts_into_the_record_go_to_the_history(tmp_path: Path) -> None:
    def add(run: Run, record: dict[str, Any]) -> None:
        if run.epoch:
            record["norm"] = np.float32(run.epoch + 0.5)

    history = fit_with(
        network(), pl.data.two_moons(40), callbacks=[LambdaCallback(on_epoch_end=add), JSONLogger(tmp_path / "log")]
    )
    assert history.norm == [None, 1.5, 2.5]
    assert json.loads((tmp_path / "log").read_text().splitlines()[2])["norm"] == 2.5
    name = LambdaCallback(on_epoch_end=lambda run, record: record.update(name="x"))
    with pytest.raises(ArgumentTypeError, match="name in the epoch's record is not a number"):
        fit_with(network(), pl.data.two_moons(40), callbacks=name)


@pytest.mark.parametrize("by_signal", [True, False])
def test_an_interrupt_ends_cleanly_with_the_best_weights(by_signal: bool) -> None:
    data = pl.data.two_moons(64)
    model, script = network(), Scripted([0.0] * 9)
    history = fit_with(
        model, data, epochs=9, validation=data, callbacks=[script, Interrupt(7, by_signal)], batch_size=32
    )
    assert history.stopped_by == "interrupt"
    assert len(history) == 3
    assert history.steps == 7
    assert history.restored_epoch == history.best_epoch == 2
    for name, value in weights(model).items():
        assert_array_equal(value, script.weights[2][name])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert all(module.training for module in model.modules())


def test_an_interrupt_without_validation_keeps_the_weights_of_the_last_step() -> None:
    data = pl.data.two_moons(64)
    a, b = network(), network()
    history = fit_with(a, data, epochs=5, callbacks=[Interrupt(3, True)], batch_size=32)
    assert (history.stopped_by, history.steps, len(history)) == ("interrupt", 3, 1)
    optimizer, criterion, done = optim.SGD(b.parameters(), lr=0.1), nn.CrossEntropyLoss(), 0
    loader = pl.data.Loader(data, batch_size=32, shuffle=True, seed=0)
    for epoch in range(2):
        for x, y in loader.batches(epoch):
            if done < 3:
                criterion(b(x), y).backward()
                optimizer.step()
                done += 1
    assert_same_bits(a, b)


def test_a_callback_may_stop_the_run() -> None:
    stop = LambdaCallback(on_epoch_end=lambda run, record: run.stop() if run.epoch == 1 else None)
    history = fit_with(network(), pl.data.two_moons(40), epochs=5, callbacks=[stop])
    assert (history.stopped_by, len(history)) == ("callback", 2)


def test_a_callback_may_say_why(capsys: pytest.CaptureFixture[str]) -> None:
    stop = LambdaCallback(on_epoch_end=lambda run, record: run.stop("loss below 1"))
    history = fit_with(network(), pl.data.two_moons(40), epochs=5, callbacks=[stop], verbose=1)
    assert history.stopped_by == "loss below 1"
    line = capsys.readouterr().out
    assert line.startswith("epoch 1/5 ")
    assert line.endswith("stopped: loss below 1\n")
    with pytest.raises(ArgumentTypeError, match="stop: reason has the wrong type"):
        fit_with(
            network(), pl.data.two_moons(40), callbacks=[LambdaCallback(on_epoch_end=lambda run, record: run.stop(3))]
        )


def test_callbacks_are_called_in_order() -> None:
    calls: list[str] = []
    names = ("on_train_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end", "on_train_end")
    noted = {name: (lambda *args, name=name: calls.append(name)) for name in names}
    fit_with(network(), pl.data.two_moons(40), epochs=2, callbacks=[LambdaCallback(**noted)], batch_size=20)
    epoch = ["on_epoch_begin", "on_batch_end", "on_batch_end", "on_epoch_end"]
    assert calls == ["on_train_begin", *epoch, *epoch, "on_train_end"]


def test_accumulated_batches_make_the_step_of_one_large_batch() -> None:
    data = pl.data.Dataset(pl.data.two_moons(50).x.astype(np.float64), pl.data.two_moons(50).y)
    a, b = network().double(), network().double()
    few = fit_with(a, data, batch_size=8, accumulate=3, shuffle=False, checks=False)
    many = fit_with(b, data, batch_size=24, shuffle=False, checks=False)
    assert few.steps == many.steps == 9
    for name, value in weights(a).items():
        assert_allclose(value, weights(b)[name], rtol=1e-12, atol=1e-14)


def test_clip_norm_bounds_the_step() -> None:
    data = pl.data.two_moons(32)
    model = network()
    before = weights(model)
    fit_with(model, data, epochs=1, clip_norm=1e-3, optimizer=optim.SGD(model.parameters(), lr=1.0))
    moved = math.sqrt(sum(float(np.square(v - before[k], dtype=np.float64).sum()) for k, v in weights(model).items()))
    assert_allclose(moved, 1e-3, rtol=1e-3)


def test_a_sample_weight_of_2_is_the_row_twice_and_of_0_no_row() -> None:
    data = pl.data.two_moons(20)
    counts = np.arange(20) % 3
    repeated = data[np.repeat(np.arange(20), counts)]
    a, b = network().double(), network().double()
    fit_with(a, data, batch_size=None, sample_weight=counts, checks=False)
    fit_with(b, repeated, batch_size=None, checks=False)
    for name, value in weights(a).items():
        assert_allclose(value, weights(b)[name], rtol=1e-10, atol=1e-13)


def test_class_weights_are_those_of_the_loss() -> None:
    data = pl.data.two_moons(40)
    a, b = network().double(), network().double()
    fit_with(a, data, class_weight={0: 1.0, 1: 3.0})
    fit_with(b, data, loss=nn.CrossEntropyLoss(weight=[1.0, 3.0]))
    for name, value in weights(a).items():
        assert_allclose(value, weights(b)[name], rtol=1e-10, atol=1e-13)


def test_a_batch_without_weight_makes_no_step() -> None:
    history = fit_with(network(), pl.data.two_moons(40), batch_size=1, sample_weight=[1.0, 0.0] * 20, epochs=1)
    assert history.steps == 20


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"sample_weight": [1.0]}, ShapeError, r"sample_weight of shape \(1,\)"),
        ({"sample_weight": [-1.0] * 40}, DataError, "-1 at row 0"),
        ({"sample_weight": [0.0] * 40}, DataError, "all rows have the weight 0"),
        ({"class_weight": {0: 1.0}}, LabelError, "class 1 has no weight"),
        ({"class_weight": [1.0, math.inf]}, DataError, "inf for class 1"),
        (
            {"class_weight": [1.0, 1.0], "loss": lambda p, t: (p * p).mean()},
            ArgumentTypeError,
            "takes no weights of rows",
        ),
        ({"epochs": 0}, ArgumentError, "epochs is out of range"),
        ({"epoch": 3}, ArgumentTypeError, "did you mean epochs"),
        ({"clip_norm": 0.0}, ArgumentError, "clip_norm"),
        ({"metrics": ["acc"]}, ArgumentError, "no metric has this name"),
        ({"optimizer": "adem"}, ArgumentError, "did you mean adam"),
        ({"loss": "crossentropy"}, ArgumentError, "did you mean cross_entropy"),
        ({"loss": 3}, ArgumentTypeError, "this is no loss"),
        ({"optimizer": 3}, ArgumentTypeError, "this is no optimizer"),
        ({"schedule": 3}, ArgumentTypeError, "this is no schedule"),
        ({"callbacks": [print]}, ArgumentTypeError, "this is no callback"),
        ({"callbacks": [EarlyStopping("val_loss")]}, ArgumentError, "validation=0.2"),
        ({"callbacks": [EarlyStopping("los")]}, ArgumentError, "fix:      loss"),
        ({"loss": nn.CrossEntropyLoss(reduction="none")}, ModelError, "not a single number"),
        ({"resume": True}, ArgumentError, "resume needs the folder"),
        ({"accumulate": 2, "optimizer": "lbfgs"}, ArgumentError, "evaluates the loss itself"),
        ({"validation": np.zeros((3, 5))}, DataError, "no targets"),
        ({"validation": (np.zeros((3, 5)), [0, 1, 1])}, ShapeError, "training and validation inputs differ"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fit_with(network(), pl.data.two_moons(40), **options)


def test_an_unknown_direction_asks_for_the_mode() -> None:
    def closeness(y_pred: np.ndarray, y_true: np.ndarray) -> float:
        return 1.0

    stopping: dict[str, Any] = {"metrics": [closeness], "callbacks": [EarlyStopping("closeness")]}
    with pytest.raises(ArgumentError) as caught:
        fit_with(network(), pl.data.two_moons(40), **stopping)
    assert str(caught.value).split("\n")[:3] == [
        "nothing tells whether more or less of closeness is better",
        '  given:    monitor="closeness", mode="auto"',
        '  expected: mode="max" or mode="min"',
    ]
    stopping["callbacks"] = [EarlyStopping("closeness", mode="min")]
    assert fit_with(network(), pl.data.two_moons(40), **stopping).monitor == "closeness"


def test_names_stand_for_losses_optimizers_and_schedules() -> None:
    history = fit_with(network(), pl.data.two_moons(64), loss="cross_entropy", optimizer="adam", schedule="cosine")
    assert_allclose(history.lr, [1e-3 * (1 + math.cos(math.pi * epoch / 3)) / 2 for epoch in range(3)], rtol=1e-6)
    model = network()
    history = fit_with(
        model, pl.data.two_moons(64), optimizer=lambda p: optim.SGD(p, lr=0.5), schedule="step", epochs=6
    )
    assert_allclose(history.lr, [0.5, 0.5, 0.05, 0.05, 0.005, 0.005])


def test_a_schedule_given_moves_every_epoch_or_as_told() -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    schedule = optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    assert fit_with(model, pl.data.two_moons(64), optimizer=optimizer, schedule=schedule).lr == [1.0, 0.5, 0.25]
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    schedule = optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    history = fit_with(
        model, pl.data.two_moons(64), optimizer=optimizer, schedule=schedule, schedule_every="step", batch_size=32
    )
    assert history.lr == [1.0, 0.25, 0.0625]


def test_reduce_on_plateau_is_given_the_validation_loss() -> None:
    data = pl.data.two_moons(40)
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=100.0)
    schedule = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.1)
    history = fit_with(model, data, validation=data, optimizer=optimizer, schedule=schedule, epochs=6)
    expected, best = [100.0], math.inf
    for value in history.val_loss:
        expected.append(expected[-1] * (0.1 if value >= best * (1 - 1e-4) else 1.0))
        best = min(best, value)
    assert_allclose(history.lr, expected[:6])
    assert history.lr[-1] < 100


def test_lbfgs_is_given_its_closure() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(40, 3))
    y = x @ [[1.0], [-2.0], [0.5]] + 0.25
    model = nn.Linear(3, 1).double()
    optimizer = optim.LBFGS(
        model.parameters(), tolerance_grad=1e-10, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )
    history = fit_with(model, (x, y), loss="mse", optimizer=optimizer, batch_size=None)
    assert_allclose(model.weight.numpy(), [[1.0, -2.0, 0.5]], atol=1e-6)
    assert history.loss[-1] < 1e-10


def test_a_loader_decides_on_the_batches() -> None:
    data = pl.data.two_moons(50)
    a, b = network(), network()
    fit_with(a, pl.data.Loader(data, 8, shuffle=True, seed=9))
    fit_with(b, data, batch_size=8, seed=9)
    assert_same_bits(a, b)


def test_data_are_cast_to_the_models_dtype() -> None:
    data = pl.data.two_moons(40)
    model = network().double()
    fit_with(model, (data.x.tolist(), data.y.tolist()))
    assert model(data.x[:1].astype(np.float64)).dtype == pl.float64
    # Whole-number inputs are numbers to a Linear layer.
    pl.fit(
        nn.Linear(1, 1),
        ([[1], [2], [3]], [2.0, 4.0, 5.0]),
        loss=lambda p, y: ((p[:, 0] - y) ** 2).mean(),
        optimizer="sgd",
        epochs=1,
        **QUIET,
    )


def test_modes_are_as_before_and_old_gradients_play_no_part() -> None:
    data = pl.data.two_moons(40)
    a, b = network(0, nn.Dropout(0.5)), network(0, nn.Dropout(0.5))
    a[2].eval()
    b[2].eval()
    (a(data.x) * 1e6).sum().backward()
    pl.manual_seed(1)
    fit_with(a, data)
    pl.manual_seed(1)
    fit_with(b, data)
    assert_same_bits(a, b)
    assert [m.training for m in a] == [True, True, False, True]


def test_predict_is_in_evaluation_mode_and_leaves_the_mode() -> None:
    model = network(0, nn.Dropout(0.9))
    x = pl.data.two_moons(50).x
    whole = pl.predict(model, x)
    assert model.training
    model.eval()
    assert_array_equal(whole, model(x).numpy())
    assert_allclose(pl.predict(model, x.tolist(), batch_size=7), whole, rtol=1e-5, atol=1e-6)
    assert not model.training
    assert pl.predict(model, pl.data.two_moons(50)).shape == (50, 2)
    with pytest.raises(DataError, match=r"NaN|nan"):
        pl.predict(model, [[math.nan, 1.0]])


def test_the_threshold_follows_the_network() -> None:
    x, y = np.array([[-3.0], [-1.0], [1.0], [3.0]]), np.array([[0.0], [1.0], [1.0], [1.0]])
    model = nn.Linear(1, 1)
    model.load_state_dict({"weight": [[1.0]], "bias": [0.0]})
    assert pl.evaluate(model, (x, y), metrics=["accuracy"]) == {"accuracy": 3 / 4}
    probabilities = nn.Sequential(model, nn.Sigmoid())
    assert pl.evaluate(probabilities, (x, y), loss="bce", metrics=["accuracy"])["accuracy"] == 3 / 4
    assert pl.evaluate(probabilities, (x, y), metrics=["accuracy"])["accuracy"] == 3 / 4


@pytest.mark.parametrize("rows", [40, 1500])
def test_evaluate_refuses_softmax_before_cross_entropy(rows: int) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Softmax(axis=1))
    with pytest.raises(pl.errors.ModelError, match="cross_entropy takes logits, but its input is the output of soft"):
        pl.evaluate(model, pl.data.two_moons(rows), loss="cross_entropy")


def test_the_json_logger_writes_a_line_an_epoch(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "metrics.jsonl"
    history = fit_with(network(), pl.data.two_moons(40), callbacks=[JSONLogger(path)], metrics="accuracy")
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert [line["loss"] for line in lines] == history.loss
    assert [line["accuracy"] for line in lines] == history.accuracy


def test_model_checkpoints_are_saved_when_they_are_the_best_or_due(tmp_path: Path) -> None:
    saved: list[tuple[str, int]] = []
    script = Scripted([0.1, 0.5, 0.4, 0.9, 0.2])
    model = network()

    def save(model: Any, path: Path) -> None:
        saved.append((path.name, len(script.weights)))

    fit_with(
        model,
        pl.data.two_moons(40),
        epochs=5,
        metrics=[pl.train.Metric("quality", lambda p, t: script.metric_value, "max")],
        callbacks=[
            script,
            ModelCheckpoint(tmp_path / "best", "quality", save=save),
            ModelCheckpoint(tmp_path / "last", best_only=False, every=2, save=save),
        ],
    )
    assert [n for name, n in saved if name == "best"] == [1, 2, 4]
    assert [n for name, n in saved if name == "last"] == [2, 4, 5]


def test_a_model_checkpoint_is_a_file_that_load_reads(tmp_path: Path) -> None:
    data = pl.data.two_moons(40)
    model = network()
    history = fit_with(
        model,
        data,
        epochs=4,
        optimizer=optim.SGD(model.parameters(), lr=100.0),
        validation=data,
        restore_best=True,
        callbacks=ModelCheckpoint(tmp_path / "runs" / "best.safetensors"),
    )
    assert history.best_epoch != 3
    loaded = pl.load(tmp_path / "runs" / "best.safetensors")
    assert_allclose(loaded.predict(data.x), pl.predict(model, data.x), rtol=1e-6)


def test_a_non_finite_loss_keeps_the_best_weights(recwarn: pytest.WarningsRecorder) -> None:
    data = pl.data.two_moons(40)
    model, script = network(), Scripted([0.0] * 9)
    calls = {"n": 0}

    def loss(y_pred: pl.Tensor, y: pl.Tensor) -> pl.Tensor:
        calls["n"] += 1
        value = nn.functional.cross_entropy(y_pred, y)
        # Two steps and two evaluations an epoch: the loss breaks in the third epoch's first step.
        return value if calls["n"] <= 6 else value / 0.0

    with pytest.raises(NonFiniteError) as caught:
        fit_with(model, data, loss=loss, epochs=9, validation=data, callbacks=[script], batch_size=20, checks=False)
    history = caught.value.history  # type: ignore[attr-defined]
    assert (history.stopped_by, len(history), history.restored_epoch) == ("non_finite", 2, history.best_epoch)
    for name, value in weights(model).items():
        assert_array_equal(value, script.weights[history.best_epoch][name])
