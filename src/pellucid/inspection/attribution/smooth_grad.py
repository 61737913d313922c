"""A network and an input come in; the gradient averaged over noisy copies of the input leaves. Users call
`smooth_grad`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Integer, Real, checked
from pellucid.core.rng import fold
from pellucid.core.rng import seed as key_of
from pellucid.inspection.attribution.question import Question
from pellucid.inspection.attribution.records import Attribution
from pellucid.ops import normal


@checked(noise=Real(0), num_samples=Integer(1), seed=Integer(0, 2**64 - 1))
def smooth_grad(
    model: Any,
    x: Any,
    target: Any = None,
    *,
    noise: float = 0.15,
    num_samples: int = 50,
    seed: int = 0,
    layer: Any = None,
) -> Attribution:
    """The gradient, averaged over copies of the input with normal noise: what stays of it in the neighbourhood.

    Parameters
        model, x, target, layer : as for `saliency`.
        noise : the noise's standard deviation, as a share of the range (largest less smallest) of each row of x; with
            0 the scores are the gradient.
        num_samples : copies of each row
        seed : of the noise: the same seed gives the same scores, whatever rows stand beside a row.
    Returns
        Attribution; the scores keep their sign
    Raises
        as `saliency`
    Source
        D. Smilkov et al., SmoothGrad: removing noise by adding noise, 2017, section 3.
    Examples
        >>> import pellucid as pl
        >>> pl.smooth_grad(lambda x: (x * pl.tensor([2.0, -3.0])).sum(axis=1), [[1.0, 4.0]]).scores.tolist()
        [[2.0, -3.0]]
    """
    question = Question(model, x, target, layer)
    question.check_differentiable()
    point = question.point
    flat = point.reshape(len(point), -1)
    deviation = (noise * (flat.max(axis=1) - flat.min(axis=1))).reshape(-1, *(1,) * (point.ndim - 1))
    samples = num_samples if noise else 1
    # The noise of a copy is the same for every row, so that it does not depend on how many there are.
    key = key_of(seed)

    def points(part: Array) -> Array:
        rows = part // samples
        copies, where = np.unique(part % samples, return_inverse=True)
        drawn = np.stack([_noise(key, int(n), point, bool(noise)) for n in copies])
        z: Array = (point[rows] + deviation[rows] * drawn[where]).astype(point.dtype)
        return z

    total = np.zeros(point.shape, np.float64)
    rows = np.repeat(np.arange(len(point)), samples)
    for part, _, gradient in question.gradients(points, rows):
        np.add.at(total, rows[part], gradient)
    return Attribution(
        method="smooth-grad",
        scores=(total / samples).astype(point.dtype),
        inputs=point,
        outputs=question.outputs,
        targets=question.choice.words,
        layer=question.layer,
        settings={"noise": float(noise), "samples": samples, "seed": int(seed)},
    )


def _noise(key: Any, number: int, point: Array, wanted: bool) -> Array:
    if not wanted:
        return np.zeros(point.shape[1:], point.dtype)
    drawn: Array = normal(shape=point.shape[1:], key=fold(key, number), dtype=point.dtype).data
    return drawn
