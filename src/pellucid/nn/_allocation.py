"""The shape of a weight comes in; an array of it leaves, for the layer to fill, or an error that says that no memory
holds it. Every layer with parameters calls `zeros` or `full`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.errors import OutOfMemoryError


def zeros(layer: Any, shape: Any) -> Array:
    """Zeros.

    Parameters
        layer : whose weight it is
    Raises
        OutOfMemoryError: there is not enough memory, or no memory could hold so much.
    """
    return full(layer, shape, 0.0)


def full(layer: Any, shape: Any, value: float) -> Array:
    """An array of one number; raises as `zeros`."""
    try:
        # Zeros take no memory before they are written to.
        return np.zeros(shape) if value == 0 else np.full(shape, value, np.float64)
    except (MemoryError, ValueError, OverflowError):
        wanted = tuple(int(n) for n in np.atleast_1d(np.asarray(shape, object)))
        raise OutOfMemoryError("nn.too-large", layer=type(layer).__name__, shape=wanted) from None
