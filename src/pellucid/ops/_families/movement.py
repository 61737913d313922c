"""Movements: operations that place elements without computing. Declared by the NumPy value, the shape rule, the
gradient, and the index map: for each index of the result, the index of the input that stands there. They cost
nothing; kernels read through the map.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.op import NONE, Cost, Op, register
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor


def movement(
    *,
    spec: Callable[..., Spec],
    vjp: Callable[..., Tensor | None],
    onnx: str | Callable[..., Any] | NONE,
    formula: str,
    index: Callable[..., Any] | NONE,
    attrs: tuple[str, ...] = (),
    adds: int | None = None,
) -> Callable[[Callable[..., Array]], Op]:
    """Declare a movement.

    Parameters
        spec : (*specs, **attrs) -> Spec; raises the clear error.
        vjp : (i, g, y, xs, **attrs) -> Tensor.
        index : (i, specs, **attrs) -> the input's index (a tuple of integer expressions) from the output's index i;
            with several inputs or gaps, NONE with the reason.
        formula : the map as a line of text.
        adds : the input whose elements are added where they land (scatters): each costs one addition.
    """

    def declare(function: Callable[..., Array]) -> Op:
        def value(*arrays: Any, **kw: Any) -> Array:
            for a in arrays:
                if type(a) is not np.ndarray:
                    return function(*map(np.asarray, arrays), **kw)
            return function(*arrays, **kw)

        def cost(specs: list[Spec], out: Spec, kw: dict[str, Any]) -> Cost:
            return Cost(flops=0 if adds is None else specs[adds].size)

        def rule(i: int, g: Tensor, y: Tensor, xs: list[Any], kw: dict[str, Any]) -> Tensor | None:
            return vjp(i, g, y, xs, **kw)

        return register(
            Op(
                name=function.__name__.strip("_"),
                family="movement",
                value=value,
                spec=spec,
                vjp=rule,
                cost=cost,
                formula=lambda specs=None, kw=None: formula,
                kernel=index,
                onnx=onnx,
                attrs=dict.fromkeys(attrs, inspect.Parameter.empty),
                doc=inspect.getdoc(function) or "",
            )
        )

    return declare
