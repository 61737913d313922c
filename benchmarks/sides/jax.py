"""JAX's side: `jit` calls a compiled step for each batch; `scan` compiles the loop over the batches too, gathers the
rows inside, and does as many epochs a call as make 20,000 steps; `scan_out` is the same with weights kept as (out, in),
which is faster for some sizes. State is donated. `vmap` is `scan_out` for many networks at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.digits import digits
from benchmarks.kinds import Infer, Layers, Reach, Train

VERSION = jax.__version__

State = tuple[Any, Any]

HIDDEN = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid}


def forward(layers: Any, x: jax.Array, hidden: str, out_first: bool) -> jax.Array:
    for number, (weight, bias) in enumerate(layers):
        x = (x @ weight.T if out_first else x @ weight) + bias
        if number + 1 < len(layers):
            x = HIDDEN[hidden](x)
    return x


def cross_entropy(z: jax.Array, y: jax.Array) -> jax.Array:
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1))


def bce(z: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.mean(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))


LOSSES = {"cross_entropy": cross_entropy, "bce": bce}


def arrays(layers: Layers, out_first: bool) -> Any:
    return [(jnp.array(weight if out_first else weight.T), jnp.array(bias)) for weight, bias in layers]


def first_state(optimizer: str, layers: Any) -> State:
    zeros = partial(jax.tree.map, jnp.zeros_like)
    if optimizer == "adam":
        return layers, (zeros(layers), zeros(layers), jnp.zeros(()))
    return layers, zeros(layers) if optimizer == "momentum" else None


def updated(optimizer: str, rate: float, layers: Any, gradients: Any, memory: Any) -> State:
    """Weights and optimizer state after a step."""
    if optimizer == "sgd":
        return jax.tree.map(lambda p, g: p - rate * g, layers, gradients), None
    if optimizer == "momentum":
        memory = jax.tree.map(lambda b, g: 0.9 * b + g, memory, gradients)
        return jax.tree.map(lambda p, b: p - rate * b, layers, memory), memory
    m, v, count = memory
    count = count + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradients)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradients)
    size = rate * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
    return jax.tree.map(lambda p, m, v: p - size * m / (jnp.sqrt(v) + 1e-8), layers, m, v), (m, v, count)


def step_of(work: Train | Reach, optimizer: str, loss: str, hidden: str, out_first: bool) -> Callable[..., Any]:
    def step(state: State, batch: tuple[jax.Array, jax.Array]) -> Any:
        layers, memory = state
        x, y = batch
        value, gradients = jax.value_and_grad(lambda p: LOSSES[loss](forward(p, x, hidden, out_first), y))(layers)
        return updated(optimizer, work.rate, layers, gradients, memory), value

    return step


class train:
    """A state that goes through compiled functions."""

    def __init__(self, work: Train, method: str, threads: int) -> None:
        self.work, self.method = work, method
        self.out_first = method != "scan"
        self.gathers = work.shuffle and work.batch < work.rows
        x, y = work.data
        self.x, self.y = jnp.asarray(x), jnp.asarray(y if work.loss == "bce" else y.astype(np.int32))
        self.step = step_of(work, work.optimizer, work.loss, work.hidden, self.out_first)
        self.one = jax.jit(self._one, donate_argnums=0)
        self.many = jax.jit(self._vmap if work.models > 1 else self._scan, donate_argnums=0)
        self.start()

    def start(self) -> None:
        work = self.work
        states = [first_state(work.optimizer, arrays(work.layers(n), self.out_first)) for n in range(work.models)]
        self.state = states[0] if work.models == 1 else jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)

    def _one(self, state: State, x: jax.Array, y: jax.Array, rows: jax.Array) -> Any:
        return self.step(state, (x[rows], y[rows]) if self.gathers else (x, y))

    def _scan(self, state: State, x: jax.Array, y: jax.Array, orders: jax.Array) -> Any:
        """Orders has the rows of each step, or, where they come as they are, as many elements as there are epochs."""
        if self.gathers:
            return jax.lax.scan(lambda s, rows: self.step(s, (x[rows], y[rows])), state, orders)
        batches = tuple(a.reshape(self.work.steps, self.work.batch, -1) for a in (x, y))
        return jax.lax.scan(lambda s, _: jax.lax.scan(self.step, s, batches), state, orders)

    def _vmap(self, state: State, x: jax.Array, y: jax.Array, orders: jax.Array) -> Any:
        return jax.vmap(self._scan, in_axes=(0, None, None, None))(state, x, y, orders)

    def round(self, number: int, epochs: int) -> tuple[float, int]:
        work = self.work
        if work.anew:
            self.start()
        jax.block_until_ready(self.state)
        calls = self._steps(number, epochs) if self.method == "jit" else self._chunks(number, epochs)
        call = self.one if self.method == "jit" else self.many
        start = time.perf_counter()
        for arguments in calls:
            self.state, _ = call(self.state, *arguments)
        jax.block_until_ready(self.state)
        return time.perf_counter() - start, epochs * work.steps * work.models

    def _chunks(self, number: int, epochs: int) -> list[tuple[jax.Array, ...]]:
        work, size = self.work, min(epochs, self.work.call_epochs)
        chunks = []
        for first in range(0, epochs, size):
            chunk = range(first, min(first + size, epochs))
            if self.gathers:
                orders = np.concatenate([work.order(number, epoch) for epoch in chunk])
                rows = jnp.asarray(orders.reshape(-1, work.batch).astype(np.int32))
            else:
                rows = jnp.arange(len(chunk))
            chunks.append((self.x, self.y, rows))
        return chunks

    def _steps(self, number: int, epochs: int) -> list[tuple[jax.Array, ...]]:
        work, batch = self.work, self.work.batch
        steps = []
        for epoch in range(epochs):
            order = work.order(number, epoch).astype(np.int32)
            for first in range(0, work.rows, batch):
                rows = slice(first, first + batch)
                # As NumPy arrays, which a call takes faster than it makes arrays of its own beforehand.
                steps.append((self.x, self.y, order[rows]) if self.gathers else self._batch(rows))
        return steps

    def _batch(self, rows: slice) -> tuple[jax.Array, ...]:
        if not hasattr(self, "_ready"):
            self._ready: dict[int, tuple[jax.Array, ...]] = {}
        if rows.start not in self._ready:
            self._ready[rows.start] = (self.x[rows], self.y[rows], jnp.zeros(0, jnp.int32))
        return self._ready[rows.start]

    def value(self) -> float:
        layers = jax.tree.map(np.asarray, self.state[0])
        if self.work.models == 1:
            models = [layers]
        else:
            models = [[(w[n], b[n]) for w, b in layers] for n in range(self.work.models)]
        return self.work.value([[(w if self.out_first else w.T, b) for w, b in model] for model in models])


class infer:
    """A compiled function with the weights in it."""

    def __init__(self, work: Infer, method: str, threads: int) -> None:
        self.work, self.x = work, work.network.data[0]
        layers = arrays(work.network.layers(), False)
        self.call = jax.jit(lambda x: forward(layers, x, "relu", False))

    def round(self, number: int, epochs: int) -> tuple[float, int]:
        call, x, calls = self.call, self.x, epochs * self.work.calls
        start = time.perf_counter()
        for _ in range(calls):
            np.asarray(call(x))
        return time.perf_counter() - start, calls

    def value(self) -> float:
        return self.work.value(np.asarray(self.call(self.x)))


def reach(work: Reach, method: str, threads: int) -> dict[str, Any]:
    """A scan over each epoch, and a compiled look at the test rows after it."""
    data = digits()
    x, y = jnp.asarray(data.x), jnp.asarray(data.y.astype(np.int32))
    x_test, y_test = jnp.asarray(data.x_test), jnp.asarray(data.y_test)
    step = step_of(work, "adam", "cross_entropy", "relu", False)
    whole = len(data.x) // work.batch * work.batch

    @jax.jit  # type: ignore[untyped-decorator]
    def epoch_of(state: State, order: jax.Array) -> Any:
        rows = order[:whole].reshape(-1, work.batch)
        state, _ = jax.lax.scan(lambda s, r: step(s, (x[r], y[r])), state, rows)
        state, _ = step(state, (x[order[whole:]], y[order[whole:]]))
        return state, jnp.mean(forward(state[0], x_test, "relu", False).argmax(1) == y_test)

    state = first_state("adam", arrays(data.layers, False))
    epochs = 0
    for order in data.orders:
        epochs += 1
        state, share = epoch_of(state, order)
        accuracy = float(share)
        if accuracy >= work.accuracy:
            break
    return {"accuracy": accuracy, "epochs": epochs}
