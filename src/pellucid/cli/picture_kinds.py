"""What was asked for on the command line comes in; the bytes of a picture leave: a function for each kind of picture.
Each says what does not fit when the model has nothing of the kind. Called by `picture`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pellucid import nn
from pellucid._typing import Array, Shape
from pellucid.cli import language
from pellucid.cli.audio_sources import Sound, labelled_sounds
from pellucid.cli.cost import _model, _plain, networks
from pellucid.cli.run_folder import RECORD, data_of
from pellucid.cli.sources import fitted, load
from pellucid.cli.trained import Trained, trained
from pellucid.cli.using import MODEL_FILE, _part, _require_rows, _task_of, model_path, names_of
from pellucid.cli.values import Choice, Sizes, whole
from pellucid.core.check import Integer
from pellucid.core.context import no_grad
from pellucid.data import Dataset
from pellucid.errors import ArgumentError, DataError, FileFormatError, MissingFileError, ModelError
from pellucid.inspection import (
    Signals,
    activation_curves,
    cost,
    decision_surface,
    landscape,
    receptive_field,
    signals,
    used_activations,
    wiring,
)
from pellucid.nn.attention.maps import Attending
from pellucid.report import (
    MOST_CLASSES,
    activation_figure,
    attention_figure,
    boundary_figure,
    class_probabilities,
    confusion,
    cost_figure,
    curves,
    gradient_flow_figure,
    histogram_figure,
    kernels,
    landscape_figure,
    mistakes,
    network_figure,
    receptive_field_figure,
    worst,
)
from pellucid.train import History
from pellucid.train.classification import confusion_matrix
from pellucid.train.files import load as load_model
from pellucid.train.loaded import LoadedModel

_ROWS, _FIELD_ROWS, _MOST_FIELDS, _MISTAKES = 256, 32, 8, 12
_MOST_TOKENS, _PROMPT_TOKENS = 128, 32
_STYLES = ("auto", "neurons", "layers")


@dataclass(frozen=True)
class Wanted:
    """What was typed: the word MODEL, and the options by name."""

    model: str
    flags: dict[str, Any]

    @property
    def path(self) -> Path:
        """The file that MODEL names."""
        return model_path(self.model)

    @property
    def title(self) -> str:
        """What the network is called in the picture: its run, its file, or its own name."""
        if not self.path.is_file():
            return self.model
        return self.path.resolve().parent.name if self.path.name == MODEL_FILE else self.path.stem

    def number(self, name: str, default: int, least: int) -> int:
        """A whole number that was typed, or the default."""
        return whole(name, self.flags, Integer(least), default)

    def structure(self) -> tuple[nn.Module, Shape]:
        """The network, of a file or known by its name, and the shape of one input."""
        model, known = _model(self.model)
        given = self.flags.get("input")
        shape = tuple(Sizes().read("--input", given)) if given is not None else known
        if not shape:
            raise ArgumentError("cost.input-unknown", model=self.model)
        return model, shape

    def data(self) -> str:
        """The word DATA: as typed, or as the run beside the model's file was given it.

        Raises
            ArgumentError: neither.
        """
        if self.flags.get("data") is not None:
            return str(self.flags["data"])
        record = self.path.parent / RECORD
        if not self.path.is_file() or not record.is_file():
            raise ArgumentError("picture.needs-data", model=self.model)
        return data_of(record)[0]

    def file(self) -> LoadedModel:
        """The model of a file; what is none, but a known name, has learnt nothing.

        Raises
            ArgumentError, MissingFileError: no file.
        """
        if not self.path.is_file():
            if _plain(self.model) in networks():
                raise ArgumentError("picture.needs-trained", model=self.model)
            _model(self.model)
        return load_model(self.path)

    def trained(self, part: str = "train") -> Trained:
        """The trained network and its rows."""
        self.file()
        return trained(self.model, self.data(), part)


def _network(wanted: Wanted) -> bytes:
    model, shape = wanted.structure()
    style = Choice(_STYLES).read("--style", wanted.flags.get("style") or "auto")
    found = wiring(model, shape)
    loaded = load_model(wanted.path) if wanted.path.is_file() else None
    inputs = outputs = None
    if loaded is not None and found.dense:
        classes = loaded.metadata.get("num_classes")
        inputs = loaded.feature_names
        outputs = names_of(loaded, classes) if isinstance(classes, int) else None
        inputs = inputs if inputs is not None and len(inputs) == found.widths[0] else None
        outputs = outputs if outputs is not None and len(outputs) == found.widths[-1] else None
    return network_figure(
        found, input_names=inputs, output_names=outputs, style=style, title=wanted.title  # type: ignore[arg-type]
    )  # fmt: skip


def _activations(wanted: Wanted) -> bytes:
    if not wanted.model:
        return activation_figure(activation_curves())
    model, shape = wanted.structure()
    used = used_activations(model, shape)
    if not used:
        raise ModelError("picture.no-activations", model=wanted.title)
    return activation_figure(activation_curves(used))


def _curves(wanted: Wanted) -> bytes:
    wanted.file()
    log = wanted.path.parent / "metrics.jsonl"
    if not log.is_file():
        raise MissingFileError("picture.no-log", model=wanted.model, path=str(log))
    history = History()
    try:
        for line in log.read_text("utf-8").splitlines():
            record = json.loads(line)
            history.append({name: v for name, v in record.items() if name not in ("epoch", "lr", "time_s")})
    except (ValueError, AttributeError):
        raise FileFormatError("picture.log", path=str(log)) from None
    if not len(history) or "loss" not in history:
        raise FileFormatError("picture.log", path=str(log))
    names = [n for n in history.record(-1) if n not in ("loss", "step") and not n.startswith("val_")]
    return curves(history, names[0] if names else None)


def _weights(wanted: Wanted) -> bytes:
    model, shape = wanted.structure()
    layer = wanted.flags.get("layer")
    found = {name.rpartition(".")[0]: p.numpy() for name, p in model.named_parameters() if name.endswith("weight")}
    pictures = {name: w for name, w in found.items() if w.ndim in (2, 4)}
    if layer is None:
        layer = next((name for name, w in pictures.items() if w.ndim == 4), next(iter(pictures), None))
    if layer not in pictures:
        raise ModelError(
            "picture.no-weights", model=wanted.title, layer=layer or "-", layers=", ".join(pictures) or "-"
        )
    weight, grid = pictures[layer], None
    if weight.ndim == 2 and len(shape) > 2 and shape[-2] * shape[-1] == weight.shape[1]:
        grid = (shape[-2], shape[-1])
    return kernels(weight, grid=grid)


def _receptive_field(wanted: Wanted) -> bytes:
    if wanted.path.is_file():
        known = wanted.trained()
        model, x = known.model, known.sample(wanted.number("rows", _FIELD_ROWS, 1)).x
    else:
        model, shape = wanted.structure()
        rows = wanted.number("rows", 4, 1)
        x = np.random.default_rng(0).normal(size=(rows, *shape[1:])).astype(np.float32)
    if wanted.flags.get("layer") is not None:
        return receptive_field_figure([receptive_field(model, x, wanted.flags["layer"])])
    layers = [layer for layer in signals(model, x[:1]).layers if len(layer.output) == 4]
    # Where neither a convolution nor a pooling is, the field is that of the layer before.
    growing = [n.path for n in layers if n.path and ("conv" in n.kind.lower() or "pool" in n.kind.lower())]
    names: list[str | None] = list(growing or [layer.path for layer in layers if layer.path])
    if len(names) > _MOST_FIELDS:
        names = [names[n] for n in np.linspace(0, len(names) - 1, _MOST_FIELDS).round().astype(int)]
    return receptive_field_figure([receptive_field(model, x, name) for name in names or [None]])


def _signals(wanted: Wanted, required: bool) -> Signals:
    known = wanted.trained()
    rows = known.sample(wanted.number("rows", 8 if known.tokenizer is not None else _ROWS, 1))
    loss = known.require_targets() if required else known.loss
    found = signals(known.model, rows.x, rows.y if loss is not None else None, loss)
    return replace(found, model=wanted.title)


def _histograms(wanted: Wanted) -> bytes:
    return histogram_figure(_signals(wanted, required=False))


def _gradient_flow(wanted: Wanted) -> bytes:
    return gradient_flow_figure(_signals(wanted, required=True))


def _boundary(wanted: Wanted) -> bytes:
    model = wanted.file()
    shape = tuple(model.graph.inputs[0].spec.shape[1:])
    if shape != (2,):
        raise ModelError("picture.no-plane", model=wanted.title, shape=str(shape))
    known = wanted.trained("answer")
    classes = model.metadata.get("num_classes")
    classes = classes if isinstance(classes, int) else None
    if classes is not None and classes > MOST_CLASSES:
        raise ModelError("picture.many-classes", model=wanted.title, classes=classes, most=MOST_CLASSES)
    return boundary_figure(
        decision_surface(model, known.given),
        known.given.x,
        known.given.y,
        num_classes=classes,
        probabilities=bool(model.metadata.get("probabilities")),
        class_names=known.names,
        feature_names=known.features,
        title=wanted.title,
    )


def _landscape(wanted: Wanted) -> bytes:
    known = wanted.trained()
    rows = known.sample(wanted.number("rows", 8 if known.tokenizer is not None else _ROWS, 1))
    return landscape_figure(landscape(known.model, rows, known.require_targets()))


@dataclass(frozen=True)
class _Answers:
    """What a classifier made of rows that it was not trained on."""

    rows: Dataset
    labels: Array
    shares: Array
    names: Sequence[str]


def _answers(wanted: Wanted) -> _Answers:
    """The answers of a classifier; never for rows that it is known to have been trained on.

    Raises
        ModelError: it tells no classes apart, or too many.
        DataError: the rows have no labels.
    """
    model = wanted.file()
    classes = model.metadata.get("num_classes")
    if not isinstance(classes, int):
        raise ModelError("picture.no-classes", model=wanted.title)
    if classes > MOST_CLASSES:
        raise ModelError("picture.many-classes", model=wanted.title, classes=classes, most=MOST_CLASSES)
    sound = Sound.of(model)
    source = load(wanted.data()) if sound is None else labelled_sounds(wanted.data(), sound, names_of(model, classes))
    part, _ = _part(source, wanted.path)
    rows = fitted(part, tuple(model.graph.inputs[0].spec.shape[1:]))
    if rows.y is None or rows.y.dtype.kind != "i":
        raise DataError("cli.no-targets", name=source.name, shape=rows.x.shape)
    _require_rows(model, rows)
    _task_of(model, rows, "auto", None)
    shares = class_probabilities(model.predict(rows.x), bool(model.metadata.get("probabilities")))
    return _Answers(replace(rows, image_shape=part.image_shape), rows.y, shares, names_of(model, classes))


def _confusion(wanted: Wanted) -> bytes:
    found = _answers(wanted)
    counts = confusion_matrix(found.shares, found.labels, num_classes=len(found.names))
    return confusion(counts, found.names)


def _mistakes(wanted: Wanted) -> bytes | None:
    found = _answers(wanted)
    x = found.rows.x
    if x.ndim == 2 and found.rows.image_shape is not None:
        x = found.rows.images
    if x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[1] not in (1, 3)):
        raise ModelError("picture.no-pictures", model=wanted.title, shape=x.shape[1:])
    wrong = worst(found.shares, found.labels, _MISTAKES)
    return mistakes(x, wrong, found.names) if wrong else None


def _attention(wanted: Wanted) -> bytes:
    loaded, row = wanted.file(), wanted.number("row", 0, 0)
    prompt = wanted.flags.get("prompt")
    if "language_model" not in loaded.metadata:
        known = wanted.trained("answer")
        known.require_row(row)
        model, x, tokens = known.model, known.rows.x[row : row + 1], None
    else:
        model, tokenizer = language.restored(wanted.model)
        if prompt is None:
            known = wanted.trained("answer")
            known.require_row(row)
            numbers = known.rows.x[row][:_PROMPT_TOKENS]
        else:
            numbers = np.asarray(tokenizer.encode(prompt))[
                -min(_MOST_TOKENS, getattr(model, "block_size", _MOST_TOKENS)) :
            ]
            if not len(numbers):
                raise ArgumentError("text.empty-prompt")
        x, tokens = numbers[None], [tokenizer.decode([int(n)]) for n in numbers]
    if not any(isinstance(module, Attending) for module in model.modules()):
        raise ModelError("picture.no-attention", model=wanted.title)
    with no_grad():
        model.eval()(x)
    return attention_figure(nn.attention_maps(model), tokens=tokens)


def _cost(wanted: Wanted) -> bytes:
    model, shape = wanted.structure()
    return cost_figure(cost(model, shape))


KINDS: dict[str, Callable[[Wanted], bytes | None]] = {
    "network": _network,
    "cost": _cost,
    "activations": _activations,
    "weights": _weights,
    "receptive-field": _receptive_field,
    "curves": _curves,
    "histograms": _histograms,
    "gradient-flow": _gradient_flow,
    "landscape": _landscape,
    "boundary": _boundary,
    "confusion": _confusion,
    "mistakes": _mistakes,
    "attention": _attention,
}
"""The pictures that there are, by name; None is a picture that has nothing to show."""
