"""Reductions over axes, running sums and products, and the statistics composed of them."""

from __future__ import annotations

from pellucid.ops.reduce.combine import (
    SUM_TO,
    all_,
    any_,
    argmax,
    argmin,
    count_nonzero,
    logsumexp,
    max_,
    min_,
    prod,
    sum_,
)
from pellucid.ops.reduce.running import cumprod, cumsum, cumulative_prod, cumulative_sum, diff
from pellucid.ops.reduce.statistics import mean, norm, std, var

__all__ = [
    "SUM_TO",
    "all_",
    "any_",
    "argmax",
    "argmin",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
    "logsumexp",
    "max_",
    "mean",
    "min_",
    "norm",
    "prod",
    "std",
    "sum_",
    "var",
]
