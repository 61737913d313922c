"""What a user may hand to `fit`, `evaluate` and `predict`, and what is refused in words instead of trained on."""

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
    DTypeError,
    FileAccessError,
    LabelError,
    ModelError,
    ShapeError,
)
from pellucid.train import EarlyStopping, JSONLogger, ModelCheckpoint

MOONS = pl.data.two_moons(60)


def network(outputs: int = 2) -> nn.Sequential:
    pl.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, outputs))


def fitted(model: Any = None, data: Any = MOONS, **options: Any) -> Any:
    options = {"loss": "cross_entropy", "optimizer": "sgd", "epochs": 1, "verbose": 0, **options}
    return pl.fit(network() if model is None else model, data, **options)


def words(error: pytest.ExceptionInfo[Any]) -> str:
    """The whole message but its last line, which names this file."""
    text, _, at = str(error.value).rpartition("\n  at:       ")
    assert at.startswith("test_fit_arguments.py:")
    return text


@pytest.mark.parametrize("model", [lambda x: x, nn.Linear, None, "net"])
def test_only_a_network_is_trained(model: Any) -> None:
    for call in (
        lambda: pl.fit(model, MOONS, loss="mse", optimizer="sgd", epochs=1),
        lambda: pl.predict(model, MOONS.x),
        lambda: pl.evaluate(model, MOONS),
    ):
        with pytest.raises(ArgumentTypeError, match="this is no network"):
            call()


def test_none_means_no_metrics_and_no_callbacks() -> None:
    assert fitted(metrics=None, callbacks=None).names == ["loss", "lr", "time_s"]


@pytest.mark.parametrize(
    ("options", "error", "what"),
    [
        ({"metrics": 5}, ArgumentTypeError, "this is no metric"),
        ({"metrics": [lambda p, t: 1.0, lambda p, t: 2.0]}, ArgumentError, "two columns"),
        ({"metrics": pl.train.Metric("val_loss", lambda p, t: 1.0)}, ArgumentError, "two columns"),
        ({"callbacks": print}, ArgumentTypeError, "this is no callback"),
        ({"optimizer": lambda p: None}, ArgumentTypeError, "this is no optimizer"),
        ({"optimizer": lambda p: list(p)}, ArgumentTypeError, "this is no optimizer"),
        ({"validation": True}, ArgumentTypeError, "validation is neither data nor a fraction"),
        ({"validation": "0.2"}, ArgumentTypeError, "validation is neither data nor a fraction"),
        ({"validation": 1.5}, ArgumentError, "validation leaves one part without rows"),
        ({"validation": 60}, ArgumentError, "validation leaves one part without rows"),
        ({"validation": float("nan")}, ArgumentError, "validation leaves one part without rows"),
        ({"checkpoint": 3}, ArgumentTypeError, "fit: checkpoint has the wrong type"),
        ({"class_weight": "balance"}, ArgumentTypeError, "class_weight is no table of weights"),
        ({"class_weight": 3}, ArgumentTypeError, "class_weight is no table of weights"),
        ({"class_weight": np.ones((2, 2))}, ArgumentTypeError, "class_weight is no table of weights"),
        ({"class_weight": {0: None, 1: 1.0}}, DataError, "None for class 0"),
        ({"sample_weight": ["a"] * 60}, DTypeError, "these are not numbers"),
        ({"sample_weight": np.ma.masked_less(np.ones(60), 2)}, DTypeError, "masked arrays are not taken"),
        ({"sample_weight": np.ones(70), "validation": 0.2}, ShapeError, "not one weight for each row"),
        ({"sample_weight": np.ones(48), "validation": 0.2}, ShapeError, "not one weight for each row"),
    ],
)
def test_what_is_refused(options: dict[str, Any], error: type[Exception], what: str) -> None:
    with pytest.raises(error, match=what):
        fitted(**options)


def test_a_metric_is_suggested_by_the_beginning_of_its_name() -> None:
    with pytest.raises(ArgumentError) as caught:
        fitted(metrics="acc")
    assert caught.value.fix == "did you mean accuracy?"
    assert fitted(metrics="Accuracy").names[:2] == ["loss", "accuracy"]


def test_a_loss_goes_by_the_name_of_its_class_too() -> None:
    assert fitted(loss="CrossEntropyLoss").loss == fitted(loss="cross_entropy").loss


def test_a_schedule_of_another_optimizer_is_refused() -> None:
    other = optim.StepLR(optim.SGD(network().parameters(), lr=0.1), step_size=1)
    with pytest.raises(ArgumentError) as caught:
        fitted(schedule=other)
    assert words(caught) == (
        "the schedule belongs to another optimizer\n"
        "  given:    a StepLR of an SGD that is not the one given\n"
        "  expected: a schedule made from the optimizer of this call"
    )


@pytest.mark.parametrize(
    "schedule", ["cosine", "one_cycle", "linear", "exponential", "step", lambda o: optim.ExponentialLR(o, gamma=0.1)]
)
def test_a_second_run_with_the_same_optimizer_starts_from_its_own_rate(schedule: Any) -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    options = dict(optimizer.param_groups[0])
    first, second = (fitted(model, optimizer=optimizer, epochs=3, schedule=schedule).lr for _ in range(2))
    assert first == second
    assert dict(optimizer.param_groups[0]) == options
    with pytest.raises(ModelError):  # also of a run that was refused
        fitted(network(), optimizer=optimizer, epochs=3, schedule=schedule)
    assert dict(optimizer.param_groups[0]) == options


def test_a_schedule_of_the_users_own_goes_on() -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    schedule = optim.ExponentialLR(optimizer, gamma=0.5)
    rates = [fitted(model, optimizer=optimizer, epochs=2, schedule=schedule).lr for _ in range(2)]
    assert rates == [[0.5, 0.25], [0.125, 0.0625]]


def test_a_network_without_parameters() -> None:
    with pytest.raises(ModelError, match="Sequential has nothing to train"):
        fitted(nn.Sequential(nn.ReLU()), checks=False)


def test_a_fraction_may_be_any_real_number_and_few_rows_are_held_out_at_random() -> None:
    assert fitted(validation=np.float32(0.25)).names[:2] == ["loss", "val_loss"]
    seen: list[int] = []
    note = pl.train.LambdaCallback(on_train_begin=lambda run: seen.append(len(run.validation)))
    fitted(validation=1, callbacks=note)  # fewer rows than classes
    fitted(validation=np.int64(7), callbacks=note)
    assert seen == [1, 7]


def test_balanced_class_weights_are_those_of_scikit_learn_by_hand() -> None:
    """rows / (classes · rows of the class): of 4 and 2 rows in 2 classes, 3/4 and 3/2."""
    x = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]])
    data = (x, [0, 0, 1, 0, 1, 0])
    a, b = nn.Linear(1, 2, dtype=np.float64), nn.Linear(1, 2, dtype=np.float64)
    b.load_state_dict(a.state_dict())
    fitted(a, data, class_weight="balanced", batch_size=4)
    fitted(b, data, class_weight={0: 3 / 4, 1: 3 / 2}, batch_size=4)
    assert_array_equal(a.weight.numpy(), b.weight.numpy())


@pytest.mark.parametrize(("batch_size", "accumulate"), [(10, 6), (7, 3)])
@pytest.mark.parametrize(
    "options",
    [
        {"sample_weight": np.arange(60) % 3},
        {"sample_weight": np.r_[np.zeros(14), np.ones(46)]},
        {"loss": nn.CrossEntropyLoss(reduction="sum")},
        {"class_weight": [1.0, 5.0], "clip_norm": 0.01},
    ],
    ids=["weights", "a batch without weight", "sum", "classes and clip"],
)
def test_accumulated_batches_make_the_step_of_one_large_batch(
    batch_size: int, accumulate: int, options: dict[str, Any]
) -> None:
    data = pl.data.Dataset(MOONS.x.astype(np.float64), MOONS.y)
    a, b = network().double(), network().double()
    few, many = {"batch_size": batch_size, "accumulate": accumulate}, {"batch_size": batch_size * accumulate}
    for model, batches in ((a, few), (b, many)):
        optimizer = optim.SGD(model.parameters(), lr=0.01)
        fitted(model, data, optimizer=optimizer, shuffle=False, epochs=2, **batches, **options)
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        assert_allclose(p.numpy(), q.numpy(), rtol=1e-12, atol=1e-14)


class Several(nn.Module):
    """Outputs whose rows are not those of the input."""

    def __init__(self, kind: str) -> None:
        self.linear, self.kind = nn.Linear(2, 3), kind

    def forward(self, x: pl.Tensor) -> Any:
        y = self.linear(x)
        kinds: dict[str, Any] = {"mean": y.mean(), "one row": y.mean(axis=0), "tuple": (y, y)}
        kinds["varying"] = y if len(x) > 20 else y[:, :1]
        return kinds[self.kind]


@pytest.mark.parametrize(
    ("kind", "error", "given"),
    [
        ("mean", ShapeError, "outputs of shape () for 40 rows"),
        ("one row", ShapeError, "outputs of shape (3,) for 40 rows"),
        ("tuple", ArgumentTypeError, "tuple"),
        ("varying", ShapeError, "outputs of shape (40, 3) for one batch, (20, 1) for another"),
    ],
)
def test_a_network_gives_a_row_for_each_row(kind: str, error: type[Exception], given: str) -> None:
    with pytest.raises(error) as caught:
        pl.predict(Several(kind), MOONS.x, batch_size=40)
    assert caught.value.given == given  # type: ignore[attr-defined]
    if kind != "varying":
        with pytest.raises(error):
            fitted(Several(kind), checks=False)


@pytest.mark.parametrize(
    ("model", "x", "fix"),
    [
        (nn.Linear(3, 3), [1.0, 2.0, 3.0], "x[None]"),
        (nn.Linear(2, 3), [1.0, 2.0], "x[None]"),
        (nn.Linear(1, 1), [1.0, 2.0, 3.0], "x[:, None]"),
        (nn.Linear(1, 4), np.arange(9), "x[:, None]"),
        (nn.Linear(5, 4), np.arange(9), ""),
    ],
)
def test_x_with_one_axis(model: nn.Module, x: Any, fix: str) -> None:
    with pytest.raises(ShapeError) as caught:
        pl.predict(model, x)
    assert words(caught) == "\n".join(
        [
            "x has one axis: rows, but no features",
            f"  given:    x ({len(x)},)",
            "  expected: x of shape (rows, features), as the network takes it",
            *([f"  fix:      {fix}"] if fix else []),
        ]
    )
    if fix:
        array = np.array(x, float)
        assert pl.predict(model, {"x[None]": array[None], "x[:, None]": array[:, None]}[fix]).ndim == 2
    with pytest.raises(ShapeError, match="x has one axis"):
        fitted(model, (x, np.arange(len(x)) % 2))


def test_validation_targets_are_looked_at_before_the_first_epoch() -> None:
    model = network()
    before = model[0].weight.numpy().copy()
    for y, error in ((np.full(60, 2), LabelError), (MOONS.y[:, None], ShapeError)):
        with pytest.raises(error) as caught:
            fitted(model, validation=(MOONS.x, y))
        assert str(caught.value).endswith(", the validation data")
    assert_array_equal(model[0].weight.numpy(), before)


def test_a_network_may_take_one_axis() -> None:
    assert pl.predict(nn.Embedding(5, 2), [0, 4, 2]).shape == (3, 2)


def test_a_pair_is_read_for_its_inputs_alone() -> None:
    assert_array_equal(pl.predict(network(), (MOONS.x, ["a"] * 60)), pl.predict(network(), MOONS.x))


def test_numbers_beyond_the_networks_dtype() -> None:
    with pytest.raises(DataError, match="x holds numbers too large for float32"):
        pl.predict(network(), [[1e300, 0.0]])
    with pytest.raises(DataError, match="y holds numbers too large for float32"):
        fitted(network(1), ([[1.0, 0.0]], [[1e300]]), loss="mse")
    assert pl.predict(network().double(), [[1e300, 0.0]]).dtype == np.float64


@pytest.mark.parametrize("value", [1.5, np.float64(1.5), None])
def test_a_loss_that_is_no_tensor(value: Any) -> None:
    with pytest.raises(ModelError, match="the loss is not a single number"):
        pl.evaluate(network(), MOONS, loss=lambda p, t: value)
    with pytest.raises(ModelError, match="the loss is not a single number"):
        fitted(loss=lambda p, t: value, checks=False)


@pytest.mark.parametrize("monitor", [3, None, ["loss"]])
def test_what_is_monitored_has_a_name(monitor: Any) -> None:
    with pytest.raises(ArgumentTypeError, match="EarlyStopping: monitor has the wrong type"):
        EarlyStopping(monitor)
    with pytest.raises(ArgumentTypeError, match="ModelCheckpoint: monitor has the wrong type"):
        ModelCheckpoint("m", monitor)


def test_files_are_refused_before_the_first_step(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    model = network()
    before = model[0].weight.numpy().copy()
    with pytest.raises(FileAccessError, match="cannot be read or written"):
        fitted(model, checkpoint=tmp_path / "file")
    with pytest.raises(FileAccessError):
        fitted(model, callbacks=JSONLogger(tmp_path))
    assert_array_equal(model[0].weight.numpy(), before)
    with pytest.raises(FileAccessError):
        fitted(model, callbacks=ModelCheckpoint(tmp_path, "loss"))
    for make in (ModelCheckpoint, JSONLogger):
        with pytest.raises(ArgumentTypeError):
            make(None)
