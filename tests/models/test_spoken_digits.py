"""The networks for spoken words: shapes, PyTorch's counts of parameters, any length of sound, and, slowly, the accuracy
on the published test split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from pellucid.models import SpokenWordCNN, SpokenWordGRU

BOTH = [SpokenWordCNN, SpokenWordGRU]


@pytest.mark.parametrize(
    ("network", "count"),
    [
        # 2·32; 48·32·5 + 48 + 2·48; twice 48·48·5 + 48 + 2·48; 10·48 + 10
        (SpokenWordCNN, 64 + 7824 + 2 * 11664 + 490),
        # 2·32; 3·64·(32 + 64 + 2); 10·64 + 10
        (SpokenWordGRU, 64 + 18816 + 650),
    ],
)
def test_parameters(network: Any, count: int) -> None:
    assert sum(p.size for p in network().parameters()) == count


@pytest.mark.parametrize("network", BOTH)
def test_shapes_and_lengths(network: Any) -> None:
    pl.manual_seed(0)
    net = network(num_classes=3, sample_rate=16000, n_mels=24).eval()
    for samples in (4000, 16001):
        assert net(np.zeros((2, samples), np.float32)).shape == (2, 3)
    assert np.isfinite(net(np.zeros((1, 8000), np.float32)).numpy()).all()
    with pytest.raises(ShapeError, match="too short for a frame"):
        net(np.zeros((2, 100), np.float32))
    with pytest.raises(DTypeError, match="whole numbers of a sound"):
        net(pl.Tensor(np.zeros((2, 8000), np.int16)))


@pytest.mark.parametrize("network", BOTH)
def test_a_few_steps_lower_the_loss_and_the_saved_network_takes_waveforms(network: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(16) % 2
    seconds = np.arange(2000) / 8000
    x = (np.sin(2 * np.pi * (400 + 800 * y[:, None]) * seconds) * rng.uniform(0.1, 0.9, (16, 1))).astype(np.float32)
    pl.manual_seed(0)
    net = network(2)
    history = pl.fit(
        net,
        (x, y),
        loss="cross_entropy",
        optimizer=pl.optim.Adam(net.parameters(), 0.01),
        epochs=8,
        batch_size=8,
        verbose=0,
    )
    assert history.loss[-1] < 0.5 * history.loss[0]
    pl.save(net, tmp_path / "net.safetensors", example=x)
    expected = pl.predict(net, x)
    np.testing.assert_allclose(pl.predict(pl.load(tmp_path / "net.safetensors"), x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("network", BOTH)
def test_constraints(network: Any) -> None:
    for name, constraint in network.__init__.constraints.items():
        for value in constraint.invalid():
            with pytest.raises((ArgumentError, ArgumentTypeError), match=f"{network.__name__}: {name}"):
                network(**{name: value})


@pytest.mark.long
@pytest.mark.parametrize(("network", "epochs"), [(SpokenWordCNN, 5), (SpokenWordGRU, 9)])
def test_the_digits_are_learned(network: Any, epochs: int, data_folder: Path) -> None:
    train, test = (pl.data.spoken_digits(split, data_folder, download=False) for split in ("train", "test"))
    pl.manual_seed(0)
    net = network()
    optimizer = pl.optim.Adam(net.parameters(), lr=0.01)
    schedule = pl.optim.schedules.OneCycleLR(optimizer, max_lr=0.01, total_steps=43 * epochs)
    pl.fit(
        net,
        train,
        loss="cross_entropy",
        optimizer=optimizer,
        schedule=schedule,
        epochs=epochs,
        batch_size=64,
        verbose=0,
    )
    assert pl.evaluate(net, test, metrics=["accuracy"], loss="cross_entropy")["accuracy"] >= 0.95
