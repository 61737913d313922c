"""PyTorch's side of whole networks: `eager` is the usual loop; `compiled` has forward pass, loss and gradients under
torch.compile, and PyTorch's fused optimizer after them; `script` is a traced and frozen network. Where a method ends in
`last`, weights and pictures have their channels last in memory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch as th
from torch import nn
from torch.nn import functional as F

from benchmarks.network import Arrays
from benchmarks.network_kinds import InferNetwork, TrainNetwork
from benchmarks.networks import gpt, lstm, resnet20, separable
from benchmarks.sides.torch import VERSION, Steps, compiled

__all__ = ["VERSION", "infer_network", "train_network"]


class LeNet5(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)
        )

    def forward(self, x: th.Tensor) -> th.Tensor:
        return self.classifier(self.features(x))


def separable_net() -> nn.Sequential:
    layers: list[nn.Module] = []
    for entering, leaving, kernel, stride, groups in separable.layers():
        conv = nn.Conv2d(entering, leaving, kernel, stride, kernel // 2, groups=groups, bias=False)
        layers.append(nn.Sequential(conv, nn.BatchNorm2d(leaving), nn.ReLU6(inplace=True)))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(leaving, 10))


class BasicBlock(nn.Module):  # type: ignore[misc]
    def __init__(self, entering: int, leaving: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(entering, leaving, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(leaving)
        self.conv2 = nn.Conv2d(leaving, leaving, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(leaving)
        self.channels = leaving - entering

    def forward(self, x: th.Tensor) -> th.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        if self.channels:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.channels))
        return F.relu(y + x, inplace=True)


class ResNet20(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        made = [BasicBlock(entering, leaving, stride) for _, entering, leaving, stride in resnet20.blocks()]
        self.layer1, self.layer2, self.layer3 = (nn.Sequential(*made[n : n + 3]) for n in (0, 3, 6))
        self.fc = nn.Linear(64, 10)

    def forward(self, x: th.Tensor) -> th.Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


class Attention(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.c_attn = nn.Linear(gpt.FEATURES, 3 * gpt.FEATURES)
        self.c_proj = nn.Linear(gpt.FEATURES, gpt.FEATURES)

    def forward(self, x: th.Tensor) -> th.Tensor:
        n, t, f = x.shape
        q, k, v = (z.view(n, t, gpt.HEADS, f // gpt.HEADS).transpose(1, 2) for z in self.c_attn(x).split(f, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(n, t, f))


class MLP(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.c_fc = nn.Linear(gpt.FEATURES, 4 * gpt.FEATURES)
        self.c_proj = nn.Linear(4 * gpt.FEATURES, gpt.FEATURES)

    def forward(self, x: th.Tensor) -> th.Tensor:
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(gpt.FEATURES), Attention()
        self.ln_2, self.mlp = nn.LayerNorm(gpt.FEATURES), MLP()

    def forward(self, x: th.Tensor) -> th.Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):  # type: ignore[misc]
    """nanoGPT."""

    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(gpt.TOKENS, gpt.FEATURES), nn.Embedding(gpt.PLACES, gpt.FEATURES)
        self.h = nn.Sequential(*(Block() for _ in range(gpt.BLOCKS)))
        self.ln_f = nn.LayerNorm(gpt.FEATURES)

    def forward(self, tokens: th.Tensor) -> th.Tensor:
        x = self.h(self.wte(tokens) + self.wpe.weight[: tokens.shape[1]])
        return F.linear(self.ln_f(x), self.wte.weight)


class LastState(nn.Module):  # type: ignore[misc]
    """An LSTM and a linear layer on its last state. What compiles it sees the steps one by one: PyTorch's own layer is
    one operation that cannot be compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(lstm.FEATURES, lstm.HIDDEN, batch_first=True)
        self.head = nn.Linear(lstm.HIDDEN, lstm.NETWORK.outputs)

    def forward(self, x: th.Tensor) -> th.Tensor:
        if th.compiler.is_compiling():
            return self.head(self._written_out(x))
        _, (h, _) = self.lstm(x)
        return self.head(h[0])

    def _written_out(self, x: th.Tensor) -> th.Tensor:
        own = self.lstm
        entered = F.linear(x, own.weight_ih_l0, own.bias_ih_l0 + own.bias_hh_l0)
        h = c = x.new_zeros(len(x), lstm.HIDDEN)
        for step in range(lstm.STEPS):
            i, f, g, o = (entered[:, step] + F.linear(h, own.weight_hh_l0)).chunk(4, 1)
            c = th.sigmoid(f) * c + th.sigmoid(i) * th.tanh(g)
            h = th.sigmoid(o) * th.tanh(c)
        return h


MODELS = {"lenet5": LeNet5, "separable": separable_net, "resnet20": ResNet20, "gpt": GPT, "lstm": LastState}


def made(network: str, arrays: Arrays, last: bool) -> nn.Module:
    """The network with these weights."""
    model: nn.Module = MODELS[network]()
    model.load_state_dict({name: th.tensor(array) for name, array in arrays.items()})
    return model.to(memory_format=th.channels_last) if last else model


class train_network(Steps):
    """Modules, a loss, an optimizer."""

    work: TrainNetwork  # type: ignore[assignment]

    def __init__(self, work: TrainNetwork, method: str, threads: int) -> None:
        self.compiles, self.last = method.startswith("compiled"), method.endswith("last")
        super().__init__(work, threads)  # type: ignore[arg-type]
        if self.last:
            # The rows of a batch are gathered as they lie in memory, and then seen as (N, C, H, W).
            self.x = self.x.permute(0, 2, 3, 1).contiguous()

    def start(self) -> None:
        work = self.work
        model = self.model = made(work.network, work.net.arrays(), self.last)

        def loss_of(x: th.Tensor, y: th.Tensor) -> th.Tensor:
            z = model(x)
            return F.cross_entropy(z.flatten(0, -2), y.flatten())

        # Else the weights of an LSTM may not be looked at in what is compiled.
        th._dynamo.config.allow_rnn = True
        self.loss_of = compiled(loss_of) if self.compiles else loss_of
        parameters = list(model.parameters())
        if work.optimizer == "momentum":
            self.optimizer: th.optim.Optimizer = th.optim.SGD(parameters, lr=work.rate, momentum=0.9, fused=True)
        else:
            chosen = {"adam": th.optim.Adam, "adamw": th.optim.AdamW}[work.optimizer]
            self.optimizer = chosen(parameters, lr=work.rate, fused=True)

    def batches(self, order: th.Tensor) -> Iterator[tuple[th.Tensor, ...]]:
        for rows in order.split(self.work.batch):
            x = self.x.index_select(0, rows)
            yield x.permute(0, 3, 1, 2) if self.last else x, self.y.index_select(0, rows)

    def step(self, x: th.Tensor, y: th.Tensor) -> None:
        loss = self.loss_of(x, y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def value(self) -> float:
        return self.work.value({name: value.numpy() for name, value in self.model.state_dict().items()})


class infer_network:
    """A network in inference mode: as it is, traced and frozen, or compiled."""

    def __init__(self, work: InferNetwork, method: str, threads: int) -> None:
        th.set_num_threads(threads)
        self.work, self.x = work, work.data
        self.last = method.endswith("last")
        model = made(work.network, work.net.arrays(), self.last).eval()
        with th.inference_mode():
            if method == "script":
                model = th.jit.freeze(th.jit.trace(model, th.from_numpy(self.x)))
            elif method.startswith("compiled"):
                model = compiled(model)
        self.model = model

    def call(self) -> Any:
        x = th.from_numpy(self.x)
        return self.model(x.contiguous(memory_format=th.channels_last) if self.last else x).numpy()

    def round(self, number: int, epochs: int) -> tuple[float, int]:
        call, calls = self.call, epochs * self.work.calls
        with th.inference_mode():
            start = time.perf_counter()
            for _ in range(calls):
                call()
            return time.perf_counter() - start, calls

    def value(self) -> float:
        with th.inference_mode():
            return self.work.value(self.call())
