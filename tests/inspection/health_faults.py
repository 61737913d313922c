"""Training runs with one planted fault each, by name: the arguments of `doctor`, and the diagnosis that is right."""

from collections.abc import Callable
from typing import Any

import numpy as np

import pellucid as pl
from pellucid import data, nn, optim
from pellucid.data import Dataset
from tests.inspection.health_cases import Case, adam, case, mlp, split, table


def digits_case(model: nn.Module | None = None, rows: Dataset | None = None, lr: float = 0.003, **more: Any) -> Case:
    train, held_out = split((data.digits() if rows is None else rows)[:1000])
    model = mlp(64, 32, 32, 10) if model is None else model
    return case(model, train, "cross_entropy", adam(model, lr), **{"validation": held_out, "epochs": 5, **more})


def table_case(model: nn.Module, rows: Dataset | None = None, lr: float = 0.003, **more: Any) -> Case:
    return case(model, table() if rows is None else rows, "mse", adam(model, lr), **{"epochs": 5, **more})


def changed(rows: Dataset, **parts: Any) -> Dataset:
    return Dataset(parts.get("x", rows.x), parts.get("y", rows.y))


def shuffled_labels() -> Case:
    rows = data.digits()
    return digits_case(rows=changed(rows, y=np.random.default_rng(0).permutation(rows.y)))


def sorted_labels() -> Case:
    rows = data.digits()[:1000]
    model = mlp(64, 32, 10)
    return case(
        model, rows[np.argsort(rows.y, kind="stable")], "cross_entropy", optim.SGD(model.parameters(), lr=0.1),
        epochs=3, shuffle=False,
    )  # fmt: skip


def large_feature() -> Case:
    rows = table()
    return table_case(mlp(8, 32, 1), changed(rows, x=rows.x * np.array([1, 1, 1, 1, 1, 1, 1, 1e4], np.float32)))


def small_features() -> Case:
    rows = table()
    scales = np.array([1, 1, 1, 20, 20, 20, 0.01, 0.01], np.float32)
    return table_case(mlp(8, 32, 1), changed(rows, x=rows.x * scales))


def constant_column() -> Case:
    rows = table()
    x = rows.x.copy()
    x[:, 5] = 0.7
    return table_case(mlp(8, 32, 1), changed(rows, x=x), epochs=15)


def rows_in_both_parts() -> Case:
    train, held_out = split(data.digits())
    both = Dataset(np.concatenate([held_out.x, train.x[:150]]), np.concatenate([held_out.y, train.y[:150]]))
    model = mlp(64, 32, 10)
    return case(model, train, "cross_entropy", adam(model), validation=both, epochs=3)


def rare_class() -> Case:
    rows = data.digits()
    keep = np.concatenate([np.flatnonzero(rows.y != 3), np.flatnonzero(rows.y == 3)[:5]])
    keep = np.random.default_rng(0).permutation(keep)
    return digits_case(rows=Dataset(rows.x[keep], rows.y[keep]), validation=None)


def zero_weights() -> Case:
    model = mlp(64, 32, 10)
    for p in model.parameters():
        nn.init.zeros_(p)
    return digits_case(model)


def identical_units() -> Case:
    model = mlp(64, 32, 10, activation=nn.Sigmoid)
    for p in model.parameters():
        nn.init.constant_(p, 0.1)
    return digits_case(model)


def dead_relus() -> Case:
    model = mlp(64, 32, 10)
    nn.init.constant_(model[0].bias, -10.0)
    return digits_case(model)


def tiny_weights() -> Case:
    model = mlp(64, 128, 64, 32, 10)
    for m in model:
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=0.01)
            nn.init.zeros_(m.bias)
    return digits_case(model, lr=0.0003)


def ten_sigmoids() -> Case:
    return digits_case(mlp(64, *[32] * 10, 10, activation=nn.Sigmoid))


def huge_weights() -> Case:
    model = mlp(64, 64, 64, 64, 10)
    for m in model:
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=1.0)
    return digits_case(model)


def loud_last_layer() -> Case:
    model = mlp(64, 32, 10)
    model[2].weight.assign(model[2].weight * 60.0)
    return digits_case(model)


def saturated_tanh() -> Case:
    model = mlp(64, 32, 10, activation=nn.Tanh)
    model[0].weight.assign(model[0].weight * 100.0)
    return digits_case(model)


class Detached(nn.Module):
    """A network whose first layer is cut off from the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, 32), nn.Linear(32, 10)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.last(pl.relu(self.first(x)).detach())


def detached() -> Case:
    return digits_case(Detached())


def wrong_tanh(x: pl.Tensor) -> pl.Tensor:
    """A tanh with the gradient of an exponential."""
    y = pl.tanh(x).detach()
    z = x * y
    return y + (z - z.detach())


class Applied(nn.Module):
    """A network with a function between its layers or behind them."""

    def __init__(self, between: Any, inputs: int = 64, outputs: int = 10, behind: Any = lambda z: z) -> None:
        super().__init__()
        pl.manual_seed(0)
        self.first, self.last = nn.Linear(inputs, 32), nn.Linear(32, outputs)
        self.between, self.behind = between, behind

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.behind(self.last(self.between(self.first(x))))


class PartDetached(nn.Module):
    """A network of two ways, one of which is cut off from what comes before it."""

    def __init__(self) -> None:
        super().__init__()
        pl.manual_seed(0)
        self.first, self.second, self.last = nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, 10)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        h = pl.relu(self.first(x))
        return self.last(h + pl.relu(self.second(h.detach())))


def part_detached() -> Case:
    return digits_case(PartDetached())


def wrong_gradient() -> Case:
    return digits_case(Applied(wrong_tanh))


def softmax_twice() -> Case:
    return digits_case(Applied(pl.relu, behind=pl.softmax))


def sigmoid_for_wide_targets() -> Case:
    rows = table()
    return table_case(Applied(pl.relu, 8, 1, pl.sigmoid), changed(rows, y=rows.y * 4 - 3))


def huge_targets() -> Case:
    rows = table()
    return table_case(mlp(8, 32, 1), changed(rows, y=rows.y * 3e4 + 2e5))


def high_rate() -> Case:
    return digits_case(lr=3.0)


def high_rate_sgd() -> Case:
    model = mlp(8, 32, 32, 1)
    return case(model, table(), "mse", optim.SGD(model.parameters(), lr=5.0), epochs=5)


def low_rate() -> Case:
    return digits_case(lr=1e-8)


def low_rate_sgd() -> Case:
    model = mlp(2, 16, 2, activation=nn.Tanh)
    return case(model, data.two_moons(400), "cross_entropy", optim.SGD(model.parameters(), lr=1e-6), epochs=5)


def killed_relus() -> Case:
    """A rate at which the first updates leave most units dead, though the loss stays near that of a constant output."""
    model = mlp(64, 32, 32, 10)
    return {**digits_case(model), "optimizer": optim.SGD(model.parameters(), lr=2.0)}


def overfitted() -> Case:
    rows = table(300, seed=1)
    noisy = Dataset(rows.x, rows.y + np.random.default_rng(2).normal(size=rows.y.shape).astype(np.float32))
    train, held_out = split(noisy, 0.5)
    model = mlp(8, 128, 128, 1)
    return case(model, train, "mse", adam(model, 0.003), validation=held_out, epochs=80)


def logarithm_of_negatives() -> Case:
    return digits_case(Applied(pl.log))


def not_finite_later() -> Case:
    # log(x) of a sum of squares that one row in the data makes 0.
    rows = data.digits()[:400]
    x = rows.x.copy()
    x[123] = 0.0
    model = Applied(pl.relu)

    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return self.inner(x / pl.sqrt((x * x).sum(axis=1, keepdims=True)))

    net = Normed()
    return case(net, Dataset(x, rows.y), "cross_entropy", adam(net), epochs=2)


def other_optimizer() -> Case:
    return {**digits_case(), "optimizer": adam(mlp(64, 32, 10))}


def label_out_of_range() -> Case:
    rows = data.digits()[:400]
    y = rows.y.copy()
    y[77] = 12
    return case(m := mlp(64, 32, 10), Dataset(rows.x, y), "cross_entropy", adam(m), epochs=2)


def nan_in_data() -> Case:
    rows = data.digits()[:400]
    x = rows.x.copy()
    x[7, 3] = np.nan
    return case(m := mlp(64, 32, 10), (x, rows.y), "cross_entropy", adam(m), epochs=2)


FAULTS: dict[str, tuple[Callable[[], Case], str]] = {
    f.__name__: (f, name)
    for f, name in (
        (shuffled_labels, "independent-labels"),
        (sorted_labels, "sorted-labels"),
        (large_feature, "large-inputs"),
        (small_features, "unequal-scales"),
        (constant_column, "constant-features"),
        (rows_in_both_parts, "rows-in-both-parts"),
        (rare_class, "class-imbalance"),
        (zero_weights, "start-no-gradient"),
        (identical_units, "start-identical-units"),
        (dead_relus, "dead-units"),
        (tiny_weights, "vanishing-activations"),
        (ten_sigmoids, "vanishing-gradients"),
        (huge_weights, "exploding-activations"),
        (loud_last_layer, "start-loss"),
        (saturated_tanh, "saturated-units"),
        (detached, "unreached"),
        (wrong_gradient, "wrong-gradient"),
        (part_detached, "wrong-gradient"),
        (softmax_twice, "activation-before-loss"),
        (sigmoid_for_wide_targets, "cannot-fit-two-rows"),
        (huge_targets, "large-targets"),
        (high_rate, "learning-rate-too-high"),
        (high_rate_sgd, "learning-rate-too-high"),
        (killed_relus, "learning-rate-too-high"),
        (low_rate, "learning-rate-too-low"),
        (low_rate_sgd, "learning-rate-too-low"),
        (overfitted, "overfitting"),
        (logarithm_of_negatives, "non-finite-op"),
        (not_finite_later, "non-finite-op"),
        (other_optimizer, "other-parameters"),
        (label_out_of_range, "label-range"),
        (nan_in_data, "non-finite-data"),
    )
}
