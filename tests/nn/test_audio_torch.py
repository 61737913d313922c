"""Spectrograms against PyTorch's short-time Fourier transform, in float64, over every option; gradients too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.nn import functional as F

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

X = np.random.default_rng(4).normal(size=(2, 200))
WINDOWS = {
    "hann": torch.hann_window,
    "hamming": torch.hamming_window,
    "blackman": torch.blackman_window,
    "boxcar": torch.ones,
}


def theirs(
    x: Any, n_fft: int, length: int, hop: int, window: str, power: float, normalized: bool, **options: Any
) -> Any:
    """As torchaudio 2 defines `functional.spectrogram` on `torch.stft`."""
    shape = WINDOWS[window](length, dtype=torch.float64)
    y = torch.stft(x, n_fft, hop, length, shape, return_complex=True, **options)
    if normalized:
        y = y / shape.pow(2.0).sum().sqrt()
    return y.abs().pow(power)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("power", [1.0, 2.0, 0.7])
@pytest.mark.parametrize(("n_fft", "length", "hop"), [(32, 32, 8), (33, 33, 11), (32, 20, 7), (32, 21, 40)])
@pytest.mark.parametrize(
    ("center", "pad_mode"), [(True, "reflect"), (True, "replicate"), (True, "constant"), (False, "reflect")]
)
def test_values_and_gradients(
    n_fft: int, length: int, hop: int, window: str, power: float, center: bool, pad_mode: str
) -> None:
    normalized = power == 2
    a = pl.Tensor(X, requires_grad=True)
    b = torch.tensor(X, requires_grad=True)
    y = F.spectrogram(a, n_fft, length, hop, 0, window, power, normalized, center, pad_mode)
    t = theirs(b, n_fft, length, hop, window, power, normalized, center=center, pad_mode=pad_mode)
    np.testing.assert_allclose(y.numpy(), t.detach().numpy(), rtol=1e-9, atol=1e-9)
    weight = np.random.default_rng(5).normal(size=y.shape)
    (y * weight).sum().backward()
    (t * torch.tensor(weight)).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-8, atol=1e-8)


def test_zeros_at_both_ends() -> None:
    y = F.spectrogram(X, 32, 32, 8, 5)
    t = theirs(torch.nn.functional.pad(torch.tensor(X), (5, 5)), 32, 32, 8, "hann", 2.0, False)
    np.testing.assert_allclose(y.numpy(), t.numpy(), rtol=1e-9, atol=1e-9)


def test_defaults() -> None:
    x = np.random.default_rng(6).normal(size=1000)
    t = theirs(torch.tensor(x), 400, 400, 200, "hann", 2.0, False)
    np.testing.assert_allclose(F.spectrogram(x).numpy(), t.numpy(), rtol=1e-9, atol=1e-9)
