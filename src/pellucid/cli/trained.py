"""The words MODEL and DATA come in: what a training command left, and rows. The network, the rows as it takes them and
the loss that it was trained with leave. Called by the commands that look into a trained network.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pellucid._typing import Shape
from pellucid.cli import audio_planning, language, network, pictures
from pellucid.cli.audio_settings import gather_audio
from pellucid.cli.audio_sources import Sound, labelled_sounds
from pellucid.cli.run_folder import RECORD
from pellucid.cli.settings import DENSE, gather
from pellucid.cli.sources import fitted, load
from pellucid.cli.text_settings import gather_text
from pellucid.cli.using import MODEL_FILE, TINY_SHAKESPEARE, _task_of, model_path, names_of
from pellucid.core.context import no_grad
from pellucid.data import Dataset, read_text, split_tokens, text_windows, tiny_shakespeare
from pellucid.errors import DataError, IndexRangeError, PellucidError, ShapeError
from pellucid.models import NextTokenLoss
from pellucid.nn import Module
from pellucid.train.choose import make_loss
from pellucid.train.files import load as load_model
from pellucid.train.loaded import LoadedModel

_VALIDATION, _LONGEST = 0.1, 64


@dataclass(frozen=True)
class Trained:
    """A trained network with rows for it.

    Attributes
        model : in eval mode; of its own class where a run folder says how it was made, else by the graph of its file
        name : of the data
        rows : as the network takes them, with targets as the loss takes them where there are any
        given : the same rows as they were before scaling
        loss : what it was trained with; None where the rows have no targets
        names : of its outputs, or None
        features : names of the inputs, or None
        tokenizer : of a language model
        sound : of a network for recordings
    """

    model: Module
    name: str
    rows: Dataset
    given: Dataset
    loss: Callable[..., Any] | None
    names: list[str] | None = None
    features: tuple[str, ...] | None = None
    tokenizer: Any = None
    sound: Sound | None = None

    def sample(self, count: int, seed: int = 0) -> Dataset:
        """At most so many of the rows, drawn at random."""
        if count >= len(self.rows):
            return self.rows
        chosen: Dataset = self.rows[np.sort(np.random.default_rng(seed).permutation(len(self.rows))[:count])]
        return chosen

    def require_row(self, row: int) -> None:
        """Raise unless there is such a row.

        Raises
            IndexRangeError: there is none.
        """
        if row >= len(self.rows):
            raise IndexRangeError("explain.row", row=row, rows=len(self.rows), name=self.name)

    def require_targets(self) -> Callable[..., Any]:
        """The loss.

        Raises
            DataError: the rows have no targets.
        """
        if self.loss is None or self.rows.y is None:
            raise DataError("cli.no-targets", name=self.name, shape=self.rows.x.shape)
        return self.loss


def trained(model_word: str, data_word: str, part: str = "answer") -> Trained:
    """A network and rows for it.

    Parameters
        part : "answer" takes the test part of a set that has one of its own, "train" its training part; of a text
            these are its end and its beginning
    Raises
        MissingFileError, FileFormatError: no such model, or no such data.
        ShapeError: rows that the model does not take.
        LabelError: a class that the model does not know.
    """
    path = model_path(model_word)
    loaded = load_model(path)
    if "language_model" in loaded.metadata:
        return _text(model_word, loaded, data_word, part)
    sound, classes = Sound.of(loaded), loaded.metadata.get("num_classes")
    if sound is not None and isinstance(classes, int):
        source = labelled_sounds(data_word, sound, names_of(loaded, classes))
    else:
        source = load(data_word)
    expected = tuple(loaded.graph.inputs[0].spec.shape[1:])
    data = fitted(source.train if part == "train" else source.to_answer, expected)
    if data.x.shape[1:] != expected:
        raise ShapeError("cli.model-input", given=data.x.shape[1:], name=data.name or "x", expected=expected)
    rows, loss = data, None
    if loaded.preprocessing is not None:
        rows = replace(data, x=loaded.preprocessing.transform(data.x))
    if data.y is not None:
        name = loaded.metadata.get("loss", "auto")
        task = _task_of(loaded, data, name if isinstance(name, str) else "auto", None)
        rows, loss = task.with_targets(rows), make_loss(task.loss)
    return Trained(
        model=network_of(path, loaded),
        name=source.name,
        rows=rows,
        given=data,
        loss=loss,
        names=names_of(loaded, classes) if isinstance(classes, int) else None,
        features=loaded.feature_names or data.feature_names,
        sound=sound,
    )


def _text(model_word: str, loaded: LoadedModel, data_word: str, part: str) -> Trained:
    """Blocks of a text, as long as the model's own."""
    model, tokenizer = language.restored(model_word)
    known = data_word.lower().replace("_", "-") == TINY_SHAKESPEARE and not Path(data_word).exists()
    words = tiny_shakespeare() if known else read_text(data_word)
    tokens = tokenizer.encode(words)
    block = int(getattr(model, "block_size", _LONGEST))
    block = max(1, min(block, len(tokens) - 1))
    # Of a short text all is taken; of a longer one never what the model was trained on, unless that is asked for.
    with suppress(DataError):
        held_out = split_tokens(tokens, _held_out_share(model_word))[0 if part == "train" else 1]
        tokens = held_out if len(held_out) > block else tokens
    blocks = text_windows(tokens, block)
    name = Path(data_word).stem
    return Trained(model, name, blocks, blocks, NextTokenLoss(), tokenizer=tokenizer)


def _held_out_share(model_word: str) -> float:
    """What share of a text, at its end, a model was not trained on: as its run says, else as it usually is."""
    record = model_path(model_word).parent / RECORD
    if record.is_file():
        with suppress(PellucidError):
            return float(gather_text({}, str(record))["validation"])
    return _VALIDATION


def network_of(path: Path, loaded: LoadedModel) -> Module:
    """The network of a file as an object of its own class, where the record of its run lies beside it and makes one
    that gives the same; else what was loaded."""
    if "language_model" in loaded.metadata:
        return language.restored(str(path))[0]
    record = path.parent / RECORD
    if path.name != MODEL_FILE or not record.is_file():
        return loaded
    example = loaded.graph.inputs[0].spec
    shape = tuple(example.shape[1:])
    with suppress(PellucidError, OSError, ValueError, TypeError, KeyError, IndexError):
        x = np.random.default_rng(0).normal(size=(1, *shape)).astype(example.dtype)
        with no_grad():
            wanted = loaded(x)
            made = _made(record, loaded, shape, wanted.shape[-1])
            made.load_state_dict(loaded.state_dict())
            if np.allclose(made.eval()(x).data, wanted.data, rtol=1e-4, atol=1e-5):
                return made
    return loaded


def _made(record: Path, loaded: LoadedModel, shape: Shape, num_outputs: int) -> Module:
    """A new network of the settings of a run."""
    sound = Sound.of(loaded)
    if sound is not None:
        return audio_planning.build(gather_audio({}, str(record)), num_outputs, sound.sample_rate)
    settings = gather({}, str(record))
    if settings["model"] != DENSE:
        return pictures.build(shape, num_outputs, settings)[0]
    options = {key: settings[key] for key in ("activation", "norm", "dropout", "init", "dtype", "loss")}
    return network.build(shape, settings["layers"], num_outputs, **options)
