"""Networks of every kind of layer, small enough to be told in full, with inputs; and the losses and optimizers to train
them by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import pellucid as pl
from pellucid import nn

RNG = np.random.default_rng(0)


def numbers(*shape: int) -> Any:
    return RNG.normal(size=shape)


def behind(width: int, layer: Callable[[], nn.Module], after: int = 2) -> Callable[[], nn.Module]:
    """A layer behind a linear one, so that an error has to pass through it."""
    return lambda: nn.Sequential(nn.Linear(3, width), layer())


def image(layer: Callable[[], nn.Module], channels: int = 2, kernel: int = 3) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Conv2d(1, channels, kernel), layer())


LAYERS: dict[str, tuple[Callable[[], Any], Any]] = {
    "linear": (lambda: nn.Linear(3, 2), numbers(4, 3)),
    "linear of one sample": (lambda: nn.Linear(3, 2), numbers(3)),
    "linear without bias": (lambda: nn.Linear(3, 2, bias=False), numbers(4, 3)),
    "wide": (lambda: nn.Sequential(nn.Linear(40, 12), nn.ReLU(), nn.Linear(12, 9)), numbers(3, 40)),
    "bilinear": (lambda: nn.Bilinear(3, 2, 2), (numbers(4, 3), numbers(4, 2))),
    "conv1d": (lambda: nn.Conv1d(2, 3, 3, padding=1, stride=2), numbers(2, 2, 7)),
    "conv2d": (lambda: nn.Conv2d(2, 4, 3, padding=1, groups=2), numbers(2, 2, 4, 4)),
    "conv3d": (lambda: nn.Conv3d(1, 2, 2), numbers(1, 1, 3, 3, 3)),
    "depthwise": (lambda: nn.Conv2d(3, 3, 3, groups=3, dilation=2, padding=2, bias=False), numbers(1, 3, 5, 5)),
    "conv_transpose": (lambda: nn.ConvTranspose2d(2, 4, 3, stride=2, padding=1, groups=2), numbers(1, 2, 3, 3)),
    "small cnn": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2)
        ),
        numbers(2, 1, 8, 8),
    ),
    "max pool": (image(lambda: nn.MaxPool2d(2, padding=1)), numbers(1, 1, 6, 6)),
    "average pool": (image(lambda: nn.AvgPool2d(2, padding=1)), numbers(1, 1, 6, 6)),
    "adaptive average pool": (image(lambda: nn.AdaptiveAvgPool2d(2)), numbers(1, 1, 7, 7)),
    "adaptive max pool": (image(lambda: nn.AdaptiveMaxPool2d(2)), numbers(1, 1, 7, 7)),
    "lp pool": (lambda: nn.Sequential(nn.Conv1d(1, 2, 3), nn.LPPool1d(2, 2)), numbers(1, 1, 7)),
    "batch norm": (lambda: nn.BatchNorm1d(3), numbers(4, 3)),
    "batch norm in use": (lambda: nn.BatchNorm1d(3).eval(), numbers(4, 3)),
    "batch norm 2d": (lambda: nn.BatchNorm2d(3), numbers(2, 3, 2, 2)),
    "layer norm": (lambda: nn.LayerNorm(5), numbers(2, 5)),
    "rms norm": (lambda: nn.RMSNorm(5), numbers(2, 5)),
    "group norm": (lambda: nn.GroupNorm(2, 4), numbers(2, 4, 3)),
    "instance norm": (lambda: nn.InstanceNorm1d(4, affine=True), numbers(2, 4, 3)),
    "local response norm": (image(lambda: nn.LocalResponseNorm(3), 4, 1), numbers(2, 1, 2, 2)),
    "dropout": (behind(5, lambda: nn.Dropout(0.5)), numbers(2, 3)),
    "alpha dropout": (behind(5, lambda: nn.AlphaDropout(0.5)), numbers(2, 3)),
    "embedding": (lambda: nn.Sequential(nn.Embedding(6, 3), nn.Linear(3, 2)), np.array([[1, 4, 1]])),
    "rnn": (lambda: nn.RNN(3, 2, batch_first=True), numbers(2, 3, 3)),
    "lstm": (lambda: nn.LSTM(3, 2, batch_first=True), numbers(2, 3, 3)),
    "gru": (lambda: nn.GRU(3, 2, batch_first=True), numbers(2, 3, 3)),
    "lstm cell": (lambda: nn.LSTMCell(3, 2), numbers(2, 3)),
    "attention": (lambda: nn.MultiheadAttention(4, 2, batch_first=True), (numbers(1, 3, 4),) * 3),
    "transformer": (lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True), numbers(1, 3, 4)),
    "softmax": (behind(5, lambda: nn.Softmax(axis=-1)), numbers(2, 3)),
    "log softmax": (behind(5, lambda: nn.LogSoftmax(axis=-1)), numbers(2, 3)),
    "glu": (behind(6, nn.GLU), numbers(2, 3)),
    "prelu": (behind(4, nn.PReLU), numbers(2, 3)),
    "threshold": (behind(4, lambda: nn.Threshold(0.1, 0.0)), numbers(2, 3)),
    "upsample": (image(lambda: nn.Upsample(scale_factor=2, mode="bilinear"), 2, 1), numbers(1, 1, 3, 3)),
    "pixel shuffle": (image(lambda: nn.PixelShuffle(2), 4, 1), numbers(1, 1, 3, 3)),
    "unfold": (image(lambda: nn.Unfold(2), 2, 1), numbers(1, 1, 3, 3)),
    "reflection": (lambda: nn.Sequential(nn.Conv1d(1, 2, 1), nn.ReflectionPad1d(2)), numbers(1, 1, 5)),
    "residual": (lambda: nn.Residual(nn.Linear(3, 3)), numbers(2, 3)),
}
for name in (
    "ReLU ReLU6 LeakyReLU Sigmoid Tanh GELU SiLU Mish ELU SELU CELU Softplus Softsign Hardtanh Hardsigmoid Hardswish "
    "Hardshrink Softshrink Tanhshrink LogSigmoid"
).split():
    LAYERS[name] = (behind(4, getattr(nn, name)), numbers(2, 3))


def made(build: Callable[[], Any], dtype: str) -> Any:
    """The network in a dtype, with weights that no default hides behind."""
    pl.manual_seed(1)
    model = build().to(dtype)
    rng = np.random.default_rng(1)
    for _, parameter in model.named_parameters():
        parameter.assign(pl.Tensor(rng.normal(size=parameter.shape).astype(dtype)))
    return model


def squares(outputs: Any) -> pl.Tensor:
    """A loss of any outputs."""
    first = outputs[0] if isinstance(outputs, tuple) else outputs
    return (first * first).mean()


LOSSES: dict[str, tuple[nn.Module, Any]] = {
    "MSELoss": (nn.MSELoss(), numbers(4, 3)),
    "sum of squares": (nn.MSELoss(reduction="sum"), numbers(4, 3)),
    "L1Loss": (nn.L1Loss(), numbers(4, 3)),
    "SmoothL1Loss": (nn.SmoothL1Loss(), numbers(4, 3)),
    "HuberLoss": (nn.HuberLoss(delta=0.5), numbers(4, 3)),
    "CrossEntropyLoss": (nn.CrossEntropyLoss(), np.array([2, 0, 1, 1])),
    "CrossEntropyLoss, smoothed": (nn.CrossEntropyLoss(label_smoothing=0.1), np.array([2, 0, 1, 1])),
    "BCEWithLogitsLoss": (nn.BCEWithLogitsLoss(), (numbers(4, 3) > 0).astype(float)),
    "MultiMarginLoss": (nn.MultiMarginLoss(), np.array([2, 0, 1, 1])),
    "PoissonNLLLoss": (nn.PoissonNLLLoss(), np.abs(numbers(4, 3))),
    "SoftMarginLoss": (nn.SoftMarginLoss(), np.sign(numbers(4, 3))),
    "HingeEmbeddingLoss": (nn.HingeEmbeddingLoss(), np.sign(numbers(4, 3))),
}

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.1},
    "SGD, momentum": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    "SGD, nesterov": {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    "SGD, dampening": {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "maximize": True},
    "Adam": {"lr": 0.1},
    "Adam, amsgrad": {"lr": 0.1, "amsgrad": True, "weight_decay": 0.1},
    "AdamW": {"lr": 0.1},
    "NAdam": {"lr": 0.1},
    "RAdam": {"lr": 0.1},
    "Adamax": {"lr": 0.1},
    "Adagrad": {"lr": 0.1, "initial_accumulator_value": 0.1, "lr_decay": 0.1},
    "Adadelta": {"lr": 1.0},
    "RMSprop": {"lr": 0.1},
    "RMSprop, centered": {"lr": 0.1, "centered": True, "momentum": 0.5},
    "Lion": {"lr": 0.01, "weight_decay": 0.1},
}
