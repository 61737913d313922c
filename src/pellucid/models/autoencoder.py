"""Autoencoders: rows or pictures enter, and leave as well as a code with fewer numbers can carry them. Users train them
to give back what entered, and read the code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pellucid.core.check import Integer, checked, shown
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentError
from pellucid.models._picture_parts import CHANNELS, as_pictures
from pellucid.nn import Conv2d, ConvTranspose2d, Flatten, Linear, Module, ReLU, Sequential, Sigmoid, Unflatten
from pellucid.ops.shape import reshape


class Autoencoder(Module):
    """Linear layers to a code and back again. What enters is flattened and leaves in its own shape, between 0 and 1.

        code = encoder(x),  y = decoder(code)

        layer     features                  with
        encoder   784, 1000, 500, 250, 30   ReLU, but for the code
        decoder   30, 250, 500, 1000, 784   ReLU, in the end sigmoid

    Parameters
        in_features : numbers in a row, over all its axes.
        hidden : features of the encoder's layers before the code; the decoder has the same, the other way around.
        code : features of the code.
    Attributes
        encoder, decoder : Sequential.
    Raises
        ArgumentError: hidden is not a sequence of whole numbers of at least 1.
        ShapeError: when called with rows of another number of elements.
    Source
        Hinton and Salakhutdinov, Reducing the dimensionality of data with neural networks, Science 313 (2006): the
        sizes for handwritten digits and the linear code. Its layers are of sigmoids, which it had to train one by one
        beforehand; with ReLU, and He's weights, that is not needed.
    Examples
        >>> model = Autoencoder(in_features=16, hidden=(8,), code=2)
        >>> x = pl.ones((5, 4, 4))
        >>> model(x).shape, model.encode(x).shape
        ((5, 4, 4), (5, 2))
    """

    @checked(in_features=Integer(1), code=Integer(1))
    def __init__(self, in_features: int = 784, hidden: Sequence[int] = (1000, 500, 250), code: int = 30) -> None:
        whole = Integer(1)
        if not isinstance(hidden, tuple | list) or not all(whole.type_ok(n) and whole.value_ok(n) for n in hidden):
            raise ArgumentError("models.hidden", given=shown(hidden))
        self.in_features = int(in_features)
        widths = [self.in_features, *hidden, code]
        self.encoder = Sequential(Flatten(), *_linear(widths))
        self.decoder = Sequential(*_linear(widths[::-1]), Sigmoid())

    def encode(self, x: Any) -> Tensor:
        """x (N, ...) with in_features numbers a row -> code (N, code)."""
        y: Tensor = self.encoder(x)
        return y

    def decode(self, code: Any) -> Tensor:
        """code (N, code) -> rows (N, in_features) of numbers between 0 and 1."""
        y: Tensor = self.decoder(code)
        return y

    def forward(self, x: Any) -> Tensor:
        """x (N, ...) with in_features numbers a row -> the same shape."""
        x = as_tensor(x)
        return reshape(self.decode(self.encode(x)), x.shape)


def _linear(widths: Sequence[int]) -> list[Module]:
    """Linear layers with ReLU between them."""
    layers: list[Module] = []
    for entering, leaving in pairwise(widths):
        layers += [Linear(entering, leaving), ReLU()]
    return layers[:-1]


class ConvAutoencoder(Module):
    """Two convolutions with a stride of 2 and a linear layer to a code; the way back by their transposes. What enters
    are pictures of a fixed size, and leaves between 0 and 1.

        code = encoder(x),  y = decoder(code)

    Parameters
        image_size : height and width of the pictures, a multiple of 4.
        in_channels : channels of the pictures.
        code : features of the code.
        channels : of the first convolution; the second has twice as many.
    Attributes
        encoder, decoder : Sequential.
    Raises
        ArgumentError: image_size is no multiple of 4.
        ShapeError: when called with other than pictures (N, in_channels, image_size, image_size).
    Source
        Masci, Meier, Cireşan and Schmidhuber, Stacked convolutional auto-encoders, ICANN 2011; strides in place of its
        pooling, after Springenberg et al., Striving for simplicity, ICLR 2015 workshop.
    Examples
        >>> model = ConvAutoencoder(8, code=3, channels=2)
        >>> x = pl.ones((5, 1, 8, 8))
        >>> model(x).shape, model.encode(x).shape
        ((5, 1, 8, 8), (5, 3))
    """

    @checked(image_size=Integer(4), in_channels=CHANNELS, code=Integer(1), channels=CHANNELS)
    def __init__(self, image_size: int = 28, in_channels: int = 1, code: int = 30, channels: int = 16) -> None:
        if image_size % 4:
            raise ArgumentError("models.autoencoder-size", image_size=image_size)
        self.image_size, self.in_channels = int(image_size), int(in_channels)
        planes = (2 * channels, image_size // 4, image_size // 4)
        self.encoder = Sequential(
            Conv2d(in_channels, channels, 3, stride=2, padding=1), ReLU(),
            Conv2d(channels, 2 * channels, 3, stride=2, padding=1), ReLU(),
            Flatten(), Linear(math.prod(planes), code),
        )  # fmt: skip
        self.decoder = Sequential(
            Linear(code, math.prod(planes)), ReLU(), Unflatten(1, planes),
            ConvTranspose2d(2 * channels, channels, 3, stride=2, padding=1, output_padding=1), ReLU(),
            ConvTranspose2d(channels, in_channels, 3, stride=2, padding=1, output_padding=1), Sigmoid(),
        )  # fmt: skip

    def encode(self, x: Any) -> Tensor:
        """x (N, in_channels, image_size, image_size) -> code (N, code)."""
        if not isinstance(x, Tensor):  # raw numbers in the network's dtype, as when it is called
            x = as_tensor(x, self.encoder[0].weight.dtype)
        y: Tensor = self.encoder(as_pictures("ConvAutoencoder", x, self.in_channels, self.image_size, 4))
        return y

    def decode(self, code: Any) -> Tensor:
        """code (N, code) -> pictures (N, in_channels, image_size, image_size) of numbers between 0 and 1."""
        y: Tensor = self.decoder(code)
        return y

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, image_size, image_size) -> the same shape."""
        return self.decode(self.encode(x))


__all__ = ["Autoencoder", "ConvAutoencoder"]
