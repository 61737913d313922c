"""Whole trainings that must succeed: a line, XOR over a hundred seeds, the digits over five."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim


def test_a_line_is_learned() -> None:
    x = np.linspace(-1, 1, 64)[:, None]
    pl.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    pl.fit(model, (x, x), loss="mse", optimizer=optimizer, epochs=300, batch_size=16, schedule="cosine", verbose=0)
    assert pl.evaluate(model, (x, x), metrics=["mse"])["mse"] < 1e-4


@pytest.mark.slow
def test_xor_is_solved_for_95_of_100_seeds() -> None:
    points = pl.data.xor()
    y = points.y[:, None].astype(np.float32)
    solved = 0
    for seed in range(100):
        pl.manual_seed(seed)
        model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
        pl.fit(
            model,
            (points.x, y),
            loss=nn.BCEWithLogitsLoss(),
            optimizer=optim.Adam(model.parameters(), lr=0.05),
            epochs=300,
            batch_size=None,
            seed=seed,
            verbose=0,
        )
        solved += pl.evaluate(model, (points.x, y), metrics=["accuracy"])["accuracy"] == 1.0
    assert solved >= 95


@pytest.mark.slow
def test_the_digits_reach_967_thousandths_in_the_mean_of_5_seeds() -> None:
    train, test = pl.data.train_test_split(pl.data.digits(), test_size=0.25, seed=0, stratify=True)
    accuracies = []
    for seed in range(5):
        pl.manual_seed(seed)
        model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10))
        assert model.num_parameters() == 64 * 16 + 16 + 16 * 16 + 16 + 16 * 10 + 10
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        pl.fit(
            model,
            train,
            loss=nn.CrossEntropyLoss(),
            optimizer=optimizer,
            epochs=60,
            batch_size=32,
            schedule="cosine",
            seed=seed,
            verbose=0,
        )
        accuracies.append(pl.evaluate(model, test, metrics=["accuracy"])["accuracy"])
    assert np.mean(accuracies) >= 0.967
