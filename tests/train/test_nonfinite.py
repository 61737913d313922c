"""A loss that is not finite is explained: operation, layer, rows and input range; or the data, or the weights."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import pellucid as pl
from pellucid import nn, optim
from pellucid.data import Loader
from pellucid.errors import DataError, NonFiniteError


class Exponential(nn.Module):
    """A layer that overflows float32 above 88.7."""

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return pl.exp(x)


def rows() -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(-1, 1, 40, dtype=np.float32)[:, None]
    x[17] = 95.0
    return x, np.zeros((40, 1), np.float32)


def identity(model: nn.Module) -> nn.Module:
    model.load_state_dict({name: np.ones(p.shape) * (p.ndim == 2) for name, p in model.named_parameters()})
    return model


def failing(model: nn.Module, data: Any, **options: Any) -> NonFiniteError:
    options = {"loss": nn.MSELoss(), "epochs": 3, "shuffle": False, "batch_size": 8, "checks": False, **options}
    options.setdefault("optimizer", optim.SGD(model.parameters(), lr=1e-9))
    with pytest.raises(NonFiniteError) as caught:
        pl.fit(model, data, verbose=0, **options)
    return caught.value


def test_an_overflow_is_named_by_operation_layer_row_and_range() -> None:
    model = identity(nn.Sequential(nn.Linear(1, 1), Exponential()))
    error = failing(model, rows())
    # The loss of the batch before, rows 8 to 15, by hand: the mean of exp(x)².
    before = np.exp(2 * np.linspace(-1, 1, 40)[8:16]).mean()
    assert str(error).split("\n")[:3] == [
        "the loss became inf in epoch 1, batch 3 (step 3)",
        (
            "  given:    exp in Sequential › 1 gives inf in 1 of 8 values, at row 17 of the data; "
            "its input: (8, 1) in [-0.1795, 95]"
        ),
        f"  expected: finite values. The loss before it was {before:.4g}; the learning rate is 1e-09.",
    ]


def test_the_batch_at_fault_can_be_replayed() -> None:
    pl.manual_seed(3)
    layers = (nn.Linear(1, 4), nn.Dropout(0.5), nn.BatchNorm1d(4), nn.Linear(4, 1), Exponential())
    model = nn.Sequential(*layers)
    x, y = rows()
    x[17] = 0.5
    losses: list[float] = []

    def loss(y_pred: pl.Tensor, target: pl.Tensor) -> pl.Tensor:
        # Overflows from the 7th batch on, by a number that dropout and running statistics have a part in.
        value = nn.functional.mse_loss(y_pred, target)
        losses.append(float(value.detach().numpy()))
        return value if len(losses) < 7 else value * math.inf

    weights_seen: list[dict[str, np.ndarray]] = []
    keep = pl.train.LambdaCallback(
        on_batch_end=lambda run: weights_seen.append({k: v.numpy().copy() for k, v in run.model.state_dict().items()})
    )
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    error = failing(model, (x, y), loss=loss, optimizer=optimizer, callbacks=[keep])
    assert error.batch is not None
    assert error.state is not None
    assert error.sample_weight is None
    # The second batch of the second epoch, as the network was after the sixth.
    assert_array_equal(error.batch[0].numpy(), x[8:16])
    for name, value in weights_seen[-1].items():
        assert_array_equal(error.state["model"][name], value)
    failed = losses[6]
    model.load_state_dict(error.state["model"])
    pl.core.rng.default_generator.set_state(error.state["random_state"])
    model.train()
    batch, target = error.batch
    again = loss(model(batch), target)
    assert losses[-1] == failed
    assert again.item() == math.inf


def test_an_update_that_breaks_a_weight_has_no_batch() -> None:
    model = nn.Linear(1, 1)
    error = failing(model, rows(), optimizer=optim.SGD(model.parameters(), lr=1e39), batch_size=None)
    assert error.key == "train.non-finite-update"
    assert (error.batch, error.state) == (None, None)


def test_the_rows_are_those_of_the_data_also_when_shuffled() -> None:
    model = identity(nn.Sequential(nn.Linear(1, 1), Exponential()))
    assert "row 17 of the data" in str(failing(model, rows(), shuffle=True, seed=4))


def test_weights_and_running_statistics_are_those_of_the_last_whole_epoch() -> None:
    pl.manual_seed(0)
    a, b = (nn.Sequential(nn.Linear(1, 3), nn.BatchNorm1d(3), nn.Linear(3, 1), Exponential()) for _ in range(2))
    b.load_state_dict(a.state_dict())
    x, y = rows()
    x[17] = 0.5
    calls = {"n": 0}
    batches_an_epoch = 5

    def loss(y_pred: pl.Tensor, target: pl.Tensor) -> pl.Tensor:
        calls["n"] += 1
        value = nn.functional.mse_loss(y_pred, target)
        return value if calls["n"] <= batches_an_epoch + 2 else pl.log(value - value)

    error = failing(a, (x, y), loss=loss, optimizer=optim.SGD(a.parameters(), lr=0.01))
    assert "log in the loss gives -inf" in str(error)
    assert (error.history.steps, len(error.history), error.history.restored_epoch) == (7, 1, 0)
    optimizer = optim.SGD(b.parameters(), lr=0.01)
    for batch, target in Loader((x, y), 8):
        nn.functional.mse_loss(b(batch), target).backward()
        optimizer.step()
    for name, value in a.state_dict().items():
        assert_array_equal(value.numpy(), b.state_dict()[name].numpy(), err_msg=name)


def test_a_learning_rate_that_is_too_high_is_said_to_be() -> None:
    pl.manual_seed(0)
    x = np.linspace(-3, 3, 64)[:, None]
    model = nn.Linear(1, 1)
    error = failing(model, (x, 5 * x), optimizer=optim.SGD(model.parameters(), lr=100.0), batch_size=64, epochs=99)
    assert "The loss had grown from" in error.expected
    assert error.expected.endswith("the learning rate 100 may be too high.")


def test_a_weight_that_is_not_finite_is_named() -> None:
    model = identity(nn.Sequential(nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 1)))
    weight = np.ones((1, 2))
    weight[0, 1] = np.nan
    model[2].weight.assign(pl.Tensor(weight))
    error = failing(model, rows())
    assert error.key == "train.non-finite-parameter"
    assert error.given == "1 of 2 values of 2.weight are not finite"


def test_data_that_are_not_finite_are_a_fault_of_the_data() -> None:
    data = pl.data.Dataset(*rows())
    data.x[3, 0] = math.inf  # behind the data set's back, which refuses it when it is made
    model = nn.Linear(1, 1)
    with pytest.raises(DataError) as caught:
        pl.fit(
            model,
            data,
            loss="mse",
            optimizer=optim.SGD(model.parameters(), lr=0.1),
            epochs=1,
            shuffle=False,
            checks=False,
            verbose=0,
        )
    assert caught.value.given == "x is inf at row 3, column 0"


def test_an_infinity_that_is_meant_is_not_the_fault() -> None:
    class Masked(nn.Module):
        def forward(self, x: pl.Tensor) -> pl.Tensor:
            hidden = pl.where(x > 0.5, -math.inf, x)
            return pl.log(pl.exp(hidden) - pl.exp(hidden))

    model = nn.Sequential(identity(nn.Linear(1, 1)), Masked())
    error = failing(model, rows())
    assert "log in Sequential › 1" in error.given


def test_dropout_draws_the_same_mask_when_the_batch_is_run_again() -> None:
    model = identity(nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 1), Exponential()))
    x, y = rows()
    pl.manual_seed(3)
    x[:] = 60.0  # dropout doubles what it keeps: exp(120) overflows, exp(0) does not
    error = failing(model, (x, y))
    pl.manual_seed(3)
    kept = np.flatnonzero(nn.Dropout(0.5)(np.ones((8, 1), np.float32)).numpy()[:, 0])
    assert 0 < len(kept) < 8
    named = ", ".join(map(str, kept[:5])) + (f" and {len(kept) - 5} more" if len(kept) > 5 else "")
    assert f"inf in {len(kept)} of 8 values, at row" in error.given
    assert f"rows {named} of the data" in error.given


def test_a_gradient_that_is_not_finite_under_a_finite_loss_does_not_pass_unnoticed() -> None:
    class Root(nn.Module):
        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return pl.sqrt(x)  # at 0 the value is 0 and the gradient infinite

    pl.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 1), Root())
    model.load_state_dict({"0.weight": [[1.0]], "0.bias": [0.0]})
    x = np.array([[0.0], [1.0], [4.0]])
    error = failing(model, (x, np.ones((3, 1))), epochs=1)
    assert str(error).split("\n")[:2] == [
        "an update in epoch 1 made a weight that is not finite, though the loss was 0.6667",
        "  given:    1 of 1 values of 0.weight are not finite",
    ]
