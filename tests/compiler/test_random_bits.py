"""Random words of a program are those of the key's stream, to the bit."""

import numpy as np
import pytest

from pellucid.compiler.emit_python import run
from pellucid.compiler.expressions import INT64, Buffer, Variable, load, number, variable
from pellucid.compiler.nest import Call, Kernel, Program
from pellucid.compiler.random_bits import WORDS, statements
from pellucid.core.rng import bits

SIZES = [1, 2, 7, 8, 9, 16, 103]
KEY = np.array([2**64 - 3, 7], np.uint64)
LO, HI = Variable("lo"), Variable("hi")


def program_of(size):
    key = Buffer("key", 0, KEY.dtype, (2,), (1,), "state")
    out = Buffer("out", 1, np.dtype(np.uint32), (size,), (1,), "scratch")
    words = load(key, number(0, INT64)), load(key, number(1, INT64))
    body = statements(words, out, size, variable(LO), variable(HI))
    kernel = Kernel("bits", LO, HI, Variable("step"), body)
    return Program((key, out), ((Call(kernel, -(-size // WORDS)),),))


@pytest.mark.parametrize("size", SIZES)
def test_by_python(size):
    out = np.zeros(size, np.uint32)
    run(program_of(size), {0: KEY, 1: out})
    assert (out == bits(KEY, size)).all()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_by_machine(size, threads):
    pytest.importorskip("llvmlite")
    from tests.compiler.machine import Compiled

    out = np.zeros(size, np.uint32)
    Compiled(program_of(size)).run({"key": KEY, "out": out}, threads)
    assert (out == bits(KEY, size)).all()


def test_another_key_has_another_stream():
    out = np.zeros(16, np.uint32)
    run(program_of(16), {0: np.array([0, 0], np.uint64), 1: out})
    assert (out != bits(KEY, 16)).any()
