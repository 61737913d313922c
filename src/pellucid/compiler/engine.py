"""A key comes in with what makes the text of an LLVM module; machine code in memory leaves: from the cache where such a
machine has compiled under that key before. Called by prepared.

llvmlite is imported when it is first needed; without it, `available` says so and why.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import struct
import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any
from weakref import WeakValueDictionary

from pellucid.compiler import cache as disk
from pellucid.compiler.target import Target
from pellucid.compiler.tiers import Unsupported
from pellucid.errors import warn

OLDEST = (0, 45)
"""The oldest llvmlite whose LLVM reads what the printer writes."""

_OPTIMIZATION = 2
_LENGTH = struct.Struct("<Q")

_POINTER, _INT64 = ctypes.c_void_p, ctypes.c_int64
_ARGUMENTS = (_POINTER, _INT64, _INT64, _POINTER, _INT64, _INT64)

_lock = threading.RLock()
_numbers = itertools.count()
_loaded: WeakValueDictionary[str, Code] = WeakValueDictionary()
_latest: deque[Code] = deque(maxlen=32)
"""Code that stays although nobody has it: the next one who wants it may come soon."""


class Code:
    """Machine code in memory, there for as long as this object or a function of it is.

    notes : what its maker wants to know of it.
    """

    def __init__(self, library: Any, notes: bytes) -> None:
        self._library, self.notes = library, notes
        self.address: int = library["drive"]

    def function(self, keeps_gil: bool = False) -> Callable[..., int]:
        """`drive(table, thread, threads, barrier, first, last)` as a C function of Python, to be called with what
        `arguments` makes of these: C's own, which ctypes need not convert anew in every call.

        Parameters
            keeps_gil : whether other Python threads wait while it runs: a little faster, and right for a few
                microseconds of work on one thread; never where it waits for another thread
        """
        kind = ctypes.PYFUNCTYPE if keeps_gil else ctypes.CFUNCTYPE
        function = kind(_INT64)(self.address)
        function.code = self  # type: ignore[attr-defined]
        return function


def arguments(*given: Any) -> list[Any]:
    """A table, a thread, how many there are, a barrier, the first step and the last as arguments of `drive`."""
    return [kind.from_param(x) for kind, x in zip(_ARGUMENTS, given, strict=True)]


def available() -> bool:
    """Whether machine code can be made here; the first time that it cannot, a warning says why."""
    reason = problem()
    if reason is not None:
        _warn_once(reason)
    return reason is None


@cache
def _warn_once(reason: str) -> None:
    warn("compiler.no-llvm", problem=reason, oldest=".".join(map(str, OLDEST)))


@cache
def problem() -> str | None:
    """What keeps machine code from being made, or None."""
    try:
        import llvmlite
        from llvmlite import binding

        release = tuple(int(part) for part in llvmlite.__version__.split(".")[:2])
        if release < OLDEST:
            return str(llvmlite.__version__)
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
    except (ImportError, OSError, RuntimeError, AttributeError, ValueError) as error:  # absent, or broken
        return f"{type(error).__name__}: {error}"
    return None


def compiled(key: str, make: Callable[[], tuple[str, bytes]], target: Target) -> Code:
    """Machine code of a module that has a function `drive`.

    Parameters
        key : text that says what the module is.
        make : writes the module's text, and notes to be kept with the code; not called if the cache has them.
        target : this machine.
    Raises
        Unsupported: LLVM cannot make code of it here; and what `make` raises.
    """
    from llvmlite import binding

    name = disk.key_of(
        key, str(binding.llvm_version_info), target.triple, target.cpu, target.features, f"O{_OPTIMIZATION}"
    )
    with _lock:
        code = _loaded.get(name)
        if code is None:
            code = _from_cache(name)
            if code is None:
                code = _made(*make(), name, target)
            _loaded[name] = code
            _latest.append(code)
    return code


def _from_cache(name: str) -> Code | None:
    payload = disk.load(name)
    if payload is None:
        return None
    try:
        return _link(payload)
    except (RuntimeError, struct.error):  # whole, but not what this LLVM can load: made anew
        return None


def _made(ir: str, notes: bytes, name: str, target: Target) -> Code:
    try:
        payload = _LENGTH.pack(len(notes)) + notes + _object(ir, target)
        code = _link(payload)
    except RuntimeError as error:  # what llvmlite raises, whatever LLVM says
        raise Unsupported(f"LLVM: {error}") from error
    disk.store(name, payload)
    return code


def _object(ir: str, target: Target) -> bytes:
    """An object file. The printer writes what the optimizer would make; only instructions need be chosen."""
    from llvmlite import binding

    problem()  # starts LLVM
    module = binding.parse_assembly(ir)
    module.verify()
    machine = binding.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=_OPTIMIZATION, reloc="pic", codemodel="default"
    )
    payload: bytes = machine.emit_object(module)
    return payload


def _link(payload: bytes) -> Code:
    """Notes with their length in front, and an object, as code."""
    from llvmlite import binding

    end = _LENGTH.size + _LENGTH.unpack_from(payload)[0]
    builder = binding.JITLibraryBuilder().add_object_img(payload[end:]).export_symbol("drive")
    for name, address in _symbols().items():
        builder.import_symbol(name, address)
    return Code(builder.link(_jit(), f"pellucid-{next(_numbers)}"), payload[_LENGTH.size : end])


@cache
def _jit() -> Any:
    """LLVM's linker, which all code of this process shares. It finds C's mathematics by itself, which code calls where
    the processor lacks an instruction. Of LLVM's two it is the newer, which gives the parts of an object one block of
    memory: they find each other by short distances."""
    from llvmlite import binding

    problem()  # starts LLVM
    return binding.create_lljit_compiler(use_jit_link=True, suppress_errors=True)


@cache
def _symbols() -> dict[str, int]:
    """What the code calls by name: `pl_yield` gives the processor away; on Windows also C's remainders, and what its
    compilers' own library has, a marker of floats and the function that grows a stack."""
    if sys.platform == "win32":
        kernel, nt, c = ctypes.WinDLL("kernel32"), ctypes.WinDLL("ntdll"), ctypes.CDLL("ucrtbase")
        functions = {"pl_yield": kernel.SwitchToThread, "_fltused": kernel.SwitchToThread, "__chkstk": nt.__chkstk}
        functions |= {"fmod": c.fmod, "fmodf": c.fmodf}
    else:
        functions = {"pl_yield": ctypes.CDLL(None).sched_yield}
    return {name: ctypes.cast(function, ctypes.c_void_p).value or 0 for name, function in functions.items()}


def _after_fork() -> None:
    """A lock that another thread held when the process forked stays locked in the child."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
