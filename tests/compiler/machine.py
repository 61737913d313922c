"""Runs programs of nests as machine code in the tests of the printer, with nothing but llvmlite between."""

import ctypes
import mmap
import os
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from llvmlite import binding

from pellucid.compiler.emit_llvm import emit
from pellucid.compiler.engine import compiled
from pellucid.compiler.expressions import Buffer, Variable
from pellucid.compiler.llvm_shares import FIRST, shares
from pellucid.compiler.native import Native
from pellucid.compiler.nest import Call, Kernel, Program
from pellucid.compiler.prepared import places
from pellucid.compiler.table import Table
from pellucid.compiler.target import host

binding.initialize_native_target()
binding.initialize_native_asmprinter()
_YIELD = ctypes.CFUNCTYPE(None)(lambda: None) if os.name == "nt" else ctypes.CDLL(None).sched_yield
binding.add_symbol("pl_yield", ctypes.cast(_YIELD, ctypes.c_void_p).value)
LO, HI, STEP = Variable("lo"), Variable("hi"), Variable("step")


def narrower():
    """Machines of fewer and shorter registers whose code this one runs too."""
    mine = host()
    if not mine.triple.startswith("x86_64"):
        return []
    plain = replace(mine, cpu="x86-64", features="", vector_bytes=16, registers=16)
    middle = replace(mine, cpu="haswell", features="+avx,+avx2,+fma", vector_bytes=32, registers=16)
    short = replace(mine, vector_bytes=16)
    return [plain, short] + ([middle] if mine.vector_bytes >= 32 and mine.has_fma else [])


PROTECTS = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="protects memory by Linux's mprotect")


def at_end(array):
    """A copy of an array right before memory that may be neither read nor written."""
    page = mmap.PAGESIZE
    size = -(-array.nbytes // page) * page
    region = mmap.mmap(-1, size + page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(region))
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(address + size), page, 0) == 0
    copy = np.frombuffer(region, array.dtype, array.size, size - array.nbytes).reshape(array.shape)
    copy[...] = array
    return copy


def machine_of(target):
    """A target machine of LLVM's."""
    return binding.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, reloc="pic", codemodel="default"
    )


class Compiled:
    """A program in machine code; `run` on arrays by name, in so many threads."""

    def __init__(self, program, target=None):
        self.program, target = program, target or host()
        module = binding.parse_assembly(emit(program, target))
        module.verify()
        self.engine = binding.create_mcjit_compiler(module, machine_of(target))
        self.engine.finalize_object()
        kinds = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
        self.drive = ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(self.engine.get_function_address("drive"))

    def run(self, arrays, threads=1, first=0, last=1, memory=None):
        addresses = [arrays[b.name].ctypes.data for b in self.program.buffers]
        table = (ctypes.c_void_p * len(addresses))(*addresses)
        if memory is None:
            memory = np.array([0] * FIRST + shares(len(self.program.phases), threads), np.int64)
        done = [None] * threads

        def work(t):
            done[t] = self.drive(table, t, threads, memory.ctypes.data, first, last)

        workers = [threading.Thread(target=work, args=(t,)) for t in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return done


def buffers(**arrays):
    """Buffers for arrays in C order, numbered as they come."""
    strides = {name: tuple(s // a.itemsize for s in a.strides) for name, a in arrays.items()}
    return [Buffer(name, n, a.dtype, a.shape, strides[name], "input") for n, (name, a) in enumerate(arrays.items())]


def program(body, used, extent=1, grain=1, **options):
    """One kernel in one phase."""
    kernel = Kernel("kernel", LO, HI, STEP, tuple(body))
    return Program(tuple(used), ((Call(kernel, extent, grain, **options),),))


def run(body, arrays, used, extent=1, threads=1, **options):
    """Compile one kernel and run it once."""
    Compiled(program(body, used, extent, **options)).run(arrays, threads)


def native(program):
    """A program on the library's own way to machine code: by its cache, with what binding must know."""
    text, target = emit(program, host()), host()
    table = Table(places(program), program.notes.get("flops", 10**9), len(program.phases))
    return Native(compiled(text, lambda: (text, b""), target), table)
