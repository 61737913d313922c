"""A network and an input come in; what the output loses where a window of the input is covered leaves. Users call
`occlusion`.
"""

from __future__ import annotations

import itertools
import numbers
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import checked, shown
from pellucid.errors import ArgumentError, ArgumentTypeError
from pellucid.inspection.attribution.question import Question
from pellucid.inspection.attribution.records import Attribution


@checked()
def occlusion(
    model: Any,
    x: Any,
    target: Any = None,
    *,
    window: int | tuple[int, ...] = 1,
    stride: int | tuple[int, ...] | None = None,
    baseline: Any = None,
    layer: Any = None,
) -> Attribution:
    """What the output loses when a window of the input is covered with a baseline: y(x) - y(x covered).

    The window goes over the last axes, and covers all of the axes between the rows and these: (3, 3) covers squares of
    pictures in all their channels. A number in several windows has the mean of what they lost. No gradient is needed,
    so x may be of whole numbers, such as tokens.

    Parameters
        model, x, target, layer : as for `saliency`.
        window : its lengths on the last axes; one number for the last axis.
        stride : how far it moves, a number for each of these axes or one for all; None: its own length, so that windows
            lie side by side. The last window ends with the axis.
        baseline : what covers: None for zeros, a number, or an array of the shape of a row or of x. Whole numbers need
            one.
    Returns
        Attribution; `parts["windows"]` holds the loss of each window, shape (rows, *windows on each axis)
    Raises
        as `saliency`, and ArgumentError for a window that does not fit
    Source
        M. Zeiler, R. Fergus, Visualizing and understanding convolutional networks, 2014, section 4.2.
    Examples
        >>> import pellucid as pl
        >>> pl.occlusion(lambda x: (x * pl.tensor([2.0, -3.0])).sum(axis=1), [[1.0, 4.0]]).scores.tolist()
        [[2.0, -12.0]]
    """
    question = Question(model, x, target, layer)
    start = question.baseline(baseline)
    lengths = question.point.shape[1:]
    sizes = _on_last_axes("window", window, lengths)
    each = stride if isinstance(stride, tuple) else (stride,) * len(sizes)
    steps = sizes if stride is None else _on_last_axes("stride", each, lengths)
    if len(steps) != len(sizes) or any(s > size for s, size in zip(steps, sizes, strict=False)):
        raise ArgumentError("attribution.stride", stride=steps, window=sizes)
    last_lengths = lengths[len(lengths) - len(sizes) :]
    starts = [_starts(n, size, step) for n, size, step in zip(last_lengths, sizes, steps, strict=True)]
    places = list(itertools.product(*starts))
    corners = np.array(places).reshape(len(places), len(sizes))
    wide = len(lengths) - len(sizes)

    def points(part: Array) -> Array:
        rows, corner = part // len(places), corners[part % len(places)]
        covered = np.ones((len(part), *(1,) * len(lengths)), np.bool_)
        for axis, size in enumerate(sizes):
            place = np.arange(lengths[wide + axis])
            inside = (place >= corner[:, axis, None]) & (place < corner[:, axis, None] + size)
            covered = covered & inside.reshape(len(part), *(1,) * (wide + axis), -1, *(1,) * (len(sizes) - axis - 1))
        z: Array = np.where(covered, start[rows], question.point[rows])
        return z

    rows = np.repeat(np.arange(question.rows), len(places))
    values = question.values(points, rows).reshape(question.rows, len(places))
    losses = question.outputs[:, None] - values
    dtype = question.point.dtype if question.point.dtype.kind == "f" else np.dtype(np.float32)
    total, times = np.zeros(question.point.shape, np.float64), np.zeros(lengths, np.int64)
    for n, corner in enumerate(places):
        cover: Any = (..., *(slice(c, c + size) for c, size in zip(corner, sizes, strict=True)))
        total[cover] += losses[:, n].reshape(-1, *(1,) * len(lengths))
        times[cover] += 1
    return Attribution(
        method="occlusion",
        scores=(total / times).astype(dtype),
        inputs=question.point,
        outputs=question.outputs,
        targets=question.choice.words,
        layer=question.layer,
        baseline=start,
        settings={"window": sizes, "stride": steps},
        parts={"windows": losses.reshape(question.rows, *map(len, starts))},
    )


def _on_last_axes(name: str, given: Any, lengths: tuple[int, ...]) -> tuple[int, ...]:
    values = given if isinstance(given, tuple) else (given,)
    if not all(isinstance(n, numbers.Integral) and not isinstance(n, bool) for n in values) or not values:
        raise ArgumentTypeError("attribution.window-type", name=name, value=shown(given), type=type(given).__name__)
    last = lengths[len(lengths) - len(values) :] if len(values) <= len(lengths) else ()
    if not last or any(n < 1 or n > length for n, length in zip(values, last, strict=True)):
        raise ArgumentError("attribution.window", name=name, value=tuple(values), row=lengths)
    return tuple(int(n) for n in values)


def _starts(length: int, size: int, step: int) -> list[int]:
    """Where windows begin: every `step`, and one that ends with the axis."""
    starts = list(range(0, length - size + 1, step))
    return starts if starts[-1] + size == length else [*starts, length - size]
