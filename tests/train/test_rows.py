"""Outputs of many rows: the work of a row is counted, and machine code is made where it repays that."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.core.context import no_grad
from pellucid.errors import ShapeError
from pellucid.train import rows
from pellucid.train.rows import Work

RNG = np.random.default_rng(0)
X = RNG.standard_normal((150, 1, 6, 6)).astype("f4")


def network() -> nn.Sequential:
    pl.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 4), nn.Dropout(0.5)
    )
    model[1].running_mean.assign(pl.Tensor([0.5, -0.5, 0.1]))
    return model


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machine code costs nothing, and takes few rows at once."""
    pytest.importorskip("llvmlite")
    monkeypatch.delenv("PELLUCID_COMPILE", raising=False)
    for name, value in {"_START_S": 0.0, "_COMPILE_S": 0.0, "_COMPILED_ROWS": 16, "_ROWS": 20}.items():
        monkeypatch.setattr(rows, name, value)


def by_operations(model: nn.Module, x: np.ndarray) -> np.ndarray:
    model.eval()
    with no_grad():
        return np.concatenate([model(pl.Tensor(row)).numpy() for row in np.split(x, len(x))])


def test_the_work_of_a_row_is_that_of_its_operations() -> None:
    work = Work()
    layer = nn.Linear(100, 50)
    work.follow(lambda: layer(pl.Tensor(X[:40].reshape(40, 36)[:, :10].repeat(10, axis=1))))
    assert work.operations == 1
    assert work.seconds == pytest.approx(5e-6 + 40 * 100 * 50 * 6e-11 + 40 * 50 * 1e-9)
    assert work.largest == 40 * 50 * 4


def test_machine_code_must_save_what_it_takes() -> None:
    work = Work()
    work.operations, work.seconds = 100, 0.9
    # Of 0.01 s a row two thirds are saved; 1.1 s are needed for 100 operations.
    assert not work.repays(90, 164)
    assert work.repays(90, 166)


@pytest.mark.parametrize(("largest", "fit"), [(1000, 64), (1 << 20, 64), (1 << 24, 32), (1 << 26, 8), (1 << 31, 1)])
def test_large_results_leave_room_for_few_rows(largest: int, fit: int) -> None:
    work = Work()
    work.largest = largest
    assert work.rows_that_fit(8) == fit


@pytest.mark.parametrize("count", [21, 36, 52, 150])
def test_machine_code_gives_what_operations_give(cheap: None, count: int) -> None:
    model = network()
    model.train()
    y = pl.predict(model, X[:count])
    assert model.training
    np.testing.assert_allclose(y, by_operations(model, X[:count]), rtol=1e-5, atol=1e-6)
    kept = next(iter(vars(model)["_compiled"].values()))
    assert kept.tier == "llvm"
    # Weights that change count, and so does what was learned since.
    model[4].weight.data[...] *= 2
    again = pl.predict(model, X[:count])
    np.testing.assert_allclose(again, by_operations(model, X[:count]), rtol=1e-5, atol=1e-6)
    assert not np.allclose(again, y)


def test_few_rows_are_not_worth_it() -> None:
    model = network()
    pl.predict(model, X)
    assert "_compiled" not in vars(model)


def test_hooks_hear_of_every_call(cheap: None) -> None:
    model, seen = network(), []
    model[0].register_forward_hook(lambda module, args, output: seen.append(len(output.data)))
    pl.predict(model, X)
    assert sum(seen) == len(X)


def test_compiling_can_be_switched_off(cheap: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_COMPILE", "off")
    model = network()
    pl.predict(model, X)
    assert "_compiled" not in vars(model)


def test_outputs_of_another_shape_are_refused(cheap: None) -> None:
    class Growing(nn.Module):
        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return x[:, : len(x.data)]

    with pytest.raises(ShapeError):
        pl.predict(Growing(), RNG.standard_normal((150, 99)).astype("f4"))


class Scaled(nn.Module):
    """Divides every row by its largest value, which no operation shows."""

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return x / np.abs(x.data).max(axis=1, keepdims=True)


class Likeliest(nn.Module):
    """Gives the largest value's place, which no operation shows."""

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return pl.Tensor(x.data.argmax(axis=1))


class Wider(nn.Module):
    """Gives one column more where there are 20 rows at once."""

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return x[:, :3] if len(x.data) >= 20 else x[:, :2]


@pytest.mark.parametrize("kind", [Scaled, Likeliest, Wider])
@pytest.mark.parametrize("count", [40, 140])
def test_where_python_looked_at_the_rows_operations_compute_them(
    cheap: None, monkeypatch: pytest.MonkeyPatch, kind: type[nn.Module], count: int
) -> None:
    monkeypatch.setattr(Work, "repays", lambda self, rows, left: True)
    x = RNG.standard_normal((count, 8)).astype("f4")
    tried = pl.predict(kind(), x)
    monkeypatch.setenv("PELLUCID_COMPILE", "off")
    np.testing.assert_array_equal(tried, pl.predict(kind(), x))


def test_outputs_that_are_no_numbers_are_computed_in_machine_code_too(cheap: None) -> None:
    model = nn.Sequential(network(), nn.ReLU())
    model[0][4].weight.data[...] = 3e38
    y = pl.predict(model, X)
    assert np.isinf(y).any()
    np.testing.assert_array_equal(np.isinf(y), np.isinf(by_operations(model, X)))
    assert next(iter(vars(model)["_compiled"].values())).tier == "llvm"


@pytest.mark.filterwarnings("error")
def test_who_did_not_ask_for_compiling_is_not_told_why_there_is_none(cheap: None) -> None:
    class Looking(nn.Module):
        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return x * 2 if x.sum().item() > -1e9 else x

    x = RNG.standard_normal((150, 8)).astype("f4")
    np.testing.assert_array_equal(pl.predict(Looking(), x), 2 * x)


def test_fit_counts_on_all_its_epochs(cheap: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(Work, "repays", lambda self, rows, left: asked.append(left))
    data, model = (X, RNG.integers(0, 4, 150)), network()
    optimizer = pl.optim.SGD(model.parameters(), lr=0.1)
    pl.fit(model, data, loss="cross_entropy", optimizer=optimizer, epochs=3, validation=data, verbose=0, checks=False)
    assert asked == [3 * 130] * 3
