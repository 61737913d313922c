"""A trained network and rows come in; what in a row speaks for the network's answer, and what against it, leaves: as
text, as a table, or as a picture. This is what `pellucid attribute` does.
"""

from __future__ import annotations

import html
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pellucid import nn
from pellucid._text import text
from pellucid._typing import Array
from pellucid.cli.landscape import write_figure
from pellucid.cli.output import say, table
from pellucid.cli.trained import Trained, trained
from pellucid.cli.values import Choice, whole
from pellucid.core.check import Integer
from pellucid.core.context import no_grad
from pellucid.core.paths import write_whole
from pellucid.errors import ArgumentError, IndexRangeError
from pellucid.inspection import (
    Attribution,
    attention_rollout,
    grad_cam,
    gradient_times_input,
    integrated_gradients,
    layerwise_relevance,
    occlusion,
    saliency,
    shapley_values,
    smooth_grad,
)
from pellucid.report import attribution_bars, attribution_figure, attribution_text

METHODS: dict[str, Callable[..., Attribution]] = {
    "integrated_gradients": integrated_gradients,
    "saliency": saliency,
    "gradient_times_input": gradient_times_input,
    "smooth_grad": smooth_grad,
    "occlusion": occlusion,
    "grad_cam": grad_cam,
    "layerwise_relevance": layerwise_relevance,
    "attention_rollout": attention_rollout,
    "shapley_values": shapley_values,
}
_PICTURES, _PRINTED, _WINDOW = 6, 20, 7


def show_attribution(model_word: str, data_word: str, flags: dict[str, Any]) -> int:
    """Print why a network answers as it does, or draw it; returns the exit code.

    Raises
        ArgumentError: a method that the network or the rows do not allow, or no such output.
        IndexRangeError: no such row.
        PellucidError: no such model or data.
    """
    name = Choice(tuple(METHODS)).read("--method", flags.get("method") or "integrated_gradients")
    known, row = trained(model_word, data_word), whole("row", flags, Integer(0), 0)
    known.require_row(row)
    target = None if flags.get("target") is None else whole("target", flags, Integer(0), 0)
    count = whole("rows", flags, Integer(1, 24), _PICTURES if flags.get("figure") is not None else 1)
    if known.tokenizer is not None:
        count = 1
    x = known.rows.x[row : row + count]
    found = METHODS[name](known.model, x, **_arguments(known, name, x, target, flags.get("layer")))
    say(str(found))
    if known.tokenizer is not None and found.targets:
        place, token = (int(n) for n in found.targets[0].strip("()").split(","))
        said = known.tokenizer.decode([token])
        say(text("attribution.line-token", token=repr(str(said)), place=place))
    say()
    tokens = None if known.tokenizer is None else _tokens(known, x[0])
    if tokens is not None and len(tokens) == found.scores.shape[1]:
        say(_coloured(found, tokens))
    elif not _is_picture(known, found) or flags.get("figure") is None:
        _scores(known, found, tokens)
    if flags.get("figure") is not None:
        _draw(known, found, tokens, flags["figure"])
    return 0


def _arguments(known: Trained, name: str, x: Array, target: int | None, layer: str | None) -> dict[str, Any]:
    """What a method is asked with.

    Of a language model the answer for the last place is explained, through what its tokens are embedded as; of one that
    hears, through its spectrogram, as no single sample says anything.
    """
    if name == "attention_rollout":
        for option, value in (("--target", target), ("--layer", layer)):
            if value is not None:
                raise ArgumentError("attribution.rollout-option", option=option)
        return {} if known.tokenizer is None else {"position": -1}
    found: dict[str, Any] = {"target": target}
    if known.tokenizer is not None:
        with no_grad():
            answer = known.model(x).data
        if target is not None and target >= answer.shape[-1]:
            raise IndexRangeError("attribution.token", target=target, last=answer.shape[-1] - 1)
        token = int(answer[0, -1].argmax()) if target is None else target
        found["target"] = (answer.shape[1] - 1, token)
        if layer is None and name != "grad_cam":
            layer = _first(known.model, nn.Embedding)
    elif known.sound is not None and layer is None and name not in ("grad_cam", "shapley_values"):
        layer = "features" if hasattr(known.model, "features") else None
        if layer is not None and name in ("integrated_gradients", "occlusion"):
            with no_grad():  # against silence
                found["baseline"] = known.model.get_submodule(layer)(np.zeros_like(x[:1])).data[0]
    if layer is not None:
        found["layer"] = layer
    if name == "occlusion" and layer is None and x.ndim == 4:
        side = min(_WINDOW, *x.shape[2:])
        found |= {"window": (side, side), "stride": 1}
    covered = None if layer is None else known.model.get_submodule(layer)
    if name == "occlusion" and isinstance(covered, nn.Embedding):
        # A token is covered as a whole.
        found["window"] = (1, covered.embedding_dim)
    return found


def _first(model: nn.Module, kind: type[nn.Module]) -> str | None:
    return next((name for name, module in model.named_modules() if isinstance(module, kind)), None)


def _tokens(known: Trained, ids: Array) -> list[str]:
    """Each token in letters; the end of a line as a sign."""
    words = [str(known.tokenizer.decode([int(i)])) for i in ids]
    return ["⏎" if word == "\n" else word for word in words]


def _coloured(found: Attribution, tokens: Sequence[str]) -> str:
    """The tokens in colours on a terminal; elsewhere each with its score."""
    if sys.stdout.isatty():
        return attribution_text(found, tokens)
    scores = found.scores[0].reshape(len(tokens), -1).sum(axis=1, dtype=np.float64)
    return "\n".join(f"{token!r:>8} {score:+.4g}" for token, score in zip(tokens, scores.tolist(), strict=True))


def _scores(known: Trained, found: Attribution, tokens: Sequence[str] | None) -> None:
    """The largest scores of the first row as a table."""
    scores = found.scores[0]
    given = found.inputs[0] if found.inputs.shape == found.scores.shape else None
    names = _features(known, scores, tokens)
    flat = scores.ravel()
    order = np.argsort(-np.abs(flat), kind="stable")[:_PRINTED].tolist()
    places = list(np.ndindex(*scores.shape))
    rows = []
    for n in order:
        name = names[n] if names is not None else ",".join(map(str, places[n]))
        value = "" if given is None else f"{given.ravel()[n]:.4g}"
        rows.append([name, value, f"{flat[n]:+.4g}"])
    columns = [text(f"attribution.column-{name}") for name in ("feature", "value", "score")]
    table(columns, rows, right=(1, 2))
    if flat.size > len(order):
        say(text("attribution.more-scores", count=f"{flat.size - len(order):,}"))


def _features(known: Trained, scores: Array, tokens: Sequence[str] | None) -> list[str] | None:
    if tokens is not None and len(tokens) == scores.size:
        return list(tokens)
    names = known.features
    return list(names) if names is not None and len(names) == scores.size else None


def _is_picture(known: Trained, found: Attribution) -> bool:
    """Whether scores are drawn over pictures."""
    if found.scores.shape != found.inputs.shape:
        return False
    if known.tokenizer is not None:
        return False
    return found.scores.ndim in (3, 4) or (found.scores.ndim == 2 and _grid(known) is not None)


def _grid(known: Trained) -> tuple[int, int] | None:
    shape = known.given.image_shape
    return (shape[0], shape[1]) if shape is not None and len(shape) == 2 else None


def _draw(known: Trained, found: Attribution, tokens: Sequence[str] | None, word: str) -> None:
    """Pictures with their scores over them, bars, or, for a text in a file of HTML, coloured words."""
    path = Path(word).expanduser()
    if tokens is not None and len(tokens) == found.scores.shape[1]:
        if path.suffix.lower() in (".html", ".htm"):
            words = attribution_text(found, tokens, markup="html")
            head = f'<meta charset="utf-8"><title>{html.escape(found.title)}</title>'
            lines = "".join(f"<p>{html.escape(line)}</p>" for line in str(found).splitlines())
            style = "font:16px/1.6 monospace; max-width:60rem; margin:2rem auto"
            body = f'<body style="{style}">{lines}<p>{words}</p></body>'
            write_whole(path, f"<!DOCTYPE html>\n<html><head>{head}</head>{body}</html>\n".encode())
            say(text("landscape.figure-written", path=str(path)))
            return
        names = [f"{n}: {token}" for n, token in enumerate(tokens)]
        if found.scores.ndim == 2:
            write_figure(word, attribution_bars(found, features=names))
            return
    if _is_picture(known, found):
        if known.sound is not None:
            # Low notes below, as spectrograms are drawn.
            found = replace(found, inputs=found.inputs[..., ::-1, :], scores=found.scores[..., ::-1, :])
        write_figure(word, attribution_figure(found, known.names, grid=_grid(known)))
        return
    write_figure(word, attribution_bars(found, features=_features(known, found.scores[0], tokens)))
