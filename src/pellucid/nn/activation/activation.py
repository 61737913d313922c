"""What all activation layers share: they keep the number of features, and say how the weights of the layer in front
of them shall start.
"""

from __future__ import annotations

from typing import ClassVar

from pellucid.nn.module import Module


class Activation(Module):
    """Base of the activation layers."""

    # The rule by which Sequential draws the weights of the layer in front, and the slope for negative inputs that
    # He's rule takes.
    starts: ClassVar[str] = "he normal"
    slope_below_zero: float = 0.0
    # What the biases in front start at: above 0 where the activation would else be dead for an input of zeros.
    bias_at_start: ClassVar[float] = 0.0
    # Attributes that its repr shows.
    shown: ClassVar[tuple[str, ...]] = ()

    def _features_after(self, given: int | None) -> int | None:
        return given

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.shown)
