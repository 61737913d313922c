"""Two small networks for spoken digits and other short words: a waveform enters, a score for each word leaves. Users
and the command line train them.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Integer, Real, checked
from pellucid.core.tensor import Tensor
from pellucid.nn import (
    GRU,
    AdaptiveAvgPool1d,
    BatchNorm1d,
    Conv1d,
    Dropout,
    Flatten,
    Linear,
    LogMelSpectrogram,
    MaxPool1d,
    Module,
    ReLU,
    Sequential,
)
from pellucid.ops.reduce import mean
from pellucid.ops.shape import swapaxes

_RATE, _WIDTH, _CHANCE = Integer(1000), Integer(1), Real(0, 1, right_open=True)


def _features(sample_rate: int, n_mels: int, frames_per_second: int) -> LogMelSpectrogram:
    """Windows of 25 ms, as is usual for speech, in frames of the next power of two, which gives the low bands more
    frequencies."""
    win_length = sample_rate // 40
    n_fft = 1 << (win_length - 1).bit_length()
    return LogMelSpectrogram(sample_rate, n_fft, win_length, sample_rate // frames_per_second, n_mels=n_mels)


class SpokenWordCNN(Module):
    """Convolutions over time, their channels the mel bands; then the mean over time, so that any length will do.

    Parameters
        num_classes : words.
        sample_rate : samples a second, in Hz.
        n_mels : bands of the log-mel spectrogram, of frames of 25 ms every 10 ms.
        channels : of each of the three convolutions.
        dropout : probability before the last layer, in [0, 1).
    Examples
        >>> model = SpokenWordCNN()
        >>> model(pl.zeros((2, 8000))).shape
        (2, 10)
    """

    @checked(num_classes=Integer(2), sample_rate=_RATE, n_mels=_WIDTH, channels=_WIDTH, dropout=_CHANCE)
    def __init__(
        self, num_classes: int = 10, sample_rate: int = 8000, n_mels: int = 32, channels: int = 48, dropout: float = 0.3
    ) -> None:
        self.features = _features(sample_rate, n_mels, 100)
        self.norm = BatchNorm1d(n_mels)
        layers: list[Module] = []
        for entering in (n_mels, channels, channels):
            layers += [Conv1d(entering, channels, 5, padding=2), BatchNorm1d(channels), ReLU(), MaxPool1d(2)]
        self.convolutions = Sequential(*layers)
        self.head = Sequential(AdaptiveAvgPool1d(1), Flatten(), Dropout(dropout), Linear(channels, num_classes))

    def forward(self, x: Any) -> Tensor:
        """x (N, samples) -> scores (N, num_classes)."""
        y: Tensor = self.head(self.convolutions(self.norm(self.features(x))))
        return y


class SpokenWordGRU(Module):
    """A GRU that reads a spectrogram frame by frame; then the mean of its outputs, so that any length will do.

    Parameters
        num_classes : words.
        sample_rate : samples a second, in Hz.
        n_mels : bands of the log-mel spectrogram, of frames of 25 ms every 20 ms.
        hidden_size : features of the GRU's state.
    Examples
        >>> model = SpokenWordGRU()
        >>> model(pl.zeros((2, 8000))).shape
        (2, 10)
    """

    @checked(num_classes=Integer(2), sample_rate=_RATE, n_mels=_WIDTH, hidden_size=_WIDTH)
    def __init__(self, num_classes: int = 10, sample_rate: int = 8000, n_mels: int = 32, hidden_size: int = 64) -> None:
        self.features = _features(sample_rate, n_mels, 50)
        self.norm = BatchNorm1d(n_mels)
        self.gru = GRU(n_mels, hidden_size, batch_first=True)
        self.head = Linear(hidden_size, num_classes)

    def forward(self, x: Any) -> Tensor:
        """x (N, samples) -> scores (N, num_classes)."""
        frames = swapaxes(self.norm(self.features(x)), 1, 2)
        y: Tensor = self.head(mean(self.gru(frames)[0], 1))
        return y
