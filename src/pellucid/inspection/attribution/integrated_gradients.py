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

    The integral is taken by the trapezoidal rule, with twice as many steps each time until the scores of a row add up.

    Parameters
        model, x, target, layer : as for `saliency`.
        baseline : what counts as nothing: None for zeros, a number, or an array of the shape of a row or of x.
        tolerance : how far the scores' sum may be off, as a share of the difference that is explained (or of one
            percent of the scores' sizes where they nearly cancel).
        max_steps : no finer; a row that does not add up by then says so by its completeness error.
    Returns
        Attribution; `completeness_error` is the sum of the scores less y(x) - y(baseline), `parts["steps"]` how many
        steps each row took.
    Raises
        as `saliency`, and ShapeError for a baseline of another shape
    Source
        M. Sundararajan et al., Axiomatic attribution for deep networks, 2017, equation 1 and section 5; they take a
        Riemann sum with a number of steps of one's choice.
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

    direction = question.point - start
    average, steps = np.zeros(direction.shape, np.float64), np.zeros(question.rows, np.int64)
    error = np.full(question.rows, np.inf)
    ends = _Sum(question, start, direction, np.arange(question.rows))
    ends.add(np.array([0.0, 1.0]))
    inner: _Sum | None = None
    count, open_rows = 1, np.arange(question.rows)
    while len(open_rows):
        following = min(_FIRST_STEPS, max_steps) if inner is None else 2 * count
        if following > max_steps:
            break
        if inner is None:
            inner = _Sum(question, start, direction, open_rows)
            inner.add(np.arange(1, following) / following)
        else:
            inner.keep(open_rows)
            inner.add((np.arange(count) + 0.5) / count)
        count = following
        average[open_rows] = (ends.total[open_rows] / 2 + inner.total) / count
        steps[open_rows] = count
        sums = row_sums(average[open_rows] * direction[open_rows])
        sizes = row_sums(np.abs(average[open_rows] * direction[open_rows]))
        error[open_rows] = sums - change[open_rows]
        scale = np.maximum(np.abs(change[open_rows]), 0.01 * sizes)
        open_rows = open_rows[np.abs(error[open_rows]) > tolerance * scale]

    scores = (average * direction).astype(direction.dtype)
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


class _Sum:
    """The sum of the gradients at points between a baseline and the input, for some rows.

    Attributes
        total : the sum, float64, a row for each of the rows
    """

    def __init__(self, question: Question, start: Array, direction: Array, rows: Array) -> None:
        self.question, self.start, self.direction, self.rows = question, start, direction, rows
        self.total = np.zeros((len(rows), *direction.shape[1:]), np.float64)

    def keep(self, rows: Array) -> None:
        """Go on with these rows alone."""
        self.total = self.total[np.searchsorted(self.rows, rows)]
        self.rows = rows

    def add(self, places: Array) -> None:
        """Add the gradients at these places, 0 for the baseline and 1 for the input."""
        numbers = np.repeat(np.arange(len(self.rows)), len(places))
        where = np.tile(places, len(self.rows))
        rows = self.rows[numbers]
        ones = (1,) * (self.direction.ndim - 1)

        def points(part: Array) -> Array:
            t = where[part].reshape(-1, *ones)
            # The ends are met exactly.
            between = self.start[rows[part]] + t * self.direction[rows[part]]
            z = np.where(t == 1, self.question.point[rows[part]], between)
            return z.astype(self.direction.dtype)

        for part, _, gradient in self.question.gradients(points, rows):
            np.add.at(self.total, numbers[part], gradient)
