"""The rows of a run, its trained network and the outputs for the test part come in; the pictures beside the curves
leave, by the names of their files. Called by the plans of runs on pictures and sounds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid import nn
from pellucid._typing import Array
from pellucid.cli.preparation import Parts

_MISTAKES = 12
_SPECTROGRAM_COLUMNS = 5


def confusion_figure(parts: Parts, outputs: Array) -> dict[str, bytes]:
    """The confusion matrix of the test part, where classes are told apart and are not too many."""
    from pellucid.report import MOST_CLASSES, class_probabilities, confusion
    from pellucid.train.classification import confusion_matrix, true_labels

    classes = parts.task.num_classes
    if classes is None or classes > MOST_CLASSES:
        return {}
    probabilities = class_probabilities(outputs, parts.task.gives_probabilities)
    labels = true_labels(np.asarray(parts.test.y), len(parts.test))
    counts = confusion_matrix(probabilities, labels, num_classes=classes)
    return {"confusion.png": confusion(counts, class_names(parts))}


def picture_figures(parts: Parts, model: nn.Module, outputs: Array) -> dict[str, bytes]:
    """The confusion matrix, the pictures that were got most wrong, and the kernels of the first convolution."""
    from pellucid.report import class_probabilities, kernels, mistakes, worst
    from pellucid.train.classification import true_labels

    found = confusion_figure(parts, outputs)
    if parts.task.num_classes is not None and parts.images is not None:
        probabilities = class_probabilities(outputs, parts.task.gives_probabilities)
        labels = true_labels(np.asarray(parts.test.y), len(parts.test))
        if wrong := worst(probabilities, labels, _MISTAKES):
            found["mistakes.png"] = mistakes(parts.images, wrong, class_names(parts))
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    if first is not None:
        found["kernels.png"] = kernels(first.weight.numpy())
    return found


def sound_figures(parts: Parts, features: nn.Module, outputs: Array) -> dict[str, bytes]:
    """The confusion matrix, and a recording of each class as the network's log-mel spectrogram, with what it was taken
    for."""
    from pellucid.report import class_probabilities, sheet

    names, labels = class_names(parts), np.asarray(parts.test.y)
    taken = class_probabilities(outputs, parts.task.gives_probabilities).argmax(axis=1)
    rows = [int(np.argmax(labels == c)) for c in range(len(names)) if (labels == c).any()]
    pictures = [spectrogram(features, parts.test.x[row]) for row in rows]
    titles = [names[labels[r]] if taken[r] == labels[r] else f"{names[labels[r]]} → {names[taken[r]]}" for r in rows]
    shown = list(zip(pictures, titles, strict=True))
    return {
        **confusion_figure(parts, outputs),
        "spectrograms.png": sheet(shown, _SPECTROGRAM_COLUMNS, cmap="magma", width=1.6),
    }


def spectrogram(features: nn.Module, wave: Array) -> Array:
    """A recording as the network's own first layer sees it: (bands, frames)."""
    bands: Array = features(wave[None]).numpy()[0]
    return bands


def class_names(parts: Parts) -> Sequence[str]:
    """The names of the classes, or their numbers."""
    return parts.train.class_names or [str(c) for c in range(parts.task.num_classes or 0)]
