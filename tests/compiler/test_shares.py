"""How threads share rows: whoever has which, each is done once, and the slower ones get fewer."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from llvmlite import binding

from pellucid.compiler.expressions import FLOAT64, INT64, Variable, load, named, number, variable
from pellucid.compiler.llvm_shares import FIRST, moving, shares
from pellucid.compiler.nest import Accumulator, Call, Combine, Kernel, Loop, Program, Store
from pellucid.compiler.target import host
from tests.compiler.machine import HI, LO, STEP, Compiled, buffers, machine_of

WHOLE = 65_536
I, J = Variable("i"), Variable("j")


def rows_of(*body):
    """The rows that a thread has."""
    return Loop(I, variable(LO), variable(HI), body)


def move(cuts, rows, times):
    """What the machine makes of the beginnings of a phase."""
    wrapper = (
        "define void @move(ptr %cuts, i64 %threads) {\n  call void @move_shares(ptr %cuts, i64 %threads)\n  ret void\n}"
    )
    module = binding.parse_assembly(f'target triple = "{host().triple}"\n{moving()}\n{wrapper}')
    engine = binding.create_mcjit_compiler(module, machine_of(host()))
    engine.finalize_object()
    threads = len(rows)
    memory = np.array(shares(1, threads), np.int64)
    width = len(memory) // 3
    memory[: threads + 1] = cuts
    memory[width : width + threads], memory[2 * width : 2 * width + threads] = rows, times
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(engine.get_function_address("move"))
    function(memory.ctypes.data, threads)
    return memory[: threads + 1].tolist()


def test_beginnings_go_a_quarter_of_the_way_to_where_all_would_arrive_at_once():
    # Speeds of 1 and 3 rows: a quarter of the rows is the first thread's, in the end.
    assert move([0, 32768, WHOLE], [50, 50], [300, 100]) == [0, 32768 - 4096, WHOLE]
    # Speeds 2, 1, 1: the rows begin at a half and at three quarters.
    assert move([0, 30000, 40000, WHOLE], [20, 10, 30], [10, 10, 30]) == [0, 30692, 42288, WHOLE]


def test_neither_of_two_is_left_with_less_than_half_of_an_even_share():
    assert move([0, 16500, WHOLE], [10, 30], [10**6, 1]) == [0, 16384, WHOLE]
    assert move([0, 49000, WHOLE], [30, 10], [1, 10**6]) == [0, 49152, WHOLE]


def test_without_rows_of_each_thread_all_is_even_again():
    assert move([0, 20000, 21000, WHOLE], [5, 0, 11], [10, 0, 10]) == [0, 21845, 43690, WHOLE]


def counting():
    """Two phases that add one to each number, with whoever has it."""
    arrays = {"x": np.zeros(100), "y": np.zeros(37)}
    x, y = buffers(**arrays)

    def add(to):
        return Kernel(to.name, LO, HI, STEP, (rows_of(Store(to, variable(I), load(to, variable(I)) + 1.0)),))

    return arrays, Compiled(Program((x, y), ((Call(add(x), 100, 8),), (Call(add(y), 37, 3), Call(add(x), 100, 8)))))


@pytest.mark.parametrize(
    "cuts", [[0, 0, WHOLE, WHOLE], [0, 1, 65535, WHOLE], [0, 9000, 50000, WHOLE], [0, 3000, 3001, WHOLE]]
)
def test_each_row_is_done_once_however_they_are_shared(cuts):
    arrays, made = counting()
    memory = np.array([0] * FIRST + shares(2, 3), np.int64)
    memory[FIRST : FIRST + 4] = memory[FIRST + 24 : FIRST + 28] = cuts
    made.run(arrays, 3, memory=memory)
    assert arrays["x"].tolist() == [2.0] * 100
    assert arrays["y"].tolist() == [1.0] * 37


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_each_row_is_done_once_while_shares_move(threads):
    arrays, made = counting()
    memory = np.array([0] * FIRST + shares(2, threads), np.int64)
    made.run(arrays, threads, 3, 503, memory=memory)
    assert arrays["x"].tolist() == [1000.0] * 100
    assert arrays["y"].tolist() == [500.0] * 37
    width = (len(memory) - FIRST) // 6
    for start in (FIRST, FIRST + 3 * width):
        cuts = memory[start : start + threads + 1].tolist()
        assert cuts == sorted(cuts)
        assert (cuts[0], cuts[-1]) == (0, WHOLE)


def test_who_also_has_rows_that_nobody_shares_gets_fewer_of_the_others():
    arrays = {"x": np.zeros(512), "own": np.zeros(1)}
    x, own = buffers(**arrays)

    def sums(name, to, count):
        """Each row takes so many additions."""
        add = Loop(J, number(0, INT64), number(count, INT64), (Combine("a", load(to, variable(I)) * 0.5),))
        row = (Accumulator("a", "add", FLOAT64), add, Store(to, variable(I), named("a", FLOAT64)))
        return Kernel(name, LO, HI, STEP, (rows_of(*row),))

    calls = (Call(sums("shared", x, 200), 512, 8), Call(sums("alone", own, 40_000), 1, shared=False))
    memory = np.array([0] * FIRST + shares(1, 2), np.int64)
    Compiled(Program((x, own), (calls,))).run(arrays, 2, 0, 400, memory=memory)
    assert memory[FIRST + 1] < 0.5 * WHOLE
