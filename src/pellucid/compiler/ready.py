"""The short way through a compiled network: one array or Tensor comes in, like the one of the call before; its result
leaves, where that is all there is to do. Any other call, and one whose recording may not hold any more, goes the
general way, in `step`, which leads to the same. Called by it, since for one row through a small network Python takes
longer than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pellucid.compiler.results import result
from pellucid.core.context import default_dtype, state
from pellucid.core.tensor import Tensor
from pellucid.graph.ir import Value

if TYPE_CHECKING:
    from pellucid.compiler.native_plan import NativePlan
    from pellucid.compiler.record import Recorded
    from pellucid.compiler.step import Run


def is_ready(found: Recorded) -> bool:
    """Whether nothing has to be done but to compute one Tensor from one."""
    one = isinstance(found.graph.outputs[0], Value) and len(found.graph.inputs) == 1
    around = (found.graph.expectations, found.given, found.before, found.after, found.settings, found.used)
    return one and not any((*around, found.gradients, found.stepped))


class Ready:
    """A recording as machine code, for calls with one argument of its kind.

    Parameters
        run : the recording
        x : what it was called with
    """

    def __init__(self, run: Run, x: Any) -> None:
        found, plan = run.recorded, cast("NativePlan", run.plan)
        assert found is not None
        array = x.data if isinstance(x, Tensor) else x
        self.run = run
        self._kind, self._shape, self._dtype = type(x), array.shape, array.dtype
        self._grad, self._default_dtype = state.grad, default_dtype()
        self._hold, self._compute = found.guards.hold, plan.one
        self._size, self._tracked = run.size, found.tracked[0]

    def __call__(self, x: Any) -> Tensor | None:
        """The result for an argument; None where the recording is not known to be for it."""
        kind = type(x)
        if kind is not self._kind:
            return None
        if kind is Tensor:
            if x.requires_grad or x._source is not None:
                return None
            x = x.data
        if x.dtype is not self._dtype or x.shape != self._shape:
            return None
        if state.grad is not self._grad or default_dtype() is not self._default_dtype or not self._hold(()):
            return None
        self._size.calls += 1
        return result(self._compute(x), self._tracked)


def ready_for(run: Run, args: Sequence[Any], tensors: Sequence[Tensor]) -> Ready | None:
    """The short way for calls like one that was just made; None where there is none.

    Parameters
        run : one that `is_ready`
    """
    if run.rare or run.plan.tier != "llvm" or len(args) != 1 or len(tensors) != 1:
        return None
    x, tensor = args[0], tensors[0]
    # An array that had to be made another first, such as one of a kind of the user's own, will have to be again.
    array = type(x) is np.ndarray and tensor.data is x
    plain = type(x) is Tensor and not x.requires_grad and x._source is None
    return Ready(run, x) if array or plain else None
