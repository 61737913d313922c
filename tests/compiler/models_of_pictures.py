"""Small networks with convolutions, pooling, recurrence and attention, for the table of models."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pellucid as pl
from pellucid import nn
from tests.compiler.trainings import Batch, Training, trained_by_sgd

PICTURES = 5


def pictures(
    layers: Callable[[], list[nn.Module]], shape: tuple[int, ...] = (3, 6, 5), samples: int = PICTURES
) -> Training:
    """Layers on pictures, then a fully connected one."""
    batch = Batch()
    body = nn.Sequential(*layers(), nn.Flatten())
    with pl.no_grad():
        features = body.eval()(batch.numbers(samples, *shape)).shape[1]
    model = nn.Sequential(*body.train(), nn.Linear(features, 4))
    return trained_by_sgd(model, nn.CrossEntropyLoss(), batch.numbers(samples, *shape), batch.classes(4, samples))


def convolution(*args: Any, shape: tuple[int, ...] = (3, 6, 5), samples: int = PICTURES, **options: Any) -> Training:
    """Two convolutions, so that there is a gradient by an input too."""
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(shape) - 2]

    def layers() -> list[nn.Module]:
        return [kind(shape[0], args[0], 1), nn.Tanh(), kind(*args, **options), nn.Tanh()]

    return pictures(layers, shape, samples)


def transposed(*args: Any, **options: Any) -> Training:
    return pictures(lambda: [nn.Conv2d(3, args[0], 1), nn.Tanh(), nn.ConvTranspose2d(*args, **options), nn.Tanh()])


def pooling(make: Callable[[], nn.Module], samples: int = PICTURES) -> Training:
    return pictures(lambda: [nn.Conv2d(3, 4, 3, padding=1), make(), nn.Conv2d(4, 3, 2), nn.Tanh()], samples=samples)


def residual() -> list[nn.Module]:
    return [
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.Residual(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        nn.Residual(nn.Conv2d(8, 6, 3, 2, 1), nn.ReLU(), shortcut=nn.Conv2d(8, 6, 1, 2)),
        nn.AdaptiveAvgPool2d(1),
    ]


def separable() -> list[nn.Module]:
    return [
        nn.DepthwiseSeparableConv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.DepthwiseSeparableConv2d(8, 12, 3, padding=1),
        nn.ReLU6(),
    ]


class Sequences(nn.Module):
    """What a recurrent layer says of the last step."""

    def __init__(self, layer: nn.Module, features: int) -> None:
        super().__init__()
        self.layer, self.out = layer, nn.Linear(features, 3)

    def forward(self, x: Any) -> Any:
        return self.out(self.layer(x)[0][:, -1])


def recurrent(make: Callable[[], nn.Module], features: int) -> Training:
    batch = Batch()
    model = Sequences(make(), features)
    return trained_by_sgd(model, nn.CrossEntropyLoss(), batch.numbers(4, 5, 3), batch.classes(3, 4))


def transformer() -> Training:
    batch = Batch()
    layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)
    model = nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Flatten(), nn.Linear(32, 3))
    return trained_by_sgd(model, nn.CrossEntropyLoss(), batch.numbers(5, 4, 8), batch.classes(3, 5))


PICTURE_MODELS: dict[str, Callable[[], Training]] = {
    "Conv1d": partial(convolution, 4, 5, 3, shape=(3, 9)),
    "Conv1d(stride, dilation)": partial(convolution, 4, 5, 3, 2, 3, 2, shape=(3, 9)),
    "Conv2d": partial(convolution, 4, 5, 3),
    "Conv2d(padding)": partial(convolution, 4, 17, 3, padding=2),
    "Conv2d(stride)": partial(convolution, 4, 5, 3, (2, 3), 1),
    "Conv2d(dilation)": partial(convolution, 4, 5, (2, 3), 1, (3, 2), (3, 2)),
    "Conv2d(stride and dilation)": partial(convolution, 4, 5, 2, 2, 1, 2),
    "Conv2d(groups)": partial(convolution, 4, 6, 3, padding=1, groups=2),
    "Conv2d(depthwise)": partial(convolution, 4, 4, 3, 2, 1, groups=4),
    "Conv2d(depthwise, two each)": partial(convolution, 4, 8, 3, padding=1, groups=4),
    "Conv2d(pointwise)": partial(convolution, 4, 7, 1),
    # Of so many samples the gradient of a kernel takes a row of places in parts.
    "Conv2d(many samples)": partial(convolution, 4, 5, 3, padding=1, shape=(3, 3, 19), samples=70),
    "Conv2d(many samples, stride and dilation)": partial(
        convolution, 4, 5, 2, 2, 3, (1, 3), shape=(3, 4, 29), samples=70
    ),
    "Conv2d(to one place)": partial(convolution, 4, 5, (6, 5)),
    "Conv2d(one channel)": partial(convolution, 1, 1, 3, padding=1),
    "Conv2d(reflect)": partial(convolution, 4, 5, 3, padding=1, padding_mode="reflect"),
    "Conv3d": partial(convolution, 4, 5, 2, padding=1, shape=(3, 3, 4, 2)),
    "ConvTranspose2d": partial(transposed, 4, 3, 3, 2, 1, 1),
    "ConvTranspose2d(groups)": partial(transposed, 4, 6, (2, 3), groups=2),
    "MaxPool2d": partial(pooling, partial(nn.MaxPool2d, 2)),
    "MaxPool2d(overlapping)": partial(pooling, partial(nn.MaxPool2d, 3, 2, 1)),
    "MaxPool2d(ceil)": partial(pooling, partial(nn.MaxPool2d, 2, 3, ceil_mode=True)),
    # Of five pictures, two elements in a window come to differ by less than rounding: either may be the largest.
    "MaxPool2d(dilation)": partial(pooling, partial(nn.MaxPool2d, 2, 1, 0, 2), samples=6),
    "AvgPool2d": partial(pooling, partial(nn.AvgPool2d, 2)),
    "AvgPool2d(overlapping)": partial(pooling, partial(nn.AvgPool2d, 3, 2, 1)),
    "AdaptiveAvgPool2d": partial(pooling, partial(nn.AdaptiveAvgPool2d, 3)),
    "residual pictures": partial(pictures, residual, samples=9),
    "separable pictures": partial(pictures, separable, samples=17),
    "RNN": partial(recurrent, partial(nn.RNN, 3, 4, batch_first=True), 4),
    "LSTM": partial(recurrent, partial(nn.LSTM, 3, 4, 2, batch_first=True, bidirectional=True), 8),
    "GRU": partial(recurrent, partial(nn.GRU, 3, 4, batch_first=True), 4),
    "Transformer": transformer,
}
