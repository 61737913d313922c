"""Training runs that are in order, by name: the arguments of `doctor` for each."""

from collections.abc import Callable
from typing import Any

import numpy as np

import pellucid as pl
from pellucid import data, nn, optim
from pellucid.data import Dataset, train_test_split

Case = dict[str, Any]


def mlp(*sizes: int, activation: Callable[[], nn.Module] = nn.ReLU, seed: int = 0) -> nn.Sequential:
    pl.manual_seed(seed)
    layers: list[nn.Module] = []
    for n in range(len(sizes) - 1):
        layers += [nn.Linear(sizes[n], sizes[n + 1]), activation()]
    return nn.Sequential(*layers[:-1])


def adam(model: nn.Module, lr: float = 0.003) -> optim.Optimizer:
    return optim.Adam(model.parameters(), lr=lr)


def case(model: nn.Module, rows: Any, loss: Any, optimizer: optim.Optimizer, **more: Any) -> Case:
    return {"model": model, "data": rows, "loss": loss, "optimizer": optimizer, "seeds": 2, **more}


def split(rows: Dataset, size: float = 0.25) -> tuple[Dataset, Dataset]:
    return train_test_split(rows, test_size=size, seed=0)  # type: ignore[no-any-return]


def table(rows: int = 400, seed: int = 0) -> Dataset:
    """Eight standardised features, and a target that four of them make."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 8)).astype(np.float32)
    y = x[:, :1] * x[:, 1:2] + np.sin(2 * x[:, 2:3]) - 0.5 * x[:, 3:4] + 0.05 * random.normal(size=(rows, 1))
    return Dataset(x, y.astype(np.float32))


def digits_mlp() -> Case:
    train, held_out = split(data.digits())
    model = mlp(64, 32, 10)
    return case(model, train, "cross_entropy", adam(model), validation=held_out, epochs=10)


def moons_sgd() -> Case:
    train, held_out = split(data.two_moons(400))
    model = mlp(2, 16, 2, activation=nn.Tanh)
    sgd = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return case(model, train, "cross_entropy", sgd, validation=held_out, epochs=30)


def table_regression() -> Case:
    train, held_out = split(table())
    model = mlp(8, 32, 32, 1)
    return case(model, train, "mse", adam(model), validation=held_out, epochs=15)


def digits_cnn() -> Case:
    train, held_out = split(data.digits()[:800])
    pictures = [Dataset(p.x.reshape(-1, 1, 8, 8), p.y) for p in (train, held_out)]
    pl.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    return case(model, pictures[0], "cross_entropy", adam(model, 0.01), validation=pictures[1], epochs=4)


def logistic_blobs() -> Case:
    pl.manual_seed(0)
    model = nn.Linear(2, 3)
    return case(model, data.blobs(300), "cross_entropy", optim.SGD(model.parameters(), lr=0.1), epochs=15)


def deep_dropout() -> Case:
    pl.manual_seed(0)
    layers: list[nn.Module] = []
    for n in range(4):
        layers += [nn.Linear(64 if n == 0 else 48, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Dropout(0.2)]
    model = nn.Sequential(*layers, nn.Linear(48, 10))
    train, held_out = split(data.digits())
    adamw = optim.AdamW(model.parameters(), lr=0.003)
    return case(model, train, "cross_entropy", adamw, validation=held_out, epochs=6, schedule="one_cycle")


def spirals_binary() -> Case:
    rows = data.spirals(300)
    model = mlp(2, 32, 32, 1, activation=nn.Tanh)
    both = Dataset(rows.x, rows.y[:, None].astype(np.float32))
    return case(model, both, "bce_with_logits", adam(model, 0.01), epochs=60)


def autoencoder() -> Case:
    x = data.digits().x[:800]
    model = nn.Sequential(mlp(64, 32, 8), nn.ReLU(), mlp(8, 32, 64, seed=1), nn.Sigmoid())
    return case(model, Dataset(x, x), "mse", adam(model, 0.005), epochs=10)


TEXT = "the quick brown fox jumps over the lazy dog and the small cat sits on the mat while the sun goes down. " * 30


def tiny_gpt() -> Case:
    letters = sorted(set(TEXT))
    tokens = np.array([letters.index(c) for c in TEXT])
    pl.manual_seed(0)
    model = pl.models.GPT(len(letters), block_size=16, n_layer=2, n_head=2, n_embd=32)
    return case(
        model, data.text_windows(tokens, 16), pl.models.NextTokenLoss(), optim.AdamW(model.parameters(), lr=0.003),
        epochs=4, batch_size=16,
    )  # fmt: skip


class LastStep(nn.Module):
    """A recurrent layer, of which the last output is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(1, 16, batch_first=True)
        self.head = nn.Linear(16, 2)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.head(self.rnn(x)[0][:, -1])


def sequences() -> Case:
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 10, 1)).astype(np.float32)
    pl.manual_seed(0)
    model = LastStep()
    return case(model, (x, (x.mean(axis=(1, 2)) > 0).astype(int)), "cross_entropy", adam(model, 0.01), epochs=8)


def residual() -> Case:
    pl.manual_seed(0)
    blocks = [nn.Residual(nn.Sequential(nn.LayerNorm(24), nn.Linear(24, 24), nn.GELU())) for _ in range(8)]
    model = nn.Sequential(nn.Linear(8, 24), *blocks, nn.LayerNorm(24), nn.Linear(24, 1))
    return case(model, table(), "smooth_l1", adam(model), epochs=8)


def mnist_part() -> Case:
    rows = data.mnist()[:1500]
    train, held_out = split(Dataset(rows.x.reshape(len(rows), -1).astype(np.float32) / 255, rows.y))
    model = mlp(784, 64, 10)
    return case(model, train, "cross_entropy", adam(model), validation=held_out, epochs=5)


HEALTHY: dict[str, Callable[[], Case]] = {
    f.__name__: f
    for f in (
        digits_mlp, moons_sgd, table_regression, digits_cnn, logistic_blobs, deep_dropout, spirals_binary, autoencoder,
        tiny_gpt, sequences, residual,
    )
}  # fmt: skip
