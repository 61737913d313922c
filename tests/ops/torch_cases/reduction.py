"""Reductions over every kind of axes, running sums, ties, zeros and infinities."""

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from tests.ops.torch_cases.case import CUBE, INFINITE, TIES, ZEROS, A, Case, floats

torch = pytest.importorskip("torch")

CASES: list[Case] = []
AXES: list[tuple[np.ndarray, Any, bool]] = [
    (A, None, False),
    (A, 0, False),
    (A, -1, True),
    (A, (0, 1), True),
    (CUBE, (0, 2), False),
    (CUBE, (-1, 1), True),
    (CUBE, 1, False),
    (floats(), None, False),
    (floats(1, 3), 0, False),
    (floats(0, 3), 1, False),
    (floats(3, 1), (1,), False),
]
for x, axis, keep in AXES:
    tag = f"{x.shape} {axis} {keep}"
    every = tuple(range(x.ndim)) if axis is None else axis
    kw = {"axis": axis, "keepdims": keep}
    CASES += [
        Case(f"sum {tag}", (x,), lambda x, kw=kw: pl.sum(x, **kw), lambda x, d=every, k=keep: torch.sum(x, d, k)),
        Case(
            f"max {tag}",
            (x,),
            lambda x, kw=kw: pl.max(x, **kw),
            lambda x, d=every, k=keep: torch.amax(x, d, k) if d != () else x * 1,
        ),
        Case(
            f"min {tag}",
            (x,),
            lambda x, kw=kw: pl.min(x, **kw),
            lambda x, d=every, k=keep: torch.amin(x, d, k) if d != () else x * 1,
        ),
        Case(
            f"logsumexp {tag}",
            (x,),
            lambda x, kw=kw: pl.logsumexp(x, **kw),
            lambda x, d=every, k=keep: torch.logsumexp(x, d, k),
        ),
        Case(
            f"norm {tag}",
            (x,),
            lambda x, kw=kw: pl.norm(x, **kw),
            lambda x, d=every, k=keep: torch.linalg.vector_norm(x, 2, d, k),
        ),
        Case(
            f"norm 1 {tag}",
            (x,),
            lambda x, kw=kw: pl.norm(x, 1, **kw),
            lambda x, d=every, k=keep: torch.linalg.vector_norm(x, 1, d, k),
        ),
        Case(
            f"norm 3 {tag}",
            (x,),
            lambda x, kw=kw: pl.norm(x, 3, **kw),
            lambda x, d=every, k=keep: torch.linalg.vector_norm(x, 3, d, k),
        ),
    ]
    if x.size > 1:
        CASES += [
            Case(
                f"mean {tag}", (x,), lambda x, kw=kw: pl.mean(x, **kw), lambda x, d=every, k=keep: torch.mean(x, d, k)
            ),
            Case(
                f"var {tag}",
                (x,),
                lambda x, kw=kw: pl.var(x, **kw),
                lambda x, d=every, k=keep: torch.var(x, d, correction=0, keepdim=k),
            ),
        ]
for axis in (0, 1, -1):
    CASES += [
        Case(f"prod {axis}", (ZEROS,), lambda x, a=axis: pl.prod(x, a), lambda x, a=axis: torch.prod(x, a)),
        Case(f"max of ties {axis}", (TIES,), lambda x, a=axis: pl.max(x, a), lambda x, a=axis: torch.amax(x, a)),
        Case(
            f"min of ties {axis}",
            (TIES,),
            lambda x, a=axis: pl.min(x, a, keepdims=True),
            lambda x, a=axis: torch.amin(x, a, True),
        ),
        Case(f"cumsum {axis}", (A,), lambda x, a=axis: pl.cumsum(x, a), lambda x, a=axis: torch.cumsum(x, a)),
        Case(f"cumprod {axis}", (ZEROS,), lambda x, a=axis: pl.cumprod(x, a), lambda x, a=axis: torch.cumprod(x, a)),
        Case(
            f"diff {axis}",
            (CUBE,),
            lambda x, a=axis: pl.diff(x, axis=a, n=2),
            lambda x, a=axis: torch.diff(x, n=2, dim=a),
        ),
    ]
CASES += [
    Case("std", (CUBE,), lambda x: pl.std(x, 1, correction=1), lambda x: torch.std(x, 1)),
    Case(
        "std of equals",
        (np.ones((2, 3)),),
        lambda x: pl.std(x, 1),
        lambda x: torch.std(x, 1, correction=0),
        second=False,
    ),
    Case(
        "norm at 0",
        (np.zeros((2, 3)),),
        lambda x: pl.norm(x, axis=1),
        lambda x: torch.linalg.vector_norm(x, 2, 1),
        second=False,
    ),
    Case(
        "norm 1 at 0", (np.zeros(3),), lambda x: pl.norm(x, 1), lambda x: torch.linalg.vector_norm(x, 1), second=False
    ),
    Case(
        "norm 3 with a 0",
        (np.array([0.0, 2.0, -1.0]),),
        lambda x: pl.norm(x, 3),
        lambda x: torch.linalg.vector_norm(x, 3),
    ),
    Case("norm inf", (A,), lambda x: pl.norm(x, np.inf, axis=0), lambda x: torch.linalg.vector_norm(x, np.inf, 0)),
    Case("prod of all", (ZEROS,), pl.prod, torch.prod, second=False),
    Case("prod of one 0", (np.array([2.0, 0.0, 3.0]),), pl.prod, torch.prod),
    Case("prod of nothing", (floats(0),), pl.prod, torch.prod, second=False),
    Case(
        "logsumexp of infinities",
        (INFINITE,),
        lambda x: pl.logsumexp(x, 1),
        lambda x: torch.logsumexp(x, 1),
        second=False,
    ),
    Case("max of all ties", (TIES,), pl.max, lambda x: torch.amax(x, (0, 1))),
]
