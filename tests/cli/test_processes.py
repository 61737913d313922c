"""The command as a shell runs it: in a process of its own, on a pipe, on a terminal, and interrupted."""

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from tests.cli.shell import environment, process

pty = pytest.importorskip("pty")


def test_a_pipe_gets_plain_lines(tmp_path: Path) -> None:
    done = process(tmp_path, "train", "xor", "--layers", "8", "--epochs", "3")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert re.search(r"^epoch 3/3 ", done.stdout, re.M)
    assert re.search(r"^test accuracy \d\.\d{3} ", done.stdout, re.M)


def test_the_language_comes_from_the_environment(tmp_path: Path) -> None:
    done = process(tmp_path, "train", "nothing", PELLUCID_LANG="zh")
    assert done.returncode == 2
    assert done.stderr.startswith("MissingFileError: 没有数据集 nothing\n")


def test_a_terminal_gets_one_live_line(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pellucid", "train", "digits", "--layers", "64", "--epochs", "30"]
    started = subprocess.Popen(
        command, cwd=tmp_path, env=environment(TERM="xterm"), stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            block = os.read(ours, 4096)
        except OSError:  # Linux says so when the other side is closed
            break
        if not block:
            break
        shown += block
    os.close(ours)
    assert started.wait(60) == 0
    words = shown.decode("utf-8")
    # Redrawn in place: however often it changed, it is one line, and its last state is left standing.
    (line,) = [line for line in words.split("\n") if "epoch " in line]
    assert line.count("\r\x1b[2K") >= 2
    assert line.rpartition("\x1b[2K")[2].startswith("epoch 30/30 ")
    assert "test accuracy" in words


def wait_for(path: Path, lines: int) -> None:
    """Until a file has so many lines."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = list(path.parent.parent.glob(f"*/{path.name}"))
        if found and found[0].read_text("utf-8").count("\n") >= lines:
            return
        time.sleep(0.05)
    pytest.fail(f"{path.name} never had {lines} lines")


def test_ctrl_c_keeps_the_best_weights(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pellucid", "train", "digits", "--layers", "64", "--epochs", "100000"]
    started = subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    run = tmp_path / "runs" / "digits"
    wait_for(run / "metrics.jsonl", 5)
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, err) == (130, "")
    assert "the best weights are kept" in out
    assert re.search(r"^test accuracy \d\.\d{3}", out, re.M)
    results = tomllib.loads((run / "run.toml").read_text("utf-8"))["results"]
    assert results["stopped_by"] == "interrupt"
    assert results["restored_epoch"] == results["best_epoch"]
    test = pl.data.train_test_split(pl.data.digits(), test_size=0.25, seed=0, stratify=True)[1]
    predicted = pl.load(run / "model.safetensors").predict(test.x).argmax(axis=1)
    assert float((predicted == test.y).mean()) == results["test_accuracy"]
    assert sorted(p.name for p in run.iterdir()) == [
        "curves.png",
        "metrics.jsonl",
        "model.safetensors",
        "report.html",
        "run.toml",
    ]


def test_ctrl_c_before_training_says_so(tmp_path: Path) -> None:
    """Interrupted while the data are read."""
    code = (
        "import os, signal\n"
        "from pellucid.cli import sources\n"
        "sources.load = lambda word: os.kill(os.getpid(), signal.SIGINT) or signal.pause()\n"
        "from pellucid.cli import main\n"
        "main(['train', 'digits'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nstopped\n")


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=np.zeros((3, 2)))
    command = f"'{sys.executable}' -m pellucid data | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("name ")
    assert done.stderr == ""


@pytest.mark.parametrize("package", ["click", "rich", "jinja2", "matplotlib"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(package: str, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        f"sys.modules[{package!r}] = None\n"
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        f"u.find_spec = lambda name, *a: None if name == {package!r} else find(name, *a)\n"
        "from pellucid.cli import main\n"
        "main(['--help'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"MissingDependencyError: the command line needs packages that are not installed\n"
        f"  given:    {package} is missing\n"
        "  expected: the packages of the extra app\n"
        '  fix:      pip install ".[app]" in the folder of pellucid\n'
    )


def test_two_runs_at_once_get_two_folders(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pellucid", "train", "xor", "--layers", "4", "--epochs", "2", "--quiet"]
    started = [
        subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [p.communicate(timeout=60)[0] for p in started]
    folders = {line.removeprefix("run folder ") for out in said for line in out.splitlines() if "folder" in line}
    assert folders == {"runs/xor", "runs/xor-2"}
