"""Values, gradients and Hessian-vector products in float64 against JAX, whose rules are NumPy's."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.autograd import hessian, hvp, jacobian, vjp

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    jax = pytest.importorskip("jax")
    import jax.numpy as jnp

pytestmark = pytest.mark.jax

RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def floats(*shape: int) -> np.ndarray:
    return RNG.uniform(-2, 2, shape)


TIES = np.array([[1.0, 2.0, 2.0], [3.0, 3.0, 3.0], [0.0, -1.0, 0.0]])

# One expression for both libraries: m is pellucid or jax.numpy.
CASES: list[tuple[str, Callable[..., Any], tuple[np.ndarray, ...]]] = [
    ("broadcasting", lambda m, a, b: a * b + m.sin(a) / (1 + b * b), (floats(2, 1), floats(3))),
    ("where and ties", lambda m, a, b: m.where(a >= b, a * b, m.maximum(a, 2 * b)), (floats(3), floats(2, 3))),
    ("max of ties", lambda m, a: m.max(a, axis=1), (TIES,)),
    ("maximum of ties", lambda m, a: m.maximum(a, 2.0), (TIES,)),
    ("prod", lambda m, a: m.prod(a, axis=0), (np.array([[2.0, 0.0], [3.0, 4.0], [0.5, 5.0]]),)),
    ("var", lambda m, a: m.var(a, axis=(0, 2)) + m.std(a, axis=(0, 2)), (floats(2, 3, 4),)),
    ("mean keepdims", lambda m, a: a - m.mean(a, axis=-1, keepdims=True), (floats(2, 3),)),
    ("cumprod", lambda m, a: m.cumprod(a, axis=1), (np.array([[2.0, 0.0, 3.0, 0.0, 1.0]]),)),
    ("matmul", lambda m, a, b: m.matmul(a, b), (floats(2, 1, 3, 2), floats(4, 2, 3))),
    (
        "einsum of three",
        lambda m, a, b, c: m.einsum("ij,jk,ki->i", a, b, c),
        (floats(2, 3), floats(3, 4), floats(4, 2)),
    ),
    ("einsum of a diagonal", lambda m, a, b: m.einsum("iij,...j->i...", a, b), (floats(3, 3, 2), floats(4, 2))),
    ("einsum that broadcasts", lambda m, a, b: m.einsum("ij,ij->i", a, b), (floats(2, 3), floats(2, 3))),
    ("mixed indexing", lambda m, a: a[0, :, np.array([1, 1, 2])] * a[1, 1:, None, 0].sum(), (floats(2, 3, 4),)),
    ("index arrays that broadcast", lambda m, a: a[np.array([[0], [1]]), np.array([1, 1, 0])] ** 2, (floats(2, 2),)),
    ("take_along_axis", lambda m, a: m.take_along_axis(a, np.array([[2, 2, 0]]), axis=1) ** 2, (floats(2, 3),)),
    ("pad", lambda m, a: m.pad(a, ((1, 2), (0, 1))) ** 2 + 1, (floats(2, 3),)),
    ("roll, tile, repeat", lambda m, a: m.tile(m.roll(a, 2, 1), (2, 1)) * m.repeat(a, 2, 0), (floats(2, 3),)),
    ("concatenate and flip", lambda m, a, b: m.concatenate([a, m.flip(b, 1)], 1) ** 2, (floats(2, 3), floats(2, 2))),
    (
        "arctan2, hypot",
        lambda m, a, b: m.hypot(a, b) + (m.arctan2 if m is jnp else m.atan2)(a, b),
        (floats(3), floats(3)),
    ),
    ("remainder", lambda m, a, b: m.remainder(a, b), (np.array([7.5, -7.5]), np.array([2.0, -1.6]))),
    ("clip", lambda m, a: m.clip(a, -0.5, 1.0) ** 2, (floats(2, 4),)),
]


@pytest.mark.parametrize(("function", "inputs"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_value_gradients_and_hessian_vector_products(function: Any, inputs: tuple[np.ndarray, ...]) -> None:
    shape = function(pl, *map(pl.tensor, inputs)).shape
    v = np.random.default_rng(1).uniform(0.5, 1.5, shape)
    directions = [np.random.default_rng(9).uniform(-1, 1, x.shape) for x in inputs]

    def squared(m: Any) -> Callable[..., Any]:
        return lambda *x: (function(m, *x) ** 2 * v).sum()

    @jax.jit  # compiled as a whole: operation by operation it would take ten times as long
    def wanted(arrays: Any, tangents: Any) -> Any:
        y, pull = jax.vjp(lambda *x: function(jnp, *x), *arrays)
        gradient = jax.grad(squared(jnp), argnums=tuple(range(len(arrays))))
        return y, pull(jnp.asarray(v)), jax.jvp(gradient, arrays, tangents)[1]

    want, want_first, want_second = wanted(tuple(inputs), tuple(directions))
    y, first = vjp(lambda *x: function(pl, *x), inputs, v)
    _, second = hvp(squared(pl), inputs, directions)
    np.testing.assert_allclose(y.numpy(), want, rtol=1e-12, atol=1e-13)
    for g, w in zip(first, want_first, strict=True):
        np.testing.assert_allclose(g.numpy(), w, rtol=1e-11, atol=1e-12)
    for g, w in zip(second, want_second, strict=True):
        np.testing.assert_allclose(g.numpy(), w, rtol=1e-9, atol=1e-10)


def test_jacobian_and_hessian() -> None:
    x = floats(2, 3)
    want = jax.jit(jax.jacobian(lambda a: jnp.cumsum(a * a, 1)))(x)
    np.testing.assert_allclose(jacobian(lambda a: pl.cumsum(a * a, 1), x).numpy(), want, rtol=1e-12)
    want = jax.jit(jax.hessian(lambda a: (a.sum(0) ** 3).sum()))(x)
    np.testing.assert_allclose(hessian(lambda a: (a.sum(0) ** 3).sum(), x).numpy(), want, rtol=1e-12)


def test_third_derivative() -> None:
    x = pl.tensor(0.7, dtype="float64", requires_grad=True)
    y = pl.tanh(x) * pl.exp(x)
    for _ in range(3):
        y = pl.autograd.grad(y, x, create_graph=True)
    third = jax.jit(jax.grad(jax.grad(jax.grad(lambda a: jnp.tanh(a) * jnp.exp(a)))))
    np.testing.assert_allclose(y.item(), third(0.7), rtol=1e-12)
