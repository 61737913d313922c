"""A trained model's file and rows come in; measures or answers leave. This is what `evaluate` and `predict` do, and
`data`, which lists the built-in sets.
"""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pellucid._text import text
from pellucid._typing import Array
from pellucid.cli.audio_sources import SPOKEN_DIGITS, Sound, labelled_sounds, sounds_for
from pellucid.cli.output import measure, say, table
from pellucid.cli.preparation import split
from pellucid.cli.run_folder import RECORD
from pellucid.cli.sources import BUILT_IN, Source, checksum, fitted, found, load, rows_to_predict
from pellucid.cli.task import Task, task_for
from pellucid.core.paths import write_whole
from pellucid.data import Dataset, spoken_digits, tiny_shakespeare
from pellucid.errors import ArgumentError, DataError, FileFormatError, LabelError, MissingFileError, ShapeError
from pellucid.report import class_probabilities
from pellucid.train import evaluate
from pellucid.train.files import load as load_model
from pellucid.train.loaded import LoadedModel

MODEL_FILE = "model.safetensors"
TINY_SHAKESPEARE = "tiny-shakespeare"
_PRINTED_ROWS = 20


def model_path(word: str) -> Path:
    """The file that MODEL names: a file, or a run folder, in which it has a fixed name."""
    path = Path(word).expanduser()
    return path / MODEL_FILE if path.is_dir() else path


def evaluate_model(model_word: str, data_word: str, metrics: list[str] | None) -> int:
    """Print loss and metrics of a model over a data set; returns the exit code."""
    path = model_path(model_word)
    model = load_model(path)
    sound, classes = Sound.of(model), model.metadata.get("num_classes")
    if sound is not None and isinstance(classes, int):
        source = labelled_sounds(data_word, sound, names_of(model, classes))
    else:
        source = load(data_word)
    data, part = _part(source, path)
    loss = model.metadata.get("loss", "auto")
    task = _task_of(model, data, loss if isinstance(loss, str) else "auto", metrics)
    data = fitted(data, model.graph.inputs[0].spec.shape[1:])
    _require_rows(model, data)
    if model.preprocessing is not None:
        data = replace(data, x=model.preprocessing.transform(data.x))
    measured = evaluate(model, task.with_targets(data), loss=task.loss, metrics=list(task.metrics))
    say(text("cli.part-line", name=source.name, rows=f"{len(data):,}", part=text(f"cli.part-{part}")))
    for name in task.metrics:
        say(text("cli.test-line", metric=name, value=measure(name, measured[name]), loss=f"{measured['loss']:.4g}"))
    return 0


def _part(source: Source, path: Path) -> tuple[Dataset, str]:
    """The rows to measure on, and which they are: never rows that the model is known to have been trained on."""
    if source.test is not None:
        return source.test, "own-test"
    record = path.parent / RECORD
    if record.is_file():
        try:
            tables = tomllib.loads(record.read_text("utf-8"))
            same = tables["data"]["sha256"] == checksum(source)
            size, seed = float(tables["settings"]["test_size"]), int(tables["settings"]["seed"])
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError):
            same = False
        if same:
            return split(source.train, size, seed)[1], "held-out"
    return source.train, "all"


def _task_of(model: LoadedModel, data: Dataset, loss: str, metrics: list[str] | None) -> Task:
    """What the model learnt, with its own number of classes, which the data may have fewer of.

    Raises
        LabelError: a class that the model does not know.
    """
    classes = model.metadata.get("num_classes")
    if not isinstance(classes, int) or data.y is None or data.y.dtype.kind != "i" or not data.y.size:
        return task_for(data, None, loss, metrics)
    outside = (data.y < 0) | (data.y >= classes)
    if outside.any():
        row = int(outside.argmax())
        raise LabelError("cli.model-classes", label=int(data.y[row]), row=row, last=classes - 1)
    return task_for(replace(data, class_names=tuple(names_of(model, classes))), None, loss, metrics)


def names_of(model: LoadedModel, classes: int) -> list[str]:
    """The name of each class, or its number; a network of one output has them in its metadata."""
    names = model.class_names or model.metadata.get("class_names") or ()
    return [str(name) for name in names] if len(names) == classes else [str(c) for c in range(classes)]


def _require_rows(model: LoadedModel, data: Dataset) -> None:
    given, expected = data.x.shape[1:], model.graph.inputs[0].spec.shape[1:]
    if given != tuple(expected):
        name = data.name or "x"
        raise ShapeError("cli.model-input", given=given, name=name, expected=tuple(expected))


def predict_rows(model_word: str, input_word: str, out: str | None) -> int:
    """Print a model's answers for the first rows, or write them all to a file; returns the exit code."""
    model = load_model(model_path(model_word))
    expected = model.graph.inputs[0].spec.shape[1:]
    sound, files = Sound.of(model), None
    if sound is not None:
        recordings = sounds_for(input_word, sound)
        data: Dataset = recordings
        files = recordings.files.tolist()
    else:
        data = rows_to_predict(input_word, expected)
    _require_rows(model, data)
    outputs = model.predict(data.x)
    classes = model.metadata.get("num_classes")
    first = text("cli.column-row") if files is None else text("audio.column-file")
    labels = list(range(len(data))) if files is None else files
    if isinstance(classes, int):
        probabilities = class_probabilities(outputs, bool(model.metadata.get("probabilities")))
        names = names_of(model, classes)
        columns = [first, text("cli.column-class"), text("cli.column-probability")]
        best = probabilities.argmax(axis=1)
        rows = [[labels[i], names[c], f"{probabilities[i, c]:.4f}"] for i, c in enumerate(best.tolist())]
        answers = {"predictions": best.astype(np.int64), "probabilities": probabilities, "class_names": np.array(names)}
    else:
        flat = outputs.reshape(len(outputs), -1)
        width = flat.shape[1]
        columns = [first]
        columns += [text("cli.column-value") + (f" {k}" if width > 1 else "") for k in range(width)]
        rows = [[labels[i], *(f"{v:.6g}" for v in row)] for i, row in enumerate(flat.tolist())]
        answers = {"predictions": outputs}
    if files is not None:
        answers["files"] = np.array(files)
    if out is None:
        table(columns, rows[:_PRINTED_ROWS], right=range(2 if isinstance(classes, int) else 1, len(columns)))
        if len(rows) > _PRINTED_ROWS:
            say(text("cli.more-rows", count=f"{len(rows) - _PRINTED_ROWS:,}"))
    else:
        _write_answers(Path(out).expanduser(), answers)
        say(text("cli.written", rows=f"{len(rows):,}", path=out))
    return 0


def _write_answers(path: Path, answers: dict[str, Array]) -> None:
    """Every row's answer to a .npz or .csv file, whose column names are the same in every language.

    Raises
        ArgumentError: another ending.
        MissingFileError, FileAccessError: the file cannot be written.
    """
    if path.suffix not in (".npz", ".csv"):
        raise ArgumentError("cli.out-ending", path=str(path))
    write_whole(path, _archive(answers) if path.suffix == ".npz" else _lines(answers).encode())


def _archive(answers: dict[str, Array]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **answers)
    return buffer.getvalue()


def _lines(answers: dict[str, Array]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    predictions = answers["predictions"]
    first, labels = ("file", answers["files"].tolist()) if "files" in answers else ("row", range(len(predictions)))
    if "probabilities" in answers:
        names = answers["class_names"].tolist()
        writer.writerow([first, "class", *(f"p({name})" for name in names)])
        for i, row in enumerate(answers["probabilities"].tolist()):
            writer.writerow([labels[i], names[int(predictions[i])], *(f"{p:.6g}" for p in row)])
    else:
        flat = predictions.reshape(len(predictions), -1)
        writer.writerow([first, *(f"value{k}" for k in range(flat.shape[1]))])
        for i, row in enumerate(flat.tolist()):
            writer.writerow([labels[i], *map(repr, row)])
    return buffer.getvalue()


def list_data() -> int:
    """Print the built-in data sets, and which command trains on them; returns the exit code."""
    columns = ["name", "rows", "size", "classes", "origin", "licence", "found", "command"]
    known = [(name, s.rows, s.features, s.classes, s.licence, found(name), "train") for name, s in BUILT_IN.items()]
    length = text("cli.one-second")
    known.append((SPOKEN_DIGITS, "2,700 + 300", length, 10, "CC BY-SA 4.0", _at_hand(spoken_digits), "train audio"))
    shakespeare = text("cli.public-domain")
    known.append((TINY_SHAKESPEARE, "1,115,394", "1", 65, shakespeare, _at_hand(tiny_shakespeare), "train text"))
    rows = []
    for name, count, size, classes, licence, there, command in known:
        origin = text(f"cli.origin-{name}")
        rows.append(
            [name, count, size, classes, origin, licence, text("cli.yes" if there else "cli.download"), command]
        )
    table([text(f"cli.column-{name}") for name in columns], rows, right=(1, 2, 3))
    return 0


def _at_hand(reader: Callable[..., Any]) -> bool:
    """Whether a set is there without a download."""
    try:
        reader(**({"split": "test"} if reader is spoken_digits else {}), download=False)
    except (MissingFileError, FileFormatError, DataError):
        return False
    return True
