"""The hyper-parameters of a language model as one table, as `settings` has those of other networks; a checked `dict` of
every setting in force leaves. Help, flags, configuration files and `run.toml` of `pellucid train text` read it.
"""

from __future__ import annotations

from typing import Any

from pellucid.cli.settings import Setting, chosen
from pellucid.cli.values import Choice, Number, Whole
from pellucid.core.check import Integer, Real
from pellucid.errors import ArgumentError

MODEL_NAMES = ("gpt", "char_lstm")
TOKENIZERS = ("characters", "byte_pairs")

TEXT_SETTINGS = (
    Setting("model", Choice(MODEL_NAMES), "gpt", "network"),
    Setting("layers", Whole(Integer(1, none=True), "auto"), None, "network"),
    Setting("heads", Whole(Integer(1, none=True), "auto"), None, "network"),
    Setting("width", Whole(Integer(1)), 128, "network"),
    Setting("block", Whole(Integer(1)), 64, "network"),
    Setting("dropout", Number(Real(0, 1, right_open=True)), 0.0, "network"),
    Setting("batch", Whole(Integer(1)), 12, "training"),
    Setting("steps", Whole(Integer(1)), 2000, "training"),
    Setting("lr", Number(Real(0, left_open=True, none=True)), None, "training"),
    Setting("warmup", Whole(Integer(0)), 100, "training"),
    Setting("weight-decay", Number(Real(0)), 0.1, "training"),
    Setting("clip-norm", Number(Real(0, left_open=True, none=True), "none"), 1.0, "training"),
    Setting("eval-every", Whole(Integer(1, none=True), "auto"), None, "training"),
    Setting("tokenizer", Choice(TOKENIZERS), "characters", "data"),
    Setting("vocab-size", Whole(Integer(256, none=True), "auto"), None, "data"),
    Setting("validation", Number(Real(0, 1, left_open=True, right_open=True)), 0.1, "data"),
    Setting("seed", Whole(Integer(0, 2**63 - 1)), 0, "run"),
)

WRITING = (
    Setting("length", Whole(Integer(0)), 500, "writing"),
    Setting("temperature", Number(Real(0)), 0.8, "writing"),
    Setting("top-k", Whole(Integer(1, none=True)), None, "writing"),
    Setting("seed", Whole(Integer(0, 2**63 - 1)), 0, "writing"),
)
"""What `pellucid generate` is told."""

_AUTO = {
    "gpt": {"layers": 4, "heads": 4, "lr": 1e-3},
    "char_lstm": {"layers": 1, "lr": 2e-3},
}
_VOCAB_SIZE, _EVAL_EVERY = 512, 250


def gather_text(flags: dict[str, Any], config: str | None) -> dict[str, Any]:
    """Every setting: the flag where one was given, else the file's value, else the default.

    Raises
        ArgumentError: a value out of range, one that the model or the tokenizer has no use for, or steps that are no
            multiple of eval-every; and as `settings.gather`.
    """
    values = chosen(TEXT_SETTINGS, flags, config)
    if values["model"] == "char_lstm" and values["heads"] is not None:
        raise ArgumentError("text.no-heads", heads=values["heads"])
    if values["tokenizer"] == "characters" and values["vocab_size"] is not None:
        raise ArgumentError("text.no-vocab-size", vocab_size=values["vocab_size"])
    for name, value in _AUTO[values["model"]].items():
        if values[name] is None:
            values[name] = value
    if values["tokenizer"] == "byte_pairs" and values["vocab_size"] is None:
        values["vocab_size"] = _VOCAB_SIZE
    steps, every = values["steps"], values["eval_every"]
    if every is None:
        values["eval_every"] = nearest_divisor(steps, _EVAL_EVERY)
    elif steps % every:
        raise ArgumentError("text.eval-every", steps=steps, every=every, suggestion=nearest_divisor(steps, every))
    return values


def nearest_divisor(number: int, wanted: int) -> int:
    """The divisor of a number that is the smallest factor away from the wanted one."""
    small = [n for n in range(1, int(number**0.5) + 1) if number % n == 0]
    return min({*small, *(number // n for n in small)}, key=lambda n: (max(n / wanted, wanted / n), n))
