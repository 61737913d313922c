"""Random tensors. One primitive, `random_bits`, gives the words of a key's stream; uniform, normal, integers,
bernoulli and permutation are arithmetic on them. Without a key the default generator (`manual_seed`) gives a fresh one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid._typing import Array, DType, Shape
from pellucid.core import rng
from pellucid.core.check import Integer, Real, check
from pellucid.core.context import default_dtype
from pellucid.core.convert import as_dtype
from pellucid.core.failure import room_for
from pellucid.core.op import NONE, Cost, Op, register
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor
from pellucid.errors import ArgumentError, DTypeError, ShapeError
from pellucid.ops._families.composite import composite
from pellucid.ops._families.elementwise import broadcast_shapes as common_shape
from pellucid.ops._families.reduction import one_axis
from pellucid.ops.elementwise import cos, less, log, minimum, sqrt
from pellucid.ops.index import take
from pellucid.ops.shape import cast, checked_shape
from pellucid.ops.sort import argsort


def _bits(key: Array, *, shape: Shape) -> Array:
    with room_for("random_bits", shape):
        return rng.bits(key, math.prod(shape)).reshape(shape)


_BITS = register(
    Op(
        name="random_bits",
        family="random",
        value=_bits,
        spec=lambda key, *, shape: Spec(tuple(shape), np.dtype(np.uint32)),
        vjp=NONE("random bits are constants"),
        cost=lambda specs, out, attrs: Cost(special=out.size),
        formula=lambda specs=None, attrs=None: "y[i] = half i of the Philox-4x64-10 stream of the key",
        kernel="philox4x64_10",
        onnx=NONE("ONNX has no counter-based generator"),
        attrs={"shape": None},
        doc="The first numbers of a key's stream, uint32.",
    )
)


def random_bits(key: Tensor | None = None, shape: Any = ()) -> Tensor:
    """Uniform 32-bit whole numbers: the first of the key's stream, uint32."""
    return apply(_BITS, [_key(key)], {"shape": checked_shape("random_bits", shape)})


def _key(key: Any) -> Tensor:
    if key is None:
        return rng.default_generator.next_key()
    if isinstance(key, rng.Generator):
        return key.next_key()
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        return rng.seed(int(key))
    rng.check_key(key)
    return key  # type: ignore[no-any-return]


def _float_dtype(dtype: Any) -> DType:
    result = default_dtype() if dtype is None else as_dtype(dtype)
    if result not in (np.float32, np.float64):
        raise DTypeError("ops.random-dtype", dtype=result)
    return result


def _unit(key: Tensor, shape: Shape, dtype: DType) -> Tensor:
    """Floats on the grid of 2^-24 (float32) or 2^-53 (float64) in [0, 1), every point equally likely."""
    if dtype == np.float64:
        words = random_bits(key, (*shape, 2))
        high, low = cast(words[..., 0], np.float64), cast(words[..., 1] // 2**11, np.float64)
        return high * 2.0**-32 + low * 2.0**-53
    return cast(random_bits(key, shape) // 2**8, dtype) * 2.0**-24


@composite(formula="y = low + (high - low)·u", onnx="RandomUniform")
def uniform(low: float = 0.0, high: float = 1.0, shape: Any = (), key: Any = None, dtype: Any = None) -> Tensor:
    """Uniform numbers from low (included) to high (excluded).

    Parameters
        key : Tensor from `seed`, `split` or `fold`, a seed, a Generator, or None for the default generator.
    Raises
        ArgumentError: low is above high.
    """
    check("low", low, Real())
    check("high", high, Real())
    if low > high:
        raise ArgumentError("ops.low-high", low=low, high=high)
    u = _unit(_key(key), checked_shape("uniform", shape), _float_dtype(dtype))
    if (low, high) == (0.0, 1.0):
        return u
    scaled = low + u * (high - low)
    # Rounding may bring the largest numbers up to high, which is excluded.
    kind = scaled.dtype.type
    return minimum(scaled, float(np.nextafter(kind(high), kind(low))))


@composite(formula="y = mean + std·sqrt(-2 log u)·cos(2π v)", onnx="RandomNormal")
def normal(mean: float = 0.0, std: float = 1.0, shape: Any = (), key: Any = None, dtype: Any = None) -> Tensor:
    """Normal numbers, by Box and Muller's transform.

    Raises
        ArgumentError: std is negative.
    """
    check("mean", mean, Real())
    check("std", std, Real(0))
    lengths, kind = checked_shape("normal", shape), _float_dtype(dtype)
    pair = _unit(_key(key), (2, *lengths), kind)
    u, v = 1.0 - pair[0], pair[1]
    z = sqrt(-2.0 * log(u)) * cos((2.0 * math.pi) * v)
    return z if (mean, std) == (0.0, 1.0) else mean + std * z


def integers(low: int, high: int | None = None, shape: Any = (), key: Any = None) -> Tensor:
    """Whole numbers from low (included) to high (excluded), or from 0 to low, int64.

    A 53-bit uniform number is scaled, so that no value is more likely than another by more than 2^-21 for ranges up to
    2^32.

    Raises
        ArgumentError: the range is empty or longer than 2^32.
    """
    check("low", low, Integer())
    check("high", high, Integer(none=True))
    bottom, top = (0, low) if high is None else (low, high)
    if not 0 < top - bottom <= 2**32:
        raise ArgumentError("ops.low-high", low=bottom, high=top)
    u = _unit(_key(key), checked_shape("integers", shape), np.dtype(np.float64))
    return cast(u * float(top - bottom), np.int64) + bottom


@composite(formula="y = 1 if u < p else 0", onnx="Bernoulli")
def bernoulli(p: Any = 0.5, shape: Any = None, key: Any = None) -> Tensor:
    """True with probability p, elementwise where p is a tensor; boolean.

    Raises
        ArgumentError: a probability lies outside [0, 1].
    """
    if isinstance(p, int | float) and not isinstance(p, bool):
        check("p", p, Real(0, 1))
    p = as_tensor(p)
    if p.data.size and not bool(((p.data >= 0) & (p.data <= 1)).all()):
        raise ArgumentError("ops.probability")
    lengths = p.shape if shape is None else checked_shape("bernoulli", shape)
    if common_shape("bernoulli", ["p", "shape"], [p.shape, lengths]) != lengths:
        raise ShapeError("ops.bernoulli-shape", given=p.shape, shape=lengths)
    kind = p.dtype if p.dtype.kind == "f" else default_dtype()
    return less(_unit(_key(key), lengths, kind), p)


def permutation(x: Any, key: Any = None, axis: int = 0) -> Tensor:
    """A random order of 0 to x - 1, or the slices of a tensor in random order along an axis."""
    if isinstance(x, int | np.integer) and not isinstance(x, bool):
        check("x", x, Integer(0))
        return argsort(random_bits(key, (int(x),)), 0)
    x = as_tensor(x)
    number = one_axis("permutation", axis, x.ndim)
    return take(x, argsort(random_bits(key, (x.shape[number],)), 0), number)
