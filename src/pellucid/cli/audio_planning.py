"""The word SOUNDS and checked settings come in; the plan of a run on recordings leaves: the rows, a network that hears
them, and what is to be said and kept of both. This is what sets `pellucid train audio` apart from `pellucid train`.
"""

from __future__ import annotations

from typing import Any

from pellucid import nn
from pellucid._text import text
from pellucid.cli.audio_settings import AUDIO_SETTINGS, pace
from pellucid.cli.audio_sources import load_sounds
from pellucid.cli.figures import sound_figures
from pellucid.cli.planning import Plan, counts
from pellucid.cli.preparation import Parts, prepare
from pellucid.core.rng import manual_seed
from pellucid.data import Recordings
from pellucid.models import SpokenWordCNN, SpokenWordGRU

_ROWS = {"model": "dense", "loss": "cross_entropy", "scale": "none", "augment": []}
"""What `prepare` asks for, and sounds have no choice of: the network itself normalises what it hears."""


def plan_sounds(word: str, settings: dict[str, Any]) -> Plan:
    """Recordings, and a network for them."""
    source = load_sounds(word, settings["labels"], settings["seconds"])
    parts = prepare(source, {**settings, **_ROWS})
    first: Any = source.train
    rate, num_samples = first.sample_rate, first.x.shape[1]
    settings = {
        **settings,
        "loss": parts.task.loss,
        "metrics": list(parts.task.metrics),
        "seconds": num_samples / rate,
        **pace(settings, len(parts.train)),
    }
    manual_seed(settings["seed"])
    model: Any = build(settings, parts.task.num_outputs, rate)
    return Plan(
        parts,
        model,
        settings,
        AUDIO_SETTINGS,
        sounds_line(parts, first),
        text("cli.model-line", name=type(model).__name__, **counts(model)),
        data={"sample_rate": rate, "num_samples": num_samples},
        network={"name": type(model).__name__},
        metadata={"sound": {"sample_rate": rate, "num_samples": num_samples, "labels": settings["labels"]}},
        # A sample at one moment says nothing by itself, and so the test would find nothing in any sound.
        dependence=False,
        figures=lambda model, outputs: sound_figures(parts, model.features, outputs),
    )


def build(settings: dict[str, Any], num_classes: int, sample_rate: int) -> nn.Module:
    """A new network of these settings."""
    width, bands = settings["width"], settings["bands"]
    if settings["model"] == "gru":
        return SpokenWordGRU(num_classes, sample_rate, bands, width)
    return SpokenWordCNN(num_classes, sample_rate, bands, width, settings["dropout"])


def sounds_line(parts: Parts, recordings: Recordings) -> str:
    """The data in a line."""
    rows = [0 if p is None else len(p) for p in (parts.train, parts.validation, parts.test)]
    return text(
        "cli.data-line",
        name=parts.source.name,
        numbers=text(
            "audio.length", seconds=f"{recordings.x.shape[1] / recordings.sample_rate:g}", rate=recordings.sample_rate
        ),
        kind=text("cli.classes", count=parts.task.num_classes),
        parts=text("audio.parts", train=f"{rows[0]:,}", validation=f"{rows[1]:,}", test=f"{rows[2]:,}"),
    )
