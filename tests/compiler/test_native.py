"""A program runs as machine code on the arrays that are bound to it, with the same bits in any number of threads."""

import gc
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid._typing import Array
from pellucid.compiler import prepared
from pellucid.compiler.expressions import FLOAT32, INT64, Buffer, Expr, Variable, load, number, variable
from pellucid.compiler.native import Native, _from_interface, address_of
from pellucid.compiler.nest import Call, Kernel, Loop, Program, Statement, Store
from pellucid.compiler.tiers import Unsupported
from pellucid.errors import GraphError

pytest.importorskip("llvmlite")

from tests.compiler import machine

LO, HI, STEP, ROW, COLUMN = (Variable(name) for name in ("lo", "hi", "step", "row", "column"))
ROWS, COLUMNS = 37, 5


def kernel(name: str, *body: Statement) -> Kernel:
    return Kernel(name, LO, HI, STEP, body)


def each(buffer: Buffer, value: Expr) -> Statement:
    """Store a value of row and column in each element of this thread's rows."""
    store = Store(buffer, at(variable(ROW)), value)
    inner = Loop(COLUMN, number(0, INT64), number(COLUMNS, INT64), (store,), vector=True)
    return Loop(ROW, variable(LO), variable(HI), (inner,))


def at(row: Expr) -> Expr:
    return row * COLUMNS + variable(COLUMN)


def table(name: str, position: int) -> Buffer:
    return Buffer(name, position, FLOAT32, (ROWS, COLUMNS), (COLUMNS, 1), "scratch")


def two_phases(flops: float | None = None) -> Program:
    """b = 2 a, then c += b upside down: what another thread wrote in the phase before."""
    a, b, c = (table(name, position) for position, name in enumerate("abc"))
    twice = each(b, load(a, at(variable(ROW))) * 2.0)
    opposite = (ROWS - 1) - variable(ROW)
    total = each(c, load(c, at(variable(ROW))) + load(b, at(opposite)))
    notes = {} if flops is None else {"flops": flops}
    phases = ((Call(kernel("twice", twice), ROWS, 4),), (Call(kernel("total", total), ROWS, 1),))
    return Program((a, b, c), phases, notes=notes)


def bound(native: Native) -> tuple[Array, Array]:
    """a with numbers, b and c with zeros, bound; a and c."""
    a = np.random.default_rng(0).standard_normal((ROWS, COLUMNS)).astype(np.float32)
    b, c = np.full_like(a, np.nan), np.zeros_like(a)
    for position, array in enumerate((a, b, c)):
        native.bind(position, array)
    return a, c


@pytest.mark.parametrize("flops", [None, 10, 10**9])
def test_a_step(flops: float | None) -> None:
    native = machine.native(two_phases(flops))
    a, c = bound(native)
    assert native.run() == 1
    np.testing.assert_array_equal(c, 2 * a[::-1])


@pytest.mark.parametrize("threads", [1, 2, 3, 7, 50])
def test_steps_in_threads_give_the_same_bits(threads: int) -> None:
    native = machine.native(two_phases())
    a, c = bound(native)
    assert native.run(0, 5, threads) == 5
    expected = np.zeros_like(a)
    for _ in range(5):
        expected += 2 * a[::-1]
    np.testing.assert_array_equal(c, expected)
    assert native.run(5, 5, threads) == 0
    np.testing.assert_array_equal(c, expected)


def test_python_threads_take_turns() -> None:
    native = machine.native(two_phases())
    a, c = bound(native)
    workers = [threading.Thread(target=lambda n=n: native.run(0, 50_000, n)) for n in (1, 2, 2)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    expected = np.zeros_like(a)
    for _ in range(150_000):
        expected += 2 * a[::-1]
    np.testing.assert_array_equal(c, expected)


def test_without_llvmlite_it_is_the_numpy_plans_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = pl.graph.record(lambda x: x * 2.0, pl.ones((3,)))
    monkeypatch.setattr(prepared, "available", lambda: False)
    with pytest.raises(Unsupported):
        prepared.Prepared(graph)


# Binding


def test_another_array_takes_a_place_and_the_last_one_is_let_go() -> None:
    native = machine.native(two_phases())
    a, c = bound(native)
    native.run()
    first, other = weakref.ref(a), 3 * a
    native.bind(0, other)
    del a
    gc.collect()
    assert first() is None
    c[...] = 0
    native.run()
    np.testing.assert_array_equal(c, 2 * other[::-1])


def test_an_array_is_kept_as_long_as_it_is_bound() -> None:
    native = machine.native(two_phases())
    _, c = bound(native)
    a = np.ones((ROWS, COLUMNS), np.float32)
    native.bind(0, a)
    kept = weakref.ref(a)
    del a
    gc.collect()
    assert kept() is not None
    native.run()
    assert c.tolist() == [[2.0] * COLUMNS] * ROWS


def test_what_does_not_fit_is_refused() -> None:
    native = machine.native(two_phases())
    good = np.zeros((ROWS, COLUMNS), np.float32)
    still = good.copy()
    still.flags.writeable = False
    for wrong, given in [
        (good.astype(np.float64), "a: float64 (37, 5), strides (40, 8), writeable"),
        (good.astype(">f4"), "a: >f4 (37, 5), strides (20, 4), writeable"),
        (good[:-1], "a: float32 (36, 5), strides (20, 4), writeable"),
        (good.T, "a: float32 (5, 37), strides (4, 20), writeable"),
        (np.asfortranarray(good), "a: float32 (37, 5), strides (4, 148), writeable"),
        (np.zeros((ROWS, 10), np.float32)[:, ::2], "a: float32 (37, 5), strides (40, 8), writeable"),
    ]:
        with pytest.raises(GraphError) as caught:
            native.bind(0, wrong)
        assert caught.value.given == given
        assert caught.value.expected == "float32 (37, 5), strides (20, 4)"
    with pytest.raises(GraphError) as caught:
        native.bind(2, still)
    assert caught.value.expected == "float32 (37, 5), strides (20, 4), writeable"
    native.bind(0, still)  # is only read


def test_nothing_runs_before_every_buffer_has_an_array() -> None:
    native = machine.native(two_phases())
    native.bind(1, np.zeros((ROWS, COLUMNS), np.float32))
    with pytest.raises(GraphError) as caught:
        native.run()
    assert caught.value.given == "a, c"


@pytest.mark.parametrize(
    ("shape", "strides", "array", "fits"),
    [
        ((1, 4), (99, 1), np.zeros((1, 4), np.float32), True),  # along an axis of one element any distance is right
        ((4, 1), (1, 5), np.zeros((4, 1), np.float32), True),
        ((0, 4), (4, 1), np.zeros((4, 0), np.float32).T, True),  # no elements at all
        ((), (), np.zeros((), np.float32), True),
        ((3, 4), (0, 1), np.broadcast_to(np.zeros(4, np.float32), (3, 4)), True),
        ((3, 4), (4, 1), np.broadcast_to(np.zeros(4, np.float32), (3, 4)), False),
    ],
)
def test_distances(shape: tuple[int, ...], strides: tuple[int, ...], array: Array, fits: bool) -> None:
    native = machine.native(Program((Buffer("x", 0, FLOAT32, shape, strides, "input"),), ()))
    if fits:
        native.bind(0, array)
        assert native.run() == 1
    else:
        with pytest.raises(GraphError, match="does not fit"):
            native.bind(0, array)


def test_addresses_are_numpys_own() -> None:
    base = np.zeros((4, 6))
    for array in (base, base[1:, 2:], base.T, base[::-1], np.zeros(()), np.frombuffer(b"abc", np.uint8)):
        assert address_of(array) == array.ctypes.data
        assert _from_interface(array) == array.ctypes.data


# What must not hang


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_runs_on_and_interrupts_do_no_harm() -> None:
    code = f"""
import importlib.util, os, signal, sys, time, warnings
warnings.simplefilter("ignore")
spec = importlib.util.spec_from_file_location("tests_of_native", {__file__!r})
tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tests)
native = tests.machine.native(tests.two_phases())
a, c = tests.bound(native)
native.run(0, 3, 2)
child = os.fork()
if child == 0:
    c[...] = 0
    native.run(0, 1, 2)
    os._exit(0 if (c == 2 * a[::-1]).all() else 1)
assert os.waitpid(child, 0)[1] == 0
end, caught = time.perf_counter() + 1, 0
def handler(number, frame):
    if time.perf_counter() < end:
        raise KeyboardInterrupt
def run():
    global caught
    while time.perf_counter() < end:
        try:
            while time.perf_counter() < end:
                native.run(0, 1, 2)
        except KeyboardInterrupt:
            caught += 1
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
while time.perf_counter() < end:
    try:
        run()
    except KeyboardInterrupt:
        caught += 1
signal.setitimer(signal.ITIMER_REAL, 0)
c[...] = 0
native.run(0, 1, 2)
assert (c == 2 * a[::-1]).all()
print(caught > 50)
"""
    ours = [str(Path(prepared.__file__).parents[2]), str(Path(__file__).parents[2])]
    path = os.pathsep.join([*ours, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
