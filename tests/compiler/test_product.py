"""Matrix products in machine code against NumPy in float64: every shape of block, every order of the operands."""

import numpy as np
import pytest

import pellucid as pl

pytest.importorskip("llvmlite")

from llvmlite import binding

from pellucid.compiler.emit_llvm import emit
from pellucid.compiler.expressions import (
    FLOAT32,
    INT64,
    Variable,
    cast,
    fma,
    function,
    load,
    named,
    number,
    variable,
    where,
)
from pellucid.compiler.nest import Accumulator, Combine, Let, Loop, Product, Store
from pellucid.compiler.target import NAMED
from pellucid.compiler.tiers import Unsupported
from tests.compiler.machine import HI, LO, PROTECTS, Compiled, at_end, buffers, machine_of, narrower, program

M, N, K = Variable("m"), Variable("n"), Variable("k")
TOLERANCE = {np.dtype(np.float32): 2e-6, np.dtype(np.float64): 1e-14}


def whole(i):
    return number(i, INT64)


def operands(m, n, k, form, dtype, seed=3):
    """Arrays for a, b and the result; T in the form means that an operand is stored turned."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
    expected = a.astype(np.float64) @ b.astype(np.float64)
    arrays = {
        "a": np.ascontiguousarray(a.T) if form[0] == "T" else a,
        "b": np.ascontiguousarray(b.T) if form[1] == "T" else b,
        "c": np.full((m, n), 9, dtype),
    }
    return arrays, expected


def product(used, m, n, k, form, body=None, rows=None):
    """The statement for operands stored in a form, for the kernel's rows or for given ones."""
    a, b, c = used[:3]
    row, column, inner = variable(M), variable(N), variable(K)
    left = load(a, inner * m + row if form[0] == "T" else row * k + inner)
    right = load(b, column * k + inner if form[1] == "T" else inner * n + column)
    body = body or (Store(c, row * n + column, named("s", c.dtype)),)
    start, stop = rows or (variable(LO), variable(HI))
    return Product(M, start, stop, N, n, K, k, left, right, "s", body)


def close(got, expected, dtype, k):
    scale = max(np.abs(expected).max(), 1e-3)
    assert np.abs(got - expected).max() <= TOLERANCE[np.dtype(dtype)] * scale * max(k, 4) ** 0.5


SIZES = [
    (1, 1, 1),
    (1, 16, 784),
    (2, 2, 2),
    (7, 3, 2),
    (33, 2, 2),
    (40, 1, 64),
    (64, 1, 5),
    (5, 1, 3),
    (16, 16, 7),
    (30, 64, 30),
    (17, 31, 33),
    (13, 48, 16),
    (19, 80, 9),
    (100, 10, 16),
    (8, 100, 3),
    (9, 33, 1),
    (24, 130, 21),
    (65, 4, 70),
    (3, 200, 40),
    (3, 20, 4200),
    (2, 200, 8),
]


@pytest.mark.parametrize("form", ["NN", "NT", "TN", "TT"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shapes(form, dtype):
    for m, n, k in SIZES:
        arrays, expected = operands(m, n, k, form, dtype)
        used = buffers(**arrays)
        Compiled(program([product(used, m, n, k, form)], used, m)).run(arrays)
        close(arrays["c"], expected, dtype, k)


@pytest.mark.parametrize("target", narrower(), ids=lambda t: f"{t.vector_bytes}x{t.registers}")
def test_narrower_machines(target):
    for m, n, k in [(13, 21, 9), (40, 70, 33), (33, 2, 2), (40, 1, 64), (24, 16, 16), (48, 48, 5)]:
        for form, dtype in [("NN", np.float32), ("NT", np.float32), ("TN", np.float64)]:
            arrays, expected = operands(m, n, k, form, dtype)
            used = buffers(**arrays)
            Compiled(program([product(used, m, n, k, form)], used, m), target).run(arrays, 2)
            close(arrays["c"], expected, dtype, k)


@pytest.mark.parametrize("form", ["NN", "NT", "TN", "TT"])
def test_bits_do_not_depend_on_the_rows_of_a_thread(form):
    for m, n, k in [(37, 20, 19), (50, 70, 33), (35, 1, 40), (45, 3, 2)]:
        arrays, _ = operands(m, n, k, form, np.float32)
        used = buffers(**arrays)
        made = Compiled(program([product(used, m, n, k, form)], used, m))
        made.run(arrays)
        expected = arrays["c"].copy()
        for threads in (2, 3, 5):
            arrays["c"][:] = 9
            made.run(arrays, threads)
            np.testing.assert_array_equal(arrays["c"], expected)


@pytest.mark.parametrize("grain", [1, 6, 8, 16])
def test_units_that_leave_no_rows_over(grain):
    m, n, k = 48, 70, 11
    arrays, expected = operands(m, n, k, "NN", np.float32)
    used = buffers(**arrays)
    made = Compiled(program([product(used, m, n, k, "NN")], used, m, grain))
    for threads in (1, 2):
        arrays["c"][:] = 9
        made.run(arrays, threads)
        close(arrays["c"], expected, np.float32, k)


def test_one_k_comes_after_the_other():
    # In any other order the small numbers would survive, or all of them be lost.
    terms = np.array([1e8, 1, -1e8, 1], np.float32)
    for n in (5, 20):
        arrays = {
            "a": np.ones((6, 4), np.float32),
            "b": np.repeat(terms[:, None], n, 1),
            "c": np.zeros((6, n), np.float32),
        }
        used = buffers(**arrays)
        Compiled(program([product(used, 6, n, 4, "NN")], used, 6)).run(arrays)
        np.testing.assert_array_equal(arrays["c"], 1)


def test_given_rows():
    for first, last in [(0, 20), (3, 20), (4, 5), (7, 7)]:
        arrays, expected = operands(20, 18, 9, "NN", np.float32)
        used = buffers(**arrays)
        rows = whole(first), whole(last)
        Compiled(program([product(used, 20, 18, 9, "NN", rows=rows)], used)).run(arrays)
        close(arrays["c"][first:last], expected[first:last], np.float32, 9) if first < last else None
        np.testing.assert_array_equal(np.delete(arrays["c"], np.s_[first:last], 0), 9)


@PROTECTS
@pytest.mark.parametrize("form", ["NN", "NT", "TN"])
def test_nothing_beyond_the_end_is_touched(form):
    for m, n, k in [(13, 20, 7), (3, 7, 3), (37, 2, 2), (20, 1, 40), (2, 70, 18), (3, 2, 70), (20, 3, 37)]:
        arrays, expected = operands(m, n, k, form, np.float32)
        arrays = {name: at_end(a) for name, a in arrays.items()}
        used = buffers(**arrays)
        Compiled(program([product(used, m, n, k, form)], used, m)).run(arrays, 2)
        close(arrays["c"], expected, np.float32, k)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", ["NN", "NT", "TN", "TT"])
@pytest.mark.parametrize("turned", [False, True])
def test_few_columns(form, turned, dtype):
    """Also where the result lies column by column, and where sums are long."""
    for m, n, k in [(40, 2, 33), (17, 3, 16), (35, 1, 40), (5, 4, 66), (2, 2, 1001), (9, 3, 3), (1, 4, 70)]:
        arrays, expected = operands(m, n, k, form, dtype)
        arrays["c"] = np.full((n, m) if turned else (m, n), 9, dtype)
        used = buffers(**arrays)
        place = variable(N) * m + variable(M) if turned else variable(M) * n + variable(N)
        body = (Store(used[2], place, named("s", np.dtype(dtype))),)
        made = Compiled(program([product(used, m, n, k, form, body)], used, m))
        made.run(arrays)
        close(arrays["c"].T if turned else arrays["c"], expected, dtype, k)
        alone = arrays["c"].copy()
        for threads in (2, 3):
            arrays["c"][:] = 9
            made.run(arrays, threads)
            np.testing.assert_array_equal(arrays["c"], alone)


def test_large_second_factors_are_copied_together():
    m, n, k = 130, 500, 400
    arrays, expected = operands(m, n, k, "NN", np.float32)
    used = buffers(**arrays)
    made = Compiled(program([product(used, m, n, k, "NN")], used, m))
    made.run(arrays, 2)
    close(arrays["c"], expected, np.float32, k)


@pytest.mark.parametrize("form", ["NN", "NT"])
@pytest.mark.parametrize(("m", "n"), [(13, 20), (16, 16), (64, 48), (1, 400), (40, 1), (40, 3)])
@pytest.mark.parametrize("given", [False, True])
def test_a_long_body_with_memory_of_its_own(form, m, n, given):
    """An Adam-like step: several reads and writes at the element, a bias, a row's number, a name from outside."""
    k = 12
    arrays, expected = operands(m, n, k, form, np.float32)
    rng = np.random.default_rng(5)
    arrays["w"] = rng.normal(size=(m, n)).astype(np.float32)
    arrays["v"] = rng.uniform(1, 2, size=(m, n)).astype(np.float32)
    arrays["bias"] = rng.normal(size=n).astype(np.float32)
    arrays["c"][:] = rng.normal(size=(m, n))
    old = {name: a.astype(np.float64) for name, a in arrays.items()}
    used = buffers(**arrays)
    _, _, c, w, v, bias = used
    at = variable(M) * n + variable(N)
    g = named("s", FLOAT32) + load(bias, N) + cast(variable(M), FLOAT32)
    body = (
        Let("g", g),
        Let("w1", load(w, at) * 0.9 + named("g", FLOAT32) * 0.1),
        Let("v1", fma(named("g", FLOAT32), named("g", FLOAT32), load(v, at))),
        Store(w, at, named("w1", FLOAT32)),
        Store(v, at, named("v1", FLOAT32)),
        Store(c, at, load(c, at) - named("rate", FLOAT32) * named("w1", FLOAT32) / function("sqrt", load(v, at))),
    )
    rows = (whole(0), whole(m)) if given else None
    statements = [Let("rate", number(0.5, FLOAT32)), product(used, m, n, k, form, body, rows)]
    Compiled(program(statements, used, m)).run(arrays, 1 if given else 2)
    g = expected + old["bias"] + np.arange(m)[:, None]
    w1, v1 = old["w"] * 0.9 + g * 0.1, g * g + old["v"]
    np.testing.assert_allclose(arrays["w"], w1, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(arrays["v"], v1, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(arrays["c"], old["c"] - 0.5 * w1 / np.sqrt(v1), rtol=1e-4, atol=1e-5)


def test_rows_looked_up_by_an_order():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 30)).astype(np.float32)
    order = rng.permutation(50)[:21].astype(np.int64)
    w = rng.normal(size=(30, 20)).astype(np.float32)
    arrays = {"x": x, "order": order, "w": w, "c": np.zeros((21, 20), np.float32), "g": np.zeros((30, 20), np.float32)}
    data, places, weight, c, g = buffers(**arrays)
    s = named("s", FLOAT32)
    forward = Product(
        M,
        variable(LO),
        variable(HI),
        N,
        20,
        K,
        30,
        load(data, load(places, M) * 30 + variable(K)),
        load(weight, variable(K) * 20 + variable(N)),
        "s",
        (Store(c, variable(M) * 20 + variable(N), s),),
    )
    back = Product(
        M,
        whole(0),
        whole(30),
        N,
        20,
        K,
        21,
        load(data, load(places, K) * 30 + variable(M)),
        load(c, variable(K) * 20 + variable(N)),
        "t",
        (Store(g, variable(M) * 20 + variable(N), named("t", FLOAT32)),),
    )
    Compiled(program([forward, back], [data, places, weight, c, g], 21)).run(arrays)
    expected = x[order].astype(np.float64) @ w
    close(arrays["c"], expected, np.float32, 30)
    close(arrays["g"], x[order].T.astype(np.float64) @ expected, np.float32, 200)


def test_factors_that_are_computed():
    arrays, _ = operands(11, 19, 6, "NN", np.float32)
    used = buffers(**arrays)
    a, b, c = used
    zero = number(0.0, FLOAT32)
    x = load(a, variable(M) * 6 + variable(K))
    y = load(b, variable(K) * 19 + variable(N))
    statement = Product(
        M,
        variable(LO),
        variable(HI),
        N,
        19,
        K,
        6,
        where(x > 0.0, x, zero),
        function("abs", y) * 2.0,
        "s",
        (Store(c, variable(M) * 19 + variable(N), named("s", FLOAT32)),),
    )
    Compiled(program([statement], used, 11)).run(arrays)
    expected = np.maximum(arrays["a"], 0).astype(np.float64) @ (2 * np.abs(arrays["b"].astype(np.float64)))
    close(arrays["c"], expected, np.float32, 6)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("m", "n", "k"), [(4, 3, 5), (1, 17, 3), (6, 20, 2), (2, 1, 20)])
def test_a_product_in_a_loop(m, n, k, turned):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(7, m, k)), rng.normal(size=(7, k, n))
    stored = np.ascontiguousarray(b.transpose(0, 2, 1)) if turned else b
    arrays = {"a": a, "b": stored, "c": np.zeros((7, m, n))}
    left, right, c = buffers(**arrays)
    i = Variable("i")
    inner = variable(N) * k + variable(K) if turned else variable(K) * n + variable(N)
    statement = Product(
        M,
        whole(0),
        whole(m),
        N,
        n,
        K,
        k,
        load(left, variable(i) * (m * k) + variable(M) * k + variable(K)),
        load(right, variable(i) * (k * n) + inner),
        "s",
        (Store(c, variable(i) * (m * n) + variable(M) * n + variable(N), named("s", a.dtype)),),
    )
    for stop in (whole(7), variable(HI)):
        arrays["c"][:] = 0
        body = [Loop(i, whole(0), stop, (statement,))]
        Compiled(program(body, [left, right, c], 7)).run(arrays)
        np.testing.assert_allclose(arrays["c"], a @ b, rtol=1e-12, atol=1e-12)


def test_an_outer_accumulator_is_refused():
    arrays, _ = operands(8, 8, 8, "NN", np.float32)
    used = buffers(**arrays)
    body = (Combine("total", named("s", FLOAT32)),)
    statements = [Accumulator("total", "add", FLOAT32), product(used, 8, 8, 8, "NN", body)]
    with pytest.raises(Unsupported):
        emit(program(statements, used, 8), NAMED["haswell-linux"])


@pytest.mark.parametrize("name", NAMED)
def test_every_target_gets_code(name):
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    target = NAMED[name]
    for m, n, k, form, dtype in [
        (13, 21, 9, "NN", np.float32),
        (20, 70, 33, "NT", np.float32),
        (9, 5, 9, "TT", np.float64),
    ]:
        arrays, _ = operands(m, n, k, form, dtype)
        used = buffers(**arrays)
        module = binding.parse_assembly(emit(program([product(used, m, n, k, form)], used, m), target))
        module.verify()
        text = machine_of(target).emit_assembly(module)
        assert "call\tfma" not in text
        assert "bl\tfma" not in text


def test_one_row_times_a_matrix_whose_columns_are_gathered_first():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 67)).astype("f4"), rng.standard_normal((16, 67)).astype("f4")
    product = pl.compile(lambda x, w: x @ pl.permute_dims(w, (1, 0)))
    found = product(x, w).numpy()
    assert product.tier == "llvm"
    np.testing.assert_allclose(found, x.astype("f8") @ w.T.astype("f8"), rtol=1e-5)
