"""PyTorch's side: `eager` is the usual loop; `compiled` is the whole step, gradient, update and the gathering of the
batch's rows, as one function under torch.compile, of the forms that were tried the fastest; `vmap` is that function for
many networks at once, not compiled, and `script` a traced and frozen network.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch as th
from torch.nn import functional as F

from benchmarks.digits import digits
from benchmarks.kinds import Infer, Layers, Reach, Train

VERSION = th.__version__

HIDDEN = {"relu": th.nn.ReLU, "sigmoid": th.nn.Sigmoid}
LOSSES: dict[str, Callable[..., th.Tensor]] = {
    "cross_entropy": F.cross_entropy,
    "bce": F.binary_cross_entropy_with_logits,
}


def network(layers: Layers, hidden: str = "relu") -> th.nn.Sequential:
    modules: list[th.nn.Module] = []
    for weight, bias in layers:
        linear = th.nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": th.tensor(weight), "bias": th.tensor(bias)})
        modules += [linear, HIDDEN[hidden]()]
    return th.nn.Sequential(*modules[:-1])


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Under torch.compile as it is fastest here: fixed sizes, and called through C++."""
    return th.compile(function, fullgraph=True, dynamic=False, options={"cpp_wrapper": True})  # type: ignore[no-any-return]


class Steps:
    """What the two ways of training share: the data, and the rows of each batch."""

    def __init__(self, work: Train, threads: int) -> None:
        th.set_num_threads(threads)
        self.work = work
        self.x, self.y = (th.from_numpy(array) for array in work.data)
        self.start()

    def start(self) -> None:
        """Build everything from the initial weights."""
        raise NotImplementedError

    def batches(self, order: th.Tensor) -> Iterator[tuple[th.Tensor, ...]]:
        """The arguments of the steps of an epoch."""
        raise NotImplementedError

    def step(self, *arguments: th.Tensor) -> Any:
        raise NotImplementedError

    def round(self, number: int, epochs: int) -> tuple[float, int]:
        work = self.work
        if work.anew:
            self.start()
        if work.shuffle and work.batch < work.rows:
            orders = [th.from_numpy(work.order(number, epoch)) for epoch in range(epochs)]
            start = time.perf_counter()
            for order in orders:
                for arguments in self.batches(order):
                    self.step(*arguments)
        else:
            ready = list(zip(self.x.split(work.batch), self.y.split(work.batch), strict=True))
            start = time.perf_counter()
            for _ in range(epochs):
                for arguments in ready:
                    self.step(*arguments)
        return time.perf_counter() - start, epochs * work.steps * work.models


class Eager(Steps):
    """Modules, a loss, an optimizer."""

    def start(self) -> None:
        work = self.work
        self.model = network(work.layers(), work.hidden)
        self.loss_fn = LOSSES[work.loss]
        parameters = self.model.parameters()
        if work.optimizer == "adam":
            self.optimizer: th.optim.Optimizer = th.optim.Adam(parameters, lr=work.rate, fused=True)
        else:
            momentum = 0.9 if work.optimizer == "momentum" else 0.0
            self.optimizer = th.optim.SGD(parameters, lr=work.rate, momentum=momentum)

    def batches(self, order: th.Tensor) -> Iterator[tuple[th.Tensor, ...]]:
        for rows in order.split(self.work.batch):
            yield self.x.index_select(0, rows), self.y.index_select(0, rows)

    def step(self, x: th.Tensor, y: th.Tensor) -> None:
        loss = self.loss_fn(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def value(self) -> float:
        values = [p.detach().numpy() for p in self.model.parameters()]
        return self.work.value([list(zip(values[::2], values[1::2], strict=True))])


class Whole(Steps):
    """The step as one function of all that it reads and changes, for one network or for many side by side."""

    function: Callable[..., Any]

    def __init__(self, work: Train, threads: int, compile: bool) -> None:
        super().__init__(work, threads)
        function = self.whole_step()
        self.function = compiled(function) if compile else function

    def start(self) -> None:
        work = self.work
        layers = [[array for layer in work.layers(n) for array in layer] for n in range(work.models)]
        if work.models == 1:
            self.parameters = [th.tensor(array) for array in layers[0]]
        else:
            self.parameters = [th.tensor(np.stack(arrays)) for arrays in zip(*layers, strict=True)]
        moments = {"sgd": 0, "momentum": 1, "adam": 2}[work.optimizer]
        self.state = [[th.zeros_like(p) for p in self.parameters] for _ in range(moments)]
        self.time = th.zeros(())

    def whole_step(self) -> Callable[..., Any]:
        work, rate = self.work, self.work.rate
        activation = {"relu": th.relu, "sigmoid": th.sigmoid}[work.hidden]
        loss_fn = LOSSES[work.loss]
        gathers = work.shuffle and work.batch < work.rows

        def loss(parameters: list[th.Tensor], x: th.Tensor, y: th.Tensor) -> th.Tensor:
            for n in range(0, len(parameters), 2):
                x = F.linear(x, parameters[n], parameters[n + 1])
                if n + 2 < len(parameters):
                    x = activation(x)
            return loss_fn(x, y)

        gradient = th.func.grad_and_value(loss)
        if work.models > 1:
            gradient = th.func.vmap(gradient, in_dims=(0, None, None))

        def step(
            parameters: list[th.Tensor],
            state: list[list[th.Tensor]],
            time: th.Tensor,
            x: th.Tensor,
            y: th.Tensor,
            rows: th.Tensor | None,
        ) -> th.Tensor:
            if gathers:
                x, y = x[rows], y[rows]
            gradients, value = gradient(parameters, x, y)
            if work.optimizer == "adam":
                time.add_(1)
                correction = th.sqrt(1 - 0.999**time) / (1 - 0.9**time)
            for n, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
                if work.optimizer == "sgd":
                    p.sub_(rate * g)
                elif work.optimizer == "momentum":
                    state[0][n].mul_(0.9).add_(g)
                    p.sub_(rate * state[0][n])
                else:
                    m, v = state[0][n], state[1][n]
                    m.mul_(0.9).add_(0.1 * g)
                    v.mul_(0.999).add_(0.001 * g * g)
                    # sqrt(v)/sqrt(c) + 1e-8 with the correction taken out of the bracket, which only scales the 1e-8.
                    p.sub_(rate * correction * m / (v.sqrt() + 1e-8))
            return value

        return step

    def batches(self, order: th.Tensor) -> Iterator[tuple[th.Tensor, ...]]:
        for rows in order.split(self.work.batch):
            yield self.x, self.y, rows

    def step(self, x: th.Tensor, y: th.Tensor, rows: th.Tensor | None = None) -> None:
        self.function(self.parameters, self.state, self.time, x, y, rows)

    def round(self, number: int, epochs: int) -> tuple[float, int]:
        with th.no_grad():
            return super().round(number, epochs)

    def value(self) -> float:
        arrays = [p.numpy() for p in self.parameters]
        if self.work.models == 1:
            return self.work.value([list(zip(arrays[::2], arrays[1::2], strict=True))])
        models = [[array[n] for array in arrays] for n in range(self.work.models)]
        return self.work.value([list(zip(m[::2], m[1::2], strict=True)) for m in models])


def train(work: Train, method: str, threads: int) -> Eager | Whole:
    return Eager(work, threads) if method == "eager" else Whole(work, threads, compile=method == "compiled")


class infer:
    """A network in inference mode: as it is, traced and frozen, or compiled."""

    def __init__(self, work: Infer, method: str, threads: int) -> None:
        th.set_num_threads(threads)
        self.work, self.x = work, work.network.data[0]
        model = network(work.network.layers()).eval()
        with th.inference_mode():
            if method == "script":
                model = th.jit.freeze(th.jit.trace(model, th.from_numpy(self.x)))
            elif method == "compiled":
                model = compiled(model)
        self.call = model

    def round(self, number: int, epochs: int) -> tuple[float, int]:
        call, x, calls = self.call, self.x, epochs * self.work.calls
        with th.inference_mode():
            start = time.perf_counter()
            for _ in range(calls):
                call(th.from_numpy(x)).numpy()
            return time.perf_counter() - start, calls

    def value(self) -> float:
        with th.inference_mode():
            return self.work.value(self.call(th.from_numpy(self.x)).numpy())


def reach(work: Reach, method: str, threads: int) -> dict[str, Any]:
    """The usual loop, with a look at the test rows after each epoch."""
    th.set_num_threads(threads)
    data = digits()
    x, y, x_test, y_test = (th.from_numpy(array) for array in (data.x, data.y, data.x_test, data.y_test))
    model = network(data.layers)
    optimizer = th.optim.Adam(model.parameters(), lr=work.rate)
    epochs = 0
    for order in data.orders:
        epochs += 1
        for rows in th.from_numpy(order).split(work.batch):
            loss = F.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with th.no_grad():
            accuracy = (model(x_test).argmax(1) == y_test).float().mean().item()
        if accuracy >= work.accuracy:
            break
    return {"accuracy": accuracy, "epochs": epochs}
