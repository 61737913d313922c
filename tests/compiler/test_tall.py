"""Results of many rows and few columns, whose vectors lie along the rows: where they lie in memory, and what is
computed of them, in eager mode, as printed Python and as machine code.
"""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler.emit_python import run
from pellucid.compiler.expressions import INT64, Variable, load, number, variable
from pellucid.compiler.layout import is_tall, orders, tall
from pellucid.compiler.nest import Loop, Store
from pellucid.core.context import default_dtype, set_default_dtype
from tests.compiler.both_ways import tier
from tests.compiler.test_emit_python import fresh, lowered
from tests.compiler.test_schedule import planned

RNG = np.random.default_rng(7)


def training(sizes, loss, make=nn.Sigmoid):
    """The step of a small network, with plain gradient descent."""
    pl.manual_seed(1)
    layers = [part for i, o in zip(sizes[:-1], sizes[1:], strict=True) for part in (nn.Linear(i, o), make())]
    model = nn.Sequential(*layers[:-1])
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x, y):
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return model, step


def rows_and_labels(rows, columns, classes=1, dtype=np.float32):
    x = RNG.standard_normal((rows, columns)).astype(dtype)
    y = RNG.integers(0, max(classes, 2), rows)
    return x, y if classes > 1 else y.reshape(-1, 1).astype(dtype)


# Layout


def test_many_rows_of_few_columns_are_tall():
    assert is_tall((16, 2))
    assert is_tall((1000, 4))
    assert not any(map(is_tall, [(15, 2), (100, 1), (100, 5), (100,), (100, 2, 2)]))


def test_what_a_tall_batch_becomes_lies_column_by_column():
    _, step = training((2, 2, 1), nn.BCEWithLogitsLoss())
    graph = pl.graph.record(step, *rows_and_labels(40, 2))
    turned, found = orders(graph), tall(graph)
    shapes = {i.output.id: i.output.spec.shape for i in graph.instructions}
    assert found
    assert {shapes[i] for i in found} == {(40, 2)}
    assert all(turned[i] == (1, 0) for i in found)


def test_state_as_tall_as_a_batch_keeps_its_own_loops():
    _, step = training((3, 64, 1), nn.BCEWithLogitsLoss())
    graph = pl.graph.record(step, *rows_and_labels(8, 3))
    assert orders(graph)[next(target for target, _ in graph.updates if target.spec.shape == (64, 3)).id] == (1, 0)
    assert not tall(graph)


def test_what_is_given_back_or_read_across_its_rows_lies_as_it_is():
    def given(x):
        return pl.exp(x)

    def joined(x):
        return pl.reshape(pl.exp(x), (80,)) * 2.0

    x = np.ones((40, 2), np.float32)
    assert not tall(pl.graph.record(given, x))
    assert not tall(pl.graph.record(joined, x))


def test_threads_share_the_rows_and_wait_once():
    _, step = training((2, 2, 1), nn.BCEWithLogitsLoss())
    found = planned(step, *rows_and_labels(1000, 2))
    assert found.phases == 2
    assert [p.extent for p in found.planned if p.phase == 0 and p.group.kind == "product"] == [1000, 1000, 1000]
    assert all(p.mode == "shared" for p in found.planned if p.phase == 0)


# What is computed


def both(dtype, function, *inputs):
    """What a function that is made anew gives in eager mode and compiled, as lists of arrays."""
    before = default_dtype().name
    set_default_dtype(np.dtype(dtype).name)
    try:
        results = []
        for way in (lambda f: f, pl.compile):
            step, state = function()
            compiled = way(step)
            values = [np.array(compiled(*map(pl.Tensor, inputs)).data) for _ in range(4)]
            results.append([*values, *(np.array(t.data) for t in state)])
        assert compiled.tier == "llvm"
        return results
    finally:
        set_default_dtype(before)


def assert_close(results, dtype):
    tolerance = 2e-5 if np.dtype(dtype) == np.float32 else 1e-12
    for expected, got in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


@pytest.fixture(autouse=True)
def by_machine_code():
    pytest.importorskip("llvmlite")
    with tier("llvm"):
        yield


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("rows", [1, 7, 8, 9, 16, 17, 1001])
def test_training_agrees_with_eager(rows, dtype):
    for sizes in [(2, 2, 1), (2, 3, 4, 1), (2, 5, 1), (20, 4, 3), (3, 40, 2)]:
        classes = sizes[-1]
        loss = nn.CrossEntropyLoss() if classes > 1 else nn.BCEWithLogitsLoss()

        def made(sizes=sizes, loss=loss):
            model, step = training(sizes, loss, nn.Tanh)
            return step, model.parameters()

        assert_close(both(dtype, made, *rows_and_labels(rows, sizes[0], classes, np.dtype(dtype))), dtype)


PARTS = {
    "LayerNorm": lambda: nn.LayerNorm(3),
    "BatchNorm1d": lambda: nn.BatchNorm1d(3),
    "Softmax": lambda: nn.Softmax(1),
    "LogSoftmax": lambda: nn.LogSoftmax(1),
    "Softmax(rows)": lambda: nn.Softmax(0),
    "PReLU": lambda: nn.PReLU(3),
    "GELU": nn.GELU,
    "Dropout": lambda: nn.Dropout(0.3),
}


@pytest.mark.parametrize("rows", [16, 37])
@pytest.mark.parametrize("part", PARTS)
def test_layers_between_tall_results(part, rows):
    def made():
        pl.manual_seed(2)
        # Where the part takes differences to a mean of rows a bias has only rounding to learn.
        bias = part not in ("BatchNorm1d", "Softmax(rows)")
        model = nn.Sequential(nn.Linear(4, 3, bias=bias), PARTS[part](), nn.Tanh(), nn.Linear(3, 2))
        optimizer, loss = optim.Adam(model.parameters(), lr=0.01), nn.CrossEntropyLoss()

        def step(x, y):
            value = loss(model(x), y)
            value.backward()
            optimizer.step()
            return value

        return step, model.parameters()

    assert_close(both("f8", made, *rows_and_labels(rows, 4, 2, np.float64)), "f8")


@pytest.mark.parametrize("rows", [16, 37])
def test_columns_side_by_side_slices_and_steps_along_rows(rows):
    def made():
        weight = pl.Tensor(np.linspace(-1, 1, 6).reshape(2, 3))

        def function(x):
            left = pl.tanh(x @ weight)
            both = pl.concatenate([left[:, :1], pl.exp(left[:, 1:])], axis=1) * 2.0
            shifted = pl.concatenate([left[3:], left[:3]], axis=0) * both
            return (shifted + pl.pad(both[:-2], ((2, 0), (0, 0)))).sum(axis=1)

        return function, []

    assert_close(both("f8", made, RNG.standard_normal((rows, 2))), "f8")


def test_what_is_no_number_stays_in_its_row():
    def made():
        weight = pl.Tensor(np.array([[1.0, -2.0], [0.5, 1.0]], np.float32))
        return lambda x: (pl.sigmoid(x @ weight) * pl.exp(x @ weight)).sum(axis=1), []

    x = RNG.standard_normal((37, 2)).astype("f4")
    x[3, 1], x[20, 0], x[36] = np.nan, np.inf, (-np.inf, 1.0)
    with np.errstate(all="ignore"):
        expected, got = (r[0] for r in both("f4", made, x))
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    assert np.isnan(got[3])
    assert np.isfinite(np.delete(got, [3, 20, 36])).all()


@pytest.mark.parametrize("rows", [17, 100])
@pytest.mark.parametrize("sizes", [(2, 2, 2), (4, 3, 3), (30, 8, 2)])
def test_printed_python_agrees_with_machine_code(sizes, rows):
    from tests.compiler import machine

    _, step = training(sizes, nn.CrossEntropyLoss() if sizes[-1] > 1 else nn.BCEWithLogitsLoss())
    result, arrays = lowered(step, *rows_and_labels(rows, sizes[0], sizes[-1]))
    native = machine.native(result.program)
    copies = {b.number: fresh(b) for b in result.program.buffers}
    for n, a in arrays.items():
        copies[n][...] = a
        native.bind(n, copies[n])
    native.run(first=0, last=3)
    run(result.program, arrays, 0, 3)
    for n in (*result.captured, *result.outputs):
        np.testing.assert_allclose(copies[n], arrays[n], rtol=1e-5, atol=1e-6)


# Elements a few apart


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "bool"])
@pytest.mark.parametrize("columns", [2, 3, 4, 5])
def test_columns_of_rows_are_read_up_to_the_last_element_and_no_further(columns, dtype):
    from tests.compiler import machine

    i = Variable("i")
    place = machine.at_end if machine.PROTECTS.args[0] is False else np.array
    for rows in (8, 32, 35):
        for column in range(columns):
            x = place((RNG.standard_normal((rows, columns)) * 5).astype(dtype))
            arrays = {"x": x, "y": np.zeros(rows, dtype)}
            given, out = used = machine.buffers(**arrays)
            store = Store(out, variable(i), load(given, variable(i) * columns + column))
            loop = Loop(i, number(0, INT64), number(rows, INT64), (store,), vector=True)
            machine.run([loop], arrays, used)
            np.testing.assert_array_equal(arrays["y"], x[:, column])
