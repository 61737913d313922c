"""ResNet-20 for pictures of 32x32, with the shortcuts of its paper, which have no weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.network import Network, Operations, norm_shapes


def blocks() -> Iterator[tuple[str, int, int, int]]:
    """Name, channels that enter and leave, and stride."""
    entering = 16
    for stage, leaving in enumerate((16, 32, 64), 1):
        for n in range(3):
            yield f"layer{stage}.{n}", entering, leaving, 2 if stage > 1 and n == 0 else 1
            entering = leaving


def forward(m: Operations, x: Any) -> Any:
    x = m.relu(m.batch_norm("bn1", m.conv2d("conv1", m.pictures(x), padding=1)))
    for name, entering, leaving, stride in blocks():
        y = m.relu(m.batch_norm(f"{name}.bn1", m.conv2d(f"{name}.conv1", x, stride, 1)))
        y = m.batch_norm(f"{name}.bn2", m.conv2d(f"{name}.conv2", y, 1, 1))
        x = m.relu(m.add(y, x if stride == 1 else m.padded_shortcut(x, leaving - entering)))
    return m.linear("fc", m.mean_of_places(x))


def shapes() -> dict[str, tuple[int, ...]]:
    result = {"conv1.weight": (16, 3, 3, 3), **norm_shapes("bn1", 16)}
    for name, entering, leaving, _ in blocks():
        result |= {f"{name}.conv1.weight": (leaving, entering, 3, 3), **norm_shapes(f"{name}.bn1", leaving)}
        result |= {f"{name}.conv2.weight": (leaving, leaving, 3, 3), **norm_shapes(f"{name}.bn2", leaving)}
    return result | {"fc.weight": (10, 64), "fc.bias": (10,)}


NETWORK = Network((3, 32, 32), 10, shapes(), forward)
