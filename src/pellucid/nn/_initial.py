"""How weights start. A layer and a rule enter; the weights are drawn, and the layer notes the rule in words. Linear
and Bilinear call `draw` when they are made, Sequential calls `follow` for a layer and the activation after it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pellucid._text import text
from pellucid.core.check import Options, check
from pellucid.core.tensor import Tensor
from pellucid.errors import ShapeError
from pellucid.nn import init
from pellucid.nn.module import Module

_SHORT = {"he": "he normal", "xavier": "xavier uniform", "lecun": "lecun uniform"}
RULES = (
    "lecun uniform",
    "lecun normal",
    "xavier uniform",
    "xavier normal",
    "he uniform",
    "he normal",
    "orthogonal",
    "torch",
)
"""The rules that `init=` takes by name, beside the short forms "he", "xavier" and "lecun"."""


def draw(layer: Any, rule: str | Callable[[Tensor], Any] | None) -> None:
    """Fill `layer.weight` by a rule, a function, or (None) LeCun's rule, which a following activation may replace."""
    if callable(rule):
        rule(layer.weight)
        layer.init = getattr(rule, "__name__", type(rule).__name__)
        layer._drawn = None
        return
    if rule is None:
        _fill(layer, "lecun uniform")
        layer._drawn = _fingerprint(layer)
        return
    check(f"{type(layer).__name__}: init", rule, Options(*RULES, *_SHORT))
    _fill(layer, _SHORT.get(rule, rule))
    layer._drawn = None


def follow(layer: Any, activation: Module) -> None:
    """Draw a layer's weights anew for the activation after it, unless the user chose, loaded or changed them."""
    rule = getattr(activation, "starts", None)
    if rule is None or layer._drawn is None or layer._drawn != _fingerprint(layer):
        return
    _fill(layer, rule, getattr(activation, "slope_below_zero", 0.0), type(activation).__name__)
    bias = getattr(activation, "bias_at_start", 0.0)
    if bias and layer.bias is not None:
        init.constant_(layer.bias, bias)
        layer.init += f", bias {bias:g}"
    layer._drawn = None


@contextmanager
def keep_fingerprint(layer: Any) -> Iterator[None]:
    """Inside, a weight changes its form: if nobody has touched what was drawn, it still counts as that afterwards."""
    drawn = vars(layer).get("_drawn")
    untouched = drawn is not None and drawn == _fingerprint(layer)
    yield
    if untouched:
        layer._drawn = _fingerprint(layer)


def _fill(layer: Any, rule: str, slope: float = 0.0, activation: str = "") -> None:
    weight = layer.weight
    fan_in, fan_out = init.calculate_fan_in_and_fan_out(weight)
    if rule == "orthogonal":
        init.orthogonal_(weight)
        layer.init = rule
        return
    if rule == "torch":
        bound = 1.0 / math.sqrt(fan_in)
        init.uniform_(weight, -bound, bound)
        if layer.bias is not None:
            init.uniform_(layer.bias, -bound, bound)
        layer.init = rule
        return
    author, _, distribution = rule.partition(" ")
    if author == "xavier":
        std = math.sqrt(2.0 / (fan_in + fan_out))
    elif author == "he":
        std = math.sqrt(2.0 / (1.0 + slope**2) / fan_in)
    else:
        std = math.sqrt(1.0 / fan_in)
    if distribution == "normal":
        init.normal_(weight, 0.0, std)
    else:
        init.uniform_(weight, -math.sqrt(3.0) * std, math.sqrt(3.0) * std)
    layer.init = f"{rule}{f' ({activation})' if activation else ''}, std {std:.3g}"


def _fingerprint(layer: Any) -> int:
    """A checksum of the weight and bias: tells whether anybody has touched them, in whatever way."""
    value = zlib.crc32(np.ascontiguousarray(layer.weight.data).data)
    return value if layer.bias is None else zlib.crc32(np.ascontiguousarray(layer.bias.data).data, value)


def wrong_features(layer: Module, given: int, expected: int, suggestion: str | None) -> ShapeError:
    """The error for a layer that receives other features than it was made for; Sequential adds where they come from."""
    place = text("nn.place", name=layer._path) if layer._path else ""
    return ShapeError(
        "nn.features",
        layer=layer._label(),
        given=given,
        expected=expected,
        source="",
        place=place,
        suggestion=suggestion,
    )
