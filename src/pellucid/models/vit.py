"""The Vision Transformer: pictures enter, a score for each class leaves. A picture is cut into patches, and the patches
are the words of a Transformer. Users train it and load torchvision's weights.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.core.check import Integer, checked
from pellucid.core.context import default_dtype
from pellucid.core.tensor import Tensor
from pellucid.errors import ArgumentError
from pellucid.models._picture_parts import CHANNELS, CLASSES, PROBABILITY, as_pictures
from pellucid.nn import (
    GELU,
    Conv2d,
    Dropout,
    LayerNorm,
    Linear,
    Module,
    MultiheadAttention,
    Parameter,
    Sequential,
    init,
)
from pellucid.ops.shape import broadcast_to, concatenate, reshape, swapaxes

_EPS = 1e-6


def _truncated_fan_in(weight: Tensor) -> Tensor:
    """Normal with variance 1 / fan_in, within ±2."""
    return init.trunc_normal_(weight, std=math.sqrt(1.0 / init.calculate_fan_in_and_fan_out(weight)[0]))


class _MLP(Sequential):
    """Two linear layers at every patch, with GELU between them."""

    def __init__(self, features: int, mlp_dim: int, dropout: float) -> None:
        layers = (
            Linear(features, mlp_dim, init=init.xavier_uniform_),
            Linear(mlp_dim, features, init=init.xavier_uniform_),
        )
        for layer in layers:
            init.normal_(layer.bias, std=1e-6)  # type: ignore[arg-type]
        super().__init__(layers[0], GELU(), Dropout(dropout), layers[1], Dropout(dropout))


class _EncoderBlock(Module):
    """Attention, then two linear layers, each of the normalised input and added to it: the paper's eq. 2 and 3."""

    def __init__(self, num_heads: int, features: int, mlp_dim: int, dropout: float, attention_dropout: float) -> None:
        self.ln_1 = LayerNorm(features, _EPS)
        self.self_attention = MultiheadAttention(features, num_heads, attention_dropout, batch_first=True)
        self.dropout = Dropout(dropout)
        self.ln_2 = LayerNorm(features, _EPS)
        self.mlp = _MLP(features, mlp_dim, dropout)

    def forward(self, x: Any) -> Tensor:
        """x (N, places, features) -> the same shape."""
        y = self.ln_1(x)
        y, _ = self.self_attention(y, y, y, need_weights=False)
        x = self.dropout(y) + x
        return x + self.mlp(self.ln_2(x))  # type: ignore[no-any-return]


class _Encoder(Module):
    """Learned positions added, blocks in a row, and a last normalisation."""

    def __init__(self, places: int, num_layers: int, features: int, dropout: float, **of_a_block: Any) -> None:
        self.pos_embedding = Parameter(np.zeros((1, places, features)), dtype=default_dtype())
        init.normal_(self.pos_embedding, std=0.02)
        self.dropout = Dropout(dropout)
        blocks = [_EncoderBlock(features=features, dropout=dropout, **of_a_block) for _ in range(num_layers)]
        self.layers = Sequential({f"encoder_layer_{n}": block for n, block in enumerate(blocks)})
        self.ln = LayerNorm(features, _EPS)

    def forward(self, x: Any) -> Tensor:
        """x (N, places, features) -> the same shape."""
        return self.ln(self.layers(self.dropout(x + self.pos_embedding)))  # type: ignore[no-any-return]


class VisionTransformer(Module):
    """A Transformer over the patches of a picture and one learned vector before them, of which the class is read.

        z_0 = [class_token, patches·E + b] + positions,  z' = attention(ln_1(z)) + z,  z = mlp(ln_2(z')) + z',
        scores = head(ln(z)[0])

    Parameters
        image_size : height and width of the pictures.
        patch_size : height and width of a patch; a divisor of image_size.
        num_layers : blocks.
        num_heads : heads of each block's attention; a divisor of hidden_dim.
        hidden_dim : features of a patch.
        mlp_dim : features between the two linear layers of a block.
        dropout : probability for positions and for both parts of a block, in [0, 1].
        attention_dropout : probability for the attention's weights.
        num_classes : classes.
        in_channels : channels of the pictures.
    Raises
        ArgumentError: patch_size does not divide image_size, or num_heads hidden_dim.
        ShapeError: when called with other than pictures (N, in_channels, image_size, image_size).
    Source
        Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021, eq. 1 to 4. Names, shapes and starting weights are
        torchvision's: the last layer starts at 0.
    Examples
        >>> model = VisionTransformer(8, 4, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=10)
        >>> model(pl.zeros((2, 3, 8, 8))).shape
        (2, 10)
    """

    @checked(
        image_size=Integer(1),
        patch_size=Integer(1),
        num_layers=Integer(1, 10_000),
        num_heads=Integer(1),
        hidden_dim=Integer(1),
        mlp_dim=Integer(1),
        dropout=PROBABILITY,
        attention_dropout=PROBABILITY,
        num_classes=CLASSES,
        in_channels=CHANNELS,
    )
    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        *,
        in_channels: int = 3,
    ) -> None:
        if image_size % patch_size:
            raise ArgumentError("models.patches", image_size=image_size, patch_size=patch_size)
        self.image_size, self.patch_size, self.in_channels = int(image_size), int(patch_size), int(in_channels)
        self.class_token = Parameter(np.zeros((1, 1, hidden_dim)), dtype=default_dtype())
        self.conv_proj = Conv2d(in_channels, hidden_dim, patch_size, patch_size, init=_truncated_fan_in)
        self.encoder = _Encoder(
            (image_size // patch_size) ** 2 + 1,
            num_layers,
            hidden_dim,
            dropout,
            num_heads=num_heads,
            mlp_dim=mlp_dim,
            attention_dropout=attention_dropout,
        )
        self.heads = Sequential({"head": Linear(hidden_dim, num_classes, init=init.zeros_)})

    def forward(self, x: Any) -> Tensor:
        """x (N, in_channels, image_size, image_size) -> scores (N, num_classes)."""
        x = as_pictures("VisionTransformer", x, self.in_channels, self.image_size, self.patch_size)
        n = x.shape[0]
        patches = self.conv_proj(x)
        patches = swapaxes(reshape(patches, (n, patches.shape[1], -1)), 1, 2)
        first = broadcast_to(self.class_token, (n, 1, patches.shape[2]))
        x = self.encoder(concatenate([first, patches], axis=1))
        y: Tensor = self.heads(x[:, 0])
        return y


def vit_b_16(
    num_classes: int = 1000,
    image_size: int = 224,
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
    *,
    in_channels: int = 3,
) -> VisionTransformer:
    """ViT-B/16: the Base size with patches of 16x16; 86,567,656 parameters. The arguments are those of
    `VisionTransformer`."""
    return VisionTransformer(
        image_size, 16, 12, 12, 768, 3072, dropout, attention_dropout, num_classes, in_channels=in_channels
    )


__all__ = ["VisionTransformer", "vit_b_16"]
