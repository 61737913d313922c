"""A run that is killed and resumed ends with the bits of one that was never interrupted."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import pellucid as pl
from pellucid import nn, optim
from pellucid.errors import DataError, FileFormatError, PellucidWarning
from pellucid.train import Callback, EarlyStopping, JSONLogger, Run, checkpoints

ROOT = Path(__file__).parents[2]


def a_run(folder: Path | None, epochs: int = 8, resume: bool = False, **options: Any) -> tuple[nn.Module, Any]:
    """Dropout, batch statistics, Adam, a schedule, early stopping: everything that has a state."""
    pl.manual_seed(7)
    model = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    options = {
        "schedule": optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.7),
        "callbacks": [EarlyStopping(patience=3)],
        "validation": pl.data.two_moons(50, seed=1),
        **options,
    }
    history = pl.fit(
        model,
        pl.data.two_moons(100),
        loss=nn.CrossEntropyLoss(),
        optimizer=optimizer,
        epochs=epochs,
        metrics=["accuracy"],
        seed=11,
        checkpoint=folder,
        resume=resume,
        verbose=0,
        **options,
    )
    return model, history


def assert_same(a: tuple[nn.Module, Any], b: tuple[nn.Module, Any]) -> None:
    for name, value in a[0].state_dict().items():
        assert_array_equal(value.numpy(), b[0].state_dict()[name].numpy(), err_msg=name)
    left, right = a[1].to_dict(), b[1].to_dict()
    for history in (left, right):
        history["curves"].pop("time_s")
    assert left == right


class Break(Callback):
    """An error in the middle of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_batch_end(self, run: Run) -> None:
        if run.epoch == self.epoch and run.batch == 2:
            raise RuntimeError("broken")


@pytest.mark.parametrize("epoch", [1, 4])
def test_a_run_that_broke_goes_on_with_the_same_bits(
    epoch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)
    whole = a_run(tmp_path / "whole", callbacks=[EarlyStopping(patience=3), Break(-1)])
    with pytest.raises(RuntimeError, match="broken"):
        a_run(tmp_path / "broken", callbacks=[EarlyStopping(patience=3), Break(epoch)])
    assert_same(whole, a_run(tmp_path / "broken", resume=True, callbacks=[EarlyStopping(patience=3), Break(-1)]))


def test_ctrl_c_after_an_epoch_loses_nothing_of_it(tmp_path: Path) -> None:
    class Impatient(Callback):
        def on_epoch_end(self, run: Run, record: dict[str, float]) -> None:
            if self.pressing and run.epoch == 2:
                signal.raise_signal(signal.SIGINT)

        pressing = True

    stopped = Impatient()
    _, history = a_run(tmp_path, callbacks=[EarlyStopping(patience=3), stopped])
    assert (history.stopped_by, len(history)) == ("interrupt", 3)
    Impatient.pressing = False
    whole = a_run(None, callbacks=[EarlyStopping(patience=3), Impatient()])
    began: list[int] = []
    Impatient.on_epoch_begin = lambda self, run: began.append(run.epoch)  # type: ignore[method-assign]
    assert_same(whole, a_run(tmp_path, resume=True, callbacks=[EarlyStopping(patience=3), Impatient()]))
    assert began[0] == 3


def test_a_run_that_is_stopped_within_an_epoch_goes_on_from_the_epochs_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)

    class Within(Callback):
        def __init__(self, epoch: int) -> None:
            self.epoch = epoch

        def on_batch_end(self, run: Run) -> None:
            if run.epoch == self.epoch and run.batch == 2:
                run.stop("enough")

    _, history = a_run(tmp_path, callbacks=[EarlyStopping(patience=3), Within(3)])
    assert (history.stopped_by, len(history)) == ("enough", 3)
    whole = a_run(None, callbacks=[EarlyStopping(patience=3), Within(-1)])
    assert_same(whole, a_run(tmp_path, resume=True, callbacks=[EarlyStopping(patience=3), Within(-1)]))


def test_the_checkpoint_of_another_run_is_kept_beside(tmp_path: Path) -> None:
    a_run(tmp_path, epochs=2)
    first = (tmp_path / "checkpoint.safetensors").read_bytes()
    a_run(tmp_path, epochs=3)
    assert (tmp_path / "checkpoint-previous.safetensors").read_bytes() == first
    assert (tmp_path / "checkpoint.safetensors").read_bytes() != first
    a_run(tmp_path, epochs=4, resume=True)
    assert (tmp_path / "checkpoint-previous.safetensors").read_bytes() == first


def test_a_disk_that_is_full_does_not_end_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)
    calls = {"n": 0}
    fsync = os.fsync

    def full(descriptor: int) -> None:
        calls["n"] += 1
        if calls["n"] > 2:  # the file and its folder
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.warns(PellucidWarning) as caught:
            history = a_run(tmp_path, epochs=3)[1]
    assert len(history) == 3
    assert len(caught) == 1
    assert str(caught[0].message).split("\n")[:2] == [
        "the checkpoint of epoch 2 could not be written; training goes on without it",
        f"  given:    {tmp_path / 'checkpoint.safetensors'}: the system says: No space left on device",
    ]
    assert_same(a_run(None, epochs=3), a_run(tmp_path, epochs=3, resume=True))


def test_checkpoints_change_nothing(tmp_path: Path) -> None:
    assert_same(a_run(None), a_run(tmp_path))


def test_a_finished_run_is_resumed_to_its_result(tmp_path: Path) -> None:
    whole = a_run(tmp_path, epochs=40)
    assert whole[1].stopped_by == "early_stopping"
    assert_same(whole, a_run(tmp_path, epochs=40, resume=True))


def test_more_epochs_go_on_where_a_shorter_run_ended(tmp_path: Path) -> None:
    a_run(tmp_path, epochs=3)
    assert_same(a_run(None, epochs=6), a_run(tmp_path, epochs=6, resume=True))


def test_without_a_checkpoint_resume_starts_anew(tmp_path: Path) -> None:
    assert_same(a_run(None), a_run(tmp_path, resume=True))
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_the_log_of_a_resumed_run_has_each_epoch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)
    log = tmp_path / "metrics.jsonl"
    with pytest.raises(RuntimeError):
        a_run(tmp_path, callbacks=[EarlyStopping(patience=3), JSONLogger(log), Break(3)])
    with log.open("a") as file:
        file.write('{"epoch": 4, "half a line')
    _, history = a_run(tmp_path, resume=True, callbacks=[EarlyStopping(patience=3), JSONLogger(log), Break(-1)])
    epochs = [json.loads(line)["epoch"] for line in log.read_text().splitlines()]
    assert epochs == list(range(1, len(history) + 1))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"batch_size": 16}, "loader"),
        ({"clip_norm": 1.0}, "clip_norm"),
        ({"callbacks": []}, "callbacks"),
        ({"schedule": None}, "schedule"),
        ({"validation": (pl.data.two_moons(50, seed=1).x, 1 - pl.data.two_moons(50, seed=1).y)}, "data"),
    ],
)
def test_another_run_is_refused(options: dict[str, Any], name: str, tmp_path: Path) -> None:
    a_run(tmp_path, epochs=1)
    with pytest.raises(DataError, match=f"belongs to another run: {name} differs"):
        a_run(tmp_path, resume=True, **options)


def test_another_learning_rate_is_refused(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    options = {"loss": "cross_entropy", "epochs": 2, "checkpoint": tmp_path, "verbose": 0, "schedule": "cosine"}
    pl.fit(model, pl.data.two_moons(50), optimizer=optim.SGD(model.parameters(), lr=0.5), **options)
    other = optim.SGD(model.parameters(), lr=0.25)
    with pytest.raises(DataError) as caught:
        pl.fit(model, pl.data.two_moons(50), optimizer=other, resume=True, **options)
    assert str(caught.value).split("\n")[:3] == [
        "checkpoint.safetensors belongs to another run: lr differs",
        "  given:    now [0.25]",
        "  expected: as saved: [0.5]",
    ]


def test_a_bit_that_flipped_is_found(tmp_path: Path) -> None:
    a_run(tmp_path, epochs=1)
    path = tmp_path / "checkpoint.safetensors"
    whole = path.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 40).tolist():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(FileFormatError):
            a_run(tmp_path, resume=True)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    a_run(tmp_path, epochs=1)
    path = tmp_path / "checkpoint.safetensors"
    whole = path.read_bytes()
    damaged = [
        b"",
        whole[:7],
        whole[:100],
        whole[:-1],
        b"\xff" * 8 + whole[8:],
        whole[:8] + b"x" + whole[9:],
        b"PK" * 50,
    ]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"checkpoint\.safetensors"):
            a_run(tmp_path, resume=True)


def test_states_are_packed_and_unpacked() -> None:
    arrays: dict[str, np.ndarray] = {}
    state = {
        "state": {0: {"step": pl.Tensor(np.float32(3)), "lr": 0.1}, 1: {}},
        "history": [np.arange(3), (1, None, "x", True)],
        "inf": float("inf"),
    }
    packed = checkpoints.pack(state, "s", arrays)
    back = checkpoints.unpack(packed, arrays)
    assert back["state"][0]["step"].shape == ()
    assert back["state"][0]["step"].item() == 3.0
    assert back["state"][1] == {}
    assert_array_equal(back["history"][0], [0, 1, 2])
    assert back["history"][1] == (1, None, "x", True)
    assert back["inf"] == float("inf")
    with pytest.raises(FileFormatError, match="cannot hold"):
        checkpoints.pack({"f": print}, "s", arrays)


SCRIPT = """
import sys, time
from pathlib import Path
import numpy as np
import pellucid as pl
from pellucid import nn, optim
from pellucid.train import LambdaCallback, checkpoints

checkpoints.EVERY_S = 0.0
folder, slow = Path(sys.argv[1]), float(sys.argv[2])
pl.manual_seed(1)
model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))
pl.fit(model, pl.data.two_moons(64), loss="cross_entropy", optimizer=optim.Adam(model.parameters(), lr=0.01), epochs=12,
       callbacks=[LambdaCallback(on_batch_end=lambda run: time.sleep(slow))], checkpoint=folder, resume=True, verbose=0)
np.savez(folder / "weights.npz", **{k: v.numpy() for k, v in model.state_dict().items()})
"""


def test_a_killed_process_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}

    def start(folder: str, slow: float) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, str(script), str(tmp_path / folder), str(slow)], env=environment)

    with start("whole", 0.0) as process:
        assert process.wait(60) == 0
    kept = tmp_path / "killed" / "checkpoint.safetensors"
    with start("killed", 0.1) as process:
        while not kept.exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    assert not (tmp_path / "killed" / "weights.npz").exists()
    with start("killed", 0.0) as process:
        assert process.wait(60) == 0
    with np.load(tmp_path / "whole" / "weights.npz") as a, np.load(tmp_path / "killed" / "weights.npz") as b:
        assert a.files == b.files
        for name in a.files:
            assert_array_equal(a[name], b[name])
