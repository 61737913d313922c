"""Loss, the base of the loss modules: a reduction, the options it was built with for `repr`, and `check_targets`, by
which `fit` looks at the targets of a whole data set once, before the first step.
"""

from __future__ import annotations

from typing import Any

from pellucid._typing import Array, Reduction, Shape
from pellucid.core.tensor import to_array
from pellucid.nn.losses._checks import as_input, checked_weight, no_nan, refuse_shapes
from pellucid.nn.module import Module


class Loss(Module):
    """A module that compares outputs with targets; derive a loss of your own from it, or pass `fit` any function.

    Parameters
        reduction : "mean", "sum" or "none"; some losses know others.
        options : the other arguments, to be shown by `repr` where they differ from the defaults.
    """

    def __init__(self, reduction: Reduction = "mean", **options: Any) -> None:
        super().__init__()
        self.reduction: Any = reduction
        self._options = options

    def _keep_factors(self, name: str, factors: Any, signed: bool = False) -> None:
        """Keep factors of classes or elements, or None, as a buffer."""
        kept = None if factors is None else checked_weight(type(self).__name__, name, as_input(factors), signed)
        self.register_buffer(name, kept)

    def extra_repr(self) -> str:
        """The arguments that differ from the defaults."""
        import inspect

        defaults = {k: p.default for k, p in inspect.signature(type(self).__init__).parameters.items()}
        given = {**self._options, "reduction": self.reduction}
        return ", ".join(f"{k}={v!r}" for k, v in given.items() if k in defaults and v != defaults[k])

    def check_targets(self, targets: Any, outputs: int | Shape) -> None:
        """Raise if some of a data set's targets do not fit this loss and a network's outputs.

        Parameters
            targets : all of them, shape (rows, ...).
            outputs : shape of the network's outputs for a batch of any length, or the number of outputs a row.
        Raises
            ShapeError: they are not of the shape that the outputs ask for.
            LabelError: a target is NaN, no class of the network, or outside its range; the message names the row.
        """
        array = to_array(targets)
        shape = (outputs,) if isinstance(outputs, int) else tuple(outputs[1:])
        self._check_shape(array, (*array.shape[:1], *shape))
        self._check_values(array)

    def _check_shape(self, targets: Array, shape: Shape) -> None:
        if targets.shape != shape:
            refuse_shapes(type(self).__name__, shape, targets, f"outputs {shape}, targets {targets.shape}")

    def _check_values(self, targets: Array) -> None:
        no_nan(type(self).__name__, targets)
