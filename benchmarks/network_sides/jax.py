"""JAX's side of whole networks: `jit` calls a compiled step for each batch, whose rows it gathers; `scan` compiles the
loop over an epoch's batches too. Where a method ends in `last`, pictures are (N, H, W, C) and the weights of
convolutions (H, W, C, O). Convolutions of one channel each are written out, since XLA's own take several times as long
on a CPU. State is donated.
"""

from __future__ import annotations

import math
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.network import BUFFERS, Arrays
from benchmarks.network_kinds import InferNetwork, TrainNetwork
from benchmarks.reference import EPS
from benchmarks.sides.jax import VERSION, first_state, updated

__all__ = ["VERSION", "infer_network", "train_network"]

LAST = (0, 2, 3, 1)
"""The axes of pictures with their channels last."""


class Operations:
    """`benchmarks.network.Operations`; `buffers` has the running statistics after the forward pass."""

    def __init__(self, arrays: Any, training: bool, last: bool) -> None:
        self.arrays, self.training, self.last = arrays, training, last
        self.buffers: dict[str, jax.Array] = {}

    def _along_channels(self, x: jax.Array) -> jax.Array:
        return x if self.last else x[:, None, None]

    def pictures(self, x: jax.Array) -> jax.Array:
        return x

    def conv2d(self, name: str, x: jax.Array, stride: int = 1, padding: int = 0, groups: int = 1) -> jax.Array:
        if groups > 1:
            return self._depthwise(self.arrays[f"{name}.weight"], x, stride, padding)
        y = jax.lax.conv_general_dilated(
            x,
            self.arrays[f"{name}.weight"],
            (stride, stride),
            [(padding, padding)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC") if self.last else ("NCHW", "OIHW", "NCHW"),
        )
        bias = self.arrays.get(f"{name}.bias")
        return y if bias is None else y + self._along_channels(bias)

    def _depthwise(self, weight: jax.Array, x: jax.Array, stride: int, padding: int) -> jax.Array:
        """The sum over the kernel's places of shifted pictures, each times its weights."""
        height, width = (1, 2) if self.last else (2, 3)
        size = weight.shape[0 if self.last else 2]
        border = [(padding, padding) if axis in (height, width) else (0, 0) for axis in range(4)]
        x = jnp.pad(x, border)
        y: Any = 0
        for i in range(size):
            for j in range(size):
                part = jax.lax.slice_in_dim(x, i, x.shape[height] - size + 1 + i, stride, height)
                part = jax.lax.slice_in_dim(part, j, x.shape[width] - size + 1 + j, stride, width)
                y = y + part * (weight[i, j, 0] if self.last else self._along_channels(weight[:, 0, i, j]))
        return y

    def batch_norm(self, name: str, x: jax.Array) -> jax.Array:
        a = self.arrays
        mean, var = a[f"{name}.running_mean"], a[f"{name}.running_var"]
        if self.training:
            axes = (0, 1, 2) if self.last else (0, 2, 3)
            new_mean = x.mean(axes)
            new_var = jnp.square(x - self._along_channels(new_mean)).mean(axes)
            count = x.size / mean.size
            self.buffers[f"{name}.running_mean"] = 0.9 * mean + 0.1 * new_mean
            self.buffers[f"{name}.running_var"] = 0.9 * var + 0.1 * new_var * (count / (count - 1))
            mean, var = new_mean, new_var
        scale = a[f"{name}.weight"] * jax.lax.rsqrt(var + EPS)
        shift = a[f"{name}.bias"] - mean * scale
        return x * self._along_channels(scale) + self._along_channels(shift)

    def relu(self, x: jax.Array) -> jax.Array:
        return jax.nn.relu(x)

    def relu6(self, x: jax.Array) -> jax.Array:
        return jax.nn.relu6(x)

    def max_pool2(self, x: jax.Array) -> jax.Array:
        window = (1, 2, 2, 1) if self.last else (1, 1, 2, 2)
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")

    def padded_shortcut(self, x: jax.Array, channels: int) -> jax.Array:
        if self.last:
            return jnp.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (0, channels)))
        return jnp.pad(x[:, :, ::2, ::2], ((0, 0), (0, channels), (0, 0), (0, 0)))

    def mean_of_places(self, x: jax.Array) -> jax.Array:
        return x.mean((1, 2) if self.last else (2, 3))

    def flatten(self, x: jax.Array) -> jax.Array:
        return (x.transpose(0, 3, 1, 2) if self.last else x).reshape(len(x), -1)

    def linear(self, name: str, x: jax.Array) -> jax.Array:
        y = x @ self.arrays[f"{name}.weight"].T
        bias = self.arrays.get(f"{name}.bias")
        return y if bias is None else y + bias

    def tokens(self, table: str, places: str, x: jax.Array) -> jax.Array:
        return self.arrays[f"{table}.weight"][x] + self.arrays[f"{places}.weight"][: x.shape[1]]

    def layer_norm(self, name: str, x: jax.Array) -> jax.Array:
        centred = x - x.mean(-1, keepdims=True)
        y = centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + EPS)
        return y * self.arrays[f"{name}.weight"] + self.arrays[f"{name}.bias"]

    def gelu_tanh(self, x: jax.Array) -> jax.Array:
        return jax.nn.gelu(x, approximate=True)

    def causal_attention(self, x: jax.Array, heads: int) -> jax.Array:
        n, t, width = x.shape
        q, k, v = (z.reshape(n, t, heads, -1) for z in jnp.split(x, 3, axis=-1))
        scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) / math.sqrt(q.shape[-1])
        scores = jnp.where(jnp.tri(t, dtype=bool), scores, -jnp.inf)
        y = jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(scores), v)
        return y.reshape(n, t, width // 3)

    def add(self, x: jax.Array, y: jax.Array) -> jax.Array:
        return x + y

    def lstm_last(self, name: str, x: jax.Array) -> jax.Array:
        a = self.arrays
        inner, outer = a[f"{name}.weight_ih_l0"], a[f"{name}.weight_hh_l0"]
        # What enters is multiplied for all steps at once.
        entered = jnp.swapaxes(x, 0, 1) @ inner.T + (a[f"{name}.bias_ih_l0"] + a[f"{name}.bias_hh_l0"])

        def step(carry: Any, z: jax.Array) -> Any:
            h, c = carry
            i, f, g, o = jnp.split(z + h @ outer.T, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        zeros = jnp.zeros((x.shape[0], outer.shape[1]), x.dtype)
        (h, _), _ = jax.lax.scan(step, (zeros, zeros), entered)
        return h


def into(arrays: Arrays, last: bool) -> dict[str, jax.Array]:
    """Weights and buffers as the operations want them; nobody reads the counts of batches."""
    return {
        name: jnp.asarray(a.transpose(2, 3, 1, 0) if last and a.ndim == 4 else a)
        for name, a in arrays.items()
        if not name.endswith("num_batches_tracked")
    }


class train_network:
    """A state that goes through compiled functions: weights, buffers, and what the optimizer remembers."""

    def __init__(self, work: TrainNetwork, method: str, threads: int) -> None:
        self.work, self.last = work, method.endswith("last")
        self.scans = method.startswith("scan")
        x, y = work.data
        self.x = jnp.asarray(x.transpose(LAST) if self.last else x)
        self.y = jnp.asarray(y.astype(np.int32))
        arrays = into(work.net.arrays(), self.last)
        self.adam = "adam" if work.optimizer == "adamw" else work.optimizer
        weights = {name: a for name, a in arrays.items() if not name.endswith(BUFFERS)}
        buffers = {name: a for name, a in arrays.items() if name.endswith(BUFFERS)}
        self.state = (*first_state(self.adam, weights), buffers)
        self.call = jax.jit(self._epoch if self.scans else self._step, donate_argnums=0)

    def _step(self, state: Any, x: jax.Array, y: jax.Array, rows: jax.Array) -> Any:
        work, (weights, memory, buffers) = self.work, state

        def loss_of(weights: Any) -> Any:
            m = Operations(weights | buffers, True, self.last)
            z = work.net.forward(m, x[rows])
            chosen = jnp.take_along_axis(jax.nn.log_softmax(z), y[rows][..., None], axis=-1)
            return -chosen.mean(), m.buffers

        (value, buffers), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights)
        if work.optimizer == "adamw":
            weights = jax.tree.map(lambda p: p * (1 - work.rate * 0.01), weights)
        return (*updated(self.adam, work.rate, weights, gradients, memory), buffers), value

    def _epoch(self, state: Any, x: jax.Array, y: jax.Array, orders: jax.Array) -> Any:
        return jax.lax.scan(lambda s, rows: self._step(s, x, y, rows), state, orders)

    def round(self, number: int, epochs: int) -> tuple[float, int]:
        work = self.work
        orders = [work.order(number, n).reshape(-1, work.batch).astype(np.int32) for n in range(epochs)]
        calls = orders if self.scans else [rows for order in orders for rows in order]
        jax.block_until_ready(self.state)
        start = time.perf_counter()
        for rows in calls:
            self.state, _ = self.call(self.state, self.x, self.y, rows)
        jax.block_until_ready(self.state)
        return time.perf_counter() - start, epochs * work.steps

    def value(self) -> float:
        arrays = {name: np.asarray(a) for part in (self.state[0], self.state[2]) for name, a in part.items()}
        return self.work.value(
            {name: a.transpose(3, 2, 0, 1) if self.last and a.ndim == 4 else a for name, a in arrays.items()}
        )


class infer_network:
    """A compiled function with the weights in it."""

    def __init__(self, work: InferNetwork, method: str, threads: int) -> None:
        self.work, self.x = work, work.data
        last = method.endswith("last")
        arrays = into(work.net.arrays(), last)

        def scores(x: jax.Array) -> Any:
            return work.net.forward(Operations(arrays, False, last), x.transpose(LAST) if last else x)

        self.call = jax.jit(scores)

    def round(self, number: int, epochs: int) -> tuple[float, int]:
        call, x, calls = self.call, self.x, epochs * self.work.calls
        start = time.perf_counter()
        for _ in range(calls):
            np.asarray(call(x))
        return time.perf_counter() - start, calls

    def value(self) -> float:
        return self.work.value(np.asarray(self.call(self.x)))
