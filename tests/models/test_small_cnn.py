"""SmallCNN against the same network in PyTorch, any size of picture, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import pellucid as pl
from pellucid.errors import ArgumentError, ArgumentTypeError, ShapeError
from pellucid.models import SmallCNN


def test_parameters() -> None:
    # Kernels 24·9, 24·48·9 and 48·96·9; two for each channel of a normalisation; 96·9 to 10, and 10 biases.
    assert SmallCNN().num_parameters() == 216 + 10368 + 41472 + 2 * (24 + 48 + 96) + 8640 + 10


@pytest.mark.torch
def test_it_computes_what_pytorch_computes() -> None:
    torch = pytest.importorskip("torch")
    nn = torch.nn

    def conv(entering: int, leaving: int) -> list:
        return [nn.Conv2d(entering, leaving, 3, padding=1, bias=False), nn.BatchNorm2d(leaving), nn.ReLU()]

    theirs = nn.Sequential(
        *conv(2, 4), nn.MaxPool2d(2), *conv(4, 8), nn.MaxPool2d(2), *conv(8, 16),
        nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(144, 5),
    ).double()  # fmt: skip
    pl.manual_seed(0)
    pl.set_default_dtype("float64")
    try:
        ours = SmallCNN(5, 4, in_channels=2)
    finally:
        pl.set_default_dtype("float32")
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.copy_(torch.from_numpy(mine.numpy().copy()))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 2, 14, 11)), rng.integers(0, 5, 6)
    loss = pl.nn.CrossEntropyLoss()(ours(pl.Tensor(x)), y)
    loss.backward()
    expected = nn.functional.cross_entropy(theirs(torch.from_numpy(x)), torch.from_numpy(y))
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("size", [(28, 28), (8, 8), (4, 9)])
def test_any_size(size: tuple[int, int]) -> None:
    assert SmallCNN(3, 4, in_channels=3)(np.zeros((2, 3, *size), np.float32)).shape == (2, 3)


def test_what_it_refuses() -> None:
    with pytest.raises(ShapeError):
        SmallCNN()(np.zeros((28, 28), np.float32))
    with pytest.raises(ShapeError):
        SmallCNN()(np.zeros((2, 1, 3, 3), np.float32))
    for name, constraint in SmallCNN.__init__.constraints.items():
        for value in constraint.invalid():
            with pytest.raises((ArgumentError, ArgumentTypeError), match=f"SmallCNN: {name}"):
                SmallCNN(**{name: value})
