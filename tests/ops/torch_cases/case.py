"""A case of the comparison with PyTorch: inputs, and the same computation in both libraries."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import pellucid as pl

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.uniform(-2, 2, shape)


class Case(NamedTuple):
    """second : whether the gradients of the gradients are compared too."""

    name: str
    inputs: tuple[np.ndarray, ...]
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    second: bool = True


def same(name: str, inputs: tuple[Any, ...], function: Callable[..., Any], second: bool = True) -> Case:
    """A case in which one expression serves both libraries; it gets the library as its first argument."""
    return Case(name, inputs, lambda *x: function(pl, *x), lambda *x: function(torch, *x), second)


def written(text: str) -> Callable[[Any, Any], Any]:
    """An expression of x, and of the library m, as a function."""
    code = compile(text, text, "eval")
    return lambda m, x: eval(code, {"m": m, "x": x, "torch": torch})  # noqa: S307


A, B, C = floats(2, 3), floats(2, 3), floats(3, 4)
TIES = np.array([[1.0, 2.0, 2.0], [3.0, 3.0, 3.0], [0.0, -1.0, 0.0]])
ZEROS = np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 4.0], [1.0, 2.0, 3.0]])
INFINITE = np.array([[1.0, np.inf], [-np.inf, 2.0], [-1e300, 1e300]])
CUBE = floats(2, 3, 4)
