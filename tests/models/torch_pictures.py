"""The networks for pictures written down once more, as functions of PyTorch's operations and of a state dict of
torchvision's names: nothing of it is read from the networks under test.

Each function takes `r`, the state dict with the mode, and pictures. Those of networks that torchvision has were
compared with torchvision 0.28.0: the same weights give the same scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F


class Weights:
    """A state dict, whether batch statistics are used, and the layers that are named in it."""

    def __init__(self, state: dict[str, torch.Tensor], training: bool = False) -> None:
        self.state, self.training = state, training

    def conv(self, name: str, x: Any, stride: int = 1, padding: int = 0, groups: int = 1) -> Any:
        weight, bias = self.state[f"{name}.weight"], self.state.get(f"{name}.bias")
        return F.conv2d(x, weight, bias, stride, padding, 1, groups)

    def norm(self, name: str, x: Any, eps: float = 1e-5) -> Any:
        mean, var = (self.state[f"{name}.running_{what}"].clone() for what in ("mean", "var"))
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        return F.batch_norm(x, mean, var, weight, bias, self.training, 0.1, eps)

    def linear(self, name: str, x: Any) -> Any:
        return F.linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def conv_norm(self, name: str, x: Any, kernel: int = 3, stride: int = 1, groups: int = 1, eps: float = 1e-5) -> Any:
        return self.norm(f"{name}.1", self.conv(f"{name}.0", x, stride, (kernel - 1) // 2, groups), eps)

    def has(self, prefix: str) -> bool:
        return any(name.startswith(prefix + ".") for name in self.state)


def lenet5(r: Weights, x: Any, activation: Any, pool: Any) -> Any:
    x = pool(activation(r.conv("features.0", x, padding=2)), 2)
    x = pool(activation(r.conv("features.3", x)), 2).flatten(1)
    return r.linear("classifier.5", activation(r.linear("classifier.3", activation(r.linear("classifier.1", x)))))


def _alexnet_head(r: Weights, x: Any) -> Any:
    x = F.relu(r.linear("classifier.1", x.flatten(1)))
    return r.linear("classifier.6", F.relu(r.linear("classifier.4", x)))


def alexnet(r: Weights, x: Any) -> Any:
    x = F.max_pool2d(F.relu(r.conv("features.0", x, 4, 2)), 3, 2)
    x = F.max_pool2d(F.relu(r.conv("features.3", x, 1, 2)), 3, 2)
    x = F.relu(r.conv("features.6", x, 1, 1))
    x = F.relu(r.conv("features.8", x, 1, 1))
    x = F.max_pool2d(F.relu(r.conv("features.10", x, 1, 1)), 3, 2)
    return _alexnet_head(r, F.adaptive_avg_pool2d(x, (6, 6)))


def alexnet_two_groups(r: Weights, x: Any) -> Any:
    def normalized(x: Any) -> Any:
        """The paper's formula: alpha times the sum over five channels."""
        squares = F.pad(x * x, (0, 0, 0, 0, 2, 2))
        total = sum(squares[:, n : n + x.shape[1]] for n in range(5))
        return x / (2 + 1e-4 * total) ** 0.75

    x = F.max_pool2d(normalized(F.relu(r.conv("features.0", x, 4))), 3, 2)
    x = F.max_pool2d(normalized(F.relu(r.conv("features.4", x, 1, 2, 2))), 3, 2)
    x = F.relu(r.conv("features.8", x, 1, 1))
    x = F.relu(r.conv("features.10", x, 1, 1, 2))
    return _alexnet_head(r, F.max_pool2d(F.relu(r.conv("features.12", x, 1, 1, 2)), 3, 2))


def vgg(r: Weights, x: Any, configuration: str, batch_norm: bool) -> Any:
    """The configuration as in the paper's table, "M" for pooling: "64 M 128 M ..."."""
    n = 0
    for word in configuration.split():
        if word == "M":
            x, n = F.max_pool2d(x, 2), n + 1
        else:
            assert r.state[f"features.{n}.weight"].shape[0] == int(word)
            x = r.conv(f"features.{n}", x, 1, 1)
            if batch_norm:
                x, n = r.norm(f"features.{n + 1}", x), n + 1
            x, n = F.relu(x), n + 2
    x = F.adaptive_avg_pool2d(x, 7).flatten(1)
    x = F.relu(r.linear("classifier.3", F.relu(r.linear("classifier.0", x))))
    return r.linear("classifier.6", x)


def squeezenet(r: Weights, x: Any) -> Any:
    x = F.relu(r.conv("features.0", x, 2))
    for n in range(2, 13):
        if n in (2, 6, 11):
            x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        else:
            s = F.relu(r.conv(f"features.{n}.squeeze", x))
            wide = r.conv(f"features.{n}.expand3x3", s, 1, 1)
            x = F.relu(torch.cat([r.conv(f"features.{n}.expand1x1", s), wide], 1))
    return F.relu(r.conv("classifier.1", x)).mean((2, 3))


def resnet(r: Weights, x: Any, layers: Sequence[int], shortcut: str = "B") -> Any:
    """Three stages are those for pictures of 32x32."""
    small = len(layers) == 3
    x = F.relu(r.norm("bn1", r.conv("conv1", x, 1 if small else 2, 1 if small else 3)))
    x = x if small else F.max_pool2d(x, 3, 2, 1)
    for stage, blocks in enumerate(layers, 1):
        for n in range(blocks):
            name, stride = f"layer{stage}.{n}", 2 if stage > 1 and n == 0 else 1
            if r.has(f"{name}.conv3"):
                y = F.relu(r.norm(f"{name}.bn1", r.conv(f"{name}.conv1", x)))
                y = F.relu(r.norm(f"{name}.bn2", r.conv(f"{name}.conv2", y, stride, 1)))
                y = r.norm(f"{name}.bn3", r.conv(f"{name}.conv3", y))
            else:
                y = F.relu(r.norm(f"{name}.bn1", r.conv(f"{name}.conv1", x, stride, 1)))
                y = r.norm(f"{name}.bn2", r.conv(f"{name}.conv2", y, 1, 1))
            if r.has(f"{name}.downsample"):
                x = r.norm(f"{name}.downsample.1", r.conv(f"{name}.downsample.0", x, stride))
            elif shortcut == "A" and y.shape != x.shape:
                zeros = torch.zeros(y.shape[0], y.shape[1] - x.shape[1], *y.shape[2:], dtype=y.dtype)
                x = torch.cat([F.avg_pool2d(x, 1, stride), zeros], 1)
            x = F.relu(y + x)
    return r.linear("fc", x.mean((2, 3)))


def densenet(r: Weights, x: Any, layers: Sequence[int]) -> Any:
    x = F.max_pool2d(F.relu(r.norm("features.norm0", r.conv("features.conv0", x, 2, 3))), 3, 2, 1)
    for block, count in enumerate(layers, 1):
        parts = [x]
        for n in range(1, count + 1):
            name = f"features.denseblock{block}.denselayer{n}"
            y = r.conv(f"{name}.conv1", F.relu(r.norm(f"{name}.norm1", torch.cat(parts, 1))))
            parts.append(r.conv(f"{name}.conv2", F.relu(r.norm(f"{name}.norm2", y)), 1, 1))
        x = torch.cat(parts, 1)
        if block < len(layers):
            name = f"features.transition{block}"
            x = F.avg_pool2d(r.conv(f"{name}.conv", F.relu(r.norm(f"{name}.norm", x))), 2)
    return r.linear("classifier", F.relu(r.norm("features.norm5", x)).mean((2, 3)))


def mobilenet_v1(r: Weights, x: Any) -> Any:
    x = F.relu(r.conv_norm("features.0", x, 3, 2))
    for n, stride in enumerate((1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1), 1):
        x = F.relu(r.conv_norm(f"features.{n}.0", x, 3, stride, x.shape[1]))
        x = F.relu(r.conv_norm(f"features.{n}.1", x, 1))
    return r.linear("classifier.1", x.mean((2, 3)))


def mobilenet_v2(r: Weights, x: Any) -> Any:
    x = F.relu6(r.conv_norm("features.0", x, 3, 2))
    for n, stride in enumerate((1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1), 1):
        name, y, k = f"features.{n}.conv", x, 0
        if n > 1:
            y, k = F.relu6(r.conv_norm(f"{name}.0", y, 1)), 1
        y = F.relu6(r.conv_norm(f"{name}.{k}", y, 3, stride, y.shape[1]))
        y = r.norm(f"{name}.{k + 2}", r.conv(f"{name}.{k + 1}", y))
        x = x + y if stride == 1 and y.shape == x.shape else y
    return r.linear("classifier.1", F.relu6(r.conv_norm("features.18", x, 1)).mean((2, 3)))


def _excited(r: Weights, name: str, x: Any, activation: Any, gate: Any) -> Any:
    s = r.conv(f"{name}.fc2", activation(r.conv(f"{name}.fc1", x.mean((2, 3), keepdim=True))))
    return gate(s) * x


def _hardsigmoid(x: Any) -> Any:
    """Written out: the gradient of PyTorch's own takes 1/6 from float32 in float64 too, which is 3e-8 off."""
    return torch.clamp(x + 3, 0, 6) / 6


def mobilenet_v3_small(r: Weights, x: Any) -> Any:
    eps = 0.001
    x = F.hardswish(r.conv_norm("features.0", x, 3, 2, eps=eps))
    kernels, strides = (3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 5), (2, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1)
    for n, (kernel, stride) in enumerate(zip(kernels, strides, strict=True), 1):
        activation = F.relu if n < 4 else F.hardswish
        name, y, k = f"features.{n}.block", x, 0
        if n > 1:
            y, k = activation(r.conv_norm(f"{name}.0", y, 1, eps=eps)), 1
        y = activation(r.conv_norm(f"{name}.{k}", y, kernel, stride, y.shape[1], eps))
        if n not in (2, 3):
            y, k = _excited(r, f"{name}.{k + 1}", y, F.relu, _hardsigmoid), k + 1
        y = r.conv_norm(f"{name}.{k + 1}", y, 1, eps=eps)
        x = x + y if stride == 1 and y.shape == x.shape else y
    x = F.hardswish(r.conv_norm("features.12", x, 1, eps=eps)).mean((2, 3))
    return r.linear("classifier.3", F.hardswish(r.linear("classifier.0", x)))


def efficientnet(r: Weights, x: Any, layers: Sequence[int]) -> Any:
    """layers : blocks in each of the seven stages."""
    x = F.silu(r.conv_norm("features.0", x, 3, 2))
    stages = zip((3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1), layers, strict=True)
    for stage, (kernel, stride, blocks) in enumerate(stages, 1):
        for n in range(blocks):
            name, y, k, step = f"features.{stage}.{n}.block", x, 0, stride if n == 0 else 1
            if r.has(f"{name}.3"):
                y, k = F.silu(r.conv_norm(f"{name}.0", y, 1)), 1
            y = F.silu(r.conv_norm(f"{name}.{k}", y, kernel, step, y.shape[1]))
            y = _excited(r, f"{name}.{k + 1}", y, F.silu, torch.sigmoid)
            y = r.conv_norm(f"{name}.{k + 2}", y, 1)
            x = x + y if step == 1 and y.shape == x.shape else y
    return r.linear("classifier.1", F.silu(r.conv_norm("features.8", x, 1)).mean((2, 3)))


def vision_transformer(r: Weights, x: Any, patch_size: int, num_layers: int, num_heads: int) -> Any:
    def layer_norm(name: str, x: Any) -> Any:
        return F.layer_norm(x, x.shape[-1:], r.state[f"{name}.weight"], r.state[f"{name}.bias"], 1e-6)

    x = r.conv("conv_proj", x, patch_size).flatten(2).mT
    x = torch.cat([r.state["class_token"].expand(len(x), -1, -1), x], 1) + r.state["encoder.pos_embedding"]
    for n in range(num_layers):
        name = f"encoder.layers.encoder_layer_{n}"
        y = layer_norm(f"{name}.ln_1", x)
        weight, bias = (r.state[f"{name}.self_attention.in_proj_{what}"] for what in ("weight", "bias"))
        q, k, v = F.linear(y, weight, bias).chunk(3, -1)
        q, k, v = (z.unflatten(-1, (num_heads, -1)).transpose(1, 2) for z in (q, k, v))
        y = ((q @ k.mT) / q.shape[-1] ** 0.5).softmax(-1) @ v
        x = x + r.linear(f"{name}.self_attention.out_proj", y.transpose(1, 2).flatten(2))
        y = r.linear(f"{name}.mlp.0", layer_norm(f"{name}.ln_2", x))
        x = x + r.linear(f"{name}.mlp.3", F.gelu(y))
    return r.linear("heads.head", layer_norm("encoder.ln", x)[:, 0])
