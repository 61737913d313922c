"""A network, an input of few features and a baseline come in; the Shapley value of each feature leaves, from all
subsets of them. Users call `shapley_values`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import checked, shown
from pellucid.core.tensor import Tensor, to_array
from pellucid.errors import ArgumentError, ArgumentTypeError, ShapeError
from pellucid.inspection.attribution.gradients import row_sums
from pellucid.inspection.attribution.question import Question
from pellucid.inspection.attribution.records import Attribution

MOST_PLAYERS = 16


@checked()
def shapley_values(
    model: Any,
    x: Any,
    target: Any = None,
    *,
    baseline: Any = None,
    groups: Any = None,
    layer: Any = None,
) -> Attribution:
    """What each feature adds to the output, averaged over every order in which the features could come: exactly.

        score_i = Σ_S |S|! (n - |S| - 1)! / n! · (y(S and i) - y(S)),  S the subsets of the other features

    y(S) is the output for an input that has the features of S, and the baseline elsewhere; all 2^n are evaluated.

    Parameters
        model, x, target, layer : as for `saliency`; x may be of whole numbers.
        baseline : what a missing feature is: None for zeros, a number, or an array of the shape of a row or of x. Whole
            numbers need one.
        groups : whole numbers from 0 up, of the shape of a row: numbers of x with the same one are one feature, such as
            the squares of a picture. None: each number is one. At most 16 features.
    Returns
        Attribution; `parts["features"]` holds the value of each feature, shape (rows, features), and each number of a
        feature has an equal share of it. `completeness_error` is the sum less y(x) - y(baseline), which is rounding
        alone.
    Raises
        as `saliency`, and ArgumentError for too many features
    Source
        L. Shapley, A value for n-person games, 1953. S. Lundberg, S.-I. Lee, A unified approach to interpreting model
        predictions, 2017, equation 4; missing features are replaced by the baseline, not averaged over data.
    Examples
        >>> import pellucid as pl
        >>> pl.shapley_values(lambda x: x.max(axis=1), [[1.0, 3.0]]).scores.tolist()
        [[0.5, 2.5]]
    """
    question = Question(model, x, target, layer)
    start = question.baseline(baseline)
    lengths = question.point.shape[1:]
    player, count = _players(groups, lengths)
    present = (np.arange(2**count)[:, None] >> np.arange(count)) & 1 == 1

    def points(part: Array) -> Array:
        rows, subsets = part // 2**count, part % 2**count
        z: Array = np.where(present[subsets][:, player], question.point[rows], start[rows])
        return z

    rows = np.repeat(np.arange(question.rows), 2**count)
    values = question.values(points, rows).reshape(question.rows, 2**count)
    size = present.sum(axis=1)
    # Of an order, the chance that exactly the features of a subset of this size come before a given one.
    chance = np.array([1 / (count * math.comb(count - 1, s)) for s in range(count)])
    found = np.empty((question.rows, count))
    for n in range(count):
        without = np.flatnonzero(~present[:, n])
        found[:, n] = (values[:, without + 2**n] - values[:, without]) @ chance[size[without]]

    sizes = np.bincount(player.ravel(), minlength=count)
    dtype = question.point.dtype if question.point.dtype.kind == "f" else np.dtype(np.float32)
    scores = (found / sizes)[:, player].astype(dtype)
    return Attribution(
        method="shapley-values",
        scores=scores,
        inputs=question.point,
        outputs=question.outputs,
        targets=question.choice.words,
        layer=question.layer,
        baseline=start,
        baseline_outputs=values[:, 0],
        completeness_error=row_sums(found) - (question.outputs - values[:, 0]),
        settings={"features": count, "evaluations": 2**count},
        parts={"features": found},
    )


def _players(groups: Any, lengths: tuple[int, ...]) -> tuple[Array, int]:
    """The feature that each number of a row belongs to, and how many features there are."""
    if groups is None:
        player = np.arange(math.prod(lengths)).reshape(lengths)
    else:
        if not isinstance(groups, list | Tensor) and not hasattr(groups, "__array__"):
            raise ArgumentTypeError("attribution.groups", value=shown(groups), type=type(groups).__name__)
        given = to_array(groups)
        if given.dtype.kind not in "iu":
            raise ArgumentTypeError("attribution.groups", value=shown(groups), type=given.dtype.name)
        if given.shape != lengths:
            raise ShapeError("attribution.groups-shape", given=given.shape, row=lengths)
        player = given.astype(np.int64)
        present = np.unique(player)
        if not np.array_equal(present, np.arange(len(present))):
            raise ArgumentError("attribution.groups-numbers", most=len(present) - 1)
    count = int(player.max()) + 1
    if count > MOST_PLAYERS:
        raise ArgumentError("attribution.too-many-features", count=count, most=MOST_PLAYERS, evaluations=f"2^{count}")
    return player, count
