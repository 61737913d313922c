"""Functions come in; how long a call of each takes leaves. They take turns, so that whatever else the machine is doing
meets all of them alike. Experiments that time call it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pellucid._typing import Array


def in_turn(functions: Mapping[str, Callable[[], Any]], rounds: int, least_s: float = 1e-3) -> dict[str, Array]:
    """Seconds a call, for each function and round; shape (rounds,).

    Parameters
        rounds : how often each has its turn
        least_s : in a turn a function is called until so many seconds are over, by its first calls
    """
    calls = {}
    for name, function in functions.items():
        function()
        start = time.perf_counter()
        function()
        calls[name] = max(1, round(least_s / max(time.perf_counter() - start, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in functions}
    for n in range(rounds):
        # Nobody is always first.
        order = list(functions)
        for name in order[n % len(order) :] + order[: n % len(order)]:
            function = functions[name]
            start = time.perf_counter()
            for _ in range(calls[name]):
                function()
            times[name].append((time.perf_counter() - start) / calls[name])
    return {name: np.array(values) for name, values in times.items()}


def typical(seconds: Array) -> float:
    """The time that a tenth of the turns do not exceed: what else a machine does makes calls longer, not shorter."""
    return float(np.quantile(seconds, 0.1))
