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
        stride : how far it moves; None: its own length, so that windows lie side by side. The last window ends with the
            axis.
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
    steps = sizes if stride is None else _on_last_axes("stride", stride, lengths)
    if len(steps) != len(sizes) or any(s > size for s, size in zip(steps, sizes, strict=False)):
        raise ArgumentError("attribution.stride", stride=steps, window=sizes)
    starts = [_starts(n, size, s) for n, size, s in zip(lengths[len(lengths) - len(sizes) :], sizes, steps, strict=True)]
    places = list(itertools.product(*starts))
    covers = [(..., *(slice(s, s + size) for s, size in zip(place, sizes, strict=True))) for place in places]

    def points(part: Array) -> Array:
        z = question.point[part // len(places)].copy()
        for i, (row, n) in enumerate(zip(part // len(places), part % len(places), strict=True)):
            cover = covers[n]
            z[i][cover] = start[row][cover]
        return z

    rows = np.repeat(np.arange(question.rows), len(places))
    values = question.values(points, rows).reshape(question.rows, len(places))
    losses = question.outputs[:, None] - values
    dtype = question.point.dtype if question.point.dtype.kind == "f" else np.dtype(np.float32)
    total, times = np.zeros(question.point.shape, np.float64), np.zeros(lengths, np.int64)
    for n, cover in enumerate(covers):
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
