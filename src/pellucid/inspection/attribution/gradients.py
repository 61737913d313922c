"""A network and an input come in; the gradient of one output by the input leaves, as it is or times the input: what a
small change of each number would do. Users call `saliency` and `gradient_times_input`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Flag, checked
from pellucid.inspection.attribution.question import Question
from pellucid.inspection.attribution.records import Attribution


@checked(absolute=Flag())
def saliency(model: Any, x: Any, target: Any = None, *, layer: Any = None, absolute: bool = True) -> Attribution:
    """How much one output would change with each number of the input: |∂y/∂x|.

    Parameters
        model : a Module, which is asked in eval mode, or a function of a Tensor. No row's output may depend on another
            row.
        x : array or Tensor, the rows in front
        target : which output: None for the only one, or for the largest of each row; a whole number, or one for each
            row; a tuple, the place in a row's output of several axes; or a function of the whole output that gives one
            number a row, such as `lambda y: y[:, 3] - y[:, 5]`.
        layer : name of a layer whose output is explained in place of x, such as the embedding of whole numbers.
        absolute : the size of the gradient; False keeps its sign.
    Returns
        Attribution
    Raises
        ArgumentTypeError: x is of whole numbers, and no layer is given; or the network gives no Tensor.
        ArgumentError, ShapeError: the target is no place in the output.
        MissingKeyError: the network has no such layer.
        and what the network raises for such an input
    Source
        K. Simonyan et al., Deep inside convolutional networks: visualising image classification models and saliency
        maps, 2013, section 3; the largest channel, which they take for pictures, is left to who draws.
    Examples
        >>> import pellucid as pl
        >>> pl.saliency(lambda x: (x * pl.tensor([2.0, -3.0])).sum(axis=1), [[1.0, 1.0]]).scores.tolist()
        [[2.0, 3.0]]
    """
    question = Question(model, x, target, layer)
    gradient = gradient_at_point(question)
    return Attribution(
        method="saliency",
        scores=np.abs(gradient) if absolute else gradient,
        inputs=question.point,
        outputs=question.outputs,
        targets=question.choice.words,
        layer=question.layer,
        settings={"absolute": bool(absolute)},
    )


@checked()
def gradient_times_input(model: Any, x: Any, target: Any = None, *, layer: Any = None) -> Attribution:
    """The gradient times the input, x·∂y/∂x: each number's share of the output, if the network were linear.

    Parameters
        model, x, target, layer : as for `saliency`.
    Returns
        Attribution; its completeness error is the sum of the scores less the output. It is 0 for networks without
        biases whose activations are ReLUs, and says elsewhere how far the network is from that.
    Raises
        as `saliency`
    Source
        A. Shrikumar et al., Not just a black box: learning important features through propagating activation
        differences, 2016, section 2.
    Examples
        >>> import pellucid as pl
        >>> pl.gradient_times_input(lambda x: (x * pl.tensor([2.0, -3.0])).sum(axis=1), [[1.0, 4.0]]).scores.tolist()
        [[2.0, -12.0]]
    """
    question = Question(model, x, target, layer)
    scores = question.point * gradient_at_point(question)
    return Attribution(
        method="gradient-times-input",
        scores=scores,
        inputs=question.point,
        outputs=question.outputs,
        targets=question.choice.words,
        layer=question.layer,
        completeness_error=row_sums(scores) - question.outputs,
    )


def gradient_at_point(question: Question) -> Array:
    """The gradient of the explained number by the point."""
    found = np.empty_like(question.point)
    for part, _, gradient in question.gradients(lambda part: question.point[part], np.arange(question.rows)):
        found[part] = gradient
    return found


def row_sums(scores: Array) -> Array:
    """The sum of each row's scores, float64."""
    sums: Array = scores.reshape(len(scores), -1).sum(axis=1, dtype=np.float64)
    return sums
