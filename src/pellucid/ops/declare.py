"""How operations are declared: the decorators of the families, for `ops`, for the layers and losses of `nn`, and for
a user's own."""

from __future__ import annotations

from pellucid.core.op import NONE
from pellucid.ops._families.composite import composite
from pellucid.ops._families.contraction import contraction
from pellucid.ops._families.elementwise import elementwise
from pellucid.ops._families.movement import movement
from pellucid.ops._families.reduction import reduction

__all__ = ["NONE", "composite", "contraction", "elementwise", "movement", "reduction"]
