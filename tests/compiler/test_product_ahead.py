"""What products ask memory for before they need it: the right lines, once, and only by numbers of rows that exist."""

import re
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from pellucid.compiler.emit_llvm import emit
from pellucid.compiler.expressions import FLOAT32, Variable, load, named, variable
from pellucid.compiler.nest import Let, Product, Store
from pellucid.compiler.target import NAMED
from tests.compiler.machine import HI, LO, PROTECTS, STEP, Compiled, at_end, buffers, narrower, program

M, N, K = Variable("m"), Variable("n"), Variable("k")
HASWELL = NAMED["haswell-linux"]
ROWS, FEATURES, BATCH = 50, 150, 12


def picked(width, steps=3):
    """x[order] w for a batch of rows a step, as an epoch has it."""
    rng = np.random.default_rng(1)
    order = np.concatenate([rng.permutation(ROWS), rng.permutation(ROWS)])[: steps * BATCH].astype(np.int64)
    arrays = {
        "x": rng.normal(size=(ROWS, FEATURES)).astype(np.float32),
        "order": np.concatenate([order, order[:BATCH]]),
        "w": rng.normal(size=(FEATURES, width)).astype(np.float32),
        "c": np.zeros((BATCH, width), np.float32),
    }
    x, places, w, c = buffers(**arrays)
    places = replace(places, kind="order")
    row = load(places, variable(STEP) * BATCH + M)
    a, b = load(x, row * FEATURES + variable(K)), load(w, variable(K) * width + variable(N))
    store = Store(c, variable(M) * width + variable(N), named("s", FLOAT32))
    body = Product(M, variable(LO), variable(HI), N, width, K, FEATURES, a, b, "s", (store,))
    return program([body], [x, places, w, c], BATCH, 4), arrays


def fetched(text):
    """The prefetches of a module: the cache that each is for."""
    return re.findall(r"call void @llvm.prefetch.p0\(ptr %\w+, i32 0, i32 (\d), i32 1\)", text)


@PROTECTS
@pytest.mark.parametrize("width", [16, 70])
def test_the_last_step_asks_for_rows_that_there_are(width):
    made, arrays = picked(width)
    arrays["order"] = at_end(arrays["order"])
    compiled = Compiled(made)
    for step in range(3):
        compiled.run(arrays, 2, step, step + 1)
        rows = arrays["order"][step * BATCH : (step + 1) * BATCH]
        expected = arrays["x"][rows].astype(np.float64) @ arrays["w"]
        np.testing.assert_allclose(arrays["c"], expected, atol=1e-4)


def test_every_line_of_a_row_is_asked_for_once():
    made, _ = picked(70)
    text = emit(made, HASWELL)
    # Four rows a block, in chunks of four lines of 16 numbers: two whole chunks, and 22 numbers more. Nine vectors of
    # columns are three blocks, and the first alone asks.
    assert fetched(text).count("2") == 4 * 4 + 4 * 2
    # The kernel is given the place of the next step's rows, a batch further on, and reads this step's from there.
    assert f"i64 {8 * BATCH}" in re.search("@distances = .*", text)[0]
    assert re.search(rf"getelementptr i64, ptr %\w+, i64 -{BATCH}\n", text)


@pytest.mark.parametrize("m", [48, 50])
def test_what_the_body_reads_is_asked_for_before_the_sums(m):
    n, k = 100, 40
    rng = np.random.default_rng(2)
    arrays = {name: rng.normal(size=s).astype(np.float32) for name, s in (("a", (m, k)), ("b", (k, n)), ("w", (m, n)))}
    a, b, w = buffers(**arrays)
    place = variable(M) * n + variable(N)
    body = (Let("t", load(w, place) - named("s", FLOAT32)), Store(w, place, named("t", FLOAT32)))
    left, right = load(a, variable(M) * k + variable(K)), load(b, variable(K) * n + variable(N))
    made = program([Product(M, variable(LO), variable(HI), N, n, K, k, left, right, "s", body)], [a, b, w], m)
    # Of four rows, 24 columns lie on two lines or three, the last four on one or two.
    assert fetched(emit(made, HASWELL)).count("3") >= 4 * 3
    expected = arrays["w"] - arrays["a"].astype(np.float64) @ arrays["b"]
    Compiled(made).run(arrays, 2)
    np.testing.assert_allclose(arrays["w"], expected, atol=1e-5)


@pytest.mark.parametrize("target", [None, *narrower()])
@pytest.mark.parametrize(("m", "n", "k"), [(64, 40, 600), (70, 24, 513), (133, 9, 700), (3, 50, 1000)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_first_factor_that_is_read_across_many_lines(m, n, k, dtype, target):
    rng = np.random.default_rng(3)
    arrays = {"a": rng.normal(size=(k, m)), "b": rng.normal(size=(k, n)), "c": np.zeros((m, n))}
    arrays = {name: x.astype(dtype) for name, x in arrays.items()}
    a, b, c = buffers(**arrays)
    left, right = load(a, variable(K) * m + variable(M)), load(b, variable(K) * n + variable(N))
    store = Store(c, variable(M) * n + variable(N), named("s", np.dtype(dtype)))
    made = program([Product(M, variable(LO), variable(HI), N, n, K, k, left, right, "s", (store,))], [a, b, c], m)
    compiled = Compiled(made, target)
    compiled.run(arrays)
    alone = arrays["c"].copy()
    expected = arrays["a"].T.astype(np.float64) @ arrays["b"]
    np.testing.assert_allclose(alone, expected, atol=2e-4 if dtype == np.float32 else 1e-11)
    arrays["c"][...] = 0
    compiled.run(arrays, 3)
    np.testing.assert_array_equal(arrays["c"], alone)
