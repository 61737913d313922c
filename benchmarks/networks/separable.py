"""A convolution and four depthwise separable ones for pictures of 32x32; batch normalisation and ReLU6 after each."""

from __future__ import annotations

from typing import Any

from benchmarks.network import Network, Operations, norm_shapes

WIDTH = 32
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2))
"""Channels that leave, and the stride of the depthwise part."""


def layers() -> list[tuple[int, int, int, int, int]]:
    """Channels that enter and leave, kernel, stride and groups of each convolution."""
    result, entering = [(3, WIDTH, 3, 1, 1)], WIDTH
    for leaving, stride in BLOCKS:
        result += [(entering, entering, 3, stride, entering), (entering, leaving, 1, 1, 1)]
        entering = leaving
    return result


def forward(m: Operations, x: Any) -> Any:
    x = m.pictures(x)
    for n, (_, _, kernel, stride, groups) in enumerate(layers()):
        x = m.relu6(m.batch_norm(f"{n}.1", m.conv2d(f"{n}.0", x, stride, kernel // 2, groups)))
    return m.linear(HEAD, m.mean_of_places(x))


HEAD = str(len(layers()) + 2)
"""The name of the last layer, behind the mean and what flattens it."""

SHAPES: dict[str, tuple[int, ...]] = {}
for _n, (_i, _o, _k, _, _g) in enumerate(layers()):
    SHAPES |= {f"{_n}.0.weight": (_o, _i // _g, _k, _k), **norm_shapes(f"{_n}.1", _o)}
SHAPES |= {f"{HEAD}.weight": (10, BLOCKS[-1][0]), f"{HEAD}.bias": (10,)}

NETWORK = Network((3, 32, 32), 10, SHAPES, forward)
