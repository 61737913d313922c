"""Nests in machine code against NumPy: the same bits where IEEE 754 defines them, of any length, in any place."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from llvmlite import binding

from pellucid.compiler.emit_llvm import emit
from pellucid.compiler.expressions import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT64,
    Buffer,
    Expr,
    Variable,
    bits,
    cast,
    differs,
    equal,
    fma,
    function,
    load,
    named,
    number,
    variable,
    where,
)
from pellucid.compiler.nest import Accumulator, Call, Combine, Comment, If, Kernel, Let, Loop, Program, Store
from pellucid.compiler.target import NAMED, host
from pellucid.compiler.tiers import Unsupported
from tests.compiler.machine import HI, LO, PROTECTS, STEP, Compiled, at_end, buffers, machine_of, narrower, program, run

I, J, K = Variable("i"), Variable("j"), Variable("k")
FLOATS = [np.float32, np.float64]
WHOLE = [np.int32, np.int64, np.uint8, np.uint32, np.uint64]
LENGTHS = [*range(1, 41), 64, 100, 200, 259]


def whole(i):
    return number(i, INT64)


def loop(counter, stop, *body, vector=False, start=0):
    return Loop(counter, *(whole(b) if isinstance(b, int) else b for b in (start, stop)), body, vector)


def rng():
    return np.random.default_rng(7)


def elementwise(expression, *inputs, out, vector=True, dynamic=False):
    """An expression of the inputs' elements, for each of them."""
    arrays = {f"x{n}": x for n, x in enumerate(inputs)}
    arrays["out"] = np.zeros(len(inputs[0]), out)
    *sources, target = buffers(**arrays)
    value = expression(*(load(b, I) for b in sources))
    bounds = {"start": variable(LO), "stop": variable(HI)} if dynamic else {"stop": len(inputs[0])}
    body = [
        loop(I, body_stop, Store(target, variable(I), value), vector=vector, start=begin)
        for begin, body_stop in [(bounds.get("start", 0), bounds["stop"])]
    ]
    run(body, arrays, [*sources, target], len(inputs[0]))
    return arrays["out"]


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 1e-40, 3.7, -3.7, np.inf, -np.inf, np.nan, 1e30, -7.25, 2.0, 8.0]


def pairs(dtype):
    """All pairs of special values."""
    if np.dtype(dtype).kind == "f":
        values = np.array(SPECIAL, dtype)
    else:
        limits = np.iinfo(dtype)
        values = np.array([0, 1, 2, 3, 5, 7, 100, limits.max, limits.min, limits.max - 1, limits.min // 2], dtype)
    a, b = np.meshgrid(values, values)
    return a.ravel().copy(), b.ravel().copy()


def same(got, expected):
    """Equal to the last bit, but for the bits of NaN."""
    assert got.dtype == expected.dtype
    if got.dtype.kind == "f":
        assert np.array_equal(np.isnan(got), np.isnan(expected))
        kept = ~np.isnan(expected)
        size = f"u{got.dtype.itemsize}"
        np.testing.assert_array_equal(got[kept].view(size), expected[kept].view(size))
    else:
        np.testing.assert_array_equal(got, expected)


def quietly(f, *args):
    with np.errstate(all="ignore"):
        return f(*args)


BINARY = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "copysign": np.copysign,
    "//": np.floor_divide,
    "%": np.mod,
    "&": np.bitwise_and,
    "|": np.bitwise_or,
    "^": np.bitwise_xor,
}
OF_FLOATS = ["+", "-", "*", "/", "copysign"]
OF_WHOLE = ["+", "-", "*", "//", "%", "&", "|", "^"]
COMPARISONS = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


@pytest.mark.parametrize(
    ("op", "dtype"), [(op, d) for op in OF_FLOATS for d in FLOATS] + [(op, d) for op in OF_WHOLE for d in WHOLE]
)
def test_two_numbers(op, dtype):
    a, b = pairs(dtype)
    got = elementwise(lambda x, y: Expr(op, (x, y), x.dtype), a, b, out=dtype)
    same(got, quietly(BINARY[op], a, b))


@pytest.mark.parametrize("dtype", [*FLOATS, *WHOLE])
def test_maximum_and_minimum_pass_nan(dtype):
    a, b = pairs(dtype)
    for op in ("maximum", "minimum"):
        got = elementwise(lambda x, y, op=op: function(op, x, y), a, b, out=dtype)
        np.testing.assert_array_equal(got, quietly(getattr(np, op), a, b))
        zero = number(0, np.dtype(dtype))
        for got in (
            elementwise(lambda x, op=op, zero=zero: function(op, x, zero), a, out=dtype),
            elementwise(lambda x, op=op, zero=zero: function(op, zero, x), a, out=dtype),
        ):
            np.testing.assert_array_equal(got, quietly(getattr(np, op), a, dtype(0)))


def test_maximum_with_a_literal_nan():
    a = np.array(SPECIAL, np.float32)
    got = elementwise(lambda x: function("maximum", x, number(np.nan, FLOAT32)), a, out=np.float32)
    assert np.isnan(got).all()


@pytest.mark.parametrize("dtype", [*FLOATS, *WHOLE])
def test_comparisons(dtype):
    a, b = pairs(dtype)
    for op, f in COMPARISONS.items():
        got = elementwise(lambda x, y, op=op: Expr(op, (x, y), BOOL), a, b, out=np.bool_)
        same(got, quietly(f, a, b))


UNARY = {
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round": np.rint,
    "invert": np.invert,
}


@pytest.mark.parametrize(
    ("op", "dtype"),
    [(op, d) for op in ("neg", "abs", "sqrt", "floor", "ceil", "trunc", "round") for d in FLOATS]
    + [(op, d) for op in ("neg", "abs", "invert") for d in WHOLE],
)
def test_one_number(op, dtype):
    a, _ = pairs(dtype)
    got = elementwise(lambda x: Expr(op, (x,), x.dtype), a, out=dtype)
    same(got, quietly(UNARY[op], a))


@pytest.mark.parametrize("divisor", [1, 3, 7, 8, -1, -3, -8, 0])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_division_by_a_literal_rounds_down(divisor, dtype):
    a, _ = pairs(dtype)
    for op in ("//", "%"):
        got = elementwise(lambda x, op=op: Expr(op, (x, number(divisor, x.dtype)), x.dtype), a, out=dtype)
        same(got, quietly(BINARY[op], a, dtype(divisor)))


@pytest.mark.parametrize("dtype", WHOLE)
def test_shifts(dtype):
    a, _ = pairs(dtype)
    for amount in (0, 1, 5):
        for op, f in (("<<", np.left_shift), (">>", np.right_shift)):
            by = number(amount, np.dtype(dtype))
            got = elementwise(lambda x, op=op, by=by: Expr(op, (x, by), x.dtype), a, out=dtype)
            same(got, f(a, dtype(amount)))


@pytest.mark.parametrize(("dtype", "width"), [(np.uint32, 32), (np.uint64, 64)])
def test_upper_half_of_a_product(dtype, width):
    a, b = pairs(dtype)
    got = elementwise(lambda x, y: function("mulhi", x, y), a, b, out=dtype)
    assert got.tolist() == [int(x) * int(y) >> width for x, y in zip(a, b, strict=True)]


CASTS = [np.float32, np.float64, np.int32, np.int64, np.uint8, np.uint32, np.uint64, np.bool_]


@pytest.mark.parametrize("source", CASTS)
def test_casts(source):
    a = np.array([0, 1, 2, 3, 100, 127, 0.75, 5.9], np.float64).astype(source)
    if np.dtype(source).kind in "fi":
        a = np.concatenate([a, np.array([-1, -100, -5.9]).astype(source)])
    for target in CASTS:
        if np.dtype(target).kind == "u" and np.dtype(source).kind == "f":
            continue  # C leaves negative numbers open; below
        same(elementwise(lambda x, t=target: cast(x, np.dtype(t)), a, out=target), a.astype(target))
    if np.dtype(source).kind == "f":
        for target in (np.uint8, np.uint32, np.uint64):
            positive = a[a >= 0]
            got = elementwise(lambda x, t=target: cast(x, np.dtype(t)), positive, out=target)
            same(got, positive.astype(target))


def test_bits_of_floats_and_their_sign():
    a, _ = pairs(np.float32)
    same(elementwise(lambda x: bits(x, np.dtype(np.uint32)), a, out=np.uint32), a.view(np.uint32))
    same(elementwise(lambda x: bits(bits(x, np.dtype(np.int32)), FLOAT32), a, out=np.float32), a)
    # The same register as signed and as unsigned: each operation goes by its own dtype.
    b = np.array([5, 2**31 + 5, 2**32 - 1], np.uint32)

    def both(x):
        signed = bits(x, np.dtype(np.int32))
        ten = number(10, signed.dtype)
        a = (signed + ten) < ten
        return cast(a, FLOAT32) + 2.0 * cast((x + number(10, x.dtype)) < number(10, x.dtype), FLOAT32)

    np.testing.assert_array_equal(elementwise(both, b, out=np.float32), [0, 1, 3])


def test_truth_values_are_bytes():
    a, b = np.array([0, 0, 1, 1] * 11, bool), np.array([0, 1, 0, 1] * 11, bool)
    for op, f in (("and", np.logical_and), ("or", np.logical_or), ("xor", np.logical_xor)):
        same(elementwise(lambda x, y, op=op: Expr(op, (x, y), BOOL), a, b, out=np.bool_), f(a, b))
    same(elementwise(lambda x: Expr("not", (x,), BOOL), a, out=np.bool_), ~a)


@pytest.mark.skipif(not host().has_fma, reason="the machine rounds twice")
def test_fma_rounds_once():
    a = np.float64(1 + 2**-30)
    x = np.full(5, a)
    got = elementwise(lambda x: fma(x, x, number(-1.0, FLOAT64)), x, out=np.float64)
    np.testing.assert_array_equal(got, 2**-29 + 2**-60)
    assert a * a - 1.0 != 2**-29 + 2**-60


def test_where_of_a_fixed_and_of_a_changing_condition():
    a, b = rng().normal(size=(2, 37)).astype(np.float32)
    got = elementwise(lambda x, y: where(x < y, x, y), a, b, out=np.float32)
    same(got, np.where(a < b, a, b))
    got = elementwise(lambda x, y: where(variable(STEP) < 1, x, y), a, b, out=np.float32)
    same(got, a)


@pytest.mark.parametrize("vector", [True, False])
@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("dtype", FLOATS)
def test_every_length(dtype, dynamic, vector):
    for n in LENGTHS[:: 1 if vector else 5]:
        a, b = rng().normal(size=(2, n)).astype(dtype)
        got = elementwise(lambda x, y: x * 2.0 + y / 3.0, a, b, out=dtype, vector=vector, dynamic=dynamic)
        same(got, a * dtype(2) + b / dtype(3))


@pytest.mark.parametrize("target", narrower(), ids=lambda t: f"{t.vector_bytes}x{t.registers}")
def test_narrower_machines(target):
    for n in (1, 3, 8, 21, 70):
        arrays = {
            "x": rng().normal(size=n).astype(np.float32),
            "out": np.zeros(n, np.float32),
            "sum": np.zeros(1, "f4"),
        }
        source, out, total = buffers(**arrays)
        x = load(source, I)
        body = [
            Accumulator("a", "add", FLOAT32),
            loop(
                I,
                variable(HI),
                Combine("a", x),
                Store(out, variable(I), where(x > 0.0, function("round", x), x / 3.0)),
                vector=True,
            ),
            Store(total, whole(0), named("a", FLOAT32)),
        ]
        Compiled(program(body, [source, out, total], n), target).run(arrays)
        same(arrays["out"], np.where(arrays["x"] > 0, np.rint(arrays["x"]), arrays["x"] / np.float32(3)))
        np.testing.assert_allclose(arrays["sum"][0], arrays["x"].astype(np.float64).sum(), rtol=1e-5)


def test_long_sums_of_expressions():
    a = np.ones(3, np.float32)

    def long(x):
        total = x
        for _ in range(2000):
            total = total + x
        return total

    np.testing.assert_array_equal(elementwise(long, a, out=np.float32), 2001)


# Accumulators


REDUCTIONS = [("add", np.sum), ("maximum", np.max), ("minimum", np.min)]


@pytest.mark.parametrize(("kind", "f"), REDUCTIONS)
@pytest.mark.parametrize("dtype", [*FLOATS, np.int64, np.int32])
def test_reductions_of_every_length(kind, f, dtype):
    for n in LENGTHS[::3]:
        x = rng().choice([-1, 1], n).astype(dtype)
        x[: min(n, 20)] *= 2
        if kind == "add" and np.dtype(dtype).kind == "f":
            x = rng().normal(size=n).astype(dtype)
        arrays = {"x": x, "out": np.full(2, 9, dtype)}
        source, out = buffers(**arrays)
        dt = np.dtype(dtype)
        fixed = loop(I, n, Combine("a", load(source, I)), vector=True)
        open_ = loop(J, variable(HI), Combine("b", load(source, J)), vector=True, start=variable(LO))
        body = [
            Accumulator("a", kind, dt),
            fixed,
            Store(out, whole(0), named("a", dt)),
            Accumulator("b", kind, dt),
            open_,
            Store(out, whole(1), named("b", dt)),
        ]
        run(body, arrays, [source, out], n)
        np.testing.assert_allclose(arrays["out"], f(x.astype(np.float64)), rtol=2e-6 if dtype == np.float32 else 1e-13)


def test_and_or():
    for values in ([True] * 37, [True] * 36 + [False], [False] * 37, [False] * 20 + [True] + [False] * 16):
        arrays = {"x": np.array(values), "out": np.zeros(2, bool)}
        source, out = buffers(**arrays)
        body = [
            Accumulator("a", "and", BOOL),
            Accumulator("o", "or", BOOL),
            loop(I, 37, Combine("a", load(source, I)), Combine("o", load(source, I)), vector=True),
            Store(out, whole(0), named("a", BOOL)),
            Store(out, whole(1), named("o", BOOL)),
        ]
        run(body, arrays, [source, out])
        assert arrays["out"].tolist() == [all(values), any(values)]


def test_nan_wins_a_maximum_from_any_lane():
    for place in range(37):
        x = rng().normal(size=37).astype(np.float32)
        x[place] = np.nan
        arrays = {"x": x, "out": np.zeros(1, np.float32)}
        source, out = buffers(**arrays)
        body = [
            Accumulator("a", "maximum", FLOAT32),
            loop(I, 37, Combine("a", load(source, I)), vector=True),
            Store(out, whole(0), named("a", FLOAT32)),
        ]
        run(body, arrays, [source, out])
        assert np.isnan(arrays["out"][0])


@pytest.mark.parametrize("n", [1, 7, 16, 37, 64, 100])
def test_sums_of_columns_and_rows(n):
    x = rng().normal(size=(9, n))
    arrays = {"x": x, "columns": np.zeros(n), "rows": np.zeros(9)}
    source, columns, rows = buffers(**arrays)
    element = load(source, variable(I) * n + variable(J))
    body = [
        loop(
            J,
            n,
            Accumulator("c", "add", FLOAT64),
            loop(I, 9, Combine("c", element)),
            Store(columns, variable(J), named("c", FLOAT64)),
            vector=True,
        ),
        loop(
            I,
            9,
            Accumulator("r", "add", FLOAT64),
            loop(J, n, Combine("r", element), vector=True),
            Store(rows, variable(I), named("r", FLOAT64)),
        ),
    ]
    run(body, arrays, [source, columns, rows])
    np.testing.assert_allclose(arrays["columns"], x.sum(0), rtol=1e-13)
    np.testing.assert_allclose(arrays["rows"], x.sum(1), rtol=1e-12)


def test_an_accumulator_is_read_anew_after_each_combination():
    arrays = {"x": np.arange(1, 6, dtype=np.float64), "out": np.zeros((5, 2))}
    source, out = buffers(**arrays)
    doubled = named("a", FLOAT64) * 2.0
    before = Store(out, variable(I) * 2, doubled)
    after = Store(out, variable(I) * 2 + 1, doubled)
    body = [Accumulator("a", "add", FLOAT64), loop(I, 5, before, Combine("a", load(source, I)), after)]
    run(body, arrays, [source, out])
    np.testing.assert_array_equal(arrays["out"], [[0, 2], [2, 6], [6, 12], [12, 20], [20, 30]])


# Loads and stores


def test_any_stride_and_order():
    x = rng().normal(size=400).astype(np.float32)
    order = rng().permutation(100).astype(np.int64)
    indices = {
        "next": (variable(I), lambda i: i),
        "other": (variable(I) * 3 + 2, lambda i: 3 * i + 2),
        "back": (whole(99) - variable(I), lambda i: 99 - i),
        "same": (whole(5), lambda i: 0 * i + 5),
        "turned": ((variable(I) % 10) * 10 + variable(I) // 10, lambda i: i % 10 * 10 + i // 10),
    }
    for n in (1, 5, 16, 37, 90, 100):
        for index, f in indices.values():
            arrays = {"x": x, "order": order, "out": np.zeros(n, np.float32)}
            source, places, out = buffers(**arrays)
            run([loop(I, n, Store(out, variable(I), load(source, index)), vector=True)], arrays, [source, places, out])
            np.testing.assert_array_equal(arrays["out"], x[f(np.arange(n))])
        arrays = {"x": x, "order": order, "out": np.zeros(n, np.float32)}
        source, places, out = buffers(**arrays)
        index = load(places, I) * 2 + variable(I)
        run([loop(I, n, Store(out, variable(I), load(source, index)), vector=True)], arrays, [source, places, out])
        np.testing.assert_array_equal(arrays["out"], x[order[:n] * 2 + np.arange(n)])


def test_stores_of_any_stride_and_order():
    x = rng().normal(size=100).astype(np.float32)
    order = rng().permutation(100).astype(np.int64)
    for n in (1, 5, 16, 37, 100):
        for index, places in (
            (variable(I) * 3 + 1, 3 * np.arange(n) + 1),
            (whole(150) - variable(I), 150 - np.arange(n)),
            (load(Buffer("order", 1, INT64, (100,), (1,), "order"), I), order[:n]),
        ):
            arrays = {"x": x, "order": order, "out": np.full(400, 9, np.float32)}
            source, numbers, out = buffers(**arrays)
            body = [loop(I, n, Store(out, index, load(source, I)), vector=True)]
            run(body, arrays, [source, numbers, out])
            expected = np.full(400, 9, np.float32)
            expected[places] = x[:n]
            np.testing.assert_array_equal(arrays["out"], expected)


def test_a_loop_of_one_element_is_not_stored_from_many():
    arrays = {"x": np.ones(20), "out": np.zeros(1)}
    source, out = buffers(**arrays)
    with pytest.raises(Unsupported):
        run([loop(I, 20, Store(out, whole(0), load(source, I)), vector=True)], arrays, [source, out])


def test_a_store_drops_what_was_read_before():
    for vector in (True, False):
        for n in (1, 5, 40, 100):
            arrays = {"x": np.arange(n, dtype=np.float32), "out": np.zeros(n, np.float32)}
            source, out = buffers(**arrays)
            x = load(source, I)
            body = [
                loop(
                    I,
                    n,
                    Let("old", x),
                    Store(source, variable(I), x * 2.0 + 1.0),
                    Store(out, variable(I), x + 10.0 * named("old", FLOAT32)),
                    vector=vector,
                )
            ]
            run(body, arrays, [source, out])
            np.testing.assert_array_equal(arrays["out"], 2 * np.arange(n) + 1 + 10 * np.arange(n))


def test_a_running_value_is_not_taken_out_of_its_loop():
    arrays = {"x": np.ones(1), "out": np.zeros(22)}
    source, out = buffers(**arrays)
    x = load(source, 0)
    for stop in (whole(20), variable(HI)):
        arrays["x"][:] = 1
        step = loop(I, stop, Store(out, variable(I) + 1, x), Store(source, whole(0), x + 1.0))
        run([Store(out, whole(0), x), step, Store(out, whole(21), x)], arrays, [source, out], 20)
        np.testing.assert_array_equal(arrays["out"], [1, *range(1, 22)])


def test_short_loops_take_each_counter():
    arrays = {"x": np.arange(3.0), "out": np.zeros(9), "fixed": np.zeros(1)}
    source, out, fixed = buffers(**arrays)
    body = [
        Store(fixed, whole(0), load(source, 0)),
        loop(
            I,
            3,
            loop(
                J,
                3,
                Let("sum", load(source, I) * 10.0 + load(source, J)),
                Store(out, variable(I) * 3 + variable(J), named("sum", FLOAT64) + cast(variable(J), FLOAT64)),
            ),
        ),
    ]
    run(body, arrays, [source, out, fixed])
    np.testing.assert_array_equal(arrays["out"], [10 * i + 2 * j for i in range(3) for j in range(3)])


def test_what_does_not_change_is_computed_once():
    arrays = {"x": np.arange(5.0), "out": np.zeros((5, 100))}
    source, out = buffers(**arrays)
    slow = function("sqrt", load(source, I)) / 3.0
    inner = loop(J, 100, Store(out, variable(I) * 100 + variable(J), slow + cast(variable(J), FLOAT64)), vector=True)
    body = [loop(I, 5, inner)]
    text = emit(program(body, [source, out]), host()).partition("void @kernel(")[2].partition("\n}")[0]
    assert text.count("fdiv") == 1
    before, after = text.split("call double @llvm.sqrt.f64", 1)
    assert before.count("phi") == 1
    assert "phi" in after
    run(body, arrays, [source, out])
    np.testing.assert_allclose(arrays["out"], np.sqrt(np.arange(5.0))[:, None] / 3 + np.arange(100), rtol=1e-15)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_long_function_of_scalars_is_written_once_and_called(dtype):
    a, b = pairs(dtype)
    arrays = {"a": a, "b": b, "out": np.zeros(len(a), dtype), "back": np.zeros(len(a), dtype)}
    *sources, out, back = buffers(**arrays)
    x, y = (load(source, I) for source in sources)
    stores = Store(out, variable(I), function("power", x, y)), Store(back, variable(I), function("power", y, x))
    body = [loop(I, len(a), *stores)]
    text = emit(program(body, [*sources, out, back]), host())
    name = "@power_f32(" if dtype is np.float32 else "@power_f64("
    assert [line.split()[0] for line in text.splitlines() if name in line and "call" not in line] == ["define"]
    assert text.count(f"call {'float' if dtype is np.float32 else 'double'} {name}") == 2
    run(body, arrays, [*sources, out, back])
    # In vectors it is written in place; the bits are the same.
    same(arrays["out"], elementwise(lambda x, y: function("power", x, y), a, b, out=dtype))
    same(arrays["back"], elementwise(lambda x, y: function("power", y, x), a, b, out=dtype))


# Slices


def test_bits_do_not_depend_on_where_rows_begin():
    n = 203
    x = rng().normal(size=n).astype(np.float32)
    arrays = {"x": x, "out": np.zeros(n, np.float32)}
    source, out = buffers(**arrays)
    value = load(source, I) / 3.0 * load(source, I) + 0.1
    made = Compiled(
        program(
            [loop(I, variable(HI), Store(out, variable(I), value), vector=True, start=variable(LO))], [source, out], n
        )
    )
    made.run(arrays)
    expected = arrays["out"].copy()
    same(expected, x / np.float32(3) * x + np.float32(0.1))
    for threads in (2, 3, 7):
        arrays["out"][:] = 0
        made.run(arrays, threads)
        same(arrays["out"], expected)


@PROTECTS
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.bool_])
def test_nothing_beyond_the_end_is_touched(dtype):
    for n in (1, 3, 15, 16, 17, 33, 70):
        arrays = {"x": at_end(rng().integers(0, 2, n).astype(dtype)), "out": at_end(np.zeros(n, dtype))}
        source, out = buffers(**arrays)
        for stop in (whole(n), variable(HI)):
            arrays["out"][:] = 0
            body = [loop(I, stop, Store(out, variable(I), load(source, I)), vector=True)]
            run(body, arrays, [source, out], n)
            np.testing.assert_array_equal(arrays["out"], arrays["x"])


# Whole programs


def test_a_condition_and_what_it_combines():
    arrays = {"x": np.arange(6.0), "out": np.zeros(2)}
    source, out = buffers(**arrays)
    body = [
        Accumulator("a", "add", FLOAT64),
        loop(I, variable(HI), If(load(source, I) > 2.0, (Combine("a", load(source, I)),))),
        Store(out, whole(0), named("a", FLOAT64)),
        If(equal(load(out, 0), 12.0), (Comment("it is"), Store(out, whole(1), load(source, 5)))),
        If(differs(load(out, 0), 12.0), (Store(out, whole(1), load(source, 1)),)),
    ]
    run(body, arrays, [source, out], 6)
    assert arrays["out"].tolist() == [12.0, 5.0]


def kernel(name, *body):
    return Kernel(name, LO, HI, STEP, body)


def test_phases_wait_for_each_other():
    n = 64
    arrays = {"x": np.zeros(n), "y": np.zeros(n)}
    x, y = buffers(**arrays)
    rows = {"start": variable(LO), "stop": variable(HI)}
    add = kernel(
        "add",
        loop(I, rows["stop"], Store(x, variable(I), load(y, whole(n - 1) - variable(I)) + 1.0), start=rows["start"]),
    )
    turn = kernel(
        "turn",
        loop(I, rows["stop"], Store(y, variable(I), load(x, whole(n - 1) - variable(I)) * 1.0), start=rows["start"]),
    )
    made = Compiled(Program((x, y), ((Call(add, n),), (Call(turn, n, 8),))))
    for threads in (1, 2, 3):
        arrays["x"][:], arrays["y"][:] = 0, 0
        assert made.run(arrays, threads, 5, 205) == [200] * threads
        np.testing.assert_array_equal(arrays["y"], 200)


def test_rows_of_one_thread_and_of_everyone():
    arrays = {"alone": np.zeros(4, np.int64), "all": np.zeros(4, np.int64), "out": np.zeros(4, np.int64)}
    alone, every, out = buffers(**arrays)
    count = kernel("count", loop(I, variable(HI), Store(alone, variable(I), load(alone, I) + 1), start=variable(LO)))
    same_ = kernel("same", loop(I, variable(HI), Store(every, variable(I), variable(I) + 7), start=variable(LO)))
    use = kernel(
        "use", loop(I, variable(HI), Store(out, variable(I), load(every, whole(3) - variable(I))), start=variable(LO))
    )
    calls = (Call(count, 4, shared=False), Call(same_, 4, shared=False, everyone=True), Call(use, 4))
    Compiled(Program((alone, every, out), (calls,))).run(arrays, 2, 0, 3)
    assert arrays["alone"].tolist() == [3] * 4
    assert arrays["out"].tolist() == [10, 9, 8, 7]


@pytest.mark.parametrize("name", NAMED)
def test_every_target_gets_code(name):
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    target = NAMED[name]
    arrays = {"x": np.zeros((5, 37), np.float32), "flags": np.zeros(37, bool), "out": np.zeros((5, 37), np.float32)}
    source, flags, out = buffers(**arrays)
    x = load(source, variable(I) * 37 + variable(J))
    value = where(load(flags, J), function("maximum", fma(x, x, x), number(0.0, FLOAT32)), function("round", x))
    inner = loop(J, 37, Store(out, variable(I) * 37 + variable(J), value), Combine("s", value), vector=True)
    body = [
        loop(
            I,
            variable(HI),
            Accumulator("s", "add", FLOAT32),
            inner,
            Store(out, variable(I) * 37, named("s", FLOAT32)),
            start=variable(LO),
        )
    ]
    module = binding.parse_assembly(emit(program(body, [source, flags, out], 5), target))
    module.verify()
    text = machine_of(target).emit_assembly(module)
    assert "drive" in text
    assert "fmaf" not in text
