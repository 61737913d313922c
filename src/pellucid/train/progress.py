"""The run comes in as it goes; lines for a person leave. On a terminal one live line; elsewhere a plain line at most
every ten seconds and one at the end. `fit` calls it; it knows nothing of training but what the `Run` says.
"""

from __future__ import annotations

import os
import sys
import time
import unicodedata
from typing import Any, Protocol, TextIO

from pellucid._text import text
from pellucid.train.run import Run

REDRAW_S = 0.1
PLAIN_S = 10.0
_REASONS = ("early_stopping", "interrupt", "callback", "non_finite", "error")


class Progress(Protocol):
    """What `fit` tells whoever shows its progress."""

    def begin(self, run: Run) -> None: ...

    def batch(self, run: Run) -> None: ...

    def epoch(self, run: Run, record: dict[str, float]) -> None: ...

    def end(self, run: Run) -> None: ...


def progress(verbose: int, stream: TextIO | None = None) -> Progress:
    """The progress line that suits a stream.

    Parameters
        verbose : 0 nothing; 1 one live line on a terminal, else a plain line now and then; 2 a plain line after every
            epoch
        stream : None is the standard output, as it is now
    """
    stream = sys.stdout if stream is None else stream
    if not verbose or stream is None:
        return Silent()
    if verbose == 1 and is_terminal(stream):
        return Live(stream)
    return Plain(stream, every_epoch=verbose >= 2)


def is_terminal(stream: TextIO) -> bool:
    """Whether a line can be drawn anew there."""
    """Whether a stream is a terminal on which a line can be drawn anew."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):
        return False


class Silent:
    """Says nothing."""

    def begin(self, run: Run) -> None:
        """Nothing."""

    def batch(self, run: Run) -> None:
        """Nothing."""

    def epoch(self, run: Run, record: dict[str, float]) -> None:
        """Nothing."""

    def end(self, run: Run) -> None:
        """Nothing."""


class Lines:
    """What the live and the plain line share: the clock, and the words of a line."""

    def __init__(self, stream: TextIO, clock: Any = time.perf_counter) -> None:
        self.stream = stream
        self.clock = clock
        self.start = 0.0
        self.next = 0.0
        self.record: dict[str, float] = {}
        self.closed = False

    def begin(self, run: Run) -> None:
        """Start the clock."""
        self.start = self.clock()
        self.record = run.history.record(-1) if len(run.history) else {}

    def line(self, run: Run) -> str:
        """Where the run stands: epoch, share of it, speed, loss and metrics, time left."""
        elapsed = max(self.clock() - self.start, 1e-9)
        parts = [text("train.line-epoch", epoch=max(run.epoch + (run.batch > 0), 1), epochs=run.epochs)]
        if 0 < run.batch < run.num_batches:
            parts.append(f"{100 * run.batch // run.num_batches}%")
        parts.append(text("train.line-speed", speed=rounded(run.samples / elapsed)))
        measured = {k: v for k, v in self.record.items() if k not in ("lr", "time_s")}
        if run.batch and run.loss_value == run.loss_value and "loss" not in measured:
            measured = {"loss": run.loss_value, **measured}
        parts += [f"{name} {value:.4g}" for name, value in measured.items()]
        left = run.samples_total - run.samples_before - run.samples
        if left > 0 and run.samples and run.stopping is None:
            parts.append(text("train.line-left", time=duration(elapsed / run.samples * left)))
        else:
            parts.append(text("train.line-took", time=f"{elapsed:.1f} s" if elapsed < 10 else duration(elapsed)))
        return "  ".join(parts)

    def last(self, run: Run) -> str:
        """The line at the end, with the reason where it came early."""
        return "  ".join([self.line(run), *self.outcome(run)])

    def outcome(self, run: Run) -> list[str]:
        """Why training ended before its last epoch, and the epoch whose weights were given back, if so."""
        parts, reason = [], run.history.stopped_by
        if reason in _REASONS:
            parts.append(text(f"train.stopped-{reason.replace('_', '-')}"))
        elif reason not in (None, "epochs"):
            parts.append(text("train.stopped-reason", reason=reason))
        if run.history.restored_epoch is not None:
            parts.append(text("train.line-restored", epoch=run.history.restored_epoch + 1))
        return parts

    def write(self, words: str) -> None:
        """Write at once; an encoding that lacks a character gets a question mark, a closed stream nothing."""
        if self.closed:
            return
        try:
            try:
                self.stream.write(words)
            except UnicodeEncodeError:
                encoding = getattr(self.stream, "encoding", None) or "ascii"
                self.stream.write(words.encode(encoding, "replace").decode(encoding))
            self.stream.flush()
        except (OSError, ValueError):  # a pipe whose reader has gone: training is worth more than its progress line
            self.closed = True


class Live(Lines):
    """One line on a terminal, redrawn in place at most ten times a second, never wider than the terminal."""

    def begin(self, run: Run) -> None:
        """Draw the first line once something is known."""
        super().begin(run)
        self.next = self.start + REDRAW_S

    def batch(self, run: Run) -> None:
        """Redraw, if it is time."""
        if self.clock() >= self.next:
            self.draw(run)

    def epoch(self, run: Run, record: dict[str, float]) -> None:
        """Show what the epoch measured."""
        self.record = record
        if self.clock() >= self.next:
            self.draw(run)

    def end(self, run: Run) -> None:
        """Leave the last line standing."""
        self.write("\r\x1b[2K" + self.last(run) + "\n")

    def draw(self, run: Run) -> None:
        """Redraw the line, cut to the terminal's width."""
        self.next = self.clock() + REDRAW_S
        self.write("\r\x1b[2K" + fitted(self.line(run), self.columns() - 1))

    def columns(self) -> int:
        """The terminal's width now; 80 where it does not say."""
        try:
            return os.get_terminal_size(self.stream.fileno()).columns or 80
        except (OSError, ValueError, AttributeError):
            return 80


class Plain(Lines):
    """Plain lines for a pipe, a file or a notebook: after an epoch or within one, at most every ten seconds, and at the
    end."""

    def __init__(self, stream: TextIO, every_epoch: bool = False, clock: Any = time.perf_counter) -> None:
        super().__init__(stream, clock)
        self.every_epoch = every_epoch
        self.written = ""

    def begin(self, run: Run) -> None:
        """The first line is due in ten seconds."""
        super().begin(run)
        self.next = self.start + PLAIN_S

    def batch(self, run: Run) -> None:
        """A line, if the epoch is long."""
        if self.clock() >= self.next:
            self.say(self.line(run))

    def epoch(self, run: Run, record: dict[str, float]) -> None:
        """A line, if it is time."""
        self.record = record
        if self.every_epoch or self.clock() >= self.next:
            self.say(self.line(run))

    def end(self, run: Run) -> None:
        """The outcome; the line of the last epoch is not said twice."""
        if self.every_epoch and self.written and not run.batch:
            if parts := self.outcome(run):
                self.say("  ".join(parts))
        else:
            self.say(self.last(run))

    def say(self, words: str) -> None:
        """Write a line that differs from the one before."""
        self.next = self.clock() + PLAIN_S
        if words != self.written:
            self.written = words
            self.write(words + "\n")


def duration(seconds: float) -> str:
    """Seconds as a clock shows them.

    Examples
        >>> duration(4.2), duration(75), duration(7384)
        ('0:04', '1:15', '2:03:04')
    """
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def width(words: str) -> int:
    """Columns that a text takes on a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in words)


def fitted(words: str, columns: int) -> str:
    """The text cut to at most `columns` columns."""
    if width(words) <= columns:
        return words
    taken, used = [], 0
    for c in words:
        used += width(c)
        if used > columns - 1:
            break
        taken.append(c)
    return "".join(taken) + "…"


def rounded(speed: float) -> str:
    """Three figures are all that a speed is good for."""
    if speed < 1000:
        return f"{speed:.3g}"
    digits = 10 ** (len(str(int(speed))) - 3)
    return f"{int(speed) // digits * digits:,}"
