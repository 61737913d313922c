"""A network, an input and a baseline come in; the gradients along the straight line between them, added up, leave. The
scores add up to the difference of the outputs, and the line is cut finer until they do. Users call
`integrated_gradients`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Integer, Real, checked
from pellucid.inspection.attribution.gradients import row_sums
from pellucid.inspection.attribution.question import Question
from pellucid.inspection.attribution.records import Attribution

_FIRST_STEPS = 8


@checked(tolerance=Real(0), max_steps=Integer(1))
def integrated_gradients(
    model: Any,
    x: Any,
    target: Any = None,
    *,
    baseline: Any = None,
    layer: Any = None,
    tolerance: float = 0.01,
    max_steps: int = 512,
) -> Attribution:
    """Each number's share of the difference between the output for the input and the output for a baseline.

        score_i = (x_i - b_i) ∫ ∂y/∂x_i (b + t (x - b)) dt,  t from 0 to 1

    The integral is taken by the trapezoidal rule. What an interval of the line is off by is known, since the outputs at
    its ends are; intervals that are off by more than their share are halved until each row adds up.

    Parameters
        model, x, target, layer : as for `saliency`.
        baseline : what counts as nothing: None for zeros, a number, or an array of the shape of a row or of x.
        tolerance : how far the intervals may be off, all together and none against another, as a share of the
            difference that is explained (or of one percent of the scores' sizes where they nearly cancel).
        max_steps : intervals of a row at most; a row that does not add up by then says so by its completeness error.
    Returns
        Attribution; `completeness_error` is the sum of the scores less y(x) - y(baseline), `parts["steps"]` how many
        intervals each row took.
    Raises
        as `saliency`, and ShapeError for a baseline of another shape
    Source
        M. Sundararajan et al., Axiomatic attribution for deep networks, 2017, equation 1 and section 5; they take a
        Riemann sum of equal steps, their number of one's choice.
    Examples
        >>> import pellucid as pl
        >>> a = pl.integrated_gradients(lambda x: x[:, 0] * x[:, 1], [[2.0, 3.0]])
        >>> a.scores.round(4).tolist()
        [[3.0, 3.0]]
    """
    question = Question(model, x, target, layer)
    question.check_differentiable()
    start = question.baseline(baseline)
    before = question.values(lambda part: start[part], np.arange(question.rows))
    change = question.outputs - before

    line = _Line(question, start)
    line.refine(tolerance, max_steps)
    average, steps = line.average()
    scores = (average * line.direction).astype(start.dtype)
    return Attribution(
        method="integrated-gradients",
        scores=scores,
        inputs=question.point,
        outputs=question.outputs,
        targets=question.choice.words,
        layer=question.layer,
        baseline=start,
        baseline_outputs=before,
        completeness_error=row_sums(scores) - change,
        settings={"tolerance": float(tolerance), "steps": int(steps.max(initial=0))},
        parts={"steps": steps},
    )


class _Line:
    """The straight lines from a baseline to the input, a row each, and the gradients at some of their points.

    Between two points the output changes by as much as the gradients of the interval should add up to. What they are
    off by says where to cut finer: where a ReLU opens there alone, and everywhere where the output is curved.
    """

    def __init__(self, question: Question, start: Array) -> None:
        self.question, self.start = question, start
        self.direction = question.point - start
        self.row, self.place = np.zeros(0, np.int64), np.zeros(0)
        self.value, self.slope = np.zeros(0), np.zeros(0)
        self.gradient = np.zeros((0, *start.shape[1:]), start.dtype)

    def refine(self, tolerance: float, max_steps: int) -> None:
        """Cut finer until every row's intervals add up."""
        first = min(_FIRST_STEPS, max_steps)
        rows = np.repeat(np.arange(len(self.start)), first + 1)
        self._add(rows, np.tile(np.arange(first + 1) / first, len(self.start)))
        while True:
            row, width, error = self._intervals()
            count = np.bincount(row, minlength=len(self.start))
            scale = self._scale(row, width)
            allowed = tolerance * scale
            is_open = np.bincount(row, np.abs(error), len(self.start)) > allowed
            # Intervals that are off by more than their share, the worst first where there is not room for all.
            cut = np.flatnonzero(is_open[row] & (np.abs(error) > (allowed / count)[row]))
            cut = cut[np.lexsort((-np.abs(error[cut]), row[cut]))]
            rank = np.arange(len(cut)) - np.searchsorted(row[cut], row[cut])
            cut = cut[rank < (max_steps - count)[row[cut]]]
            if not len(cut):
                return
            left = self._left_ends()[cut]
            self._add(self.row[left], (self.place[left] + self.place[left + 1]) / 2)

    def average(self) -> tuple[Array, Array]:
        """The mean gradient along each line, float64, and the number of its intervals."""
        row, width, _ = self._intervals()
        weight = np.zeros(len(self.row))
        left = self._left_ends()
        np.add.at(weight, left, width / 2)
        np.add.at(weight, left + 1, width / 2)
        ends = np.searchsorted(self.row, np.arange(len(self.start)))
        weighted = weight.reshape(-1, *(1,) * (self.start.ndim - 1)) * self.gradient
        average: Array = np.add.reduceat(weighted, ends, axis=0, dtype=np.float64)
        return average, np.bincount(row, minlength=len(self.start))

    def _left_ends(self) -> Array:
        """Places of the points that an interval begins with."""
        return np.flatnonzero(self.row[:-1] == self.row[1:])

    def _intervals(self) -> tuple[Array, Array, Array]:
        """Row and width of each interval, and what its gradients are off by."""
        left = self._left_ends()
        width = self.place[left + 1] - self.place[left]
        added = width * (self.slope[left] + self.slope[left + 1]) / 2
        return self.row[left], width, added - (self.value[left + 1] - self.value[left])

    def _scale(self, row: Array, width: Array) -> Array:
        """For each row, how much its scores should add up to, or one percent of their sizes where that is more."""
        first = np.searchsorted(self.row, np.arange(len(self.start)))
        last = np.searchsorted(self.row, np.arange(len(self.start)), side="right") - 1
        average, _ = self.average()
        sizes = row_sums(np.abs(average * self.direction))
        scale: Array = np.maximum(np.abs(self.value[last] - self.value[first]), 0.01 * sizes)
        return scale

    def _add(self, rows: Array, places: Array) -> None:
        ones = (1,) * (self.start.ndim - 1)

        def points(part: Array) -> Array:
            t = places[part].reshape(-1, *ones)
            between = self.start[rows[part]] + t * self.direction[rows[part]]
            # The ends are met exactly.
            z: Array = np.where(t == 1, self.question.point[rows[part]], between)
            return z.astype(self.start.dtype)

        values, gradients = [self.value], [self.gradient]
        for _, value, gradient in self.question.gradients(points, rows):
            values.append(value)
            gradients.append(gradient)
        row, place = np.concatenate([self.row, rows]), np.concatenate([self.place, places])
        order = np.lexsort((place, row))
        self.row, self.place = row[order], place[order]
        self.value, self.gradient = np.concatenate(values)[order], np.concatenate(gradients)[order]
        flat = (self.gradient.astype(np.float64) * self.direction[self.row]).reshape(len(self.row), -1)
        self.slope = flat.sum(axis=1)
