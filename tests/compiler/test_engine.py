"""Text becomes machine code, from the cache the second time; what is absent or broken is said once, in words."""

import ctypes
import gc
import os
import subprocess
import sys
import threading
import types
import weakref
from pathlib import Path

import numpy as np
import pytest

from pellucid.compiler import cache, engine
from pellucid.compiler.target import host
from pellucid.compiler.tiers import Unsupported
from pellucid.errors import PellucidWarning

pytest.importorskip("llvmlite")

DRIVE = """
define i64 @drive(ptr %table, i64 %thread, i64 %threads, ptr %barrier, i64 %first, i64 %last) {{
  {body}
}}
"""
SUM = """%a = mul i64 %thread, 10
  %b = add i64 %a, %threads
  %c = mul i64 %first, 100
  %d = mul i64 %last, 1000
  %e = add i64 %b, %c
  %f = add i64 %e, %d
  store i64 %f, ptr %barrier
  %g = load i64, ptr %table
  %h = add i64 %f, %g
  ret i64 %h"""


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache folder of each test's own."""
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    return tmp_path / "compiled"


def module(value: int) -> str:
    return DRIVE.format(body=f"ret i64 {value}")


def compiled(ir: str) -> engine.Code:
    return engine.compiled(ir, lambda: (ir, b"notes"), host())


def called(code: engine.Code) -> int:
    return code.function()(*engine.arguments(None, 0, 1, None, 0, 1))


@pytest.mark.parametrize("keeps_gil", [False, True])
def test_arguments_arrive_in_their_places(keeps_gil: bool) -> None:
    code = compiled(DRIVE.format(body=SUM))
    table, barrier = np.array([10**6], np.int64), np.zeros(1, np.int64)
    function, given = code.function(keeps_gil), (table.ctypes.data, 1, 2, barrier.ctypes.data, 3, 4)
    arguments = engine.arguments(*given)
    for _ in range(2):
        assert function(*arguments) == 1_004_312
    assert barrier[0] == 4312
    number = (ctypes.c_int64 * 1)(10**6)
    arguments = engine.arguments(ctypes.byref(number), ctypes.c_int64(0), 1, barrier.ctypes.data, 1 << 40, 0)
    assert function(*arguments) == 100 * (1 << 40) + 1_000_001


def test_a_function_of_the_system_is_called() -> None:
    text = "declare void @pl_yield()\n" + DRIVE.format(body="call void @pl_yield()\n  ret i64 7")
    assert called(compiled(text)) == 7
    text = "declare double @fmod(double, double)\n" + DRIVE.format(
        body="""%x = load double, ptr %table
  %r = call double @fmod(double %x, double 2.0)
  %n = fptosi double %r to i64
  ret i64 %n"""
    )
    number = np.array([7.5])
    assert compiled(text).function()(*engine.arguments(number.ctypes.data, 0, 1, None, 0, 1)) == 1


def test_constants_of_a_whole_vector_are_found() -> None:
    text = DRIVE.format(
        body="""%x = load <4 x double>, ptr %table, align 8
  %y = fmul <4 x double> %x, <double 1.5, double 2.0, double 3.0, double 4.0>
  store <4 x double> %y, ptr %barrier, align 8
  ret i64 0"""
    )
    code, x, y = compiled(text), np.arange(4.0), np.zeros(4)
    code.function()(*engine.arguments(x.ctypes.data, 0, 1, y.ctypes.data, 0, 1))
    assert y.tolist() == [0.0, 2.0, 6.0, 12.0]


def test_the_second_time_the_code_is_there_already(folder: Path) -> None:
    code = compiled(module(1))
    assert compiled(module(1)) is code
    assert compiled(module(2)) is not code
    assert (called(code), called(compiled(module(2)))) == (1, 2)
    assert len(list(folder.iterdir())) == 2


def test_code_that_is_in_use_stays_and_the_rest_goes() -> None:
    kept = [compiled(module(n)).function() for n in range(100, 110)]
    gone = weakref.ref(compiled(module(110)))
    for n in range(200, 260):
        assert called(compiled(module(n))) == n
    gc.collect()
    given = engine.arguments(None, 0, 1, None, 0, 1)
    assert [function(*given) for function in kept] == list(range(100, 110))
    assert gone() is None


def test_from_the_cache_nothing_is_written_or_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    key, ir = "the module that gives 31", module(31)
    assert called(engine.compiled(key, lambda: (ir, b"31"), host())) == 31
    engine._latest.clear()  # out of memory, so that only the file is left
    gc.collect()

    def unwanted(*arguments: object) -> tuple[str, bytes]:
        raise AssertionError("compiled again")

    monkeypatch.setattr(engine, "_object", unwanted)
    again = engine.compiled(key, unwanted, host())
    assert (called(again), again.notes) == (31, b"31")


def test_a_new_process_takes_it_from_the_cache(folder: Path) -> None:
    compiled(module(41))
    code = f"""
from pellucid.compiler import engine
from pellucid.compiler.target import host
assert engine.available()
def unwanted(*arguments):
    raise AssertionError("compiled again")
engine._object = unwanted
text = {module(41)!r}
code = engine.compiled(text, unwanted, host())
print(code.function()(*engine.arguments(None, 0, 1, None, 0, 1)))
"""
    path = os.pathsep.join([str(Path(engine.__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path, "PELLUCID_CACHE": str(folder.parent)}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("41\n", "")


def test_another_machine_has_another_key(folder: Path) -> None:
    target = host()
    other = type(target)(target.triple, target.cpu, "", target.vector_bytes, target.registers)
    codes = [engine.compiled(module(5), lambda: (module(5), b""), t) for t in (target, other)]
    assert codes[0] is not codes[1]
    assert len(list(folder.iterdir())) == 2


def test_a_whole_file_that_is_no_object_is_replaced(folder: Path) -> None:
    assert called(compiled(module(51))) == 51
    engine._latest.clear()
    gc.collect()
    (file,) = folder.iterdir()
    good = file.read_bytes()
    for payload in (b"no object at all", b"", b"\x7fELF" + bytes(100), good[60:300]):
        cache.store(file.name.removesuffix(".object"), payload)
        assert called(compiled(module(51))) == 51
        engine._latest.clear()
        gc.collect()
        assert file.read_bytes() == good


@pytest.mark.parametrize(
    "text",
    [
        "no module at all",
        DRIVE.format(body="ret i32 0"),
        "declare i64 @no_such_function()\n" + DRIVE.format(body="%r = call i64 @no_such_function()\n  ret i64 %r"),
        "define void @another() {\n  ret void\n}",
    ],
)
def test_what_cannot_be_compiled_is_said_and_not_kept(text: str, folder: Path) -> None:
    with pytest.raises(Unsupported, match="LLVM"):
        compiled(text)
    assert not folder.exists()


def test_threads_compile_at_once() -> None:
    found: list[list[int]] = []

    def work() -> None:
        found.append([called(compiled(module(n))) for n in range(300, 315)])

    workers = [threading.Thread(target=work) for _ in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert found == [list(range(300, 315))] * 4


# llvmlite absent, old or broken


def fake(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    """An llvmlite of a version; None where it is not installed."""
    package = None
    if version is not None:
        package = types.ModuleType("llvmlite")
        package.__version__ = version  # type: ignore[attr-defined]
        package.binding = types.SimpleNamespace()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "llvmlite", package)  # type: ignore[arg-type]
    engine.problem.cache_clear()
    engine._warn_once.cache_clear()


@pytest.mark.parametrize(
    ("version", "given"),
    [
        (None, "ModuleNotFoundError: import of llvmlite halted; None in sys.modules"),
        ("0.44.0", "0.44.0"),
        ("0.99.0", "AttributeError: 'types.SimpleNamespace' object has no attribute 'initialize_native_target'"),
        ("unknown", "ValueError: invalid literal for int() with base 10: 'unknown'"),
    ],
)
def test_without_a_working_llvmlite_one_warning_says_why(
    version: str | None, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        fake(monkeypatch, version)
        with pytest.warns(PellucidWarning) as caught:
            assert not engine.available()
        assert not engine.available()
        assert len(caught) == 1
        assert engine.problem() == given
        assert str(caught[0].message).startswith(
            "compiled functions run by NumPy: no machine code can be made here\n"
            f"  given:    llvmlite: {given}\n"
            "  expected: llvmlite 0.45 or newer\n"
            "  fix:      pip install 'pellucid[fast]'"
        )
    finally:
        monkeypatch.undo()
        engine.problem.cache_clear()
        engine._warn_once.cache_clear()
    assert engine.available()


def test_the_package_asks_for_the_oldest_llvmlite_that_works() -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    assert f"llvmlite>={'.'.join(map(str, engine.OLDEST))}" in project.read_text("utf-8")


def test_importing_the_engine_imports_no_llvmlite() -> None:
    code = "import sys, pellucid.compiler.engine\nprint('llvmlite' in sys.modules)"
    path = os.pathsep.join([str(Path(engine.__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("False\n", "")
