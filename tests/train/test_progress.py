"""Progress lines: one live line on a terminal, plain lines on a pipe, nothing with verbose=0; in both languages."""

import io
import os
import pty
from types import SimpleNamespace
from typing import Any

import pytest

from pellucid import set_language
from pellucid.train import History
from pellucid.train.progress import Live, Plain, Silent, duration, fitted, progress, width


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def a_run(**facts: Any) -> Any:
    run = SimpleNamespace(
        epoch=0,
        epochs=10,
        batch=5,
        num_batches=10,
        samples=500,
        samples_total=10_000,
        samples_before=0,
        loss_value=0.75,
        stopping=None,
        history=History(),
    )
    vars(run).update(facts)
    return run


def drawn(terminal: Terminal) -> list[str]:
    return terminal.getvalue().split("\r\x1b[2K")[1:]


def test_the_live_line_says_epoch_speed_loss_and_time_left() -> None:
    clock, terminal = Clock(), Terminal()
    live = Live(terminal, clock)
    run = a_run()
    live.begin(run)
    clock.now = 2.0
    live.batch(run)
    # 500 samples in 2 s; 9,500 are left, at 250 a second: 38 s.
    assert drawn(terminal) == ["epoch 1/10  50%  250 samples/s  loss 0.75  0:38 left"]
    run.epoch, run.batch, run.samples = 1, 10, 1000
    clock.now = 4.0
    live.epoch(run, {"loss": 0.5, "accuracy": 0.875, "val_loss": 0.625, "lr": 0.1, "time_s": 2.0})
    assert drawn(terminal)[1] == "epoch 2/10  250 samples/s  loss 0.5  accuracy 0.875  val_loss 0.625  0:36 left"


def test_the_live_line_is_redrawn_at_most_ten_times_a_second() -> None:
    clock, terminal = Clock(), Terminal()
    live = Live(terminal, clock)
    run = a_run()
    live.begin(run)
    for step in range(1000):
        clock.now = step / 1000
        live.batch(run)
    assert 5 <= len(drawn(terminal)) <= 10


def test_the_live_line_is_no_wider_than_the_terminal() -> None:
    clock, terminal = Clock(), Terminal()
    live = Live(terminal, clock)
    live.columns = lambda: 30  # type: ignore[method-assign]
    run = a_run()
    live.begin(run)
    clock.now = 1.0
    live.batch(run)
    assert drawn(terminal) == ["epoch 1/10  50%  500 samples…"]
    set_language("zh")
    try:
        clock.now = 2.0
        live.batch(run)
    finally:
        set_language(None)
    assert drawn(terminal)[1].startswith("第 1/10 轮  50%")
    assert width(drawn(terminal)[1]) <= 29


def test_a_real_terminal_gets_the_live_line() -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as stream:
        shown = progress(1, stream)
        assert isinstance(shown, Live)
        run = a_run(batch=10, samples=10_000, epoch=9)
        run.history.stopped_by = "epochs"
        shown.begin(run)
        shown.end(run)
        stream.flush()
        text = os.read(leader, 1000).decode()
    os.close(leader)
    assert text.startswith("\r\x1b[2Kepoch 10/10")
    assert text.endswith("\n")


def test_a_pipe_gets_a_plain_line_at_most_every_ten_seconds_and_one_at_the_end() -> None:
    clock, pipe = Clock(), io.StringIO()
    plain = Plain(pipe, clock=clock)
    run = a_run()
    plain.begin(run)
    for second in range(1, 26):
        clock.now = float(second)
        plain.batch(run)
    lines = pipe.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/10  50%  50 samples/s  loss 0.75")
    run.history.stopped_by, run.stopping, run.history.restored_epoch = "early_stopping", "early_stopping", 6
    plain.end(run)
    assert pipe.getvalue().splitlines()[2].endswith("took 0:25  stopped early  weights of epoch 7")
    assert "\r" not in pipe.getvalue()
    assert "\x1b" not in pipe.getvalue()


def test_verbose_2_says_a_line_every_epoch() -> None:
    pipe = io.StringIO()
    shown = progress(2, pipe)
    run = a_run(batch=10)
    shown.begin(run)
    for epoch in range(3):
        run.epoch = epoch
        shown.epoch(run, {"loss": 0.5})
    assert [line[:10] for line in pipe.getvalue().splitlines()] == ["epoch 1/10", "epoch 2/10", "epoch 3/10"]


def test_verbose_2_does_not_say_the_last_epoch_twice() -> None:
    for stopped_by, restored, more in (
        ("epochs", None, []),
        ("early_stopping", 1, ["stopped early  weights of epoch 2"]),
    ):
        pipe = io.StringIO()
        shown = progress(2, pipe)
        run = a_run(batch=10)
        shown.begin(run)
        shown.epoch(run, {"loss": 0.5})
        run.epoch, run.batch, run.samples = 1, 0, 1000
        run.history.stopped_by, run.history.restored_epoch = stopped_by, restored
        shown.end(run)
        assert pipe.getvalue().splitlines()[1:] == more


def test_a_run_that_ended_early_names_its_last_epoch() -> None:
    pipe = io.StringIO()
    shown = progress(1, pipe)
    run = a_run(epoch=3, batch=0)  # three epochs are done
    shown.begin(run)
    run.history.stopped_by = run.stopping = "early_stopping"
    shown.end(run)
    assert pipe.getvalue().startswith("epoch 3/10 ")


@pytest.mark.parametrize(
    "problem", [BrokenPipeError(), ValueError("I/O operation on closed file"), OSError(28, "full")]
)
def test_training_is_worth_more_than_its_progress_line(problem: Exception) -> None:
    class Gone(io.StringIO):
        written = 0

        def write(self, words: str) -> int:
            self.written += 1
            raise problem

    stream = Gone()
    shown = progress(2, stream)
    run = a_run()
    shown.begin(run)
    for _ in range(3):
        shown.epoch(run, {"loss": 0.5})
    shown.end(run)
    assert stream.written == 1


def test_verbose_0_says_nothing() -> None:
    assert isinstance(progress(0, Terminal()), Silent)
    assert isinstance(progress(1, io.StringIO()), Plain)
    assert isinstance(progress(1, Terminal()), Live)


def test_a_stream_that_cannot_write_chinese_gets_question_marks() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    set_language("zh")
    try:
        plain = Plain(stream, clock=Clock())
        plain.say("第 1 轮")
    finally:
        set_language(None)
    assert stream.buffer.getvalue() == b"? 1 ?\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("seconds", "shown"), [(0.2, "0:00"), (61, "1:01"), (3600, "1:00:00"), (86399.9, "23:59:59")])
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_chinese_characters_take_two_columns() -> None:
    assert width("第1轮") == 5
    assert fitted("第1轮的损失", 6) == "第1轮…"
    assert fitted("abc", 3) == "abc"
