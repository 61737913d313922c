"""Arguments with one number for each spatial axis, which may be given as one number for all of them: kernel sizes,
strides, dilations, paddings."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Shape
from pellucid.core.check import Integer, Pair, check


def per_axis(name: str, value: Any, count: int, low: int) -> Shape:
    """One whole number, or one for each of `count` axes, as a tuple.

    Raises
        ArgumentTypeError: neither a whole number nor a sequence of them.
        ArgumentError: a number is below `low`.
    """
    if isinstance(value, list | tuple | np.ndarray):
        given = list(value)
        if len(given) == 1:
            given = given * count
        check(name, given, Pair(Integer(low), count))
        return tuple(map(int, given))
    check(name, value, Integer(low))
    return (int(value),) * count
