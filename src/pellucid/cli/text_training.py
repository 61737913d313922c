"""A text file and checked settings come in; a trained language model in a run folder leaves. This is what `pellucid
train text` does."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pellucid import nn, optim
from pellucid._text import text
from pellucid._typing import Array
from pellucid.cli.language import beginning, build, describe, options_of
from pellucid.cli.output import fact, findings, say
from pellucid.cli.text_settings import TEXT_SETTINGS
from pellucid.cli.training import Recorder
from pellucid.core.paths import write_whole
from pellucid.core.rng import manual_seed
from pellucid.data import (
    BytePairTokenizer,
    CharTokenizer,
    Dataset,
    TextBlocks,
    read_text,
    split_tokens,
    text_windows,
    tiny_shakespeare,
)
from pellucid.errors import PellucidError
from pellucid.models import NextTokenLoss, generate
from pellucid.train import History, fit
from pellucid.train.files import save

BETAS = (0.9, 0.99)
# The rate falls to this part of the highest.
_LOWEST = 0.1
_VALIDATION_BLOCKS = 1000
_KNOWN = "tiny-shakespeare"
# Steps of an LSTM that repay machine code: 8 s to make it, 10 ms a step less, measured at the default sizes.
_MACHINE_CODE_FROM = 1000
_SAMPLE, _TEMPERATURE = 500, 0.8


@dataclass(frozen=True)
class Reading:
    """A text made ready: its tokenizer, the tokens and batches to learn from, the blocks to measure on, and how it was
    found."""

    name: str
    words: str
    tokenizer: Any
    training: Array
    blocks: TextBlocks
    validation: Dataset
    counts: tuple[int, int]


def train_text(
    word: str,
    settings: dict[str, Any],
    *,
    out: str | None = None,
    checks: bool = True,
    quiet: bool = False,
    command: Sequence[str] = (),
) -> int:
    """Train, let the model write a sample, and leave the run folder; returns the exit code.

    Parameters
        word : path of a text file in UTF-8, or tiny-shakespeare
        settings : every setting, as `text_settings.gather_text` returns them
        out : the run folder; None is runs/ and the name of the file
        checks : whether data, targets and network are looked at before the first step
        quiet : print the result alone
        command : the words typed, for the record
    Raises
        PellucidError: what the user gave cannot be trained on, or training failed.
    """
    started = datetime.now(UTC)
    clock = time.perf_counter()
    with findings() as found, _paying_tier(settings):
        reading = read(word, settings)
        manual_seed(settings["seed"])
        options = options_of(settings, reading.tokenizer.vocab_size)
        model = build(settings["model"], options)
        if not quiet:
            announce(reading, model, settings)
        tables = record(word, started, command, reading, model, settings, checks)
        recorder = Recorder(out or f"runs/{reading.name}", tables)
        optimizer = optim.AdamW(decayed(model, settings["weight_decay"]), lr=settings["lr"], betas=BETAS)
        try:
            history = fit(
                model,
                reading.blocks,
                loss=NextTokenLoss(),
                optimizer=optimizer,
                epochs=settings["steps"] // settings["eval_every"],
                validation=reading.validation,
                callbacks=[recorder],
                schedule=optim.LambdaLR(optimizer, rate_of(settings["steps"], settings["warmup"])),
                schedule_every="step",
                clip_norm=settings["clip_norm"],
                restore_best=True,
                checks=checks,
                verbose=0 if quiet else 1,
            )
        except PellucidError as error:
            failed = getattr(error, "history", None)
            if failed is not None:
                recorder.finish({"stopped_by": failed.stopped_by, "evaluations": len(failed)})
            raise
    results = {**results_of(history), "time_s": round(time.perf_counter() - clock, 3)}
    folder = recorder.folder
    if folder is None:  # fit returned, so training began and made it
        raise RuntimeError("training began without a run folder")
    save(
        model,
        folder / "model.safetensors",
        example=reading.validation.x[:1],
        metadata=describe(settings["model"], options, reading.tokenizer),
    )
    recorder.finish(results)
    sample = written(model, reading, settings["seed"])
    write_whole(folder / "sample.txt", sample.encode("utf-8", "surrogatepass"))
    _illustrate(folder, {**tables, "results": results}, reading, model, history, sample, found)
    interrupted = history.stopped_by == "interrupt"
    if interrupted:
        say(text("text.interrupted", steps=history.steps))
    if "val_loss" in results:
        say(
            text(
                "text.result-line", loss=f"{results['val_loss']:.4f}", perplexity=f"{math.exp(results['val_loss']):.3g}"
            )
        )
    say(text("cli.folder-line", folder=str(folder)))
    return 130 if interrupted else 0


def read(word: str, settings: dict[str, Any]) -> Reading:
    """The file as numbers: the beginning to learn from, the end to measure on.

    Raises
        MissingFileError, FileFormatError: no such file, or no text.
        DataError: too short a text.
    """
    is_known = word.lower().replace("_", "-") == _KNOWN and not Path(word).exists()
    words = tiny_shakespeare() if is_known else read_text(word)
    tokenizer = (
        CharTokenizer(words)
        if settings["tokenizer"] == "characters"
        else BytePairTokenizer.train(words, settings["vocab_size"])
    )
    training, held_out = split_tokens(tokenizer.encode(words), settings["validation"])
    blocks = TextBlocks(
        training, settings["block"], settings["batch"], batches=settings["eval_every"], seed=settings["seed"]
    )
    validation = text_windows(held_out, settings["block"], _VALIDATION_BLOCKS)
    return Reading(Path(word).stem, words, tokenizer, training, blocks, validation, (len(training), len(held_out)))


def decayed(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The parameters in two groups: matrices and tables decay, biases and normalisation do not, as in nanoGPT."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def rate_of(steps: int, warmup: int) -> Any:
    """The learning rate of a step, as a part of the highest: up along a line, then down along half a cosine."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        share = min((step - warmup) / max(1, steps - warmup), 1.0)
        return _LOWEST + (1.0 - _LOWEST) * 0.5 * (1.0 + math.cos(math.pi * share))

    return factor


@contextmanager
def _paying_tier(settings: dict[str, Any]) -> Iterator[None]:
    """An LSTM is recorded place by place, some thousands of operations: in a short run, making machine code of them
    takes longer than it gains. There NumPy runs the plan, unless `PELLUCID_COMPILE` says otherwise."""
    short = settings["model"] == "char_lstm" and settings["steps"] < _MACHINE_CODE_FROM
    if not short or os.environ.get("PELLUCID_COMPILE"):
        yield
        return
    os.environ["PELLUCID_COMPILE"] = "numpy"
    try:
        yield
    finally:
        del os.environ["PELLUCID_COMPILE"]


def announce(reading: Reading, model: nn.Module, settings: dict[str, Any]) -> None:
    """What is about to be trained, on what, and how."""
    training, held_out = reading.counts
    fact(
        text("cli.label-data"),
        text(
            "text.data-line",
            name=reading.name,
            characters=f"{len(reading.words):,}",
            training=f"{training:,}",
            validation=f"{held_out:,}",
            vocab_size=reading.tokenizer.vocab_size,
        ),
    )
    fact(
        text("cli.label-network"),
        text(
            "text.network-line",
            name=type(model).__name__,
            layers=settings["layers"],
            width=settings["width"],
            block=settings["block"],
            parameters=f"{model.num_parameters():,}",
            size_bytes=f"{sum(p.nbytes for p in model.parameters()):,}",
        ),
    )
    fact(
        text("cli.label-training"),
        text(
            "text.training-line",
            lr=f"{settings['lr']:g}",
            warmup=settings["warmup"],
            steps=f"{settings['steps']:,}",
            batch=settings["batch"],
            every=settings["eval_every"],
            seed=settings["seed"],
        ),
    )


def record(
    word: str,
    started: datetime,
    command: Sequence[str],
    reading: Reading,
    model: nn.Module,
    settings: dict[str, Any],
    checks: bool,
) -> dict[str, dict[str, Any]]:
    """What `run.toml` says before the results: enough to repeat the run and to tell whether the text is the same."""
    return {
        "run": {
            "started": started.isoformat(timespec="seconds"),
            "command": shlex.join(["pellucid", *command]) if command else None,
            "pellucid": sys.modules["pellucid"].__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "platform": f"{platform.system()} {platform.machine()}",
            "checks": checks,
        },
        "data": {
            "name": reading.name,
            "given_as": word,
            "characters": len(reading.words),
            "training_tokens": reading.counts[0],
            "validation_tokens": reading.counts[1],
            "validation_blocks": len(reading.validation),
            "vocab_size": reading.tokenizer.vocab_size,
            "sha256": hashlib.sha256(reading.words.encode("utf-8")).hexdigest(),
        },
        "settings": {
            s.key: s.kind.show(settings[s.key]) if settings[s.key] is None else settings[s.key] for s in TEXT_SETTINGS
        },
        "network": {
            "parameters": model.num_parameters(),
            "weights_bytes": sum(p.nbytes for p in model.parameters()),
        },
    }


def results_of(history: History) -> dict[str, Any]:
    """The losses of the evaluation whose weights are kept, and how the run ended."""
    results: dict[str, Any] = {}
    if len(history):
        kept = history.record(history.restored_epoch if history.restored_epoch is not None else -1)
        results = {name: float(value) for name, value in kept.items() if name not in ("lr", "time_s", "epoch")}
    return results | {
        "evaluations": len(history),
        "steps": history.steps,
        "stopped_by": history.stopped_by,
        "restored_evaluation": None if history.restored_epoch is None else history.restored_epoch + 1,
    }


def written(model: nn.Module, reading: Reading, seed: int) -> str:
    """What the model writes of its own."""
    start = beginning(reading.tokenizer)
    tokens: Array = generate(model, start, _SAMPLE, temperature=_TEMPERATURE, seed=seed)
    return str(reading.tokenizer.decode(tokens[len(start) :]))


def _illustrate(
    folder: Path,
    tables: dict[str, dict[str, Any]],
    reading: Reading,
    model: nn.Module,
    history: History,
    sample: str,
    found: list[str],
) -> None:
    """The picture of the curves and the report; neither before an evaluation is complete."""
    if not len(history):
        return
    from pellucid.report import Report, curves, write_report

    picture = curves(history)
    write_whole(folder / "curves.png", picture)
    none = np.zeros((0, 1))
    report = Report(
        title=reading.name,
        tables=tables,
        network=repr(model),
        picture=picture,
        outputs=none,
        targets=none,
        sample=sample,
        findings=found,
    )
    write_report(folder / "report.html", report)
