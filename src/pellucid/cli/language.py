"""The settings of a language model come in, as a run has them or as its file keeps them; the model and its tokenizer
leave. And what `pellucid generate` does with both. Called by the commands `train text` and `generate`.
"""

from __future__ import annotations

from typing import Any

from pellucid import nn
from pellucid.cli.output import say
from pellucid.cli.using import model_path
from pellucid.data import tokenizer_from
from pellucid.errors import ArgumentError, DataError, FileFormatError, PellucidError
from pellucid.models import GPT, CharLSTM, generate
from pellucid.train.files import load

MODELS: dict[str, type[nn.Module]] = {"gpt": GPT, "char_lstm": CharLSTM}


def options_of(settings: dict[str, Any], vocab_size: int) -> dict[str, Any]:
    """The arguments that a model of these settings is made with."""
    if settings["model"] == "gpt":
        return {
            "vocab_size": vocab_size,
            "block_size": settings["block"],
            "n_layer": settings["layers"],
            "n_head": settings["heads"],
            "n_embd": settings["width"],
            "dropout": settings["dropout"],
            "bias": False,
        }
    return {
        "vocab_size": vocab_size,
        "hidden_size": settings["width"],
        "num_layers": settings["layers"],
        "dropout": settings["dropout"],
    }


def build(name: str, options: dict[str, Any]) -> nn.Module:
    """A new model."""
    return MODELS[name](**options)


def describe(name: str, options: dict[str, Any], tokenizer: Any) -> dict[str, Any]:
    """What a model file keeps of it, so that it can write without the run."""
    return {"language_model": {"name": name, "options": options}, "tokenizer": tokenizer.state()}


def restored(word: str) -> tuple[nn.Module, Any]:
    """The model and the tokenizer of a file that `train text` left, or of the run folder that holds it.

    Raises
        MissingFileError, FileFormatError: no such file, or not a language model's.
    """
    path = model_path(word)
    loaded = load(path)
    made = loaded.metadata.get("language_model")
    if not isinstance(made, dict) or made.get("name") not in MODELS or not isinstance(made.get("options"), dict):
        raise FileFormatError("text.no-language-model", path=str(path), model=shown_kind(loaded.metadata))
    tokenizer = tokenizer_from(loaded.metadata.get("tokenizer"))
    try:
        model = build(made["name"], made["options"])
        model.load_state_dict(loaded.state_dict())
    except (PellucidError, TypeError) as problem:
        words = problem.what if isinstance(problem, PellucidError) else str(problem)
        raise FileFormatError("text.model-options", path=str(path), problem=words) from None
    return model.eval(), tokenizer


def shown_kind(metadata: dict[str, Any]) -> str:
    """What a model file says of itself, in a word or two."""
    return f"loss {metadata['loss']}" if "loss" in metadata else "-"


def beginning(tokenizer: Any) -> Any:
    """What a model writes on from of its own: the end of a line, or the first token where its text had no lines."""
    try:
        return tokenizer.encode("\n")
    except DataError:
        return [0]


def write_text(word: str, *, prompt: str | None, length: int, temperature: float, top_k: int | None, seed: int) -> int:
    """Print the prompt and what the model makes of it; returns the exit code.

    Parameters
        prompt : None is the end of a line, or the first token where the model's text had no lines
    Raises
        ArgumentError: an empty prompt.
        DataError: a character that the model's text did not have.
    """
    model, tokenizer = restored(word)
    if prompt == "":
        raise ArgumentError("text.empty-prompt")
    tokens = beginning(tokenizer) if prompt is None else tokenizer.encode(prompt)
    say(tokenizer.decode(generate(model, tokens, length, temperature=temperature, top_k=top_k, seed=seed)))
    return 0
