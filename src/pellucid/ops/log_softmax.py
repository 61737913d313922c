"""The logarithm of softmax, as one operation: it is the heart of every classifier's loss, where its parts would cost a
training step more than the network does, and where x - logsumexp(x) would lose the digits that large logits have in
common.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.context import default_dtype
from pellucid.core.op import NONE, REGISTRY, Cost, Op, register
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor
from pellucid.ops._families.reduction import one_axis, ones_vector
from pellucid.ops.elementwise import exp

# NumPy's type stubs do not know the quicker positional call.
_add: Any = np.add.reduce
_maximum: Any = np.maximum.reduce


_FEW = 32


def _value(x: Array, *, axis: int) -> Array:
    if x.dtype.kind != "f":
        x = x.astype(default_dtype())
    if x.size == 0:
        return x.copy()
    if x.ndim == 2 and axis == 1 and x.shape[1] <= _FEW:
        # NumPy is slow along short rows: the largest is found along columns, and the sum is a product with ones.
        y: Array = x - _maximum(x.T.copy(), 0)[:, None]
        y -= np.log(np.exp(y).dot(ones_vector(x.shape[1], x.dtype)))[:, None]
        return y
    y = x - _maximum(x, axis, None, None, True)
    y -= np.log(_add(np.exp(y), axis, None, None, True))
    return y


def _vjp(i: int, g: Tensor, y: Tensor, xs: list[Any], attrs: dict[str, Any]) -> Tensor:
    total = apply(REGISTRY["sum"], [g], {"axis": (attrs["axis"],), "keepdims": True})
    return g - exp(y) * total


def _spec(x: Spec, *, axis: int) -> Spec:
    return Spec(x.shape, x.dtype if x.dtype.kind == "f" else default_dtype())


def _cost(specs: list[Spec], out: Spec, attrs: dict[str, Any]) -> Cost:
    length = out.shape[attrs["axis"]]
    lines = out.size // length if length else 0
    # Largest and sum take one step less than elements; two differences and exp for each element; log for each line.
    return Cost(0, 4 * out.size - 2 * lines, out.size + lines)


LOG_SOFTMAX = register(
    Op(
        name="log_softmax",
        family="reduction",
        value=_value,
        spec=_spec,
        vjp=_vjp,
        cost=_cost,
        formula=lambda specs=None, attrs=None: "y = x - log Σ_{axis} exp(x)",
        kernel=NONE("two reductions and a difference, line by line: x - max, then less log of the sum of exp"),
        onnx="LogSoftmax",
        attrs={"axis": -1},
        doc="The logarithm of softmax along an axis, exact where softmax itself would be 0.",
    )
)


def log_softmax(x: Any, /, axis: int = -1) -> Tensor:
    """The logarithm of softmax along an axis, exact where softmax itself would be 0.

        y = x - log Σ_{axis} exp(x)

    Parameters
        x : Tensor; whole numbers become the default float.
        axis : along which exp(y) sums to 1.
    Raises
        IndexRangeError: there is no such axis.
    """
    x = as_tensor(x)
    return apply(LOG_SOFTMAX, [x], {"axis": one_axis("log_softmax", axis, x.data.ndim)})


log_softmax.op = LOG_SOFTMAX  # type: ignore[attr-defined]
