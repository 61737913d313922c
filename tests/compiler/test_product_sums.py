"""Products that are summed over more than k, and products of many k, against NumPy in float64."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from pellucid.compiler.emit_python import source
from pellucid.compiler.expressions import INT64, Variable, load, named, number, variable, where
from pellucid.compiler.nest import Loop, Product, Store, Sum
from pellucid.compiler.product_depth import depth_of
from pellucid.compiler.target import NAMED
from tests.compiler.machine import HI, LO, Compiled, buffers, narrower, program

M, N, K, S, T = (Variable(name) for name in "mnkst")
ROWS, PLACES, DEPTH = 6, 5, 7


def whole(i):
    return number(i, INT64)


def close(got, expected, dtype):
    limit = 1e-5 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(got, expected, rtol=limit, atol=limit * np.abs(expected).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [1, 5, 16, 33, 70])
@pytest.mark.parametrize("threads", [1, 3])
def test_sums_between_bounds_that_a_loop_around_moves(dtype, columns, threads):
    """y[p,m,n] = Σ_{s,k: 0 ≤ p+s-1 < P} w[m,s,k]·x[p+s-1,k,n]: a convolution along p with a border."""
    rng = np.random.default_rng(1)
    w, x = rng.normal(size=(ROWS, 3, DEPTH)).astype(dtype), rng.normal(size=(PLACES, DEPTH, columns)).astype(dtype)
    arrays = {"w": w, "x": x, "y": np.zeros((PLACES, ROWS, columns), dtype)}
    bw, bx, by = buffers(**arrays)
    p, s = variable(T), variable(S)
    start = where(p < 1, whole(1) - p, whole(0))
    stop = where(p > PLACES - 2, whole(PLACES + 1) - p, whole(3))
    a = load(bw, variable(M) * (3 * DEPTH) + s * DEPTH + variable(K))
    b = load(bx, (p + s - 1) * (DEPTH * columns) + variable(K) * columns + variable(N))
    store = Store(by, p * (ROWS * columns) + variable(M) * columns + variable(N), named("t", by.dtype))
    product = Product(M, whole(0), whole(ROWS), N, columns, K, DEPTH, a, b, "t", (store,), (Sum(S, start, stop),))
    made = program([Loop(T, variable(LO), variable(HI), (product,))], [bw, bx, by], PLACES)
    Compiled(made).run(arrays, threads)
    padded = np.pad(x.astype(float), ((1, 1), (0, 0), (0, 0)))
    expected = sum(np.einsum("mk,pkn->pmn", w[:, i].astype(float), padded[i : i + PLACES]) for i in range(3))
    close(arrays["y"], expected, dtype)
    assert "for s in range(" in source(made)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (4, 3), (5, 1), (7, 8), (13, 10)])
@pytest.mark.parametrize("lanes", [1, 8, 20, 64])
@pytest.mark.parametrize("threads", [1, 2])
def test_factors_that_lie_along_k(dtype, rows, columns, lanes, threads):
    """y[m,n] = Σ_{s,k} a[s,m,k]·b[s,n,k]: nothing is turned, and the bits are those of one thread."""
    rng = np.random.default_rng(2)
    a = rng.normal(size=(PLACES, rows, lanes)).astype(dtype)
    b = rng.normal(size=(PLACES, columns, lanes)).astype(dtype)
    arrays = {"a": a, "b": b, "y": np.zeros((rows, columns), dtype)}
    ba, bb, by = buffers(**arrays)
    left = load(ba, variable(S) * (rows * lanes) + variable(M) * lanes + variable(K))
    right = load(bb, variable(S) * (columns * lanes) + variable(N) * lanes + variable(K))
    store = Store(by, variable(M) * columns + variable(N), named("t", by.dtype))
    sums = (Sum(S, whole(0), whole(PLACES)),)
    made = program(
        [Product(M, variable(LO), variable(HI), N, columns, K, lanes, left, right, "t", (store,), sums)],
        [ba, bb, by],
        rows,
    )
    for target in (None, narrower()[0]):
        compiled = Compiled(made, target)
        compiled.run(arrays, threads)
        close(arrays["y"], np.einsum("smk,snk->mn", a.astype(float), b.astype(float)), dtype)
        alone = {**arrays, "y": np.zeros_like(arrays["y"])}
        compiled.run(alone, 1)
        assert alone["y"].tobytes() == arrays["y"].tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("m", "n", "k"), [(128, 96, 768), (70, 33, 521), (8, 200, 384), (65, 24, 1000), (200, 16, 600)]
)
@pytest.mark.parametrize("threads", [1, 2])
def test_many_k_are_taken_some_at_a_time(dtype, m, n, k, threads):
    """The gradient of a weight, xᵀg: both factors lie across k. The body sees whole sums."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(k, m)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
    arrays = {"a": a, "b": b, "w": rng.normal(size=(m, n)).astype(dtype)}
    ba, bb, bw = buffers(**arrays)
    before = arrays["w"].astype(float)
    place = variable(M) * n + variable(N)
    body = (Store(bw, place, load(bw, place) - named("t", bw.dtype)),)
    left, right = load(ba, variable(K) * m + variable(M)), load(bb, variable(K) * n + variable(N))
    made = program([Product(M, variable(LO), variable(HI), N, n, K, k, left, right, "t", body)], [ba, bb, bw], m, 8)
    Compiled(made, NAMED["haswell-linux"]).run(arrays, threads)
    close(arrays["w"], before - a.T.astype(float) @ b.astype(float), dtype)


def test_parts_without_a_rest_are_preferred():
    assert [depth_of(k) for k in (384, 512, 768, 784, 1000)] == [192, 128, 192, 196, 200]
    assert depth_of(521) == 192  # a prime number
