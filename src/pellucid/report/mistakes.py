"""Outputs of a network and the true classes come in; the confusion matrix, and the rows that the network got most
wrong, leave."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np

from pellucid._typing import Array

_PICTURE_PIXELS = 96


@dataclass(frozen=True)
class Mistake:
    """A row taken for another class: where it is, what it is and what it was taken for, with the probabilities given
    to both."""

    row: int
    true: int
    predicted: int
    true_probability: float
    predicted_probability: float


def class_probabilities(outputs: Array, probabilities: bool = False) -> Array:
    """Outputs as one probability a class, float64 (rows, classes).

    Parameters
        outputs : (rows, classes): scores, through softmax; or (rows, 1) or (rows,): one score a row for class 1,
            through sigmoid
        probabilities : whether a single output is a probability already, and several are log-probabilities; softmax
            leaves these alone
    """
    scores = outputs.astype(np.float64)
    if scores.ndim == 1 or scores.shape[1] == 1:
        single = scores.reshape(-1)
        if not probabilities:
            # Written so that neither end overflows.
            e = np.exp(-np.abs(single))
            single = np.where(single >= 0, 1.0, e) / (1.0 + e)
        return np.stack([1 - single, single], axis=1)
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: Array = e / e.sum(axis=1, keepdims=True)
    return result


def worst(probabilities: Array, labels: Array, count: int = 12) -> list[Mistake]:
    """The rows whose true class was thought least likely, among those taken for another."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    given = probabilities[wrong, labels[wrong]]
    order = wrong[np.argsort(given, kind="stable")][:count]
    return [
        Mistake(
            int(row),
            int(labels[row]),
            int(predicted[row]),
            float(probabilities[row, labels[row]]),
            float(probabilities[row, predicted[row]]),
        )
        for row in order
    ]


def picture(image: Array) -> str:
    """A grey image as a data URI, dark ink on white, enlarged without smoothing."""
    from matplotlib.image import imsave

    factor = max(1, _PICTURE_PIXELS // max(image.shape))
    enlarged = np.kron(image.astype(np.float64), np.ones((factor, factor)))
    buffer = io.BytesIO()
    imsave(buffer, enlarged, cmap="gray_r", format="png")
    return data_uri(buffer.getvalue())


def data_uri(png: bytes) -> str:
    """A PNG that a page holds within itself."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
