"""`import pellucid` is light, and rooms import each other only downwards; each is measured in a fresh interpreter."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "pellucid"

LIMIT_S = 0.15

WHAT_IT_LOADS = """
import sys
before = set(sys.modules)
import pellucid
import json
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""

# Processor time, not the clock's: a busy machine adds to the second and not to the first.
WHAT_IT_ADDS = """
import time
import numpy
start = time.process_time()
import pellucid
print(time.process_time() - start)
"""


def run_python(code: str, **environment: str) -> str:
    # A fresh interpreter may write its bytecode: what is measured is an import, not a compilation.
    base = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    path = os.pathsep.join([str(ROOT / "src"), *filter(None, [base.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=base | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_no_third_party_package_but_numpy() -> None:
    loaded = set(json.loads(run_python(WHAT_IT_LOADS)))
    assert "numpy" in loaded
    assert loaded - set(sys.stdlib_module_names) - {"numpy", "pellucid"} == set()


def test_import_adds_little_to_numpys_own() -> None:
    added = []
    for _ in range(6):  # the first may have to compile
        added.append(float(run_python(WHAT_IT_ADDS)))
        if added[-1] < LIMIT_S:
            return
    pytest.fail(f"import pellucid adds {min(added):.3f} s to NumPy's own import; at most {LIMIT_S} s is allowed")


def test_data_in_memory_need_no_reader_of_files_and_no_masked_arrays() -> None:
    code = """
import json, sys
import pellucid as pl
data = pl.data.Dataset([[0.0, 1.0], [1.0, 0.0]], [0, 1])
list(pl.data.Loader(data, 2).batches(0))
print(json.dumps(sorted(m for m in sys.modules if m.startswith("pellucid.data.") or m == "numpy.ma")))
"""
    loaded = {name.removeprefix("pellucid.data.") for name in json.loads(run_python(code))}
    assert loaded == {"_arrays", "_order", "augment", "dataset", "loader"}


def test_public_names_of_data_can_be_had_in_any_order() -> None:
    code = """
import pellucid.data.recordings, pellucid.data.free_spoken_digits
from pellucid.data import audio_folder, augment
from pellucid import data
assert callable(data.audio_folder) and callable(data.spoken_digits) and data.augment is augment
assert set(data.__all__) <= set(dir(data))
assert all(getattr(data, name) is getattr(data, name) for name in data.__all__)
try:
    data.nothing
except AttributeError as problem:
    print(problem)
"""
    assert run_python(code) == "module 'pellucid.data' has no attribute 'nothing'\n"


def lint_imports(folder: Path, source: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())",
            "--no-cache",
            "--no-logo",
            "--config",
            str(ROOT / "pyproject.toml"),
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_rooms_import_only_downwards(tmp_path: Path) -> None:
    done = lint_imports(tmp_path, ROOT / "src")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("room", "line", "found"),
    [
        ("core", "import pellucid.nn", "pellucid.core is not allowed to import pellucid.nn"),  # upwards
        ("optim", "import pellucid.nn", "pellucid.optim is not allowed to import pellucid.nn"),  # sideways
        ("nn", "import pellucid", "pellucid.nn -> pellucid"),  # the root
        ("kitchen", "", "pellucid.kitchen"),  # a room that no level names
    ],
)
def test_a_wrong_import_is_found(room: str, line: str, found: str, tmp_path: Path) -> None:
    shutil.copytree(SOURCE, tmp_path / "pellucid", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pellucid" / room).mkdir(exist_ok=True)
    with open(tmp_path / "pellucid" / room / "__init__.py", "a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    done = lint_imports(tmp_path, tmp_path)
    assert done.returncode == 1
    assert found in done.stdout
