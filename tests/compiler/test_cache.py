"""Object code is kept whole or not at all, whatever happens to the process, the disk or the folder."""

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import pytest

from pellucid.compiler import cache

SOURCE = str(Path(cache.__file__).parents[2])
KEY, OTHER = "a" * 64, "b" * 64


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache folder of each test's own; it does not exist yet."""
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "home"))
    return tmp_path / "home" / "compiled"


def start_python(code: str, folder: Path) -> "subprocess.Popen[str]":
    path = os.pathsep.join([SOURCE, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path, "PELLUCID_CACHE": str(folder.parent)}
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return out


def test_what_is_stored_is_loaded_again(folder: Path) -> None:
    assert cache.load(KEY) is None
    for payload in (b"object code", b"", bytes(range(256)) * 5000):
        cache.store(KEY, payload)
        assert cache.load(KEY) == payload
    assert cache.load(OTHER) is None
    assert [f.name for f in folder.iterdir()] == [KEY + ".object"]


def test_another_process_loads_it(folder: Path) -> None:
    cache.store(KEY, b"object code")
    code = f"from pellucid.compiler import cache\nprint(cache.load({KEY!r}))"
    with start_python(code, folder) as process:
        assert finished(process) == "b'object code'\n"


STEP = """
import sys
import numpy as np
import pellucid as pl
model = pl.nn.Sequential(pl.nn.Linear(3, 4), pl.nn.Tanh(), pl.nn.Linear(4, 2))
optimizer, loss_fn = pl.optim.Adam(model.parameters()), pl.nn.CrossEntropyLoss()
@pl.compile
def step(x, y):
    loss = loss_fn(model(x), y)
    loss.backward()
    optimizer.step()
    return loss
step(np.ones((4, 3), np.float32), np.zeros(4, np.int64))
assert step.tier == "llvm"
print(*sorted(m for m in sys.modules if m.startswith("pellucid.compiler.") or m == "numpy.ma"))
"""

FOR_MAKING_CODE = """
    angles buffers contractions convolutions elements emit_llvm emit_python expressions groups layout lower
    llvm_writer mathematics nest nests numpy_plan passes.order passes.simplify pictures product schedule
"""


def test_a_step_from_the_cache_imports_nothing_that_only_makes_code(folder: Path) -> None:
    pytest.importorskip("llvmlite")
    loaded = []
    for _ in range(2):
        with start_python(STEP, folder) as process:
            loaded.append(set(finished(process).split()))
    assert "pellucid.compiler.emit_llvm" in loaded[0]
    assert loaded[1].isdisjoint({f"pellucid.compiler.{name}" for name in FOR_MAKING_CODE.split()} | {"numpy.ma"})


def test_keys_tell_apart_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {cache.key_of(*parts) for parts in [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("ABC",), ()]}
    assert len(keys) == 6
    assert cache.key_of("ab", "c") == cache.key_of("ab", "c")
    before = cache.key_of("abc")
    monkeypatch.setattr(cache, "_compiler_version", lambda: b"of another compiler")
    assert cache.key_of("abc") != before


def test_clearing_removes_the_cache_and_nothing_else(folder: Path) -> None:
    cache.clear_cache()  # nothing there yet
    cache.store(KEY, b"1")
    cache.store(OTHER, b"2")
    (folder / "notes.txt").write_text("mine")
    cache.clear_cache()
    assert [f.name for f in folder.iterdir()] == ["notes.txt"]
    assert cache.load(KEY) is None


# Damage


def test_a_damaged_file_is_not_used_and_is_replaced(folder: Path) -> None:
    payload = bytes(range(256))
    cache.store(KEY, payload)
    path = folder / (KEY + ".object")
    whole = path.read_bytes()
    flipped = [bytearray(whole) for _ in range(4)]
    for content, at in zip(flipped, (0, 17, 40, len(whole) - 1), strict=True):  # magic, version, digest, payload
        content[at] ^= 1
    truncated = [whole[:n] for n in (0, 1, 59, 60, 61, len(whole) - 1)]
    for damaged in [*truncated, *flipped, whole + b"\0", b"another program's file\n" * 20]:
        path.write_bytes(damaged)
        assert cache.load(KEY) is None
        cache.store(KEY, payload)
        assert cache.load(KEY) == payload


def test_a_file_under_another_key_is_that_keys(folder: Path) -> None:
    cache.store(KEY, b"1")
    cache.store(OTHER, b"2")
    assert (cache.load(KEY), cache.load(OTHER)) == (b"1", b"2")


@pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")
def test_a_file_that_others_may_have_written_is_not_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store(KEY, b"1")
    path = folder / (KEY + ".object")
    path.chmod(0o666)
    assert cache.load(KEY) is None
    path.chmod(0o664)  # a group of one's own is usual
    assert cache.load(KEY) == b"1"
    owner = path.stat().st_uid
    found = os.stat_result((stat.S_IFREG | 0o644, 0, 0, 1, owner + 1, 0, 1, 0, 0, 0))
    assert not cache._trusted(found)


# A process that dies, two at once


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_process_killed_while_it_writes_leaves_an_old_file_or_a_new_one(folder: Path) -> None:
    # A hundred children, each killed at some moment of writing one of two contents over and over.
    code = f"""
import os, random, signal, time
from pellucid.compiler import cache
contents = [bytes([n]) * 300_000 for n in (1, 2)]
cache.store({KEY!r}, contents[0])
random.seed(1)
for _ in range(100):
    child = os.fork()
    if child == 0:
        while True:
            for content in contents:
                cache.store({KEY!r}, content)
    time.sleep(random.uniform(0.001, 0.015))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert cache.load({KEY!r}) in contents
print("done")
"""
    with start_python(code, folder) as process:
        assert finished(process) == "done\n"
    left = [f for f in folder.iterdir() if f.suffix == ".tmp"]
    assert left  # else no child was killed in the middle of writing
    old = time.time() - 2 * 3600
    for file in left[1:]:
        os.utime(file, (old, old))
    cache.store(OTHER, b"")
    assert [f for f in folder.iterdir() if f.suffix == ".tmp"] == left[:1]  # may be being written


# Networks with one hidden layer, of another width each, and five steps of each: compiled if they are wanted so.
NETWORKS = """
import os, sys
import numpy as np
import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler import cache, engine

WIDTHS = range(3, 13)

def trained(width, how):
    pl.manual_seed(width)
    model = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 2))
    optimizer, loss_fn = optim.SGD(model.parameters(), lr=0.1), nn.MSELoss()
    def step(x, y):
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        return loss
    x, y = pl.normal(shape=(6, 4)), pl.normal(shape=(6, 2))
    step = how(step)
    for _ in range(5):
        step(x, y)
    return np.concatenate([p.data.reshape(-1) for p in model.parameters()])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.slow
def test_processes_killed_while_they_compile_leave_a_cache_that_works(folder: Path) -> None:
    pytest.importorskip("llvmlite")
    # Half of a hundred children are killed some time after they began to compile, ever later; half after they began to
    # write what they had compiled.
    killing = f"""{NETWORKS}
import gc, random, signal, time

def compiled(width, writing):
    store, replace = cache.store, os.replace
    def told(key, payload):
        os.write(writing, b"w")
        store(key, payload)
    def slowly(temporary, path):  # a small file is written too fast to be killed at it
        time.sleep(0.003)
        replace(temporary, path)
    cache.store, os.replace = told, slowly
    trained(width, pl.compile)

os.environ["PELLUCID_CACHE"] = {str(folder.parent / "warm")!r}
trained(2, pl.compile)  # imports all that is needed, and starts LLVM
start = time.perf_counter()
trained(1, pl.compile)
usual = time.perf_counter() - start
gc.collect()
os.environ["PELLUCID_CACHE"] = {str(folder.parent)!r}
random.seed(1)
ended = []
for n in range(100):
    writes = n % 2 == 1
    latest, kept = {str(folder)!r}, []
    if writes and os.path.isdir(latest):  # the child shall have something to write
        for name in os.listdir(latest):
            if name.endswith(".object"):
                os.unlink(os.path.join(latest, name))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        compiled(WIDTHS[n // 2 % 10], writing)
        os._exit(0)
    os.close(writing)
    if writes:
        assert os.read(reading, 1) == b"w"
    time.sleep(random.uniform(0.5, 1) * (0.004 if writes else 1.2 * usual) * n / 100)
    os.kill(child, signal.SIGKILL)
    ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os.close(reading)
print(ended.count(-signal.SIGKILL), ended.count(0))
"""
    with start_python(killing, folder) as process:
        killed, ended = map(int, finished(process).split())
    assert killed + ended == 100
    assert killed >= 80
    names = [f.suffix for f in folder.iterdir()]
    assert ".tmp" in names  # else no child was killed in the middle of writing
    checking = f"""{NETWORKS}
if sys.argv[-1] == "loads":
    def unwanted(*arguments):
        raise AssertionError("compiled again")
    engine._object = unwanted
for width in WIDTHS:
    np.testing.assert_allclose(trained(width, pl.compile), trained(width, lambda f: f), rtol=1e-5, atol=1e-6)
print(sum(name.endswith(".object") for name in os.listdir({str(folder)!r})))
"""
    for code in (checking, checking.replace("sys.argv[-1]", '"loads"')):
        with start_python(code, folder) as process:
            assert finished(process) == "10\n"


def test_two_processes_store_the_same_key_at_once(folder: Path) -> None:
    code = """
from pellucid.compiler import cache
contents = [bytes([n]) * 100_000 for n in (1, 2)]
found = []
for n in range(100):
    cache.store("k", contents[n % 2])
    found.append(cache.load("k"))
    if n % 10 == 9:
        cache.clear_cache() if n % 20 == 9 else cache._prune(cache._path("k").parent)
assert all(payload in [None, *contents] for payload in found)
assert found.count(None) < 20  # the other one has just cleared the cache
print("done")
"""
    with start_python(code, folder) as one, start_python(code, folder) as other:
        assert (finished(one), finished(other)) == ("done\n", "done\n")


# Folders and disks that refuse


def test_no_folder_can_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/none")):
        monkeypatch.setenv("PELLUCID_CACHE", str(place))
        cache.store(KEY, b"1")
        assert cache.load(KEY) is None
        cache.clear_cache()


def test_a_read_only_folder_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store(KEY, b"1")

    def refused(*arguments: object, **options: object) -> NoReturn:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "utime", refused)
    monkeypatch.setattr(os, "unlink", refused)
    monkeypatch.setattr(os, "replace", refused)
    assert cache.load(KEY) == b"1"
    cache.store(KEY, b"2")
    assert cache.load(KEY) == b"1"
    cache.clear_cache()
    assert cache.load(KEY) == b"1"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(folder: Path) -> None:
    cache.store(KEY, b"1")
    folder.chmod(0o500)
    cache.store(OTHER, b"2")
    assert (cache.load(KEY), cache.load(OTHER)) == (b"1", None)
    folder.chmod(0o000)
    assert cache.load(KEY) is None
    folder.chmod(0o700)


def test_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store(KEY, b"1")

    def full(temporary: Path, path: Path) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        cache.store(KEY, b"2")
    assert cache.load(KEY) == b"1"
    assert [f.name for f in folder.iterdir()] == [KEY + ".object"]  # nothing half written stays


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on files here")
def test_a_write_that_the_system_cuts_short(folder: Path) -> None:
    code = f"""
import resource
from pellucid.compiler import cache
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
cache.store({KEY!r}, bytes(200_000))
print(cache.load({KEY!r}), list(cache._path("k").parent.iterdir()))
cache.store({KEY!r}, bytes(50_000))
print(cache.load({KEY!r}) == bytes(50_000))
"""
    with start_python(code, folder) as process:
        assert finished(process) == "None []\nTrue\n"


def test_a_folder_that_vanishes_is_made_again(folder: Path) -> None:
    cache.store(KEY, b"1")
    (folder / (KEY + ".object")).unlink()
    folder.rmdir()
    assert cache.load(KEY) is None
    cache.store(KEY, b"2")
    assert cache.load(KEY) == b"2"


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> NoReturn:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(cache, "cache_folder", homeless)
    cache.store(KEY, b"1")
    assert cache.load(KEY) is None
    cache.clear_cache()


# Its size


def test_the_least_recently_used_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "LIMIT_BYTES", 5000)
    keys = [letter * 64 for letter in "abcd"]
    for age, key in zip((400, 300, 200, 100), keys, strict=True):
        cache.store(key, bytes(1000))
        then = time.time() - age
        os.utime(folder / (key + ".object"), (then, then))
    assert cache.load(keys[0]) is not None  # the oldest is used once more
    cache.store("e" * 64, bytes(1000))
    names = sorted(f.name[0] for f in folder.iterdir())
    assert names == ["a", "c", "d", "e"]
    cache.store("f" * 64, bytes(4500))
    assert [f.name[0] for f in folder.iterdir()] == ["f"]
