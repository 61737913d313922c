"""Printed statements: the text that people read, and that run it means the same as NumPy written by hand."""

import numpy as np
import pytest

from pellucid.compiler.emit_python import run
from pellucid.compiler.expressions import (
    FLOAT32,
    FLOAT64,
    INT64,
    Buffer,
    Variable,
    cast,
    function,
    load,
    named,
    number,
    variable,
    where,
)
from pellucid.compiler.nest import (
    Accumulator,
    Across,
    Call,
    Combine,
    Comment,
    If,
    Kernel,
    Let,
    Loop,
    Product,
    Program,
    Store,
)
from pellucid.compiler.python_statements import FunctionPrinter, all_expressions, leaves, parameters

I, J, K = Variable("i"), Variable("j"), Variable("k")
LO, HI, STEP = Variable("lo"), Variable("hi"), Variable("step")
i, j, k = map(variable, (I, J, K))


def whole(n):
    return number(n, INT64)


def buffer(name, n, shape, dtype=FLOAT32):
    strides = tuple(int(np.prod(shape[a + 1 :])) for a in range(len(shape)))
    return Buffer(name, n, np.dtype(dtype), shape, strides, "input")


def kernel(*body):
    return Kernel("kernel", LO, HI, STEP, body)


def loop(counter, stop, *body, vector=False):
    return Loop(counter, whole(0), whole(stop), body, vector)


def ran(body, *arrays, extent=1):
    """The arrays after a kernel of statements."""
    buffers = [buffer(name, n, a.shape, a.dtype) for n, (name, a) in enumerate(zip("xyz", arrays, strict=False))]
    run(Program(tuple(buffers), ((Call(kernel(*body(*buffers)), extent),),)), dict(enumerate(arrays)))
    return arrays[-1]


X, W, B, Y = buffer("x", 0, (8, 5)), buffer("w", 1, (5, 6)), buffer("b", 2, (6,)), buffer("y", 3, (8, 6))
LAYER = kernel(
    Comment("Linear + ReLU"),
    Product(
        I,
        variable(LO),
        variable(HI),
        J,
        6,
        K,
        5,
        load(X, i * 5 + k),
        load(W, k * 6 + j),
        "p",
        (
            Let("h", function("maximum", named("p", FLOAT32) + load(B, j), number(0, FLOAT32))),
            Store(Y, i * 6 + j, named("h", FLOAT32)),
        ),
    ),
)


def source_of(kernel, rows=8):
    """The text of a kernel's function."""
    used = [leaf.args[0] for leaf in leaves(all_expressions(kernel.body)) if leaf.op == "load"]
    return "\n".join(FunctionPrinter(kernel, kernel.name, {b: b.name for b in used}, rows).lines) + "\n"


def test_a_layer_reads_like_a_lesson():
    assert source_of(LAYER) == (
        "def kernel(lo, hi):\n"
        "    # Linear + ReLU\n"
        "    j = arange(6)\n"
        "    for i in range(lo, hi):\n"
        "        p = zeros(len(j), float32)\n"
        "        for k in range(5):\n"
        "            p += x[i, k] * w[k, j]\n"
        "        h = maximum(p + b[j], 0.0)\n"
        "        y[i, j] = h\n"
    )


def test_a_layer():
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s).astype("f4") for s in ((8, 5), (5, 6), (6,)))
    y = np.zeros((8, 6), "f4")
    run(Program((X, W, B, Y), ((Call(LAYER, 8),),)), {0: x, 1: w, 2: b, 3: y})
    assert np.allclose(y, np.maximum(x.astype("f8") @ w + b, 0), atol=1e-6)


REDUCED = {
    "add": np.sum,
    "maximum": np.max,
    "minimum": np.min,
    "and": np.all,
    "or": np.any,
}


def one_row(kind, dtype):
    return lambda x, y: [
        loop(
            I,
            4,
            Accumulator("total", kind, dtype),
            loop(J, 9, Combine("total", load(x, i * 9 + j)), vector=True),
            Store(y, i, named("total", dtype)),
        )
    ]


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("and", "bool"), ("or", "bool")]
    + [(kind, dtype) for kind in list(REDUCED)[:3] for dtype in ("float32", "float64", "int32")],
)
def test_reductions(kind, dtype):
    x = (np.random.default_rng(0).standard_normal((4, 9)) * 3).astype(dtype)
    if dtype == "bool":
        x[0], x[1] = True, False
    got = ran(one_row(kind, np.dtype(dtype)), x, np.zeros(4, dtype))
    expected = REDUCED[kind](x.astype("f8") if dtype.startswith("f") else x, axis=1).astype(dtype)
    assert np.allclose(got, expected, rtol=1e-6)


def test_the_start_of_a_sum_is_printed_only_where_it_counts():
    x, y = buffer("x", 0, (4, 9)), buffer("y", 1, (4,))
    text = source_of(kernel(*one_row("add", FLOAT32)(x, y)))
    assert "total = sum(x[i, j])\n" in text
    assert "float32(0.0)" not in text
    twice = [Accumulator("t", "add", FLOAT32)]
    twice += [loop(J, 9, Combine("t", load(x, j + 9 * n)), vector=True) for n in range(2)]
    text = source_of(kernel(*twice, Store(y, whole(0), named("t", FLOAT32))))
    assert "t = sum(x[0, j])\n    t += sum(x[1, j])\n" in text


@pytest.mark.parametrize("kind", ["add", "maximum"])
def test_a_sum_of_two_loops_and_of_loops_in_loops(kind):
    def body(x, y):
        inner = loop(J, 9, Combine("total", load(x, i * 9 + j)), vector=True)
        return [
            Accumulator("total", kind, FLOAT64),
            loop(I, 4, inner),
            Store(y, whole(0), named("total", FLOAT64)),
        ]

    x = np.random.default_rng(0).standard_normal((4, 9))
    assert np.isclose(ran(body, x, np.zeros(1))[0], REDUCED[kind](x))


def test_what_does_not_vary_is_combined_for_each_of_a_vector():
    def body(x, y):
        return [
            Accumulator("total", "add", FLOAT32),
            loop(J, 9, Combine("total", load(x, whole(2))), vector=True),
            Store(y, whole(0), named("total", FLOAT32)),
        ]

    assert ran(body, np.array([1, 2, 3], "f4"), np.zeros(1, "f4"))[0] == 27


@pytest.mark.parametrize("kind", ["add", "maximum"])
def test_accumulators_of_a_vector_loop_have_a_value_for_each(kind):
    def body(x, y):
        return [
            loop(
                J,
                9,
                Accumulator("column", kind, FLOAT32),
                loop(K, 4, Combine("column", load(x, k * 9 + j))),
                Store(y, j, named("column", FLOAT32)),
                vector=True,
            )
        ]

    x = np.random.default_rng(0).standard_normal((4, 9)).astype("f4")
    assert np.allclose(ran(body, x, np.zeros(9, "f4")), REDUCED[kind](x, axis=0), atol=1e-6)


def test_across_a_whole_vector():
    def body(x, y):
        e = named("e", FLOAT32)
        row = (
            Across("top", "maximum", load(x, i * 9 + j)),
            Let("e", function("exp", load(x, i * 9 + j) - named("top", FLOAT32))),
            Across("total", "add", e),
            Store(y, i * 9 + j, e / named("total", FLOAT32)),
        )
        return [loop(I, 4, Loop(J, whole(0), whole(9), row, True, True))]

    x = np.random.default_rng(0).standard_normal((4, 9)).astype("f4")
    e = np.exp(x.astype("f8"))
    assert np.allclose(ran(body, x, np.zeros((4, 9), "f4")), e / e.sum(1, keepdims=True), atol=1e-6)


def test_a_value_keeps_what_its_accumulator_was():
    def body(x, y):
        total = named("total", FLOAT32)
        return [
            loop(
                J,
                3,
                Accumulator("total", "add", FLOAT32),
                Combine("total", load(x, j)),
                Let("before", total),
                Combine("total", load(x, j)),
                Store(y, j, named("before", FLOAT32)),
                vector=True,
            )
        ]

    assert ran(body, np.array([1, 2, 3], "f4"), np.zeros(3, "f4")).tolist() == [1, 2, 3]


def test_if_and_look_ups():
    def body(x, y):
        row = named("row", INT64)
        return [
            loop(
                I,
                4,
                Let("row", cast(load(x, i), INT64)),
                If((row >= 0) & (row < 3), (loop(J, 2, Store(y, row * 2 + j, cast(i, FLOAT32) + 1), vector=True),)),
            )
        ]

    got = ran(body, np.array([2, -1, 0, 3], "i4"), np.zeros((3, 2), "f4"))
    assert got.tolist() == [[3, 3], [0, 0], [1, 1]]


def test_loops_that_begin_where_others_end():
    def body(x, y):
        ahead = Loop(J, i, whole(5), (Store(y, i * 5 + j, load(x, j)),), True)
        return [loop(I, 4, ahead)]

    x = np.arange(1, 6, dtype="f4")
    assert (ran(body, x, np.zeros((4, 5), "f4")) == np.triu(np.tile(x, (4, 1)))).all()


def test_an_empty_body_and_unused_arguments():
    assert source_of(kernel(Comment("nothing"))) == "def kernel():\n    # nothing\n    pass\n"
    assert parameters(kernel(Let("a", variable(STEP) + 1))) == [STEP]


def test_long_comments_are_wrapped():
    text = source_of(kernel(Comment(" ".join(["multiply,"] * 60))))
    assert max(map(len, text.splitlines())) <= 110
    assert text.count("multiply,") == 60


def test_names_that_numpy_has_are_left_to_it():
    def body(x, y):
        return [
            loop(
                J,
                3,
                Let("exp", load(x, j) * 2.0),
                Store(y, j, function("exp", where(load(x, j) > 0, named("exp", FLOAT64), 0.0))),
                vector=True,
            )
        ]

    x = np.array([-1.0, 0.5, 2.0])
    assert np.allclose(ran(body, x, np.zeros(3)), np.exp(np.where(x > 0, 2 * x, 0)))
