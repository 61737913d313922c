"""Differences that were measured from several seeds come in; their mean and its confidence interval leave, and what
that says of an effect. Experiments that compare two ways of training call it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

Effect = Literal["shown", "absent", "open"]


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% confidence interval.

    mean, low, high : of the differences.
    """

    mean: float
    low: float
    high: float

    def effect(self, least: float) -> Effect:
        """Whether there is a difference: "shown" where the whole interval is above 0 and its mean is no less than what
        would matter, "absent" where all of it is below that, else "open": more seeds would tell."""
        if self.low > 0 and self.mean >= least:
            return "shown"
        return "absent" if self.high < least else "open"


def interval(differences: Sequence[float]) -> Interval:
    """The mean of independent differences and its 95% interval by Student's distribution.

    Parameters
        differences : at least three, finite
    """
    values = np.asarray(differences, np.float64)
    half = student(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))
    mean = float(values.mean())
    return Interval(mean, mean - half, mean + half)


def student(freedom: int) -> float:
    """The two-sided 95% quantile of Student's distribution, by the first terms of its expansion about the normal's;
    from 4 degrees of freedom on it is right to 1%.

    Source
        M. Abramowitz and I. Stegun, Handbook of mathematical functions, 1964, 26.7.5.
    """
    z = NormalDist().inv_cdf(0.975)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return float(z + sum(term / freedom ** (n + 1) for n, term in enumerate(terms)))
