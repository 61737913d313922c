"""Random tensors. One primitive, `random_bits`, gives the words of a key's stream; uniform, normal, integers, bernoulli and permutation are
arithmetic on them. Without a key the default generator (`manual_seed`) gives a fresh one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.core import rng
from pellucid.core.check import Integer, Real, check
from pellucid.core.context import default_dtype
from pellucid.core.op import NONE, Cost, Op, register
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply, as_tensor
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError
from pellucid.ops._families.composite import composite
from pellucid.ops.elementwise import cos, less, log, sqrt
from pellucid.ops.shape import as_shape, cast
from pellucid.ops.sort import argsort


def _bits(key: Array, *, shape: Shape) -> Array:
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
    return apply(_BITS, [_key(key)], {"shape": as_shape("random_bits", shape)})


def _key(key: Any) -> Tensor:
    if key is None:
        return rng.default_generator.next_key()
    if isinstance(key, rng.Generator):
        return key.next_key()
    if isinstance(key, int) and not isinstance(key, bool):
        return rng.seed(key)
    if not isinstance(key, Tensor) or key.dtype != np.uint64 or key.shape != (2,):
        raise ArgumentTypeError("ops.key", given=type(key).__name__)
    return key


def _float_dtype(dtype: Any) -> np.dtype[Any]:
    result = default_dtype() if dtype is None else np.dtype(dtype)
    if result.kind != "f":
        raise DTypeError("ops.random-dtype", dtype=result)
    return result


def _unit(key: Tensor, shape: Shape, dtype: np.dtype[Any]) -> Tensor:
    """Floats on the grid of 2^-24 (float32) or 2^-53 (float64) in [0, 1), every point equally likely."""
    if dtype == np.float64:
        words = random_bits(key, (*shape, 2))
        high, low = cast(words[..., 0], np.float64), cast(words[..., 1] // 2**11, np.float64)  # type: ignore[operator]
        return high * 2.0**-32 + low * 2.0**-53  # type: ignore[no-any-return, operator]
    return cast(random_bits(key, shape) // 2**8, dtype) * 2.0**-24  # type: ignore[no-any-return, operator]


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
    u = _unit(_key(key), as_shape("uniform", shape), _float_dtype(dtype))
    return u if (low, high) == (0.0, 1.0) else low + u * (high - low)  # type: ignore[no-any-return, operator]


@composite(formula="y = mean + std·sqrt(-2 log u)·cos(2π v)", onnx="RandomNormal")
def normal(mean: float = 0.0, std: float = 1.0, shape: Any = (), key: Any = None, dtype: Any = None) -> Tensor:
    """Normal numbers, by Box and Muller's transform.

    Raises
        ArgumentError: std is negative.
    """
    check("mean", mean, Real())
    check("std", std, Real(0))
    lengths, kind = as_shape("normal", shape), _float_dtype(dtype)
    pair = _unit(_key(key), (2, *lengths), kind)
    u, v = 1.0 - pair[0], pair[1]  # type: ignore[operator]
    z = sqrt(-2.0 * log(u)) * cos((2.0 * math.pi) * v)  # type: ignore[operator]
    return z if (mean, std) == (0.0, 1.0) else mean + std * z  # type: ignore[no-any-return, operator]


def integers(low: int, high: int | None = None, shape: Any = (), key: Any = None) -> Tensor:
    """Whole numbers from low (included) to high (excluded), or from 0 to low, int64.

    A 53-bit uniform number is scaled, so that no value is more likely than another by more than 2^-21 for ranges up to 2^32.

    Raises
        ArgumentError: the range is empty or longer than 2^32.
    """
    check("low", low, Integer())
    check("high", high, Integer(none=True))
    bottom, top = (0, low) if high is None else (low, high)
    if not 0 < top - bottom <= 2**32:
        raise ArgumentError("ops.low-high", low=bottom, high=top)
    u = _unit(_key(key), as_shape("integers", shape), np.dtype(np.float64))
    return cast(u * float(top - bottom), np.int64) + bottom  # type: ignore[no-any-return, operator]


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
    lengths = p.shape if shape is None else as_shape("bernoulli", shape)
    kind = p.dtype if p.dtype.kind == "f" else default_dtype()
    return less(_unit(_key(key), lengths, kind), p)


def permutation(x: Any, key: Any = None, axis: int = 0) -> Tensor:
    """A random order of 0 to x - 1, or the slices of a tensor in random order along an axis."""
    from pellucid.ops.index import take

    if isinstance(x, int) and not isinstance(x, bool):
        check("x", x, Integer(0))
        return argsort(random_bits(key, (x,)), 0)
    x = as_tensor(x)
    return take(x, argsort(random_bits(key, (x.shape[axis],)), 0), axis)
