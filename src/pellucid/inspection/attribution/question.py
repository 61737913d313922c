"""A network, an input and a target come in; a question leaves: the one number that is to be explained, as a function of
the input, or of what a layer makes of it. Every method of attribution asks it for values and gradients.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.autograd import grad
from pellucid.core.check import shown
from pellucid.core.context import enable_grad, no_grad
from pellucid.core.tensor import Tensor, to_array, wrap
from pellucid.errors import ArgumentError, ArgumentTypeError, GradientError, ShapeError
from pellucid.inspection.attribution.targets import Choice, chosen
from pellucid.inspection.layers import as_in_use, as_input, check_called_once, found_layer, observed, with_output
from pellucid.nn import Module
from pellucid.nn.attention.maps import aside

MOST_ROWS = 512
_MOST_NUMBERS = 2**21


class Question:
    """Why a network gives what it gives.

    Parameters
        model : a Module, which is asked in eval mode, or a function of a Tensor; the first axis of its input and of its
            output are the rows, and no row's output depends on another row
        x : the input
        target : see `chosen`
        layer : explain the network as a function of this layer's output, and not of x

    Attributes
        point : where the question is asked: x, or the layer's output for x
        outputs : the explained number for each row, float64
    """

    def __init__(self, model: Any, x: Any, target: Any, layer: Any = None) -> None:
        if not callable(model):
            raise ArgumentTypeError("attribution.model", value=shown(model), type=type(model).__name__)
        self.model = model
        self.x = as_input(model, x)
        if self.x.ndim < 1 or self.x.size == 0:
            raise ShapeError("attribution.input-rows", shape=self.x.shape)
        self.layer: str | None = None
        self._module: Module | None = None
        if layer is not None:
            self.layer, self._module = found_layer(model, layer)
        rows = self.x.shape[0]
        with as_in_use(model), no_grad(), aside():
            if self._module is None:
                self.point: Array = self.x.data
                output = model(self.x)
            else:
                self.point, output = self._at_layer(self._module, rows)
            self.choice: Choice = chosen(target, output, rows)
            self.outputs: Array = self.choice.of(output, np.arange(rows)).data.astype(np.float64)
        wrong = np.flatnonzero(~np.isfinite(self.outputs))
        if len(wrong):
            raise ArgumentError("attribution.not-finite", row=int(wrong[0]), value=str(self.outputs[wrong[0]]))

    def _at_layer(self, module: Module, rows: int) -> tuple[Array, Any]:
        """What the layer gives for x, and the network's output for that."""
        output, found = observed(self.model, module, self.x)
        check_called_once(str(self.layer), found)
        if found[0].ndim < 1 or found[0].shape[0] != rows:
            raise ShapeError("attribution.layer-rows", name=self.layer, shape=found[0].shape, rows=rows)
        return found[0].data, output

    @property
    def rows(self) -> int:
        """How many inputs are asked about."""
        return len(self.point)

    def value(self, z: Tensor, rows: Array) -> Tensor:
        """The explained number for each row of z, which belongs to row `rows[i]` of the input; shape (len(rows),)."""
        if self._module is None:
            return self.choice.of(self.model(z), rows)
        output = with_output(self.model, self._module, str(self.layer), wrap(self.x.data[rows]), z)
        return self.choice.of(output, rows)

    def values(self, points: Callable[[Array], Array], rows: Array) -> Array:
        """The explained number at many points, some at a time, float64, shape (len(rows),).

        Parameters
            points : gives the points of some places in `rows`
            rows : the row of the input that each point belongs to
        """
        found = np.empty(len(rows), np.float64)
        with as_in_use(self.model), no_grad(), aside():
            for part in self._parts(len(rows)):
                found[part] = self.value(wrap(points(part)), rows[part]).data
        return found

    def gradients(self, points: Callable[[Array], Array], rows: Array) -> Iterator[tuple[Array, Array, Array]]:
        """Values and gradients at many points, some at a time: places in `rows`, values, and gradients of the points'
        shapes."""
        self.check_differentiable()
        with as_in_use(self.model), enable_grad(), aside():
            for part in self._parts(len(rows)):
                z = wrap(points(part)).requires_grad_()
                y = self.value(z, rows[part])
                if not y.requires_grad:
                    raise GradientError("attribution.no-gradient")
                g = grad(y.sum(), z, allow_unused=True)
                yield part, y.data.astype(np.float64), np.zeros_like(z.data) if g is None else g.data

    def check_differentiable(self) -> None:
        """Raise where the question is about whole numbers, which have no gradient.

        Raises
            ArgumentTypeError: the point is of whole numbers.
        """
        if self.point.dtype.kind != "f":
            modules = self.model.named_modules() if isinstance(self.model, Module) else ()
            layer = next((name for name, m in modules if name and m.takes_indices), None)
            raise ArgumentTypeError(
                "attribution.whole-numbers", dtype=self.point.dtype, layer=None if layer is None else repr(layer)
            )

    def _parts(self, count: int) -> Iterator[Array]:
        width = max(self.point[0].size, self.x.data[0].size, 1)
        step = max(1, min(MOST_ROWS, _MOST_NUMBERS // width))
        for start in range(0, count, step):
            yield np.arange(start, min(start + step, count))

    def baseline(self, given: Any) -> Array:
        """A baseline of the point's shape.

        Parameters
            given : None for zeros, a number, or an array of the shape of a row or of the point
        Raises
            ArgumentError: None for an input of whole numbers.
            ArgumentTypeError, ShapeError: it is something else.
        """
        if given is None:
            if self.point.dtype.kind != "f":
                raise ArgumentError("attribution.baseline-needed", dtype=self.point.dtype)
            return np.zeros_like(self.point)
        if not (isinstance(given, numbers.Real | Tensor | list) or hasattr(given, "__array__")):
            raise ArgumentTypeError("attribution.baseline", value=shown(given), type=type(given).__name__)
        # Python's own numbers are read in the input's dtype, so that they keep their digits.
        array = to_array(given, self.point.dtype if self.point.dtype.kind == "f" else None)
        if array.shape not in ((), self.point.shape[1:], self.point.shape):
            raise ShapeError(
                "attribution.baseline-shape", given=array.shape, row=self.point.shape[1:], whole=self.point.shape
            )
        if self.point.dtype.kind != "f" and array.dtype.kind not in "iu":
            raise ArgumentTypeError("attribution.baseline", value=shown(given), type=array.dtype.name)
        if not np.isfinite(array).all():
            raise ArgumentError("attribution.baseline-finite")
        return np.broadcast_to(array.astype(self.point.dtype), self.point.shape).copy()
