"""The logistic loss of one number: what every yes-or-no loss of `nn/losses` is made of. One operation, because no
composition of others is exact on both sides: where exp(-|x|) is all that is left, it is lost in a difference.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.op import NONE
from pellucid.ops._families.elementwise import elementwise
from pellucid.ops.activation import sigmoid


@elementwise(
    onnx=NONE("Sigmoid less the label"),
    kind="float",
    vjp=(lambda h, y, x, t: h * sigmoid(x) * sigmoid(-x), lambda h, y, x, t: -h),
)
def logistic_slope(m: Any, x: Any, t: Any) -> Any:
    """sigmoid(x) - t, without the difference in which a small slope would be lost: the derivative of logistic_loss."""
    e = m.exp(-m.abs(x))
    far = e / (1.0 + e)
    return m.where(x >= 0, (1.0 - t) - far, far - t)


@elementwise(
    onnx=NONE("Softplus less a product"),
    kind="float",
    vjp=(lambda g, y, x, t: g * logistic_slope(x, t), lambda g, y, x, t: -g * x),
)
def logistic_loss(m: Any, x: Any, t: Any) -> Any:
    """log(1 + exp(x)) - t·x: minus the log-likelihood of the label t (1 or 0, or between them) at the logit x."""
    return m.maximum(x, 0.0) - x * t + m.log1p(m.exp(-m.abs(x)))
