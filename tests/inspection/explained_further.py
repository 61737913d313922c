"""Networks and losses of the kinds that `explained` has no example of, so that together they have one of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import pellucid as pl
from pellucid import nn
from tests.inspection.explained import behind, image, numbers


def sequence(layer: Callable[[], nn.Module], channels: int = 2) -> Callable[[], nn.Module]:
    """A layer behind a convolution along a line."""
    return lambda: nn.Sequential(nn.Conv1d(1, channels, 2), layer())


def volume(layer: Callable[[], nn.Module], channels: int = 1) -> Callable[[], nn.Module]:
    """A layer behind a convolution in space."""
    return lambda: nn.Sequential(nn.Conv3d(1, channels, 2), layer())


class Unpooled(nn.Module):
    """The largest of each window, put back to where it was."""

    def __init__(self, axes: int) -> None:
        self.conv = getattr(nn, f"Conv{axes}d")(1, 1, 1)
        self.pool = getattr(nn, f"MaxPool{axes}d")(2, return_indices=True)
        self.unpool = getattr(nn, f"MaxUnpool{axes}d")(2)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.unpool(*self.pool(self.conv(x)))


class Listed(nn.Module):
    """Layers in a list and in a dictionary."""

    def __init__(self) -> None:
        self.first = nn.ModuleList([nn.Linear(3, 2), nn.Identity()])
        self.second = nn.ModuleDict({"out": nn.Linear(2, 2)})

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        for layer in self.first:
            x = layer(x)
        return self.second["out"](x)


LINE, PLANE, SPACE = numbers(1, 1, 6), numbers(1, 1, 5, 5), numbers(1, 1, 3, 3, 3)

FURTHER: dict[str, tuple[Callable[[], Any], Any]] = {
    "AdaptiveAvgPool1d": (sequence(lambda: nn.AdaptiveAvgPool1d(2)), LINE),
    "AdaptiveAvgPool3d": (volume(lambda: nn.AdaptiveAvgPool3d(1)), SPACE),
    "AdaptiveMaxPool1d": (sequence(lambda: nn.AdaptiveMaxPool1d(2)), LINE),
    "AdaptiveMaxPool3d": (volume(lambda: nn.AdaptiveMaxPool3d(1)), SPACE),
    "AvgPool1d": (sequence(lambda: nn.AvgPool1d(2)), LINE),
    "AvgPool3d": (volume(lambda: nn.AvgPool3d(2)), SPACE),
    "MaxPool1d": (sequence(lambda: nn.MaxPool1d(2)), LINE),
    "MaxPool3d": (volume(lambda: nn.MaxPool3d(2)), SPACE),
    "LPPool2d": (image(lambda: nn.LPPool2d(2, 2)), PLANE),
    "LPPool3d": (volume(lambda: nn.LPPool3d(2, 2)), SPACE),
    "MaxUnpool1d": (lambda: Unpooled(1), numbers(1, 1, 4)),
    "MaxUnpool2d": (lambda: Unpooled(2), numbers(1, 1, 4, 4)),
    "MaxUnpool3d": (lambda: Unpooled(3), numbers(1, 1, 2, 2, 2)),
    "BatchNorm3d": (volume(lambda: nn.BatchNorm3d(2), 2), SPACE),
    "InstanceNorm2d": (image(lambda: nn.InstanceNorm2d(2, affine=True)), PLANE),
    "InstanceNorm3d": (volume(lambda: nn.InstanceNorm3d(2, affine=True), 2), SPACE),
    **{
        f"{kind}Pad{axes}d": (made, x)
        for kind, arguments in (
            ("Circular", ()),
            ("Constant", (0.5,)),
            ("Reflection", ()),
            ("Replication", ()),
            ("Zero", ()),
        )
        for axes, build, x in ((1, sequence, LINE), (2, image, PLANE), (3, volume, SPACE))
        for made in (build(lambda k=kind, n=axes, a=arguments: getattr(nn, f"{k}Pad{n}d")(1, *a)),)
    },
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(1, 2, 3, stride=2), numbers(1, 1, 3)),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(1, 1, 2), numbers(1, 1, 2, 2, 2)),
    "DepthwiseSeparableConv2d": (lambda: nn.DepthwiseSeparableConv2d(2, 3, 3), numbers(1, 2, 4, 4)),
    "SqueezeExcitation": (lambda: nn.SqueezeExcitation(2, 2), numbers(1, 2, 3, 3)),
    "Fold": (lambda: nn.Sequential(nn.Linear(4, 4), nn.Fold((3, 3), 2)), numbers(1, 4, 4)),
    "PixelUnshuffle": (lambda: nn.Sequential(nn.Conv2d(1, 1, 1), nn.PixelUnshuffle(2)), numbers(1, 1, 4, 4)),
    "Unflatten": (behind(4, lambda: nn.Unflatten(1, (2, 2))), numbers(2, 3)),
    "Softmin": (behind(4, lambda: nn.Softmin(axis=1)), numbers(2, 3)),
    "RReLU": (behind(4, lambda: nn.RReLU()), numbers(2, 3)),
    "StochasticDepth": (behind(4, lambda: nn.StochasticDepth(0.5, "row")), numbers(2, 3)),
    "Parallel": (lambda: nn.Parallel(nn.Linear(3, 2), nn.Linear(3, 1)), numbers(2, 3)),
    "ModuleList and ModuleDict": (Listed, numbers(2, 3)),
    "GRUCell": (lambda: nn.GRUCell(3, 2), numbers(2, 3)),
    "RNNCell": (lambda: nn.RNNCell(3, 2), numbers(2, 3)),
    "LearnedPositionalEncoding": (lambda: nn.LearnedPositionalEncoding(4, max_len=3), numbers(1, 3, 4)),
    "SinusoidalPositionalEncoding": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.SinusoidalPositionalEncoding(4)),
        numbers(1, 3, 4),
    ),
    "RotaryEmbedding": (lambda: nn.Sequential(nn.Linear(4, 4), nn.RotaryEmbedding(4)), numbers(1, 3, 4)),
    "TransformerDecoderLayer": (
        lambda: nn.TransformerDecoderLayer(4, 2, 6, dropout=0.0, batch_first=True),
        (numbers(1, 2, 4), numbers(1, 3, 4)),
    ),
    "TransformerDecoder": (
        lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 6, dropout=0.0, batch_first=True), 1),
        (numbers(1, 2, 4), numbers(1, 3, 4)),
    ),
    "TransformerEncoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True), 1),
        numbers(1, 3, 4),
    ),
    "Transformer": (
        lambda: nn.Transformer(4, 2, 1, 1, 6, dropout=0.0, batch_first=True),
        (numbers(1, 3, 4), numbers(1, 2, 4)),
    ),
    "Spectrogram": (lambda: nn.Sequential(nn.Linear(32, 32), nn.Spectrogram(n_fft=8)), numbers(1, 32)),
    "MelSpectrogram": (
        lambda: nn.Sequential(nn.Linear(64, 64), nn.MelSpectrogram(8000, n_fft=16, n_mels=4)),
        numbers(1, 64),
    ),
    "LogMelSpectrogram": (
        lambda: nn.Sequential(nn.Linear(64, 64), nn.LogMelSpectrogram(8000, n_fft=16, n_mels=4)),
        numbers(1, 64),
    ),
    "MFCC": (
        lambda: nn.Sequential(nn.Linear(64, 64), nn.MFCC(8000, n_mfcc=3, melkwargs={"n_fft": 16, "n_mels": 4})),
        numbers(1, 64),
    ),
}


def share(x: pl.Tensor) -> pl.Tensor:
    return pl.sigmoid(x)


SIGNS = np.sign(numbers(4))
LABELS = np.array([2, 0, 1, 1])
# With what each takes of the outputs (4, 3): the loss module, and how it is called.
FURTHER_LOSSES: dict[str, tuple[nn.Module, Callable[[Any, pl.Tensor], Any]]] = {
    "BCELoss": (nn.BCELoss(), lambda loss, x: loss(share(x), (np.arange(12).reshape(4, 3) % 2).astype(float))),
    "NLLLoss": (nn.NLLLoss(), lambda loss, x: loss(pl.log_softmax(x, axis=1), LABELS)),
    "FocalLoss": (nn.FocalLoss(), lambda loss, x: loss(x, LABELS)),
    "QuantileLoss": (nn.QuantileLoss(0.3), lambda loss, x: loss(x, np.ones((4, 3)))),
    "KLDivLoss": (
        nn.KLDivLoss(reduction="batchmean"),
        lambda loss, x: loss(pl.log_softmax(x, axis=1), np.full((4, 3), 1 / 3)),
    ),
    "GaussianNLLLoss": (nn.GaussianNLLLoss(), lambda loss, x: loss(x, np.ones((4, 3)), np.full((4, 3), 2.0))),
    "CosineEmbeddingLoss": (nn.CosineEmbeddingLoss(), lambda loss, x: loss(x, x + 1.0, SIGNS)),
    "MarginRankingLoss": (nn.MarginRankingLoss(0.5), lambda loss, x: loss(x[:, 0], x[:, 1], SIGNS)),
    "MultiLabelMarginLoss": (
        nn.MultiLabelMarginLoss(),
        lambda loss, x: loss(x, np.array([[0, -1, -1], [1, 2, -1], [2, -1, -1], [0, 1, -1]])),
    ),
    "MultiLabelSoftMarginLoss": (
        nn.MultiLabelSoftMarginLoss(),
        lambda loss, x: loss(x, (np.arange(12).reshape(4, 3) % 2).astype(float)),
    ),
    "LinearCrossEntropyLoss": (nn.LinearCrossEntropyLoss(3, 5), lambda loss, x: loss(x, LABELS)),
    "AdaptiveLogSoftmaxWithLoss": (
        nn.AdaptiveLogSoftmaxWithLoss(3, 6, [2, 4], div_value=1.0),
        lambda loss, x: loss(x, LABELS)[1],
    ),
    "TripletMarginLoss": (nn.TripletMarginLoss(), lambda loss, x: loss(x, x + 0.5, 2.0 * x)),
    "TripletMarginWithDistanceLoss": (
        nn.TripletMarginWithDistanceLoss(),
        lambda loss, x: loss(x, x + 0.5, 2.0 * x),
    ),
}
