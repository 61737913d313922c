"""Random numbers from counters. A key is two 64-bit words; the stream of a key is Philox-4x64-10 from counter 0 under
that key, read as 32-bit halves, low half first, so the same bits come eagerly, compiled, and with any number of
threads. A `Generator` gives a fresh key to every draw: its seed is the first word, the number of the draw the second.

Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011; NumPy's Philox bit generator.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Integer, check, shown
from pellucid.core.context import state
from pellucid.core.other_names import explains_calls
from pellucid.core.tensor import Tensor, to_array, wrap
from pellucid.errors import ArgumentTypeError, ShapeError

_SEED = Integer(0, 2**64 - 1)


@explains_calls
def seed(number: int) -> Tensor:
    """The key of a seed: uint64 (2,)."""
    check("seed", number, _SEED)
    return wrap(np.array([number, 0], np.uint64))


@explains_calls
def fold(key: Tensor, number: int) -> Tensor:
    """A new key from a key and a number (a layer, an epoch, a worker): distinct numbers give independent streams."""
    check("number", number, _SEED)
    check_key(key)
    key._read()
    digest = hashlib.blake2b(key.data.astype("<u8").tobytes() + int(number).to_bytes(8, "little"), digest_size=16)
    return wrap(np.frombuffer(digest.digest(), "<u8").astype(np.uint64))


def check_key(key: Any) -> None:
    """Raise unless `key` came from `seed`, `split` or `fold`.

    Raises
        ArgumentTypeError: it did not.
    """
    if not isinstance(key, Tensor) or key.dtype != np.uint64 or key.shape != (2,):
        raise ArgumentTypeError("core.key", given=shown(key))


@explains_calls
def split(key: Tensor, num: int = 2) -> list[Tensor]:
    """`num` new keys from one."""
    check("num", num, Integer(1))
    return [fold(key, i) for i in range(num)]


def bits(key: Array, size: int) -> Array:
    """The first `size` numbers of a key's stream, uint32."""
    words: Array = np.random.Philox(counter=0, key=key).random_raw((size + 1) // 2)
    return words.astype("<u8", copy=False).view("<u4")[:size]


class Generator:
    """Hands out keys, one a draw.

    Parameters
        seed : whole number from 0 to 2**64 - 1.
    """

    def __init__(self, seed: int = 0) -> None:
        self.state = wrap(np.zeros(2, np.uint64))
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start again from a seed; returns self."""
        check("seed", seed, _SEED)
        self.state.data = np.array([seed, 0], np.uint64)
        return self

    def next_key(self) -> Tensor:
        """A key that this generator has not given before. In a recorded graph the state is read and moved on by each
        replay."""
        if state.recorder is None:
            key = wrap(self.state.data)
            self.state.data = key.data + _ONE_DRAW
            return key
        from pellucid.core.op import REGISTRY
        from pellucid.core.tensor import apply

        key = apply(REGISTRY["add"], [self.state, wrap(np.zeros(2, np.uint64))], {})
        self.state.assign(apply(REGISTRY["add"], [self.state, wrap(_ONE_DRAW)], {}))
        return key

    def get_state(self) -> Array:
        """The state as an array, uint64 (2,): seed and number of draws so far."""
        self.state._read()
        return self.state.data.copy()

    def set_state(self, value: Any) -> None:
        """Go back to a state from `get_state`."""
        state = to_array(value, np.uint64)
        if state.shape != (2,):
            raise ShapeError("core.generator-state", shape=state.shape)
        self.state.data = state.copy()


_ONE_DRAW = np.array([0, 1], np.uint64)


class _Own(threading.local):
    state: Tensor | None = None


_own = _Own()


class _Default(Generator):
    """One for all threads, but for those inside `own_draws`."""

    @property
    def state(self) -> Tensor:
        """Seed and number of draws so far."""
        return self._state if _own.state is None else _own.state

    @state.setter
    def state(self, value: Tensor) -> None:
        self._state = value


default_generator = _Default(0)
"""What every draw without a key of its own uses."""


@contextmanager
def own_draws(start: Array) -> Iterator[Tensor]:
    """Inside, this thread draws from a state of its own, which is given to the block; other threads do not notice.

    Parameters
        start : from `Generator.get_state`
    """
    before, _own.state = _own.state, wrap(start.copy())
    try:
        yield _own.state
    finally:
        _own.state = before


@explains_calls
def manual_seed(seed: int) -> Generator:
    """Seed the default generator: initial weights, dropout and every draw after this repeat exactly."""
    return default_generator.manual_seed(seed)
