"""LeNet-5 in today's form: ReLU, the largest of each 2x2."""

from __future__ import annotations

from typing import Any

from benchmarks.network import Network, Operations

SHAPES = {
    "features.0.weight": (6, 1, 5, 5), "features.0.bias": (6,),
    "features.3.weight": (16, 6, 5, 5), "features.3.bias": (16,),
    "classifier.1.weight": (120, 400), "classifier.1.bias": (120,),
    "classifier.3.weight": (84, 120), "classifier.3.bias": (84,),
    "classifier.5.weight": (10, 84), "classifier.5.bias": (10,),
}  # fmt: skip


def forward(m: Operations, x: Any) -> Any:
    x = m.max_pool2(m.relu(m.conv2d("features.0", m.pictures(x), padding=2)))
    x = m.flatten(m.max_pool2(m.relu(m.conv2d("features.3", x))))
    x = m.relu(m.linear("classifier.3", m.relu(m.linear("classifier.1", x))))
    return m.linear("classifier.5", x)


NETWORK = Network((1, 28, 28), 10, SHAPES, forward)
